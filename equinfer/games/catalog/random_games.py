"""Random stochastic games: the benchmark of the literature, and Markov potential games with their potential."""

import itertools

import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame
from equinfer.tables import refuse_unless_it_fits

__all__ = ["random", "random_potential"]


def _sizes(what: str, states: int, players: int, actions: int | tuple[int, ...]) -> tuple[int, ...]:
    """The action counts, one per player, of a game that fits."""
    each = (actions,) * players if isinstance(actions, int) else actions
    require(states >= 1, f"{what} needs states >= 1; got {states}.")
    require(players >= 1, f"{what} needs players >= 1; got {players}.")
    require(
        len(each) == players,
        f"{what} has {players} players and {len(each)} action counts; give one number, or one per player.",
    )
    require(min(each) >= 1, f"{what} needs at least one action per player; got {min(each)}.")
    refuse_unless_it_fits(players, states, each, what)
    return each


def _generator(what: str, seed: int) -> np.random.Generator:
    require(seed >= 0, f"{what} needs seed >= 0; got {seed}.")
    return np.random.default_rng(seed)


@entry("the generator of the sgamesolver package 1.0.2 (Eibelshaeuser and Poensgen, 2023): the same numbers")
def random(
    *, states: int = 5, players: int = 2, actions: int | tuple[int, ...] = 3, discount: float = 0.95, seed: int = 0
) -> TabularGame:
    """Random stochastic game: payoffs uniform on [0, 1], transitions uniform on the simplex."""
    sizes = _sizes("random", states, players, actions)
    generator = _generator("random", seed)
    # All payoffs are drawn first, state by state, then all transitions: normalised exponentials.
    reward = np.stack([generator.random((players, *sizes)) for _ in range(states)], axis=1)
    kernel = np.stack([generator.exponential(size=(*sizes, states)) for _ in range(states)])
    kernel /= kernel.sum(axis=-1, keepdims=True)
    return TabularGame(reward, kernel, discount=discount, name="random")


def _draw(
    states: int, players: int, actions: int | tuple[int, ...], seed: int
) -> tuple[Float[np.ndarray, "S *A"], np.random.Generator]:
    """The stage potential, uniform on [0, 1], and the generator to go on with."""
    sizes = _sizes("random_potential", states, players, actions)
    generator = _generator("random_potential", seed)
    return generator.random((states, *sizes)), generator


def _stage_potential(
    game: TabularGame,
    states: int,
    players: int,
    actions: int | tuple[int, ...],
    discount: float,
    controlled: bool,
    seed: int,
) -> Float[np.ndarray, "S *A"]:
    return _draw(states, players, actions, seed)[0]


def _local_maxima(
    game: TabularGame,
    states: int,
    players: int,
    actions: int | tuple[int, ...],
    discount: float,
    controlled: bool,
    seed: int,
) -> tuple[KnownEquilibrium, ...]:
    """With transitions out of everybody's hands: in every state a joint action that no single switch improves.

    The maximiser of the potential comes first, then other combinations, up to a thousand in all.
    """
    if controlled:
        return ()
    potential = _draw(states, players, actions, seed)[0]
    stable = np.ones(potential.shape, bool)
    for axis in range(1, potential.ndim):
        stable &= potential == potential.max(axis=axis, keepdims=True)
    choices = [
        sorted(np.argwhere(here).tolist(), key=lambda a, phi=phi: -phi[*a])
        for phi, here in zip(potential, stable, strict=True)
    ]
    note = "no single switch raises the potential in any state, and nobody moves the state"
    found = []
    for joint in itertools.islice(itertools.product(*choices), 1000):
        profile = tuple(
            np.eye(size)[list(own)] for size, own in zip(game.num_actions, zip(*joint, strict=True), strict=True)
        )
        found.append(KnownEquilibrium(profile, None, note))
    return tuple(found)


@entry(
    "Leonardos, Overman, Panageas and Piliouras, Global convergence of multi-agent policy gradient in Markov "
    "potential games, 2022",
    _local_maxima,
    _stage_potential,
)
def random_potential(
    *,
    states: int = 5,
    players: int = 2,
    actions: int | tuple[int, ...] = 3,
    discount: float = 0.95,
    controlled: bool = False,
    seed: int = 0,
) -> TabularGame:
    r"""Random Markov potential game: a common stage potential plus terms that no player's own choice moves.

    With transitions $P(s'\mid s)$ that nobody controls, $r^i=\varphi(s,a)+d^i(s,a^{-i})$. With `controlled`
    transitions $P(s'\mid s,a)$, $r^i=\varphi(s,a)+d^i(s)-\gamma E[d^i(s')\mid s,a]$, so that $V^i=\Phi+d^i$ for every
    profile. `stage_potential("random_potential", ...)` is $\varphi$.
    """
    require(0 <= discount < 1, f"random_potential needs a discount in [0, 1); got {discount:g}.")
    potential, generator = _draw(states, players, actions, seed)
    sizes = potential.shape[1:]
    rows = (states, *sizes) if controlled else (states, *(1 for _ in sizes))
    kernel = generator.exponential(size=(*rows, states))
    kernel /= kernel.sum(axis=-1, keepdims=True)
    if controlled:
        own = generator.random((players, states))
        term = own.reshape(players, states, *(1 for _ in sizes)) - discount * np.einsum("s...t,it->is...", kernel, own)
    else:
        kernel = np.broadcast_to(kernel, (states, *sizes, states))
        shapes = [(states, *(1 if i == j else size for j, size in enumerate(sizes))) for i in range(players)]
        term = np.stack([np.broadcast_to(generator.random(shape), (states, *sizes)) for shape in shapes])
    return TabularGame(potential + term, kernel, discount=discount, name="random_potential")

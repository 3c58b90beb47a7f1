"""The smallest mean-field games: forks, a cyclic one, and one of infection."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.mean_field import MeanFieldGame
from equinfer.types import AnyArray

__all__ = ["congestion", "left_right", "rock_paper_scissors", "susceptible_infected"]

_CUI_KOEPPL = "Cui and Koeppl, Approximately solving mean field games via entropy-regularized deep RL, 2021"


def fork(branches: int) -> Float[np.ndarray, "S A S"]:
    """From wherever one is, action a leads to state 1 + a; nobody comes back to state 0."""
    kernel = np.zeros((branches + 1, branches, branches + 1))
    kernel[:, np.arange(branches), 1 + np.arange(branches)] = 1
    return kernel


def _spread(game: MeanFieldGame, law: Any, note: str) -> tuple[KnownEquilibrium, ...]:
    """Everybody draws the branch from `law`, everywhere and always."""
    policy = np.broadcast_to(np.asarray(law, float), (game.horizon or 1, *game.legal[0].shape)).copy()
    return (KnownEquilibrium((policy,), None, note),)


def _two_thirds(game: MeanFieldGame, **_: Any) -> tuple[KnownEquilibrium, ...]:
    return _spread(game, (2 / 3, 1 / 3), "left costs p, right 2 (1 - p): equal at p = 2/3")


@entry(_CUI_KOEPPL, _two_thirds, folder="mean_field")
def left_right(*, T: int = 1) -> MeanFieldGame:
    """Go left or right: left costs its share of the population, right twice its share."""
    require(T >= 1, f"left_right needs T >= 1; got {T}.")

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        mass = law.sum(axis=1)
        return -(jnp.array([0.0, 1.0, 2.0], law.dtype) * mass)[:, None] * jnp.ones((1, 2), law.dtype)

    return MeanFieldGame(
        reward,
        fork(2),
        [1, 0, 0],
        T + 1,
        state_labels=("start", "left", "right"),
        action_labels=("left", "right"),
        name="mean_field/left_right",
    )


def _interior(game: MeanFieldGame, **_: Any) -> tuple[KnownEquilibrium, ...]:
    law = np.array([26, 20, 31]) / 77
    return _spread(
        game, law, "2 m3 - m2 = 4 m1 - 2 m3 = 6 m2 - 3 m1 on the simplex: each pays 6/11; the only interior one"
    )


@entry(_CUI_KOEPPL, _interior, folder="mean_field")
def rock_paper_scissors(*, T: int = 1) -> MeanFieldGame:
    """Rock-paper-scissors against the population, with prizes of three sizes: not monotone."""
    require(T >= 1, f"rock_paper_scissors needs T >= 1; got {T}.")
    prizes = np.array([[0, 0, 0, 0], [0, 0, -1, 2], [0, 4, 0, -2], [0, -3, 6, 0]], float)

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        return (jnp.asarray(prizes, law.dtype) @ law.sum(axis=1))[:, None] * jnp.ones((1, 3), law.dtype)

    return MeanFieldGame(
        reward,
        fork(3),
        [1, 0, 0, 0],
        T + 1,
        state_labels=("start", "rock", "paper", "scissors"),
        action_labels=("rock", "paper", "scissors"),
        name="mean_field/rock_paper_scissors",
    )


@entry(_CUI_KOEPPL, folder="mean_field")
def susceptible_infected(
    *,
    T: int = 50,
    infection: float = 0.81,
    recovery: float = 0.3,
    illness: float = 1.0,
    distancing: float = 0.5,
) -> MeanFieldGame:
    r"""Go out and be infected by those who are ill, or keep away at a cost; the population moves, not the reward.

    Far from both ends the equilibria stay near a turnpike. Who is susceptible is indifferent if the fear of illness is
    worth the cost of keeping away, $\beta m\Delta=d$ with $\Delta=V(S)-V(I)$; who keeps away forever has
    $\Delta=(c-d)+(1-\rho)\Delta$, so $\Delta=(c-d)/\rho=5/3$ and $m=d/(\beta\Delta)=10/27$ are ill. A fraction
    $\rho/(\beta(1-m))=10/17$ of the others must go out to keep it there. Pure equilibria switch on and off about it.
    """
    rates = (("infection", infection), ("recovery", recovery))
    for what, rate in rates:
        require(0 <= rate <= 1, f"susceptible_infected needs 0 <= {what} <= 1; got {rate:g}.")
    require(T >= 0, f"susceptible_infected needs T >= 0; got {T}.")
    cost = np.array([[0.0, distancing], [illness, illness + distancing]])

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        return -jnp.asarray(cost, law.dtype)

    def kernel(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A S"]:
        caught = infection * law[1].sum()
        ill = jnp.stack([jnp.stack([caught, 0 * caught]), jnp.full(2, 1 - recovery, law.dtype)])
        return jnp.stack([1 - ill, ill], axis=-1)

    return MeanFieldGame(
        reward,
        kernel,
        [0.4, 0.6],
        T + 1,
        state_labels=("susceptible", "infected"),
        action_labels=("go out", "keep away"),
        name="mean_field/susceptible_infected",
    )


def water_level(slopes: tuple[float, ...], offsets: tuple[float, ...]) -> float:
    r"""The $\lambda$ with $\sum_k\max(0,\lambda-a_k)/b_k=1$: what every road that is used costs."""
    order = np.argsort(offsets)
    a, b = np.asarray(offsets)[order], np.asarray(slopes)[order]
    levels = (1 + np.cumsum(a / b)) / np.cumsum(1 / b)
    used = int(np.flatnonzero(levels > a)[-1])
    return float(levels[used])


def _wardrop(
    game: MeanFieldGame, slopes: tuple[float, ...], offsets: tuple[float, ...], **_: Any
) -> tuple[KnownEquilibrium, ...]:
    level = water_level(slopes, offsets)
    law = np.maximum(level - np.asarray(offsets), 0) / np.asarray(slopes)
    return _spread(game, law / law.sum(), f"Wardrop: roads that are used cost {level:g}, the others no less")


@entry("Wardrop, Some theoretical aspects of road traffic research, 1952", _wardrop, folder="mean_field")
def congestion(
    *, T: int = 1, slopes: tuple[float, ...] = (1.0, 2.0, 4.0), offsets: tuple[float, ...] = (0.0, 0.25, 0.5)
) -> MeanFieldGame:
    """Choose a road every day: road k costs offset k plus slope k times its share of the traffic."""
    count = len(slopes)
    require(T >= 1, f"congestion needs T >= 1; got {T}.")
    require(count == len(offsets) >= 1, f"congestion needs as many slopes as offsets; got {count}, {len(offsets)}.")
    require(min(slopes) > 0, f"congestion needs positive slopes; got {slopes}.")
    slope, offset = np.array([0.0, *slopes]), np.array([0.0, *offsets])

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        fixed, rising = jnp.asarray(offset, law.dtype), jnp.asarray(slope, law.dtype)
        return -(fixed + rising * law.sum(axis=1))[:, None] * jnp.ones((1, count), law.dtype)

    return MeanFieldGame(
        reward,
        fork(count),
        np.eye(count + 1)[0],
        T + 1,
        state_labels=("start", *(f"road {k}" for k in range(count))),
        action_labels=tuple(f"road {k}" for k in range(count)),
        name="mean_field/congestion",
    )

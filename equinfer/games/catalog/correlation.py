"""Games where correlation across players or stages changes what can be reached."""

import itertools

import numpy as np

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame

__all__ = ["no_sde", "public_signal"]


def _mixed_stationary(game: TabularGame, discount: float) -> tuple[KnownEquilibrium, ...]:
    r"""The only equilibrium, from two indifferences, with $v=1/(1-\gamma)$.

    Keeping is worth $v$ to its mover, so the other state is worth $v/\gamma$; $V^0(2)=v/\gamma$ gives player 1's
    chance to keep, $(1+\gamma)/4\gamma$, and $V^1(1)=v/\gamma$ gives player 0's, $1-1/2\gamma$. Each pure choice is
    answered by one that unsettles it as soon as $\gamma>1/2$.
    """
    v = 1 / (1 - discount)
    keeps = (1 - 1 / (2 * discount), (1 + discount) / (4 * discount))
    idle = [0.0, 0.0, 1.0]
    first = np.array([[keeps[0], 1 - keeps[0], 0.0], idle])
    second = np.array([idle, [keeps[1], 1 - keeps[1], 0.0]])
    values = np.array([[v, v / discount], [v / discount, v]])
    return (KnownEquilibrium((first, second), values, "each mover is indifferent; unique", complete=True),)


@entry("Zinkevich, Greenwald and Littman, Cyclic equilibria in Markov games, 2005", _mixed_stationary)
def no_sde(*, discount: float = 0.75) -> TabularGame:
    """NoSDE: turns alternate, and no deterministic stationary equilibrium exists."""
    require(0.5 < discount < 1, f"no_sde needs a discount in (1/2, 1); got {discount:g}.")
    reward, kernel = np.zeros((2, 2, 3, 3)), np.zeros((2, 3, 3, 2))
    reward[:, 0, 0, 2], reward[:, 0, 1, 2] = (1.0, 0.0), (0.0, 3.0)
    reward[:, 1, 2, 0], reward[:, 1, 2, 1] = (3.0, 1.0), (0.0, 0.0)
    kernel[0, 0, 2, 0] = kernel[0, 1, 2, 1] = 1.0
    kernel[1, 2, 0, 1] = kernel[1, 2, 1, 0] = 1.0
    moves, waits = [True, True, False], [False, False, True]
    return TabularGame(
        reward,
        kernel,
        discount=discount,
        initial=[1.0, 0.0],
        legal=[np.array([moves, waits]), np.array([waits, moves])],
        state_labels=("player 0 moves", "player 1 moves"),
        action_labels=[("keep", "send", "wait")] * 2,
        name="no_sde",
    )


def _staying_out(game: TabularGame, outside: float) -> tuple[KnownEquilibrium, ...]:
    """Someone stays out of every Markov equilibrium, since each equilibrium of the battle gives someone less.

    The battle may be played differently in either epoch (it is reached only in the second): nine value vectors. Out
    for both is an equilibrium of the entry stage, and in the last epoch entry earns nothing.
    """
    battle = [
        (np.array([1.0, 0.0]), np.array([1.0, 0.0]), (3.0, 1.0)),
        (np.array([0.0, 1.0]), np.array([0.0, 1.0]), (1.0, 3.0)),
        (np.array([0.75, 0.25]), np.array([0.25, 0.75]), (0.75, 0.75)),
    ]
    out, idle = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    found = []
    for epochs in itertools.product(battle, repeat=2):
        profile = tuple(np.array([[out, each[i], idle] for each in epochs]) for i in (0, 1))
        values = np.array([[[outside, each[2][i], 0.0] for each in epochs] for i in (0, 1)])
        found.append(KnownEquilibrium(profile, values, "both stay out; a battle in each epoch", complete=True))
    return tuple(found)


@entry("after Theorem F: public signals reach more than mixtures of Markov equilibria", _staying_out)
def public_signal(*, outside: float = 1.9) -> TabularGame:
    """Public signal: nobody enters a battle of the sexes unless a coin in public will settle it."""
    require(1 < outside < 2, f"public_signal needs an outside payoff in (1, 2); got {outside:g}.")
    enter, battle, end = range(3)
    reward, kernel = np.zeros((2, 3, 2, 2)), np.zeros((3, 2, 2, 3))
    reward[:, enter] = outside
    reward[:, enter, 0, 0] = 0.0
    reward[:, battle] = [np.diag([3.0, 1.0]), np.diag([1.0, 3.0])]
    kernel[..., end] = 1.0
    kernel[enter, 0, 0] = np.eye(3)[battle]
    return TabularGame(
        reward,
        kernel,
        horizon=2,
        initial=np.eye(3)[enter],
        state_labels=("entry", "battle", "end"),
        action_labels=[("in / opera", "out / boxing")] * 2,
        name="public_signal",
    )

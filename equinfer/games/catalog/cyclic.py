"""Games that go round in circles: nobody has a pure equilibrium, so every solver must mix."""

from typing import Any

import numpy as np

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame

__all__ = ["dynamic_rock_paper_scissors", "jordan", "rock_paper_scissors", "shapley"]

_HANDS = ("rock", "paper", "scissors")


def _uniform(game: TabularGame, **_: Any) -> tuple[KnownEquilibrium, ...]:
    """The uniform profile, the only equilibrium of the three cyclic games below."""
    values = np.asarray(game.reward).reshape(game.num_players, -1).mean(axis=1, keepdims=True)
    note = "fixed by the rotation symmetry; unique, since dropping an action starts a chain of dominations"
    return (KnownEquilibrium(game.uniform_profile(), values, note, complete=True),)


@entry("von Neumann and Morgenstern, Theory of Games and Economic Behavior, 1944", _uniform)
def rock_paper_scissors(*, win: float = 1.0, loss: float = 1.0) -> TabularGame:
    """Rock-paper-scissors: zero-sum if a win pays what a loss costs."""
    require(win > 0 and loss > 0, f"rock_paper_scissors needs win > 0 and loss > 0; got {win:g}, {loss:g}.")
    beats = np.roll(np.eye(3), 1, axis=0)  # paper beats rock, scissors beat paper, rock beats scissors
    row = win * beats - loss * beats.T
    return TabularGame.from_payoffs([row, row.T], action_labels=[_HANDS] * 2, name="rock_paper_scissors")


@entry("Shapley, Some topics in two-person games, 1964", _uniform)
def shapley() -> TabularGame:
    """Shapley's game: fictitious play cycles for ever around the only equilibrium."""
    row, column = np.eye(3), np.roll(np.eye(3), 1, axis=1)
    return TabularGame.from_payoffs(
        [row, column], action_labels=[("top", "middle", "bottom"), ("left", "centre", "right")], name="shapley"
    )


@entry("Jordan, Three problems in learning mixed-strategy Nash equilibria, 1993", _uniform)
def jordan() -> TabularGame:
    """Jordan's three-player matching pennies: 0 wants to match 1, 1 to match 2, and 2 to differ from 0."""
    side = np.array([1.0, -1.0])
    payoffs = [
        np.einsum("a,b,c->abc", side, side, np.ones(2)),
        np.einsum("a,b,c->abc", np.ones(2), side, side),
        -np.einsum("a,b,c->abc", side, np.ones(2), side),
    ]
    return TabularGame.from_payoffs(payoffs, action_labels=[("heads", "tails")] * 3, name="jordan")


def _dynamic_equilibrium(game: TabularGame, discount: float) -> tuple[KnownEquilibrium, ...]:
    r"""The completely mixed solution of the three stage games, at $V^0 = (0, 1/9, -1/9)$ whatever the discount.

    With $g=\gamma/9$, the stage game of the even state is the skew matrix with kernel $n=(1+g, 1-g, 1)$, so its value
    is 0. When player 0 is ahead, $M = K + e_3e_3^\top$ has $\det M = 1$ and adjugate $nn^\top + e_1e_2^\top -
    e_2e_1^\top$, whose entries sum to 9: value $\det M / 9 = 1/9$, mixtures by column and row sums.
    """
    n = np.array([1 + discount / 9, 1 - discount / 9, 1.0]) / 3
    tilt = np.array([1.0, -1.0, 0.0]) / 9
    value = np.array([0.0, 1.0, -1.0]) / 9
    profile = (np.array([n, n - tilt, n + tilt]), np.array([n, n + tilt, n - tilt]))
    note = "completely mixed solution of each stage game at the values 0, 1/9, -1/9; zero-sum, hence unique"
    return (KnownEquilibrium(profile, np.array([value, -value]), note, complete=True),)


@entry("Eibelshaeuser and Poensgen, example of the sgamesolver package, 2023", _dynamic_equilibrium)
def dynamic_rock_paper_scissors(*, discount: float = 0.95) -> TabularGame:
    """Rock-paper-scissors in which whoever alone showed scissors wins the next tie on scissors; zero-sum."""
    row = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    row = np.stack([row] * 3)
    row[:, 2, 2] = (0.0, 1.0, -1.0)  # the tie on scissors
    even, first, second = np.eye(3)
    kernel = np.empty((3, 3, 3, 3))
    kernel[:] = even
    kernel[:, 2, :2] = first
    kernel[:, :2, 2] = second
    return TabularGame(
        [row, -row],
        kernel,
        discount=discount,
        initial=even,
        state_labels=("even", "player 0 ahead", "player 1 ahead"),
        action_labels=[_HANDS] * 2,
        name="dynamic_rock_paper_scissors",
    )

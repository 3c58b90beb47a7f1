"""The two-by-two games of the textbooks. Without ties, all equilibria are pure or come from two indifferences."""

import itertools
from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame

__all__ = [
    "asymmetric_matching_pennies",
    "battle_of_the_sexes",
    "chicken",
    "matching_pennies",
    "prisoners_dilemma",
    "stag_hunt",
    "two_by_two_equilibria",
    "wolf",
]


def two_by_two_equilibria(game: TabularGame, **_: Any) -> tuple[KnownEquilibrium, ...]:
    """All Nash equilibria of a 2x2 game in which no player is ever indifferent against a pure action.

    Then an equilibrium is either pure, and no single switch gains, or completely mixed, and each player's mixture
    makes the other indifferent.
    """
    row, column = np.asarray(game.reward)[:, 0]
    found = [
        (float(i == 0), float(j == 0))
        for i, j in itertools.product((0, 1), repeat=2)
        if row[i, j] > row[1 - i, j] and column[i, j] > column[i, 1 - j]
    ]
    # Gains of the first action over the second against each action of the other; opposite signs allow a mixture.
    row_gain, column_gain = row[0] - row[1], column[:, 0] - column[:, 1]
    if row_gain[0] * row_gain[1] < 0 and column_gain[0] * column_gain[1] < 0:
        found.append((_indifference(column_gain), _indifference(row_gain)))
    return tuple(_known(row, column, x, y) for x, y in found)


def _indifference(gain: Float[np.ndarray, "2"]) -> float:
    """The probability of the first action at which the other's expected gain is zero."""
    return float(gain[1] / (gain[1] - gain[0]))


def _known(row: Float[np.ndarray, "2 2"], column: Float[np.ndarray, "2 2"], x: float, y: float) -> KnownEquilibrium:
    first, second = np.array([[x, 1 - x]]), np.array([[y, 1 - y]])
    values = np.array([[(first @ payoff @ second.T).item()] for payoff in (row, column)])
    note = "pure: no single switch gains" if x in (0, 1) else "each mixture makes the other player indifferent"
    return KnownEquilibrium((first, second), values, note, complete=True)


def _social_dilemma(
    name: str, actions: tuple[str, str], reward: float, temptation: float, sucker: float, punishment: float
) -> TabularGame:
    row = np.array([[reward, sucker], [temptation, punishment]])
    return TabularGame.from_payoffs([row, row.T], action_labels=[actions] * 2, name=name)


@entry("Rapoport and Chammah, Prisoner's Dilemma, 1965; numbers of Axelrod 1984", two_by_two_equilibria)
def prisoners_dilemma(
    *, reward: float = 3.0, temptation: float = 5.0, sucker: float = 0.0, punishment: float = 1.0
) -> TabularGame:
    """Prisoner's dilemma: defection dominates, and both would rather cooperate."""
    require(
        temptation > reward > punishment > sucker,
        "prisoners_dilemma needs temptation > reward > punishment > sucker; "
        f"got {temptation:g}, {reward:g}, {punishment:g}, {sucker:g}.",
    )
    return _social_dilemma("prisoners_dilemma", ("cooperate", "defect"), reward, temptation, sucker, punishment)


@entry("Aumann, Nash equilibria are not self-enforcing, 1990", two_by_two_equilibria)
def stag_hunt(
    *, reward: float = 9.0, temptation: float = 8.0, sucker: float = 0.0, punishment: float = 7.0
) -> TabularGame:
    """Stag hunt: the better of two pure equilibria is the riskier one."""
    require(
        reward > temptation >= punishment > sucker,
        "stag_hunt needs reward > temptation >= punishment > sucker; "
        f"got {reward:g}, {temptation:g}, {punishment:g}, {sucker:g}.",
    )
    return _social_dilemma("stag_hunt", ("stag", "hare"), reward, temptation, sucker, punishment)


@entry("Aumann, Subjectivity and correlation in randomized strategies, 1974", two_by_two_equilibria)
def chicken(
    *, reward: float = 6.0, temptation: float = 7.0, sucker: float = 2.0, punishment: float = 0.0
) -> TabularGame:
    """Chicken: a correlated equilibrium (welfare 10.5) beats every mixture of Nash equilibria (28/3)."""
    require(
        temptation > reward > sucker > punishment,
        "chicken needs temptation > reward > sucker > punishment; "
        f"got {temptation:g}, {reward:g}, {sucker:g}, {punishment:g}.",
    )
    return _social_dilemma("chicken", ("swerve", "dare"), reward, temptation, sucker, punishment)


@entry("Luce and Raiffa, Games and Decisions, 1957", two_by_two_equilibria)
def battle_of_the_sexes(*, preferred: float = 2.0, other: float = 1.0) -> TabularGame:
    """Battle of the sexes: two who want to meet, each at a place of their own."""
    require(
        preferred > other > 0,
        f"battle_of_the_sexes needs preferred > other > 0; got {preferred:g}, {other:g}.",
    )
    payoffs = [np.diag([preferred, other]), np.diag([other, preferred])]
    return TabularGame.from_payoffs(payoffs, action_labels=[("opera", "boxing")] * 2, name="battle_of_the_sexes")


@entry("von Neumann, Zur Theorie der Gesellschaftsspiele, 1928", two_by_two_equilibria)
def matching_pennies(*, stake: float = 1.0) -> TabularGame:
    """Matching pennies: player 0 wants equal sides, player 1 different ones; zero-sum."""
    require(stake > 0, f"matching_pennies needs stake > 0; got {stake:g}.")
    row = stake * np.array([[1.0, -1.0], [-1.0, 1.0]])
    return TabularGame.from_payoffs([row, -row], action_labels=[("heads", "tails")] * 2, name="matching_pennies")


@entry("Ochs, Games with unique, mixed strategy equilibria: an experimental study, 1995", two_by_two_equilibria)
def asymmetric_matching_pennies(*, prize: float = 9.0) -> TabularGame:
    """Asymmetric matching pennies: player 0's own prize for heads moves only player 1's mixture."""
    require(prize > 0, f"asymmetric_matching_pennies needs prize > 0; got {prize:g}.")
    payoffs = [np.diag([prize, 1.0]), 1.0 - np.eye(2)]
    labels = [("heads", "tails")] * 2
    return TabularGame.from_payoffs(payoffs, action_labels=labels, name="asymmetric_matching_pennies")


@entry("Bowling and Veloso, Multiagent learning using a variable learning rate, 2002", two_by_two_equilibria)
def wolf() -> TabularGame:
    """WoLF game: the only equilibrium is mixed half and half, and gradient learners go around it."""
    payoffs = [[[0.0, 3.0], [1.0, 2.0]], [[3.0, 2.0], [0.0, 1.0]]]
    return TabularGame.from_payoffs(payoffs, action_labels=[("up", "down"), ("left", "right")], name="wolf")

"""Common-interest games in which miscoordination is costly."""

import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame

__all__ = ["climbing", "penalty"]

_LABELS = ("a", "b", "c")


def _common_interest(name: str, payoff: Float[np.ndarray, "3 3"]) -> TabularGame:
    return TabularGame.from_payoffs([payoff, payoff], action_labels=[_LABELS] * 2, name=name)


def _known(game: TabularGame, x: list[float], y: list[float], note: str) -> KnownEquilibrium:
    payoff = np.asarray(game.reward)[0, 0]
    value = float(np.array(x) @ payoff @ np.array(y))
    return KnownEquilibrium((np.array([x]), np.array([y])), np.full((2, 1), value), note, complete=True)


def _climbing_equilibria(game: TabularGame) -> tuple[KnownEquilibrium, ...]:
    """Two pure ones, and the mixture of a and c: 11 x_a = 5 x_c.

    Every other pair of supports of equal size (the game is non-degenerate) leaves a negative probability or a better
    action outside the support.
    """
    mixed = [5 / 16, 0.0, 11 / 16]
    return (
        _known(game, [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], "pure"),
        _known(game, [0.0, 1.0, 0.0], [0.0, 1.0, 0.0], "pure"),
        _known(game, mixed, mixed, "11 x_a = 5 x_c; b would earn less"),
    )


@entry(
    "Claus and Boutilier, The dynamics of reinforcement learning in cooperative multiagent systems, 1998",
    _climbing_equilibria,
)
def climbing() -> TabularGame:
    """Climbing game: a common payoff whose best cell is flanked by the worst ones."""
    return _common_interest("climbing", np.array([[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]]))


def _penalty_equilibria(game: TabularGame, penalty: float) -> tuple[KnownEquilibrium, ...]:
    """Three pure ones and the mixtures that equalise payoffs on their support.

    {a, b} and {b, c}: 10 x = 2 x_b. {a, c} needs (10 + k)/2 >= 0, what b would earn; {a, b, c} needs (10 + k) x_a =
    2 x_b > 0. Unequal supports would need k x_c = 2 x_b or 10 x_a = k x_a, impossible for k <= 0.
    """
    pair = (1 / 6, 5 / 6)
    found = [_known(game, list(row), list(row), "pure") for row in np.eye(3)]
    for x in ([pair[0], pair[1], 0.0], [0.0, pair[1], pair[0]]):
        found.append(_known(game, x, x, "10 x = 2 x_b; the third action would earn less"))
    if penalty >= -10:
        found.append(_known(game, [0.5, 0.0, 0.5], [0.5, 0.0, 0.5], "a and c earn (10 + k)/2, b would earn 0"))
    if penalty > -10:
        corner = 1 / (2 + (10 + penalty) / 2)
        x = [corner, 1 - 2 * corner, corner]
        found.append(_known(game, x, x, "(10 + k) x_a = 2 x_b"))
    return tuple(found)


@entry(
    "Claus and Boutilier, The dynamics of reinforcement learning in cooperative multiagent systems, 1998",
    _penalty_equilibria,
)
def penalty(*, penalty: float = -100.0) -> TabularGame:
    """Penalty game: two best cells, a penalty for missing each other, and a safe middle."""
    require(penalty <= 0, f"penalty needs penalty <= 0; got {penalty:g}.")
    return _common_interest("penalty", np.array([[10.0, 0.0, penalty], [0.0, 2.0, 0.0], [penalty, 0.0, 10.0]]))

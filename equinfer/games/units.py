"""The units in which players count their payoffs, which no Nash equilibrium depends on."""

import math
from typing import Any

import equinox as eqx
import numpy as np

__all__ = ["COMPARABLE", "in_comparable_units"]

COMPARABLE = 2.0**10
"""Units within this factor need no care at tolerances near rounding, and matter where one temperature serves all."""

_LARGEST_EXPONENT = 1023


def in_comparable_units(game: Any, ratio: float) -> Any:
    r"""`game`, its players brought to one unit of reward if theirs are more than `ratio` apart.

    The unit of a player is the power of two at or below the range of its rewards $\mathrm{osc}(r_i)$ over legal joint
    actions. All but the widest are multiplied up, by powers of two and so without rounding: gaps only grow, and an
    upper bound on the largest is one for the game as it was. A `ratio` that is infinite asks for no more than `game`.
    """
    if math.isinf(ratio):
        return game
    ranges = game.tables().reward_ranges
    exponents = np.frexp(ranges)[1][ranges > 0]
    if not len(exponents) or np.ptp(exponents) <= math.log2(ratio):
        return game
    reward = np.asarray(game.reward, np.float64)
    room = _LARGEST_EXPONENT - np.frexp(np.abs(reward).reshape(len(reward), -1).max(axis=1))[1]
    shift = np.where(ranges > 0, np.minimum(exponents.max() - np.frexp(ranges)[1], room), 0)
    return eqx.tree_at(lambda g: g.reward, game, np.ldexp(reward, shift.reshape(-1, *[1] * (reward.ndim - 1))))

"""The units in which players count their payoffs, which no Nash equilibrium depends on."""

import math
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

__all__ = ["COMPARABLE", "in_comparable_units", "in_own_units"]

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


def in_own_units(
    reward: Float[np.ndarray, "N S *A"], joint: Bool[np.ndarray, "S *A"]
) -> tuple[Float[np.ndarray, "N S *A"], Float[np.ndarray, " N"]]:
    r"""Every player's rewards centred, in units of their range $\mathrm{osc}(r_i)$ over legal joint actions, and these
    units: what is made of them is the same whatever the units and the zeros in which players count.

    A player to whom nothing matters has the unit 1. Illegal joint actions earn nothing.
    """
    low, high = reward[:, joint].min(axis=1), reward[:, joint].max(axis=1)
    units = np.where(high > low, high - low, 1.0)
    each = (-1, *[1] * (reward.ndim - 1))
    return np.where(joint, (reward - (low / 2 + high / 2).reshape(each)) / units.reshape(each), 0.0), units

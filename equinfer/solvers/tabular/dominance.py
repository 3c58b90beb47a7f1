"""Compiled elimination of dominated actions from one-shot games, and direct ways to solve what is left.

Stage games that no logit path leads through are mostly degenerate, and mostly because an action is another one by a
second name, or nobody cares. An action that is nowhere better than another one of the same player can be left out: an
equilibrium of what is left is one of the whole game. Players, sizes and tolerances are as in `stage_games`.
"""

import itertools
from collections.abc import Iterator
from typing import no_type_check

import numpy as np
from jaxtyping import Float, Int

from equinfer.solvers.tabular.bimatrix import pivoted_equilibrium
from equinfer.solvers.tabular.small_supports import three_mix, two_mix
from equinfer.solvers.tabular.stage_games import ROUNDING, TOLERANCE, kernel, strides_of

__all__ = ["expand", "quick_equilibria", "restricted", "undominated"]

_MOST_SUPPORTS = 1_000_000
"""Supports of two or three players with two actions each, up to which all are looked at: some milliseconds."""


@kernel
@no_type_check
def is_dominated(payoff, size, stride, alive, action, other, slack):
    """Nowhere on the `alive` joint actions (J,) is a player's `action` better than its `other` one."""
    for cell in range(len(payoff)):
        if alive[cell] and (cell // stride) % size == action:
            instead = cell + (other - action) * stride
            if payoff[cell] > payoff[instead] + slack:
                return False
    return True


@kernel
@no_type_check
def undominated(payoffs, sizes, tolerance):
    """The actions that are left when those dominated by another pure one are taken out, one after another.

    Of equals the first stays. Returns `items` (N, A), padded, and `counts` (N,).
    """
    players, joint = payoffs.shape
    strides = strides_of(sizes)
    alive = np.ones(joint, np.bool_)
    kept = np.ones((players, sizes.max()), np.bool_)
    changed = True
    while changed:
        changed = False
        for i in range(players):
            slack = tolerance[i] / (2.0 * sizes[i])  # so that a chain of eliminations stays within the tolerance
            for action in range(sizes[i] - 1, -1, -1):
                for other in range(sizes[i]):
                    if other == action or not (kept[i, action] and kept[i, other]):
                        continue
                    if is_dominated(payoffs[i], sizes[i], strides[i], alive, action, other, slack):
                        kept[i, action], changed = False, True
                        for cell in range(joint):
                            if (cell // strides[i]) % sizes[i] == action:
                                alive[cell] = False
    items, counts = np.zeros(kept.shape, np.int64), np.zeros(players, np.int64)
    for i in range(players):
        for action in range(sizes[i]):
            if kept[i, action]:
                items[i, counts[i]] = action
                counts[i] += 1
    return items, counts


@kernel
@no_type_check
def restricted(payoffs, sizes, tolerance, items, counts):
    """The game in which only the actions `items` are left, brought to a spread of one again.

    Returns payoffs (N, J') and tolerances (N,): `TOLERANCE` plus the rounding of the payoffs in their new unit.
    """
    players = len(sizes)
    strides, steps = strides_of(sizes), strides_of(counts)
    joint = 1
    for i in range(players):
        joint *= counts[i]
    smaller, least = np.empty((players, joint)), np.empty(players)
    for cell in range(joint):
        source = 0
        for i in range(players):
            source += strides[i] * items[i, (cell // steps[i]) % counts[i]]
        smaller[:, cell] = payoffs[:, source]
    for i in range(players):
        low, high = smaller[i].min(), smaller[i].max()
        noise, spread = tolerance[i] - TOLERANCE + ROUNDING, high - low
        unit = 1.0 / spread if spread > noise else 0.0
        least[i] = TOLERANCE + noise * unit
        for cell in range(joint):
            smaller[i, cell] = (smaller[i, cell] - low) * unit
    return smaller, least


@kernel
@no_type_check
def expand(few, items, counts, policy):
    """Write a profile `few` (N, A') of the restricted game to `policy` (N, A)."""
    for i in range(len(counts)):
        for a in range(policy.shape[1]):
            policy[i, a] = 0.0
        for a in range(counts[i]):
            policy[i, items[i, a]] = few[i, a]


@kernel
@no_type_check
def duel_equilibrium(payoffs, sizes, tolerance, policy):
    """An equilibrium, by Lemke-Howson, of a game in which two players have a choice; False if rounding broke all paths.

    Everybody else's axis has length one, so that the tables of the two are matrices as they stand.
    """
    movers = np.flatnonzero(sizes > 1)
    pair, least, choices = payoffs[movers], tolerance[movers], sizes[movers]
    row_payoff = pair[0].copy().reshape(choices[0], choices[1])
    column_payoff = pair[1].copy().reshape(choices[0], choices[1]).T.copy()
    mixed = np.zeros((2, policy.shape[1]))
    found = pivoted_equilibrium(pair, choices, least, row_payoff, column_payoff, mixed)
    policy[:, :] = 0.0
    policy[:, 0] = 1.0
    policy[movers[0]], policy[movers[1]] = mixed[0], mixed[1]
    return found


def quick_equilibria(
    payoffs: Float[np.ndarray, "N J"],
    sizes: Int[np.ndarray, " N"],
    tolerance: Float[np.ndarray, " N"],
    policy: Float[np.ndarray, "N A"],
) -> Iterator[bool]:
    """Ways to solve a game without a path, one after another: True where `policy` has become an equilibrium.

    Lemke-Howson if only two players have a choice, otherwise two and three who mix over two actions each. Each is
    compiled only when it is called for.
    """
    if np.count_nonzero(sizes > 1) == 2:
        yield duel_equilibrium(payoffs, sizes, tolerance, policy)
        return
    strides = strides_of(sizes)
    for mixing, search in ((2, two_mix), (3, three_mix)):
        others = [np.prod((sizes[list(some)] - 1) / 2) for some in itertools.combinations(range(len(sizes)), mixing)]
        if payoffs.shape[1] * sum(others) <= _MOST_SUPPORTS:
            yield search(payoffs, sizes, strides, tolerance, policy)

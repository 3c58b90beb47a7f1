"""Compiled kernels for the one-shot games at the states of a stochastic game.

A *stage game* is handed over compactly: `payoffs` (N, J), one row per player over the J legal joint actions in C
order, and `sizes` (N,), the numbers of legal actions. Payoffs are normalised to a spread of one per player and state,
so that every tolerance below is relative to what is at stake there, whether that is 1e-6 or 1e6. A profile is a
padded array `policy` (N, A); its supports are padded index lists `items` (N, A) of lengths `counts` (N,).

The kernels carry no annotations: numba compiles them, and run-time shape checks would stand in its way.
"""

from typing import no_type_check

import numba
import numpy as np

__all__ = [
    "ROUNDING",
    "TOLERANCE",
    "average",
    "find_supports",
    "is_equilibrium",
    "kernel",
    "load",
    "normalise",
    "polish",
    "pure_equilibrium",
    "retain_or_pure",
    "solve_linear",
    "store",
    "strides_of",
]

kernel = numba.njit(cache=True, nogil=True, error_model="numpy")
"""Machine code is kept beside the source: only the very first call ever compiles. numba notices a change of a kernel's
own file, not of files whose kernels it calls: after an edit here clear all caches."""

TOLERANCE = 1e-12
"""A deviation that gains less than this part of the spread of a player's stage payoffs is no deviation: the linear
systems of a stage game lose up to a few thousand units in the last place, and a spread is 1/2e-16 of them."""

ROUNDING = 2e-15
"""Relative error of a stage payoff or of a residual: about ten units in the last place."""

_SINGULAR = 1e-13
"""A pivot this small against the largest entry is what cancellation leaves of zero: no unique solution."""

_NEWTON_STEPS = 12


@kernel
@no_type_check
def strides_of(sizes):
    """Steps between neighbours along each player's axis of a table in C order."""
    strides = np.ones(len(sizes), np.int64)
    for i in range(len(sizes) - 2, -1, -1):
        strides[i] = strides[i + 1] * sizes[i + 1]
    return strides


@kernel
@no_type_check
def normalise(payoffs, tolerance):
    """Bring the `payoffs` (N, J) of one game to a spread of one per player, in place, and fill `tolerance` (N,):
    `TOLERANCE` plus the rounding of the payoffs in their new unit.

    A player whose payoffs differ by no more than their rounding is indifferent.
    """
    for i in range(len(payoffs)):
        low = high = payoffs[i, 0]
        for cell in range(payoffs.shape[1]):
            low = min(low, payoffs[i, cell])
            high = max(high, payoffs[i, cell])
        noise, spread = ROUNDING * max(abs(low), abs(high)), high - low
        differs = spread > noise
        tolerance[i] = TOLERANCE + (noise / spread if differs else 0.0)
        for cell in range(payoffs.shape[1]):
            # A quotient, since the reciprocal of a subnormal spread is infinite.
            payoffs[i, cell] = (payoffs[i, cell] - low) / spread if differs else 0.0


@kernel
@no_type_check
def load(table, shape, orders, legal, state):
    """The stage game at `state` of `table` (N, S, J), compact and normalised.

    `shape` (N,) holds the table's action counts; `orders` (N, S, A) lists the legal actions of a state first, in any
    order, and `legal` (N, S) counts them.

    Returns `payoffs`, `sizes`, and the `tolerance` (N,) of `normalise`.
    """
    players = len(shape)
    sizes, strides = np.empty(players, np.int64), strides_of(shape)
    joint = 1
    for i in range(players):
        sizes[i] = legal[i, state]
        joint *= sizes[i]
    payoffs, tolerance = np.empty((players, joint)), np.empty(players)
    digit = np.zeros(players, np.int64)
    for cell in range(joint):
        source = 0
        for i in range(players):
            source += strides[i] * orders[i, state, digit[i]]
        for i in range(players):
            payoffs[i, cell] = table[i, state, source]
        for i in range(players - 1, -1, -1):
            digit[i] += 1
            if digit[i] < sizes[i]:
                break
            digit[i] = 0
    normalise(payoffs, tolerance)
    return payoffs, sizes, tolerance


@kernel
@no_type_check
def store(policy, orders, legal, state, profile):
    """Write the compact `policy` of one state into `profile` (N, S, A), zero elsewhere."""
    for i in range(len(policy)):
        for a in range(profile.shape[2]):
            profile[i, state, a] = 0.0
        for a in range(legal[i, state]):
            profile[i, state, orders[i, state, a]] = policy[i, a]


@kernel
@no_type_check
def find_supports(policy, sizes, items, counts):
    """Fill `items` and `counts` with the actions of positive probability."""
    for i in range(len(sizes)):
        counts[i] = 0
        for a in range(sizes[i]):
            if policy[i, a] > 0.0:
                items[i, counts[i]] = a
                counts[i] += 1


@kernel
@no_type_check
def average(payoff, sizes, policy, i, j, out):
    """`out[a_i, a_j]`: `payoff` (J,) averaged over everybody's play but i's and j's; `out[a_i, 0]` if j is -1."""
    table = payoff.copy()
    before, behind = 1, len(payoff)
    for k in range(len(sizes)):
        size = sizes[k]
        behind //= size
        if k in (i, j):
            before *= size
            continue
        # In place: block b of the result never reaches beyond the first slice of block b of the table.
        for block in range(before):
            source, target = block * size * behind, block * behind
            for c in range(behind):
                table[target + c] = policy[k, 0] * table[source + c]
            for a in range(1, size):
                weight = policy[k, a]
                source += behind
                if weight != 0.0:
                    for c in range(behind):
                        table[target + c] += weight * table[source + c]
    columns = 1 if j < 0 else sizes[j]
    for a in range(sizes[i]):
        for b in range(columns):
            out[a, b] = table[a * columns + b] if j < 0 or i < j else table[b * sizes[i] + a]


@kernel
@no_type_check
def is_equilibrium(payoffs, sizes, policy, tolerance):
    """No player gains more than its `tolerance` (N,) by deviating."""
    values = np.empty((policy.shape[1], 1))
    for i in range(len(sizes)):
        average(payoffs[i], sizes, policy, i, -1, values)
        own, best = 0.0, -np.inf
        for a in range(sizes[i]):
            own += policy[i, a] * values[a, 0]
            best = max(best, values[a, 0])
        if not best <= own + tolerance[i]:
            return False
    return True


@kernel
@no_type_check
def solve_linear(matrix, rhs):
    """Gaussian elimination with partial pivoting, in place: `rhs` (n,) becomes the solution.

    Returns the sign of the determinant, 0 if the matrix is singular to rounding.
    """
    size = len(rhs)
    smallest = 0.0
    for r in range(size):
        for c in range(size):
            smallest = max(smallest, abs(matrix[r, c]))
    smallest *= _SINGULAR
    sign = 1
    for c in range(size):
        pivot = c
        for r in range(c + 1, size):
            if abs(matrix[r, c]) > abs(matrix[pivot, c]):
                pivot = r
        if not abs(matrix[pivot, c]) > smallest:
            return 0
        if pivot != c:
            sign = -sign
            rhs[c], rhs[pivot] = rhs[pivot], rhs[c]
            for k in range(c, size):
                matrix[c, k], matrix[pivot, k] = matrix[pivot, k], matrix[c, k]
        if matrix[c, c] < 0.0:
            sign = -sign
        for r in range(c + 1, size):
            factor = matrix[r, c] / matrix[c, c]
            if factor != 0.0:
                rhs[r] -= factor * rhs[c]
                for k in range(c + 1, size):
                    matrix[r, k] -= factor * matrix[c, k]
    for r in range(size - 1, -1, -1):
        total = rhs[r]
        for k in range(r + 1, size):
            total -= matrix[r, k] * rhs[k]
        rhs[r] = total / matrix[r, r]
    return sign


@kernel
@no_type_check
def polish(payoffs, sizes, policy, items, counts, tolerance):
    r"""Newton's method for indifference on the given supports, from `policy`, in place.

    Unknown are the probabilities on the supports and the values v_i of those who mix; the equations are
    $q_i(a)=v_i$ for a in the support and $\sum_a\pi_i(a)=1$. With two players they are linear.

    Returns whether an equilibrium came out; `policy` is to be thrown away if not.
    """
    players = len(sizes)
    start = np.zeros(players + 1, np.int64)
    for i in range(players):
        start[i + 1] = start[i] + (counts[i] + 1 if counts[i] > 1 else 0)
    unknowns = start[players]
    if unknowns == 0:
        return is_equilibrium(payoffs, sizes, policy, tolerance)
    width = policy.shape[1]
    pair, values = np.empty((width, width)), np.empty((width, 1))
    matrix, rhs = np.empty((unknowns, unknowns)), np.empty(unknowns)
    level = np.zeros(players)
    before = np.inf
    for step in range(_NEWTON_STEPS):
        for r in range(unknowns):
            for c in range(unknowns):
                matrix[r, c] = 0.0
        for i in range(players):
            if counts[i] == 1:
                continue
            top, last = start[i], start[i + 1] - 1
            average(payoffs[i], sizes, policy, i, -1, values)
            total = 0.0
            for r in range(counts[i]):
                total += policy[i, items[i, r]]
            if step == 0:
                for r in range(counts[i]):
                    level[i] += policy[i, items[i, r]] * values[items[i, r], 0]
            for r in range(counts[i]):
                rhs[top + r] = level[i] - values[items[i, r], 0]
                matrix[top + r, last] = -1.0
                matrix[last, top + r] = 1.0
            rhs[last] = 1.0 - total
            for j in range(players):
                if j == i or counts[j] == 1:
                    continue
                average(payoffs[i], sizes, policy, i, j, pair)
                for r in range(counts[i]):
                    for c in range(counts[j]):
                        matrix[top + r, start[j] + c] = pair[items[i, r], items[j, c]]
        residual = 0.0
        for r in range(unknowns):
            residual = max(residual, abs(rhs[r]))
        if residual <= 1e-16 or (residual <= TOLERANCE and residual > 0.5 * before):
            break
        before = residual
        if solve_linear(matrix, rhs) == 0:
            break
        for i in range(players):
            if counts[i] > 1:
                for r in range(counts[i]):
                    policy[i, items[i, r]] += rhs[start[i] + r]
                    if not abs(policy[i, items[i, r]]) < 10.0:
                        return False
                level[i] += rhs[start[i + 1] - 1]
    for i in range(players):
        total = 0.0
        for r in range(counts[i]):
            a = items[i, r]
            if policy[i, a] < 0.0:
                if policy[i, a] < -TOLERANCE:
                    return False
                policy[i, a] = 0.0
            total += policy[i, a]
        if not total > 0.5:
            return False
        for r in range(counts[i]):
            policy[i, items[i, r]] /= total
    return is_equilibrium(payoffs, sizes, policy, tolerance)


@kernel
@no_type_check
def pure_equilibrium(payoffs, sizes, tolerance, efficient, policy):
    """A pure equilibrium, written to `policy`; False if there is none.

    It is the first one in the order of joint actions or, if `efficient`, the one with the largest sum of payoffs.
    """
    players, joint = payoffs.shape
    strides = strides_of(sizes)
    stable = np.ones(joint, np.bool_)
    for i in range(players):
        step, turn = strides[i], strides[i] * sizes[i]
        for block in range(0, joint, turn):
            for first in range(block, block + step):
                best = payoffs[i, first]
                for cell in range(first + step, first + turn, step):
                    best = max(best, payoffs[i, cell])
                for cell in range(first, first + turn, step):
                    if payoffs[i, cell] < best - tolerance[i]:
                        stable[cell] = False
    chosen, most = -1, -np.inf
    for cell in range(joint):
        if not stable[cell]:
            continue
        total = 0.0
        for i in range(players):
            total += payoffs[i, cell]
        if total > most:
            chosen, most = cell, total
            if not efficient:
                break
    if chosen < 0:
        return False
    for i in range(players):
        for a in range(sizes[i]):
            policy[i, a] = 0.0
        policy[i, (chosen // strides[i]) % sizes[i]] = 1.0
    return True


@kernel
@no_type_check
def retain_or_pure(table, shape, orders, legal, efficient, profile, solved):
    """One pass over all states: keep the supports of `profile` (N, S, A) where they still give an equilibrium of the
    stage games `table` (N, S, J), else take a pure equilibrium.

    `solved` (S,) says on entry where `profile` holds an equilibrium of earlier stage games, on return of these.
    """
    players, states, width = profile.shape
    policy = np.zeros((players, width))
    items, counts = np.empty((players, width), np.int64), np.empty(players, np.int64)
    for s in range(states):
        payoffs, sizes, tolerance = load(table, shape, orders, legal, s)
        if solved[s]:
            for i in range(players):
                for a in range(sizes[i]):
                    policy[i, a] = profile[i, s, orders[i, s, a]]
            find_supports(policy, sizes, items, counts)
            before = policy.copy()
            if polish(payoffs, sizes, policy, items, counts, tolerance):
                store(policy, orders, legal, s, profile)
                continue
            # In a degenerate game the system is singular, though the policy may be an equilibrium as it stands.
            if is_equilibrium(payoffs, sizes, before, tolerance):
                continue
        solved[s] = pure_equilibrium(payoffs, sizes, tolerance, efficient, policy)
        if solved[s]:
            store(policy, orders, legal, s, profile)

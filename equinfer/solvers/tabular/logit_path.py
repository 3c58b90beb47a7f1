r"""Compiled path of logit equilibria of a one-shot game with any number of players.

The logit equilibria at precision $\lambda$ solve $\log\pi_i(a)=\log\tilde\pi_i(a)+\lambda q_i(a;\pi)-\text{const}$: the
soft best response (Prop. 5.2) at temperature $1/\lambda$. From the magnet $\tilde\pi$ at $\lambda\to0$ a path of them
leads to a Nash equilibrium as $\lambda\to\infty$ (McKelvey and Palfrey 1995; Turocy 2005). It is followed by
pseudo-arclength continuation in (log-policies, log λ); every so often the support is read off and Newton's method
tries to land on the equilibrium itself.
"""

from typing import no_type_check

import numpy as np

from equinfer.solvers.tabular.stage_games import (
    average,
    find_supports,
    kernel,
    polish,
    solve_linear,
)

__all__ = ["advance_path", "new_path"]

_FIRST_LOG_PRECISION = -2.0
_LAST_LOG_PRECISION = 25.0
"""Payoffs have spread one, so at λ = e^-2 play is all but the magnet, at e^25 the temperature is below rounding."""
_POLISH_EVERY = 0.5
"""Growth of log λ between two attempts to land on the equilibrium."""
_LONGEST_STEP, _SHORTEST_STEP = 1.0, 1e-9
_CORRECTOR_STEPS = 5
_LARGEST_CORRECTION = 0.3
_ACCURACY = 1e-5
"""Newton's last step on the path, in the metric below; the error left is of the order of its square."""
_SMALLEST_WEIGHT = 1e-8
_REPAIRS = 6
_LARGEST_DROPPED = 0.01


@kernel
@no_type_check
def linearise(payoffs, sizes, magnet, position, policy, matrix, residual):
    r"""Residual and Jacobian of the logit equations at `position` = (log-policies player by player, log λ).

    Both are scaled by $\sqrt{\pi}$, the Fisher metric: an action that nobody plays any more weighs nothing, however
    fast its logarithm runs. `matrix` (n + 1, n + 1) gets n rows, its last column belonging to log λ. `policy` is
    scratch.
    """
    players, width = policy.shape
    total = len(position) - 1
    precision = np.exp(position[total])
    row = 0
    for i in range(players):
        for a in range(sizes[i]):
            policy[i, a] = np.exp(position[row])
            row += 1
    pair, values, response = np.empty((width, width)), np.empty((width, 1)), np.empty(width)
    top = 0
    for i in range(players):
        size = sizes[i]
        average(payoffs[i], sizes, policy, i, -1, values)
        highest = -np.inf
        for a in range(size):
            response[a] = magnet[i, a] + precision * values[a, 0]
            highest = max(highest, response[a])
        normaliser = 0.0
        for a in range(size):
            normaliser += np.exp(response[a] - highest)
        normaliser = highest + np.log(normaliser)
        mean = 0.0
        for a in range(size):
            response[a] -= normaliser
            mean += np.exp(response[a]) * values[a, 0]
        for a in range(size):
            weight = max(np.sqrt(policy[i, a]), _SMALLEST_WEIGHT)
            residual[top + a] = weight * (response[a] - position[top + a])
            matrix[top + a, total] = -weight * precision * (values[a, 0] - mean)
        left = 0
        for j in range(players):
            if j == i:
                for a in range(size):
                    for b in range(size):
                        matrix[top + a, left + b] = 1.0 if a == b else 0.0
            else:
                average(payoffs[i], sizes, policy, i, j, pair)
                for b in range(sizes[j]):
                    mean = 0.0
                    for a in range(size):
                        mean += np.exp(response[a]) * pair[a, b]
                    column = precision * policy[j, b] / max(np.sqrt(policy[j, b]), _SMALLEST_WEIGHT)
                    for a in range(size):
                        weight = max(np.sqrt(policy[i, a]), _SMALLEST_WEIGHT)
                        matrix[top + a, left + b] = -weight * column * (pair[a, b] - mean)
            left += sizes[j]
        top += size


@kernel
@no_type_check
def move(position, direction, length):
    """Add `length` times `direction`, which is in the Fisher metric, to `position`."""
    total = len(position) - 1
    for r in range(total):
        weight = max(np.exp(0.5 * position[r]), _SMALLEST_WEIGHT)
        position[r] = min(position[r] + length * direction[r] / weight, 0.5)
    position[total] += length * direction[total]


@kernel
@no_type_check
def border(matrix, rhs, tangent):
    """Complete the system by the equation that a step is orthogonal to `tangent`."""
    total = len(rhs) - 1
    for c in range(total + 1):
        matrix[total, c] = tangent[c]
    rhs[total] = 0.0


@kernel
@no_type_check
def land(payoffs, sizes, tolerance, position, policy):
    """Newton's method on the support that the path shows, repaired a few times: drop what turns negative, add the
    best deviation. Returns whether `policy` is an equilibrium.
    """
    players = len(sizes)
    items, counts = np.empty(policy.shape, np.int64), np.empty(players, np.int64)
    values = np.empty((policy.shape[1], 1))
    # Off the support probabilities fall like exp(-λ loss), on it they stay: sooner or later 1/λ parts the two.
    threshold = min(_LARGEST_DROPPED, np.exp(-position[len(position) - 1]))
    row = 0
    for i in range(players):
        for a in range(sizes[i]):
            policy[i, a] = np.exp(position[row])
            if policy[i, a] < threshold:
                policy[i, a] = 0.0
            row += 1
    for _ in range(_REPAIRS):
        find_supports(policy, sizes, items, counts)
        if polish(payoffs, sizes, policy, items, counts, tolerance):
            return True
        changed = False
        for i in range(players):
            total = 0.0
            for a in range(sizes[i]):
                if not policy[i, a] > 0.0:
                    changed = changed or policy[i, a] < 0.0
                    policy[i, a] = 0.0
                total += policy[i, a]
            if not 0.0 < total < np.inf:
                return False
            for a in range(sizes[i]):
                policy[i, a] /= total
        find_supports(policy, sizes, items, counts)
        for i in range(players):
            average(payoffs[i], sizes, policy, i, -1, values)
            best, own = 0, 0.0
            for a in range(sizes[i]):
                own += policy[i, a] * values[a, 0]
                if values[a, 0] > values[best, 0]:
                    best = a
            if policy[i, best] == 0.0 and values[best, 0] > own + tolerance[i]:
                for a in range(sizes[i]):
                    policy[i, a] *= 0.9
                policy[i, best] = 0.1
                changed = True
        if not changed:
            return False
    return False


@kernel
@no_type_check
def new_path(magnet, sizes):
    """The beginning of a path: (position, tangent, control), for `advance_path`. `magnet` (N, A) holds log-policies."""
    total = 0
    for i in range(len(sizes)):
        total += sizes[i]
    position, tangent = np.empty(total + 1), np.zeros(total + 1)
    row = 0
    for i in range(len(sizes)):
        for a in range(sizes[i]):
            position[row] = magnet[i, a]
            row += 1
    position[total] = _FIRST_LOG_PRECISION
    tangent[total] = 1.0
    control = np.zeros(3)
    control[0] = 0.1
    control[1] = _FIRST_LOG_PRECISION
    return position, tangent, control


@kernel
@no_type_check
def advance_path(payoffs, sizes, tolerance, magnet, position, tangent, control, policy, budget):
    """Follow the path for up to `budget` linear systems; `position`, `tangent` and `control` are advanced in place.

    `control` holds the step length, log λ at the last attempt to land, and the sign of the Jacobian's determinant
    (0 at the start, where the first system corrects the magnet itself).

    Returns 1 when `policy` is an equilibrium, 0 when the budget is spent, -1 when the path is lost.
    """
    players, width = policy.shape
    total = len(position) - 1
    matrix, step = np.empty((total + 1, total + 1)), np.empty(total + 1)
    trial, forward = np.empty(total + 1), np.empty(total + 1)
    scratch = np.zeros((players, width))
    used = 0
    while used < budget:
        length = control[0]
        for r in range(total + 1):
            trial[r] = position[r]
        if control[2] != 0.0:
            move(trial, tangent, length)
        accepted = False
        for correction in range(_CORRECTOR_STEPS):
            linearise(payoffs, sizes, magnet, trial, scratch, matrix, step)
            border(matrix, step, tangent)
            used += 1
            if solve_linear(matrix, step) == 0:
                break
            distance = 0.0
            for r in range(total + 1):
                distance += step[r] * step[r]
            distance = np.sqrt(distance)
            if not distance < _LARGEST_CORRECTION * (0.5**correction):
                break
            move(trial, step, 1.0)
            if distance < _ACCURACY:
                accepted = True
                break
        if accepted:
            linearise(payoffs, sizes, magnet, trial, scratch, matrix, forward)
            for r in range(total):
                forward[r] = 0.0
            border(matrix, forward, tangent)
            forward[total] = 1.0
            used += 1
            sign = solve_linear(matrix, forward)
            norm = 0.0
            for r in range(total + 1):
                norm += forward[r] * forward[r]
            # The new tangent has product one with the old: 1 / norm is the cosine of the turn.
            accepted = sign != 0 and (control[2] == 0.0 or (sign == control[2] and norm < 1.5))
        if not accepted:
            control[0] = 0.5 * length
            if control[0] < _SHORTEST_STEP:
                return -1
            continue
        norm = np.sqrt(norm)
        for r in range(total + 1):
            position[r] = trial[r]
            tangent[r] = forward[r] / norm
        control[2] = sign
        if correction <= 2:
            control[0] = min(1.5 * length, _LONGEST_STEP)
        if position[total] >= control[1] + _POLISH_EVERY:
            control[1] = position[total]
            if land(payoffs, sizes, tolerance, position, policy):
                return 1
            if position[total] > _LAST_LOG_PRECISION:
                return -1
    return 0

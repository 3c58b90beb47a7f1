r"""Compiled kernels for many matrix games at once, each by the simplex method on a dense tableau.

With M > 0 the column player solves $\max\sum_jy_j$ subject to $My\le1$, $y\ge0$; scaled to sum one, y is its optimal
mixture, the dual solution is that of the row player, and the value is $1/\sum_jy_j$ (Dantzig 1951). Payoffs are
brought to [1, 2], so that every tolerance is relative to what is at stake in the game.
"""

from typing import no_type_check

import numpy as np

from equinfer.solvers.tabular.stage_games import ROUNDING, kernel, solve_linear

__all__ = ["solve_matrix_games"]

_ROUTES = 4
"""Ways through the vertices: the largest coefficient or the smallest label enters, the column or the row player's
problem. What rounding breaks on one of them it hardly breaks on all."""
_PLAIN = 1e-13
"""Of the spread of a game's payoffs: with less to gain by both players together, no other way is tried."""

_TOLERANCE = 1e-12
"""Below this a coefficient is zero: about what is left of one by cancellation in a tableau of payoffs around one."""
_PIVOT = 1e-9
"""Smaller entries are no pivots while there are others."""
_DEGENERATE = 20
"""Pivots in a row that leave the value where it is, after which Bland's rule takes over: it cannot cycle."""
_PIVOTS = 40
"""Pivots per action after which a way is given up; in most games there are about one or two."""


@kernel
@no_type_check
def _turned(game, sign, level):
    """`level + sign * game`, transposed."""
    rows, columns = game.shape
    turned = np.empty((columns, rows))
    for i in range(rows):
        for j in range(columns):
            turned[j, i] = level + sign * game[i, j]
    return turned


@kernel
@no_type_check
def _put(mixed, value, action):
    """Make `mixed` the constant `value`, except 1 at `action`, if that is one."""
    for a in range(len(mixed)):
        mixed[a] = 1.0 if a == action else value


@kernel
@no_type_check
def _tableau(game):
    """The condensed tableau of a game (m, n): last column the right-hand side, last row the coefficients."""
    rows, columns = game.shape
    tableau = np.empty((rows + 1, columns + 1))
    for i in range(rows):
        for j in range(columns):
            tableau[i, j] = game[i, j]
        tableau[i, columns] = 1.0
    for j in range(columns):
        tableau[rows, j] = -1.0
    tableau[rows, columns] = 0.0
    return tableau


@kernel
@no_type_check
def _entering(tableau, outside, bland):
    """The column that enters: of the most negative coefficient, or the first label of a negative one; -1 at the end."""
    rows, columns = tableau.shape[0] - 1, tableau.shape[1] - 1
    best = -1
    for j in range(columns):
        if tableau[rows, j] < -_TOLERANCE and (
            best < 0 or (outside[j] < outside[best] if bland else tableau[rows, j] < tableau[rows, best])
        ):
            best = j
    return best


@kernel
@no_type_check
def _leaving(tableau, inside, column, bland):
    """The row of the smallest ratio; of several such the first label, or else the largest pivot. -1: there is none."""
    rows, columns = tableau.shape[0] - 1, tableau.shape[1] - 1
    for least in (_PIVOT, _TOLERANCE):
        best, smallest = -1, 0.0
        for i in range(rows):
            pivot = tableau[i, column]
            if pivot <= least:
                continue
            ratio = max(tableau[i, columns], 0.0) / pivot
            tied = best >= 0 and abs(ratio - smallest) <= ROUNDING * (1.0 + smallest)
            if tied:
                better = inside[i] < inside[best] if bland else pivot > tableau[best, column]
            else:
                better = best < 0 or ratio < smallest
            if better:
                best, smallest = i, ratio
        if best >= 0:
            return best
    return -1


@kernel
@no_type_check
def _exchange(tableau, row, column):
    """The variable of `row` leaves, that of `column` enters, in place."""
    rows, columns = tableau.shape
    pivot = 1.0 / tableau[row, column]
    for j in range(columns):
        tableau[row, j] *= pivot
    for i in range(rows):
        factor = tableau[i, column]
        if i != row and factor != 0.0:
            for j in range(columns):
                tableau[i, j] -= factor * tableau[row, j]
            tableau[i, column] = -factor * pivot
    tableau[row, column] = pivot


@kernel
@no_type_check
def _optimal_basis(game, bland):
    """Labels in and outside of the basis of an optimal vertex, or of the last one before rounding broke the way or it
    became too long. Labels below n are the columns of the `game` (m, n), the others the slacks of its rows.
    """
    rows, columns = game.shape
    tableau = _tableau(game)
    inside, outside = np.empty(rows, np.int64), np.empty(columns, np.int64)
    for i in range(rows):
        inside[i] = columns + i
    for j in range(columns):
        outside[j] = j
    idle = 0
    for _ in range(_PIVOTS * (rows + columns)):
        cautious = bland or idle > _DEGENERATE
        column = _entering(tableau, outside, cautious)
        row = _leaving(tableau, inside, column, cautious) if column >= 0 else -1
        if row < 0:
            break
        idle = 0 if tableau[row, columns] > _TOLERANCE else idle + 1
        _exchange(tableau, row, column)
        inside[row], outside[column] = outside[column], inside[row]
    return inside, outside


@kernel
@no_type_check
def _mixture(game, own, other, mixed):
    """The mixture over the rows `own` that makes all columns `other` worth the same, from the entries of the game:
    nothing is left in it of the rounding of the pivots. False if there is none.
    """
    size = len(own)
    matrix, solution = np.empty((size, size)), np.ones(size)
    for r in range(size):
        for c in range(size):
            matrix[r, c] = game[own[c], other[r]]
    if solve_linear(matrix, solution) == 0:
        return False
    # One step of refinement: what the elimination lost.
    for r in range(size):
        for c in range(size):
            matrix[r, c] = game[own[c], other[r]]
    residual = np.ones(size)
    for r in range(size):
        for c in range(size):
            residual[r] -= matrix[r, c] * solution[c]
    solve_linear(matrix, residual)
    total = 0.0
    for c in range(size):
        solution[c] = max(solution[c] + residual[c], 0.0)
        total += solution[c]
    if not total > 0.0:
        return False
    _put(mixed, 0.0, -1)
    for c in range(size):
        mixed[own[c]] = solution[c] / total
    return True


@kernel
@no_type_check
def _guarantees(game, first, second):
    """The most that the rows get against the mixture `second`, and the least that `first` gets."""
    rows, columns = game.shape
    upper, lower = -np.inf, np.inf
    for i in range(rows):
        value = 0.0
        for j in range(columns):
            value += game[i, j] * second[j]
        upper = max(upper, value)
    for j in range(columns):
        value = 0.0
        for i in range(rows):
            value += first[i] * game[i, j]
        lower = min(lower, value)
    return upper, lower


@kernel
@no_type_check
def _vertex(game, bland, first, second):
    """Both mixtures at an optimal vertex, put in `first` (m,) and `second` (n,); False if rounding broke the way."""
    rows, columns = game.shape
    inside, outside = _optimal_basis(game, bland)
    mixing, binding = np.empty(rows, np.int64), np.empty(rows, np.int64)
    size, bound = 0, 0
    for i in range(rows):
        if inside[i] < columns:
            mixing[size] = inside[i]
            size += 1
    for j in range(columns):
        if outside[j] >= columns:
            binding[bound] = outside[j] - columns
            bound += 1
    # Every variable that entered took the place of a slack.
    if size == 0:
        return False
    subject, own, other, mixed = game, binding[:size], mixing[:size], first
    for side in range(2):
        if side == 1:
            subject, own, other, mixed = _turned(game, 1.0, 0.0), mixing[:size], binding[:size], second
        if not _mixture(subject, own, other, mixed):
            return False
    return True


@kernel
@no_type_check
def _saddle(game, first, second):
    """A pure equilibrium, written to `first` and `second` if there is one: many stage games have."""
    rows, columns = game.shape
    best, sure = 0, -np.inf
    for i in range(rows):
        least = game[i, 0]
        for j in range(1, columns):
            least = min(least, game[i, j])
        if least > sure:
            best, sure = i, least
    for j in range(columns):
        most = game[0, j]
        for i in range(1, rows):
            most = max(most, game[i, j])
        if most <= sure:
            _put(first, 0.0, best)
            _put(second, 0.0, j)
            return True
    return False


@kernel
@no_type_check
def _solve(game, first, second, trial_first, trial_second):
    """Optimal mixtures of both players, of the best way through the vertices; uniform ones if all of them broke."""
    _put(first, 1.0 / len(first), -1)
    _put(second, 1.0 / len(second), -1)
    if _saddle(game, first, second):
        return
    upper, lower = _guarantees(game, first, second)
    best = upper - lower
    for route in range(_ROUTES):
        turned, bland = route % 2 == 1, route >= _ROUTES // 2
        subject, own, other = game, trial_first, trial_second
        if turned:  # what the column player gets, who now chooses rows
            subject, own, other = _turned(game, -1.0, 3.0), trial_second, trial_first
        found = _vertex(subject, bland, own, other)
        if not found:
            continue
        upper, lower = _guarantees(game, trial_first, trial_second)
        if upper - lower < best:
            best = upper - lower
            for a in range(len(first)):
                first[a] = trial_first[a]
            for a in range(len(second)):
                second[a] = trial_second[a]
        if best <= _PLAIN:
            return


@kernel
@no_type_check
def solve_matrix_games(table, rows, columns, num_rows, num_columns, begin, end, first, second, upper, lower):
    """Optimal mixtures in the games `begin` to `end` of `table` (S, A, B), payoffs to the player who chooses rows.

    **Arguments:** `rows` (S, A) and `columns` (S, B) list the legal actions of each game first, `num_rows` (S,) and
    `num_columns` (S,) count them. Written are the mixtures `first` (S, A) and `second` (S, B), zero on illegal
    actions, and what they guarantee, `upper` and `lower` (S,): the row player gets no more against `second`, and no
    less with `first`, so the value of the game lies between, and the difference is what both could gain together.
    """
    for s in range(begin, end):
        m, n = num_rows[s], num_columns[s]
        game = np.empty((m, n))
        low, high = np.inf, -np.inf
        for i in range(m):
            for j in range(n):
                game[i, j] = table[s, rows[s, i], columns[s, j]]
                low, high = min(low, game[i, j]), max(high, game[i, j])
        spread = high - low
        x, y = np.empty(m), np.empty(n)
        # Payoffs that differ by no more than their rounding leave nothing to decide.
        unit = 1.0 / spread if spread > 0.5 * ROUNDING * max(abs(low), abs(high)) else 0.0
        for i in range(m):
            for j in range(n):
                game[i, j] = 1.0 + (game[i, j] - low) * unit
        _solve(game, x, y, np.empty(m), np.empty(n))
        for a in range(rows.shape[1]):
            first[s, rows[s, a]] = x[a] if a < m else 0.0
        for a in range(columns.shape[1]):
            second[s, columns[s, a]] = y[a] if a < n else 0.0
        for i in range(m):  # as given once more, without the rounding of bringing them to [1, 2]
            for j in range(n):
                game[i, j] = table[s, rows[s, i], columns[s, j]]
        upper[s], lower[s] = _guarantees(game, x, y)

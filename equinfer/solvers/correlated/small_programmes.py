"""Compiled: `stage.interior_point` for small programmes, each by itself: all at once, they would mostly wait on numpy.

What is illegal is left out, and the systems are factored by Cholesky.
"""

from typing import no_type_check

import numba
import numpy as np

__all__ = ["interior_points"]

_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")
_sums = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
"""Sums in any order, several terms at a time."""

_RIDGE = 4e-16
"""Of the largest entry: keeps what is nearly singular from being so."""


@_kernel
@no_type_check
def interior_points(rows, senses, cells, gain, centre, regularisation, most_steps, patience, goal, back_off):
    """Of programmes (S, K, J): laws (S, J), multipliers of rows (S, K) and cells (S, J), and the errors (S,) they have.

    **Arguments:** as `stage.interior_point`; a programme ends at the error `goal`, after `most_steps`, or when
    `patience` steps have not halved its error; `back_off` is taken of a step that would meet the boundary.
    """
    num, num_rows, num_cells = rows.shape
    laws, reduced = np.zeros((num, num_cells)), np.zeros((num, num_cells))
    multipliers, errors = np.zeros((num, num_rows)), np.empty(num)
    for s in range(num):
        kept, legal = np.flatnonzero(senses[s]), np.flatnonzero(cells[s])
        table = np.empty((len(kept), len(legal)))
        for i in range(len(kept)):
            for j in range(len(legal)):
                table[i, j] = rows[s, kept[i], legal[j]]
        law, multiplier, slope, errors[s] = _one(
            table, gain[s][legal], centre[s][legal], regularisation, most_steps, patience, goal, back_off
        )
        total = law.sum()
        for j in range(len(legal)):
            laws[s, legal[j]] = law[j] / total
            reduced[s, legal[j]] = slope[j]
        for i in range(len(kept)):
            multipliers[s, kept[i]] = multiplier[i]
    return laws, multipliers, reduced, errors


@_kernel
@no_type_check
def _one(table, gain, centre, regularisation, most_steps, patience, goal, back_off):
    """Mehrotra's steps: a predictor shows how far complementarity can fall, a corrector goes there."""
    m, n = table.shape
    x, z, level = np.full(n, 1.0 / n), np.ones(n), 0.0
    y, slack = np.ones(m), np.empty(m)
    for i in range(m):
        slack[i] = max(_row(table, i, x, n), 0.1 / n)
    best_x, best_y, best_z, merit, age = x.copy(), y.copy(), z.copy(), np.inf, 0
    dual, primal, inverse, root, weight = np.empty(n), np.empty(m), np.empty(n), np.empty(n), np.empty(m)
    scaled, system, factor = np.empty((m, n)), np.empty((m, m)), np.zeros((m, m))
    level_x, level_y, dx, dy, dz, ds = np.empty(n), np.empty(m), np.empty(n), np.empty(m), np.empty(n), np.empty(m)
    pull, push, by_cell, by_row = np.empty(n), np.empty(m), np.empty(n), np.empty(m)
    work = np.empty((3, m)), np.empty(n)
    for _ in range(most_steps):
        _sum_of_rows(table, y, dual)
        for j in range(n):
            dual[j] = regularisation * (x[j] - centre[j]) - gain[j] - dual[j] - z[j] - level
        for i in range(m):
            primal[i] = _row(table, i, x, n) - slack[i]
        total = x.sum() - 1.0
        mean = (_dot(slack, y) + _dot(x, z)) / (m + n)
        error = max(mean, abs(total))
        for j in range(n):
            error = max(error, abs(dual[j]))
        for i in range(m):
            error = max(error, abs(primal[i]))
        if not np.isfinite(mean + total + dual.sum() + primal.sum()):
            break
        age = 0 if error < merit / 2 else age + 1
        if error < merit:
            best_x[:], best_y[:], best_z[:], merit = x, y, z, error
        if error <= goal or age >= patience:
            break

        for j in range(n):
            inverse[j] = 1.0 / (regularisation + z[j] / x[j])
            root[j] = np.sqrt(inverse[j])
        for i in range(m):
            weight[i] = np.sqrt(y[i] / slack[i])
            for j in range(n):
                scaled[i, j] = weight[i] * table[i, j] * root[j]
        if not _factored(scaled, system, factor):
            break
        pull[:], push[:] = 1.0, 0.0
        _inner(table, system, factor, inverse, weight, pull, push, level_x, level_y, work)
        slope = level_x.sum()
        for corrected in range(2):
            # Products of inequalities and their multipliers: what they are, then what the predictor adds less the aim.
            if corrected:
                step = _longest(x, dx, _longest(z, dz, _longest(slack, ds, _longest(y, dy, 1.0 / back_off))))
                ahead = 0.0
                for j in range(n):
                    ahead += (x[j] + step * dx[j]) * (z[j] + step * dz[j])
                for i in range(m):
                    ahead += (slack[i] + step * ds[i]) * (y[i] + step * dy[i])
                aim = mean * min(max(ahead / (m + n) / mean, 0.0), 1.0) ** 3
            for j in range(n):
                by_cell[j] = x[j] * z[j] + (dx[j] * dz[j] - aim if corrected else 0.0)
                pull[j] = -dual[j] - by_cell[j] / x[j]
            for i in range(m):
                by_row[i] = slack[i] * y[i] + (ds[i] * dy[i] - aim if corrected else 0.0)
                push[i] = -(by_row[i] + y[i] * primal[i]) / slack[i]
            _inner(table, system, factor, inverse, weight, pull, push, dx, dy, work)
            change = -(total + dx.sum()) / slope
            for j in range(n):
                dx[j] += change * level_x[j]
                dz[j] = -(by_cell[j] + z[j] * dx[j]) / x[j]
            for i in range(m):
                dy[i] += change * level_y[i]
                ds[i] = _row(table, i, dx, n) + primal[i]
        step = _longest(x, dx, _longest(z, dz, _longest(slack, ds, _longest(y, dy, 1.0 / back_off))))
        step = min(1.0, back_off * step)
        x += step * dx
        z += step * dz
        y += step * dy
        slack += step * ds
        level += step * change
    return best_x, best_y, best_z, merit


@_kernel
@no_type_check
def _inner(table, system, factor, inverse, weight, g, t, x, y, work):
    r"""Solves $Hx-D^\top y=g$, $y=t-\Lambda Dx$, refined once; H the curvature, $\Lambda$ multiplier by slack."""
    m, n = table.shape
    (right, first, second), along = work
    for j in range(n):
        along[j] = inverse[j] * g[j]
    for i in range(m):
        right[i] = t[i] / weight[i] - weight[i] * _row(table, i, along, n)
    _substitute(factor, right, first)
    for i in range(m):
        right[i] -= _row(system, i, first, m)
    _substitute(factor, right, second)
    for i in range(m):
        y[i] = weight[i] * (first[i] + second[i])
    _sum_of_rows(table, y, x)
    for j in range(n):
        x[j] = inverse[j] * (g[j] + x[j])


@_kernel
@no_type_check
def _factored(scaled, system, factor):
    """Fills `system`, one plus the products of the rows, and its Cholesky factor; false if it has none."""
    m, largest = len(scaled), 0.0
    for i in range(m):
        for k in range(i + 1):
            system[i, k] = system[k, i] = _rows(scaled, i, k, scaled.shape[1]) + (1.0 if i == k else 0.0)
            largest = max(largest, abs(system[i, k]))
    for i in range(m):
        system[i, i] += _RIDGE * largest
    for i in range(m):
        for k in range(i):
            factor[i, k] = (system[i, k] - _rows(factor, i, k, k)) / factor[k, k]
        rest = system[i, i] - _rows(factor, i, i, i)
        if not (rest > 0.0 and np.isfinite(rest)):
            return False
        factor[i, i] = np.sqrt(rest)
    return True


@_kernel
@no_type_check
def _substitute(factor, right, out):
    m = len(right)
    for i in range(m):
        out[i] = (right[i] - _row(factor, i, out, i)) / factor[i, i]
    for i in range(m - 1, -1, -1):
        out[i] /= factor[i, i]
        for k in range(i):
            out[k] -= factor[i, k] * out[i]


@_kernel
@no_type_check
def _longest(value, change, furthest):
    """How far one can go before something becomes negative, `furthest` at most."""
    for k in range(len(value)):
        if change[k] < 0.0:
            furthest = min(furthest, -value[k] / change[k])
    return furthest


@_kernel
@no_type_check
def _sum_of_rows(table, weights, out):
    out[:] = 0.0
    for i in range(len(weights)):
        for j in range(len(out)):
            out[j] += weights[i] * table[i, j]


# Sums over rows that are named by their numbers: to cut a view out of a table takes as long as to add a short row up.


@_sums
@no_type_check
def _dot(one, other):
    total = 0.0
    for k in range(len(one)):
        total += one[k] * other[k]
    return total


@_sums
@no_type_check
def _row(table, i, other, n):
    total = 0.0
    for k in range(n):
        total += table[i, k] * other[k]
    return total


@_sums
@no_type_check
def _rows(table, i, j, n):
    total = 0.0
    for k in range(n):
        total += table[i, k] * table[j, k]
    return total

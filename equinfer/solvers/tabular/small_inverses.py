"""Compiled: inverses of many small matrices at once, with what decides whether they are to be trusted."""

from typing import no_type_check

import numba
import numpy as np

__all__ = ["inverses"]


@numba.njit(cache=True, nogil=True, error_model="numpy")
@no_type_check
def inverses(matrices):
    """Of matrices (S, n, n): inverses, signs of determinants (S,), and Skeel's condition numbers (S,).

    By Gauss and Jordan with row pivots. Skeel's number does not see the scale of rows. A singular matrix has sign 0, an
    infinite condition number and an inverse that means nothing.
    """
    num, n = matrices.shape[0], matrices.shape[1]
    out, signs, conditions = np.empty(matrices.shape), np.ones(num), np.empty(num)
    work, swaps = np.empty((n, n)), np.empty(n, np.int64)
    for s in range(num):
        work[:] = matrices[s]
        for k in range(n):
            pivot = k
            for r in range(k + 1, n):
                if abs(work[r, k]) > abs(work[pivot, k]):
                    pivot = r
            swaps[k] = pivot
            if pivot != k:
                signs[s] = -signs[s]
                for c in range(n):
                    work[k, c], work[pivot, c] = work[pivot, c], work[k, c]
            top = work[k, k]
            signs[s] *= np.sign(top)
            if not abs(top) > 0.0:
                signs[s] = 0.0
                break
            work[k, k] = 1.0
            for c in range(n):
                work[k, c] /= top
            for r in range(n):
                factor = work[r, k]
                if r != k and factor != 0.0:
                    work[r, k] = 0.0
                    for c in range(n):
                        work[r, c] -= factor * work[k, c]
        if signs[s] == 0.0:
            conditions[s] = np.inf
            continue
        for k in range(n - 1, -1, -1):  # rows that were swapped are columns of the inverse
            if swaps[k] != k:
                for r in range(n):
                    work[r, k], work[r, swaps[k]] = work[r, swaps[k]], work[r, k]
        out[s] = work
        worst = 0.0
        for r in range(n):
            total = 0.0
            for k in range(n):
                row = 0.0
                for c in range(n):
                    row += abs(matrices[s, k, c])
                total += abs(work[r, k]) * row
            worst = max(worst, total)
        conditions[s] = worst
    return out, signs, conditions

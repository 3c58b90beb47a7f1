"""Square matrices put together from blocks and factored once, dense or sparse, with the sign of the determinant."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.linalg import get_lapack_funcs
from scipy.sparse import linalg as sparse_linalg

__all__ = ["DenseBlocks", "Factors", "SingularSystemError", "SparseBlocks"]

_getrf, _getrs = get_lapack_funcs(("getrf", "getrs"), dtype=np.float64)


class SingularSystemError(ArithmeticError):
    """The linearisation is singular to working precision: a branching point, or a step to be shortened."""


class Factors(NamedTuple):
    """A factored matrix."""

    solve: Callable[[Float[np.ndarray, " k"]], Float[np.ndarray, " k"]]
    sign: float
    """Of the determinant."""


class DenseBlocks:
    """A matrix of LAPACK's."""

    def __init__(self, size: int):
        self._matrix = np.zeros((size, size), order="F")

    def put(self, row: int, column: int, block: Float[np.ndarray, "p q"]) -> None:
        """Write a block whose first entry stands at (row, column)."""
        self._matrix[row : row + block.shape[0], column : column + block.shape[1]] = block

    def factored(self) -> Factors:
        """**Raises:** `SingularSystemError`."""
        factors, pivots, info = _getrf(self._matrix, overwrite_a=1)
        diagonal = np.diagonal(factors)
        if info != 0 or not np.all(np.isfinite(diagonal)):
            raise SingularSystemError("the bordered Jacobian is singular")
        swaps = np.count_nonzero(pivots != np.arange(len(pivots)))
        sign = float(np.prod(np.sign(diagonal)) * (-1) ** swaps)
        return Factors(lambda right: _getrs(factors, pivots, right)[0], sign)


class SparseBlocks:
    """A matrix of SuperLU's."""

    def __init__(self, size: int):
        self._size = size
        self._parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def put(self, row: int, column: int, block: Any) -> None:
        """Write a block, sparse or not, whose first entry stands at (row, column)."""
        part = sparse.coo_array(block)
        rows, columns = part.coords
        self._parts.append((part.data, rows + row, columns + column))

    def factored(self) -> Factors:
        """**Raises:** `SingularSystemError`."""
        data, rows, columns = (np.concatenate(arrays) for arrays in zip(*self._parts, strict=True))
        if not np.isfinite(data).all():
            raise SingularSystemError("the bordered Jacobian is not finite")
        matrix = sparse.coo_array((data, (rows, columns)), shape=(self._size, self._size)).tocsc()
        try:
            factors = sparse_linalg.splu(matrix)
        except RuntimeError:
            raise SingularSystemError("the bordered Jacobian is singular") from None
        signs = np.prod(np.sign(factors.U.diagonal()))
        sign = float(signs * _parity(factors.perm_r) * _parity(factors.perm_c))
        return Factors(factors.solve, sign)


def _parity(permutation: Int[np.ndarray, " k"]) -> int:
    """+1 for an even permutation, -1 for an odd one: the elements less the cycles, counted."""
    size = len(permutation)
    links = sparse.csr_array((np.ones(size, bool), (np.arange(size), permutation)), shape=(size, size))
    cycles = sparse.csgraph.connected_components(links, directed=False, return_labels=False)
    return 1 - 2 * ((size - cycles) % 2)

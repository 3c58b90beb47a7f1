r"""A bordered linear system of values, assembled and factored: dense, or sparse where few states follow a state.

The unknowns are player by player, in each the states; then the one of the border; then, dense only, some logits.
"""

import abc

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Float
from scipy.linalg import get_lapack_funcs
from scipy.sparse.csgraph import connected_components

__all__ = ["AbstractFactors", "DenseFactors", "SingularSystemError", "SparseFactors"]

_getrf, _getrs = get_lapack_funcs(("getrf", "getrs"), dtype=np.float64)


class SingularSystemError(ArithmeticError):
    """The linearisation is singular to working precision: a branching point, or a step to be shortened."""


class AbstractFactors(abc.ABC):
    """A factored matrix."""

    sign: float
    """Of its determinant."""

    @abc.abstractmethod
    def solve(self, right: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]: ...


class DenseFactors(AbstractFactors):
    """LU factors of a matrix in C order, which is overwritten."""

    def __init__(self, matrix: Float[np.ndarray, "size size"]):
        """**Raises:** `SingularSystemError`."""
        # LAPACK reads columns first: it sees, and factors, the transpose.
        self._factors, self._pivots, info = _getrf(matrix.T, overwrite_a=1)
        diagonal = np.diagonal(self._factors)
        if info != 0 or not np.all(np.isfinite(diagonal)):
            raise SingularSystemError("the bordered Jacobian is singular")
        swaps = np.count_nonzero(self._pivots != np.arange(len(matrix)))
        self.sign = float(np.prod(np.sign(diagonal)) * (-1) ** swaps)

    def solve(self, right: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        return _getrs(self._factors, self._pivots, right, trans=1)[0]


class SparseFactors(AbstractFactors):
    """Sparse LU factors."""

    def __init__(self, matrix: scipy.sparse.csc_array):
        """**Raises:** `SingularSystemError`."""
        try:
            # A minimum-degree ordering of A + A' leaves the border for last, where it fills nothing.
            self._factors = scipy.sparse.linalg.splu(
                matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.01, options={"SymmetricMode": True}
            )
        except RuntimeError as error:
            raise SingularSystemError("the bordered Jacobian is singular") from error
        diagonal = self._factors.U.diagonal()
        if not np.all(np.isfinite(diagonal)) or not np.all(diagonal):
            raise SingularSystemError("the bordered Jacobian is singular")
        parity = _parity(self._factors.perm_r) * _parity(self._factors.perm_c)
        self.sign = float(np.prod(np.sign(diagonal)) * parity)

    def solve(self, right: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        return self._factors.solve(right)


def _parity(permutation: np.ndarray) -> int:
    """+1 for an even permutation, -1 for an odd one: its length less the number of its cycles."""
    size = permutation.size
    links = scipy.sparse.coo_array((np.ones(size), (np.arange(size), permutation)), shape=(size, size))
    return (-1) ** (size - connected_components(links, directed=False)[0])

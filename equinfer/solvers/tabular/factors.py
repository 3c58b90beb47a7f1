"""Square matrices, factored once: dense, or sparse where few states follow a state."""

import abc
from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from jaxtyping import Float, Int
from scipy.linalg import get_lapack_funcs
from scipy.sparse.csgraph import connected_components, reverse_cuthill_mckee

__all__ = [
    "MANY_STATES",
    "AbstractFactors",
    "DenseFactors",
    "SingularSystemError",
    "SparseFactors",
    "UnitFactors",
    "elimination_order",
]

MANY_STATES = 32
"""Fewer are best held densely, however few follow each other."""
_LARGE = 4_000
"""Unknowns, up to which the best order is found in no time."""

_getrf, _getrs, _gecon = get_lapack_funcs(("getrf", "getrs", "gecon"), dtype=np.float64)


class SingularSystemError(np.linalg.LinAlgError):
    """The linearisation is singular to working precision: a branching point, or a step to be shortened."""


class AbstractFactors(abc.ABC):
    """A factored matrix."""

    sign: float
    """Of its determinant."""

    @abc.abstractmethod
    def solve(self, right: Float[np.ndarray, "size *K"], *, transposed: bool = False) -> Float[np.ndarray, "size *K"]:
        """The inverse, or its transpose, times a vector or the columns of a matrix."""


class DenseFactors(AbstractFactors):
    """LU factors of a matrix in C order, which is overwritten."""

    def __init__(self, matrix: Float[np.ndarray, "size size"]):
        """**Raises:** `SingularSystemError`."""
        self._largest_row = float(np.abs(matrix).sum(axis=1).max(initial=0.0))
        # LAPACK reads columns first: it sees, and factors, the transpose.
        self._factors, self._pivots, info = _getrf(matrix.T, overwrite_a=1)
        diagonal = np.diagonal(self._factors)
        if info != 0 or not np.all(np.isfinite(diagonal)):
            raise SingularSystemError("the matrix is singular")
        swaps = np.count_nonzero(self._pivots != np.arange(len(matrix)))
        self.sign = float(np.prod(np.sign(diagonal)) * (-1) ** swaps)

    def solve(self, right: Float[np.ndarray, "size *K"], *, transposed: bool = False) -> Float[np.ndarray, "size *K"]:
        return _getrs(self._factors, self._pivots, right, trans=0 if transposed else 1)[0]

    @property
    def reciprocal_condition(self) -> float:
        """In the maximum norm, an estimate."""
        return float(_gecon(self._factors, self._largest_row)[0])


class UnitFactors(AbstractFactors):
    """Of the unit matrix."""

    sign = 1.0

    def solve(self, right: Float[np.ndarray, "size *K"], *, transposed: bool = False) -> Float[np.ndarray, "size *K"]:
        del transposed
        return right.copy()


class SparseFactors(AbstractFactors):
    """LU factors of a sparse matrix."""

    def __init__(self, matrix: Any, order: Int[np.ndarray, " size"] | None = None):
        """**Arguments:** `order`, in which the unknowns are eliminated, if it is known already.

        **Raises:** `SingularSystemError`.
        """
        self._order = order
        if order is not None:
            matrix, ordering = matrix[order][:, order].tocsc(), "NATURAL"
        else:
            ordering = "COLAMD" if _scattered(matrix) else "MMD_AT_PLUS_A"
        try:
            # Supernodes are not relaxed, and panels are narrow: where so few states follow, that takes half the time.
            self._factors = scipy.sparse.linalg.splu(
                matrix,
                permc_spec=ordering,
                diag_pivot_thresh=0.01,
                relax=1,
                panel_size=8,
                options={"SymmetricMode": True},
            )
        except RuntimeError as error:
            raise SingularSystemError("the matrix is singular") from error
        diagonal = self._factors.U.diagonal()
        if not np.all(np.isfinite(diagonal)) or not np.all(diagonal):
            raise SingularSystemError("the matrix is singular")
        parity = _parity(self._factors.perm_r) * _parity(self._factors.perm_c)
        self.sign = float(np.prod(np.sign(diagonal)) * parity)

    def solve(self, right: Float[np.ndarray, "size *K"], *, transposed: bool = False) -> Float[np.ndarray, "size *K"]:
        way = "T" if transposed else "N"
        if self._order is None:
            return self._factors.solve(right, way)
        solution = np.empty_like(right)
        solution[self._order] = self._factors.solve(right[self._order], way)
        return solution


def elimination_order(graph: Any) -> Int[np.ndarray, " size"]:
    """An order in which little fills up, for every matrix with the pattern of `graph` or its transpose.

    It is SuperLU's, taken from a factorisation that drops what fills.
    """
    links = graph + graph.T
    size = links.shape[0]
    links.data[:] = -1.0
    dominant = (links + scipy.sparse.diags_array(np.full(size, 2.0 * size))).tocsc()
    ordering = "COLAMD" if _scattered(links) else "MMD_AT_PLUS_A"
    incomplete = scipy.sparse.linalg.spilu(
        dominant, drop_tol=1.0, fill_factor=1.0, permc_spec=ordering, options={"SymmetricMode": True}
    )
    return np.argsort(incomplete.perm_c)


def _scattered(matrix: Any) -> bool:
    """Whether neighbours are anywhere, and the matrix is large: then every order fills it, and to look for one of
    least degree takes longer than to factor, in which time nothing else can run.
    """
    size = matrix.shape[0]
    if size <= _LARGE:
        return False
    place = np.argsort(reverse_cuthill_mckee(matrix.tocsr()))
    links = matrix.tocoo()
    return bool(np.abs(place[links.row] - place[links.col]).max() > size / 4)


def _parity(permutation: np.ndarray) -> int:
    """+1 for an even permutation, -1 for an odd one: its length less the number of its cycles."""
    size = permutation.size
    links = scipy.sparse.coo_array((np.ones(size), (np.arange(size), permutation)), shape=(size, size))
    return (-1) ** (size - connected_components(links, directed=False)[0])

"""Sparse linear systems by nested dissection: cut the graph in halves, eliminate dense fronts from the leaves up.

Unknowns of a game in time and space hang together along the clock and along the axes of a grid. Whatever cuts them
best (an epoch, or a strip of cells) is eliminated last, the halves on either side each by themselves, and so on (George
1973; multifrontal as in Duff and Reid 1983). All arithmetic is that of dense blocks, and what it will cost is known
before it begins.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse
from jaxtyping import Bool, Float, Int

__all__ = ["Dissection", "Factor"]

_LEAF = 96
"""Unknowns that are not cut any further."""
_CUTS = (0.35, 0.425, 0.5, 0.575, 0.65)
"""Quantiles of a feature at which a cut is tried."""

Piece = tuple[np.ndarray, tuple[int, ...]]
"""Unknowns that are eliminated together, and the numbers of the pieces on either side of them."""


class _Front(NamedTuple):
    """A dense block: what is eliminated in it, what that is tied to later, and where its numbers come from."""

    pivots: Int[np.ndarray, " k"]
    border: Int[np.ndarray, " b"]
    children: tuple[int, ...]
    places: tuple[Int[np.ndarray, " _"], ...]
    """Of every child, where its border is in this front."""
    entries: Int[np.ndarray, " e"]
    """Numbers of the matrix that are first needed here, and their rows and columns in this front."""
    rows: Int[np.ndarray, " e"]
    columns: Int[np.ndarray, " e"]


class Factor(NamedTuple):
    """Of one front: the triangular factors of its pivots, what they tell the border, and what the border tells them."""

    pivots: tuple[Float[np.ndarray, "k k"], Int[np.ndarray, " k"]]
    ahead: Float[np.ndarray, "b k"]
    back: Float[np.ndarray, "k b"]


class Dissection:
    """The order of elimination of a matrix of symmetric pattern, and its factorisations.

    **Arguments:** `rows`, `columns` of all entries, those of the diagonal among them, each once; `size`, the number of
    unknowns; `features`, numbers per unknown by which they may be cut in two: time, coordinates.
    """

    def __init__(
        self,
        rows: Int[np.ndarray, " e"],
        columns: Int[np.ndarray, " e"],
        size: int,
        features: Sequence[Float[np.ndarray, " n"]],
    ):
        graph = scipy.sparse.csr_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(size, size))
        pieces: list[Piece] = []
        _cut(graph, np.arange(size), list(features), pieces)
        self._fronts = _fronts(graph, pieces, rows, columns)
        sizes = np.array([(len(front.pivots), len(front.border)) for front in self._fronts], float)
        self.operations = float(2 * _cost(*sizes.T).sum())
        """Multiplications of one factorisation."""
        self.nbytes = float(8 * (sizes[:, 0] * (sizes[:, 0] + 2 * sizes[:, 1])).sum())
        """Of the factors."""

    def factors(self, values: Float[np.ndarray, " e"]) -> Iterator[Factor]:
        """Those of the matrix with these entries, front by front: whoever takes them can look at the clock.

        **Raises:** `LinAlgError` if a front is singular.
        """
        (eliminate,) = scipy.linalg.get_lapack_funcs(("getrf",), (values,))
        updates: dict[int, np.ndarray] = {}
        for number, front in enumerate(self._fronts):
            k = len(front.pivots)
            block = np.zeros((k + len(front.border),) * 2)
            block[front.rows, front.columns] = values[front.entries]
            for child, place in zip(front.children, front.places, strict=True):
                block[place[:, None], place] += updates.pop(child)
            # Parts that hang together nowhere have nothing between them, which LAPACK will not take.
            lower, order, singular = eliminate(block[:k, :k]) if k else (block[:0, :0], np.zeros(0, np.int32), 0)
            if singular:
                raise np.linalg.LinAlgError("a front is singular")
            pivots = (lower, order)
            back = scipy.linalg.lu_solve(pivots, block[:k, k:], check_finite=False)
            ahead = block[k:, :k].copy()
            updates[number] = block[k:, k:] - ahead @ back
            yield Factor(pivots, ahead, back)

    def solved(self, factors: Sequence[Factor], right: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """The solution of the system with these factors."""
        x = right.copy()
        for front, factor in zip(self._fronts, factors, strict=True):
            x[front.pivots] = scipy.linalg.lu_solve(factor.pivots, x[front.pivots], check_finite=False)
            x[front.border] -= factor.ahead @ x[front.pivots]
        for front, factor in zip(reversed(self._fronts), reversed(factors), strict=True):
            x[front.pivots] -= factor.back @ x[front.border]
        return x


def _cost(k: Any, b: Any) -> Any:
    """Multiplications, half of them, by which k of k + b unknowns are eliminated."""
    return ((k + b) ** 3 - b**3) / 3


def _cut(graph: Any, nodes: Int[np.ndarray, " n"], features: list[np.ndarray], pieces: list[Piece]) -> int:
    """Append the pieces of `nodes`, children first; the number of the last one, which has the others below it."""
    halves = None if len(nodes) <= _LEAF else _best_cut(graph, features)
    if halves is None:
        pieces.append((nodes, ()))
        return len(pieces) - 1
    left, middle = halves
    children = tuple(
        _cut(graph[part][:, part], nodes[part], [feature[part] for feature in features], pieces)
        for part in (np.flatnonzero(left), np.flatnonzero(~left & ~middle))
    )
    pieces.append((nodes[middle], children))
    return len(pieces) - 1


def _best_cut(graph: Any, features: list[np.ndarray]) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]] | None:
    """What is on one side, and what is between the sides; None where no cut leaves less to do."""
    size = graph.shape[0]
    best, least = None, _cost(size, 0)
    for feature in features:
        for cut in np.unique(np.quantile(feature, _CUTS)):
            left = feature < cut
            middle = ~left & (graph @ left.astype(np.int32) > 0)
            k, a = int(middle.sum()), int(left.sum())
            if a == 0 or a + k == size:
                continue
            # Either side is cut further, to about a third of this, with what is between them at its border.
            cost = _cost(k, 0) + 0.3 * (_cost(a, k) + _cost(size - a - k, k))
            if cost < least:
                best, least = (left, middle), cost
    return best


def _fronts(graph: Any, pieces: list[Piece], rows: np.ndarray, columns: np.ndarray) -> list[_Front]:
    size = graph.shape[0]
    owner, rank = np.empty(size, int), np.empty(size, int)
    done = 0
    for number, (pivots, _) in enumerate(pieces):
        owner[pivots] = number
        rank[pivots] = np.arange(done, done + len(pivots))
        done += len(pivots)
    first = np.minimum(owner[rows], owner[columns])
    by_front = np.argsort(first, kind="stable")
    ends = np.searchsorted(first[by_front], np.arange(len(pieces) + 1))
    fronts: list[_Front] = []
    where = np.empty(size, int)
    for number, (pivots, children) in enumerate(pieces):
        tied = np.unique(np.concatenate([graph[pivots].indices, *(fronts[child].border for child in children)]))
        border = tied[owner[tied] > number]
        border = border[np.argsort(rank[border])]
        where[pivots] = np.arange(len(pivots))
        where[border] = len(pivots) + np.arange(len(border))
        entries = by_front[ends[number] : ends[number + 1]]
        places = tuple(where[fronts[child].border] for child in children)
        fronts.append(_Front(pivots, border, children, places, entries, where[rows[entries]], where[columns[entries]]))
    return fronts

"""All equilibria of a small two-player one-shot game, by enumeration of supports."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.errors import BadInput
from equinfer.solvers.tabular.bimatrix import scan_support_pairs
from equinfer.solvers.tabular.one_shot import OneShotGame

__all__ = ["SupportEnumeration", "undominated"]

_LARGEST_SEARCH = 20_000_000
"""Pairs of supports, about a minute of work: 13 x 13 actions after domination."""
_PAIRS_PER_CALL = 10_000


class SupportEnumeration(AbstractHostSolver):
    r"""Every extreme equilibrium of a two-player one-shot game; in a nondegenerate game these are all there are.

    Actions that a pure action strictly dominates are removed first, repeatedly: no equilibrium uses them. For each
    pair of supports of one size, smallest first, both mixtures that make the opponent indifferent among the other
    support are solved for; where both are positive and no other action is better, they are an equilibrium. A mixture
    against which the opponent has more best responses than it has actions itself shows that the game is degenerate:
    then equilibria with supports of different sizes follow, from all pairs of mixtures found of which each plays only
    best responses to the other (in degenerate games every equilibrium is a convex combination of such extreme ones).

    Every equilibrium is a candidate. Watched: `support_size`, `pairs` of supports examined, `found`, `degenerate` (1
    once the game has shown to be).
    """

    name: ClassVar[str] = "support"

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        del seed  # nothing is random here
        whole = OneShotGame.of(game, self.name)
        kept = undominated(whole.row_payoff, whole.column_payoff, float(whole.tolerance.max()))
        rows, columns = map(len, kept)
        pairs = math.comb(rows + columns, rows) - 1
        if pairs > _LARGEST_SEARCH:
            raise BadInput(
                f"{self.name} would have to examine {pairs:.2g} pairs of supports of a {rows} x {columns} game "
                f"(undominated actions); it takes up to {_LARGEST_SEARCH:.0g}: use lemke-howson or stage-nash."
            )
        search = _Search(
            whole.row_payoff[np.ix_(kept[0], kept[1])],
            whole.column_payoff[np.ix_(kept[1], kept[0])],
            float(whole.tolerance.max()),
        )
        policy = np.zeros((2, max(whole.row_payoff.shape)))
        for player, size in enumerate(whole.row_payoff.shape):
            policy[player, :size] = 1 / size
        for equilibrium in search.equilibria():
            if equilibrium is not None:
                policy = np.zeros_like(policy)
                for player, mixture in enumerate(equilibrium):
                    policy[player, kept[player]] = mixture
            info = {
                "support_size": float(search.size),
                "pairs": float(search.pairs),
                "found": float(search.found),
                "degenerate": float(search.degenerate),
            }
            yield Iterate(whole.profile(policy), info, candidate=equilibrium is not None)


@dataclass(frozen=True, eq=False)
class _Vertex:
    """A mixture, its support, and the opponent's best responses to it."""

    mixture: Float[np.ndarray, " a"]
    best_responses: Bool[np.ndarray, " b"]

    @property
    def support(self) -> Bool[np.ndarray, " a"]:
        return self.mixture > 0

    @property
    def degenerate(self) -> bool:
        return int(self.best_responses.sum()) > int(self.support.sum())

    @property
    def key(self) -> bytes:
        """Two vertices with one support and the same best responses are the same."""
        return self.support.tobytes() + self.best_responses.tobytes()


Equilibrium = tuple[Float[np.ndarray, " m"], Float[np.ndarray, " n"]]


class _Search:
    """The enumeration, with what it has seen so far."""

    def __init__(self, row_payoff: np.ndarray, column_payoff: np.ndarray, tolerance: float):
        self._row_payoff, self._column_payoff = np.ascontiguousarray(row_payoff), np.ascontiguousarray(column_payoff)
        self._tolerance = tolerance
        self._vertices: tuple[dict[bytes, _Vertex], dict[bytes, _Vertex]] = ({}, {})
        self._seen: set[bytes] = set()
        self.size, self.pairs = 0, 0
        self.degenerate = False
        """A mixture has been met against which the opponent has more best responses than it has actions itself."""

    @property
    def found(self) -> int:
        return len(self._seen)

    def equilibria(self) -> Iterator[Equilibrium | None]:
        """Equilibria as they come, None whenever the clock may be read."""
        for size in range(1, min(self._row_payoff.shape) + 1):
            self.size = size
            yield from self._of_equal_supports()
        if self.degenerate:
            yield from self._of_any_supports()

    def _of_equal_supports(self) -> Iterator[Equilibrium | None]:
        rows, columns = self._row_payoff.shape
        own, other = np.arange(self.size), np.arange(self.size)
        room = min(_PAIRS_PER_CALL, math.comb(rows, self.size) * math.comb(columns, self.size))
        mixtures, ties = np.zeros((room, 2, max(rows, columns))), np.zeros((room, 2), np.int64)
        more = True
        while more:
            scanned, more = scan_support_pairs(
                self._row_payoff, self._column_payoff, own, other, self._tolerance, mixtures, ties
            )
            self.pairs += scanned
            yield None
            for t in np.flatnonzero(ties[:scanned].any(axis=1)):
                pair = [self._vertex(side, mixtures[t, side]) if ties[t, side] else None for side in range(2)]
                yield from self._new(*pair)

    def _vertex(self, side: int, mixture: Float[np.ndarray, " A"]) -> _Vertex:
        """The vertex at `mixture` of the player `side`, noted."""
        payoff = (self._column_payoff, self._row_payoff)[side]
        mixture = mixture[: payoff.shape[1]].copy()
        values = payoff @ mixture
        vertex = _Vertex(mixture, values >= values.max() - 2 * self._tolerance)
        self.degenerate = self.degenerate or vertex.degenerate
        return self._vertices[side].setdefault(vertex.key, vertex)

    def _new(self, row: _Vertex | None, column: _Vertex | None) -> Iterator[Equilibrium]:
        """The equilibrium of two vertices, unless there is none or it is known."""
        if row is None or column is None or row.key + column.key in self._seen:
            return
        self._seen.add(row.key + column.key)
        yield row.mixture, column.mixture

    def _of_any_supports(self) -> Iterator[Equilibrium | None]:
        rows, columns = (list(side.values()) for side in self._vertices)
        column_supports = np.stack([vertex.support for vertex in columns])
        never_best = ~np.stack([vertex.best_responses for vertex in columns])
        for row in sorted(rows, key=lambda vertex: int(vertex.support.sum())):
            yield None
            fits = ~(never_best @ row.support) & ~(column_supports @ ~row.best_responses)
            for place in np.flatnonzero(fits):
                if row.degenerate or columns[place].degenerate:
                    yield from self._new(row, columns[place])


def undominated(
    row_payoff: Float[np.ndarray, "m n"], column_payoff: Float[np.ndarray, "n m"], margin: float
) -> tuple[Int[np.ndarray, " rows"], Int[np.ndarray, " columns"]]:
    """The actions that survive iterated elimination of those a pure action beats by more than `margin` everywhere.

    Each payoff table has its owner's actions first.
    """
    kept = [np.arange(len(row_payoff)), np.arange(len(column_payoff))]
    payoffs, changed = (row_payoff, column_payoff), True
    while changed:
        changed = False
        for player in range(2):
            table = payoffs[player][np.ix_(kept[player], kept[1 - player])]
            beaten = np.array([bool(np.any(np.all(table > action + margin, axis=1))) for action in table])
            kept[player] = kept[player][~beaten]
            changed = changed or bool(beaten.any())
    return kept[0], kept[1]

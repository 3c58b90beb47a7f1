"""One equilibrium of a two-player one-shot game by complementary pivoting (Lemke and Howson 1964)."""

import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.errors import BadInput
from equinfer.solvers.tabular.bimatrix import PATH_ENDED, basic_solution, follow_labels, lemke_howson_tableaux
from equinfer.solvers.tabular.one_shot import OneShotGame

__all__ = ["LemkeHowson"]

_WORK_PER_CALL = 5e7
"""Multiplications between two looks at the clock."""
_RACING_LABELS = 8
_FIRST_LIMIT = 4
_LIMIT_GROWTH = 10
_ROUNDS = 5
"""So many labels get 4 pivots per label of the game each, then 40, and so on."""


class LemkeHowson(AbstractHostSolver):
    """The end of a Lemke-Howson path, for two-player one-shot games.

    A path drops one label and follows the edges of both players' best-response polytopes on which all other labels
    stay; labels 0..m-1 are the row player's actions, m..m+n-1 the column player's. The leaving row is chosen by the
    lexicographic rule, so that degenerate games cannot make a path cycle. At its end both mixtures are solved afresh
    from the final bases, and so are exact to rounding, however many pivots it took.

    Watched: `label`, the one that is dropped, and `pivots` on its path so far.
    """

    name: ClassVar[str] = "lemke-howson"

    initial_label: int | None = None
    """Follow the path of this label only. By default some labels, from one that the seed chooses on, are given a few
    pivots each, then more: paths of one game differ in length by factors of thousands."""

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        one_shot = OneShotGame.of(game, self.name)
        labels = sum(one_shot.row_payoff.shape)
        if self.initial_label is not None:
            if not 0 <= self.initial_label < labels:
                raise BadInput(f"initial_label is {self.initial_label}; the game has the labels 0 to {labels - 1}.")
            yield from self._path(one_shot, self.initial_label, sys.maxsize)
            return
        limit = _FIRST_LIMIT * labels
        for _ in range(_ROUNDS):
            for offset in range(min(labels, _RACING_LABELS)):
                found = False
                for iterate in self._path(one_shot, (seed + offset) % labels, limit):
                    found = iterate.candidate
                    yield iterate
                if found:
                    return
            limit *= _LIMIT_GROWTH

    def _path(self, game: OneShotGame, dropped: int, limit: int) -> Iterator[Iterate]:
        """The path that drops the label `dropped`. It ends with a candidate, unless `limit` pivots were not enough or
        rounding has broken it.
        """
        rows, columns = game.row_payoff.shape
        path = lemke_howson_tableaux(game.row_payoff, game.column_payoff)
        chunk = max(1, int(_WORK_PER_CALL / (max(rows, columns) * (rows + columns + 1))))
        policy = np.zeros((2, max(rows, columns)))
        policy[0, :rows], policy[1, :columns] = 1 / rows, 1 / columns
        entering, side, pivots = dropped, int(dropped >= rows), 0
        while entering >= 0 and pivots < limit:
            yield Iterate(game.profile(policy), {"label": float(dropped), "pivots": float(pivots)})
            budget = min(chunk, limit - pivots)
            entering, side, done = follow_labels(*path, dropped, entering, side, budget)
            pivots += done
        ended = entering == PATH_ENDED and basic_solution(game.row_payoff, game.column_payoff, *path[2:], policy)
        info = {"label": float(dropped), "pivots": float(pivots)}
        yield Iterate(game.profile(policy), info, candidate=bool(ended) and game.is_equilibrium(policy))

"""The best correlated equilibrium, by an objective, of each of many one-shot games of one shape."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float

from equinfer.answer import marginals
from equinfer.drivers.batch import AbstractBatchSearch, Answers
from equinfer.solvers.correlated.lp import best_law
from equinfer.solvers.correlated.obedience import pairs
from equinfer.solvers.correlated.objective import Objective
from equinfer.solvers.correlated.stage import stage_correlated

__all__ = ["LawOfEach"]

_MOST_ROWS = 80
"""Inequalities of a game up to which interior points are faster than linear programmes."""
_ENTRIES = 100_000
"""Of the matrices between two looks at the clock: some tenths of a second."""
_REGULARISATION = 1e-8
"""Weight of a square beside an objective of spread one. It costs at most a quarter of it: the dual of the regularised
problem bounds the worth of all laws by that of the best one plus this times max p - sum p^2."""


class LawOfEach(AbstractBatchSearch):
    """Solves a batch of games for the best law by an objective: by interior points, and by linear programmes where a
    game is too large for them, or is not finished. No programme finds the law of largest entropy; such games are left.
    """

    solved: Bool[np.ndarray, " B"]
    """Where a law was found that is obeyed: to this code's tolerances, a certificate has still to say so."""

    def __init__(self, payoffs: Float[np.ndarray, "B N *A"], *, told: bool, objective: Objective):
        games, self._players, *self._sizes = payoffs.shape
        # A power of two for each game, which rounds nothing: the sum of all players' payoffs is finite.
        largest = np.abs(payoffs).max(axis=tuple(range(1, payoffs.ndim)), initial=0.0)
        shift = -np.frexp(largest)[1].reshape(-1, *[1] * (payoffs.ndim - 1))
        self._payoffs, self._told, self._objective = np.ldexp(payoffs, shift), told, objective
        self._joints = np.full((games, *self._sizes), 1 / math.prod(self._sizes))
        self.solved = np.zeros(games, bool)

    def answers(self) -> Answers:
        """Laws and their marginals, uniform where nothing was found."""
        joints = self._joints.copy()
        return Answers(tuple(policy.copy() for policy in marginals(joints, self._players)), joints)

    def solve(self) -> Iterator[None]:
        """Yields whenever the clock may be read; what was found until then is there."""
        rows = len(pairs(self._sizes, self._told))
        if rows <= _MOST_ROWS:
            block = max(1, _ENTRIES // max(1, rows * math.prod(self._sizes)))
            for begin in range(0, len(self._payoffs), block):
                self._by_interior_points(slice(begin, begin + block))
                yield
        actions = [np.arange(size) for size in self._sizes]
        for game in [] if self._objective.is_entropy else np.flatnonzero(~self.solved):
            q = self._payoffs[game]
            self._joints[game] = best_law(q, actions, self._objective.payoff(q), told=self._told).law
            self.solved[game] = True
            yield

    def _by_interior_points(self, part: slice) -> None:
        q = self._payoffs[part]
        legal = [np.ones((len(q), size), bool) for size in self._sizes]
        worth, entropy = self._objective.payoff(q.swapaxes(0, 1)), float(self._objective.is_entropy)
        laws = stage_correlated(q, legal, worth, told=self._told, regularisation=_REGULARISATION, entropy=entropy)
        self._joints[part][laws.solved] = laws.joint[laws.solved]
        self.solved[part] = laws.solved

"""Variational correlated equilibria: of one-shot games, and of finite horizons by backward induction."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float

from equinfer.answer import Joint
from equinfer.arguments import nonnegative
from equinfer.concepts import CoarseCorrelated, Correlated
from equinfer.drivers.protocol import AbstractHostSolver, Choice, Iterate
from equinfer.errors import BadInput
from equinfer.solvers.correlated.gibbs import log_partition
from equinfer.solvers.correlated.laws import entropies
from equinfer.solvers.correlated.lp import best_law
from equinfer.solvers.correlated.maximum_entropy import maximum_entropy
from equinfer.solvers.correlated.obedience import comparable, obedience_tables, pairs
from equinfer.solvers.correlated.objective import Objective, checked_objective
from equinfer.solvers.correlated.stage import StageLaws, stage_correlated
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.tables import joint_mask

__all__ = ["VariationalCorrelated"]

_ENTRIES = 2_000_000
"""Of obedience matrices that are worked on at once: states go in blocks of this size."""
_LARGEST = 20_000_000
"""Entries of one state's matrix; beyond, entropy is maximised without it."""
_MOST_ROWS = 120
"""Inequalities of a state from which on linear objectives are for linear programmes, which are then the faster: 8 ms
against 10 with 8 x 8 actions, but 11 ms against seconds with 20 x 20."""

_SHORT = 1e-10
"""Of the spread of the objective: a law that is further from its bound may not be the best."""
_CLOSER = 1e-6
"""Of the regularisation: what it is then lowered to."""


class VariationalCorrelated(AbstractHostSolver):
    r"""The posterior of a mediator's messages, given that they are obeyed and that the objective is served.

    In a finite horizon, from the last epoch back: what is best in each stage game, given what follows. That is an
    equilibrium of the whole game, but not the best one: a worse continuation may deter more. All states of an epoch
    are solved together (`stage`). Watched: `epoch`, `solved` (the part of its states that ended at rounding).
    """

    name: ClassVar[str] = "vce"
    answers: ClassVar[str] = "joint"
    concept: Correlated | CoarseCorrelated = eqx.field(default_factory=Correlated)
    objective: Any = "welfare"
    """`"welfare"`, `"entropy"`, or a weight for each player."""
    regularisation: float = 1e-3
    r"""Weight of $-\frac12|\mu|^2$ beside an objective of spread one: it picks one of many best laws. Where laws are
    nearly as good as the best, 1e-6 of it has the last word. Of many actions the best law is a linear programme's,
    whichever that finds."""

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        del seed  # nothing is random here
        objective = checked_objective(self.objective, game.num_players)
        if nonnegative("regularisation", self.regularisation) == 0:
            raise BadInput("regularisation must be positive: without it best laws are many.")
        if game.horizon is None and not game.is_one_shot:
            raise BadInput(
                "vce finds correlated equilibria of one-shot games and of finite horizons; a discounted game has no "
                "last epoch to begin at."
            )
        stages = _Stages(self, game, objective)
        horizon = game.horizon or 1
        joint = np.broadcast_to(stages.uniform, (horizon, *stages.uniform.shape)).copy()
        value, entropy = np.zeros((game.num_players, game.num_states)), np.zeros(game.num_states)
        initial = np.asarray(game.initial)
        bound, solved = None, 0.0
        for epoch in reversed(range(horizon)):
            last = epoch == horizon - 1
            q = np.asarray(game.reward) if last else stage_payoffs(game, value)
            best = stages.best(np.moveaxis(q, 0, 1))
            joint[epoch] = law = best.joint
            entropy = entropies(law) + (0.0 if last else _average(law, game.kernel.expect(entropy)))
            value, solved = _average(law, q), float(best.solved.mean())
            if game.is_one_shot:
                bound = objective.unit * float(initial @ best.bounds)
            if epoch:
                info = {"epoch": float(epoch), "solved": solved}
                yield Iterate(Joint(joint.copy()), info)
        reached = objective.unit * float(initial @ (entropy if objective.is_entropy else objective.payoff(value)))
        choice = Choice(objective.name, reached, None if bound is None else max(bound, reached))
        answer = Joint(joint if game.horizon is not None else joint[0])
        yield Iterate(answer, {"epoch": 0.0, "solved": solved}, candidate=True, choice=choice)


class _Best(NamedTuple):
    """Of every state."""

    joint: Float[np.ndarray, "S *A"]
    solved: Bool[np.ndarray, " S"]
    bounds: Float[np.ndarray, " S"]
    """What no law that is obeyed is worth more than; infinite if the game is not one-shot."""


class _Stages(NamedTuple):
    """The stage problem of a game, for all its states."""

    solver: VariationalCorrelated
    game: Any
    objective: Objective

    @property
    def legal(self) -> list[Bool[np.ndarray, "S _"]]:
        return [np.asarray(mask) for mask in self.game.legal]

    @property
    def uniform(self) -> Float[np.ndarray, "S *A"]:
        mask = joint_mask(self.legal)
        return mask / mask.reshape(len(mask), -1).sum(axis=1).reshape(-1, *[1] * (mask.ndim - 1))

    def best(self, q: Float[np.ndarray, "S N *A"]) -> _Best:
        """The best law of every state."""
        sizes = self.game.num_actions
        rows = len(pairs(sizes, self.solver.concept.told_first))
        entries = rows * int(np.prod(sizes))
        size = max(1, _ENTRIES // entries) if entries else len(q)
        parts = []
        for s in range(0, len(q), size):
            block, legal = q[s : s + size], [mask[s : s + size] for mask in self.legal]
            if self.objective.is_entropy:
                parts.append(self._least_decided(block, legal, entries))
            elif rows > _MOST_ROWS:
                parts.append(self._by_programmes(block, legal))
            else:
                parts.append(self._by_interior_points(block, legal))
        best = _Best(*(np.concatenate(field) for field in zip(*parts, strict=True)))
        return best if self.game.is_one_shot else best._replace(bounds=np.full(len(q), np.inf))

    def _least_decided(
        self, q: Float[np.ndarray, "S N *A"], legal: list[Bool[np.ndarray, "S _"]], entries: int
    ) -> _Best:
        told = self.solver.concept.told_first
        if len(q) == 1 and (large := maximum_entropy(q, legal, told=told)) is not None:
            laws, bounds = large
            return _Best(laws.joint, laws.solved, bounds)
        if entries > _LARGEST:
            raise BadInput("vce found no law of largest entropy: obedience forbids joint actions of this game. Use lp.")
        nothing = np.zeros_like(q[:, 0])
        laws = stage_correlated(q, legal, nothing, told=told, entropy=1.0)
        return _Best(laws.joint, laws.solved, self._bounds(q, legal, laws, nothing))

    def _by_interior_points(self, q: Float[np.ndarray, "S N *A"], legal: list[Bool[np.ndarray, "S _"]]) -> _Best:
        told = self.solver.concept.told_first
        worth = self.objective.payoff(np.moveaxis(q, 1, 0))
        around = self.solver.regularisation
        centre = stage_correlated(q, legal, worth, told=told, regularisation=around).joint
        # Around a best law the regularisation pulls nowhere, and its dual is exact.
        laws = stage_correlated(q, legal, worth, told=told, regularisation=around, centre=centre)
        bounds = self._bounds(q, legal, laws, worth)
        rest = np.flatnonzero(
            ~(laws.solved & (bounds - _average(laws.joint, worth) <= _SHORT * _spreads(worth, legal)))
        )
        if rest.size:  # laws that are nearly as good: a pull that costs nothing which counts
            some, of_some = q[rest], [mask[rest] for mask in legal]
            closer = stage_correlated(
                some, of_some, worth[rest], told=told, regularisation=_CLOSER * around, centre=centre[rest]
            )
            for field, new in zip(laws, closer, strict=True):
                field[rest] = new
            bounds[rest] = self._bounds(some, of_some, closer, worth[rest])
        left = np.flatnonzero(~laws.solved)
        if left.size:
            programmes = self._by_programmes(q[left], [mask[left] for mask in legal])
            laws.joint[left], bounds[left] = programmes.joint, np.fmin(bounds[left], programmes.bounds)
        return _Best(laws.joint, laws.solved, bounds)

    def _by_programmes(self, q: Float[np.ndarray, "S N *A"], legal: list[Bool[np.ndarray, "S _"]]) -> _Best:
        """State by state, by HiGHS."""
        worth = self.objective.payoff(np.moveaxis(q, 1, 0))
        found = [
            best_law(q[s], [np.flatnonzero(mask[s]) for mask in legal], worth[s], told=self.solver.concept.told_first)
            for s in range(len(q))
        ]
        laws, bounds = np.stack([each.law for each in found]), np.array([each.bound for each in found])
        return _Best(laws, np.ones(len(q), bool), bounds)

    def _bounds(
        self,
        q: Float[np.ndarray, "S N *A"],
        legal: list[Bool[np.ndarray, "S _"]],
        laws: StageLaws,
        worth: Float[np.ndarray, "S *A"],
    ) -> Float[np.ndarray, " S"]:
        """By weak duality: of what is worth w, no law that is obeyed has more than max(w + D' multipliers)."""
        mask = joint_mask(legal)
        rows, _ = obedience_tables(comparable(q, mask), legal, self.solver.concept.told_first)
        cells = mask.reshape(len(mask), -1)
        push = (np.maximum(laws.obedience, 0.0)[:, None, :] @ rows)[:, 0]
        if self.objective.is_entropy:
            return log_partition(push, cells)[0]
        share = comparable(worth[:, None], mask)[:, 0].reshape(len(mask), -1)
        low = np.where(cells, worth.reshape(len(mask), -1), np.inf).min(axis=1)
        return low + _spreads(worth, legal) * np.where(cells, share + push, -np.inf).max(axis=1)


def _spreads(worth: Float[np.ndarray, "S *A"], legal: list[Bool[np.ndarray, "S _"]]) -> Float[np.ndarray, " S"]:
    """Of the worth of legal joint actions."""
    cells, worth = joint_mask(legal).reshape(len(worth), -1), worth.reshape(len(worth), -1)
    return np.where(cells, worth, -np.inf).max(axis=1) - np.where(cells, worth, np.inf).min(axis=1)


def _average(joint: Float[np.ndarray, "S *A"], table: Any) -> Float[np.ndarray, "*N S"]:
    table = np.asarray(table)
    return (joint * table).reshape(*table.shape[: table.ndim - joint.ndim + 1], -1).sum(axis=-1)

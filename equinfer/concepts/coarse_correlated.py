"""Table 1, row 3, for players who decide whether to listen before they are told anything."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, ClassVar

import equinox as eqx

from equinfer.certificates import certify_coarse_correlated
from equinfer.concepts.correlated import joint_fields, joint_solvers
from equinfer.concepts.protocol import AbstractConcept
from equinfer.drivers.protocol import Judge
from equinfer.opponents import AbstractOpponentModel, Oracle
from equinfer.policies import AbstractPolicyFamily, Marginal
from equinfer.tables import Tables

__all__ = ["CoarseCorrelated"]


class CoarseCorrelated(AbstractConcept):
    r"""Coarse correlated equilibrium: nobody gains from doing one thing whatever the mediator would say.

    Every correlated equilibrium is one; what learners without regret play on average comes near one.
    """

    name: ClassVar[str] = "coarse-correlated"
    answers: ClassVar[str] = "joint"
    told_first: ClassVar[bool] = False
    opponent: AbstractOpponentModel = eqx.field(default_factory=Oracle)
    policy: AbstractPolicyFamily = eqx.field(default_factory=Marginal)

    def lift(self, game: Any) -> Any:
        return game

    def judge(self, tables: Tables) -> Judge:
        return partial(certify_coarse_correlated, tables)

    def solvers(self, tables: Tables, options: Collection[str] = ()) -> tuple[str, ...]:
        return joint_solvers(tables)

    def recorded(self, tables: Tables, answer: Any) -> Mapping[str, Any]:
        return joint_fields(tables, answer)

"""Table 1, row 2: mean-field Nash equilibrium."""

from collections.abc import Collection, Mapping
from functools import lru_cache, partial
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from equinfer.certificates.mean_field import certify_mean_field, exact_flow
from equinfer.concepts.protocol import AbstractConcept
from equinfer.drivers.protocol import Judge
from equinfer.mean_field_tables import MeanFieldTables
from equinfer.opponents import AbstractOpponentModel, Oracle
from equinfer.policies import AbstractPolicyFamily, Marginal

__all__ = ["MeanField"]


class MeanField(AbstractConcept):
    r"""Mean-field Nash equilibrium: the others are their law $\mathcal L(s,a)$, policies $\pi(a\mid s,\mathcal L)$.

    The context that an agent plans against has size one: the flow of the whole population, which it cannot move. In
    equilibrium the flow is that of the policy, so the policy is written as a function of time and state alone.
    """

    name: ClassVar[str] = "mean-field"
    games: ClassVar[str] = "mean-field"
    opponent: AbstractOpponentModel = eqx.field(default_factory=Oracle)
    policy: AbstractPolicyFamily = eqx.field(default_factory=Marginal)

    def lift(self, game: Any) -> Any:
        return game

    def judge(self, tables: MeanFieldTables) -> Judge:
        return partial(certify_mean_field, tables, scales=np.full(tables.num_players, self.stakes(tables)))

    def stakes(self, tables: MeanFieldTables) -> float:
        """The exploitability of the uniform policy, and at least 1."""
        return _stakes(self, tables)

    def recorded(self, tables: MeanFieldTables, answer: Any) -> Mapping[str, Any]:
        return {"profile": answer, "flows": exact_flow(tables, answer)}

    def solvers(self, tables: MeanFieldTables, options: Collection[str] = ()) -> tuple[str, ...]:
        return ("bayesian-q",)


@lru_cache(maxsize=4)
def _stakes(row: MeanField, tables: MeanFieldTables) -> float:
    """Asked for by the verdict and by every certificate of a solve."""
    return max(1.0, certify_mean_field(tables, row.start(tables)).gap)

"""Table 1, row 2: mean-field Nash equilibrium."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from functools import lru_cache, partial
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from equinfer.certificates.mean_field import certify_mean_field, exact_flow, spread_of_rewards
from equinfer.concepts.protocol import AbstractConcept
from equinfer.drivers.protocol import Judge
from equinfer.equations.mean_field_structure import structure_of
from equinfer.errors import BadInput
from equinfer.mean_field_tables import MeanFieldTables
from equinfer.opponents import AbstractOpponentModel, Oracle
from equinfer.policies import AbstractPolicyFamily, Marginal

__all__ = ["MeanField"]

_MOST_NODES = 60_000
"""Populations times epochs times states, up to which the interior point method takes a few GB on a plane grid."""
_MOST_PAIRS = 1e8
"""Pairs of states within an epoch, over all epochs, up to which it does on any graph."""
_MOST_AT_REST = 2500
"""Populations times states of a stationary game, up to which a system in all of their values takes a second or two."""
_FLAT = 1e-12
"""Of the largest value: rewards that differ by less are one and the same."""
_MOST_SIDE_BY_SIDE = 500
"""Unknowns of a stationary game up to which Algorithm 4, whose every step then solves systems, is run at all
temperatures."""


class MeanField(AbstractConcept):
    r"""Mean-field Nash equilibrium: the others are their law $\mathcal L(s,a)$, policies $\pi(a\mid s,\mathcal L)$.

    The context that an agent plans against has size one: the flow of the whole population, which it cannot move. In
    equilibrium the flow is that of the policy, so the policy is written as a function of time and state alone.
    """

    name: ClassVar[str] = "mean-field"
    games: ClassVar[str] = "mean-field"
    opponent: AbstractOpponentModel = eqx.field(default_factory=Oracle)
    policy: AbstractPolicyFamily = eqx.field(default_factory=Marginal)

    def __check_init__(self):
        for column, kind in (("opponent", Oracle), ("policy", Marginal)):
            if type(getattr(self, column)) is not kind:
                raise BadInput(
                    f"{self.name} knows no other {column} than {kind.name!r}: the others are their law, which an "
                    f"agent cannot move; got {getattr(self, column).name!r}."
                )

    def lift(self, game: Any) -> Any:
        return game

    def judge(self, tables: MeanFieldTables) -> Judge:
        return partial(certify_mean_field, tables, scales=np.full(tables.num_players, self.stakes(tables)))

    def stakes(self, tables: MeanFieldTables) -> float:
        """The exploitability of the uniform policy, and at least 1, or what rewards that are smaller differ by; 1 as
        well where nobody can tell.
        """
        return _stakes(self, tables)

    def recorded(self, tables: MeanFieldTables, answer: Any) -> Mapping[str, Any]:
        return {"profile": answer, "flows": exact_flow(tables, answer)}

    def solvers(self, tables: MeanFieldTables, options: Collection[str] = ()) -> tuple[str, ...]:
        """Fixed dynamics, and rewards by the crowd where one is: the interior point method. Otherwise Algorithm 4 at
        all temperatures, and complementarity for what stays mixed, where that is small enough, or the interior point
        method first, where it is not; in stationary games, where each step of Algorithm 4 solves systems of its own,
        the second-order method first. Options that only the plain Algorithm 4 has mean that one.
        """
        if not set(options) <= {"steps", "magnet"}:
            return ("bayesian-q",)
        if tables.horizon is None:
            iterated = "temperature-grid" if tables.num_unknowns <= _MOST_SIDE_BY_SIDE else "bayesian-q"
            if tables.has_small_jacobian:
                return "complementarity", iterated
            states = tables.num_states * tables.num_players
            return ("interior-point", iterated) if states <= _MOST_AT_REST else (iterated,)
        has_small_factors = _has_small_factors(tables, tables.horizon)
        if tables.fixed_dynamics and has_small_factors and structure_of(tables).local:
            return "interior-point", "temperature-grid"
        if tables.has_small_jacobian:
            return "temperature-grid", "complementarity"
        return ("interior-point", "temperature-grid") if has_small_factors else ("temperature-grid",)


def _has_small_factors(tables: MeanFieldTables, horizon: int) -> bool:
    """What a grid is cut into stays small; of other games all states of an epoch may hang together."""
    states = tables.num_states * tables.num_players
    return horizon * states <= _MOST_NODES and (tables.grid is not None or horizon * states**2 <= _MOST_PAIRS)


@lru_cache(maxsize=4)
def _stakes(row: MeanField, tables: MeanFieldTables) -> float:
    """Asked for by the verdict and by every certificate of a solve."""
    start: Any = row.start(tables)
    judged = certify_mean_field(tables, start)
    if not np.isfinite(judged.gap):
        return 1.0
    response = tuple(deviation.policy for deviation in judged.deviations)
    spread = spread_of_rewards(tables, start)
    with suppress(BadInput):  # a game need not be one where only the response leads
        spread = max(spread, spread_of_rewards(tables, response))
    # Where all rewards are the same, to rounding, there is no unit to go by.
    is_flat = spread <= _FLAT * max((float(np.abs(v).max()) for v in judged.values), default=0.0)
    return max(1.0 if is_flat else min(1.0, spread), judged.gap)

"""Table 1, row 1: Nash equilibrium of a general-sum stochastic game."""

from collections.abc import Collection
from functools import partial
from typing import Any, ClassVar

import equinox as eqx

from equinfer.certificates import certify_nash
from equinfer.concepts.protocol import AbstractConcept
from equinfer.drivers.protocol import Judge
from equinfer.opponents import AbstractOpponentModel, Oracle
from equinfer.policies import AbstractPolicyFamily, Marginal
from equinfer.tables import Tables

__all__ = ["Nash"]

_TRACEABLE = 6_000
"""Values of all players in all states, up to which the path is tried: beyond, a single factorisation takes from seconds
to minutes, and what it fills gigabytes. The fast solver had better have that time for itself. Who asks for `homotopy`,
or for a `magnet`, gets it."""


class Nash(AbstractConcept):
    r"""Nash equilibrium: opponents $\rho(a^{-i}\mid s)$, policies $\pi(a^i\mid s)$.

    The paper's row has the policies $\pi(a^i\mid s,a^{-i})$, `policy=Conditional()`. The default is the marginal
    family, because only that one comes with a bound on the gap (Theorems A and B).
    """

    name: ClassVar[str] = "nash"
    opponent: AbstractOpponentModel = eqx.field(default_factory=Oracle)
    policy: AbstractPolicyFamily = eqx.field(default_factory=Marginal)

    def lift(self, game: Any) -> Any:
        return game

    def judge(self, tables: Tables) -> Judge:
        return partial(certify_nash, tables)

    def solvers(self, tables: Tables, options: Collection[str] = ()) -> tuple[str, ...]:
        """The fast one, then the path that cannot cycle, where there is memory and time for its factors, or an option
        may be meant for it.
        """
        traceable = tables.num_players * tables.num_states <= _TRACEABLE
        return ("stage-nash", "homotopy") if traceable or options else ("stage-nash",)

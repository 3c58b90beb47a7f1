"""Table 1, row 4: equilibrium of a zero-sum stochastic game."""

from collections.abc import Collection
from functools import partial
from typing import Any, ClassVar

import equinox as eqx

from equinfer.certificates import certify_zero_sum, refuse_unless_zero_sum
from equinfer.concepts.protocol import AbstractConcept
from equinfer.drivers.protocol import Judge
from equinfer.opponents import AbstractOpponentModel, Oracle
from equinfer.policies import AbstractPolicyFamily, Marginal
from equinfer.tables import Tables

__all__ = ["ZeroSum"]


class ZeroSum(AbstractConcept):
    r"""Equilibrium of a zero-sum game: nobody is modelled, the other minimises; policies $\pi(a^i\mid s)$.

    The paper (section 5.4) prints $r_{-i}=r_i$; it must be $r_{-i}=-r_i$, or $c-r_i$ with one number c for the whole
    game. That the opponent's interests are known makes its model exact. As for Nash, the default policies are marginal
    where the paper has $\pi(a^i\mid s,a^{-i})$.
    """

    name: ClassVar[str] = "zero-sum"
    opponent: AbstractOpponentModel = eqx.field(default_factory=Oracle)
    policy: AbstractPolicyFamily = eqx.field(default_factory=Marginal)

    def lift(self, game: Any) -> Any:
        return game

    def judge(self, tables: Tables) -> Judge:
        refuse_unless_zero_sum(tables)
        return partial(certify_zero_sum, tables)

    def solvers(self, tables: Tables, options: Collection[str] = ()) -> tuple[str, ...]:
        """The one that always converges; then what needs no zero sum, should rounding have stopped it."""
        return "matrix-game", "stage-nash", "homotopy"

"""What a solution concept is: a row of Table 1."""

import abc
from typing import Any, ClassVar

import equinox as eqx

from equinfer.opponents import AbstractOpponentModel
from equinfer.policies import AbstractPolicyFamily

__all__ = ["AbstractConcept"]


class AbstractConcept(eqx.Module):
    """A row of Table 1: an opponent model, a policy family, and the game on which the inference runs.

    Nothing here belongs to a solver, and a solver never asks which concept it holds. How far a profile is from an
    equilibrium of the concept is said by `certificates`.
    """

    name: ClassVar[str]
    opponent: eqx.AbstractVar[AbstractOpponentModel]
    policy: eqx.AbstractVar[AbstractPolicyFamily]

    @abc.abstractmethod
    def lift(self, game: Any) -> Any:
        """The game that is solved in place of `game`: the same one, or one with more in its state."""

    @property
    def plans_as_executed(self) -> bool:
        """True if what is executed is the one law on which all players plan: then it is evaluated once for all."""
        return self.opponent.is_exact and self.policy.is_product

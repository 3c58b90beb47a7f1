"""What a solution concept is: a row of Table 1."""

import abc
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from equinfer.answer import Answer
from equinfer.drivers.protocol import Judge
from equinfer.opponents import AbstractOpponentModel
from equinfer.policies import AbstractPolicyFamily

__all__ = ["AbstractConcept"]


class AbstractConcept(eqx.Module):
    """A row of Table 1: an opponent model, a policy family, the game on which the inference runs, and who judges.

    Nothing here belongs to a solver, and a solver never asks which concept it holds. `tables` are what `game.tables()`
    returns for its kind of games.
    """

    name: ClassVar[str]
    answers: ClassVar[str] = "profile"
    """The kind of its answers: `profile`, `joint` or `signal`."""
    games: ClassVar[str] = "tables"
    """The kind of games that it is for: `tables`, or `mean-field`."""
    opponent: eqx.AbstractVar[AbstractOpponentModel]
    policy: eqx.AbstractVar[AbstractPolicyFamily]

    @abc.abstractmethod
    def lift(self, game: Any) -> Any:
        """The game that is solved in place of `game`: the same one, or one with more in its state."""

    @abc.abstractmethod
    def judge(self, tables: Any) -> Judge:
        """The certificate of an answer to this game.

        **Raises:** `BadInput` with a witness, if the concept has no meaning for the game.
        """

    @abc.abstractmethod
    def solvers(self, tables: Any, options: Collection[str] = ()) -> tuple[str, ...]:
        """What `solver="auto"` tries, in this order, until an answer is certified to rounding.

        **Arguments:** `options`, the names of the options that were given.
        """

    def stakes(self, tables: Any) -> float:
        """The natural unit of every gap: the payoff scale."""
        return tables.payoff_scale

    def start(self, tables: Any) -> Answer:
        """Every legal action equally likely, in every epoch: what there is before a solver has found anything."""
        lead = () if tables.horizon is None else (tables.horizon,)
        uniform = (mask / mask.sum(axis=1, keepdims=True) for mask in tables.legal)
        return tuple(np.broadcast_to(policy, (*lead, *policy.shape)) for policy in uniform)

    def recorded(self, tables: Any, answer: Answer) -> Mapping[str, Any]:
        """The fields of a `Solution` that hold the answer: a profile, unless the concept says otherwise."""
        return {"profile": answer}

    @property
    def plans_as_executed(self) -> bool:
        """True if what is executed is the one law on which all players plan: then it is evaluated once for all."""
        return self.opponent.is_exact and self.policy.is_product

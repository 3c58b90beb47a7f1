"""What an opponent model is: how a player predicts what the others do (Table 1, column 1)."""

import abc
from typing import Any, ClassVar, Generic, TypeVar

import equinox as eqx
from jaxtyping import Float

from equinfer.opponents.moves import Moves
from equinfer.types import AnyArray, Profile

__all__ = ["AbstractOpponentModel"]

State = TypeVar("State")


class AbstractOpponentModel(eqx.Module, Generic[State]):
    r"""The $\rho_i(a^{-i}\mid s)$ of Table 1: a law over contexts, the others' joint actions.

    A context is the others' actions flattened in order of players, C of them. A *row* is a decision point: a state,
    or in a finite-horizon game an epoch and a state, epoch by epoch (R = S or H S).
    """

    name: ClassVar[str]
    is_exact: ClassVar[bool]
    """True if the prediction is the law of what the others execute: then all players plan on one and the same law."""

    @abc.abstractmethod
    def init(self, game: Any, player: int) -> State:
        """What `player` knows of the others before the first move: of the game, its rules, and its own discount."""

    @abc.abstractmethod
    def predict(self, state: State, executed: Profile, player: int) -> Float[AnyArray, "R C"]:
        """The belief of `player`. Only an exact model reads `executed`, the policies (R, A_j) that are played now."""

    @abc.abstractmethod
    def update(self, state: State, moves: Moves, player: int) -> State:
        """Learn from moves that `player` saw."""

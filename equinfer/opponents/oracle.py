"""Opponents that are known exactly."""

from typing import Any, ClassVar

from jaxtyping import Float

from equinfer.contraction import context_law
from equinfer.opponents.moves import Moves
from equinfer.opponents.protocol import AbstractOpponentModel
from equinfer.types import AnyArray, Profile

__all__ = ["Oracle"]


class Oracle(AbstractOpponentModel[tuple[()]]):
    r"""$\rho_i=\pi_{-i}$, what the others execute: the $V^{*i}$ of Def. 5.4, and what a planner may assume."""

    name: ClassVar[str] = "oracle"
    is_exact: ClassVar[bool] = True

    def init(self, game: Any, player: int) -> tuple[()]:
        return ()

    def predict(self, state: tuple[()], executed: Profile, player: int) -> Float[AnyArray, "R C"]:
        return context_law(executed, player)

    def update(self, state: tuple[()], moves: Moves, player: int) -> tuple[()]:
        return state

"""A two-player one-shot game as the pivoting and enumerating solvers see it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from equinfer.errors import BadInput
from equinfer.solvers.tabular.stage_games import is_equilibrium, load
from equinfer.types import Profile

__all__ = ["OneShotGame"]


@dataclass(frozen=True, eq=False)
class OneShotGame:
    """Payoffs of the legal actions only, each player's brought to [0, 1], and the way back to the game's profiles."""

    row_payoff: Float[np.ndarray, "m n"]
    """Of player 0."""
    column_payoff: Float[np.ndarray, "n m"]
    """Of player 1, transposed."""
    tolerance: Float[np.ndarray, " 2"]
    """Largest gain, in these payoffs, that is no gain: per player."""
    actions: tuple[Int[np.ndarray, " m"], Int[np.ndarray, " n"]]
    """The legal actions of each player, as the game numbers them."""
    num_actions: tuple[int, int]
    horizon: int | None

    @classmethod
    def of(cls, game: Any, solver: str) -> "OneShotGame":
        """The form of a `TabularGame`. **Raises:** `BadInput` unless it is a two-player one-shot game."""
        if game.num_players != 2:
            raise BadInput(f"{solver} solves two-player games; this one has {game.num_players} players.")
        if not game.is_one_shot or game.num_states > 1:
            raise BadInput(
                f"{solver} solves one-shot games (one state, and discount 0 or one epoch); this one has "
                f"{game.num_states} states, horizon {game.horizon} and discounts {np.asarray(game.discount).tolist()}."
            )
        masks = [np.asarray(mask) for mask in game.legal]
        width = max(mask.shape[1] for mask in masks)
        orders, legal = np.zeros((2, 1, width), np.int64), np.zeros((2, 1), np.int64)
        actions = np.flatnonzero(masks[0][0]), np.flatnonzero(masks[1][0])
        for i, chosen in enumerate(actions):
            orders[i, 0, : len(chosen)], legal[i, 0] = chosen, len(chosen)
        table = np.ascontiguousarray(game.reward, np.float64).reshape(2, 1, -1)
        payoffs, sizes, tolerance = load(table, np.array(game.num_actions, np.int64), orders, legal, 0)
        row, column = (payoff.reshape(sizes) for payoff in payoffs)
        return cls(
            np.ascontiguousarray(row),
            np.ascontiguousarray(column.T),
            tolerance,
            actions,
            game.num_actions,
            game.horizon,
        )

    def is_equilibrium(self, policy: Float[np.ndarray, "2 A"]) -> bool:
        """Nobody gains more than the tolerance against `policy`, padded rows of both players' legal actions."""
        payoffs = np.stack([self.row_payoff.ravel(), self.column_payoff.T.ravel()])
        return bool(is_equilibrium(payoffs, np.array(self.row_payoff.shape), policy, self.tolerance))

    def profile(self, policy: Float[np.ndarray, "2 A"]) -> Profile:
        """`policy` as a profile of the game: ([1,] 1, A_i) per player, zero on illegal actions."""
        lead = (1,) if self.horizon is None else (1, 1)
        whole = tuple(np.zeros((*lead, size)) for size in self.num_actions)
        for out, chosen, mixture in zip(whole, self.actions, policy, strict=True):
            out[..., chosen] = mixture[: len(chosen)]
        return whole

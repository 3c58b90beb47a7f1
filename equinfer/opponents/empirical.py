"""Opponents that are learnt by counting."""

from typing import Any, ClassVar, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.arguments import check_ranges
from equinfer.contraction import context_law
from equinfer.opponents.moves import Moves, kept_share
from equinfer.opponents.protocol import AbstractOpponentModel
from equinfer.types import AnyArray, Profile

__all__ = ["Empirical"]

Counts: TypeAlias = tuple[Float[Array, "R _"], ...]


class Empirical(AbstractOpponentModel[Counts]):
    r"""Dirichlet counts per other player and decision point; the belief is the product of their means.

    $\rho_i^j(a\mid s)=\frac{\kappa/n_j+\#(s,a)}{\kappa+\#(s)}$ over the $n_j$ legal actions. The state of the model is
    one array (R, A_j) of counts per other player, the prior included.
    """

    name: ClassVar[str] = "empirical"
    is_exact: ClassVar[bool] = False

    concentration: float = 1.0
    """The prior weight $\\kappa$ of a decision point, in observed moves, spread evenly over the legal actions."""
    forgetting: float = 0.0
    """The share of a decision point's counts that is dropped at each move seen there, in [0, 1). Others who learn are
    not stationary: 0 remembers for ever, 0.01 about the last hundred moves."""
    renewal: float = 0.0
    """As in `Inferred`: how much of an old move a new one replaces, in [0, 1)."""

    def __check_init__(self) -> None:
        check_ranges(self, {"concentration": "(0, inf)", "forgetting": "[0, 1)", "renewal": "[0, 1)"})

    def init(self, game: Any, player: int) -> Counts:
        epochs = game.horizon or 1
        masks = (jnp.tile(jnp.asarray(legal, float), (epochs, 1)) for j, legal in enumerate(game.legal) if j != player)
        return tuple(self.concentration * mask / jnp.sum(mask, axis=1, keepdims=True) for mask in masks)

    def predict(self, state: Counts, executed: Profile, player: int) -> Float[AnyArray, "R C"]:
        means = [counts / jnp.sum(counts, axis=1, keepdims=True) for counts in state]
        return context_law((*means[:player], executed[player], *means[player:]), player)

    def update(self, state: Counts, moves: Moves, player: int) -> Counts:
        def updated(counts: Float[Array, "R A"], actions: Int[AnyArray, " W"]) -> Float[Array, "R A"]:
            seen = jnp.zeros_like(counts).at[moves.rows, actions].add(1.0)
            kept = kept_share(jnp.sum(counts, axis=1), jnp.sum(seen, axis=1), self.forgetting, self.renewal)
            return kept[:, None] * counts + seen

        return tuple(updated(counts, moves.others[:, m]) for m, counts in enumerate(state))

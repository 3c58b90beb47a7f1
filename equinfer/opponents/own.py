"""Opponents who are thought to want what one wants oneself."""

from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Float

from equinfer.arguments import check_ranges
from equinfer.contraction import context_law
from equinfer.equations.information import logarithm
from equinfer.equations.response import soft_best_response
from equinfer.equations.reward_inference import soft_policy_iteration
from equinfer.opponents.inferred import prior_rows
from equinfer.opponents.moves import Moves, Statistics, gathered, kernel_of, no_statistics
from equinfer.opponents.protocol import AbstractOpponentModel
from equinfer.types import AnyArray, Profile

__all__ = ["Own", "Partner"]


class Partner(NamedTuple):
    """What is thought of one other player."""

    seen: Statistics
    value: Float[AnyArray, " R"]
    """One's own soft value, if that player were to choose."""
    policy: Float[AnyArray, "R A"]
    prior: Float[AnyArray, "R A"]
    discount: Float[AnyArray, ""]


class Own(AbstractOpponentModel[tuple[Partner, ...]]):
    r"""The posterior (5) with $\hat r^j=r^i$: the others share my payoff, as ROMMEO assumes (Tian et al. 2019).

    My reward for an action of $j$ is the mean of what I earned when $j$ took it, which averages over what I and the
    rest did. Right in games of identical interest, wrong elsewhere: a foil for inference.
    """

    name: ClassVar[str] = "own"
    is_exact: ClassVar[bool] = False

    temperature: float = 0.1
    """That of the others, in units of one's own reward."""
    forgetting: float = 0.0
    """As in `Inferred`."""
    renewal: float = 0.5
    """As in `Inferred`."""

    def __check_init__(self) -> None:
        check_ranges(self, {"temperature": "(0, inf)", "forgetting": "[0, 1)", "renewal": "[0, 1)"})

    def init(self, game: Any, player: int) -> tuple[Partner, ...]:
        discount = jnp.asarray(game.discount)[player]
        partners = []
        for other in range(game.num_players):
            if other != player:
                prior = prior_rows(game, other, None)
                seen = no_statistics(len(prior), game.num_actions, other)
                partners.append(Partner(seen, jnp.zeros(len(prior)), prior, prior, discount))
        return tuple(partners)

    def predict(self, state: tuple[Partner, ...], executed: Profile, player: int) -> Float[AnyArray, "R C"]:
        policies = [each.policy for each in state]
        return context_law((*policies[:player], executed[player], *policies[player:]), player)

    def update(self, state: tuple[Partner, ...], moves: Moves, player: int) -> tuple[Partner, ...]:
        others = [j for j in range(1 + len(state)) if j != player]
        return tuple(
            self._improved(each._replace(seen=gathered(each.seen, moves, player, j, self.forgetting, self.renewal)))
            for j, each in zip(others, state, strict=True)
        )

    def _improved(self, each: Partner) -> Partner:
        count = each.seen.actions
        reward = jnp.where(count > 0, each.seen.reward / jnp.where(count > 0, count, 1.0), 0.0)
        problem = (reward, kernel_of(each.seen), each.discount)
        value = soft_policy_iteration(each.value, *problem, self.temperature, logarithm(each.prior))
        q = reward + each.discount * (problem[1] @ value)
        policy = soft_best_response(q, self.temperature, each.prior, each.prior > 0)
        return each._replace(value=value, policy=jnp.asarray(policy))

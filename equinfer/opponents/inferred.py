"""Opponents whose rewards are inferred from what they do."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from equinfer.arguments import check_ranges
from equinfer.contraction import context_law
from equinfer.equations.information import logarithm
from equinfer.equations.response import soft_best_response
from equinfer.equations.reward_inference import inverse_soft_backup, scoring_step, smallest_reward, table_step
from equinfer.errors import BadInput
from equinfer.opponents.moves import Moves, Statistics, gathered, kernel_of, no_statistics
from equinfer.opponents.protocol import AbstractOpponentModel
from equinfer.types import AnyArray, Profile

__all__ = ["AbstractInferred", "Inference", "Inferences", "Inferred", "InferredFlat", "prior_rows"]


class Inference(NamedTuple):
    """What is thought of one other player."""

    seen: Statistics
    parameters: Float[AnyArray, "..."]
    r"""$\theta$ (F,) of $\hat r=\phi\,\theta$; of a free table the soft action values (R, A), which determine it."""
    value: Float[AnyArray, " R"]
    """Near the soft values of the inferred rewards: where the next improvement starts."""
    policy: Float[AnyArray, "R A"]
    """The posterior (5)."""
    prior: Float[AnyArray, "R A"]
    discount: Float[AnyArray, ""]


Inferences = tuple[Inference, ...]
"""One per other player, in order."""


class AbstractInferred(AbstractOpponentModel[Inferences]):
    r"""Reward inference by the causal maximum-entropy likelihood: $p_j$ is the posterior (5) of rewards $\hat r^j$ that
    explain the actions seen of player $j$.

    Whoever infers sees states, the others' actions and its own, and its own rewards, which it does not use here. How
    states follow is counted; what $j$ expects of the rest is what the rest was seen to do; $j$ is thought to discount
    as one does oneself. Rewards are in units of $j$'s temperature, which its actions cannot tell apart from them.

    Each call of `update` is one improvement of the fit. A free table takes a step of one over its curvature, features
    a step of Fisher scoring; `refined` makes more of them without new moves.
    """

    looks_ahead: ClassVar[bool]

    features: tuple[Float[AnyArray, "..."], ...] | None = None
    r"""Per player $\phi^j$ (S, A_1, ..., A_N, F_j), rewards $\hat r^j(s,a)=\phi^j(s,a)\,\theta^j$ of *joint* actions;
    one's own entry is not read. None is the free table $\hat r^j(s,a^j)$."""
    prior: Profile | None = None
    r"""The prior policies $\tilde\pi_j$, arrays ([H,] S, A_j), one per player; None is uniform over legal actions."""
    ridge: float = 0.1
    r"""Precision $\lambda$ of the prior of rewards, a normal law around 0: weight of $\frac12|\hat r|^2$ (of the
    parameters $\frac12|\theta|^2$) against one observed move."""
    forgetting: float = 0.0
    """The share of what was seen at a decision point that is dropped at each move seen there, in [0, 1): for others who
    never settle. 0 drops nothing."""
    renewal: float = 0.5
    """How much of an old move a new one replaces, in [0, 1): for others who learn and settle. At 0.5 half of the moves
    seen at a decision point count, recent ones more; 0 remembers all alike."""

    def __check_init__(self) -> None:
        check_ranges(self, {"ridge": "(0, inf)", "forgetting": "[0, 1)", "renewal": "[0, 1)"})

    def init(self, game: Any, player: int) -> Inferences:
        if self.features is not None:
            _check_features(self.features, game.num_actions, game.num_states)
        discount = jnp.asarray(game.discount)[player] if self.looks_ahead else jnp.asarray(0.0)
        inferences = []
        for other in _others(game.num_players, player):
            prior = prior_rows(game, other, self.prior)
            num_rows, _ = prior.shape
            start = jnp.zeros_like(prior) if self.features is None else jnp.zeros(self.features[other].shape[-1])
            inferences.append(
                Inference(
                    no_statistics(num_rows, game.num_actions, other), start, jnp.zeros(num_rows), prior, prior, discount
                )
            )
        return tuple(inferences)

    def predict(self, state: Inferences, executed: Profile, player: int) -> Float[AnyArray, "R C"]:
        policies = [each.policy for each in state]
        return context_law((*policies[:player], executed[player], *policies[player:]), player)

    def update(self, state: Inferences, moves: Moves, player: int) -> Inferences:
        others = _others(1 + len(state), player)
        return tuple(
            self._improved(each._replace(seen=gathered(each.seen, moves, player, j, self.forgetting, self.renewal)), j)
            for j, each in zip(others, state, strict=True)
        )

    def refined(self, state: Inferences, player: int, times: int) -> Inferences:
        """The fit after so many more improvements on what has been seen."""

        def once(_: Any, state: Inferences) -> Inferences:
            others = _others(1 + len(state), player)
            return tuple(self._improved(each, j) for j, each in zip(others, state, strict=True))

        return lax.fori_loop(0, times, once, state)

    def rewards(self, state: Inferences, player: int) -> tuple[Float[Array, "R A"], ...]:
        r"""$\hat r^j(s,a^j)$ of each other player, averaged over what the rest was seen to do; $\tau_j=1$.

        Of the free tables that explain the same play, the smallest in mean square: what the prior prefers.
        """
        others = _others(1 + len(state), player)
        return tuple(self._reward(each, j) for j, each in zip(others, state, strict=True))

    def _reward(self, each: Inference, other: int) -> Float[Array, "R A"]:
        if self.features is None:
            kernel, legal = kernel_of(each.seen), each.prior > 0
            reward = inverse_soft_backup(each.parameters, kernel, each.discount, logarithm(each.prior))
            return smallest_reward(reward, kernel, each.discount, legal)
        return self._mean_features(each, other) @ each.parameters

    def _improved(self, each: Inference, other: int) -> Inference:
        kernel, log_prior = kernel_of(each.seen), logarithm(each.prior)
        if self.features is None:
            q = table_step(each.parameters, each.seen.actions, kernel, each.discount, log_prior, self.ridge)
            return each._replace(parameters=q, policy=_response(q, each.prior))
        features = self._mean_features(each, other)
        parameters, value = scoring_step(
            each.parameters, each.value, features, each.seen.actions, kernel, each.discount, log_prior, self.ridge
        )
        q = features @ parameters + each.discount * (kernel @ value)
        return each._replace(parameters=parameters, value=value, policy=_response(q, each.prior))

    def _mean_features(self, each: Inference, other: int) -> Float[Array, "R A F"]:
        """The features of player `other`, averaged over what the rest was seen to do, or evenly."""
        assert self.features is not None
        table = jnp.moveaxis(jnp.asarray(self.features[other]), 1 + other, -2)
        table = table.reshape(table.shape[0], -1, *table.shape[-2:])
        rest = each.seen.rest.reshape(each.seen.rest.shape[0], -1)
        total = jnp.sum(rest, axis=1, keepdims=True)
        law = jnp.where(total > 0, rest / jnp.where(total > 0, total, 1.0), 1 / rest.shape[1])
        by_epoch = law.reshape(-1, len(table), rest.shape[1])
        return jnp.einsum("hsc,scaf->hsaf", by_epoch, table).reshape(-1, *table.shape[2:])


class Inferred(AbstractInferred):
    """Reward inference for players who look ahead as far as one does oneself."""

    name: ClassVar[str] = "inferred"
    is_exact: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = True


class InferredFlat(AbstractInferred):
    """Reward inference for players who look at the present reward alone: a soft response in each state by itself."""

    name: ClassVar[str] = "inferred-flat"
    is_exact: ClassVar[bool] = False
    looks_ahead: ClassVar[bool] = False


def prior_rows(game: Any, player: int, prior: Profile | None) -> Float[Array, "R A"]:
    """The prior policy of `player` at every decision point: uniform over legal actions unless there is one."""
    legal = jnp.asarray(game.legal[player])
    weights = legal.astype(float)
    if prior is not None:
        weights = jnp.where(legal, jnp.asarray(prior[player], float), 0.0)
    rows = jnp.broadcast_to(weights, (game.horizon or 1, *legal.shape)).reshape(-1, legal.shape[1])
    return rows / jnp.sum(rows, axis=1, keepdims=True)


def _others(num_players: int, player: int) -> Iterator[int]:
    return (j for j in range(num_players) if j != player)


def _response(q: Float[AnyArray, "R A"], prior: Float[AnyArray, "R A"]) -> Float[jax.Array, "R A"]:
    """Equation (5), the average over the rest being taken already."""
    return jnp.asarray(soft_best_response(q, 1.0, prior, prior > 0))


def _check_features(features: tuple[AnyArray, ...], num_actions: tuple[int, ...], num_states: int) -> None:
    expected = (num_states, *num_actions)
    if len(features) != len(num_actions):
        raise BadInput(f"features must hold one array per player, {len(num_actions)}; got {len(features)}.")
    for j, table in enumerate(features):
        if table.shape[:-1] != expected:
            shape = ", ".join(map(str, expected))
            raise BadInput(f"features[{j}] must have shape ({shape}, F); got {table.shape}.")

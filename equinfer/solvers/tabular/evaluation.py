"""Exact soft evaluation of what players plan on, and the a-posteriori bound on the gap of what they execute.

Arrays over decision points have R rows: a row is a state, or in a finite-horizon game an epoch and a state, epoch by
epoch (R = S or H S). The kernel is read twice, whatever the horizon: once for the chains, once for the action values.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from equinfer.contraction import context_law, product_law, seen_by
from equinfer.equations.backup import evaluate_soft, evaluate_soft_finite_horizon, soft_action_value
from equinfer.equations.bounds import a_posteriori_gap, a_posteriori_gap_finite_horizon, soft_residual
from equinfer.equations.information import entropy
from equinfer.games.chains import AbstractChain
from equinfer.policies import Marginal
from equinfer.types import AnyArray, Profile, ScalarLike

__all__ = ["SoftEvaluation", "evaluate", "evaluate_executed", "gap_bound", "legal_rows"]


class SoftEvaluation(NamedTuple):
    """What a plan is worth to each player, in units of reward."""

    q: Float[AnyArray, "N R *A"]
    """Soft action values of joint actions, Definition 5.1."""
    bonus_to_go: Float[AnyArray, "N R"]
    """The part of the soft values that is bonus: $E\\sum_t\\gamma^t b(s_t)$."""


def evaluate(game: Any, laws: Float[AnyArray, "L R *A"], bonus: Float[AnyArray, "N R"]) -> SoftEvaluation:
    """Soft evaluation of the laws of joint actions on which the players plan: one law for all (L = 1), or one each.

    **Arguments:** `bonus` is what a player earns at a decision point beside the expected reward, such as
    `temperature * entropy(policy)`.
    """
    grid = (game.horizon or 1, game.num_states)
    laws = laws.reshape(-1, *grid, *game.num_actions)
    reward = jnp.asarray(game.reward)[:, None]
    joint_axes = tuple(range(3, laws.ndim))
    expected_reward = jnp.sum(laws * reward, axis=joint_axes)
    bonus = bonus.reshape(-1, *grid)
    chains = game.kernel.induced_by(laws)
    value, bonus_to_go = _to_go(jnp.stack([expected_reward + bonus, bonus]), chains, len(laws), game)
    later = value
    if game.horizon is not None:
        later = jnp.concatenate([value[:, 1:], jnp.zeros_like(value[:, :1])], axis=1)
    expected_later = game.kernel.expect(later)
    q = jax.vmap(soft_action_value)(
        jnp.broadcast_to(reward, expected_later.shape), expected_later, jnp.asarray(game.discount)
    )
    return SoftEvaluation(q.reshape(len(q), -1, *game.num_actions), bonus_to_go.reshape(len(q), -1))


def evaluate_executed(game: Any, profile: Profile, temperature: ScalarLike) -> SoftEvaluation:
    """Soft evaluation of a product of policies (R, A_i) that everybody knows, with each player's own entropy."""
    bonus = temperature * jnp.stack([entropy(policy) for policy in profile])
    return evaluate(game, product_law(profile)[None], bonus)


def gap_bound(game: Any, profile: Profile, temperature: ScalarLike, evaluation: SoftEvaluation) -> Float[AnyArray, ""]:
    """Theorem A': no player can gain more than this by deviating from `profile`, however it was found.

    **Arguments:** `evaluation` is `evaluate_executed(game, profile, temperature)`.
    """
    residuals = []
    for i, policy in enumerate(profile):
        q = Marginal().look(seen_by(evaluation.q[i], i), context_law(profile, i))[:, 0]
        legal = legal_rows(game, i)
        residuals.append(soft_residual(q, policy, temperature, legal.astype(policy.dtype), legal))
    discount = jnp.asarray(game.discount)
    if game.horizon is None:
        return jnp.max(a_posteriori_gap(evaluation.bonus_to_go, jnp.stack(residuals), discount))
    by_epoch = (jnp.stack(residuals), evaluation.bonus_to_go)
    residual, bonus = (array.reshape(len(profile), game.horizon, -1).swapaxes(0, 1) for array in by_epoch)
    return jnp.max(a_posteriori_gap_finite_horizon(bonus, residual, discount))


def legal_rows(game: Any, player: int) -> Bool[Array, "R A"]:
    """The legal actions of `player` at every decision point."""
    return jnp.tile(jnp.asarray(game.legal[player]), (game.horizon or 1, 1))


def _to_go(
    rewards: Float[AnyArray, "B N H S"], chains: AbstractChain, num_laws: int, game: Any
) -> Float[AnyArray, "B N H S"]:
    """Discounted sums of rewards along chains (L, H); the players of a chain are evaluated together."""
    discount = jnp.asarray(game.discount)
    parts = []
    for law, players in enumerate(np.split(np.arange(len(discount)), num_laws)):
        reward, rate = rewards[:, players], discount[players]
        if game.horizon is None:
            parts.append(evaluate_soft(reward[:, :, 0], chains.at((law, 0)), rate)[:, :, None])
        else:
            batch, num, *grid = reward.shape
            epochs = jnp.moveaxis(reward.reshape(batch * num, *grid), 1, 0)
            values = evaluate_soft_finite_horizon(epochs, chains.at(law), jnp.tile(rate, batch))
            parts.append(jnp.moveaxis(values, 0, 1).reshape(batch, num, *grid))
    return jnp.concatenate(parts, axis=1)

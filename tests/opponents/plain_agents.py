"""Data for opponent models, by plain NumPy: an agent who acts by the soft Bellman equations, and what is seen of it."""

import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from equinfer.opponents import Moves


def soft_policy(game, agent, others, temperature):
    """The soft best response of `agent` (of two) to the policy `others` (S, A), by soft value iteration."""
    reward, kernel = np.asarray(game.reward)[agent], np.asarray(game.kernel.probabilities)
    average = "sab,sb->sa" if agent == 0 else "sab,sa->sb"
    reward = np.einsum(average, reward, others)
    kernel = np.einsum(average.replace("sab", "sabt") + "t", kernel, others)
    legal = np.asarray(game.legal[agent])
    with np.errstate(divide="ignore"):
        log_prior = np.log(legal / legal.sum(axis=1, keepdims=True))
    value, discount = np.zeros(len(reward)), float(np.asarray(game.discount)[agent])
    for _ in range(1 if discount == 0 else 1 + int(-40 / np.log(discount))):
        scores = (reward + discount * kernel @ value) / temperature + log_prior
        value = temperature * logsumexp(scores, axis=1)
    return np.exp(scores - logsumexp(scores, axis=1)[:, None])


def seen_by(game, player, profile, rows, rng):
    """What `player` of two sees of one move in each of `rows`, when `profile` is played."""
    actions = np.stack([_drawn(policy[rows], rng) for policy in profile], axis=1)
    following = _drawn(np.asarray(game.kernel.probabilities)[(rows, *actions.T)], rng)
    reward = np.asarray(game.reward)[(player, rows, *actions.T)]
    other = actions[:, [1 - player]]
    arrays = (rows, actions[:, player], other, other[:, 0], reward, following, np.ones(len(rows), bool))
    return Moves(*map(jnp.asarray, arrays))


def _drawn(laws, rng):
    cumulated = np.cumsum(laws, axis=1)
    return np.minimum((rng.random((len(laws), 1)) > cumulated).sum(axis=1), laws.shape[1] - 1)

"""Soft equilibria of two-player games by plain NumPy, sharing nothing with the library: references for the solvers."""

import numpy as np
from scipy.optimize import root
from scipy.special import softmax, xlogy

OTHERS = ("sab,sb->sa", "sab,sa->sb")
"""Average over the other player's action."""


def soft_response(game, i, other, later, temperature, magnet=None):
    """The soft best response of player i to `other`, where a state is worth `later` (S,) afterwards."""
    q = game.reward[i] + game.discount[i] * game.kernel.probabilities @ later
    prior = game.legal[i].astype(float) if magnet is None else magnet[i]
    with np.errstate(divide="ignore"):
        return softmax(np.log(prior) + np.einsum(OTHERS[i], q, other) / temperature, axis=1)


def stage(game, i, profile, temperature, magnet=None, team=False):
    """Expected reward and entropy bonus of player i in every state, and the chain of the profile."""
    law = np.einsum("sa,sb->sab", *profile)
    priors = [np.ones_like(policy) for policy in profile] if magnet is None else magnet
    bonus = [np.sum(xlogy(p, prior) - xlogy(p, p), axis=1) for p, prior in zip(profile, priors, strict=True)]
    reward = np.einsum("sab,sab->s", law, game.reward[i]) + temperature * (sum(bonus) if team else bonus[i])
    return reward, np.einsum("sab,sabt->st", law, game.kernel.probabilities)


def soft_values(game, i, profile, temperature, magnet=None, team=False):
    reward, chain = stage(game, i, profile, temperature, magnet, team)
    return np.linalg.solve(np.eye(len(chain)) - game.discount[i] * chain, reward)


def quantal_response(game, temperature, magnet=None):
    """The logit equilibrium of a discounted game, by root finding on the policies from the uniform ones."""
    shapes = [legal.shape for legal in game.legal]

    def split(x):
        return [part.reshape(shape) for part, shape in zip(np.split(x, [np.prod(shapes[0])]), shapes, strict=True)]

    def residual(x):
        profile = [np.abs(policy) for policy in split(x)]
        values = [soft_values(game, i, profile, temperature, magnet) for i in range(2)]
        answers = [soft_response(game, i, profile[1 - i], values[i], temperature, magnet) for i in range(2)]
        return x - np.concatenate([answer.ravel() for answer in answers])

    x = root(residual, np.concatenate([policy.ravel() for policy in game.uniform_profile()])).x
    for _ in range(200):
        x = x - residual(x) / 2
    assert np.abs(residual(x)).max() < 1e-14
    return split(x)


def quantal_response_by_epochs(game, temperature):
    """The same with a finite horizon: backwards, a stage game at a time, by damped iteration."""
    later, policies = np.zeros((2, game.num_states)), []
    for _ in range(game.horizon):
        profile = list(game.uniform_profile())
        for _ in range(2000):
            answers = [soft_response(game, i, profile[1 - i], later[i], temperature) for i in range(2)]
            profile = [(p + q) / 2 for p, q in zip(profile, answers, strict=True)]
        assert max(np.abs(p - q).max() for p, q in zip(profile, answers, strict=True)) < 1e-13
        stages = [stage(game, i, profile, temperature) for i in range(2)]
        later = np.stack([r + game.discount[i] * chain @ later[i] for i, (r, chain) in enumerate(stages)])
        policies.append(profile)
    return [np.stack(epochs[::-1]) for epochs in zip(*policies, strict=True)]

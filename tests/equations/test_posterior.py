"""Prop. 5.9 with eq. (5), and the weights of (6)-(7)."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import random_law

from equinfer.equations.information import kl_divergence
from equinfer.equations.posterior import (
    effective_sample_size,
    normalised_weights,
    opponent_posterior,
    reward_inference_loss,
    trajectory_log_weights,
    truncated_log_weights,
)

fixed = settings(max_examples=40)
seeds = st.integers(0, 2**32 - 1)
log_weights = st.lists(st.floats(-300, 300), min_size=2, max_size=8).map(np.array)


@fixed
@given(seeds)
def test_equation_5_as_printed(seed):
    rng = np.random.default_rng(seed)
    q, expectation, prior = rng.normal(size=(2, 3, 4)), random_law(rng, 2, 3), random_law(rng, 2, 4)
    weights = np.exp(np.einsum("sc,sca->sa", expectation, q))  # the paper's unit, temperature 1
    expected = prior * weights / (prior * weights).sum(1, keepdims=True)
    found = opponent_posterior(q, expectation, 1.0, prior, np.ones((2, 4), bool))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@fixed
@given(seeds)
def test_posterior_has_the_largest_evidence_bound(seed):
    """Gibbs' variational principle, the proof of Prop. 5.9: nothing has more of E[Q] - tau KL(p | prior)."""
    rng = np.random.default_rng(seed)
    q, expectation, prior = rng.normal(size=(2, 3, 4)), random_law(rng, 2, 3), random_law(rng, 2, 4)

    def bound(law):
        return np.einsum("sa,sc,sca->s", law, expectation, q) - 0.4 * kl_divergence(law, prior)

    best = bound(opponent_posterior(q, expectation, 0.4, prior, np.ones((2, 4), bool)))
    assert all((bound(random_law(rng, 2, 4)) <= best).all() for _ in range(10))


@fixed
@given(log_weights, st.floats(-100, 100))
def test_weights_are_a_law_whatever_their_scale(logs, shift):
    weights = normalised_weights(logs)
    assert weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(normalised_weights(logs + shift), weights, rtol=1e-9, atol=1e-300)
    assert 1 - 1e-12 <= effective_sample_size(logs) <= len(logs) + 1e-9


def test_effective_sample_size_by_hand():
    assert effective_sample_size(np.zeros(7)) == pytest.approx(7.0)
    assert effective_sample_size(np.log([1.0, 2.0])) == pytest.approx(9 / 5)
    assert effective_sample_size(np.array([0.0, -1000.0])) == pytest.approx(1.0)


@fixed
@given(log_weights)
def test_truncation_cuts_only_what_exceeds_root_k_means(logs):
    cut = truncated_log_weights(logs)
    limit = np.log(np.mean(np.exp(logs - logs.max()))) + logs.max() + 0.5 * np.log(len(logs))
    np.testing.assert_allclose(cut, np.minimum(logs, limit), rtol=1e-12, atol=1e-12)
    assert effective_sample_size(cut) >= effective_sample_size(logs) - 1e-9


def test_weights_by_hand():
    reward, log_ratio = np.array([[1.0, 2.0], [3.0, 0.0]]), np.array([[0.1, 0.2], [0.3, 0.0]])
    found = trajectory_log_weights(reward, log_ratio, 0.5, 2.0)
    np.testing.assert_allclose(found, [2.0 / 2 - 0.3, 3.0 / 2 - 0.3], rtol=1e-14)


def test_gradient_of_6_is_7():
    rng = np.random.default_rng(0)
    features, data = jnp.asarray(rng.normal(size=(6, 4, 3))), jnp.asarray(rng.normal(size=(5, 4, 3)))
    log_ratio = jnp.asarray(rng.normal(size=(6, 4)))
    powers = 0.9 ** jnp.arange(4, dtype=float)

    def loss(parameters):
        weights = trajectory_log_weights(features @ parameters, log_ratio, 0.9, 1.0)
        return reward_inference_loss((data @ parameters) @ powers, weights, 1.0)

    at = jnp.asarray([0.3, -0.2, 0.5])
    weights = normalised_weights(trajectory_log_weights(features @ at, log_ratio, 0.9, 1.0))
    expected = -jnp.einsum("bth,t->h", data, powers) / 5 + jnp.einsum("k,kth,t->h", weights, features, powers)
    np.testing.assert_allclose(jax.grad(loss)(at), expected, rtol=1e-12)


def test_weights_make_the_model_the_maximum_entropy_law():
    """Where dynamics are deterministic, E_p[w f] / Z is the expectation under prior * exp(return), whatever p is."""
    rng = np.random.default_rng(1)
    reward, prior, proposal = rng.normal(size=(2, 2, 2)), random_law(rng, 2, 2), random_law(rng, 2, 2)
    statistic = rng.normal(size=(2, 2))
    paths = list(itertools.product(range(2), repeat=2))  # the state is the last action, 0 at first

    def of(table, path):
        return [table[state, action] for state, action in zip((0, path[0]), path, strict=True)]

    returns = np.array([of(reward[0], path) for path in paths])
    proposed = np.array([np.prod(of(proposal, path)) for path in paths])
    log_ratio = np.array([np.log(of(proposal, path)) - np.log(of(prior, path)) for path in paths])
    values = np.array([sum(of(statistic, path)) for path in paths])
    tilted = np.array([np.prod(of(prior, path)) for path in paths]) * np.exp(returns.sum(1) / 0.6)

    weights = np.exp(trajectory_log_weights(returns, log_ratio, 1.0, 0.6))
    estimate = (proposed * weights * values).sum() / (proposed * weights).sum()
    assert estimate == pytest.approx((tilted * values).sum() / tilted.sum(), rel=1e-12)

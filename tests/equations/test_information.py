"""Entropy, divergence, mutual information."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import random_law

from equinfer.equations.information import (
    entropy,
    kl_divergence,
    kl_divergence_of_logs,
    logarithm,
    mutual_information,
    total_variation,
)

fixed = settings(max_examples=60)
seeds = st.integers(0, 2**32 - 1)


def test_entropy_of_known_laws():
    laws = np.array([[0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]])
    np.testing.assert_allclose(entropy(laws), [np.log(4), 0.0, np.log(2)], rtol=1e-15)


def test_divergence_by_hand_and_infinite_where_not_covered():
    p, q = np.array([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]]), np.array([[0.25, 0.75], [1.0, 0.0], [0.25, 0.75]])
    np.testing.assert_allclose(kl_divergence(p, q), [0.5 * np.log(4 / 3), np.inf, np.log(4)], rtol=1e-15)


def test_divergence_of_logarithms_is_the_same_and_does_not_underflow():
    p, q = (
        np.array([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0], [1.0, 0.0]]),
        np.array([[0.25, 0.75], [1, 0], [0.25, 0.75], [1, 0]]),
    )
    np.testing.assert_allclose(kl_divergence_of_logs(logarithm(p), logarithm(q)), kl_divergence(p, q), rtol=1e-15)
    np.testing.assert_allclose(kl_divergence_of_logs(logarithm(p), np.zeros((4, 2))), -entropy(p), rtol=1e-15)
    # The second law plays the first action with a probability of e^-1000, which is 0 in double precision.
    lost = kl_divergence_of_logs(np.log([[0.5, 0.5]]), np.array([[-1000.0, 0.0]]))
    np.testing.assert_allclose(lost, [500 - np.log(2)], rtol=1e-15)
    np.testing.assert_array_equal(logarithm(np.ones(3), np.array([True, False, True])), [0.0, -np.inf, 0.0])


@fixed
@given(seeds)
def test_divergence_is_positive_and_obeys_pinsker(seed):
    rng = np.random.default_rng(seed)
    p, q = random_law(rng, 5, 3), random_law(rng, 5, 3)
    assert (kl_divergence(p, q) >= 2 * total_variation(p, q) ** 2).all()
    np.testing.assert_allclose(kl_divergence(p, p), 0.0, atol=1e-16)
    assert (total_variation(p, q) <= 1).all()


@fixed
@given(seeds)
def test_divergence_from_uniform_is_missing_entropy(seed):
    p = random_law(np.random.default_rng(seed), 5, 3)
    np.testing.assert_allclose(kl_divergence(p, np.full_like(p, 1 / 3)), np.log(3) - entropy(p), rtol=1e-10, atol=1e-14)


@fixed
@given(seeds)
def test_mutual_information_is_the_average_divergence_from_what_is_executed(seed):
    rng = np.random.default_rng(seed)
    policy, belief = random_law(rng, 2, 4, 3), random_law(rng, 2, 4)
    executed = np.einsum("sc,sca->sa", belief, policy)
    expected = np.einsum("sc,sc->s", belief, kl_divergence(policy, np.repeat(executed[:, None], 4, axis=1)))
    np.testing.assert_allclose(mutual_information(policy, belief), expected, rtol=1e-9, atol=1e-14)


def test_copying_a_fair_coin_is_one_bit():
    assert mutual_information(np.eye(2)[None], np.array([[0.5, 0.5]]))[0] == pytest.approx(np.log(2))


def test_derivatives_are_finite_at_pure_policies():
    pure = jnp.array([1.0, 0.0])
    assert bool(jnp.isfinite(jax.grad(lambda p: kl_divergence(p, jnp.array([0.5, 0.5])))(pure)).all())
    assert bool(jnp.isfinite(jax.grad(lambda p: entropy(p))(pure)).all())

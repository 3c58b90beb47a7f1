"""Prop. 5.2, Prop. 5.3 with eq. (4), eq. (12) and the kernel (★)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import random_law

from equinfer.equations.backup import evaluate_soft
from equinfer.equations.information import entropy, kl_divergence
from equinfer.equations.response import log_magnet_step, magnet_step, soft_best_response, step_size_of

fixed = settings(max_examples=60)
seeds = st.integers(0, 2**32 - 1)
temperatures = st.floats(1e-3, 1e2)
steps = st.floats(0.01, 1.0)
ALL = np.ones((2, 4), bool)


def drawn(seed, scale=3.0):
    rng = np.random.default_rng(seed)
    return rng.normal(scale=scale, size=(2, 4)), random_law(rng, 2, 4), random_law(rng, 2, 4), rng


def test_two_actions_are_a_logistic():
    q = np.array([[1.0, 3.0]])
    policy = soft_best_response(q, 0.5, np.full((1, 2), 0.5), np.ones((1, 2), bool))
    assert policy[0, 1] == pytest.approx(1 / (1 + np.exp(-(3.0 - 1.0) / 0.5)), rel=1e-14)


def test_prior_odds_multiply():
    policy = soft_best_response(np.log([[1.0, 2.0, 4.0]]), 1.0, np.array([[0.5, 0.3, 0.2]]), np.ones((1, 3), bool))
    np.testing.assert_allclose(policy, [[0.5 / 1.9, 0.6 / 1.9, 0.8 / 1.9]], rtol=1e-14)


def test_extreme_values_neither_overflow_nor_leak():
    q = np.array([[1e8, 1e8 - 1.0, -1e8, np.nan]])
    legal = np.array([[True, True, True, False]])
    policy = soft_best_response(q, 1e-3, np.full((1, 4), 0.25), legal)
    np.testing.assert_array_equal(policy, [[1.0, 0.0, 0.0, 0.0]])


@fixed
@given(seeds, temperatures, steps)
def test_steps_are_policies_with_exact_zeros(seed, temperature, step_size):
    q, policy, magnet, rng = drawn(seed)
    legal = rng.random((2, 4)) < 0.7
    legal[:, 0] = True
    magnet[:, 1] = 0.0
    policy[:, 2] = 0.0
    new = magnet_step(policy, q, magnet, temperature, step_size, legal)
    np.testing.assert_allclose(new.sum(1), 1.0, rtol=1e-12)
    assert (new >= 0).all()
    assert (new[~legal] == 0).all()
    assert (new[:, 1] == 0).all()
    if step_size < 1:
        assert (new[:, 2] == 0).all()


@fixed
@given(seeds, temperatures)
def test_full_step_is_the_soft_best_response(seed, temperature):
    q, policy, magnet, _ = drawn(seed)
    policy[:, 0] = 0.0
    response = soft_best_response(q, temperature, magnet, ALL)
    np.testing.assert_allclose(magnet_step(policy, q, magnet, temperature, 1.0, ALL), response, rtol=1e-12)


@fixed
@given(seeds, temperatures, steps)
def test_soft_best_response_is_the_fixed_point(seed, temperature, step_size):
    q, _, magnet, _ = drawn(seed)
    response = soft_best_response(q, temperature, magnet, ALL)
    np.testing.assert_allclose(
        magnet_step(response, q, magnet, temperature, step_size, ALL), response, rtol=1e-9, atol=1e-290
    )


@fixed
@given(seeds, st.floats(0.1, 10.0), steps, steps)
def test_two_steps_against_the_same_values_compose(seed, temperature, first, second):
    # On logits a step is l -> (1 - c) l + c l*, so two steps are one of size 1 - (1 - c)(1 - d).
    q, policy, magnet, _ = drawn(seed)
    once = magnet_step(policy, q, magnet, temperature, first, ALL)
    twice = magnet_step(once, q, magnet, temperature, second, ALL)
    at_once = magnet_step(policy, q, magnet, temperature, 1 - (1 - first) * (1 - second), ALL)
    np.testing.assert_allclose(twice, at_once, rtol=1e-9)


@fixed
@given(seeds, temperatures, steps, st.floats(-50, 50))
def test_constants_per_state_and_unit_of_reward_do_not_matter(seed, temperature, step_size, shift):
    q, policy, magnet, _ = drawn(seed)
    new = magnet_step(policy, q, magnet, temperature, step_size, ALL)
    shifted = magnet_step(policy, q + shift, magnet, temperature, step_size, ALL)
    np.testing.assert_allclose(shifted, new, rtol=1e-13 * (1 + abs(shift)) / temperature + 1e-11, atol=1e-290)
    rescaled = magnet_step(policy, 8.0 * q, magnet, 8.0 * temperature, step_size, ALL)
    np.testing.assert_allclose(rescaled, new, rtol=1e-12, atol=1e-290)


@fixed
@given(seeds, temperatures, steps, st.permutations(range(4)))
def test_renaming_actions_commutes(seed, temperature, step_size, order):
    q, policy, magnet, _ = drawn(seed)
    new = magnet_step(policy, q, magnet, temperature, step_size, ALL)
    renamed = magnet_step(policy[:, order], q[:, order], magnet[:, order], temperature, step_size, ALL)
    np.testing.assert_allclose(renamed, new[:, order], rtol=1e-12)


@fixed
@given(seeds, st.floats(0.05, 10.0), st.floats(0.05, 0.95))
def test_step_is_magnetic_mirror_descent(seed, temperature, step_size):
    # Nothing has more of <pi, q> - tau KL(pi | magnet) - KL(pi | old) / eta_m, with c = eta_m tau / (1 + eta_m tau).
    q, policy, magnet, rng = drawn(seed)
    rate = step_size / (temperature * (1 - step_size))

    def objective(new):
        gain = (new * q).sum(1) - temperature * kl_divergence(new, magnet)
        return gain - kl_divergence(new, policy) / rate

    best = objective(magnet_step(policy, q, magnet, temperature, step_size, ALL))
    for other in (policy, magnet, *(random_law(rng, 2, 4) for _ in range(5))):
        assert (objective(other) <= best + 1e-9 * (1 + abs(best))).all()


def test_multiplicative_weights_when_the_magnet_moves_along():
    q, policy, _, _ = drawn(0)
    weights = policy * np.exp(0.3 * q)
    np.testing.assert_allclose(
        magnet_step(policy, q, policy, 1 / 0.3, 1.0, ALL), weights / weights.sum(1, keepdims=True), rtol=1e-13
    )


def test_uniform_magnet_is_the_natural_policy_gradient():
    """Prop. 5.3: theta + eta F^+ grad V in softmax parameters is eq. (4), by differentiating and inverting for real."""
    rng = np.random.default_rng(4)
    num_states, num_actions, temperature, discount, rate = 3, 3, 0.4, 0.8, 0.1
    reward = jnp.asarray(rng.normal(size=(num_states, num_actions)))
    kernel = jnp.asarray(random_law(rng, num_states, num_actions, num_states))
    start = jnp.asarray(random_law(rng, num_states))
    logits = jnp.asarray(rng.normal(size=(num_states, num_actions)))
    gamma = jnp.asarray([discount])

    def soft_values(logits):
        policy = jax.nn.softmax(logits)
        expected = (policy * reward).sum(1) + temperature * entropy(policy)
        return evaluate_soft(expected[None], jnp.einsum("sa,sat->st", policy, kernel), gamma)[0]

    policy = jax.nn.softmax(logits)
    chain = jnp.einsum("sa,sat->st", policy, kernel)
    visits = (1 - discount) * start @ jnp.linalg.inv(jnp.eye(num_states) - discount * chain)
    scores = jax.jacobian(lambda x: jax.nn.log_softmax(x).reshape(-1))(logits).reshape(9, 9)
    fisher = scores.T @ ((visits[:, None] * policy).reshape(-1, 1) * scores)
    gradient = jax.grad(lambda x: start @ soft_values(x))(logits).reshape(-1)
    ascent = jnp.linalg.pinv(fisher, rtol=1e-10) @ gradient
    expected = jax.nn.softmax(logits + rate * ascent.reshape(num_states, num_actions))

    q = reward + discount * kernel @ soft_values(logits)
    uniform = jnp.full_like(policy, 1 / num_actions)
    size = step_size_of(rate, temperature, discount)
    step = magnet_step(policy, q, uniform, temperature, size, jnp.ones_like(policy, bool))
    np.testing.assert_allclose(step, expected, rtol=1e-9)


def test_logarithms_survive_where_probabilities_die():
    q = np.array([[0.0, 1.0]])
    uniform, legal = np.full((1, 2), 0.5), np.ones((1, 2), bool)
    logs = log_magnet_step(np.log(uniform), q, np.log(uniform), 1e-3, 0.9)
    probabilities = magnet_step(uniform, q, uniform, 1e-3, 0.9, legal)
    np.testing.assert_allclose(logs, [[-900.0, 0.0]], atol=1e-12)
    assert probabilities[0, 0] == 0  # e^-900 is no double: here the first action is lost for good,
    logs = log_magnet_step(logs, -q, np.log(uniform), 1e-3, 0.9)
    probabilities = magnet_step(probabilities, -q, uniform, 1e-3, 0.9, legal)
    np.testing.assert_array_equal(probabilities, [[0.0, 1.0]])
    np.testing.assert_allclose(logs, [[0.0, -900.0 + 90.0]], atol=1e-9)  # and here it is not


def test_numpy_jax_traced_and_batched_agree_and_derivatives_are_finite():
    q, policy, magnet, _ = drawn(1)
    magnet[0, 0] = 0.0
    legal = ALL.copy()
    legal[1, 2] = False
    eager = magnet_step(policy, q, magnet, 0.3, 0.4, legal)
    arrays = [jnp.asarray(array) for array in (policy, q, magnet)]
    traced = jax.jit(magnet_step)(*arrays, 0.3, 0.4, jnp.asarray(legal))
    batched = jax.vmap(lambda p, v, m, keep: magnet_step(p, v, m, 0.3, 0.4, keep))(*arrays, jnp.asarray(legal))
    np.testing.assert_allclose(traced, eager, rtol=1e-14)
    np.testing.assert_allclose(batched, eager, rtol=1e-14)
    slope = jax.grad(lambda v: magnet_step(arrays[0], v, arrays[2], 0.3, 0.4, jnp.asarray(legal))[1, 1])(arrays[1])
    assert bool(jnp.isfinite(slope).all())

"""The likelihood of rewards given actions, its derivatives, and what it can and cannot tell; a plain twin beside it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import random_law
from scipy.optimize import minimize
from scipy.special import logsumexp

from equinfer.equations.posterior import reward_inference_loss
from equinfer.equations.response import log_soft_best_response
from equinfer.equations.reward_inference import (
    action_loss,
    inverse_soft_backup,
    log_soft_value,
    reward_gradient,
    scoring_step,
    smallest_reward,
    soft_optimal_value,
    soft_policy_iteration,
    table_step,
)

fixed = settings(max_examples=5)
seeds = st.integers(0, 2**32 - 1)
ROWS, ACTIONS = 4, 3
soft_values, gradient_in_rewards, smallest = map(jax.jit, (soft_optimal_value, reward_gradient, smallest_reward))
from_values, score, improved = map(jax.jit, (inverse_soft_backup, scoring_step, soft_policy_iteration))


def problem(seed, discount=0.8):
    """Rewards, a kernel of which one row may end the game, a prior with an illegal action, and counts."""
    rng = np.random.default_rng(seed)
    prior = random_law(rng, ROWS, ACTIONS)
    prior[1, 2] = 0.0
    prior /= prior.sum(1, keepdims=True)
    kernel = random_law(rng, ROWS, ACTIONS, ROWS)
    kernel[2] *= 0.5
    counts = rng.integers(0, 20, (ROWS, ACTIONS)) * (prior > 0.0)
    with np.errstate(divide="ignore"):
        return rng.normal(size=(ROWS, ACTIONS)), kernel, discount, np.log(prior), counts.astype(float)


def plain_log_policy(reward, kernel, discount, temperature, log_prior):
    """Soft value iteration to the end, in NumPy."""
    value = np.zeros(len(reward))
    for _ in range(400):
        scores = (reward + discount * kernel @ value) / temperature + log_prior
        value = temperature * logsumexp(scores, axis=1)
    return scores - logsumexp(scores, axis=1)[:, None]


def plain_loss(reward, kernel, discount, temperature, log_prior, counts):
    log_policy = plain_log_policy(reward, kernel, discount, temperature, log_prior)
    return -np.sum(counts[counts > 0] * log_policy[counts > 0])


@jax.jit
def log_policy_of(reward, kernel, discount, temperature, log_prior):
    value = soft_optimal_value(reward, kernel, discount, temperature, log_prior)
    return log_soft_best_response(reward + discount * (kernel @ value), temperature, jnp.asarray(log_prior))


@fixed
@given(seeds, st.floats(0.2, 3.0))
def test_soft_values_solve_the_soft_bellman_equations(seed, temperature):
    reward, kernel, discount, log_prior, counts = problem(seed)
    found = log_policy_of(reward, kernel, discount, temperature, log_prior)
    expected = plain_log_policy(reward, kernel, discount, temperature, log_prior)
    legal = log_prior > -np.inf
    # 400 sweeps leave 0.8^400 = 2e-39 of the error; what is left is the tolerance of the values, 1e-11.
    np.testing.assert_allclose(np.asarray(found)[legal], expected[legal], atol=1e-9)
    assert (np.asarray(found)[~legal] == -np.inf).all()
    loss = plain_loss(reward, kernel, discount, temperature, log_prior, counts)
    assert float(action_loss(found, jnp.asarray(counts))) == pytest.approx(loss, abs=1e-7)


def test_soft_policy_iteration_rises_from_its_second_step_on():
    reward, kernel, discount, log_prior, _ = problem(3)
    value = jnp.asarray([5.0, -5.0, 3.0, 0.0])
    value = improved(value, reward, kernel, discount, 0.3, log_prior)
    best = soft_values(reward, kernel, discount, 0.3, log_prior)
    for _ in range(4):
        value, before = improved(value, reward, kernel, discount, 0.3, log_prior), value
        assert (value >= before - 1e-12).all()
        assert (value <= best + 1e-10).all()


def test_a_game_that_ends_needs_no_discount():
    # Row 0 leads to row 1, which ends: log(e + e) = 1 + log 2 there, and as much more before, uniform prior removed.
    kernel = np.zeros((2, 2, 2))
    kernel[0, :, 1] = 1.0
    value = soft_values(np.ones((2, 2)), kernel, 1.0, 1.0, np.full((2, 2), -np.log(2)))
    np.testing.assert_allclose(value, [2.0, 1.0], rtol=1e-14)


@fixed
@given(seeds, st.sampled_from([0.0, 0.5, 0.9]))
def test_gradient_is_that_of_finite_differences(seed, discount):
    reward, kernel, discount, log_prior, counts = problem(seed, discount)
    step, numeric = 1e-5, np.zeros_like(reward)
    for at in np.ndindex(reward.shape):
        sides = []
        for sign in (1, -1):
            moved = reward.copy()
            moved[at] += sign * step
            sides.append(plain_loss(moved, kernel, discount, 0.7, log_prior, counts))
        numeric[at] = (sides[0] - sides[1]) / (2 * step)
    log_policy = log_policy_of(reward, kernel, discount, 0.7, log_prior)
    found = gradient_in_rewards(log_policy, jnp.asarray(counts), jnp.asarray(kernel), discount, 0.7)
    # Central differences: third derivatives times step^2 / 6, of some hundred, and rounding 1e-13 / step of losses.
    np.testing.assert_allclose(found, numeric, atol=2e-6)


@fixed
@given(seeds)
def test_shaping_changes_neither_the_play_nor_what_can_be_identified(seed):
    reward, kernel, discount, log_prior, _ = problem(seed)
    potential = np.random.default_rng(seed + 1).normal(size=ROWS)
    shaped = reward + potential[:, None] - discount * kernel @ potential
    legal = log_prior > -np.inf
    policies = [np.asarray(log_policy_of(r, kernel, discount, 1.0, log_prior)) for r in (reward, shaped)]
    np.testing.assert_allclose(policies[0][legal], policies[1][legal], atol=1e-8)
    small = [np.asarray(smallest(r, kernel, discount)) for r in (reward, shaped)]
    np.testing.assert_allclose(small[0], small[1], atol=1e-9)
    assert (small[0] ** 2).sum() <= (reward**2).sum() + 1e-12
    again = np.asarray(log_policy_of(small[0], kernel, discount, 1.0, log_prior))
    np.testing.assert_allclose(again[legal], policies[0][legal], atol=1e-8)
    other = reward + np.eye(ROWS, ACTIONS)
    assert np.abs(np.asarray(smallest(other, kernel, discount)) - small[0]).max() > 1e-3


@fixed
@given(seeds)
def test_rewards_and_soft_action_values_determine_each_other(seed):
    reward, kernel, discount, log_prior, _ = problem(seed)
    value = np.asarray(soft_values(reward, kernel, discount, 1.0, log_prior))
    q = jnp.asarray(reward + discount * kernel @ value)
    np.testing.assert_allclose(log_soft_value(q, 1.0, jnp.asarray(log_prior)), value, atol=1e-9)
    legal = log_prior > -np.inf
    found = np.asarray(from_values(q, jnp.asarray(kernel), discount, jnp.asarray(log_prior)))
    np.testing.assert_allclose(found, np.where(legal, reward, 0.0), atol=1e-9)


@fixed
@given(seeds, st.sampled_from([0.0, 0.8]))
def test_a_table_goes_down_to_where_the_gradient_in_rewards_vanishes(seed, discount):
    reward, kernel, discount, log_prior, counts = problem(seed, discount)
    kernel, prior, counts = jnp.asarray(kernel), jnp.asarray(log_prior), jnp.asarray(counts)

    @jax.jit
    def objective(q):
        rewards = inverse_soft_backup(q, kernel, discount, prior)
        return action_loss(log_soft_best_response(q, 1.0, prior), counts) + 0.25 * jnp.sum(rewards**2)

    settled = jax.jit(lambda q: jax.lax.fori_loop(0, 20_000, lambda _, q: step(q), q))
    step = jax.jit(lambda q: table_step(q, counts, kernel, discount, prior, 0.5))
    q = jnp.where(prior > -jnp.inf, jnp.asarray(reward), 0.0)
    losses = [float(objective(q))]
    for _ in range(30):
        q = step(q)
        losses.append(float(objective(q)))
    assert (np.diff(losses) <= 1e-9).all()
    q = settled(q)
    rewards = from_values(q, kernel, discount, prior)
    gradient = gradient_in_rewards(log_soft_best_response(q, 1.0, prior), counts, kernel, discount, 1.0) + 0.5 * rewards
    np.testing.assert_allclose(np.where(prior > -np.inf, gradient, 0.0), 0.0, atol=1e-6)


@pytest.mark.parametrize("discount", [0.0, 0.8])
def test_scoring_finds_the_minimum_that_a_general_method_finds(discount):
    rng = np.random.default_rng(5)
    _, kernel, discount, log_prior, counts = problem(5, discount)
    features = rng.normal(size=(ROWS, ACTIONS, 2))

    def objective(theta):
        return plain_loss(features @ theta, kernel, discount, 1.0, log_prior, counts) + 0.05 * theta @ theta

    expected = minimize(objective, np.zeros(2), tol=1e-12).x
    theta, value = jnp.zeros(2), jnp.zeros(ROWS)
    for _ in range(40):
        theta, value = score(
            theta, value, jnp.asarray(features), jnp.asarray(counts), jnp.asarray(kernel), discount,
            jnp.asarray(log_prior), 0.1,
        )  # fmt: skip
    # BFGS on finite differences knows the minimum to about the root of its rounding.
    np.testing.assert_allclose(theta, expected, atol=1e-4)
    assert objective(np.asarray(theta)) <= objective(expected) + 1e-9


def lottery(prize):
    """Row 0: safe leads to row 2, risky to row 1 or 2, half and half; row 1 pays the prize; then the game is over."""
    kernel = np.zeros((3, 2, 3))
    kernel[0, 0, 2], kernel[0, 1, 1], kernel[0, 1, 2] = 1.0, 0.5, 0.5
    return np.array([[0.0, 0.0], [prize, prize], [0.0, 0.0]]), kernel, np.full((3, 2), -np.log(2))


def test_trajectories_choose_their_luck_and_actions_do_not():
    # True prize log 9 at temperature 1. Who acts by (5) takes the risk with odds exp(log 9 / 2) = 3. A law of
    # trajectories weighted by their returns has the odds (1 + 9) / 2 = 5, and wins with 9 / 12 against a chance of 1/2.
    reward, kernel, log_prior = lottery(np.log(9))
    policy = np.exp(np.asarray(log_policy_of(reward, kernel, 1.0, 1.0, log_prior)))
    np.testing.assert_allclose(policy[0], [1 / 4, 3 / 4], rtol=1e-12)

    # From its play, safe : risky = 1 : 3, actions give back the prize: the derivative vanishes there, and not at log 8.
    def slope(prize):
        guess, _, _ = lottery(prize)
        log_policy = log_policy_of(guess, kernel, 1.0, 1.0, log_prior)
        counts = jnp.asarray([[1.0, 3.0], [0.0, 0.0], [0.0, 0.0]])
        return float(gradient_in_rewards(log_policy, counts, jnp.asarray(kernel), 1.0, 1.0)[1].sum())

    assert slope(np.log(9)) == pytest.approx(0.0, abs=1e-12)
    assert abs(slope(np.log(8))) > 0.01

    # Equation (6): 3/8 of the data win. Of four trajectories, equally likely under prior and dynamics, one wins:
    # e^x / (3 + e^x) = 3/8 at x = log 1.8, whatever the number of data. At the true prize (6) is not even stationary.
    def loss(prize):
        return reward_inference_loss(3 / 8 * prize[None], jnp.zeros(4).at[0].add(prize), 1.0)

    assert float(jax.grad(loss)(jnp.log(1.8))) == pytest.approx(0.0, abs=1e-12)
    assert float(jax.grad(loss)(jnp.log(9.0))) == pytest.approx(3 / 4 - 3 / 8)
    guess, _, _ = lottery(np.log(1.8))
    predicted = np.exp(np.asarray(log_policy_of(guess, kernel, 1.0, 1.0, log_prior)))[0, 1]
    assert predicted == pytest.approx(np.sqrt(1.8) / (1 + np.sqrt(1.8)))  # .573 where the truth is .75

"""Definition 5.1, exact evaluation, and the absorbing state of section 4."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import play_value, random_law

from equinfer.equations.backup import (
    absorbing,
    evaluate_soft,
    evaluate_soft_finite_horizon,
    evaluate_soft_iteratively,
    soft_action_value,
    soft_value,
)
from equinfer.equations.information import entropy
from equinfer.equations.response import soft_best_response

fixed = settings(max_examples=40)
seeds = st.integers(0, 2**32 - 1)
DISCOUNT = np.array([0.9, 0.5])


def drawn(seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(2, 3)), random_law(rng, 3, 3), rng


def soft_optimal_backup(value, reward, kernel, temperature, discount):
    """Soft best response to the values that follow, and what it is worth: one sweep of soft value iteration."""
    q = soft_action_value(reward, kernel @ value, discount)
    uniform, legal = np.full_like(q, 1 / q.shape[1]), np.ones_like(q, bool)
    return soft_value(q, soft_best_response(q, temperature, uniform, legal), temperature)


def test_two_state_chain_by_hand():
    # 0 -> 1 -> 1 with rewards 1 and 2: V(1) = 2 / (1 - g), V(0) = 1 + g V(1).
    value = evaluate_soft(np.array([[1.0, 2.0], [1.0, 2.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]), DISCOUNT)
    np.testing.assert_allclose(value, [[19.0, 20.0], [3.0, 4.0]], rtol=1e-13)


def test_optimal_soft_value_is_the_log_partition_function():
    q = np.array([[1.0, 2.0, -1.0]])
    policy = soft_best_response(q, 0.7, np.array([[0.2, 0.3, 0.5]]), np.ones((1, 3), bool))
    value = soft_value(q, policy, 0.7, np.array([[0.2, 0.3, 0.5]]))
    expected = 0.7 * np.log(0.2 * np.exp(1 / 0.7) + 0.3 * np.exp(2 / 0.7) + 0.5 * np.exp(-1 / 0.7))
    np.testing.assert_allclose(value, expected, rtol=1e-14)


@fixed
@given(seeds)
def test_uniform_magnet_costs_log_n_more_than_entropy(seed):
    rng = np.random.default_rng(seed)
    q, policy = rng.normal(size=(3, 4)), random_law(rng, 3, 4)
    with_entropy = soft_value(q, policy, 0.3)
    relative = soft_value(q, policy, 0.3, np.full((3, 4), 0.25))
    np.testing.assert_allclose(relative, with_entropy - 0.3 * np.log(4), rtol=1e-12)


@fixed
@given(seeds)
def test_evaluation_solves_its_equation_for_each_discount(seed):
    reward, chain, _ = drawn(seed)
    value = evaluate_soft(reward, chain, DISCOUNT)
    for i in range(2):
        np.testing.assert_allclose(value[i], reward[i] + DISCOUNT[i] * chain @ value[i], rtol=1e-11, atol=1e-12)


@fixed
@given(seeds)
def test_exchanging_players_and_renaming_states_commute(seed):
    reward, chain, rng = drawn(seed)
    value = evaluate_soft(reward, chain, DISCOUNT)
    np.testing.assert_allclose(evaluate_soft(reward[::-1], chain, DISCOUNT[::-1]), value[::-1], rtol=1e-12)
    order = rng.permutation(3)
    renamed = evaluate_soft(reward[:, order], chain[np.ix_(order, order)], DISCOUNT)
    np.testing.assert_allclose(renamed, value[:, order], rtol=1e-11, atol=1e-13)


@fixed
@given(seeds, st.floats(-100, 100))
def test_a_constant_reward_adds_a_constant_value(seed, constant):
    reward, chain, _ = drawn(seed)
    gain = evaluate_soft(reward + constant, chain, DISCOUNT) - evaluate_soft(reward, chain, DISCOUNT)
    np.testing.assert_allclose(gain, constant / (1 - DISCOUNT)[:, None] * np.ones(3), rtol=1e-9, atol=1e-11)


@fixed
@given(seeds, st.floats(0.01, 10.0))
def test_soft_backup_is_monotone_and_a_contraction(seed, temperature):
    rng = np.random.default_rng(seed)
    reward, kernel = rng.normal(size=(3, 2)), random_law(rng, 3, 2, 3)
    value, other = rng.normal(size=(2, 3))
    backed, also = (soft_optimal_backup(v, reward, kernel, temperature, 0.9) for v in (value, other))
    assert abs(backed - also).max() <= 0.9 * abs(value - other).max() + 1e-12
    above = soft_optimal_backup(np.maximum(value, other), reward, kernel, temperature, 0.9)
    assert (above >= np.maximum(backed, also) - 1e-12).all()


@pytest.mark.parametrize("tolerance", [1e-3, 1e-9])
def test_iteration_keeps_its_promise(tolerance):
    reward, chain, _ = drawn(0)
    exact = evaluate_soft(reward, chain, DISCOUNT)
    value, sweeps = evaluate_soft_iteratively(reward, chain, DISCOUNT, np.zeros((2, 3)), tolerance=tolerance)
    assert 0 < abs(value - exact).max() <= tolerance
    assert 0 < sweeps < 10_000


def test_iteration_stops_at_its_number_of_sweeps():
    reward, chain, _ = drawn(0)
    value, sweeps = evaluate_soft_iteratively(reward, chain, DISCOUNT, np.zeros((2, 3)), max_sweeps=2)
    assert int(sweeps) == 2
    np.testing.assert_allclose(value, reward + DISCOUNT[:, None] * (reward @ chain.T), rtol=1e-14)


def test_finite_horizon_by_summing_over_epochs():
    rng = np.random.default_rng(5)
    reward, chains = rng.normal(size=(4, 2, 3)), random_law(rng, 4, 3, 3)
    values = evaluate_soft_finite_horizon(reward, chains, DISCOUNT)
    for start in range(4):
        expected, law = np.zeros((2, 3)), np.eye(3)
        for t in range(start, 4):
            expected += DISCOUNT[:, None] ** (t - start) * (reward[t] @ law.T)
            law = law @ chains[t]
        np.testing.assert_allclose(values[start], expected, rtol=1e-12)


def test_absorbing_state_is_worth_what_discounting_is_worth():
    """Section 4: the undiscounted soft value in the augmented chain is the discounted soft value."""
    rng = np.random.default_rng(6)
    policy, reward = random_law(rng, 3, 2), rng.normal(size=(3, 2))
    kernel, temperature, discount = random_law(rng, 3, 2, 3), 0.3, 0.6
    soft_reward = (policy * reward).sum(1) + temperature * entropy(policy)
    chain = np.einsum("sa,sat->st", policy, kernel)

    augmented_reward, augmented_chain = absorbing(soft_reward, chain, discount)
    np.testing.assert_allclose(augmented_chain.sum(1), 1.0, rtol=1e-15)
    epochs = 80  # 0.6^80 is below rounding: nobody is left outside
    undiscounted = evaluate_soft_finite_horizon(
        np.repeat(augmented_reward[None, None], epochs, axis=0),
        np.repeat(augmented_chain[None], epochs, axis=0),
        np.ones(1),
    )[0, 0]
    discounted = play_value(soft_reward[:, None], chain[:, None], np.ones((3, 1)), discount)
    np.testing.assert_allclose(undiscounted, [*discounted, 0.0], rtol=1e-12)


def test_absorbing_kernel_of_a_game_induces_the_absorbing_chain():
    rng = np.random.default_rng(7)
    row, column = random_law(rng, 3, 2), random_law(rng, 3, 2)
    reward, kernel = rng.normal(size=(3, 2, 2)), random_law(rng, 3, 2, 2, 3)
    augmented_reward, augmented_kernel = absorbing(reward, kernel, 0.6)
    null = np.array([[1.0, 0.0]])
    rows, columns = np.concatenate([row, null]), np.concatenate([column, null])
    chain = np.einsum("sa,sb,sabt->st", rows, columns, augmented_kernel)
    expected = absorbing(
        np.einsum("sa,sb,sab->s", row, column, reward), np.einsum("sa,sb,sabt->st", row, column, kernel), 0.6
    )
    np.testing.assert_allclose(np.einsum("sa,sb,sab->s", rows, columns, augmented_reward), expected[0], rtol=1e-13)
    np.testing.assert_allclose(chain, expected[1], rtol=1e-13)


def test_numpy_and_traced_jax_agree():
    reward, chain, _ = drawn(3)
    traced = jax.jit(evaluate_soft)(jnp.asarray(reward), jnp.asarray(chain), jnp.asarray(DISCOUNT))
    np.testing.assert_allclose(traced, evaluate_soft(reward, chain, DISCOUNT), rtol=1e-12)

"""Theorems A, A', E and the paper's constants, against gaps computed by dynamic programming."""

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import best_value, epoch_values, play_value, random_law
from scipy.special import lambertw

from equinfer.equations.backup import evaluate_soft, evaluate_soft_finite_horizon, soft_value
from equinfer.equations.bounds import (
    a_posteriori_gap,
    a_posteriori_gap_finite_horizon,
    action_value_error,
    entropy_gap,
    implicit_gap,
    log_num_outcomes,
    model_error_gap,
    pure_floor,
    sharp_gap,
    smoothness_constant,
    soft_residual,
)
from equinfer.equations.elbo import elbo_discounted
from equinfer.equations.information import entropy, kl_divergence, total_variation
from equinfer.equations.response import magnet_step, soft_best_response

fixed = settings(max_examples=40)
seeds = st.integers(0, 2**32 - 1)
values_to_go, discounted_bound = jax.jit(evaluate_soft_finite_horizon), jax.jit(elbo_discounted)
temperatures = st.floats(0.02, 5.0)
LAMBERT = [(n, epochs) for n in (2, 3, 10) for epochs in (1, 2, 5)]


def soft_optimum(reward, kernel, legal, temperature, epochs):
    """Backward induction of one agent with entropy: policies (H, S, A) and soft values (H, S)."""
    policies, values = [], [np.zeros(len(reward))]
    for _ in range(epochs):
        q = reward + kernel @ values[-1]
        policies.append(soft_best_response(q, temperature, legal.astype(float), legal))
        values.append(soft_value(q, policies[-1], temperature))
    return np.stack(policies[::-1]), np.stack(values[:0:-1])


def entropies_to_go(policies, kernel):
    chains = np.einsum("hsa,sat->hst", policies, kernel)
    return np.asarray(values_to_go(entropy(policies)[:, None], chains, np.ones(1)))[:, 0]


def decision_tree(n, epochs, prize):
    """Only n-fold 'action 0 every time' pays: states are on (0) and off (1) that path; rewards (H, S, A)."""
    kernel = np.zeros((2, n, 2))
    kernel[0, 0, 0] = 1.0
    kernel[0, 1:, 1] = 1.0
    kernel[1, :, 1] = 1.0
    reward = np.zeros((epochs, 2, n))
    reward[-1, 0, 0] = prize
    return reward, kernel


def gibbs_gap_of_tree(n, epochs, prize):
    """Gap in units of the temperature of the soft optimum of the tree, by backward induction on epochs."""
    reward, kernel = decision_tree(n, epochs, prize)
    value, policies = np.zeros(2), []
    for stage in reward[::-1]:
        q = stage + kernel @ value
        policies.append(soft_best_response(q, 1.0, np.ones_like(q), np.ones_like(q, bool)))
        value = soft_value(q, policies[-1], 1.0)
    played, best = epoch_values(reward, np.repeat(kernel[None], epochs, axis=0), np.stack(policies[::-1]))
    return (best - played)[0, 0]


@pytest.mark.parametrize(("n", "epochs"), LAMBERT)
def test_sharp_gap_is_lambert_and_attained_by_a_tree(n, epochs):
    constant = lambertw((n**epochs - 1) / np.e).real
    assert sharp_gap(0.3, epochs * np.log(n)) == pytest.approx(0.3 * constant, rel=1e-12)
    assert gibbs_gap_of_tree(n, epochs, 1 + constant) == pytest.approx(constant, rel=1e-10)
    assert constant < entropy_gap(1.0, n, epochs)
    for prize in (0.7 + constant, 1.3 + constant):
        assert gibbs_gap_of_tree(n, epochs, prize) < constant


def test_sharp_gap_of_one_and_of_very_many_outcomes():
    assert sharp_gap(1.0, 0.0) == 0.0
    huge = sharp_gap(1.0, 1e5)  # W + log W = log(M - 1) - 1 without writing M
    assert huge + np.log(huge) == pytest.approx(1e5 - 1, rel=1e-14)
    assert sharp_gap(1.0, np.log(2)) == pytest.approx(0.2785, abs=5e-5)


def test_theorem_4_2_with_t_instead_of_t_plus_one_is_false():
    n, last = 10, 1  # decision epochs t = 0, 1
    gap = gibbs_gap_of_tree(n, last + 1, 1 + lambertw((n ** (last + 1) - 1) / np.e).real)
    assert gap == pytest.approx(2.6286, abs=5e-5)
    assert last * np.log(n) < gap <= (last + 1) * np.log(n)
    assert gibbs_gap_of_tree(2, 1, 1.0) > 0 * np.log(2)  # T = 0: a matrix game


@fixed
@given(seeds, temperatures)
def test_theorem_a_with_illegal_actions_and_reachable_states(seed, temperature):
    rng = np.random.default_rng(seed)
    states, n, epochs = 3, 3, 4
    reward = rng.normal(size=(states, n)) * 10 ** rng.uniform(-1, 1)
    kernel = random_law(rng, states, n, states) * (rng.random((states, n, states)) < 0.5)
    kernel[..., 0] += 1e-3
    kernel /= kernel.sum(2, keepdims=True)
    legal = rng.random((states, n)) < 0.6
    legal[:, 0] = True
    policies, _ = soft_optimum(reward, kernel, legal, temperature, epochs)
    forbidden = np.where(legal, reward, -1e6)
    played, best = epoch_values(np.repeat(forbidden[None], epochs, 0), np.repeat(kernel[None], epochs, 0), policies)
    gap, to_go = best - played, entropies_to_go(policies, kernel)
    outcomes = log_num_outcomes(legal, epochs, kernel > 0)
    implicit = implicit_gap(temperature, to_go, outcomes)
    rounding = 1e-10 * (1 + abs(reward).max())
    assert (gap <= implicit + rounding).all()
    assert (implicit <= sharp_gap(temperature, outcomes) + rounding).all()
    assert (implicit <= temperature * to_go + rounding).all()
    assert (outcomes <= log_num_outcomes(legal, epochs)).all()


def test_outcomes_by_hand():
    np.testing.assert_allclose(log_num_outcomes(np.ones((2, 3), bool), 4)[:, 0], np.log(3) * np.array([4, 3, 2, 1]))
    # State 0: two actions, the first stays, the second leads to state 1, which has one action and stays.
    legal = np.array([[True, True], [True, False]])
    reachable = np.array([[[True, False], [False, True]], [[False, True], [False, True]]])
    np.testing.assert_allclose(
        log_num_outcomes(legal, 3, reachable), np.log([[4.0, 1.0], [3.0, 1.0], [2.0, 1.0]]), atol=1e-15
    )


def test_implicit_gap_is_attained_by_the_tree_at_every_prize():
    for prize in (0.5, 2.0, 5.0):
        reward, _ = decision_tree(3, 1, prize)
        policy = soft_best_response(reward[0], 1.0, np.ones((2, 3)), np.ones((2, 3), bool))
        bound = implicit_gap(1.0, entropy(policy), np.full(2, np.log(3)))
        assert bound[0] == pytest.approx(gibbs_gap_of_tree(3, 1, prize), rel=1e-9)


def test_uniform_bound_is_false_for_another_prior():
    prior_of_best, best = 0.01, lambertw((1 / 0.01 - 1) / np.e).real
    policy = soft_best_response(
        np.array([[1 + best, 0.0]]), 1.0, np.array([[prior_of_best, 1 - prior_of_best]]), np.ones((1, 2), bool)
    )
    gap = (1 + best) * policy[0, 1]
    assert gap > entropy_gap(1.0, 2, 1) > sharp_gap(1.0, np.log(2))
    assert gap == pytest.approx(float(sharp_gap(1.0, -np.log(prior_of_best))), rel=1e-12)


class RandomGame:
    """Two players, discounted, and any profile; everybody sees the other averaged out."""

    discount = np.array([0.8, 0.6])

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.reward = rng.normal(size=(2, 3, 2, 3))
        self.kernel = random_law(rng, 3, 2, 3, 3)
        sharpness = 10 ** rng.uniform(-1, 1)
        self.profile = tuple(self.softmax(sharpness * rng.normal(size=(3, n))) for n in (2, 3))
        self.magnet = tuple(random_law(rng, 3, n) for n in (2, 3))
        self.legal = tuple(np.ones((3, n), bool) for n in (2, 3))

    @staticmethod
    def softmax(logits):
        weights = np.exp(logits)
        return weights / weights.sum(1, keepdims=True)

    def faced_by(self, i):
        own, other = ("a", "b") if i == 0 else ("b", "a")
        law = self.profile[1 - i]
        reward = np.einsum(f"sab,s{other}->s{own}", self.reward[i], law)
        return reward, np.einsum(f"sabt,s{other}->s{own}t", self.kernel, law)

    @property
    def chain(self):
        return np.einsum("sa,sb,sabt->st", *self.profile, self.kernel)

    def gaps(self):
        gaps = []
        for i, policy in enumerate(self.profile):
            reward, kernel = self.faced_by(i)
            gaps.append(
                best_value(reward, kernel, self.discount[i]) - play_value(reward, kernel, policy, self.discount[i])
            )
        return np.stack(gaps)

    def bonus(self, i, magnet):
        return entropy(self.profile[i]) if magnet is None else -kl_divergence(self.profile[i], magnet[i])

    def soft_values_of_actions(self, temperature, magnet=None):
        rewards = [(policy * self.faced_by(i)[0]).sum(1) for i, policy in enumerate(self.profile)]
        bonuses = [temperature * self.bonus(i, magnet) for i in range(2)]
        value = evaluate_soft(np.stack(rewards) + np.stack(bonuses), self.chain, self.discount)
        return [self.faced_by(i)[0] + self.discount[i] * self.faced_by(i)[1] @ value[i] for i in range(2)]

    def improve(self, temperature, step_size, magnet):
        q = self.soft_values_of_actions(temperature, magnet)
        prior = self.magnet if magnet is not None else tuple(legal.astype(float) for legal in self.legal)
        self.profile = tuple(
            magnet_step(self.profile[i], q[i], prior[i], temperature, step_size, self.legal[i]) for i in range(2)
        )

    def bound(self, temperature, magnet=None):
        bonus, residual, floor = [], [], []
        for i, q in enumerate(self.soft_values_of_actions(temperature, magnet)):
            prior = np.ones_like(q) if magnet is None else magnet[i]
            bonus.append(temperature * self.bonus(i, magnet))
            residual.append(soft_residual(q, self.profile[i], temperature, prior, self.legal[i]))
            floor.append(pure_floor(prior, self.legal[i], temperature))
        to_go = evaluate_soft(np.stack(bonus), self.chain, self.discount)
        return a_posteriori_gap(to_go, np.stack(residual), self.discount, None if magnet is None else np.stack(floor))


@fixed
@given(seeds, temperatures, st.booleans())
def test_a_posteriori_bound_holds_at_any_profile(seed, temperature, has_magnet):
    game = RandomGame(seed)
    assert (game.gaps() <= game.bound(temperature, game.magnet if has_magnet else None) + 1e-10).all()


@settings(max_examples=6)
@given(seeds, st.booleans())
def test_theorem_a_at_converged_profiles_of_discounted_games(seed, has_magnet):
    game, temperature = RandomGame(seed), 3.0
    magnet = game.magnet if has_magnet else None
    for _ in range(60):
        before = game.profile
        game.improve(temperature, 0.7, magnet)
    assert max(abs(new - old).max() for new, old in zip(game.profile, before, strict=True)) < 1e-11
    bound = game.bound(temperature, magnet)
    assert (game.gaps() <= bound).all()
    for i, n in enumerate((2, 3)):
        length = 1 / (1 - game.discount[i])
        if magnet is None:
            assert (bound[i] <= entropy_gap(temperature, n, length) + 1e-9).all()
        else:
            assert (bound[i] <= -temperature * np.log(game.magnet[i].min()) * length + 1e-9).all()


def test_uniform_magnet_and_entropy_give_the_same_a_posteriori_bound():
    game = RandomGame(3)
    uniform = tuple(np.full((3, n), 1 / n) for n in (2, 3))
    np.testing.assert_allclose(game.bound(0.4, uniform), game.bound(0.4), rtol=1e-10)


@fixed
@given(seeds, temperatures)
def test_a_posteriori_bound_of_a_finite_horizon(seed, temperature):
    rng = np.random.default_rng(seed)
    epochs, states, n = 4, 3, 3
    reward, kernel = rng.normal(size=(epochs, states, n)), random_law(rng, epochs, states, n, states)
    policies = random_law(rng, epochs, states, n)
    chains = np.einsum("hsa,hsat->hst", policies, kernel)
    bonus = temperature * entropy(policies)
    soft = np.asarray(values_to_go(((policies * reward).sum(2) + bonus)[:, None], chains, np.ones(1)))[:, 0]
    q = reward + np.einsum("hsat,ht->hsa", kernel, np.concatenate([soft[1:], np.zeros((1, states))]))
    uniform = np.full_like(q, 1 / n)
    residual = soft_residual(q, policies, temperature, uniform, np.ones_like(q, bool))
    played, best = epoch_values(reward, kernel, policies)
    bound = a_posteriori_gap_finite_horizon((soft - played)[:, None], residual[:, None], np.ones(1))[:, 0]
    assert (best - played <= bound + 1e-10).all()
    np.testing.assert_allclose(bound[-1], (soft - played)[-1] + residual[-1].max(), rtol=1e-10)


@fixed
@given(seeds, temperatures)
def test_residual_is_what_a_soft_best_response_gains(seed, temperature):
    rng = np.random.default_rng(seed)
    q, policy, magnet = rng.normal(size=(3, 4)), random_law(rng, 3, 4), random_law(rng, 3, 4)
    legal = np.ones((3, 4), bool)
    response = soft_best_response(q, temperature, magnet, legal)
    gain = soft_value(q, response, temperature, magnet) - soft_value(q, policy, temperature, magnet)
    np.testing.assert_allclose(soft_residual(q, policy, temperature, magnet, legal), gain, rtol=1e-8, atol=1e-12)


class Model:
    """One agent in a discounted game, with a model of the others that is wrong: (S, C, A), seen by the agent."""

    def __init__(self, seed, discount):
        rng = np.random.default_rng(seed)
        self.discount = discount
        self.reward = rng.uniform(-1, 1, size=(2, 3, 2))
        self.kernel = random_law(rng, 2, 3, 2, 2)
        self.others = random_law(rng, 2, 3)
        share = 10 ** rng.uniform(-3, 0)
        self.belief = (1 - share) * self.others + share * random_law(rng, 2, 3)
        self.policy = random_law(rng, 2, 3, 2)

    def faced(self, law):
        return np.einsum("sc,sca->sa", law, self.reward), np.einsum("sc,scat->sat", law, self.kernel)

    def soft_best_response(self, temperature):
        reward, kernel = self.faced(self.belief)
        policy = np.full_like(reward, 0.5)
        for _ in range(12):  # soft policy iteration: Newton's method
            value = play_value(reward + temperature * entropy(policy)[:, None], kernel, policy, self.discount)
            q = reward + self.discount * kernel @ value
            policy = soft_best_response(q, temperature, np.ones_like(q), np.ones_like(q, bool))
        return policy


@settings(max_examples=10)
@given(seeds, st.floats(0.05, 2.0))
def test_proposition_5_5(seed, temperature):
    world = Model(seed, 0.7)
    arguments = (world.reward, world.kernel, world.policy, world.belief)
    with_model = discounted_bound(*arguments, world.others, temperature, 0.7).total
    exact = discounted_bound(*arguments[:3], world.others, world.others, temperature, 0.7).total
    error = 0.7 * abs(world.kernel @ (np.asarray(with_model) - np.asarray(exact))).max()
    divergence = kl_divergence(world.belief, world.others).max()
    assert 0 < error <= action_value_error(divergence, 2, temperature, 0.7, 1.0)


@fixed
@given(seeds, st.floats(1e-3, 1.0), st.sampled_from([0.0, 0.5, 0.8]))
def test_theorem_e_bounds_the_gap_of_a_response_to_a_wrong_model(seed, temperature, discount):
    world = Model(seed, discount)
    policy = world.soft_best_response(temperature)
    reward, kernel = world.faced(world.others)
    gap = best_value(reward, kernel, discount) - play_value(reward, kernel, policy, discount)
    oscillation, distance = np.ptp(world.reward), total_variation(world.belief, world.others).max()
    assert (gap <= model_error_gap(temperature, 2, oscillation, distance, discount) + 1e-9).all()


def test_factor_two_of_theorem_e_is_needed_and_theorem_5_8_is_too_small():
    # The agent guesses a coin: it believes heads a shade likelier, while tails has the probability 1/2 + D.
    distance, temperature = 0.1, 1e-3
    payoff = np.array([[1.0, -1.0], [-1.0, 1.0]])
    belief, others = np.array([[0.51, 0.49]]), np.array([[0.41, 0.59]])
    policy = soft_best_response(belief @ payoff, temperature, np.ones((1, 2)), np.ones((1, 2), bool))
    values = (others @ payoff)[0]
    gap = values.max() - policy[0] @ values
    assert gap == pytest.approx(2 * 2 * distance, rel=0.11)  # 2 osc(r) D, less what the shade costs
    assert gap <= model_error_gap(temperature, 2, 2.0, distance, 0.0)
    stated = action_value_error(kl_divergence(belief, others)[0], 2, temperature, 0.0, 1.0) + temperature * np.log(2)
    assert gap > 1.5 * stated


def test_constants_in_the_units_of_the_paper():
    # n = 2 players, 3 actions, gamma = 1/2, |r| <= 1, tau = 1: Prop. 5.5 and Lemma 5.7 as printed.
    error = 2 * (1 + np.log(3)) / 0.25 * np.sqrt(0.01) + 0.02 / 0.5
    assert action_value_error(0.02, 3, 1.0, 0.5, 1.0) == pytest.approx(error, rel=1e-14)
    smoothness = 2 * 9 / 0.125 + 2 * 7 * (1 + np.log(3)) / 0.25 + 8 / 0.5
    assert smoothness_constant(2, 3, 1.0, 0.5, 1.0) == pytest.approx(smoothness, rel=1e-14)


@fixed
@given(temperatures, st.floats(0.1, 10.0))
def test_epsilons_scale_with_the_unit_of_reward(temperature, unit):
    def all_of(scale):
        return np.array(
            [
                entropy_gap(scale * temperature, 3, 4),
                sharp_gap(scale * temperature, np.log(81)),
                action_value_error(0.1, 3, scale * temperature, 0.5, scale),
                model_error_gap(scale * temperature, 3, scale, 0.1, 0.5),
                smoothness_constant(2, 3, scale * temperature, 0.5, scale),
            ]
        )

    np.testing.assert_allclose(all_of(unit), unit * all_of(1.0), rtol=1e-12)


def test_sharp_gap_does_not_carry_over_to_discounting():
    # Stay for 0.266, or leave for good at -1.42, to where both actions pay 0: more than tau W((2^(1/(1-g)) - 1) / e).
    discount = 0.59
    reward = np.array([[0.266, -1.42], [0.0, 0.0]])
    kernel = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    policy = np.full((2, 2), 0.5)
    for _ in range(20):
        value = play_value(reward + entropy(policy)[:, None], kernel, policy, discount)
        q = reward + discount * kernel @ value
        policy = soft_best_response(q, 1.0, np.ones_like(q), np.ones_like(q, bool))
    assert soft_residual(q, policy, 1.0, np.ones_like(q), np.ones_like(q, bool)).max() < 1e-15
    gap = (best_value(reward, kernel, discount) - play_value(reward, kernel, policy, discount))[0]
    assert gap == pytest.approx(1.027 * sharp_gap(1.0, np.log(2) / (1 - discount)), rel=1e-3)
    assert gap < entropy_gap(1.0, 2, 1 / (1 - discount))


def test_the_residual_is_finite_where_the_response_underflows():
    q, even = np.array([[0.0, 100.0]]), np.full((1, 2), 0.5)
    residual = soft_residual(q, even, 1e-3, np.ones_like(q), np.ones_like(q, bool))
    np.testing.assert_allclose(residual, 100 - (50 + 1e-3 * np.log(2)), rtol=1e-14)
    assert np.isinf(soft_residual(q, even, 1e-3, np.ones_like(q), np.array([[True, False]]))).all()

"""What the paper says of updates, of potentials and of models of others, where it fails, and what holds instead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

import equinfer as eq
from equinfer.equations.bounds import sharp_gap, smoothness_constant
from equinfer.equations.information import kl_divergence, total_variation
from equinfer.equations.posterior import normalised_weights, opponent_posterior, trajectory_log_weights
from equinfer.equations.response import magnet_step, soft_best_response
from equinfer.solvers.tabular.critics import ExpectedSARSA
from equinfer.solvers.tabular.vpg_sampled import SampledVPG

LOG2 = np.log(2)


def respond(q, temperature=1.0):
    return soft_best_response(q, temperature, np.ones_like(q), np.ones_like(q, bool))


def gradient_step(policy, q):
    """Equation (4) with almost no entropy: policy times exp(q / 10)."""
    return magnet_step(policy, q, np.ones_like(q), 0.01, 0.001, np.ones_like(q, bool))


def test_the_conditional_step_lowers_what_the_executed_policy_earns():
    """E11, Prop. 5.6: (4) is no ascent on what is executed.

    The first action earns 2 against the first move of the other, the second one 1 against the second move. Where the
    first move is predicted the policy has nothing left to learn; where the second is, it learns the worse action.
    """
    belief, q = np.array([0.5, 0.5]), np.array([[2.0, 0.0], [0.0, 1.0]])  # (C, A)
    policy = np.array([[0.99, 0.01], [0.5, 0.5]])
    worth = belief @ q
    before, after = (belief @ now @ worth for now in (policy, gradient_step(policy, q)))
    assert after < before - 0.005
    # In marginal parameters, from the same executed policy, it rises.
    executed = belief @ policy
    assert gradient_step(executed, worth) @ worth > executed @ worth + 0.001


def test_in_marginal_parameters_everybodys_step_is_the_gradient_of_the_potential():
    """Prop. 5.6 repaired: the Fisher matrix of the joint law has no block between players; its gradient is (4)."""
    rng = np.random.default_rng(0)
    potential = rng.normal(size=(2, 3))
    row, column = softmax(rng.normal(size=2)), softmax(rng.normal(size=3))
    law = np.outer(row, column).ravel()
    scores = np.zeros((2, 3, 5))  # of (a, b): the derivative of log row[a] + log column[b]
    scores[..., :2] = (np.eye(2) - row)[:, None]
    scores[..., 2:] = np.eye(3) - column
    scores = scores.reshape(6, 5)
    fisher = scores.T @ (law[:, None] * scores)
    np.testing.assert_allclose(fisher[:2, 2:], 0.0, atol=1e-15)
    step = np.linalg.pinv(fisher) @ (scores.T @ (law * potential.ravel()))
    for policy, own, q in ((row, step[:2], potential @ column), (column, step[2:], row @ potential)):
        np.testing.assert_allclose(softmax(np.log(policy) + 0.1 * own), gradient_step(policy, q), rtol=5e-3)
        np.testing.assert_allclose(own - own.mean(), q - q.mean(), atol=1e-12)


def test_curvature_is_far_below_the_constant_of_lemma_5_7():
    """E12: no violation is known. 50 random potential games with the entropy of the team, by second derivatives."""
    discount, states = 0.8, 2

    def worst_curvature(reward, kernel, logits):
        def potential(logits):
            row, column = jax.nn.softmax(logits, axis=-1)
            bonus = -jnp.sum(row * jnp.log(row), axis=1) - jnp.sum(column * jnp.log(column), axis=1)
            chain = jnp.einsum("sa,sb,sabt->st", row, column, kernel)
            stage = jnp.einsum("sa,sb,sab->s", row, column, reward) + bonus
            return jnp.linalg.solve(jnp.eye(states) - discount * chain, stage)[0]

        hessian = jax.hessian(potential)(logits).reshape(logits.size, logits.size)
        return jnp.max(jnp.abs(jnp.linalg.eigvalsh(hessian)))

    rng = np.random.default_rng(0)
    reward, kernel = rng.uniform(-1, 1, (50, states, 2, 2)), rng.dirichlet(np.ones(states), (50, states, 2, 2))
    found = jax.jit(jax.vmap(worst_curvature))(reward, kernel, rng.normal(size=(50, 2, states, 2)))
    assert 0.1 < float(found.max()) < smoothness_constant(2, 2, 1.0, discount, 1.0) / 100


def test_fixed_points_lie_any_distance_below_a_nash_equilibrium_in_potential():
    """E13: the proof of Theorem 5.8 bounds the difference to *a* Nash equilibrium. Meeting for 80, or for 10."""
    payoff = np.diag([80.0, 10.0])
    row = column = np.array([0.0, 1.0])
    for _ in range(50):
        row, column = respond(payoff @ column), respond(payoff @ row)
    np.testing.assert_allclose(row, respond(payoff @ column), rtol=1e-12)
    assert payoff.max() - row @ payoff @ column > 69.9  # and the bound of the proof is log 2
    assert (payoff @ column).max() - row @ payoff @ column <= sharp_gap(1.0, LOG2)


def test_agents_who_act_by_5_2_and_are_modelled_by_5_9_are_not_understood():
    """E14: the copycat executes 3 : 1; the posterior (5) from its true rewards and the true law says it never errs."""
    q, law = 100 * np.eye(2), np.array([0.75, 0.25])
    executed = law @ respond(q)
    model = opponent_posterior(q, law, 1.0, np.ones(2), np.ones(2, bool))
    assert total_variation(executed[None], model[None]) == pytest.approx(0.25, abs=1e-12)
    # Who acts by the marginal form is understood exactly.
    np.testing.assert_allclose(respond(law @ q), model, rtol=1e-14)


@pytest.mark.parametrize(("chance", "understood"), [(0.1, False), (1.0, True)])
def test_trajectories_choose_their_luck(chance, understood):
    """E15: the weights of (7) believe in whoever bets 10 at one to nine; with certain dynamics they are right."""
    wins = int(50 * chance)
    reward = np.concatenate([np.zeros(50), np.full(wins, 10.0), np.full(50 - wins, -10.0)])[:, None]
    weights = normalised_weights(trajectory_log_weights(reward, np.zeros((100, 1)), 1.0, 1.0))
    bets = weights[50:].sum()
    acts = respond(np.array([0.0, 10.0 * (2 * chance - 1)]))[1]
    assert bets > 0.999
    assert (abs(bets - acts) < 1e-12) == understood


class NeverLearns(ExpectedSARSA):
    """The critic of Algorithm 2 as printed: the listing has no line that changes it."""

    def learn(self, state, moves, value, discount):
        return state


class AsPrinted(SampledVPG):
    @property
    def _critic(self):
        return NeverLearns()


@pytest.mark.parametrize("name", ["prisoners_dilemma", "stag_hunt", "matching_pennies"])
def test_without_the_critics_update_nothing_is_learnt(name):
    """E16: with (10) alone, policies never leave the law that the first critic calls for, whatever is paid. With (9) it
    is learnt what pays: what is left of the gap is what the temperature leaves, by Theorem A and the noise of play.
    """
    game = eq.load(f"catalog:{name}")
    start = [np.full((1, 2), 0.5)] * 2
    settings = {"temperature": 0.2, "steps": 3000, "seeds": 1}
    printed, repaired = (eq.solve(game, solver=solver(**settings)) for solver in (AsPrinted, SampledVPG))
    for policy in printed.profile:
        np.testing.assert_array_equal(policy, start[0])
    assert printed.gap == eq.certify(game, start).gap
    assert repaired.gap <= sharp_gap(0.2, LOG2) + 0.05
    if name != "matching_pennies":  # whose equilibrium the uniform law is
        assert printed.gap > 5 * repaired.gap


def test_a_divergence_cannot_be_had_from_counts_and_a_total_variation_can():
    """E23: a third of all samples of 100 never see a move of chance .01. Weissman et al. (2003) bound the variation."""
    rng = np.random.default_rng(0)
    law, moves, doubt = np.array([0.97, 0.02, 0.01]), 100, 0.05
    counted = rng.multinomial(moves, law, size=2000) / moves
    assert np.isinf(kl_divergence(np.broadcast_to(law, counted.shape), counted)).mean() > 0.3
    bound = np.sqrt(2 * (3 * LOG2 + np.log(1 / doubt)) / moves) / 2
    assert (total_variation(np.broadcast_to(law, counted.shape), counted) <= bound).mean() >= 1 - doubt

"""Equations (1)-(3) against the enumeration of every trajectory."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import random_law

from equinfer.equations.backup import absorbing
from equinfer.equations.elbo import (
    elbo_discounted,
    elbo_finite_horizon,
    elbo_stage,
    log_evidence,
    optimality_likelihood,
)

fixed = settings(max_examples=15)
seeds = st.integers(0, 2**32 - 1)
STATES, CONTEXTS, ACTIONS, EPOCHS, TEMPERATURE = 2, 2, 3, 3, 0.7
compiled_bound, compiled_evidence = jax.jit(elbo_finite_horizon), jax.jit(log_evidence)


class World:
    """One agent's view of a random game, and policies of everybody."""

    def __init__(self, seed, deterministic=False):
        rng = np.random.default_rng(seed)
        self.reward = rng.normal(size=(STATES, CONTEXTS, ACTIONS))
        self.kernel = random_law(rng, STATES, CONTEXTS, ACTIONS, STATES)
        if deterministic:
            self.kernel = np.eye(STATES)[rng.integers(STATES, size=(STATES, CONTEXTS, ACTIONS))]
        self.policy = random_law(rng, EPOCHS, STATES, CONTEXTS, ACTIONS)
        self.belief = random_law(rng, EPOCHS, STATES, CONTEXTS)
        self.others = random_law(rng, EPOCHS, STATES, CONTEXTS)
        self.prior = np.full((EPOCHS, STATES, ACTIONS), 1 / ACTIONS)

    @property
    def highest(self):
        return self.reward.max()

    def trajectories(self, start):
        """Every (p(optimal, trajectory), q(trajectory)) from `start`."""
        p, q = [], []
        moments = itertools.product(range(CONTEXTS), range(ACTIONS), range(STATES))
        for steps in itertools.product(moments, repeat=EPOCHS):
            state, model, guide = start, 1.0, 1.0
            for t, (c, a, after) in enumerate(steps):
                moves = self.kernel[state, c, a, after]
                likelihood = np.exp((self.reward[state, c, a] - self.highest) / TEMPERATURE)
                model *= self.prior[t, state, a] * self.others[t, state, c] * moves * likelihood
                guide *= self.policy[t, state, c, a] * self.belief[t, state, c] * moves
                state = after
            p.append(model)
            q.append(guide)
        return np.array(p), np.array(q)

    def bound(self):
        return compiled_bound(self.reward, self.kernel, self.policy, self.belief, self.others, TEMPERATURE)

    def evidence(self):
        return compiled_evidence(self.reward, self.kernel, self.prior, self.others, TEMPERATURE, self.highest)

    @property
    def offset(self):
        """tau H log n + H r_max: between the paper's J and the bound of tau log P."""
        return EPOCHS * (TEMPERATURE * np.log(ACTIONS) + self.highest)


def test_likelihood_is_a_probability_and_one_at_the_best():
    reward = np.array([-3.0, 0.0, 5.0])
    np.testing.assert_allclose(optimality_likelihood(reward, 2.0, 5.0), np.exp([-4.0, -2.5, 0.0]), rtol=1e-15)


def test_three_terms_by_hand():
    reward = np.array([[[1.0, 0.0], [0.0, 2.0]]])
    policy = np.array([[[1.0, 0.0], [0.5, 0.5]]])
    terms = elbo_stage(reward, policy, np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]]), 2.0)
    assert terms.reward[0] == pytest.approx(0.5 * 1.0 + 0.5 * 0.5 * 2.0)
    assert terms.entropy[0] == pytest.approx(2.0 * 0.5 * np.log(2))
    assert terms.model[0] == pytest.approx(-2.0 * 0.5 * (np.log(2) + np.log(2 / 3)))


@fixed
@given(seeds)
def test_evidence_and_bound_are_what_enumeration_says(seed):
    world = World(seed)
    evidence, bound = world.evidence()[0], world.bound().total[0]
    for state in range(STATES):
        p, q = world.trajectories(state)
        assert evidence[state] == pytest.approx(np.log(p.sum()), rel=1e-10)
        possible = q > 0
        expected = TEMPERATURE * (q[possible] * np.log(p[possible] / q[possible])).sum()
        assert bound[state] - world.offset == pytest.approx(expected, rel=1e-10)


@fixed
@given(seeds)
def test_bound_never_exceeds_the_evidence(seed):
    world = World(seed)
    slack = TEMPERATURE * world.evidence()[0] - (world.bound().total[0] - world.offset)
    assert (np.asarray(slack) > 0).all()


@fixed
@given(seeds)
def test_bound_is_tight_at_the_posterior_if_dynamics_are_deterministic(seed):
    """The posterior of a deterministic game is in the variational family: Bayes' rule on the backward messages."""
    world = World(seed, deterministic=True)
    messages = np.concatenate([np.exp(world.evidence()), np.ones((1, STATES))])
    for t in range(EPOCHS):
        joint = world.others[t][:, :, None] * world.prior[t][:, None, :]
        joint = joint * np.exp((world.reward - world.highest) / TEMPERATURE) * (world.kernel @ messages[t + 1])
        world.belief[t] = joint.sum(2) / joint.sum((1, 2))[:, None]
        world.policy[t] = joint / joint.sum(2, keepdims=True)
    np.testing.assert_allclose(world.bound().total[0] - world.offset, TEMPERATURE * world.evidence()[0], rtol=1e-10)


def test_bound_is_tight_with_a_clamped_opponent_who_does_not_mix():
    """Clamped opponents who are predictable: the soft best response (Prop. 5.2) is the exact posterior."""
    world = World(11, deterministic=True)
    world.others = np.eye(CONTEXTS)[np.random.default_rng(0).integers(CONTEXTS, size=(EPOCHS, STATES))]
    world.belief = world.others
    value = np.zeros(STATES)
    for t in reversed(range(EPOCHS)):
        q = world.reward + world.kernel @ value
        weights = np.exp(q / TEMPERATURE)
        world.policy[t] = weights / weights.sum(-1, keepdims=True)
        value = (world.others[t] * TEMPERATURE * np.log(weights.sum(-1))).sum(1)
    np.testing.assert_allclose(world.bound().total[0], value, rtol=1e-12)
    np.testing.assert_allclose(value - world.offset, TEMPERATURE * world.evidence()[0], rtol=1e-12)


def test_a_right_model_costs_nothing_and_a_wrong_one_its_divergence():
    world = World(1)
    right = compiled_bound(world.reward, world.kernel, world.policy, world.belief, world.belief, TEMPERATURE)
    wrong = world.bound()
    np.testing.assert_allclose(right.model, 0.0, atol=1e-15)
    assert (np.asarray(wrong.model) < 0).all()
    np.testing.assert_allclose(right.reward, wrong.reward, rtol=1e-15)


def test_discounted_bound_is_the_undiscounted_one_with_an_absorbing_state():
    world = World(2)
    stationary = (world.policy[0], world.belief[0], world.others[0])
    discounted = elbo_discounted(world.reward, world.kernel, *stationary, TEMPERATURE, 0.5)
    reward, kernel = absorbing(world.reward, world.kernel, 0.5)
    null = (np.eye(ACTIONS)[[[0] * CONTEXTS]], np.eye(CONTEXTS)[[0]], np.eye(CONTEXTS)[[0]])
    laws = [
        jnp.asarray(np.repeat(np.concatenate([law, end])[None], 60, axis=0))
        for law, end in zip(stationary, null, strict=True)
    ]
    undiscounted = elbo_finite_horizon(reward, kernel, *laws, TEMPERATURE)
    for term, expected in zip(undiscounted, discounted, strict=True):
        np.testing.assert_allclose(term[0, :-1], expected, rtol=1e-12)
        np.testing.assert_array_equal(term[0, -1], 0.0)

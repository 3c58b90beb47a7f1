"""Equations (5), (8) and reward inference in the head of one agent, on games of moves where every sum is exact."""

import dataclasses
import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.data.arena import Arena
from equinfer.drivers.learning import Phases
from equinfer.drivers.training import _begin, _step
from equinfer.nn import actions
from equinfer.nn.actions import Cloud, Contexts, action_units
from equinfer.opponents.learners import LEARNERS, conditional_loss, trajectory_loss
from equinfer.run_games import playable
from equinfer.solvers.neural.mai import MAI
from equinfer.solvers.neural.minds import Mind
from equinfer.solvers.neural.predictions import executed_law
from equinfer.solvers.neural.thinking import Sizes, Thinker

SEEN = jnp.zeros(1, jnp.float32)


def head(model="inferred", actor="forward_kl", agents=2, moves=3, looks=False):
    spaces = action_units((eq.Discrete(moves),) * agents)
    thinker = Thinker(spaces, LEARNERS[model], actor, looks, Sizes(), jnp.ones((agents, moves), bool))
    mind = Mind.new(agents, 1, moves, moves, 16, LEARNERS[model].trust, looks, jax.random.key(3))
    return thinker, mind


def q_table(mind, moves=3):
    """(own, other)."""
    eye = jnp.eye(moves)
    return np.array(
        [[float(mind.critic(SEEN, jnp.stack([eye[a], eye[b]]))) for b in range(moves)] for a in range(moves)]
    )


def test_scores_are_means_over_contexts():
    thinker, mind = head()
    weights = np.array([0.2, 0.5, 0.3], np.float32)
    scores = thinker.scores(mind, SEEN, jnp.eye(3), Contexts(jnp.eye(3)[:, None], jnp.asarray(weights)))
    assert np.allclose(scores, q_table(mind) @ weights, atol=1e-5)


def test_the_response_is_the_soft_best_response():
    thinker, mind = head()
    weights = np.array([0.2, 0.5, 0.3], np.float32)
    contexts = Contexts(jnp.eye(3)[:, None], jnp.asarray(weights))
    answer = thinker.response(mind, SEEN, thinker.law(mind, SEEN), contexts, 0.5, jax.random.key(0))
    assert np.allclose(
        jax.nn.softmax(answer.log_weights), jax.nn.softmax(jnp.asarray(q_table(mind) @ weights / 0.5)), atol=1e-5
    )


def test_optimism_aims_at_the_own_marginal_of_the_joint_gibbs_law():
    """Of three agents with 3, 2 and 3 moves."""
    thinker, mind = head(agents=3)
    thinker = dataclasses.replace(thinker, mask=thinker.mask.at[1, 2].set(False))
    eye, tau = jnp.eye(3), 0.3
    every = np.array(list(itertools.product(range(3), range(2), range(3))))
    joint = np.asarray(jax.nn.softmax(mind.critic.at(SEEN, eye[every]) / tau)).reshape(3, 6)
    uniform = Cloud(jnp.broadcast_to(eye, (2, 3, 3)), jnp.where(thinker.mask[1:], 0.0, -jnp.inf))
    told = thinker.together(mind, SEEN, uniform, tau, jax.random.key(0))
    assert float(told) == pytest.approx(float(joint.sum(axis=1) @ thinker.law(mind, SEEN).logits), rel=1e-5)


@pytest.mark.parametrize(("actor", "looks"), [("forward_kl", True), ("gibbs", False)])
def test_laws_by_draws_of_what_the_others_do_are_those_by_sums(monkeypatch, actor, looks):
    thinker, mind = head("empirical", actor=actor, agents=3, looks=looks)
    beliefs = lambda key: thinker.prior_clouds(mind, SEEN, 0, key)  # noqa: E731

    def told():
        return np.exp(executed_law(thinker, mind, SEEN, jnp.eye(3), 1.0, beliefs, jax.random.key(1), thoughts=128))

    exact = told()
    monkeypatch.setattr(actions, "_MOST_SUMMED", 1)
    assert exact.sum() == pytest.approx(1, abs=1e-5)
    assert told() == pytest.approx(exact, abs=0.01)


@pytest.mark.parametrize("actor", ["forward_kl", "reparameterised"])
def test_both_directions_of_the_divergence_have_the_same_minimum(actor):
    """Gradient descent on the actor's loss ends at the soft best response."""
    thinker, mind = head(actor=actor)
    contexts = Contexts(jnp.eye(3)[:, None], jnp.array([0.2, 0.5, 0.3]))
    target = jax.nn.softmax(jnp.asarray(q_table(mind) @ np.array([0.2, 0.5, 0.3]) / 0.5))

    @jax.jit
    def descend(mind):
        loss = eqx.filter_grad(lambda m: thinker.respond(m, SEEN, contexts, 0.5, jax.random.key(0)))
        step = lambda m, _: (jax.tree.map(lambda x, g: x - 0.05 * g, m, loss(m)), None)  # noqa: E731
        return jax.lax.scan(step, mind, length=3000)[0]

    found = jnp.exp(thinker.law(descend(mind), SEEN).logits)
    assert np.abs(np.asarray(found) - np.asarray(target)).max() < 2e-3


@pytest.mark.parametrize(("model", "trust"), [("own", 1.0), ("inferred-flat", 0.0), ("inferred", 1.0)])
def test_the_posterior_is_equation_5(model, trust):
    r"""$\rho(b)\propto\exp(E_{a\sim\pi}[w\,Q(a,b)+\delta(b)]/\tau)$, the uniform law as its base."""
    thinker, mind = head(model)
    done = jnp.eye(3)[jnp.array([0, 0, 2])][:, None]
    *_, beliefs = thinker.infer(mind, SEEN, done, 0.5, jax.random.key(0))
    mine = np.exp(np.asarray(thinker.law(mind, SEEN).logits))
    delta = np.zeros(3)
    if model != "own":
        network = jax.tree.map(lambda leaf: leaf[0], mind.rewards)
        delta = np.array([float(network(jnp.concatenate([SEEN, jnp.eye(3)[b]]))[0]) for b in range(3)])
    want = jax.nn.softmax(jnp.asarray((trust * mine @ q_table(mind) + delta) / 0.5))
    assert np.allclose(jax.nn.softmax(beliefs.log_weights[0]), want, atol=1e-5)


@pytest.mark.slow
def test_who_wants_what_i_want_knows_that_i_answer():
    r"""In conditional form $\rho(b)\propto\exp(\sum_a\pi(a\mid b)Q(a,b)/\tau)$, on average over a third agent."""
    thinker, mind = head("own", agents=3, moves=2, looks=True)
    mind = eqx.tree_at(lambda m: m.actor, mind, jax.tree.map(lambda leaf: 20 * leaf, mind.actor))
    eye = jnp.eye(2)
    done = eye[jnp.array([[0, 1], [1, 1]])]
    *_, beliefs = eqx.filter_jit(thinker.infer)(mind, SEEN, done, 0.5, jax.random.key(0))
    third = np.exp(np.asarray(thinker.priors(mind, SEEN).logits[1]))
    want = np.zeros(2)
    for b in range(2):
        for c in range(2):
            answer = np.exp(np.asarray(thinker.law(mind, SEEN, jnp.stack([eye[b], eye[c]])).logits))
            worth = [float(mind.critic(SEEN, jnp.stack([eye[a], eye[b], eye[c]]))) for a in range(2)]
            want[b] += third[c] * answer @ np.array(worth)
    assert np.allclose(jax.nn.softmax(beliefs.log_weights[0]), jax.nn.softmax(jnp.asarray(want / 0.5)), atol=1e-5)


def test_inferred_rewards_explain_what_was_done():
    """At the minimum of the likelihood the posterior has the frequencies of the data, if priors weigh nothing."""
    thinker, mind = head("inferred-flat")
    done = jnp.eye(3)[jnp.array([0] * 5 + [1] * 3 + [2] * 2)][:, None]

    @jax.jit
    def descend(mind):
        loss = eqx.filter_grad(lambda m: thinker.infer(m, SEEN, done, 1.0, jax.random.key(0))[0])
        step = lambda m, _: (jax.tree.map(lambda x, g: x - 0.05 * g, m, loss(m)), None)  # noqa: E731
        return jax.lax.scan(step, mind, length=3000)[0]

    *_, beliefs = thinker.infer(descend(mind), SEEN, done, 1.0, jax.random.key(0))
    # The prior on rewards, .01 mean(delta^2), pulls by about a hundredth of a log-odds.
    assert np.allclose(jax.nn.softmax(beliefs.log_weights[0]), [0.5, 0.3, 0.2], atol=0.02)


def test_likelihoods_by_hand():
    """Two moves, rewards of .5 and 0, temperature 1; the trajectory form from a uniform proposal is the same."""
    scores, observed = jnp.array([0.5, 0.0]), jnp.array([0.5, 0.5, 0.0])
    want = np.log((np.exp(0.5) + 1) / 2) - 1 / 3
    assert float(conditional_loss(observed, scores, jnp.zeros(2), 1.0)) == pytest.approx(want, rel=1e-5)
    loss, share = trajectory_loss(observed, scores, jnp.zeros(2), 1.0)
    assert float(loss) == pytest.approx(want, rel=1e-5)
    weights = np.array([np.exp(0.5), 1.0]) / (np.exp(0.5) + 1)
    assert float(share) == pytest.approx(1 / (2 * (weights**2).sum()), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "game"),
    [
        *(({"opponent": opponent}, "cournot") for opponent in LEARNERS),
        ({"policy": "conditional"}, "cournot"),
        ({"actor": "gibbs"}, "cournot"),
        ({}, "cournot_capacity"),
        ({}, "prisoners_dilemma"),
    ],
)
def test_an_agent_reads_its_own_rewards_and_the_others_actions_alone(options, game):
    """One step of learning, in each phase, from the same past but for what the other agent was paid, saw and thinks:
    all that an agent carries on is the same.
    """
    arena = Arena.of(playable(f"catalog:{game}"))
    learner = MAI(**options, learn_from=0, hidden=8)

    @jax.jit
    def learnt(run, replay, phase, number):
        return learner.learn(arena, run.learner, replay, number, phase, key=jax.random.key(1))[0]

    phases = Phases(25, 50, 100)
    begun = _begin(learner, arena, jax.random.split(jax.random.key(0), 1), 100)
    run = jax.tree.map(lambda leaf: leaf[0], begun)
    for number in (10, 40, 60):
        phase = phases.at(jnp.int32(number))
        run, *_ = _step(learner, arena, run, phase, jnp.int32(number))
        told = run.replay.steps
        told = told._replace(reward=told.reward.at[:, 1].add(7.0), observation=told.observation.at[:, 1].add(0.5))
        mind = jax.tree.map(lambda leaf: leaf.at[1].add(0.1), run.learner.mind)
        other = run._replace(replay=run.replay._replace(steps=told), learner=run.learner._replace(mind=mind))
        one, two = (learnt(each, each.replay, phase, jnp.int32(number)) for each in (run, other))
        pairs = [pair for pair in zip(*map(jax.tree.leaves, (one, two)), strict=True) if pair[0].ndim]
        assert all(len(leaf) == arena.agents for leaf, _ in pairs)
        for leaf, changed in pairs:
            assert np.array_equal(leaf[0], changed[0])
        assert any(not np.array_equal(leaf[1], changed[1]) for leaf, changed in pairs)

"""VPG from play: what an agent sees is all that moves it, and what it reaches is the equilibrium of the tables."""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_soft import quantal_response

from equinfer.certificates.nash import certify_nash
from equinfer.concepts import concept
from equinfer.drivers import scan
from equinfer.drivers.protocol import Task
from equinfer.games.tabular import TabularGame
from equinfer.opponents import Empirical, Moves
from equinfer.solvers.tabular.critics import ExpectedSARSA, LearntModel
from equinfer.solvers.tabular.vpg_sampled import SampledVPG

LOG3 = np.log(3)
COPYCAT = TabularGame.from_payoffs([np.eye(2), [[LOG3, 0], [LOG3, 0]]])


def stochastic_game(reward=None):
    rng = np.random.default_rng(0)
    kernel, drawn = rng.dirichlet(np.ones(2), (2, 2, 2)), rng.random((2, 2, 2, 2))
    return TabularGame(drawn if reward is None else reward, kernel, discount=0.6)


def last_profiles(game, solver, steps):
    """Every seed's last policies: one array (seeds, S, A_i) per player."""
    solver, game, state, keys = scan.begin(solver, game, seed=0)
    return [np.asarray(p) for p in scan.advance(solver, game, state, keys, jnp.asarray(0), jnp.asarray(steps))[2]]


def seen(rows, others):
    """Moves of which a model that counts reads what the others did, and where."""
    rows, nothing = jnp.asarray(rows), jnp.zeros(len(rows), int)
    return Moves(rows, nothing, jnp.asarray(others), nothing, jnp.zeros(len(rows)), rows, nothing == 0)


@pytest.mark.parametrize(
    ("critic", "policy", "opponent"),
    [
        ("sarsa", "marginal", "empirical"),
        ("model", "conditional", "empirical"),
        ("sarsa", "marginal", "inferred"),
        ("sarsa", "marginal", "own"),
        ("sarsa", "marginal", "trajectory"),
    ],
)
def test_the_others_rewards_do_not_move_an_agent_by_a_bit(critic, policy, opponent):
    rng = np.random.default_rng(1)
    game = jax.tree.map(jnp.asarray, stochastic_game().unlabelled())
    row = concept("nash", opponent=opponent, policy=policy)
    solver = SampledVPG(concept=row, critic=critic, worlds=4, step_size=0.1)
    moves = (jnp.arange(40), jnp.asarray(rng.integers(2, size=(40, 4, 2))))

    @jax.jit
    def memories(reward):
        """What the agents know after each of forty given moves."""
        played = eqx.tree_at(lambda g: g.reward, game, reward)

        def step(state, move):
            number, actions = move
            state, _ = solver.replay(played, state, actions, key=jax.random.key(number))
            return state, state.agents

        return jax.lax.scan(step, solver.init(played, key=jax.random.key(7)), moves)[1]

    first, second = memories(game.reward), memories(game.reward.at[1].set(100 * rng.normal(size=(2, 2, 2))))
    for a, b in zip(jax.tree.leaves(first[0]), jax.tree.leaves(second[0]), strict=True):
        assert (np.asarray(a) == np.asarray(b)).all()
    assert (np.asarray(first[1].log_policy) != np.asarray(second[1].log_policy)).any()


def test_play_alone_leads_to_the_logit_equilibrium_of_a_matrix_game():
    # Copycat at temperature 1: player 1 settles at 3 : 1 whatever happens, all rewards are certain, and player 0 has a
    # logit of twice the frequency that it counts less one. n = 64,000 draws: their frequency is within 0.012 of its
    # mean (Azuma) but for a chance of 2 exp(-2 n 0.012^2) < 2e-8, and the mean within 0.25 / (0.01 * 2000) = 0.0125 of
    # 3/4, the distance of a start that shrinks by 1 % a step. False alarms: below 1e-7 for the four seeds together.
    profiles = last_profiles(COPYCAT, SampledVPG(temperature=1.0, step_size=0.01, worlds=32, seeds=4), 2000)
    first, second = quantal_response(COPYCAT, 1.0)
    np.testing.assert_allclose(profiles[1], np.broadcast_to(second, (4, 1, 2)), atol=1e-7)
    np.testing.assert_allclose(profiles[0], np.broadcast_to(first, (4, 1, 2)), atol=(0.012 + 0.0125) * 2 / 4)


@pytest.mark.parametrize("critic", ["sarsa", "model"])
def test_and_of_a_stochastic_game(critic):
    # 64 independent seeds, whose mean is 5.5 of its own standard errors away by Student's law (63 degrees of freedom)
    # with a chance of 7.4e-7; four numbers (two actions, the probability of the first), two critics: false alarms 6e-6.
    # Nothing is allowed for bias. The start is forgotten: each decision point is seen 16 times a move on average, so
    # that the counts keep exp(-0.001 * 16 * 3000) of it, the policies 0.95^3000, and SARSA, whose rates n^-0.6 sum to
    # 2.5 n^0.4, exp(-46) at the rarest entry, seen 1,500 times. Noise acts on the mean to second order, by the
    # curvature of the logistic (at most 0.1) on half the variance of the logits (0.02^2): 2e-5, a tenth of an error.
    game, row = stochastic_game(), concept("nash", opponent=Empirical(forgetting=0.001))
    solver = SampledVPG(concept=row, temperature=0.3, step_size=0.05, critic=critic, seeds=64)
    for found, expected in zip(last_profiles(game, solver, 3000), quantal_response(game, 0.3), strict=True):
        error = found[..., 0].std(axis=0, ddof=1) / np.sqrt(64)
        assert (error < 5e-4).all()
        assert (abs(found[..., 0].mean(axis=0) - expected[:, 0]) <= 5.5 * error).all()


def test_an_action_whose_probability_underflows_comes_back_when_it_pays():
    # The bottom row first loses 4 on average, then earns 1 against the left column, which dominates. At 32 draws a
    # move the column's 16 right ones of the first are outnumbered 9 : 1 after six.
    game = TabularGame.from_payoffs([[[0.0, 0.0], [1.0, -9.0]], [[1.0, 0.0], [1.0, 0.0]]])
    solver = SampledVPG(temperature=1e-3, step_size=0.9, seeds=1)
    assert last_profiles(game, solver, 1)[0][0, 1] == 0
    np.testing.assert_allclose(last_profiles(game, solver, 30)[0], [[0.0, 1.0]], atol=1e-12)


def test_a_solve_hands_back_the_best_seed():
    tables = COPYCAT.tables()
    solver = SampledVPG(temperature=1.0, step_size=0.01, worlds=32, seeds=4, steps=300)
    task = Task(partial(certify_nash, tables), COPYCAT.uniform_profile())
    outcome = scan.drive(solver, COPYCAT, task, chunk=100)
    assert outcome.trace["gaps"].shape == (3, 4)
    assert outcome.certificate.gap == outcome.trace["gaps"].min()


# The parts, by themselves.


def test_counting_is_the_mean_of_a_dirichlet_and_converges():
    game = TabularGame.from_payoffs(np.zeros((3, 2, 3, 2)))
    model, law = Empirical(concentration=2.0), (np.array([0.2, 0.5, 0.3]), np.array([0.9, 0.1]))
    rng, n = np.random.default_rng(0), 20_000
    drawn = np.stack([rng.choice(len(p), size=n, p=p) for p in law], axis=1)
    state = model.update(model.init(game, 0), seen(np.zeros(n, int), drawn), 0)
    counts = [np.bincount(drawn[:, m], minlength=len(p)) for m, p in enumerate(law)]
    means = [(c + 2 / len(c)) / (n + 2) for c in counts]
    belief = np.asarray(model.predict(state, (jnp.zeros((1, 2)),) * 3, 0))[0]
    np.testing.assert_allclose(belief, np.outer(*means).ravel(), rtol=1e-12)
    # Hoeffding, 5 frequencies: a false alarm has a chance below 10 exp(-2 n 0.02^2) < 2e-6.
    np.testing.assert_allclose(belief, np.outer(*law).ravel(), atol=2 * 0.02)


def test_forgetting_weighs_a_move_by_its_age_at_that_decision_point():
    game = stochastic_game()
    model = Empirical(forgetting=0.5)
    state = model.init(game, 0)
    for row, action in ((0, 1), (1, 0), (0, 0)):
        state = model.update(state, seen([row], [[action]]), 0)
    # State 0: prior (1/2, 1/2), then action 1, then action 0, halving in between; state 1: prior, then action 0.
    np.testing.assert_allclose(state[0], [[0.125 + 1, 0.125 + 0.5], [0.25 + 1, 0.25]])


def test_critics_learn_the_action_values_of_a_certain_world():
    # Two decision points in turn, rewards 1 and 2, one action each; the end of the game follows the second.
    def moves(row, reward, following, continues):
        zero = jnp.zeros(1, int)
        return Moves(zero + row, zero, zero[:, None], zero, jnp.array([reward]), zero + following, zero + continues > 0)

    critics: tuple[Any, ...] = (ExpectedSARSA(rate_decay=1.0), LearntModel())
    for critic in critics:
        state = critic.init(2, 1, 1)
        for _ in range(3):
            value = state.q[:, 0, 0]
            state = critic.learn(state, moves(1, 2.0, 0, 0), value, 0.5)
            value = state.q[:, 0, 0]
            state = critic.learn(state, moves(0, 1.0, 1, 1), value, 0.5)
        np.testing.assert_allclose(state.q[:, 0, 0], [1 + 0.5 * 2, 2.0])
        np.testing.assert_allclose(state.visits[:, 0, 0], [3, 3])


def test_several_moves_on_one_entry_are_so_many_visits():
    zero = jnp.zeros(3, int)
    batch = Moves(zero, zero, zero[:, None], zero, jnp.array([1.0, 2.0, 6.0]), zero, zero > 0)
    state = ExpectedSARSA(rate_decay=1.0).init(1, 1, 1)
    state = ExpectedSARSA(rate_decay=1.0).learn(state, batch, jnp.zeros(1), 0.9)
    assert float(state.visits[0, 0, 0]) == 3
    np.testing.assert_allclose(state.q[0, 0, 0], (1 - (2 / 3) ** 3) * 3.0)

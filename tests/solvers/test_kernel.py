"""The one kernel: its settings are the published algorithms, and it converges where the theory says so."""

from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_soft import OTHERS, quantal_response, quantal_response_by_epochs, soft_values
from scipy.special import softmax

import equinfer as eq
from equinfer.certificates.nash import certify_nash
from equinfer.concepts import concept
from equinfer.contraction import expected_own
from equinfer.drivers import scan
from equinfer.drivers.protocol import Task
from equinfer.equations.stability import stability_threshold
from equinfer.errors import BadInput
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.kernel import (
    Kernel,
    annealed_mirror_descent,
    logit_dynamics,
    magnetic_mirror_descent,
    moving_magnet,
    multiplicative_weights,
    natural_policy_gradient,
    soft_policy_iteration,
)
from equinfer.solvers.tabular.vpg import VPG

TEMPERATURE = 0.4


def stochastic_game(seed=0, **fields):
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(3), (3, 2, 3))
    return TabularGame(rng.random((2, 3, 2, 3)), kernel, **{"discount": [0.8, 0.4], **fields})


GAME = stochastic_game()


def iterates(game, solver, steps, seed=0):
    """The profiles after each of `steps` sweeps; the first one is where they begin."""
    solver, game, state, keys = scan.begin(solver, game, seed)

    def sweep(state, _):
        state, _ = solver.step(game, state, key=keys)
        return state, solver.profile(game, state)

    first = solver.profile(game, state)
    rest = jax.jit(lambda s: jax.lax.scan(sweep, s, None, length=steps)[1])(state)
    return [np.concatenate([np.asarray(a)[None], np.asarray(b)]) for a, b in zip(first, rest, strict=True)]


def last_profile(game, solver, steps):
    return [policies[-1] for policies in iterates(game, solver, steps)]


def action_values(game, profile, temperature, magnet=None):
    """Soft action values of each player, average over the other one: by plain NumPy."""
    found = []
    for i in range(2):
        later = soft_values(game, i, profile, temperature, magnet)
        q = game.reward[i] + game.discount[i] * game.kernel.probabilities @ later
        found.append(np.einsum(OTHERS[i], q, profile[1 - i]))
    return found


def assert_step_is(published, solver, order="simultaneous"):
    """One sweep from a random profile is the published update of every player."""
    before, after = zip(*iterates(GAME, solver, 1, seed=3), strict=True)
    current, expected = list(before), []
    for i in range(2):
        expected.append(published(current, i))
        if order == "round-robin":
            current[i] = expected[i]
    for found, wanted, old in zip(after, expected, before, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11)
        assert np.abs(found - old).max() > 0.01


def normalised(weights):
    return weights / weights.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("order", ["simultaneous", "round-robin"])
def test_natural_policy_gradient(order):
    """Eq. (4) as printed, of a game in which both discounts are the same."""
    game = stochastic_game(discount=0.8)
    rate = 0.3
    solver = natural_policy_gradient(rate, TEMPERATURE, 0.8, start="random", order=order)
    before, after = zip(*iterates(game, solver, 1, seed=3), strict=True)
    current = list(before)
    for i in range(2):
        q = action_values(game, current if order == "round-robin" else before, TEMPERATURE)[i]
        wanted = normalised(before[i] ** (1 - rate * TEMPERATURE / 0.2) * np.exp(rate * q / 0.2))
        np.testing.assert_allclose(after[i], wanted, rtol=1e-11)
        current[i] = wanted


@pytest.mark.parametrize("order", ["simultaneous", "round-robin"])
def test_soft_policy_iteration(order):
    def published(profile, i):
        return softmax(action_values(GAME, profile, TEMPERATURE)[i] / TEMPERATURE, axis=1)

    assert_step_is(published, soft_policy_iteration(TEMPERATURE, start="random", order=order), order)


def test_magnetic_mirror_descent():
    """The closed form of Sokota et al., relative to a magnet that is not uniform."""
    rng, rate = np.random.default_rng(0), 0.7
    magnet = tuple(rng.dirichlet(np.ones(size), 3) for size in (2, 3))

    def published(profile, i):
        q = action_values(GAME, profile, TEMPERATURE, magnet)[i]
        inside = profile[i] * magnet[i] ** (rate * TEMPERATURE) * np.exp(rate * q)
        return normalised(inside ** (1 / (1 + rate * TEMPERATURE)))

    assert_step_is(published, magnetic_mirror_descent(rate, TEMPERATURE, magnet=magnet, start="random"))


@pytest.mark.parametrize("order", ["simultaneous", "round-robin"])
def test_multiplicative_weights(order):
    """Hedge on the plain action values: nobody is paid for entropy."""

    def published(profile, i):
        return normalised(profile[i] * np.exp(0.7 * action_values(GAME, profile, 0.0)[i]))

    assert_step_is(published, multiplicative_weights(0.7, start="random", order=order), order)


def test_multiplicative_weights_stay_so_after_the_first_sweep():
    """The magnet follows before the values are computed: no divergence from an older policy enters them."""
    path = list(zip(*iterates(GAME, multiplicative_weights(0.7, start="random"), 4), strict=True))
    for old, new in pairwise(path):
        values = action_values(GAME, old, 0.0)
        for i in range(2):
            np.testing.assert_allclose(new[i], normalised(old[i] * np.exp(0.7 * values[i])), rtol=1e-10)


def test_logit_dynamics():
    """An Euler step on logits; in the limit of short ones policies move as the chain rule says."""

    def logits(profile, i):
        return action_values(GAME, profile, TEMPERATURE)[i] / TEMPERATURE

    def published(profile, i):
        scores = np.log(profile[i])
        return softmax(scores + 0.3 * (logits(profile, i) - scores), axis=1)

    assert_step_is(published, logit_dynamics(0.3, TEMPERATURE, start="random"))
    short = 1e-6
    before, after = zip(*iterates(GAME, logit_dynamics(short, TEMPERATURE, start="random"), 1, seed=3), strict=True)
    for i in range(2):
        slope = logits(before, i) - np.log(before[i])
        moves = before[i] * (slope - (before[i] * slope).sum(axis=1, keepdims=True))
        np.testing.assert_allclose((after[i] - before[i]) / short, moves, atol=1e-4)


def test_annealing_follows_theorem_h():
    """Temperature and learning rate fall as one over the square root of the sweeps."""
    solver = annealed_mirror_descent(2.0, 0.8)
    solver, game, state, keys = scan.begin(solver, GAME, 0)
    step = jax.jit(lambda state: solver.step(game, state, key=keys))
    seen = []
    for _ in range(8):
        state, info = step(state)
        seen.append((float(info["temperature"]), float(info["step_size"])))
    temperatures, step_sizes = np.array(seen).T
    sweeps = 1 + np.arange(1, 9)
    np.testing.assert_allclose(temperatures, 2.0 * sweeps**-0.5, rtol=1e-13)
    np.testing.assert_allclose(step_sizes / temperatures, 0.4 * sweeps**-0.5, rtol=1e-13)


def test_vpg_with_known_opponents_and_marginal_policies_is_the_kernel():
    """Two programs, one algorithm: also with a horizon, illegal actions and a magnet that moves."""
    legal = (np.array([[True, True], [True, False], [True, True]]), np.ones((3, 3), bool))
    game = stochastic_game(legal=legal, discount=[1.0, 0.9], horizon=3)
    for fields in ({"magnet_every": 3}, {"magnet_every": 0, "order": "round-robin", "schedule": "annealed"}):
        fields = {**fields, "temperature": 0.3, "step_size": 0.6, "start": "random", "step_decay": 1.0}
        ours, theirs = (iterates(game, kind(**fields), 12) for kind in (Kernel, VPG))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_fixed_points_are_logit_equilibria():
    solver = magnetic_mirror_descent(2.0, 0.5)
    for found, wanted in zip(last_profile(GAME, solver, 300), quantal_response(GAME, 0.5), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-10)
    game = stochastic_game(2, horizon=3, discount=[1.0, 0.9])
    for found, wanted in zip(last_profile(game, solver, 300), quantal_response_by_epochs(game, 0.5), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-10)


# Theorem E: simultaneous (★) converges nearby exactly below c*.

RPS = np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])


def settles(payoffs, temperature, share, tilt=1e-4):
    """Whether sweeps of `share` times the threshold lead back to the logit equilibrium from nearby."""
    game = TabularGame.from_payoffs(payoffs)
    home = last_profile(game, logit_dynamics(0.01, temperature), 20_000)
    threshold = stability_threshold(payoffs, tuple(policy[0] for policy in home), temperature)
    assert 0 < threshold < 1 / share
    solver, game, state, keys = scan.begin(logit_dynamics(share * threshold, temperature, tolerance=-1.0), game, 0)
    rng = np.random.default_rng(0)
    scores = [np.log(policy) + tilt * rng.normal(size=policy.shape) for policy in home]
    nearby = tuple(jnp.asarray(softmax(score, axis=1)) for score in scores)
    q = tuple(expected_own(jnp.asarray(payoffs[i])[None], nearby, i) for i in range(len(nearby)))
    state = state._replace(log_policies=tuple(map(jnp.log, nearby)), q=q)
    found = scan.advance(solver, game, state, keys, jnp.asarray(0), jnp.asarray(2000))[2]
    distance = max(np.abs(a - b).max() for a, b in zip(map(np.asarray, found), home, strict=True))
    return distance < tilt / 100, threshold


def crowd(players):
    """Each pays half for every other player on its road: a congestion game, and so a potential game."""
    roads = np.stack(np.meshgrid(*[[0, 1]] * players, indexing="ij"))
    return -0.5 * ((roads[:, None] == roads[None]).sum(axis=1) - 1)


CASES = {
    "rock-paper-scissors": (np.stack([RPS, -RPS]), 0.2),
    # Four players on two roads; at the uniform equilibrium beta is 3 b against everybody and -b, b = -1 / (4 tau).
    "potential": (crowd(4), 0.3),
    "random": (np.random.default_rng(6).normal(size=(2, 3, 3)), 0.2),
    "three players": (np.random.default_rng(11).normal(size=(3, 2, 2, 2)), 0.2),
}


@pytest.mark.parametrize("name", CASES)
def test_it_converges_nearby_below_the_threshold_and_not_above(name):
    payoffs, temperature = CASES[name]
    below, threshold = settles(payoffs, temperature, 0.9)
    above, _ = settles(payoffs, temperature, 1.1)
    assert below
    assert not above
    if name == "rock-paper-scissors":
        assert threshold == pytest.approx(2 / (1 + 1 / (3 * temperature**2)), rel=1e-9)
    if name == "potential":
        assert threshold == pytest.approx(2 / (1 + 3 / (4 * temperature)), rel=1e-9)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(2, 4), st.floats(0.05, 2.0))
def test_in_potential_games_two_over_the_players_is_always_below_it(seed, players, temperature):
    """Hoffman's bound: real eigenvalues below 1 of a matrix without diagonal blocks are above 1 - N."""
    rng = np.random.default_rng(seed)
    potential = rng.normal(size=(2, 3, 2, 2)[:players])
    profile = tuple(softmax(rng.normal(size=size)) for size in potential.shape)
    threshold = stability_threshold(np.stack([potential] * players), profile, temperature)
    assert threshold == 0 or threshold > 2 / players


# Zero-sum games: Theorem H.

PENNIES = np.array([[3.0, -1.0], [-1.0, 1.0]])


def zero_sum_game(seed=0):
    rng = np.random.default_rng(seed)
    reward = rng.uniform(-1, 1, (3, 3, 3))
    return TabularGame(np.stack([reward, -reward]), rng.dirichlet(np.ones(3), (3, 3, 3)), discount=0.5)


ZERO_SUM = {
    "rock-paper-scissors": TabularGame.from_payoffs([RPS, -RPS]),
    "biased pennies": TabularGame.from_payoffs([PENNIES, -PENNIES]),
    "stochastic": zero_sum_game(),
}


@pytest.mark.parametrize("name", ZERO_SUM)
def test_a_moving_magnet_leads_the_last_iterate_to_equilibrium(name):
    solution = eq.solve(ZERO_SUM[name], "zero-sum", solver="kernel", start="random")
    assert solution.certified
    assert solution.trace["gap"][-1] <= 1e-8 * solution.payoff_scale
    assert (solution.trace["gap"] <= 2 * solution.trace["bound"] + 1e-12).all()


@pytest.mark.parametrize("name", ZERO_SUM)
def test_below_the_threshold_it_converges_linearly_to_the_gap_of_theorem_h(name):
    game, temperature = ZERO_SUM[name], 0.3
    solver = magnetic_mirror_descent(0.2 * temperature / (1 - 0.2 * temperature**2), temperature, start="random")
    solution = eq.solve(game, "zero-sum", solver=solver)
    residual = solution.trace["residual"]
    assert residual[-1] <= 1e-12
    length = 1 / (1 - max(game.discount))
    allowed = temperature * length * sum(np.log(size) for size in game.num_actions)
    assert certify_gap(game, solution.profile) <= allowed + 1e-12


def certify_gap(game, profile):
    return eq.certify(game, profile, concept="zero-sum").gap


@pytest.mark.parametrize("name", ["rock-paper-scissors", "biased pennies"])
def test_annealing_leads_the_last_iterate_towards_equilibrium(name):
    game = ZERO_SUM[name]
    profiles = iterates(game, annealed_mirror_descent(3.0, start="random"), 20_000)
    gaps = [certify_gap(game, [policies[k] for policies in profiles]) for k in (200, 2_000, 20_000)]
    for sweeps, gap in zip((200, 2_000, 20_000), gaps, strict=True):
        temperature = 3.0 * (1 + sweeps) ** -0.5
        assert gap <= temperature * 2 * np.log(3)
    assert gaps[2] < gaps[1] < gaps[0]


def test_multiplicative_weights_spiral_outwards_and_their_average_converges():
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    game = TabularGame.from_payoffs([pennies, -pennies])
    rounds, rate = 4000, 0.05
    path = iterates(game, multiplicative_weights(rate, start="random"), rounds, seed=1)
    # Bailey and Piliouras (2018): the divergence of the equilibrium from play rises all the time.
    divergence = sum(-0.5 * np.log(policies[:, 0]).sum(axis=1) for policies in path)
    assert (np.diff(divergence) > 0).all()
    assert certify_gap(game, [policies[-1] for policies in path]) > 0.5
    mean = last_profile_of(game, multiplicative_weights(rate, start="random", play="average"), rounds, seed=1)
    # Regret of each player, payoffs in [-1, 1]: KL from the start over the rate, and rate * osc^2 / 8 a round.
    start = [policies[0, 0] for policies in path]
    regret = sum(-np.log(policy.min()) / (rate * rounds) for policy in start) + 2 * rate * 2**2 / 8
    assert certify_gap(game, mean) <= regret


def last_profile_of(game, solver, steps, seed):
    solver, game, state, keys = scan.begin(solver, game, seed)
    return [np.asarray(p) for p in scan.advance(solver, game, state, keys, jnp.asarray(0), jnp.asarray(steps))[2]]


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_the_bound_holds_for_whatever_is_there(seed):
    game = stochastic_game(seed)
    tables = game.tables()
    solver = moving_magnet(0.2, 4, start="random", steps=30)
    outcome = scan.drive(solver, game, Task(partial(certify_nash, tables), game.uniform_profile(), seed=seed % 1000))
    assert (outcome.trace["gap"] <= outcome.trace["bound"] + 1e-12).all()


def test_of_a_one_shot_game_the_bound_is_the_gap():
    game = TabularGame.from_payoffs(np.random.default_rng(0).random((3, 2, 3, 2)))
    outcome = scan.drive(Kernel(steps=50), game, Task(partial(certify_nash, game.tables()), game.uniform_profile()))
    np.testing.assert_allclose(outcome.trace["gap"], outcome.trace["bound"], atol=1e-13)


@pytest.mark.parametrize("columns", [{"opponent": "empirical"}, {"policy": "conditional"}])
def test_other_columns_are_refused(columns):
    with pytest.raises(BadInput, match="other columns of Table 1 are for vpg"):
        Kernel(concept=concept("nash", **columns))

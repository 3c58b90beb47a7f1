"""Stability under (★): blind to units, certain for strict equilibria, possible where little mixes in large games."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import equinfer as eq
from equinfer.equations.stability import response_eigenvalues
from equinfer.solvers.tabular.response_stability import stability

PENNIES = np.array([[0.5, -0.5], [-0.5, 0.5]])
COORDINATION = np.array([[0.5, -0.5], [-0.5, 0.0]])


def random_game(seed, num_actions, **duration):
    """Three states; players mix, since each wants what the next does not, up to some noise."""
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(3), size=(3, *num_actions))
    reward, noise = rng.random((2, len(num_actions), 3, *num_actions))
    return eq.TabularGame(reward - np.roll(reward, 1, axis=0) + 0.2 * noise, kernel, **duration)


@cache
def known(name):
    """A game with equilibria of it."""
    if name == "three players":  # of which one plays purely, and two mix
        game = eq.TabularGame.from_payoffs(np.random.default_rng(3).normal(size=(3, 2, 2, 2)))
    elif name == "discounted":
        game = random_game(1, (2, 3), discount=[0.9, 0.6])
    elif name == "three players, discounted":
        game = random_game(4, (2, 2, 2), discount=0.8)
    elif name == "horizon":
        game = random_game(2, (3, 2), horizon=3)
    else:
        game = eq.load(f"catalog:{name}")
    if game.is_one_shot:
        return game, [solution.profile for solution in eq.solve_all(game)]
    solution = eq.solve(game, solver="homotopy" if game.horizon is None else "stage-nash")
    assert solution.certified
    return game, [solution.profile]


NAMES = ["shapley", "jordan", "matching_pennies", "three players", "discounted", "three players, discounted", "horizon"]


@settings(max_examples=8)
@given(
    st.lists(st.floats(-9, 9), min_size=3, max_size=3),
    st.lists(st.floats(-10, 10), min_size=3, max_size=3),
)
@pytest.mark.parametrize("name", NAMES)
def test_units_and_zeros_of_payoffs_say_nothing_about_stability(name, powers, zeros):
    game, equilibria = known(name)
    tables = game.tables()
    units, zeros = (
        np.reshape(each[: game.num_players], (-1, *[1] * (tables.reward.ndim - 1))) for each in (powers, zeros)
    )
    scaled = eq.TabularGame(10.0**units * (tables.reward + zeros), tables.kernel, tables.discount, tables.horizon)
    for profile in equilibria:
        one, other = stability(game, profile), stability(scaled, profile)
        assert one.stable is not None
        assert (one.stable, one.temperature) == (other.stable, other.temperature)
        assert other.radius == pytest.approx(one.radius, rel=1e-6, abs=1e-12)
        assert other.growth == pytest.approx(one.growth, abs=1e-6 * one.radius + 1e-12)
        assert other.step_size == pytest.approx(one.step_size, rel=1e-5)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(-8.5, 0), st.lists(st.floats(-6, 6), min_size=3, max_size=3))
def test_strict_equilibria_are_always_stable(seed, margin, powers):
    rng = np.random.default_rng(seed)
    payoffs = rng.random((3, 2, 3, 2))
    pure = tuple(rng.integers(size) for size in payoffs.shape[1:])
    for i in range(3):  # nobody gains by another action, and loses at least the margin
        own = (i, *pure[:i], slice(None), *pure[i + 1 :])
        payoffs[(i, *pure)] = np.delete(payoffs[own], pure[i]).max() + 10.0**margin
    profile = tuple(np.eye(size)[[a]] for a, size in zip(pure, payoffs.shape[1:], strict=True))
    scaled = payoffs * 10.0 ** np.reshape(powers, (3, 1, 1, 1))
    found = stability(eq.TabularGame.from_payoffs(scaled), profile)
    assert found.stable is True
    assert (found.growth, found.radius, found.step_size) == (0.0, 0.0, 2.0)
    # By the slow twin: the response at the temperature that is named, in units in which every range is one.
    normed = payoffs / np.ptp(payoffs.reshape(3, -1), axis=1).reshape(3, 1, 1, 1)
    worth = [normed[(i, *pure[:i], slice(None), *pure[i + 1 :])] for i in range(3)]
    laws = [np.exp((each - each.max()) / found.temperature) for each in worth]
    betas = response_eigenvalues(normed, tuple(law / law.sum() for law in laws), found.temperature)
    assert np.abs(betas).max() < 1e-6


def places(stages, **duration):
    """States that are never left, as lists; both players' stage games."""
    num_states = len(stages)
    stay = np.broadcast_to(np.arange(num_states)[:, None, None, None], (num_states, 2, 2, 1))
    return eq.TabularGame(np.stack(stages, axis=1), eq.SparseKernel(stay, np.ones(stay.shape)), **duration)


CONFLICT, HARMONY = np.stack([PENNIES, -PENNIES]), np.stack([COORDINATION, COORDINATION])


def test_where_little_mixes_the_size_of_a_game_does_not_matter():
    # Pennies in three of 3,000 places, beta = +-i / (2 tau) there; what is played purely moves nothing.
    mixing = np.isin(np.arange(3000), (5, 800, 2999))
    game = places([CONFLICT if each else HARMONY for each in mixing], discount=0.5)
    profile = tuple(np.where(mixing[:, None], 0.5, [[1.0, 0.0]]) for _ in range(2))
    found = stability(game, profile)
    assert found.stable is True
    assert found.radius == pytest.approx(1 / (2 * found.temperature), rel=1e-9)
    assert found.step_size == pytest.approx(2 / (1 + found.radius**2), rel=1e-6)
    # The mixed equilibrium of the coordination game, 1/3 and 2/3, in one of the other places: beta > 1.
    worse = tuple(policy.copy() for policy in profile)
    for policy in worse:
        policy[7] = [1 / 3, 2 / 3]
    assert eq.certify(game, worse).gap < 1e-12
    assert stability(game, worse).stable is False


def test_strict_equilibria_of_large_games_need_no_eigenvalue():
    game = eq.load("catalog:quality_ladder", levels=100)
    solution = eq.solve(game)
    assert all(set(np.unique(policy)) <= {0.0, 1.0} for policy in solution.profile)
    assert stability(game, solution.profile).stable is True


def test_what_is_too_large_is_undetermined_with_the_reason():
    half = tuple(np.full((400, 2), 0.5) for _ in range(2))
    found = stability(places([CONFLICT] * 400, discount=0.5), half)
    assert found.stable is None
    assert found.reason == "1600 probabilities may mix; eigenvalues are computed of 1200 at most"
    # Without a future every state is a game of its own.
    epoch = stability(places([CONFLICT] * 400, horizon=1), tuple(policy[None] for policy in half))
    assert epoch.stable is True
    assert epoch.radius == pytest.approx(1 / (2 * epoch.temperature), rel=1e-9)
    assert epoch.reason == ""


def test_a_tie_is_undetermined_with_the_reason():
    game = eq.TabularGame.from_payoffs([[[1, 1], [0, 0]], [[1, 1], [0, 1]]])  # column is indifferent against row 0
    found = stability(game, (np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]])))
    assert found.stable is None
    assert "as on a continuum or with a tie" in found.reason

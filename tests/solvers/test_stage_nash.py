"""Stage-Nash policy iteration: known equilibria, invariances, and games that no single sweep can settle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from equinfer.certificates.nash import certify_nash
from equinfer.games import catalog
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.induced_game import exact_value, induced_game
from equinfer.solvers.tabular.stage_nash import StageNash


def solve(game, seed=0, **options):
    """The last candidate, or None."""
    found = None
    for iterate in StageNash(**options).iterates(game, seed=seed):
        found = iterate.answer if iterate.candidate else found
    return found


def relative_gap(game, profile):
    tables = game.tables()
    return certify_nash(tables, profile).gap / max(tables.payoff_scale, 1e-300)


def matrix_value(payoff):
    """Value of the zero-sum game to the row player, by linear programming."""
    rows, columns = payoff.shape
    constraints = np.hstack([-payoff.T, np.ones((columns, 1))])
    result = linprog(
        np.append(np.zeros(rows), -1.0),
        A_ub=constraints,
        b_ub=np.zeros(columns),
        A_eq=[np.append(np.ones(rows), 0.0)],
        b_eq=[1.0],
        bounds=[(0, None)] * rows + [(None, None)],
    )
    return -result.fun


@pytest.fixture
def zero_sum():
    """A random zero-sum stochastic game: reward to player 0, and kernel."""
    rng = np.random.default_rng(5)
    kernel = rng.exponential(size=(4, 3, 2, 4))
    return rng.normal(size=(4, 3, 2)), kernel / kernel.sum(axis=-1, keepdims=True)


def test_rock_paper_scissors_is_played_uniformly():
    profile = solve(catalog.load("rock_paper_scissors"))
    for policy in profile:
        np.testing.assert_allclose(policy, np.full((1, 3), 1 / 3), rtol=0, atol=1e-15)


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (4.0, 1.0), (1e6, 1.0), (1e-6, 1.0)])
def test_asymmetric_matching_pennies(a, b):
    # Row gets a or b where the pennies match; column is indifferent between the two if rows are equally likely, row
    # if y a = (1 - y) b.
    row = np.array([[a, 0.0], [0.0, b]])
    column = np.array([[0.0, 1.0], [1.0, 0.0]])
    mine, theirs = solve(TabularGame.from_payoffs(np.stack([row, column])))
    np.testing.assert_allclose(mine, [[0.5, 0.5]], rtol=1e-13)
    np.testing.assert_allclose(theirs, [[b / (a + b), a / (a + b)]], rtol=1e-9)


def test_jordan_has_one_equilibrium():
    # Each of three players wants to differ from, or to match, the next: all mix evenly (Jordan 1993).
    for policy in solve(catalog.load("jordan")):
        np.testing.assert_allclose(policy, [[0.5, 0.5]], rtol=0, atol=1e-14)


def test_war_of_attrition():
    # Both stay: cost c each, and again. One quits: the other gets v, and all ends. Mixed: quitting is worth 0, so
    # staying is: q v = (1 - q) c. Otherwise one stays and the other quits for sure.
    prize, cost = 3.0, 1.0
    reward, kernel = np.zeros((2, 2, 2, 2)), np.zeros((2, 2, 2, 2))
    reward[:, 0, 0, 0] = -cost
    reward[0, 0, 0, 1] = reward[1, 0, 1, 0] = prize
    kernel[..., 1] = 1.0
    kernel[0, 0, 0] = [1.0, 0.0]
    game = TabularGame(reward, kernel, discount=0.9)
    quits = cost / (prize + cost)
    known = [(1.0, 0.0), (0.0, 1.0), (quits, quits)]
    met = set()
    for seed in range(8):
        profile = solve(game, seed)
        pair = profile[0][0, 1], profile[1][0, 1]
        distances = [np.abs(np.subtract(pair, other)).max() for other in known]
        assert min(distances) < 1e-13
        met.add(int(np.argmin(distances)))
    assert met


def test_transitions_that_nobody_controls_leave_the_stage_equilibria():
    # Then every state's equilibrium is that of its rewards, and V = (I - γP)^-1 v.
    scale, chain, discounts = np.array([1.0, 5.0]), np.array([[0.2, 0.8], [0.5, 0.5]]), np.array([0.5, 0.9])
    # Asymmetric pennies: row 3 or 1 on a match, column 1 off it; values 3/4 and 1/2.
    stage = np.array([[[3.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    reward = stage[:, None] * scale[None, :, None, None]
    game = TabularGame(reward, np.broadcast_to(chain[:, None, None], (2, 2, 2, 2)), discount=discounts)
    profile = solve(game)
    np.testing.assert_allclose(profile[0], np.full((2, 2), 0.5), atol=1e-14)
    np.testing.assert_allclose(profile[1], [[0.25, 0.75]] * 2, atol=1e-14)
    values = [np.linalg.solve(np.eye(2) - g * chain, v * scale) for g, v in zip(discounts, (0.75, 0.5), strict=True)]
    np.testing.assert_allclose(exact_value(game, profile), values, rtol=1e-14)


def test_zero_sum_values_are_those_of_shapley(zero_sum):
    reward, kernel = zero_sum
    game = TabularGame(np.stack([reward, -reward]), kernel, discount=0.6)
    value = np.zeros(4)
    for _ in range(70):  # 0.6^70 < 1e-15
        value = np.array([matrix_value(q) for q in reward + 0.6 * kernel @ value])
    np.testing.assert_allclose(exact_value(game, solve(game))[0], value, atol=1e-7)


def test_finite_horizon_values_are_those_of_backward_induction(zero_sum):
    reward, kernel = zero_sum
    horizon = 5
    game = TabularGame(np.stack([reward, -reward]), kernel, discount=0.9, horizon=horizon)
    profile = solve(game)
    assert [policy.shape for policy in profile] == [(horizon, 4, 3), (horizon, 4, 2)]
    value = np.zeros(4)
    for _ in range(horizon):
        value = np.array([matrix_value(q) for q in reward + 0.9 * kernel @ value])
    certificate = certify_nash(game.tables(), profile)
    assert certificate.gap <= 1e-13
    np.testing.assert_allclose(certificate.values[0, 0], value, atol=1e-8)


def test_finite_horizon_with_three_players_and_illegal_actions():
    rng = np.random.default_rng(1)
    legal = [rng.random((6, 3)) < 0.7 for _ in range(3)]
    for mask in legal:
        mask[:, 1] = True
    kernel = rng.exponential(size=(6, 3, 3, 3, 6))
    kernel /= kernel.sum(axis=-1, keepdims=True)
    game = TabularGame(rng.random((3, 6, 3, 3, 3)), kernel, horizon=4, legal=legal)
    profile = solve(game)
    for policy, mask in zip(profile, legal, strict=True):
        assert policy.shape == (4, 6, 3)
        assert np.all(policy[:, ~mask] == 0)
    assert relative_gap(game, profile) <= 1e-13


@pytest.mark.parametrize(
    ("players", "states", "actions"),
    [(2, 5, 4), (3, 5, 4), (5, 5, 4), (2, 20, 4), (2, 20, 10), (2, 100, 2), (3, 50, 4)],
)
def test_random_stochastic_games_are_solved_to_rounding(players, states, actions):
    for seed in range(3):
        game = catalog.load("random", players=players, states=states, actions=actions, seed=seed)
        profile = solve(game)
        assert profile is not None, seed
        assert certify_nash(game.tables(), profile).gap <= 1e-12


@pytest.mark.parametrize(("players", "actions"), [(2, 20), (3, 8), (4, 5), (6, 3), (10, 2), (1, 4)])
def test_random_one_shot_games_take_one_sweep(players, actions):
    for seed in range(3):
        game = TabularGame.from_payoffs(np.random.default_rng(seed).random((players,) + (actions,) * players))
        iterates = list(StageNash().iterates(game, seed=seed))
        assert iterates[-1].candidate
        assert iterates[-1].info["sweep"] == 1
        assert relative_gap(game, iterates[-1].answer) <= 1e-12


def hard_game(rng, actions, exponent, common, horizon):
    """Ties and dominated actions, illegal actions, deterministic transitions, payoffs of any size."""
    players, states = len(actions), int(rng.integers(1, 5))
    reward = rng.integers(-2, 3, (players, states, *actions)) * 10.0**exponent
    kernel = np.eye(states)[rng.integers(0, states, (states, *actions))]
    legal = [rng.random((states, size)) < 0.8 for size in actions]
    for mask in legal:
        mask[:, 0] = True
    discount = np.full(players, 0.9) if common else rng.uniform(0, 0.99, players)
    return TabularGame(reward, kernel, discount=discount, horizon=horizon, legal=legal)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    actions=st.lists(st.integers(1, 3), min_size=2, max_size=3).map(tuple),
    exponent=st.integers(-6, 6),
    common=st.booleans(),
    horizon=st.sampled_from([None, None, 3]),
)
def test_what_is_offered_is_an_equilibrium(seed, actions, exponent, common, horizon):
    game = hard_game(np.random.default_rng(seed), actions, exponent, common, horizon)
    profile = solve(game, restarts=2)
    assert profile is None or relative_gap(game, profile) <= 1e-11


def test_most_hard_games_are_solved():
    # The property above would hold for a solver that never offers anything.
    rng = np.random.default_rng(0)
    games = [hard_game(rng, (2, 3), 0, True, None) for _ in range(30)]
    games += [hard_game(rng, (2, 2, 2), 0, False, None) for _ in range(10)]
    assert all(solve(game) is not None for game in games)


def test_payoffs_over_six_orders_of_magnitude():
    rng = np.random.default_rng(2)
    reward = rng.normal(size=(2, 6, 3, 3)) * 10.0 ** rng.uniform(-3, 3, (2, 6, 1, 1))
    kernel = rng.exponential(size=(6, 3, 3, 6)) ** 4
    game = TabularGame(reward, kernel / kernel.sum(axis=-1, keepdims=True), discount=0.99)
    assert relative_gap(game, solve(game)) <= 1e-13


def test_positive_affine_payoffs_play_the_same():
    game = catalog.load("random", players=3, states=4, actions=3, seed=2)
    factor, shift = np.array([1e-3, 7.0, 1e4]), np.array([5.0, -1.0, 100.0])
    expand = (slice(None),) + (None,) * 4
    other = TabularGame(game.reward * factor[expand] + shift[expand], game.kernel.probabilities, discount=0.95)
    for one, two in zip(solve(game), solve(other), strict=True):
        np.testing.assert_allclose(one, two, atol=1e-9)


def test_renaming_players_gives_an_equilibrium_of_the_renamed_game():
    game = catalog.load("random", players=3, states=4, actions=(2, 3, 4), seed=3)
    order = (2, 0, 1)
    axes = tuple(1 + i for i in order)
    renamed = TabularGame(
        game.reward[list(order)].transpose(0, 1, *(2 + i for i in order)),
        game.kernel.probabilities.transpose(0, *axes, 4),
        discount=0.95,
    )
    profile = solve(renamed)
    back = tuple(profile[order.index(i)] for i in range(3))
    assert relative_gap(game, back) <= 1e-13


def test_the_seed_decides_everything():
    game = catalog.load("random", players=3, states=5, actions=4, seed=1)
    for seed in (0, 7):
        first, second = (list(StageNash().iterates(game, seed=seed)) for _ in range(2))
        assert [one.info for one in first] == [two.info for two in second]
        for one, two in zip(first[-1].answer, second[-1].answer, strict=True):
            np.testing.assert_array_equal(one, two)


def test_a_cycle_is_ended_by_solving_its_states_together():
    # Supports switch for ever in some of the five states, whichever stage equilibria are drawn.
    game = catalog.load("random", players=2, states=5, actions=4, seed=7)
    assert solve(game, repair_size=0, restarts=2) is None
    profile = solve(game, restarts=0)
    assert certify_nash(game.tables(), profile).gap <= 1e-12


def test_a_slow_approach_is_ended_by_newton():
    # On this game's supports a sweep leaves 46 % of the error; sixty of them would still leave 1e-11.
    game = catalog.load("random", players=2, states=10, actions=3, seed=2)
    *_, last = StageNash(restarts=0).iterates(game, seed=0)
    assert last.candidate
    assert last.info["sweep"] < 12


@pytest.mark.parametrize("discount", [np.array(0.9), np.array([0.3, 0.8, 0.95])])
def test_the_induced_game_keeps_the_values_of_its_states(discount):
    game = catalog.load("random", players=3, states=6, actions=2, seed=4)
    legal = [np.ones((6, 2), bool) for _ in range(3)]
    legal[1][3, 0] = False
    game = TabularGame(game.reward, game.kernel.probabilities, discount=discount, legal=legal)
    rng = np.random.default_rng(0)
    profile = tuple(np.where(mask, rng.uniform(0.2, 1, mask.shape), 0) for mask in legal)
    profile = tuple(policy / policy.sum(axis=1, keepdims=True) for policy in profile)
    states = np.array([1, 3, 4])
    induced = induced_game(game, profile, states)
    inside = tuple(np.vstack([policy[states], [[1.0, 0.0]]]) for policy in profile)
    expected = exact_value(game, profile)[:, states]
    np.testing.assert_allclose(exact_value(induced, inside)[:, :3], expected, rtol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("players", "states", "actions"), [(3, 20, 4), (4, 20, 3), (2, 50, 4), (3, 20, 8), (2, 200, 4), (2, 500, 4)]
)
def test_large_random_games_are_solved_to_rounding(players, states, actions):
    for seed in range(10):
        game = catalog.load("random", players=players, states=states, actions=actions, seed=seed)
        assert certify_nash(game.tables(), solve(game)).gap <= 1e-11


@pytest.mark.peers
def test_nashpy_knows_the_equilibrium():
    nashpy = pytest.importorskip("nashpy")
    for seed in range(20):
        payoffs = np.random.default_rng(seed).random((2, 4, 5))
        profile = solve(TabularGame.from_payoffs(payoffs), seed)
        known = nashpy.Game(*payoffs).vertex_enumeration()
        distances = [max(np.abs(x - profile[0][0]).max(), np.abs(y - profile[1][0]).max()) for x, y in known]
        assert min(distances) < 1e-10


@pytest.mark.parametrize("level", [-1e6, 1e6])
def test_a_level_is_not_payoff_at_stake(zero_sum, level):
    # Values are then 1e9, and their rounding far more than 1e-12 of what is at stake, some thousands.
    reward, kernel = zero_sum
    game = TabularGame(np.stack([reward, -reward]) + level, kernel, discount=0.999)
    profile = solve(game, restarts=0)
    assert profile is not None
    assert relative_gap(game, profile) <= 1e-12


@pytest.mark.parametrize("horizon", [None, 3])
def test_constant_payoffs_have_nothing_at_stake(horizon):
    game = catalog.load("random", players=3, states=5, actions=2, seed=1)
    reward = np.full(game.reward.shape, 0.1)
    profile = solve(TabularGame(reward, game.kernel.probabilities, discount=0.9, horizon=horizon), restarts=0, sweeps=2)
    assert profile is not None

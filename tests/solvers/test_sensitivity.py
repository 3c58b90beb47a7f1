"""Derivatives of regular equilibria: closed forms, and differences of equilibria solved again."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import equinfer as eq
from equinfer.games import catalog
from equinfer.games.kernels import DenseKernel
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.parameters import sensitivity
from equinfer.solvers.tabular.polish import polish
from equinfer.solvers.tabular.scaled import ScaledGame


def bimatrix(first, second):
    return TabularGame.from_payoffs(np.array([first, second], float))


def random_game(seed, num_actions, num_states=4, discount=0.9, horizon=None):
    """A game of conflict, in which players mix: each wants what the next does not, up to some noise."""
    rng = np.random.default_rng(seed)
    kernel = rng.exponential(size=(num_states, *num_actions, num_states))
    kernel /= kernel.sum(axis=-1, keepdims=True)
    reward, noise = rng.random((2, len(num_actions), num_states, *num_actions))
    return TabularGame(reward - np.roll(reward, 1, axis=0) + 0.2 * noise, kernel, discount, horizon)


def changed(game, reward=0.0, kernel=0.0, discount=0.0):
    """The same game with these added to its tables."""
    return TabularGame(
        np.asarray(game.reward) + reward,
        np.asarray(game.kernel.probabilities) + kernel,
        np.asarray(game.discount) + discount,
        game.horizon,
    )


def solved_near(game, solution):
    """The equilibrium of a discounted game on the supports of a solution, and its values by their definition."""
    flat = np.concatenate(solution.profile, axis=1)
    scaled = ScaledGame.of(game)
    found = polish(scaled, flat, flat > 0)
    np.testing.assert_array_equal(found.policy > 0, flat > 0)
    profile = scaled.split(found.policy)
    return profile, eq.certify(game, profile).values


def differences(solution, move, again=solved_near, step=1e-4):
    """Derivative at 0 of the equilibrium of `move(x)`, by central differences of fourth order."""
    total = [0.0] * (len(solution.profile) + 1)
    for part, weight in ((-2, 1 / 12), (-1, -2 / 3), (1, 2 / 3), (2, -1 / 12)):
        profile, values = again(move(part * step), solution)
        total = [sum_ + weight / step * array for sum_, array in zip(total, (*profile, values), strict=True)]
    return total[:-1], total[-1]


def assert_derivative(found, solution, move, again=solved_near, rtol=1e-7):
    profile, values = differences(solution, move, again)
    for mine, numeric in zip(found.profile, profile, strict=True):
        np.testing.assert_allclose(mine, numeric, atol=rtol * max(1.0, np.abs(numeric).max()), rtol=0)
    np.testing.assert_allclose(found.values, values, atol=rtol * max(1.0, np.abs(values).max()), rtol=0)


def mixed(solution):
    return any(((policy > 0) & (policy < 1)).any() for policy in solution.profile)


def solution_of(seed, num_actions, **options):
    """The solution of the random game of a seed, in which somebody mixes: a pure one would test half of it."""
    game = random_game(seed, num_actions, **options)
    # The path finds the principal equilibrium, whatever else there is; backward induction has one per epoch as well.
    solution = eq.solve(game, solver="homotopy" if game.horizon is None else "stage-nash")
    assert solution.certified
    assert mixed(solution)
    return game, solution


# Seeds whose equilibria mix in several states.
CASES = [
    (7, (3, 3), {"discount": 0.9}),
    (5, (2, 3), {"discount": [0.9, 0.6]}),
    (4, (2, 2, 2), {"discount": [0.9, 0.5, 0.8]}),
]


@pytest.fixture(params=CASES, ids=["two players", "unequal discounts", "three players"], scope="module")
def stochastic(request):
    seed, num_actions, options = request.param
    return solution_of(seed, num_actions, **options)


def test_rewards_in_a_random_direction(stochastic):
    game, solution = stochastic
    direction = np.random.default_rng(7).normal(size=game.reward.shape)
    found = solution.sensitivity("reward").jvp(direction)
    assert_derivative(found, solution, lambda x: changed(game, reward=x * direction))


def test_kernels_in_a_random_direction(stochastic):
    game, solution = stochastic
    direction = np.random.default_rng(8).normal(size=game.kernel.probabilities.shape)
    direction *= 0.1 * np.asarray(game.kernel.probabilities)
    direction -= direction.sum(axis=-1, keepdims=True) * np.asarray(game.kernel.probabilities)
    found = solution.sensitivity("kernel").jvp(direction)
    assert_derivative(found, solution, lambda x: changed(game, kernel=x * direction))


def test_discounts_together_and_one_by_one(stochastic):
    game, solution = stochastic
    together = solution.sensitivity("discount")
    assert_derivative(together, solution, lambda x: changed(game, discount=x), rtol=1e-6)
    alone = [solution.sensitivity(("discount", i)) for i in range(game.num_players)]
    for i, policy in enumerate(together.profile):
        np.testing.assert_allclose(sum(each.profile[i] for each in alone), policy, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sum(each.values for each in alone), together.values, rtol=1e-9)


def test_a_dict_of_changes_adds_them_up(stochastic):
    game, solution = stochastic
    reward = np.random.default_rng(9).normal(size=game.reward.shape)
    found = solution.sensitivity({"reward": reward, "discount": -0.3})
    parts = solution.sensitivity("reward").jvp(reward), solution.sensitivity("discount")
    np.testing.assert_allclose(found.values, parts[0].values - 0.3 * parts[1].values, rtol=1e-9)
    for mine, one, other in zip(found.profile, parts[0].profile, parts[1].profile, strict=True):
        np.testing.assert_allclose(mine, one - 0.3 * other, rtol=1e-9, atol=1e-12)


def test_towards_another_game_all_tables_move(stochastic):
    game, solution = stochastic
    other = changed(random_game(99, game.num_actions), discount=np.asarray(game.discount) - 0.91)
    found = solution.sensitivity(other)

    def between(x):
        parts = [(np.asarray(b) - np.asarray(a)) * x for a, b in zip(tables(game), tables(other), strict=True)]
        return changed(game, *parts)

    assert_derivative(found, solution, between, rtol=1e-6)


def tables(game):
    return game.reward, game.kernel.probabilities, game.discount


@pytest.mark.parametrize("table", ["reward", "kernel"])
def test_vjp_is_the_transpose_of_jvp(stochastic, table):
    assert_transpose(*stochastic, table)


def assert_transpose(game, solution, table):
    rng = np.random.default_rng(3)
    linear = solution.sensitivity(table)
    direction = rng.normal(size=(game.reward if table == "reward" else game.kernel.probabilities).shape)
    if table == "kernel":  # rows of probabilities keep their sum
        direction -= direction.mean(axis=-1, keepdims=True)
    profile = [rng.normal(size=policy.shape) for policy in solution.profile]
    values = rng.normal(size=solution.values.shape)
    forward = linear.jvp(direction)
    along = sum(np.sum(a * b) for a, b in zip(profile, forward.profile, strict=True)) + np.sum(values * forward.values)
    assert np.sum(direction * linear.vjp(profile, values)) == pytest.approx(along, rel=1e-9)


def test_one_entry_of_the_reward_is_a_column_of_the_map(stochastic):
    game, solution = stochastic
    index = (1, 2, *(0,) * game.num_players)
    gradient = solution.sensitivity("reward").vjp(values=np.eye(1, solution.values.size).reshape(solution.values.shape))
    entry = solution.sensitivity(("reward", index))
    assert entry.values.ravel()[0] == pytest.approx(gradient[index], rel=1e-9, abs=1e-12)


def test_two_by_two_closed_form():
    # Row indifferent: q a + (1-q) b = q c + (1-q) d, so q = (d-b) / (a-b-c+d), and likewise for p. Row's value is
    # (ad - bc) / (a-b-c+d). Derivatives by the quotient rule.
    a, b, c, d = 4.0, 0.0, 1.0, 2.0
    row, column = np.array([[a, b], [c, d]]), np.array([[0.0, 3.0], [5.0, 1.0]])
    solution = eq.solve(bimatrix(row, column))
    D, q = a - b - c + d, (d - b) / (a - b - c + d)
    derivative = {(0, 0): -q / D, (0, 1): (q - 1) / D, (1, 0): q / D, (1, 1): (1 - q) / D}
    cofactor = {(0, 0): d, (0, 1): -c, (1, 0): -b, (1, 1): a}
    for (i, j), expected in derivative.items():
        found = solution.sensitivity(("reward", (0, 0, i, j)))
        np.testing.assert_allclose(found.profile[1], [[expected, -expected]], rtol=1e-12)
        np.testing.assert_allclose(found.profile[0], [[0.0, 0.0]], atol=1e-15)  # row's own mixture answers column's
        sign = 1 if i == j else -1
        value = (cofactor[i, j] * D - sign * (a * d - b * c)) / D**2
        assert found.values[0, 0] == pytest.approx(value, rel=1e-12)


def test_three_players_one_shot():
    game = eq.load("catalog:jordan")
    solution = eq.solve(game)
    direction = np.random.default_rng(2).normal(size=game.reward.shape)
    assert_derivative(
        solution.sensitivity({"reward": direction}),
        solution,
        lambda x: changed(game, reward=x * direction),
    )


def backward(game, solution):
    """The finite-horizon equilibrium on the supports of a solution, epoch by epoch, by plain root finding."""
    value, profile, values = np.zeros(game.reward.shape[:2]), [], []
    for t in reversed(range(game.horizon)):
        ahead = np.einsum("sabt,nt->nsab", np.asarray(game.kernel.probabilities), value)
        table = np.asarray(game.reward) + np.asarray(game.discount)[:, None, None, None] * ahead
        played = [policy[t].copy() for policy in solution.profile]
        for s in range(game.num_states):
            rows, columns = (np.flatnonzero(policy[s]) for policy in played)
            for mover, payoff in ((1, table[0, s][np.ix_(rows, columns)]), (0, table[1, s][np.ix_(rows, columns)].T)):
                system = np.vstack([payoff[1:] - payoff[:1], np.ones(payoff.shape[1])])
                played[mover][s, (rows, columns)[mover]] = np.linalg.solve(system, np.eye(len(payoff))[-1])
        value = np.einsum("nsab,sa,sb->ns", table, *played)
        profile.append(played)
        values.append(value)
    return [np.stack(each) for each in zip(*reversed(profile), strict=True)], np.stack(values[::-1], axis=1)


@pytest.fixture(scope="module")
def finite():
    return solution_of(3, (3, 3), horizon=3, discount=[0.9, 0.7])


def test_finite_horizon(finite):
    game, solution = finite
    again, again_values = backward(game, solution)
    np.testing.assert_allclose(again_values, solution.values, rtol=1e-12)
    direction = np.random.default_rng(4).normal(size=game.reward.shape)
    reward = solution.sensitivity({"reward": direction})
    assert [policy.shape for policy in reward.profile] == [policy.shape for policy in again]
    assert_derivative(reward, solution, lambda x: changed(game, reward=x * direction), backward)
    discount = solution.sensitivity(("discount", 1))
    assert_derivative(discount, solution, lambda x: changed(game, discount=[0.0, x]), backward)
    kernel = 0.1 * (np.eye(4)[0] - np.asarray(game.kernel.probabilities))
    moved = solution.sensitivity({"kernel": kernel})
    assert_derivative(moved, solution, lambda x: changed(game, kernel=x * kernel), backward)


@pytest.mark.parametrize("table", ["reward", "kernel"])
def test_finite_horizon_transpose(finite, table):
    assert_transpose(*finite, table)


def test_a_parameter_of_the_catalogue():
    # Row plays heads with 1/2, column with 1/(1+prize): d/dprize = -1/(1+prize)^2, and the value prize/(1+prize).
    solution = eq.solve("catalog:asymmetric_matching_pennies")
    found = solution.sensitivity("prize")
    np.testing.assert_allclose(found.profile[1], [[-0.01, 0.01]], rtol=1e-10)
    np.testing.assert_allclose(found.profile[0], [[0.0, 0.0]], atol=1e-12)
    assert found.values[0, 0] == pytest.approx(0.01, rel=1e-10)


@pytest.mark.parametrize("name", ["cost", "efficacy", "shock", "market", "step"])
def test_parameters_that_move_rewards_and_kernel(ladder, name):
    solution, parameters = ladder
    found = solution.sensitivity(name)

    def move(x):
        return eq.load("catalog:quality_ladder", **{**parameters, name: parameters[name] + x})

    assert_derivative(found, solution, move, rtol=1e-6)


@pytest.fixture(scope="module")
def ladder():
    solution = eq.solve("catalog:quality_ladder", solver="homotopy")
    assert mixed(solution)
    return solution, dict(solution.game.origin.parameters)


@pytest.mark.parametrize("name", ["price_duopoly", "no_sde", "dynamic_rock_paper_scissors"])
def test_equilibria_that_are_formulas_of_the_discount(name):
    # Each is derived on paper; legal actions differ from state to state in the first.
    game = eq.load(f"catalog:{name}")
    at, step = float(game.discount[0]), 1e-4
    less, here, more = (catalog.equilibria(name, discount=at + part * step)[0] for part in (-1, 0, 1))
    found = sensitivity(game, here.profile, "discount")
    for mine, before, after in zip(found.profile, less.profile, more.profile, strict=True):
        np.testing.assert_allclose(mine, (after - before) / (2 * step), atol=1e-5)
    if here.values is not None:
        np.testing.assert_allclose(found.values, (more.values - less.values) / (2 * step), rtol=1e-4, atol=1e-9)


def test_a_builder_of_ones_own():
    def build(stake):
        return bimatrix([[9 * stake, 0], [0, 1]], [[0, 1], [1, 0]])

    found = eq.solve(build(1.0)).sensitivity((build, 1.0))
    np.testing.assert_allclose(found.profile[1], [[-0.09, 0.09]], rtol=1e-10)  # q = 1 / (1 + 9 x)


def test_a_solution_from_a_file_remembers(tmp_path):
    solution = eq.solve("catalog:asymmetric_matching_pennies", solver="support")
    solution.save(tmp_path / "a.npz")
    again = eq.load_solution(tmp_path / "a.npz")
    assert again.game == solution.game
    np.testing.assert_array_equal(again.sensitivity("prize").values, solution.sensitivity("prize").values)
    bare = replace(again, tables=None)
    with pytest.raises(eq.BadInput, match="saved without its game"):
        bare.sensitivity("prize")
    again = bare.sensitivity("prize", game="catalog:asymmetric_matching_pennies")
    np.testing.assert_array_equal(again.values, solution.sensitivity("prize").values)


def test_units_and_shifts_of_payoffs_do_not_matter():
    game, solution = solution_of(7, (3, 3))
    wide = changed(game, reward=1e6 * np.asarray(game.reward) - np.asarray(game.reward) + 1e7)
    direction = np.random.default_rng(1).normal(size=game.reward.shape)
    one = solution.sensitivity("reward").jvp(direction)
    other = replace(solution, tables=wide.tables()).sensitivity("reward").jvp(1e6 * direction)
    for mine, theirs in zip(one.profile, other.profile, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(1e6 * one.values, other.values, rtol=1e-6)


def in_units(game, units, zeros=0.0):
    """The game with the payoffs of every player multiplied, and then shifted."""
    tables = game.tables()
    shape = (-1, *[1] * (tables.reward.ndim - 1))
    shifted = tables.reward * np.reshape(units, shape) + np.reshape(zeros, shape)
    return TabularGame(shifted, tables.kernel, tables.discount, tables.horizon, legal=tables.legal)


UNITS = st.lists(st.floats(-9, 9).map(lambda power: 10.0**power), min_size=3, max_size=3)
ZEROS = st.lists(st.floats(-5, 5), min_size=3, max_size=3)


def assert_equivariant(game, profile, units, zeros):
    """Payoffs of player i times k_i: the same response of play, and k_i times that of i's values."""
    units, zeros = np.array(units[: game.num_players]), np.array(zeros[: game.num_players])
    scaled = in_units(game, units, units * zeros)
    direction = np.random.default_rng(1).normal(size=game.reward.shape)
    moved = direction * units.reshape(-1, *[1] * (direction.ndim - 1))
    each = units.reshape(-1, *[1] * (1 if game.horizon is None else 2))
    for parameter, same in (({"reward": direction}, {"reward": moved}), ("discount", "discount")):
        one, other = sensitivity(game, profile, parameter), sensitivity(scaled, profile, same)
        for mine, theirs in zip(one.profile, other.profile, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=1e-7, atol=1e-9)
        assert one.condition == pytest.approx(other.condition, rel=1e-6)
        if parameter != "discount":  # the value of what is added to every reward moves with the discount
            np.testing.assert_allclose(one.values, other.values / each, rtol=1e-7, atol=1e-9)
    weights = [np.cos(np.arange(policy.size)).reshape(policy.shape) for policy in profile]
    ours, theirs = (sensitivity(each, profile, "reward").vjp(weights) for each in (game, scaled))
    np.testing.assert_allclose(ours, theirs * units.reshape(-1, *[1] * (direction.ndim - 1)), rtol=1e-7, atol=1e-9)


@settings(max_examples=8)
@given(UNITS, ZEROS)
@pytest.mark.parametrize("case", range(4))
def test_units_of_players_do_not_matter(case, units, zeros):
    assert_equivariant(*answer(case), units, zeros)


@cache
def answer(case):
    seed, num_actions, options = [*CASES, (3, (3, 3), {"horizon": 3, "discount": [0.9, 0.7]})][case]
    game, solution = solution_of(seed, num_actions, **options)
    return game, solution.profile


@pytest.mark.parametrize("unit", [1.0, 1e-7])
def test_kinks_and_other_games_are_seen_in_any_unit(unit):
    def build(x):
        return bimatrix([[9e6, 0], [0, 1e6]], [[0, unit], [unit * (1 + abs(x)), 0]])

    with pytest.raises(eq.BadInput, match="kink or a jump"):
        eq.solve(build(0.0)).sensitivity((build, 0.0))
    with pytest.raises(eq.BadInput, match="another game"):
        eq.solve(build(0.0)).sensitivity((build, 1e-6))


def test_lists_are_differentiated_as_tables_are():
    game, solution = solution_of(7, (3, 3))
    tables = game.tables()
    successors = np.broadcast_to(np.arange(4), tables.kernel.shape)
    listed = TabularGame(tables.reward, eq.SparseKernel(successors, tables.kernel), tables.discount)
    sparse = replace(solution, tables=listed.tables())
    gradient = solution.sensitivity("kernel").vjp(solution.profile, solution.values)
    lists = sparse.sensitivity("kernel").vjp(solution.profile, solution.values)
    np.testing.assert_array_equal(lists.successors, successors)
    np.testing.assert_allclose(lists.probabilities, gradient, rtol=1e-9)
    # A direction in lists that repeat a successor, pad, and lead where the kernel does not, is the table of its sums.
    rng = np.random.default_rng(5)
    places = rng.integers(4, size=(*tables.kernel.shape[:-1], 6))
    changes = rng.normal(size=places.shape) * (rng.random(places.shape) < 0.7)
    changes -= np.where(
        changes == 0, 0, changes.sum(-1, keepdims=True) / np.maximum((changes != 0).sum(-1), 1)[..., None]
    )
    table = np.zeros(tables.kernel.shape)
    for index in np.ndindex(places.shape):
        table[(*index[:-1], places[index])] += changes[index]
    padded = np.where(changes == 0, -1, places)
    for each in (solution, sparse):
        expected = each.sensitivity("kernel").jvp(table)
        for direction in (eq.SparseKernel(padded, changes), eq.SparseKernel(padded, changes).raw(), DenseKernel(table)):
            found = each.sensitivity("kernel").jvp(direction)
            np.testing.assert_allclose(found.values, expected.values, rtol=1e-9)
            np.testing.assert_array_equal(each.sensitivity({"kernel": direction}).values, found.values)

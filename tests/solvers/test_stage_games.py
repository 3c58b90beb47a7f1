"""The compiled kernels against their readable twins in NumPy."""

import numpy as np
import pytest

from equinfer.contraction import expected_own, expected_pair
from equinfer.solvers.tabular.bimatrix import next_combination
from equinfer.solvers.tabular.logit_path import advance_path, linearise, new_path
from equinfer.solvers.tabular.stage_games import average, find_supports, load, polish, solve_linear, store

SIZES = (2, 3, 4)


def padded(rng, sizes):
    """A random profile with some zeros, as rows of one array and as policies of one state."""
    policy = np.zeros((len(sizes), max(sizes)))
    for i, size in enumerate(sizes):
        policy[i, :size] = rng.random(size) * (rng.random(size) < 0.7)
        policy[i, 0] += 0.1
        policy[i] /= policy[i].sum()
    return policy, tuple(policy[i : i + 1, :size] for i, size in enumerate(sizes))


def test_averages_are_contractions():
    rng = np.random.default_rng(0)
    payoff = rng.normal(size=SIZES)
    policy, profile = padded(rng, SIZES)
    out = np.zeros((4, 4))
    for i in range(3):
        average(payoff.ravel(), np.array(SIZES), policy, i, -1, out)
        np.testing.assert_allclose(out[: SIZES[i], 0], expected_own(payoff[None], profile, i)[0], atol=1e-15)
        for j in set(range(3)) - {i}:
            average(payoff.ravel(), np.array(SIZES), policy, i, j, out)
            pair = expected_pair(payoff[None], profile, i, j)[0]
            np.testing.assert_allclose(out[: SIZES[i], : SIZES[j]], pair if i < j else pair.T, atol=1e-15)


@pytest.mark.parametrize("size", [1, 2, 7])
def test_linear_systems_and_the_sign_of_their_determinant(size):
    rng = np.random.default_rng(size)
    for _ in range(10):
        matrix, rhs = rng.normal(size=(size, size)), rng.normal(size=size)
        solution = rhs.copy()
        assert solve_linear(matrix.copy(), solution) == np.linalg.slogdet(matrix)[0]
        np.testing.assert_allclose(matrix @ solution, rhs, atol=1e-12)


def test_singular_systems_are_recognised():
    matrix = np.arange(9.0).reshape(3, 3)
    assert solve_linear(matrix / 7, np.ones(3)) == 0
    assert solve_linear(np.zeros((2, 2)), np.zeros(2)) == 0


def test_loading_takes_the_legal_actions_in_order_and_one_unit():
    rng = np.random.default_rng(1)
    table = 50 + 1e-3 * rng.random((2, 3, 3, 4))
    orders = np.zeros((2, 3, 4), np.int64)
    orders[0, 1, :2], orders[1, 1, :3] = [2, 0], [3, 1, 2]
    legal = np.array([[1, 2, 1], [1, 3, 1]])
    payoffs, sizes, tolerance = load(table.reshape(2, 3, -1), np.array([3, 4]), orders, legal, 1)
    part = table[:, 1][:, [2, 0]][:, :, [3, 1, 2]].reshape(2, -1)
    low, spread = part.min(axis=1, keepdims=True), np.ptp(part, axis=1)[:, None]
    np.testing.assert_array_equal(sizes, [2, 3])
    np.testing.assert_allclose(payoffs, (part - low) / spread, atol=1e-12)
    # A spread of 1e-3 on a payoff of 50 is known to a few units in the last place of 50.
    assert np.all(tolerance > 50 * 2**-52 / 1e-3)
    assert np.all(tolerance < 1e-9)
    profile = np.full((2, 3, 4), -1.0)
    store(np.array([[0.25, 0.75, 9.0, 9.0], [0.5, 0.2, 0.3, 9.0]]), orders, legal, 1, profile)
    np.testing.assert_array_equal(profile[:, 1], [[0.75, 0, 0.25, 0], [0, 0.2, 0.3, 0.5]])


def test_payoffs_that_differ_by_rounding_are_equal():
    table = np.array([[[0.1 + 0.2, 0.3, 0.3, 0.3]], [[1.0, 2.0, 3.0, 4.0]]])
    order = np.broadcast_to(np.arange(2), (2, 1, 2)).copy()
    payoffs, _, _ = load(table, np.array([2, 2]), order, np.full((2, 1), 2), 0)
    np.testing.assert_array_equal(payoffs[0], 0)
    np.testing.assert_allclose(payoffs[1], [0, 1 / 3, 2 / 3, 1])


def test_newton_lands_on_the_mixed_equilibrium_of_three_players():
    # Jordan's game: each wants to match the next, the last to differ from the first; all mix evenly.
    match, joint = np.eye(2), (2, 2, 2)
    cases = match[:, :, None], match, 1 - match[:, None]
    payoffs = np.stack([np.broadcast_to(case, joint).ravel() for case in cases])
    policy = np.array([[0.6, 0.4], [0.55, 0.45], [0.3, 0.7]])
    items, counts = np.zeros((3, 2), np.int64), np.zeros(3, np.int64)
    find_supports(policy, np.array([2, 2, 2]), items, counts)
    assert polish(payoffs, np.array([2, 2, 2]), policy, items, counts, np.full(3, 1e-12))
    np.testing.assert_allclose(policy, 0.5, atol=1e-15)


def test_the_jacobian_of_the_logit_equations():
    rng = np.random.default_rng(3)
    sizes, total = np.array(SIZES), sum(SIZES)
    payoffs = rng.random((3, 24))
    magnet = np.log(rng.random((3, 4)) + 0.1)
    position = np.append(np.log(rng.dirichlet(np.ones(total)) + 0.02), 0.7)
    scratch, weight = np.zeros((3, 4)), np.exp(position[:total] / 2)

    def evaluated(place):
        matrix, residual = np.zeros((total + 1, total + 1)), np.zeros(total + 1)
        linearise(payoffs, sizes, magnet, place, scratch, matrix, residual)
        # Undo the Fisher metric: rows were scaled by sqrt(pi), columns by its inverse.
        own = np.exp(place[:total] / 2)
        return matrix[:total] / own[:, None], -residual[:total] / own

    matrix, _ = evaluated(position)
    matrix[:, :total] *= weight
    for column in range(total + 1):
        step = 1e-6 * np.eye(total + 1)[column]
        slope = (evaluated(position + step)[1] - evaluated(position - step)[1]) / 2e-6
        np.testing.assert_allclose(matrix[:, column], slope, atol=1e-8)


def test_the_logit_path_of_a_game_with_one_equilibrium():
    # Rock, paper, scissors with a stake of 3 on paper against rock; the path's end does not depend on its magnet.
    row = np.array([[0.0, -3.0, 1.0], [3.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    payoffs = np.stack([row.ravel(), -row.ravel()])
    sizes = np.array([3, 3])
    for weight in ([1.0, 1.0, 1.0], [0.8, 0.1, 0.1], [0.05, 0.05, 0.9]):
        magnet = np.log(np.array([weight, weight[::-1]]) / np.sum(weight))
        policy = np.zeros((2, 3))
        path = new_path(magnet, sizes)
        assert advance_path((payoffs + 3) / 6, sizes, np.full(2, 1e-12), magnet, *path, policy, 1_000) == 1
        # The kernel of the antisymmetric matrix: (1, 1, 3) / 5.
        np.testing.assert_allclose(policy, [[0.2, 0.2, 0.6]] * 2, atol=1e-14)


def test_all_subsets_in_order():
    chosen, seen = np.arange(2), [(0, 1)]
    while next_combination(chosen, 4):
        seen.append(tuple(chosen.tolist()))
    assert seen == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]
    assert chosen.tolist() == [0, 1]

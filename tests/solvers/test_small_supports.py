"""Closed forms for two or three players who mix over two actions each."""

import itertools

import numpy as np
import pytest

from equinfer.certificates.batch import certify_batch
from equinfer.solvers.tabular.many_games import NashOfEach
from equinfer.solvers.tabular.small_supports import indifferent_triples, quadratic_roots, three_mix, two_mix
from equinfer.solvers.tabular.stage_games import normalise, pure_equilibrium, strides_of


def solved_by(method, payoffs):
    """The profile that a closed form finds in one game (N, *A), None if it finds none."""
    flat, sizes = payoffs.reshape(len(payoffs), -1).copy(), np.array(payoffs.shape[1:])
    tolerance, policy = np.empty(len(flat)), np.full((len(flat), sizes.max()), 7.0)
    normalise(flat, tolerance)
    if not method(flat, sizes, strides_of(sizes), tolerance, policy):
        return None
    return [row[:size] for row, size in zip(policy, sizes, strict=True)]


def gap(payoffs, profile):
    return certify_batch(payoffs[None], [policy[None] for policy in profile]).gaps[0]


def test_the_mixed_equilibrium_of_a_two_by_two_game():
    # Row is indifferent where 3 q = 1 - q, column where p = 2 (1 - p).
    payoffs = np.array([[[3.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 2.0]]])
    row, column = solved_by(two_mix, payoffs)
    np.testing.assert_allclose(row, [2 / 3, 1 / 3], atol=1e-15)
    np.testing.assert_allclose(column, [1 / 4, 3 / 4], atol=1e-15)


def test_two_players_mix_while_a_third_does_not():
    # Player 1 has a dominant action; the others play matching pennies whatever it does.
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    payoffs = np.stack(
        [
            np.repeat(pennies[:, None], 3, axis=1),
            np.tile(np.array([0.0, 2.0, 1.0])[:, None], (2, 1, 2)),
            np.repeat(-pennies[:, None], 3, axis=1),
        ]
    )
    profile = solved_by(two_mix, payoffs)
    np.testing.assert_allclose(profile[0], 0.5, atol=1e-15)
    np.testing.assert_array_equal(profile[1], [0.0, 1.0, 0.0])
    np.testing.assert_allclose(profile[2], 0.5, atol=1e-15)


def supports_of_two(sizes):
    """All profiles of pairs of actions for two players and single actions for the rest, as lists of lists."""
    choices = [[*([a] for a in range(size)), *map(list, itertools.combinations(range(size), 2))] for size in sizes]
    return [s for s in itertools.product(*choices) if sorted(map(len, s))[-3:] in ([1, 2, 2], [2, 2])]


def exists(payoffs, supports):
    """Whether there is an equilibrium of these supports, two of which have two actions: by linear solves in NumPy."""
    i, j = (k for k, support in enumerate(supports) if len(support) == 2)
    corner = [support[:1] for support in supports]
    corner[i], corner[j] = supports[i], supports[j]
    profile = [np.zeros(size) for size in payoffs.shape[1:]]
    for policy, support in zip(profile, supports, strict=True):
        policy[support[0]] = 1.0
    for k, other in ((i, j), (j, i)):
        table = payoffs[other][np.ix_(*corner)].squeeze()
        table = table if other < k else table.T  # the opponent's actions first
        matrix = np.vstack([table[1] - table[0], np.ones(2)])
        if abs(np.linalg.det(matrix)) < 1e-12:
            return False
        mixture = np.linalg.solve(matrix, [0.0, 1.0])
        if not np.all(mixture > 0):
            return False
        profile[k][supports[k]] = mixture
    return bool(gap(payoffs, profile) < 1e-9)


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (2, 2, 2), (2, 3, 2)], ids=str)
def test_two_mix_finds_one_exactly_where_there_is_one(shape):
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(60):
        payoffs = rng.normal(size=(len(shape), *shape))
        profile = solved_by(two_mix, payoffs)
        assert (profile is not None) == any(exists(payoffs, supports) for supports in supports_of_two(shape))
        if profile is not None:
            found += 1
            assert gap(payoffs, profile) < 1e-14
            assert sorted(int((policy > 0).sum()) for policy in profile)[-2:] == [2, 2]
    assert 10 < found < 60


@pytest.mark.parametrize("roots", [(0.5, 0.25), (1e-9, 3.0), (-2.0, 5.0)])
def test_roots_of_a_quadratic_without_cancellation(roots):
    out = np.empty(2)
    assert quadratic_roots(2.0, -2.0 * sum(roots), 2.0 * roots[0] * roots[1], out) == 2
    np.testing.assert_allclose(sorted(out), sorted(roots), rtol=1e-14)


def test_a_quadratic_that_is_linear_or_has_no_real_root():
    out = np.empty(2)
    assert quadratic_roots(0.0, 2.0, -1.0, out) == 1
    assert out[0] == 0.5
    assert quadratic_roots(1.0, 0.0, 1.0, out) == 0
    assert quadratic_roots(0.0, 0.0, 1.0, out) == 0


def test_indifference_of_three_players_where_it_was_put():
    rng = np.random.default_rng(6)
    for _ in range(200):
        x, y, z = point = rng.uniform(0.05, 0.95, 3)
        forms = rng.normal(size=(3, 4))
        for form, (first, second) in zip(forms, ((y, z), (x, z), (x, y)), strict=True):
            form[0] = -(form[1] * first + form[2] * second + form[3] * first * second)
        roots = np.empty((2, 3))
        count = indifferent_triples(forms, roots)
        assert min(np.abs(roots[:count] - point).max(axis=1)) < 1e-7


def test_two_by_two_by_two_games_need_nothing_else():
    # A nondegenerate game has an equilibrium, and these are all the supports there are.
    payoffs = np.random.default_rng(7).normal(size=(3_000, 3, 2, 2, 2))
    search = NashOfEach(payoffs, 0)
    next(search.solve())
    assert search.solved.all()
    assert certify_batch(payoffs, search.answers().profiles).gaps.max() < 1e-13
    mixed = sum((policy > 0).all(axis=1).astype(int) for policy in search.answers().profiles)
    assert set(np.unique(mixed)) == {0, 2, 3}


def test_three_players_who_mix_within_larger_games():
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(300):
        payoffs = rng.normal(size=(4, 2, 3, 1, 2))
        profile = solved_by(three_mix, payoffs)
        if profile is not None:
            found += 1
            assert gap(payoffs, profile) < 1e-12
            assert [int((policy > 0).sum()) for policy in profile] == [2, 2, 1, 2]
    assert found > 10


def test_pure_equilibria_come_first_and_the_most_efficient_of_them():
    payoffs = np.array([[[2.0, 0.0], [0.0, 1.0]], [[2.0, 0.0], [0.0, 1.0]]])
    search = NashOfEach(np.stack([payoffs, payoffs[:, ::-1, ::-1]]), 0)
    list(search.solve())
    np.testing.assert_array_equal(search.answers().profiles[0], [[1, 0], [0, 1]])
    flat, policy = payoffs.reshape(2, -1), np.empty((2, 2))
    assert pure_equilibrium(flat, np.array([2, 2]), np.zeros(2), True, policy)

"""What correlation adds: chicken and the public signal, in exact numbers."""

import numpy as np
import pytest
from judge import values_and_gap
from scipy.optimize import linprog

from equinfer.games import catalog


def best_correlated_welfare(row, column):
    """The linear programme over joint laws with the obedience constraints of both players."""
    size = row.shape
    constraints = []
    for a in range(size[0]):
        for b in range(size[0]):
            gain = np.zeros(size)
            gain[a] = row[b] - row[a]
            constraints.append(gain.ravel())
    for a in range(size[1]):
        for b in range(size[1]):
            gain = np.zeros(size)
            gain[:, a] = column[:, b] - column[:, a]
            constraints.append(gain.ravel())
    ones = np.ones((1, row.size))
    answer = linprog(
        -(row + column).ravel(), A_ub=np.array(constraints), b_ub=np.zeros(len(constraints)), A_eq=ones, b_eq=[1.0]
    )
    assert answer.success
    return -answer.fun


def test_chicken_has_a_correlated_equilibrium_beyond_all_nash_equilibria():
    """Swerving together half the time and each daring a quarter: obedience at swerve, 6*2 + 2 = 7*2 + 0, is tight."""
    game = catalog.load("chicken")
    welfare = [each.values.sum() for each in catalog.equilibria("chicken")]
    assert max(welfare) == pytest.approx(28 / 3, abs=1e-14)
    assert best_correlated_welfare(*np.asarray(game.reward)[:, 0]) == pytest.approx(10.5, abs=1e-9)


def test_public_coin_supports_entry_that_no_markov_equilibrium_supports():
    """With a fair coin between the two pure battles everybody expects 2 > 1.9 from entering."""
    game = catalog.load("public_signal")
    known = catalog.equilibria("public_signal")
    assert len(known) == 9
    entry = [each.values[:, 0, 0] for each in known]
    np.testing.assert_array_equal(entry, np.full((9, 2), 1.9))
    battles = {tuple(each.values[:, 1, 1]) for each in known}
    assert battles == {(3.0, 1.0), (1.0, 3.0), (0.75, 0.75)}
    assert min(np.mean([(3.0, 1.0), (1.0, 3.0)], axis=0)) > 1.9 > max(map(min, battles))
    # Both entering is no equilibrium with any of the continuations.
    for each in known:
        both_in = tuple(policy.copy() for policy in each.profile)
        for policy in both_in:
            policy[0, 0] = [1.0, 0.0]
        assert values_and_gap(game, both_in)[1] > 0.5


def test_no_sde_has_no_deterministic_equilibrium():
    game = catalog.load("no_sde")
    for keeps in np.ndindex(2, 2):
        first, second = np.zeros((2, 3)), np.zeros((2, 3))
        first[0, keeps[0]] = first[1, 2] = second[0, 2] = second[1, keeps[1]] = 1.0
        assert values_and_gap(game, (first, second))[1] > 0.4
    (mixed,) = catalog.equilibria("no_sde")
    assert mixed.profile[0][0, 0] == pytest.approx(1 / 3, abs=1e-15)
    assert mixed.profile[1][1, 0] == pytest.approx(7 / 12, abs=1e-15)


def test_climbing_has_its_best_cell_beside_its_worst():
    payoff = np.asarray(catalog.load("climbing").reward)[0, 0]
    best = np.unravel_index(payoff.argmax(), payoff.shape)
    assert payoff[best] == 11.0
    assert payoff[best[0]].min() == payoff[:, best[1]].min() == payoff.min() == -30.0

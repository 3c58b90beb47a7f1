"""Stage games of many actions, whose best laws are linear programmes'."""

import numpy as np
import pytest
from scipy.optimize import linprog

import equinfer as eq
from equinfer.solvers.correlated import lp, vce
from equinfer.solvers.correlated.obedience import obedience_matrix


@pytest.fixture(scope="module")
def game():
    rng = np.random.default_rng(0)
    return eq.TabularGame(rng.random((2, 2, 10, 10)), rng.dirichlet([1, 1], (2, 10, 10)), horizon=2)


@pytest.mark.parametrize("concept", ["correlated", "coarse-correlated"])
@pytest.mark.parametrize("objective", ["welfare", "1,-0.5"])
def test_what_programmes_find_is_what_interior_points_find(game, concept, objective, monkeypatch):
    found = {}
    for most in (0, 10**9):
        monkeypatch.setattr(vce, "_MOST_ROWS", most)
        found[most] = eq.solve(game, concept, objective=objective)
        assert found[most].certified
    programmes, points = found.values()
    assert programmes.objective_value == pytest.approx(points.objective_value, abs=1e-8)


def test_the_last_epoch_of_a_wide_game_is_best_state_by_state(game):
    found = eq.solve(game, "correlated")
    assert found.solver == "vce"
    reward = np.asarray(game.reward)
    for state in range(2):
        alone = eq.solve(eq.TabularGame.from_payoffs(reward[:, state]), "correlated", "lp")
        assert alone.objective_certified
        assert found.values[:, -1, state].sum() == pytest.approx(alone.objective_value, abs=1e-9)


def test_many_actions_are_no_reason_to_refuse():
    """2 x 55 actions: five thousand inequalities of three thousand joint actions."""
    game = eq.TabularGame.from_payoffs(np.random.default_rng(1).random((2, 55, 55)))
    found = eq.solve(game, "correlated", "vce")
    assert found.gap <= 1e-10
    assert found.objective_certified


@pytest.mark.parametrize("seed", [9, 11, 12])
def test_the_best_of_many_actions_is_obeyed_to_rounding(seed):
    """HiGHS alone leaves these up to 1e-10 short, which a law that is worth more than all that are obeyed may be."""
    game = eq.TabularGame.from_payoffs(np.random.default_rng(seed).normal(size=(2, 55, 55)))
    found = eq.solve(game, "correlated", "lp")
    assert found.gap <= 1e-14
    assert found.objective_certified


def test_a_law_is_moved_no_further_than_to_where_it_is_obeyed():
    """Of the battle of the sexes: one of its four inequalities is disobeyed by 2e-9, and not at all after."""
    payoffs = np.array([[[3.0, 0.0], [0.0, 2.0]], [[2.0, 0.0], [0.0, 3.0]]])
    obedience = obedience_matrix(payoffs, [np.arange(2)] * 2, True)
    law = np.array([0.5, 0.3 + 1e-9, 0.0, 0.2])
    moved = lp._corrected(law / law.sum(), obedience, np.ones(4, bool))
    assert (obedience @ law).min() < -1e-10
    assert (obedience @ moved).min() >= -1e-17
    assert np.abs(moved - law / law.sum()).max() <= 1e-8


def test_simplex_that_loses_its_way_begins_anew(monkeypatch):
    """At the tightest tolerance these 2 x 60 actions took HiGHS 34,000 steps, where others of the size take 800."""
    game = eq.TabularGame.from_payoffs(np.random.default_rng(3).random((1, 2, 60, 60))[0])
    steps = []

    def counted(*arguments, **options):
        programme = linprog(*arguments, **options)
        steps.append(programme.nit)
        return programme

    monkeypatch.setattr(lp, "linprog", counted)
    monkeypatch.setattr(lp, "_ACCURACIES", ((1e3, 1e-10), *lp._ACCURACIES[::2]))
    found = eq.solve(game, "correlated", "lp")
    assert found.gap <= 1e-14
    assert found.objective_certified
    assert steps[0] == 500 + (2 * 60 * 59 + 3_600) // 10
    assert sum(steps) < 5_000

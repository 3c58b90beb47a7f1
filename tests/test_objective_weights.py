"""The weights of an objective: only their ratios count, and what is saved is what was asked for."""

import re

import numpy as np
import pytest

import equinfer as eq
from equinfer.cli import run
from equinfer.errors import BadInput
from equinfer.solvers.correlated.objective import checked_objective

CHICKEN = "catalog:chicken"


def _games_of_all_lengths():
    rng = np.random.default_rng(5)
    reward, kernel = rng.normal(size=(2, 2, 2, 2)), rng.dirichlet([1, 1], (2, 2, 2))
    yield eq.load(CHICKEN)
    yield eq.TabularGame(reward, kernel, horizon=2)
    yield eq.TabularGame(reward, kernel, discount=0.7)


@pytest.mark.parametrize("concept", ["correlated", "coarse-correlated", "public-correlated"])
def test_a_power_of_two_before_all_weights_changes_no_bit(concept):
    for game in _games_of_all_lengths():
        expected = eq.solve(game, concept, objective=[1.0, 0.25])
        for factor in (2.0**-300, 2.0**-45, 2.0**300):
            found = eq.solve(game, concept, objective=[factor, 0.25 * factor])
            for one, other in zip(found.profile, expected.profile, strict=True):
                np.testing.assert_array_equal(one, other)
            assert found.objective_value == factor * expected.objective_value
            assert found.objective_certified == expected.objective_certified


@pytest.mark.parametrize("weights", [(1 / 3, 0.1), (1e-17, 123456789.25), (-1e99, 2.5), (3.0, 0.0)])
def test_the_name_of_saved_weights_is_the_same_objective(weights, tmp_path):
    found = eq.solve(CHICKEN, "correlated", objective=weights)
    found.save(tmp_path / "a.npz")
    saved = eq.load_solution(tmp_path / "a.npz").objective
    assert saved == found.objective
    assert checked_objective(saved, 2) == checked_objective(weights, 2)
    assert eq.solve(CHICKEN, "correlated", objective=saved).objective_value == found.objective_value


@pytest.mark.parametrize("weights", ["1e308,1e308", "-1e101,1", "1e-320,0", "1e-101,-1e-101"])
@pytest.mark.parametrize("concept", ["correlated", "public-correlated"])
def test_weights_beside_which_no_payoff_has_room_are_refused(concept, weights, capsys):
    says = "objective: the largest weight must lie between 1e-100 and 1e+100 in size; got "
    for game in _games_of_all_lengths():
        with pytest.raises(BadInput, match=re.escape(says)):
            eq.solve(game, concept, objective=weights)
    assert run(["solve", CHICKEN, "--concept", concept, f"--objective={weights}"]) == 4
    assert says in capsys.readouterr().err


def test_payoffs_whose_sum_is_beyond_float64_are_still_solved():
    payoffs = 2e307 * np.array([[[6.0, 2], [7, 0]], [[6, 7], [2, 0]]])
    found = eq.solve(eq.TabularGame.from_payoffs(payoffs), "correlated")
    assert found.certified
    np.testing.assert_allclose(found.joint, [[[0.5, 0.25], [0.25, 0]]], atol=1e-12)
    assert not found.objective_certified


@pytest.mark.parametrize("signals", [np.int64(3), np.uint8(3)])
def test_whole_numbers_of_numpy_are_whole_numbers(signals):
    found = eq.solve(CHICKEN, "public-correlated", signals=signals)
    assert found.signal.shape == (1, 3)
    with pytest.raises(BadInput, match=r"option signals must be of type int; got 3\.0"):
        eq.solve(CHICKEN, "public-correlated", signals=np.float64(3))
    with pytest.raises(BadInput, match="option signals must be of type int; got True"):
        eq.solve(CHICKEN, "public-correlated", signals=np.bool_(True))
    found = eq.solve(CHICKEN, "correlated", solver="vce", regularisation=np.float32(1e-3))
    assert found.objective_value == pytest.approx(10.5)

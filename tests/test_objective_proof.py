"""When an answer is said to be the best by its objective: value and bound meet, in the units of the objective."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.concepts import concept
from equinfer.drivers.protocol import Choice, Outcome
from equinfer.recording import recorded


@pytest.mark.parametrize("objective", ["welfare", "entropy", "2,-1"])
@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_best_is_proven_in_the_units_of_the_objective(objective, unit):
    """Entropy in nats, whatever the payoffs are counted in; and whatever gap is called an equilibrium."""
    payoffs = unit * np.random.default_rng(3).normal(size=(2, 3, 4))
    game = eq.TabularGame.from_payoffs(payoffs)
    found = eq.solve(game, "correlated", objective=objective)
    assert found.objective_certified
    assert found.objective_value is not None
    outcome = Outcome(found.answer, found.certificate, found.status, {}, 0.0)
    for short, proven in ((1e-9, True), (1e-4, False)):
        scale = 1.0 if objective == "entropy" else unit
        choice = Choice(objective, found.objective_value - short * scale, found.objective_value)
        for eps in (0.0, 1e9):
            record = recorded(concept("correlated"), game, game.tables(), outcome._replace(choice=choice), "", eps, {})
            assert record.objective_certified is proven


def test_a_constant_payoff_is_the_best_there_is():
    payoffs = np.stack([np.full((2, 3), 0.1), np.random.default_rng(1).normal(size=(2, 3))])
    found = eq.solve(eq.TabularGame.from_payoffs(payoffs), "correlated", objective=[1, 0])
    assert found.objective_certified
    assert found.objective_value == pytest.approx(0.1, abs=1e-15)


@pytest.mark.parametrize("objective", ["welfare", "entropy"])
def test_nothing_is_proven_of_games_that_go_on(objective):
    rng = np.random.default_rng(2)
    for discount, horizon in ((None, 2), (0.5, None)):
        reward, kernel = rng.normal(size=(2, 2, 2, 2)), rng.dirichlet([1, 1], (2, 2, 2))
        game = eq.TabularGame(reward, kernel, discount=discount, horizon=horizon)
        for name in ("correlated", "coarse-correlated"):
            assert eq.solve(game, name, objective=objective).objective_certified is False
        assert eq.solve(game, "nash").objective_certified is None


@pytest.mark.parametrize("stakes", [1e-9, 1e-11, 1e-12, 1e-13, 1e-14])
@pytest.mark.parametrize("solver", ["lp", "vce"])
def test_a_law_that_is_disobeyed_for_however_little_is_not_the_best(stakes, solver):
    """Player 0 must mix for player 1 to get anything: the best is 1/2, and 1 is what a law is worth that costs player 0
    all of its tiny stakes.
    """
    game = eq.TabularGame.from_payoffs([[[-1, stakes], [0, 0]], [[1, 0], [0, 1]]])
    found = eq.solve(game, "correlated", solver, objective=[0, 1])
    assert found.objective_value == pytest.approx(0.5, rel=1e-6) or not found.objective_certified

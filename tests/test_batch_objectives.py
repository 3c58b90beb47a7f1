"""Many games in one call, each answer chosen by an objective."""

import numpy as np
import pytest
from batched_games import random_games

import equinfer as eq
from equinfer.solvers.correlated import many_laws

CHICKEN = np.array([[[6.0, 2.0], [7.0, 0.0]], [[6.0, 7.0], [2.0, 0.0]]])


def worth(objective, payoffs, joint):
    if objective == "entropy":
        return -float((joint * np.log(np.where(joint > 0, joint, 1.0))).sum())
    return float((np.tensordot(objective, payoffs, axes=1) * joint).sum())


@pytest.mark.parametrize("most_rows", [80, -1], ids=["interior points", "one by one"])
@pytest.mark.parametrize("objective", ["entropy", (1.0, 0.0), (-1.0, 2.0)], ids=str)
@pytest.mark.parametrize("concept", ["correlated", "coarse-correlated"])
def test_each_is_the_best_of_its_game_alone(concept, objective, most_rows, monkeypatch):
    monkeypatch.setattr(many_laws, "_MOST_ROWS", most_rows)
    payoffs = random_games((3, 4), 12, seed=3)
    many = eq.solve_batch(payoffs, concept, objective=objective)
    assert many.certified.all()
    assert many.gaps.max() <= 1e-10
    alone = [eq.solve(eq.TabularGame.from_payoffs(game), concept, objective=objective) for game in payoffs]
    for game, joint, solution in zip(payoffs, many.joints, alone, strict=True):
        assert solution.objective_certified
        scale = 1.0 if objective == "entropy" else float(np.ptp(np.tensordot(objective, game, axes=1)))
        assert worth(objective, game, joint) == pytest.approx(solution.objective_value, abs=1e-6 * scale)
    assert many.objective == alone[0].objective


def test_what_the_search_leaves_is_chosen_by_the_same_objective(monkeypatch):
    """Nothing is found at first: then game by game, with players whose units are far apart."""

    def nothing(search):
        search.solved[:] = True
        yield

    monkeypatch.setattr(many_laws.LawOfEach, "solve", nothing)
    payoffs = CHICKEN[None] * np.array([1.0, 1e-9])[None, :, None, None]
    for objective, expected in (("welfare", [7, 2]), ((0, 1), [2, 7]), ((1, 1e9), [5.25, 5.25])):
        many = eq.solve_batch(payoffs, "correlated", objective=objective)
        np.testing.assert_allclose(many.values[0] / [1.0, 1e-9], expected, atol=1e-6)


def test_chicken_by_its_objectives():
    for objective, values in (
        (None, [5.25, 5.25]),
        ("welfare", [5.25, 5.25]),
        ("1,0", [7, 2]),
        (np.array([0, 1]), [2, 7]),
    ):
        many = eq.solve_batch(CHICKEN[None], "correlated", objective=objective)
        np.testing.assert_allclose(many.values, [values], atol=1e-7)


@pytest.mark.parametrize(
    ("concept", "objective", "says"),
    [
        ("nash", "welfare", "objective: nash chooses nothing; it is for correlated, coarse-correlated"),
        ("correlated", "wealth", "objective must be welfare, entropy, or a weight for each of 2 players; got 'wealth'"),
        ("correlated", [1, 2, 3], "objective: 3 weights"),
    ],
)
def test_objectives_that_are_none(concept, objective, says):
    with pytest.raises(eq.BadInput, match=says):
        eq.solve_batch(CHICKEN[None], concept, objective=objective)

"""What has no derivative is refused: ties, continua, kinks, and parameters that mean nothing."""

from dataclasses import replace

import numpy as np
import pytest

import equinfer as eq
from equinfer.games.tabular import TabularGame


def bimatrix(first, second):
    return TabularGame.from_payoffs(np.array([first, second], float))


def play(game, *policies):
    """A solution with this profile, as if somebody had solved for it."""
    profile = tuple(np.atleast_2d(np.asarray(policy, float)) for policy in policies)
    return replace(eq.solve(game), profile=profile)


def test_refuses_a_dominated_tie():
    game = bimatrix([[2, 2], [2, 1]], [[1, 0], [1, 0]])  # column plays left; row's two actions are then worth the same
    with pytest.raises(eq.BadInput, match="player 0 in state 0 does not play 1, which is worth as much"):
        play(game, [1, 0], [1, 0]).sensitivity("discount")


def test_refuses_chicken_at_a_tie():
    # Swerving against a driver who dares pays nothing more than a crash: daring twice is an equilibrium at a tie.
    game = bimatrix([[6, 2], [7, 2]], [[6, 7], [2, 2]])
    with pytest.raises(eq.BadInput, match="not regular: player 0 in state 0 does not play 0"):
        play(game, [0, 1], [0, 1]).sensitivity("discount")


def test_refuses_a_continuum():
    # Row is indifferent whatever column does, column strictly prefers left as long as row plays up enough.
    game = bimatrix([[1, 1], [1, 1]], [[1, 0], [0, 0.5]])
    with pytest.raises(eq.BadInput, match=r"singular \(condition number inf\).*player 0 in state 0 can shift"):
        play(game, [0.7, 0.3], [1, 0]).sensitivity("discount")


def test_refuses_a_singular_mixture():
    # Both always earn the same: every profile is an equilibrium.
    with pytest.raises(eq.BadInput, match="indifference equations are singular"):
        play(bimatrix(np.ones((2, 2)), np.ones((2, 2))), [0.5, 0.5], [0.5, 0.5]).sensitivity("discount")


def test_refuses_slopes_that_are_rounding():
    # 0.1 + 0.2 is not 0.3 in floating point: the derivatives of both differences are some 1e-17, and not 0.
    payoff = np.array([[0.1 + 0.2, 1.0, 0.0], [0.3, 1.0, 0.0], [-0.4, -0.4, -0.4]])
    solution = play(bimatrix(payoff, payoff.T), [0.5, 0.5, 0], [0.5, 0.5, 0])
    with pytest.raises(eq.BadInput, match="indifference equations are singular"):
        solution.sensitivity("discount")


def test_refuses_a_tie_at_an_epoch():
    reward = np.zeros((2, 1, 2, 2))
    reward[0, 0] = [[1, 1], [1, 0]]
    reward[1, 0] = [[1, 0], [1, 0]]
    game = TabularGame(reward, np.ones((1, 2, 2, 1)), horizon=2)
    pure = np.tile([1.0, 0.0], (2, 1, 1))
    with pytest.raises(eq.BadInput, match="player 0 in state 0 at epoch 1 does not play 1"):
        replace(eq.solve(game), profile=(pure, pure)).sensitivity("reward")


def test_refuses_what_is_no_equilibrium():
    with pytest.raises(eq.BadInput, match="not an equilibrium to rounding"):
        play(bimatrix([[9, 0], [0, 1]], [[0, 1], [1, 0]]), [0.5, 0.5], [0.2, 0.8]).sensitivity("discount")


PENNIES = "catalog:asymmetric_matching_pennies"


@pytest.mark.parametrize(
    ("parameter", "says"),
    [
        ("price", "unknown parameter 'price'.* known: reward, kernel, discount, prize"),
        (("prize", 0), "prize of asymmetric_matching_pennies is one number, 9.0, and has no entry 0"),
        (("reward", (0, 0, 2, 0)), r"reward has no entry \(0, 0, 2, 0\)"),
        (("discount", 2), "discount has no entry"),
        (("discount", True), "discount has no entry"),
        (("reward", (False, 0, 0, 0)), "reward has no entry"),
        (("kernel", (0, 0, 0, 0)), "one probability cannot move alone"),
        ({"rewards": 0.0}, "unknown table 'rewards'; did you mean 'reward'"),
        ({}, "at least one of reward"),
        ({"reward": np.zeros((2, 2))}, r"must have shape \(2, 1, 2, 2\)"),
        ({"kernel": np.ones((1, 2, 2, 1))}, "rows of probabilities keep their sum"),
        ({"discount": np.inf}, "not finite"),
        (bimatrix(np.eye(3), np.eye(3)), "the other game has reward of shape"),
        ((lambda x: bimatrix([[x, 0], [0, 1]], [[0, 1], [1, 0]]), 5.0), "another game than the one that was solved"),
        ((lambda x: bimatrix([[x, 0], [0, 1]], [[0, 1], [1, 0]]), "9"), "must be a finite number"),
        ((lambda x: bimatrix([[x, 0], [0, 1]], [[0, 1], [1, 0]]), True), "must be a finite number; got True"),
        ((lambda x: np.zeros(500), 9.0), "= 9 must make a TabularGame; what was made of it is an array of shape"),
        ((lambda x: eq.load(PENNIES, prize=x) if x == 9.0 else None, 9.0), "what was made of it is None"),
        ({"kernel": eq.SparseKernel(np.zeros((1, 2, 2, 1), int), np.ones((1, 2, 2, 1)))}, "sums to 1 in state 0"),
        (
            {"kernel": eq.SparseKernel(np.full((1, 2, 2, 2), 4), np.tile([1.0, -1], (1, 2, 2, 1)))},
            "weight to 4; states",
        ),
        (
            {"kernel": eq.SparseKernel(np.zeros((2, 2, 1), int), np.zeros((2, 2, 1)))},
            r"must have shape \(1, 2, 2, 'M'\)",
        ),
        ({"kernel": eq.SparseKernel(np.zeros((1, 2, 2, 1), int), np.full((1, 2, 2, 1), np.nan))}, "not finite"),
        (7, "a parameter is a name"),
    ],
)
def test_refuses_parameters_that_mean_nothing(parameter, says):
    solution = eq.solve(PENNIES)
    with pytest.raises((eq.BadInput, eq.UnknownName), match=says):
        solution.sensitivity(parameter)


@pytest.mark.parametrize("concept", ["correlated", "public-correlated"])
def test_refuses_answers_that_are_no_profile(concept):
    with pytest.raises(eq.BadInput, match=f"only a profile of independent policies .* this answer is {concept}"):
        eq.solve("catalog:matching_pennies", concept=concept).sensitivity("discount")


@pytest.mark.parametrize("entry", [9, -1, 3, True, 0.0, "first", None])
def test_refuses_entries_that_a_list_does_not_have(entry):
    solution = eq.solve("catalog:congestion")
    asked = "" if entry is None else f", and has no entry {entry!r}"
    with pytest.raises(eq.BadInput) as caught:
        solution.sensitivity("slopes" if entry is None else ("slopes", entry))
    assert str(caught.value) == f"slopes of congestion is a list of 3{asked}; ask for ('slopes', k), k from 0 on."


@pytest.mark.parametrize(
    ("bend", "at"),
    [(abs, 0.0), (np.ceil, 1.0), (lambda x: max(x, 1.0), 1.0)],
)
def test_refuses_kinks_and_jumps(bend, at):
    def build(x):
        return bimatrix([[9 + bend(x), 0], [0, 1]], [[0, 1], [1, 0]])

    with pytest.raises(eq.BadInput, match="kink or a jump"):
        eq.solve(build(at)).sensitivity((build, at))


def test_refuses_discrete_parameters_and_ends_of_ranges():
    solution = eq.solve(eq.load("catalog:quality_ladder", levels=2, shock=0.0))
    with pytest.raises(eq.BadInput, match="levels of quality_ladder is discrete"):
        solution.sensitivity("levels")
    with pytest.raises(eq.BadInput, match="shock = 0 is at an end of its range"):
        solution.sensitivity("shock")


@pytest.mark.parametrize(
    ("bonus", "at", "slope"),
    [
        (lambda x: 1 / (1 + np.exp(-(x - 2026))), 2026.0, 0.25),
        (lambda x: np.sin(x - 2000), 2026.0, np.cos(26.0)),
        (lambda x: 1 / (1 + np.exp(-5000 * (x - 1))), 1.0, 1250.0),
        (lambda x: np.sin(1e5 * x), 1.0, 1e5 * np.cos(1e5)),
        (lambda x: x**2, 0.0, 0.0),
    ],
    ids=["year", "wave", "switch", "fast", "flat"],
)
def test_the_step_fits_the_scale_on_which_the_game_varies(bonus, at, slope):
    # Row's payoff of (up, left) is 3 + bonus: its value at the pure equilibrium has the slope of the bonus.
    def build(x):
        return eq.TabularGame.from_payoffs([[[3 + bonus(x), 0], [0, 1]], [[3, 0], [0, 1]]])

    solution = eq.solve(build(at))
    found = solution.sensitivity((build, at))
    expected = slope if solution.profile[0][0, 0] == 1 else 0.0
    assert solution.profile[0][0, 0] in (0, 1)
    assert found.values[0, 0] == pytest.approx(expected, rel=1e-7, abs=1e-9)


def test_a_jump_beside_the_value_is_refused():
    def build(x):
        return eq.TabularGame.from_payoffs([[[3 + (x > 1), 0], [0, 1]], [[3, 0], [0, 1]]])

    with pytest.raises(eq.BadInput, match="kink or a jump at build = 1"):
        eq.solve(build(1.0)).sensitivity((build, 1.0))

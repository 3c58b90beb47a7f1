"""Pictures of joint laws, public signals and zero-sum values: they say what the record says."""

from dataclasses import replace

import numpy as np
import pytest

import equinfer as eq
from equinfer.answer import Joint, PublicPlay
from equinfer.concepts import concept as concept_row
from equinfer.report.beliefs import belief_error_picture
from equinfer.report.deviations import deviation_rows
from equinfer.report.page import plot
from equinfer.report.payoff_table import payoff_tables
from equinfer.report.policies import policy_maps
from equinfer.report.progress import gap_along_the_way
from equinfer.report.reachable import reachable_map
from equinfer.report.recommendations import likeliest_draws, recommendation_maps
from equinfer.report.signal import signal_map
from equinfer.solvers.correlated.payoff_set import reachable_payoffs


def answered(game, answer, concept):
    """A solution whose answer is this one, however bad."""
    tables = game.tables()
    fields = concept_row(concept).recorded(tables, answer)
    solution = replace(eq.solve(game, concept), **fields)
    return solution.rejudged(eq.certify(game, answer, concept), tables)


@pytest.fixture(scope="module")
def chicken():
    return eq.load("catalog:chicken")


@pytest.fixture(scope="module")
def best(chicken):
    return eq.solve(chicken, "correlated")


def test_the_matrix_reads_downwards_and_across(best):
    drawn = recommendation_maps(best)
    assert drawn is not None
    (matrix,) = drawn.data
    assert list(matrix.y) == ["dare", "swerve"]
    assert list(matrix.x) == ["swerve", "dare"]
    np.testing.assert_allclose(matrix.z, [[0.25, 0.0], [0.5, 0.25]], atol=1e-9)
    assert list(matrix.text[1]) == ["0.5", "0.25"]
    assert plot(best).data[0].z is not None
    assert likeliest_draws(best) == ()


def test_every_state_of_every_epoch_has_a_matrix():
    solution = eq.solve("catalog:public_signal", "correlated")
    drawn = recommendation_maps(solution)
    assert drawn is not None
    assert solution.joint is not None
    assert len(drawn.data) == 6
    for matrix, law in zip(drawn.data, solution.joint.reshape(6, 2, 2), strict=True):
        np.testing.assert_array_equal(matrix.z[::-1], law)
    assert drawn.layout.annotations[1].text == "t = 0 · battle"


def test_three_players_have_a_list_of_draws():
    solution = eq.solve("catalog:jordan", "correlated")
    assert recommendation_maps(solution) is None
    draws = likeliest_draws(solution)
    assert all(len(draw.actions) == 3 for draw in draws)
    assert sum(draw.probability for draw in draws) == pytest.approx(1)
    assert [draw.probability for draw in draws] == sorted((draw.probability for draw in draws), reverse=True)


def test_a_payoff_table_is_as_dark_as_what_is_drawn_together(best):
    (table,) = payoff_tables(best)
    cells = [[cell.probability for cell in row[2]] for row in table.rows]
    np.testing.assert_allclose(cells, [[0.5, 0.25], [0.25, 0.0]], atol=1e-9)
    assert table.columns[0][1] == pytest.approx(0.75)


def test_a_coin_makes_a_payoff_table_dark_in_two_cells():
    game = eq.load("catalog:battle_of_the_sexes")
    (table,) = payoff_tables(eq.solve(game, "public-correlated"))
    cells = np.array([[cell.probability for cell in row[2]] for row in table.rows])
    np.testing.assert_allclose(cells, np.diag([0.5, 0.5]))


def test_slices_are_as_likely_as_the_others_are_told():
    solution = eq.solve("catalog:jordan", "correlated")
    assert solution.joint is not None
    first = payoff_tables(solution)[0]
    assert sum(cell.probability for row in first.rows for cell in row[2]) == pytest.approx(1)


def test_the_signal_has_a_law_and_a_profile_for_each_value():
    game = eq.load("catalog:public_signal")
    solution = eq.solve(game, "public-correlated")
    drawn = signal_map(solution)
    assert drawn is not None
    assert solution.signal is not None
    (law,) = drawn.data
    np.testing.assert_array_equal(law.z[::-1], solution.signal.reshape(6, 2))
    policies = policy_maps(solution).data[0]
    sent = np.moveaxis(solution.signal, -1, 0).ravel() > 0
    np.testing.assert_array_equal(policies.z[::-1], solution.profile[0].reshape(12, 2)[sent])
    assert policies.y[::-1][0] == "signal 0 · t = 0 · entry"


def test_a_signal_that_never_comes_is_not_drawn(chicken):
    solution = eq.solve(chicken, "public-correlated", objective=[1, 0])
    assert solution.signal is not None
    np.testing.assert_array_equal(solution.signal, [[1, 0]])
    assert list(policy_maps(solution).data[0].y) == ["signal 0"]


def test_a_swap_is_said_in_words(chicken):
    joint = np.array([[[0.5, 0.0], [0.0, 0.5]]])
    ann, _ = deviation_rows(answered(chicken, Joint(joint), "correlated"))
    assert ann.instead == "told swerve, play dare; told dare, play swerve"
    assert ann.plays == "swerve 0.5, dare 0.5"
    assert ann.gain == "1.5"


def test_a_deviation_says_after_which_signal(chicken):
    play = PublicPlay(
        np.array([[0.5, 0.5]]),
        (np.array([[[1.0, 0.0]], [[0.0, 1.0]]]), np.array([[[0.0, 1.0]], [[0.0, 1.0]]])),
    )
    ann, bob = deviation_rows(answered(chicken, play, "public-correlated"))
    assert (ann.place, ann.plays, ann.instead, ann.gain) == ("signal 1", "dare", "swerve", "2")
    assert (bob.place, bob.instead) == ("signal 1", "swerve")


def test_what_can_be_got_is_drawn_around_the_answer(chicken, best):
    drawn = reachable_map(best, reachable_payoffs(chicken.tables()))
    assert drawn is not None
    named = {trace.name: trace for trace in drawn.data}
    assert set(named) == {"all laws", "coarse correlated", "correlated", "public signals", "Nash", "this answer"}
    star = named["this answer"]
    assert star.x[0] + star.y[0] == pytest.approx(10.5)
    assert named["correlated"].x[0] == named["correlated"].x[-1]  # closed
    assert reachable_map(best, None) is None


def test_a_zero_sum_page_says_the_value_and_what_either_makes_sure_of(tmp_path):
    """Matching pennies, Ann always heads: worth 0 against even play, but she can be held to -1."""
    game = eq.load("catalog:matching_pennies")
    profile = (np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    answered(game, profile, "zero-sum").report(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "<td>0</td><td>-1</td><td>0</td><td>1</td>" in page
    assert "zero-sum equilibrium, not certified" in page


def test_regret_is_drawn_against_rounds(best):
    rounds = np.array([1.0, 10.0, 100.0])
    trace = {"round": rounds, "regret": 1 / rounds, "bound": 2 / np.sqrt(rounds), "gap": 1 / rounds}
    drawn = gap_along_the_way(replace(best, objective=None, trace=trace))
    assert drawn is not None
    assert {line.name for line in drawn.data} == {"certified gap", "largest regret per round", "theory's bound"}
    assert drawn.layout.xaxis.type == "log"
    with_objective = gap_along_the_way(replace(best, trace=trace))
    assert with_objective is not None
    assert "theory's bound" not in {line.name for line in with_objective.data}  # that one is the objective's


def test_what_rounding_leaves_is_drawn_as_nothing(chicken):
    """1e-16 is not a probability that a reader should weigh; 1e-6 is."""
    joint = np.array([[[1 - 1e-6 - 1e-16, 1e-6], [1e-16, 0.0]]])
    solution = answered(chicken, Joint(joint), "correlated")
    drawn = recommendation_maps(solution)
    assert drawn is not None
    assert list(map(list, drawn.data[0].text[::-1])) == [["1", "1e-06"], ["", ""]]
    assert [list(row) for row in policy_maps(solution).data[1].text] == [["1", "1e-06"]]
    assert deviation_rows(solution)[0].plays == "swerve"


def test_long_names_are_cut_where_they_would_meet(chicken):
    game = eq.TabularGame.from_payoffs(
        np.asarray(chicken.reward)[:, 0], player_labels=["A ministry of fisheries and of coasts" * 2, "Bob"]
    )
    solution = eq.solve(game, "correlated")
    drawn = recommendation_maps(solution)
    assert drawn is not None
    assert "A ministry of fisheries…" in drawn.layout.title.text
    assert len(policy_maps(solution).layout.annotations[0].text) == 45


def test_beliefs_are_drawn_against_what_is_played():
    solution = eq.solve("catalog:chicken", solver="vpg", opponent="empirical", temperature=0.5, steps=200)
    drawn = belief_error_picture(solution)
    assert drawn is not None
    (line,) = drawn.data
    assert 0 < line.y[-1] < line.y[0] <= 1  # what is counted comes nearer to what is played
    known = eq.solve("catalog:chicken", solver="vpg", temperature=0.5, steps=200)
    assert belief_error_picture(known) is None

"""One equilibrium along a parameter: closed forms, folds, what stops a sweep."""

import csv
import json
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import equinfer as eq
from equinfer import continuation
from equinfer.cli import progress, run
from equinfer.errors import BadInput
from equinfer.report.sweep import probability_picture
from equinfer.targets import game_to_solve

PENALTY = str(Path(eq.__file__).parent / "examples" / "penalty_kick.nfg")


def coordination(bonus):
    """Meeting at the first place pays `bonus`, at the second 1."""
    return eq.TabularGame.from_payoffs(np.array([np.diag([bonus, 1.0])] * 2))


def saddle_node(x):
    """Three players, the gain of the first action (p - 1/2)^2 - x if both others play it with probability p."""
    gain = np.array([[0.25 - x, -0.25 - x], [-0.25 - x, 0.25 - x]])  # by what the two others do
    payoffs = np.zeros((3, 2, 2, 2))
    payoffs[0, 0], payoffs[1, :, 0], payoffs[2, :, :, 0] = gain, gain, gain
    return eq.TabularGame.from_payoffs(payoffs)


def test_a_closed_form_is_followed():
    swept = eq.sweep("catalog:asymmetric_matching_pennies", "prize", np.linspace(1, 9, 5))
    assert swept.certified
    assert swept.folds == ()
    for prize, solution in zip([1, 3, 5, 7, 9], swept, strict=True):
        # Player 1 makes player 0 indifferent: prize q = 1 - q. Player 0's own prize does not move its own mixture.
        np.testing.assert_allclose(solution.profile[1][0], [1 / (1 + prize), prize / (1 + prize)], atol=1e-14)
        np.testing.assert_allclose(solution.profile[0][0], [0.5, 0.5], atol=1e-14)
    assert [solution.solver for solution in swept[1:]] == ["continuation"] * 4


def test_the_end_of_a_branch_is_bracketed_and_the_sweep_goes_on_from_another():
    # Meeting at the first place is an equilibrium down to a bonus of 0; there it meets the mixture, and both vanish.
    swept = eq.sweep(coordination, "bonus", np.linspace(1, -1, 5), precision=1e-5)
    (fold,) = swept.folds
    assert fold.low < 0 <= fold.high
    assert fold.high - fold.low <= 1e-5
    assert fold.distance == 1
    assert fold.kind == "fold"
    assert swept.branches == (0, 0, 0, 1, 1)
    assert [solution.profile[0][0, 0] for solution in swept] == [1, 1, 1, 0, 0]
    assert swept.certified
    passed = [point.value for point in swept.waypoints]
    assert passed == sorted(passed, reverse=True)
    assert set(swept.parameter_values.tolist()) <= set(passed)
    assert {(fold.high, 0), (fold.low, 1)} <= {(point.value, point.branch) for point in swept.waypoints}


def test_a_switch_ends_where_somebody_else_becomes_indifferent():
    # Against the first column the second row gains -x, against the second -1; the column player wants to match. At
    # x = 0 the row player may mix, up to 1/2, from where on the column player does as well: q = -x / (1 - x).
    def game(x):
        return eq.TabularGame.from_payoffs(np.array([[[0.0, 0.0], [-x, -1.0]], np.eye(2)]))

    values = np.array([1.0, 0.5, -0.5, -1.0])
    swept = eq.sweep(game, "x", values)
    (fold,) = swept.folds
    assert fold.low < 0 <= fold.high
    assert fold.kind == "switch"
    assert fold.distance == pytest.approx(0.5, abs=1e-9)
    np.testing.assert_allclose([one.profile[0][0, 1] for one in swept], [0, 0, 0.5, 0.5], atol=1e-14)
    np.testing.assert_allclose([one.profile[1][0, 1] for one in swept], [0, 0, 1 / 3, 1 / 2], atol=1e-14)


def test_a_switch_is_complete_where_nobody_minds():
    def game(x):
        return eq.TabularGame.from_payoffs(np.array([[[x, x], [0.0, 0.0]], [[1.0, 0.0], [1.0, 0.0]]]))

    swept = eq.sweep(game, "x", [1.0, -1.0])
    assert [(fold.kind, fold.distance) for fold in swept.folds] == [("switch", 1.0)]
    assert [one.profile[0].tolist() for one in swept] == [[[1, 0]], [[0, 1]]]


def test_a_mixed_equilibrium_is_followed_when_it_is_asked_for():
    values = np.linspace(1, 4, 7)
    swept = eq.sweep(coordination, "bonus", values, start=eq.solve_all(coordination(1.0))[2])
    assert swept.folds == ()
    np.testing.assert_allclose([one.profile[0][0, 0] for one in swept], 1 / (1 + values), atol=1e-14)


def test_a_start_far_from_any_equilibrium_is_refused():
    # On both supports Newton's method leads to the mixed equilibrium, (1/2, 1/2), from anywhere.
    with pytest.raises(eq.BadInput, match=r"start is no equilibrium of the first game: .* differs by 0\.4 in a prob"):
        eq.sweep(coordination, "bonus", [1.0, 2.0], start=[[0.9, 0.1]] * 2)
    swept = eq.sweep(coordination, "bonus", [1.0, 2.0], start=[[0.55, 0.45]] * 2)
    np.testing.assert_allclose(swept[1].profile[0], [[1 / 3, 2 / 3]], atol=1e-12)


@pytest.mark.parametrize("dust", [1e-9, 1e-12])
def test_a_start_is_followed_whatever_rounding_left_in_it(dust):
    def ranked(best):
        return eq.TabularGame.from_payoffs([np.diag([1.0, best])] * 2)

    # Close by, at (20/21, 1/21), is the mixed one, to which Newton's method on both supports would lead.
    swept = eq.sweep(ranked, "best", [20.0, 22.0], start=[[1 - dust, dust]] * 2)
    assert [one.profile[0].tolist() for one in swept] == [[[1, 0]]] * 2


def test_two_mixed_equilibria_of_three_players_meet_and_vanish():
    values = np.array([0.09, 0.01, -0.01])
    swept = eq.sweep(saddle_node, "x", values, start=[[0.8, 0.2]] * 3, precision=1e-5)
    np.testing.assert_allclose([one.profile[0][0, 0] for one in swept[:2]], 0.5 + np.sqrt(values[:2]), atol=1e-9)
    (fold,) = swept.folds
    assert fold.kind == "fold"
    assert 0 < fold.high - fold.low <= 1e-5
    # Within the rounding of the payoffs' gains an equilibrium still is one a little beyond the fold.
    assert -1e-5 <= fold.low < fold.high <= 1e-5
    assert swept.branches == (0, 0, 1)
    assert swept.certified


def test_backwards_it_is_the_same_line():
    values = np.linspace(1, 3, 4)
    there = eq.sweep("catalog:stag_hunt", "punishment", 7 - values / 2)
    back = eq.sweep("catalog:stag_hunt", "punishment", (7 - values / 2)[::-1])
    for one, other in zip(there, back[::-1], strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-12)


def test_every_epoch_of_a_finite_horizon_is_followed():
    def pennies(prize):
        stage = np.array([np.diag([prize, 1.0]), 1 - np.eye(2)])
        return eq.TabularGame(stage[:, None], np.ones((1, 2, 2, 1)), horizon=2)

    swept = eq.sweep(pennies, "prize", [1.0, 1.5, 2.0])
    assert swept.certified
    assert swept.folds == ()
    np.testing.assert_allclose(swept[2].profile[1][:, 0, 0], 1 / 3, atol=1e-14)


def test_a_stochastic_game_is_certified_all_along():
    swept = eq.sweep("catalog:dynamic_rock_paper_scissors", "discount", np.linspace(0.5, 0.95, 4))
    assert swept.certified
    assert swept.folds == ()
    for discount, solution in zip(swept.parameter_values, swept, strict=True):
        np.testing.assert_allclose(solution.profile[0][0], [(1 + discount / 9) / 3, (1 - discount / 9) / 3, 1 / 3])


def test_games_whose_shape_changes_are_solved_one_by_one():
    swept = eq.sweep("catalog:quality_ladder", "levels", [1, 2, 3])
    assert [len(solution.game.states) for solution in swept] == [1, 4, 9]
    assert swept.certified
    assert swept.folds == ()


def test_time_and_interruptions_keep_what_was_reached():
    short = eq.sweep(coordination, "bonus", [1.0, 2.0, 3.0], time=0)
    assert short.status is eq.Status.out_of_time
    assert len(short) == len(short.parameter_values) == 1

    def interrupt(row):
        if row.get("value") == 2.0:
            raise KeyboardInterrupt

    cut = eq.sweep(coordination, "bonus", [1.0, 2.0, 3.0], watch=interrupt)
    assert cut.status is eq.Status.interrupted
    assert cut.parameter_values.tolist() == [1.0, 2.0]
    assert "2 of 3 values until it was interrupted" in cut.message


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("catalog:chicken", "cost", [1, 2]), "nothing to sweep: chicken has no parameter 'cost'"),
        (("catalog:chicken", "reward", []), "at least one"),
        (("catalog:chicken", "reward", ["a"]), "must be numbers"),
        (("catalog:chicken", "reward", [6.0, 8.0]), "temptation > reward"),
        ((coordination, "bonus", [1.0], {"start": [[0.9, 0.1], [1.0]]}), "player 1"),
        ((coordination, "bonus", [1.0, 2.0], {"precision": 0}), "precision"),
        ((coordination, "bonus", range(10**12)), "1000000000000 values of bonus, .* GiB of games and answers"),
        ((lambda x: np.eye(2), "x", [1.0]), "x = 1: the function of x must make a TabularGame; got ndarray"),
    ],
)
def test_wrong_arguments_are_one_sentence(arguments, says):
    options = arguments[3] if len(arguments) > 3 else {}
    with pytest.raises(eq.BadInput, match=says):
        eq.sweep(*arguments[:3], **options)


def test_the_command_line_writes_a_table_and_a_page(capsys, tmp_path):
    out = tmp_path / "swept"
    words = ["sweep", "catalog:asymmetric_matching_pennies", "--set", "prize=1:3:3", "--out", str(out)]
    assert run(words) == 0
    assert "3 of 3 values, 3 certified, no fold" in capsys.readouterr().out
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "result.json", "sweep.csv"]
    with (out / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["prize"]) for row in rows] == [1, 2, 3]
    assert [float(row["1:0:heads"]) for row in rows] == pytest.approx([1 / 2, 1 / 3, 1 / 4], abs=1e-15)
    record = json.loads((out / "result.json").read_text())
    assert record["values"] == [1, 2, 3]
    assert record["certified"] is True
    assert record["solutions"][2]["profile"][1][0] == pytest.approx([1 / 4, 3 / 4], abs=1e-15)
    assert "All points" in (out / "report.html").read_text()
    assert run([*words[:4], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folds"] == []


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["catalog:stag_hunt", "--set", "cost=1:3:9"], 4, "has no parameter 'cost'"),
        (["catalog:stag_hunt", "--set", "reward=a:b:9"], 4, "from:to:number"),
        (["catalog:stag_hunt", "--set", "reward=9:10"], 4, "from:to:number"),
        (["catalog:stag_hunt", "--set", "reward=9:9:3"], 4, "two different numbers"),
        (["catalog:stag_hunt", "--set", "reward=9:10:2", "tempation=8"], 2, "tempation"),
        (["catalog:stag_hunt", "--set", "reward=9"], 2, "exactly one"),
        (["catalog:stag_hunt"], 2, "exactly one"),
        (["catalog:stag", "--set", "reward=9:10:2"], 2, "stag_hunt"),
        (["nowhere.csv", "--set", "discount=0:1:2"], 4, "nowhere.csv: no such file."),
        (["nowhere.nfg", "--set", "cost=0:1:2"], 4, "nowhere.nfg: no such file."),
        ([PENALTY, "--set", "cost=0:1:2"], 4, "penalty_kick.nfg: a .nfg file has no parameters; got 'cost'"),
        (["catalog:chicken", "--set", "reward=3:8:6"], 4, "reward = 8: chicken needs temptation > reward"),
        (["catalog:stag_hunt", "--set", "reward=9:10:1000000000"], 4, "1000000000 values of reward, 7629 GiB"),
        (["catalog:stag_hunt", "--set", f"reward=9:10:{10**400}"], 4, "GiB of games and answers"),
        (["catalog:random", "--set", "discount=0:0.9:3", "states=200000"], 4, "equinfer: random: 200000 states"),
        (["catalog:random", "--set", "states=2:200000:3"], 4, "states = 200000: random: 200000 states with"),
    ],
)
def test_mistakes_are_one_sentence_and_an_exit_code(capsys, words, code, says):
    assert run(["sweep", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1


def test_a_bad_value_is_refused_before_any_game_is_solved(monkeypatch):
    monkeypatch.setattr(continuation, "solve", lambda *_, **__: 1 / 0)
    with pytest.raises(eq.BadInput, match=r"reward = 7\.5: chicken needs temptation > reward"):
        eq.sweep("catalog:chicken", "reward", [3.0, 7.5, 4.0])


def test_a_game_that_fails_late_hands_back_what_was_reached():
    made = []

    def fragile(bonus):
        made.append(bonus)
        if made.count(2.0) > 1:
            raise eq.BadInput("the source is gone.")
        return coordination(bonus)

    swept = eq.sweep(fragile, "bonus", [1.0, 2.0, 3.0])
    assert swept.status is eq.Status.stalled
    assert swept.parameter_values.tolist() == [1.0]
    assert swept.message == "1 of 3 values, 1 certified, no fold; it could not go on: bonus = 2: the source is gone."


def test_games_that_do_not_fit_together_are_refused_with_the_estimate(monkeypatch):
    monkeypatch.setattr("equinfer.memory.installed", lambda: 110 * 2**20)
    with pytest.raises(eq.BadInput, match=r"2000 values of reward, .* MiB of games and answers; solving takes about"):
        eq.sweep("catalog:stag_hunt", "reward", np.linspace(9, 10, 2000))
    assert len(eq.sweep("catalog:stag_hunt", "reward", [9.0, 10.0])) == 2


def test_a_fold_is_the_same_from_either_side():
    up, down = (eq.sweep(coordination, "bonus", ends, precision=1e-5) for ends in ([-1.0, 0.5], [1.0, -0.5]))
    # Upwards the second place stays an equilibrium; downwards the first one ends at 0.
    assert not up.folds
    assert [fold.low < 0 <= fold.high for fold in down.folds] == [True]


def test_answers_that_are_not_certified_are_no_branch_and_make_no_fold():
    swept = eq.sweep("catalog:asymmetric_matching_pennies", "prize", [1.0, 9.0], eps=0)  # less than rounding errors
    assert swept.status is eq.Status.above_eps
    assert len(swept) == 2
    assert not swept.folds
    assert not swept.waypoints


def test_the_game_is_that_of_solve_but_for_the_parameter_that_moves():
    swept = eq.sweep("catalog:stag_hunt", "reward", [9.0, 10.0])
    game, one = swept.to_json()["game"], eq.solve("catalog:stag_hunt").to_json()["game"]
    del one["origin"]["parameters"]["reward"]
    assert game == one
    assert eq.sweep(coordination, "bonus", [1.0]).to_json()["game"]["origin"] is None


@pytest.mark.parametrize(("stop", "reached"), [({"checked": 2.0}, 0), ({"value": 1.5}, 1)], ids=["before", "midway"])
def test_ctrl_c_shows_and_writes_what_was_reached(capsys, monkeypatch, tmp_path, stop, reached):
    def interrupt(row):
        if stop.items() <= row.items():
            raise KeyboardInterrupt

    @contextmanager
    def shown(_):
        yield interrupt

    monkeypatch.setattr(progress, "shown", shown)
    words = ["catalog:asymmetric_matching_pennies", "--set", "prize=1:2:3"]
    assert run(["sweep", *words, "--out", str(tmp_path / "o")]) == 130
    out, err = capsys.readouterr()
    if reached:
        assert "INTERRUPTED. 2 of 3 values until it was interrupted" in out
        assert json.loads((tmp_path / "o" / "result.json").read_text())["status"] == "interrupted"
    else:
        assert (out, err) == ("", "equinfer: interrupted; there is nothing to show.\n")
        assert not (tmp_path / "o").exists()


def test_a_game_that_is_made_has_no_parameters():
    """It would be the same game at every value."""
    with pytest.raises(BadInput, match="is a game already, which takes no parameters, such as cost"):
        game_to_solve(eq.load("catalog:quality_ladder"), cost=1.0)


def test_what_is_swept_cannot_be_set():
    with pytest.raises(BadInput, match="cost is swept: it cannot be set to 7 as well"):
        eq.sweep("catalog:quality_ladder", "cost", [1.0, 2.0], cost=7)


def test_the_horizon_of_a_file_can_be_swept(tmp_path):
    game = eq.TabularGame(np.zeros((2, 2, 1, 1)) + 1.0, np.full((2, 1, 1, 2), 0.5), discount=0.5)
    eq.save(game, tmp_path / "game.csv")
    swept = eq.sweep(str(tmp_path / "game.csv"), "horizon", [1.0, 2.0, 3.0])
    assert [solution.values[0, 0, 0] for solution in swept] == [1.0, 1.5, 1.75]


def test_a_function_that_fails_says_at_which_value():
    with pytest.raises(ZeroDivisionError) as failed:
        eq.sweep(lambda cost: 1 / (cost - 1), "cost", [1.0, 2.0])
    assert failed.value.__notes__ == ["Raised by the function that makes the game, at cost = 1."]


def test_what_stays_is_not_drawn_beside_what_moves():
    """A player with one action that dominates, whose probability is 1 throughout, hides nothing."""

    def game(bonus):
        return eq.TabularGame.from_payoffs([[[1.0, 1.0], [0.0, 0.0]], [[bonus, 1.0], [0.0, 1.0]]])

    picture = probability_picture(eq.sweep(game, "bonus", [0.0, 2.0]))
    lines = [np.array(trace.y, float) for trace in picture.data]
    moving = [np.nanmax(line) - np.nanmin(line) > 0.5 for line in lines]
    assert sum(moving) == 2

"""Public signals on the command line: asked for, shown, judged, refused."""

import json

import pytest

from equinfer.cli import run

ASK = ("--concept", "public-correlated")


def test_each_signal_is_shown_with_what_it_calls_for(capsys):
    assert run(["solve", "catalog:battle_of_the_sexes", *ASK]) == 0
    out = capsys.readouterr().out
    assert "signal  probability" in out
    assert out.count(" 0.5  ") == 2
    assert "welfare: 3, not proven to be the best of the whole game, by way of one shot" in out


def test_places_of_a_stochastic_game_have_a_row_for_each_signal(capsys):
    assert run(["solve", "catalog:public_signal", *ASK]) == 0
    out = capsys.readouterr().out
    assert "epoch  state   signal  probability" in out
    rows = [line.split() for line in out.splitlines() if " battle " in line]
    assert [row[:4] for row in rows[-2:]] == [["1", "battle", "0", "0.5"], ["1", "battle", "1", "0.5"]]


@pytest.mark.parametrize("number", [1, 3])
def test_the_number_of_signals(capsys, number):
    assert run(["solve", "catalog:chicken", *ASK, "--signals", str(number), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(record["signal"][0]) == number
    assert len(record["profile"][0]) == number
    assert record["objective_value"] == pytest.approx(28 / 3, abs=1e-9)


def test_a_wrong_answer_says_after_which_signal(capsys, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("signal,player,action,probability\n0,0,swerve,1\n0,1,dare,1\n1,0,dare,1\n1,1,dare,1\n")
    assert run(["certify", "catalog:chicken", str(path)]) == 3
    out = capsys.readouterr().out
    assert "after signal 1, play swerve: gains 2" in out
    assert "no public-correlated equilibrium to within eps" in out


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ((*ASK, "--signals", "0"), 4, "signals must be from 1 to 1000"),
        ((*ASK, "--signals", "1.5"), 2, "--signals must be a whole number; got '1.5'"),
        (("--signals", "2"), 2, "--signals is for --concept public-correlated; the concept here is nash."),
        (("--concept", "correlated", "--signals", "2"), 2, "the concept here is correlated."),
        (
            ("--concept", "zero-sum", "--objective", "welfare"),
            2,
            "--objective is for --concept public-correlated or correlated or coarse-correlated; the concept here is",
        ),
        (("--concept", "correlated", "--all"), 2, "--all finds Nash equilibria only: leave --concept correlated out."),
        (("--concept", "corelated", "--all"), 2, "unknown concept 'corelated'; did you mean 'correlated'?"),
        ((*ASK, "--option", "signals=2"), 2, "signals"),
        (("--all", "--signals", "2"), 2, "leave --signals out"),
        (("--all", "--objective", "welfare"), 2, "leave --objective out"),
    ],
)
def test_refusals(capsys, words, code, says):
    assert run(["solve", "catalog:chicken", *words]) == code
    assert says in capsys.readouterr().err

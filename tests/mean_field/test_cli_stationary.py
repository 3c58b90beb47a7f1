"""The command line on stationary games."""

import json

import numpy as np
import pytest

import equinfer as eq
from equinfer.cli import run

ENDEMIC = "catalog:mean_field/endemic"


def test_an_answer_is_solved_saved_judged_and_loaded(capsys, tmp_path):
    out = tmp_path / "o"
    assert run(["solve", ENDEMIC, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "2 actions, stationary" in said
    assert "go out 0.6559, keep away 0.3441" in said
    for name in ("solution.npz", "result.json"):
        assert run(["certify", ENDEMIC, str(out / name)]) == 0
    assert "discount 0.95" in capsys.readouterr().out
    record = json.loads((out / "result.json").read_text())
    assert np.shape(record["policy"]) == np.shape(record["flow"]) == (2, 2)
    assert np.shape(record["value"]) == (2,)
    loaded = eq.load_solution(out / "solution.npz", game=ENDEMIC)
    assert loaded.certified
    np.testing.assert_array_equal(loaded.policy, record["policy"])
    assert (out / "report.html").stat().st_size > 0


def test_an_answer_in_rows_has_no_epochs(capsys, tmp_path):
    rows = ["state,player,action,probability", "susceptible,0,go out,1", "infected,0,go out,1"]
    (tmp_path / "a.csv").write_text("\n".join(rows))
    assert run(["certify", ENDEMIC, str(tmp_path / "a.csv")]) == 3
    assert "play keep away" in capsys.readouterr().out
    rows = [f"{'epoch' if k == 0 else 0},{row}" for k, row in enumerate(rows)]
    (tmp_path / "b.csv").write_text("\n".join(rows))
    assert run(["certify", ENDEMIC, str(tmp_path / "b.csv")]) == 4
    assert "may not have the column 'epoch'" in capsys.readouterr().err


def test_info_says_what_uniform_play_leaves_to_gain(capsys):
    assert run(["info", ENDEMIC]) == 0
    out = capsys.readouterr().out
    assert "discount 0.95" in out
    assert "depend on the population" in out
    assert "exploitability 2.23521" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["solve", ENDEMIC, "--solver", "mf-omo"], "for games with a horizon; this one is stationary"),
        (["solve", ENDEMIC, "--set", "discount=1"], "0 <= discount < 1; got 1"),
        (["sweep", ENDEMIC, "--set", "discount=0.5:0.9:3"], "a sweep is for games in tables"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(capsys, words, says):
    assert run(words) == 4
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1

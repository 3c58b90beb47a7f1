"""The command line on mean-field games."""

import json

import numpy as np
import pytest

from equinfer.cli import run

CROWD = "catalog:mean_field/crowd_modelling"


def test_solve_says_where_the_population_is(capsys):
    assert run(["solve", CROWD]) == 0
    out = capsys.readouterr().out
    assert "one population, 10 states, 3 actions, 10 epochs" in out
    assert "part" in out
    assert "CERTIFIED" in out
    assert "e-1" not in out.partition("gap")[0]  # no probability that is only what a method leaves of zero


def test_an_answer_short_of_equilibrium_says_what_to_do_at_once(capsys):
    assert run(["solve", CROWD, "--solver", "bayesian-q", "--option", "steps=2"]) == 3
    assert "from epoch 0, state" in capsys.readouterr().out


def test_info_says_dynamics_and_the_exploitability_of_uniform_play(capsys):
    assert run(["info", "catalog:mean_field/predator_prey"]) == 0
    out = capsys.readouterr().out
    assert "3 populations, 25 states, 5 x 5 x 5 actions, 10 epochs" in out
    assert "do not depend on the population" in out
    assert "exploitability 36.9684" in out


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("congestion", ("crowds repel", "masses in the same place", "are the gradient of a potential")),
        ("rock_paper_scissors", ("crowds attract", "masses elsewhere", "no potential at time")),
        ("susceptible_infected", ("potential not examined: dynamics",)),
    ],
)
def test_info_says_what_structure_is_seen(capsys, name, phrases):
    assert run(["info", f"catalog:mean_field/{name}"]) == 0
    out = capsys.readouterr().out
    assert all(phrase in out for phrase in phrases)


def test_files_can_be_judged_and_compared(capsys, tmp_path):
    out = str(tmp_path / "o")
    assert run(["solve", "catalog:mean_field/left_right", "--out", out]) == 0
    assert run(["certify", "catalog:mean_field/left_right", f"{out}/solution.npz"]) == 0
    assert "mean-field equilibrium to within eps" in capsys.readouterr().out
    assert run(["compare", f"{out}/result.json", f"{out}/solution.npz"]) == 0


def test_a_policy_is_judged_among_a_number_of_players(capsys, tmp_path):
    """At a fork, of n players one gains 1 / (3 n) by going left: 1/9 of three, which is exact."""
    out = str(tmp_path / "o")
    assert run(["solve", "catalog:mean_field/left_right", "--out", out]) == 0
    capsys.readouterr()
    judged = ["certify", "catalog:mean_field/left_right", out, "--players"]
    assert run([*judged, "3", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["kind"], record["players"], record["blind"]) == ("exact", 3, None)
    assert abs(record["gap"] - 1 / 9) < 1e-12
    assert run([*judged, "3", "--eps", "0.1"]) == 3
    assert "0.111 of one of them, exact" in capsys.readouterr().out
    assert run([*judged, "40", "--eps", "0.2"]) == 0
    out = capsys.readouterr().out
    assert "with confidence 0.99, by 4,000 paths" in out
    assert "by knowing beforehand what all others will do" in out
    assert run([*judged, "0"]) == 4
    assert run([*judged, "3", "--concept", "nash"]) == 2


def test_json_has_policy_flow_and_value(capsys):
    assert run(["solve", "catalog:mean_field/left_right", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["certified"] is True
    for name in ("policy", "flow", "value"):
        assert len(record[name]) == 2  # epochs


def test_games_are_listed(capsys):
    assert run(["games"]) == 0
    assert "mean_field/beach_bar" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["info", "--potential"], ["sweep", "--set", "T=1:2:2"], ["solve", "--all"]])
def test_what_is_for_tables_only_is_refused(capsys, words):
    assert run([words[0], "catalog:mean_field/left_right", *words[1:]]) == 4
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "mean-field game" in err


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.npz", {"profile_0": np.full((2, 4, 2), 0.5)}, "profile_0 must be floats of shape (2, 3, 2)"),
        ("a.npz", {"profile_0": np.full((2, 3, 2), np.nan)}, "epoch 0, state start: the probability of action left is"),
        ("a.npz", {"other": np.ones(1)}, "holds no array 'profile_0'"),
        ("a.json", '{"profile": [[[[0.5, 0.5]]]]}', "[epoch][state][action], 2 x 3 x 2 of them"),
        ("a.csv", "epoch,state,player,action,probability\n0,start,0,up,1", "line 2: unknown action 'up'"),
    ],
)
def test_policy_files_that_do_not_match_are_refused_in_a_sentence(capsys, tmp_path, name, content, says):
    if isinstance(content, dict):
        np.savez(tmp_path / name, **content)
    else:
        (tmp_path / name).write_text(content)
    assert run(["certify", "catalog:mean_field/left_right", str(tmp_path / name)]) == 4
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_a_game_without_epochs_is_refused(capsys):
    assert run(["solve", "catalog:mean_field/left_right", "--set", "T=-1"]) == 4
    assert "T >= 1; got -1" in capsys.readouterr().err

"""The command line: what is printed where, and every exit code."""

import json
import time
from pathlib import Path

import numpy as np
import pytest

import equinfer as eq
from equinfer.cli import run
from equinfer.cli.showcase import SHOWN
from equinfer.cli.usage import UsageError
from equinfer.cli.words import assignments
from equinfer.concepts import CONCEPTS

DILEMMA = "catalog:prisoners_dilemma"
BY_PATH = ("--solver", "homotopy")
"""The solver under which the commands are tested; solvers have tests of their own."""


CUT_SHORT = (*BY_PATH, "--option", "max_steps=1", "--option", "restarts=0")
"""Near the beginning of the path, far from any equilibrium."""
ENDLESS = ("--solver", "vpg", "--option", "steps=1000000000", "--option", "tolerance=-1")
"""Logit equilibria at a temperature that never falls."""


@pytest.fixture
def answer(tmp_path) -> Path:
    """A CSV in which both cooperate: each would gain 5 - 3 = 2."""
    path = tmp_path / "cooperate.csv"
    path.write_text("state,player,action,probability\n0,0,cooperate,1\n0,1,cooperate,1\n")
    return path


def test_solve_prints_the_equilibrium_and_the_verdict(capsys):
    assert run(["solve", DILEMMA, *BY_PATH]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "prisoners_dilemma: 2 players, 2 x 2 actions, one-shot" in out
    assert "defect" in out
    assert "cooperate" not in out
    assert "CERTIFIED" in out


def test_solve_json_is_one_object_and_nothing_else(capsys):
    assert run(["solve", DILEMMA, *BY_PATH, "--json"]) == 0
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert err == ""
    assert out.count("\n") == 1
    assert record["certified"] is True
    assert record["profile"] == [[[0.0, 1.0]], [[0.0, 1.0]]]
    assert record["game"]["actions"] == [["cooperate", "defect"]] * 2


LADDER = ("catalog:quality_ladder", "--set", "levels=100")
ENTRIES = ("solve", "--all", "sweep")
"""The ways to have something solved."""


def entry(way: str, *words: str, moving: str) -> list[str]:
    if way == "sweep":
        return ["sweep", *words, "--set", moving]
    return ["solve", *words, *(["--all"] if way == "--all" else [])]


@pytest.mark.parametrize("way", ENTRIES)
def test_the_memory_of_a_large_game_is_announced_before_work(capsys, way):
    assert run([*entry(way, *LADDER, moving="cost=1:2:3"), "--time", "0", "--json"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "quality_ladder: 10000 states, tables of 9.61 MiB; solving takes about 119 MiB beside"
    if way == "sweep":
        assert said[1].startswith("3 values of cost, 30.4 MiB of games and answers; solving takes about")


@pytest.mark.parametrize("way", ENTRIES)
def test_what_would_not_fit_is_refused_before_its_tables_are_made(capsys, monkeypatch, way):
    monkeypatch.setattr("equinfer.memory.installed", lambda: 200 * 2**20)
    monkeypatch.setattr("equinfer.games.catalog.random_games._generator", lambda *_: 1 / 0)
    # Tables of 9 x 1000 x (16 + 8 x 1000) bytes: less than half of 200 MiB, but not three times and 100 MiB.
    assert run(entry(way, "catalog:random", "--set", "states=1000", moving="discount=0.5:0.9:3")) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "equinfer: random: 1000 states, tables of 68.8 MiB; solving takes about 238 MiB beside; this machine has "
        "200 MiB.\n"
    )


@pytest.mark.parametrize("way", [*ENTRIES, "certify"])
def test_an_unknown_concept_is_the_same_sentence_everywhere(capsys, way):
    words = ["certify", DILEMMA, "nowhere.csv"] if way == "certify" else entry(way, DILEMMA, moving="reward=3:4:2")
    assert run([*words, "--concept", "nush"]) == 2
    assert capsys.readouterr().err.startswith("equinfer: unknown concept 'nush'; did you mean 'nash'? known: nash")


@pytest.mark.parametrize("way", ["--all", "sweep"])
def test_a_concept_that_only_solve_finds_is_refused(capsys, way):
    assert run([*entry(way, DILEMMA, moving="reward=3:4:2"), "--concept", "zero-sum"]) == 2
    error = capsys.readouterr().err
    assert "a sweep is for concept 'nash' only" in error if way == "sweep" else "--all finds Nash equilibria" in error
    assert "zero-sum" in error


def test_a_game_has_one_form_in_all_json(capsys, answer):
    games = []
    for words in (["solve", DILEMMA], ["solve", DILEMMA, "--all"], ["certify", DILEMMA, str(answer)]):
        run([*words, "--json"])
        games.append(json.loads(capsys.readouterr().out)["game"])
    assert games[0]["origin"]["parameters"]["temptation"] == 5
    assert games[1:] == games[:1] * 2


def test_parameters_of_the_game_and_options_of_the_solver(capsys):
    words = ["--set", "temptation=7.5", "sucker=-1", "--option", "max_steps=50", "--option", "restarts=1"]
    assert run(["solve", DILEMMA, *BY_PATH, *words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["payoff_scale"] == 8.5


def test_above_eps_is_3_and_says_who_would_rather_do_what(capsys):
    assert run(["solve", DILEMMA, *CUT_SHORT]) == 3
    out = capsys.readouterr().out
    assert "ABOVE EPS" in out
    assert "play defect" in out
    assert run(["solve", DILEMMA, *CUT_SHORT, "--eps", "5"]) == 0  # nobody can gain more than the payoffs' range


def test_constant_payoffs_are_certified(capsys, tmp_path):
    eq.save(eq.TabularGame.from_payoffs(np.full((2, 2, 2), 0.1)), tmp_path / "constant.nfg")
    assert run(["solve", str(tmp_path / "constant.nfg"), *BY_PATH]) == 0
    assert "gap      0 ± 0 in reward (exact); eps is 0" in capsys.readouterr().out


def test_out_of_time_is_3(capsys):
    assert run(["solve", DILEMMA, *ENDLESS, "--time", "0.5", "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["status"] == "out_of_time"


def test_certify_judges_and_explains(capsys, answer):
    assert run(["certify", DILEMMA, str(answer)]) == 3
    out = capsys.readouterr().out
    assert "play defect: gains 2" in out
    assert run(["certify", DILEMMA, str(answer), "--eps", "2.1"]) == 0
    assert run(["certify", DILEMMA, str(answer), "--json"]) == 3
    record = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert record["gap"] == 2
    assert record["certified"] is False
    assert record["deviations"][0] == {"policy": [[0.0, 1.0]], "gain": [2.0]}


def test_out_receives_three_files_that_can_be_judged_and_compared(capsys, tmp_path):
    out = tmp_path / "new" / "answer"
    assert run(["solve", DILEMMA, *BY_PATH, "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "result.json", "solution.npz"]
    for path in (out, out / "solution.npz", out / "result.json"):
        assert run(["certify", DILEMMA, str(path)]) == 0
    assert eq.load_solution(out / "solution.npz").to_json() == json.loads((out / "result.json").read_text())
    capsys.readouterr()
    assert run(["compare", str(out), str(out / "result.json")]) == 0
    assert "not the same game" not in capsys.readouterr().out


def test_compare_sees_another_game_and_the_distance(capsys, tmp_path):
    for name, words in {
        "short": (DILEMMA, *CUT_SHORT),
        "long": (DILEMMA, *BY_PATH),
        "other": ("catalog:asymmetric_matching_pennies", *BY_PATH),
    }.items():
        run(["solve", *words, "--out", str(tmp_path / name)])
    short, long = (eq.load_solution(tmp_path / name / "solution.npz") for name in ("short", "long"))
    apart = np.abs(short.profile[0] - long.profile[0]).max()
    assert apart > 0.1
    capsys.readouterr()
    assert run(["compare", str(tmp_path / "short"), str(tmp_path / "long")]) == 0
    assert f"{apart:.3g}" in capsys.readouterr().out
    run(["solve", DILEMMA, "--set", "temptation=6", *CUT_SHORT, "--out", str(tmp_path / "tempting")])
    capsys.readouterr()
    assert run(["compare", str(tmp_path / "short"), str(tmp_path / "tempting")]) == 0
    assert "with other parameters" in capsys.readouterr().out
    assert run(["compare", str(tmp_path / "short"), str(tmp_path / "other")]) == 0
    assert "not the same game: name, actions differ" in capsys.readouterr().out


def test_a_folder_with_something_in_it_is_refused_before_any_work(capsys, tmp_path):
    (tmp_path / "thesis.txt").write_text("do not lose")
    began = time.perf_counter()
    assert run(["solve", "catalog:soccer", "--out", str(tmp_path)]) == 2
    assert time.perf_counter() - began < 1
    assert "--force" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    assert run(["solve", DILEMMA, *BY_PATH, "--out", str(tmp_path), "--force"]) == 0
    assert (tmp_path / "thesis.txt").read_text() == "do not lose"
    assert (tmp_path / "solution.npz").exists()


def test_a_full_disk_is_1_after_the_answer_was_printed_and_leaves_nothing(capsys, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    assert run(["solve", DILEMMA, *BY_PATH, "--out", str(tmp_path / "answer")]) == 1
    out, err = capsys.readouterr()
    assert "CERTIFIED" in out
    assert err == "equinfer: writing failed: No space left on device.\n"
    assert list((tmp_path / "answer").iterdir()) == []


def test_an_out_that_is_a_file_is_refused(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert run(["solve", DILEMMA, "--out", str(tmp_path / "file")]) == 2
    assert "must be a folder" in capsys.readouterr().err


def test_labels_cannot_drive_the_terminal(capsys, tmp_path):
    game = eq.TabularGame.from_payoffs([[[1, 0]], [[1, 0]]], action_labels=[["\x1b[2Jwipe"], ["[red]a", "b"]])
    eq.save(game, tmp_path / "game.npz")
    assert run(["solve", str(tmp_path / "game.npz"), *BY_PATH]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "?[2Jwipe" in out
    assert "[red]a" in out


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("profile", 3),
        ("profile", [[["a"]]] * 2),
        ("game", []),
        ("values", None),
        ("gap", "x"),
        ("game", {"players": 2}),
    ],
)
def test_compare_refuses_what_is_no_answer(capsys, tmp_path, key, value):
    run(["solve", DILEMMA, *BY_PATH, "--json"])
    good = json.loads(capsys.readouterr().out)
    (tmp_path / "good.json").write_text(json.dumps(good))
    (tmp_path / "bad.json").write_text(json.dumps({**good, key: value}))
    assert run(["compare", str(tmp_path / "good.json"), str(tmp_path / "good.json")]) == 0
    assert run(["compare", str(tmp_path / "good.json"), str(tmp_path / "bad.json")]) == 4
    assert "not of the right kind" in capsys.readouterr().err


def test_info_says_sizes_structure_and_doubts(capsys):
    assert run(["info", DILEMMA]) == 0
    out = capsys.readouterr().out
    assert "payoff scale 5" in out
    assert "symmetric" in out
    assert "player 0: cooperate by defect" in out


def test_a_game_tree_is_answered_by_information_set(capsys, tmp_path):
    # In pays the entrant 1 if the incumbent then shares, which pays it 1 rather than -1; out pays the entrant 0.
    (tmp_path / "entry.efg").write_text(
        'EFG 2 R "entry" { "entrant" "incumbent" }\n'
        'p "" 1 1 "start" { "in" "out" } 0\np "" 2 1 "entered" { "fight" "share" } 0\n'
        't "" 1 "" { -1, -1 }\nt "" 2 "" { 1, 1 }\nt "" 3 "" { 0, 2 }\n'
    )
    assert run(["info", str(tmp_path / "entry.efg")]) == 0
    assert "2 information sets" in capsys.readouterr().out
    assert run(["solve", str(tmp_path / "entry.efg"), "--solver", "stage-nash"]) == 0
    lines = capsys.readouterr().out.splitlines()
    plays = [line.split()[2:] for line in lines if line.startswith(("entrant", "incumbent"))]
    assert plays in ([["start", "in"], ["entered", "share"]], [["start", "out"], ["entered", "fight"]])


def test_games_lists_every_game_of_the_catalogue(capsys):
    from equinfer.games import catalog

    assert run(["games"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in catalog.names())


def test_demo_solves_its_games_and_links_their_reports(capsys, tmp_path):
    assert run(["demo", "--out", str(tmp_path / "demo")]) == 0
    assert capsys.readouterr().out.count("CERTIFIED") == len(SHOWN)
    shown_of = {name for name, row in CONCEPTS.items() if row.games in ("tables", "mean-field")}
    assert {shown.concept for shown in SHOWN} == shown_of
    index = (tmp_path / "demo" / "index.html").read_text()
    for name in (shown.name for shown in SHOWN):
        assert f'href="{name}/report.html"' in index
        assert (tmp_path / "demo" / name / "report.html").stat().st_size > 0
    # The kicker makes the goalkeeper indifferent: 58.30 p + 92.91 (1 - p) = 94.97 p + 69.92 (1 - p), and vice versa.
    profile = json.loads((tmp_path / "demo" / "penalty_kick" / "result.json").read_text())["profile"]
    assert profile[0][0][0] == pytest.approx(2299 / 5966, abs=1e-12)
    assert profile[1][0][0] == pytest.approx(2505 / 5966, abs=1e-12)
    assert run(["demo", "--out", str(tmp_path / "demo")]) == 2


def test_doctor_passes_its_own_test(capsys):
    assert run(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"numpy       {np.__version__}" in out
    assert out.count(": ok") == 3


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("-2.5e-1", -0.25),
        ("true", True),
        ("False", False),
        ("None", None),
        ("[1, 2]", [1, 2]),
        ("1,2.5", [1, 2.5]),
        ("red", "red"),
        ('"3"', "3"),
        ("", ""),
    ],
)
def test_typed_values(text, value):
    typed = assignments([f"name={text}"], "--set")["name"]
    assert typed == value
    assert type(typed) is type(value)


@pytest.mark.parametrize("words", [["=3"], ["a"], ["a b=3"], ["a=1", "a=2"]])
def test_words_that_are_no_assignments(words):
    with pytest.raises(UsageError, match="--set"):
        assignments(words, "--set")

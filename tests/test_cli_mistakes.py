"""Mistakes at the command line and in Python: one sentence each, and an exit code."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import equinfer as eq
from equinfer.cli import run

DILEMMA = "catalog:prisoners_dilemma"
BY_PATH = ("--solver", "homotopy")
"""The solver under which the commands are tested; solvers have tests of their own."""


@pytest.fixture
def answer(tmp_path) -> Path:
    """A CSV in which both cooperate: each would gain 5 - 3 = 2."""
    path = tmp_path / "cooperate.csv"
    path.write_text("state,player,action,probability\n0,0,cooperate,1\n0,1,cooperate,1\n")
    return path


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["solv", DILEMMA], 2, 'Did you mean "solve"'),
        (["solve", DILEMMA, "--epz", "1"], 2, "--eps"),
        (["solve"], 2, "TARGET"),
        (["solve", DILEMMA, "--eps", "much"], 2, "much"),
        (["solve", DILEMMA, "--solver", "homotpy"], 2, "homotopy"),
        (["solve", DILEMMA, "--concept", "wardrop"], 2, "known: nash"),
        (["solve", DILEMMA, "--set", "tempation=3"], 2, "temptation"),
        (["solve", DILEMMA, "--set", "temptation"], 2, "name=value"),
        (["solve", DILEMMA, *BY_PATH, "--option", "max_stebs=3"], 2, "did you mean 'max_steps'"),
        (["solve", "catalog:chiken"], 2, "chicken"),
        (["solve", "nowhere.nfg"], 4, "nowhere.nfg"),
        (["solve", "a" * 300 + ".nfg"], 4, "cannot be read: File name too long"),
        (["solve", DILEMMA, "--set", "temptation=red"], 4, "temptation"),
        (["solve", DILEMMA, "--eps", "-1"], 4, "eps must be"),
        (["solve", DILEMMA, "--seed", "-1"], 4, "seed must be"),
        (["solve", DILEMMA, "--solver", "vpg", "--seed", str(2**63)], 4, "seed must be"),
        (["solve", DILEMMA, "--option", "concept=nash"], 2, "cannot set concept"),
        (["solve", DILEMMA, "--set", "name=nash"], 2, "cannot set name"),
        (["certify", DILEMMA, "nowhere.csv"], 4, "nowhere.csv"),
        (["certify", DILEMMA, "nowhere.json"], 4, "nowhere.json: no such file."),
        (["certify", DILEMMA, "nowhere.csv", "--eps", "-1"], 4, "--eps must be a finite number, at least 0; got -1"),
        (["certify", DILEMMA, "nowhere.csv", "--eps", "nan"], 4, "--eps must be a finite number, at least 0; got nan"),
        (["solve", "nosuchname"], 2, "there is no file called 'nosuchname', and no game of the catalogue"),
        (["solve", "staghunt"], 2, "no file is called 'staghunt'; did you mean 'catalog:stag_hunt'?"),
        (["solve", DILEMMA, "--seed", "1.5"], 2, "--seed must be a whole number; got '1.5'"),
        (["sweep", DILEMMA, "--seed", "a"], 2, "--seed must be a whole number; got 'a'"),
        (["solve", DILEMMA, "--out", "/proc/x"], 2, "--out /proc/x cannot be written: No such file"),
        (["compare", "nowhere.csv", "nowhere.npz"], 4, "nowhere.csv: a saved answer is a solution.npz, a result.json"),
        (["compare", "nowhere.npz", "nowhere.npz"], 4, "nowhere.npz"),
    ],
)
def test_mistakes_are_one_sentence_and_an_exit_code(capsys, words, code, says):
    assert run(words) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.startswith("equinfer: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["solve", "missing.csv"], ["solve", DILEMMA, "--option", "colour=red"], ["sweep", DILEMMA]], ids=str
)
def test_a_mistake_leaves_no_folder_behind(capsys, tmp_path, words):
    assert run([*words, "--out", str(tmp_path / "new" / "deep")]) in (2, 4)
    assert list(tmp_path.iterdir()) == []


def test_compare_says_what_a_file_is_not_without_advice_of_numpy(capsys, tmp_path):
    (tmp_path / "answer.npz").write_text("state,player,action,probability\n")
    assert run(["compare", str(tmp_path / "answer.npz"), "nowhere.npz"]) == 4
    err = capsys.readouterr().err
    assert "is not a readable .npz file" in err
    assert "pickle" not in err


def test_certify_refuses_an_answer_to_another_game(capsys, tmp_path):
    assert run(["solve", DILEMMA, *BY_PATH, "--json"]) == 0
    (tmp_path / "answer.json").write_text(capsys.readouterr().out)
    assert run(["certify", DILEMMA, str(tmp_path / "answer.json")]) == 0
    assert run(["certify", "catalog:stag_hunt", str(tmp_path / "answer.json")]) == 4
    assert "which has no action of player 0 called 'cooperate', but 'stag'" in capsys.readouterr().err


MISUSES = {
    "eq.load(None)": "expected a game, a path, or a name such as 'catalog:stag_hunt'; got None.",
    "eq.solve(3)": "expected a game, a path, or a name such as 'catalog:stag_hunt'; got 3.",
    "eq.solve(np.zeros(3))": "expected a game, a path, or a name such as 'catalog:stag_hunt'; got ndarray.",
    "eq.certify([], [])": "expected a game, a path, or a name such as 'catalog:stag_hunt'; got list.",
    **{
        f"eq.solve({DILEMMA!r}, seed={seed})": f"seed must be a whole number, at least 0 and below 2**63; got {shown}."
        for seed, shown in (("-1", "-1"), ("'a'", "'a'"), ("1.5", "1.5"), ("2**70", str(2**70)), ("True", "True"))
    },
    **{
        f"eq.{call}({DILEMMA!r}, {rest}seed='a')": "seed must be a whole number, at least 0 and below 2**63; got 'a'."
        for call, rest in (("solve_all", ""), ("sweep", "'reward', [2, 3], "))
    },
    **{
        f"eq.solve({DILEMMA!r}, eps={eps})": f"eps must be a finite number, at least 0; got {shown}."
        for eps, shown in (("True", "True"), ("-1", "-1"), ("float('nan')", "nan"), ("'x'", "'x'"), ("1j", "1j"))
    },
}


def test_misuses_in_python_are_one_sentence_each():
    """As users have it, without the checks of types that these tests run under."""
    code = "import json, equinfer as eq, numpy as np\nsaid = []\n"
    for call in MISUSES:
        code += f"try: {call}\nexcept eq.BadInput as error: said.append(str(error))\n"
    process = subprocess.run([sys.executable, "-c", code + "print(json.dumps(said))"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == list(MISUSES.values())


def test_a_missing_extra_is_5_with_the_pip_line(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspiel", None)  # importing it now fails, installed or not
    assert run(["solve", "openspiel:matrix_pd"]) == 5
    assert "pip install" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"NFG 1 R"], ids=["empty", "binary", "truncated"])
def test_a_bad_file_is_4_and_one_sentence(capsys, tmp_path, content):
    (tmp_path / "game.nfg").write_bytes(content)
    assert run(["solve", str(tmp_path / "game.nfg")]) == 4
    assert capsys.readouterr().err.count("\n") == 1


def test_a_mistake_of_ours_shows_where_and_is_1(capsys, monkeypatch):
    monkeypatch.setattr(eq, "load", lambda *_, **__: 1 / 0, raising=False)
    assert run(["info", DILEMMA]) == 1
    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err
    assert "not in your input" in err

"""Games of one's own, by the name `module:attribute`."""

import sys

import pytest

import equinfer as eq
from equinfer.cli import run
from equinfer.errors import BadInput, UnknownName

MODULE = """
import jax.numpy as jnp
import numpy as np

import equinfer as eq

kernel = np.zeros((3, 2, 3))
kernel[:, 0, 1] = kernel[:, 1, 2] = 1


def reward(t, law):
    crowd = law.sum(axis=1)
    return jnp.stack([0 * crowd[0], -crowd[1], -2 * crowd[2]])[:, None] * jnp.ones((1, 2))


def leaking(t, law):
    return jnp.asarray(kernel).at[1, 0, 1].add(jnp.where(law.sum(axis=1)[1] > 0.6, 0.1, 0.0))


def made(bound=1.0):
    return eq.ContinuousGame.one_shot(lambda a: -((a[:, 0] - 0.5) ** 2), [[-bound]] * 2, [[bound]] * 2)


def broken():
    return 1 / 0


def backwards():
    return eq.MeanFieldGame(reward, kernel, initial=[1.5, -0.5, 0], horizon=2)


fork = eq.MeanFieldGame(reward, kernel, initial=[1, 0, 0], horizon=2)
leak = eq.MeanFieldGame(reward, leaking, initial=[1, 0, 0], horizon=2)
number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module in the folder where one is, which the command line finds."""
    (tmp_path / "mine_of_tests.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, ""])
    yield "mine_of_tests"
    sys.modules.pop("mine_of_tests", None)


def test_a_game_of_a_module_is_solved_and_certified_by_its_name(mine, capsys):
    assert run(["solve", f"{mine}:fork", "--concept", "mean-field", "--out", "answer"]) == 0
    assert run(["certify", f"{mine}:fork", "answer/result.json"]) == 0
    assert "CERTIFIED" in capsys.readouterr().out
    assert eq.load_solution("answer").policy[0, 0] == pytest.approx([2 / 3, 1 / 3], abs=1e-9)


def test_a_function_is_called_with_the_parameters(mine):
    assert eq.load(f"{mine}:made", bound=2.0).spaces[0].high == (2.0,)


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("leak", (), "time 1, state 1, action 0"),
        ("backwards", (), "the probability of state 1 is -0.5"),
        ("broken", (), "failed: ZeroDivisionError"),
        ("number", (), "it gave a int"),
        ("missing", (), "has no missing"),
        ("fork", ("--set", "n=2"), "takes no parameters, such as n"),
        ("made", (), "is a game of continuous actions"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_exit_code_4(mine, capsys, name, settings, sentence):
    assert run(["solve", f"{mine}:{name}", "--concept", "mean-field", *settings]) == 4
    said = capsys.readouterr().err.splitlines()[-1]
    assert sentence in said


def test_a_module_that_breaks_is_blamed(mine, tmp_path):
    (tmp_path / "torn_of_tests.py").write_text("def f(:")
    with pytest.raises(BadInput, match="torn_of_tests cannot be imported: SyntaxError"):
        eq.load("torn_of_tests:game")
    with pytest.raises(UnknownName, match="unknown source of games 'nowhere_of_tests'"):
        eq.load("nowhere_of_tests:game")


def test_learners_play_what_a_function_makes(mine, capsys):
    """With its parameters, and again when the run goes on."""
    train = ["train", f"{mine}:made", "--algo", "iddpg", "--steps", "500", "--seeds", "1"]
    assert run([*train, "--set", "bound=2.0", "--out", "kept"]) == 0
    assert eq.load_run("kept").game.spaces[0].high == (2.0,)
    assert run([*train, "--set", "width=2.0"]) == 4
    assert f"{mine}:made could not be made: TypeError" in capsys.readouterr().err


def test_learners_refuse_infinitely_many_by_name(mine):
    with pytest.raises(BadInput, match="got game, a mean-field game"):
        eq.train("mai", f"{mine}:fork", steps=500)

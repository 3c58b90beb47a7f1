"""A game whose dynamics jump with the crowd: no policy is an equilibrium, and how close one comes is known."""

import json

import numpy as np
import plugged_games
import pytest

import equinfer as eq
from equinfer.cli import run

JAMS = """
import jax.numpy as jnp
import equinfer as eq

def game(name, *, limit=1 / 3):
    # One of two roads is jammed: the first if `limit` of all take it, and otherwise the second.
    def kernel(t, law):
        jam = law[0, 0] >= limit
        ends = jnp.where(jam, jnp.array([[0, 0, 1.0], [0, 1.0, 0]]), jnp.array([[0, 1.0, 0], [0, 0, 1.0]]))
        return jnp.zeros((3, 2, 3)).at[0].set(ends).at[1:, :, 1].set(1.0)

    def reward(t, law):
        return jnp.array([[0.0, 0.0], [0.0, 0.0], [-1.0, -1.0]]) + 0 * law

    return eq.MeanFieldGame(
        reward,
        kernel,
        [1, 0, 0],
        horizon=2,
        state_labels=("home", "arrived", "jammed"),
        action_labels=("first", "second"),
        name=name,
    )
"""


@pytest.fixture(autouse=True)
def jams(tmp_path, monkeypatch):
    plugged_games.plug_in(tmp_path, monkeypatch, JAMS)
    return tmp_path


@pytest.mark.parametrize("p", [0.0, 0.2, 1 / 3 - 1e-9, 1 / 3, 0.5, 1.0])
def test_whoever_is_jammed_would_have_taken_the_other_road(p):
    policy = np.full((2, 3, 2), 0.5)
    policy[0, 0] = p, 1 - p
    jammed = p if p >= 1 / 3 else 1 - p
    assert eq.certify("mine:jams", policy).gap == pytest.approx(jammed, abs=1e-12)


@pytest.mark.slow
def test_the_best_that_was_certified_is_saved_and_said(jams, capsys):
    out = jams / "o"
    assert run(["solve", "mine:jams", "--out", str(out)]) == 3
    said = capsys.readouterr().out
    record = json.loads((out / "result.json").read_text())
    assert record["certified"] is False
    # A third is the least, of all policies; half is what uniform play leaves.
    assert 1 / 3 - 1e-12 <= record["gap"] <= 0.5
    assert f"{record['gap']:.3g}"[:4] in said
    assert "not" in said.lower()
    assert [each["solver"] for each in record["attempts"]] == ["temperature-grid", "complementarity"]
    assert min(each["gap"] for each in record["attempts"]) == record["gap"]
    assert "complementarity: gap" in said
    solution = eq.load_solution(out / "solution.npz", game="mine:jams")
    assert not solution.certified
    assert [each.gap for each in solution.attempts] == [each["gap"] for each in record["attempts"]]
    assert solution.gap == pytest.approx(record["gap"], abs=1e-12)
    assert solution.policy[0, 0, 0] == pytest.approx(record["gap"], abs=1e-12)
    assert run(["certify", "mine:jams", str(out / "solution.npz")]) == 3

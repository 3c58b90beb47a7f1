"""Joint laws from files: three formats, labels or numbers, and what is refused."""

import json

import numpy as np
import pytest

import equinfer as eq
from equinfer.answer import Joint
from equinfer.errors import BadInput
from equinfer.games.files.answers import read_answer

BEST = np.array([[[0.5, 0.25], [0.25, 0.0]]])
ROWS = "swerve,swerve,1/2\nswerve,dare,.25\ndare,swerve,0.25\n"


@pytest.fixture
def tables():
    return eq.load("catalog:chicken").tables()


def read(path, tables):
    found = read_answer(path, tables)
    assert isinstance(found, Joint)
    return found.joint


@pytest.mark.parametrize(
    "text",
    [
        "action_0,action_1,probability\n" + ROWS,
        "state,action_0,action_1,probability\n" + "".join(f"0,{row}\n" for row in ROWS.splitlines()),
        "0,1,probability\n" + ROWS,  # the players' labels are 0 and 1
        "action_1,probability,action_0\n0,0.5,0\n1,0.25,0\n0,0.25,1\n",
    ],
)
def test_tables(tmp_path, tables, text):
    path = tmp_path / "a.csv"
    path.write_text(text)
    np.testing.assert_array_equal(read(path, tables), BEST)


def test_what_is_saved_is_read_back_and_judged_again(tmp_path):
    game = eq.load("catalog:chicken")
    found = eq.solve(game, "correlated")
    found.save(tmp_path / "a.npz")
    (tmp_path / "a.json").write_text(json.dumps(found.to_json()))
    for name in ("a.npz", "a.json"):
        np.testing.assert_array_equal(read(tmp_path / name, game.tables()), found.joint)
        certificate = eq.certify(game, tmp_path / name)
        assert certificate.concept == "correlated"
        assert certificate.gap == found.gap
    again = eq.load_solution(tmp_path / "a.npz", game=game)
    assert (again.objective_value, again.objective_certified) == (None, None)  # proven of the game it was found in
    assert eq.load_solution(tmp_path / "a.npz").objective_value == found.objective_value
    np.testing.assert_array_equal(again.joint, found.joint)
    with pytest.raises(BadInput, match="the answer is a law over joint actions; a profile has one policy for each"):
        eq.certify(game, tmp_path / "a.npz", "nash")


def test_epochs(tmp_path):
    game = eq.load("catalog:public_signal")
    found = eq.solve(game, "correlated")
    states, actions = game.tables().state_labels, game.tables().action_labels
    with open(tmp_path / "a.csv", "w") as file:
        file.write("epoch,state,action_0,action_1,probability\n")
        for (t, s, a, b), probability in np.ndenumerate(found.joint):
            file.write(f"{t},{states[s]},{actions[0][a]},{actions[1][b]},{float(probability)!r}\n")
    np.testing.assert_array_equal(read(tmp_path / "a.csv", game.tables()), found.joint)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "action_0,action_1,probability\n" + ROWS + "dare,swerve,0\n", "line 5: a second row of this joint"),
        ("a.csv", "action_0,probability\nswerve,1\n", "lacks the column 'action_1'"),
        ("a.csv", "action_0,action_1,probability,who\n", "may not have the column 'who'"),
        ("a.csv", "action_0,action_1,probability\n", "has no row of state"),
        ("a.csv", "action_0,action_1,probability\nswerve,wait,1\n", "unknown action_1 'wait'; known are swerve, dare"),
        ("a.csv", "action_0,action_1,probability\nswerve,dare,x\n", "column probability must hold a finite number"),
        ("a.json", '{"joint": [[[1, 0]]]}', "the joint law must be numbers as"),
        ("a.json", '{"joint": [[[1, 0], ["x", 0]]]}', "the joint law must be numbers as"),
    ],
)
def test_what_is_refused(tmp_path, tables, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_answer(path, tables)
    assert says in str(caught.value)


def test_the_certificate_names_the_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("action_0,action_1,probability\nswerve,swerve,0.5\n")
    with pytest.raises(BadInput) as caught:
        eq.certify("catalog:chicken", path)
    assert str(caught.value).startswith(f"{path}: joint law, state ")
    assert "sum to 0.5, not to one" in str(caught.value)

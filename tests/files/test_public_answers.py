"""Public play from files: three formats, labels or numbers, and what is refused."""

import json

import numpy as np
import pytest

import equinfer as eq
from equinfer.answer import PublicPlay
from equinfer.errors import BadInput
from equinfer.games.files.answers import read_answer

PLAY = "0,0,swerve,1\n0,1,dare,1\n1,0,dare,1\n1,1,swerve,1\n"
HEADER = "signal,player,action,probability\n"


@pytest.fixture
def tables():
    return eq.load("catalog:chicken").tables()


def read(path, tables):
    found = read_answer(path, tables)
    assert isinstance(found, PublicPlay)
    return found


def test_a_table_with_a_law_of_the_signal(tmp_path, tables):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "0,,,1/4\n1,,,0.75\n" + PLAY)
    play = read(path, tables)
    np.testing.assert_array_equal(play.signal, [[0.25, 0.75]])
    np.testing.assert_array_equal(play.profile[0], [[[1, 0]], [[0, 1]]])
    np.testing.assert_array_equal(play.profile[1], [[[0, 1]], [[1, 0]]])
    certificate = eq.certify("catalog:chicken", path)
    assert certificate.concept == "public-correlated"
    assert certificate.gap <= 1e-12
    np.testing.assert_allclose(certificate.values[:, 0], [0.25 * 2 + 0.75 * 7, 0.25 * 7 + 0.75 * 2])


def test_without_a_law_each_signal_is_as_likely_as_any(tmp_path, tables):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + PLAY)
    np.testing.assert_array_equal(read(path, tables).signal, [[0.5, 0.5]])


def test_epochs_and_states(tmp_path):
    game = eq.load("catalog:public_signal")
    found, tables = eq.solve(game, "public-correlated"), game.tables()
    assert found.signal is not None
    with open(tmp_path / "a.csv", "w") as file:
        file.write("epoch,state,signal,player,action,probability\n")
        for (t, s, w), probability in np.ndenumerate(found.signal):
            file.write(f"{t},{tables.state_labels[s]},{w},,,{float(probability)!r}\n")
        for player, policy in enumerate(found.profile):
            for (w, t, s, a), probability in np.ndenumerate(policy):
                label = tables.action_labels[player][a]
                file.write(f"{t},{tables.state_labels[s]},{w},{player},{label},{float(probability)!r}\n")
    play = read(tmp_path / "a.csv", tables)
    np.testing.assert_array_equal(play.signal, found.signal)
    for mine, theirs in zip(play.profile, found.profile, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_what_is_saved_is_read_back_and_judged_again(tmp_path, tables):
    found = eq.solve("catalog:chicken", "public-correlated", signals=3)
    found.save(tmp_path / "a.npz")
    (tmp_path / "a.json").write_text(json.dumps(found.to_json()))
    for name in ("a.npz", "a.json"):
        play = read(tmp_path / name, tables)
        np.testing.assert_array_equal(play.signal, found.signal)
        certificate = eq.certify("catalog:chicken", tmp_path / name)
        assert certificate.concept == "public-correlated"
        assert certificate.gap == found.gap


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", HEADER + "x" + PLAY, "column signal must hold a number from 0, not 'x0'"),
        ("a.csv", HEADER + "99,0,dare,1\n", "signals are numbered from 0; it has 1 rows and a signal 99"),
        ("a.csv", HEADER + "0,,,1\n0,,,1\n" + PLAY, "a second row of how likely signal 0 is"),
        ("a.csv", HEADER + PLAY[:-13], "has no row of state 0, player 1, signal 1"),
        ("a.csv", HEADER + PLAY + "1,1,swerve,0\n", "state 0, player 1, signal 1: a second row of action swerve"),
        (
            "a.json",
            '{"signal": [[0.5, 0.5]], "profile": [[[1, 0]], [[1, 0]]]}',
            "as [signal][state][action], 2 x 1 x 2",
        ),
        ("a.json", '{"signal": [0.5, 0.5], "profile": [1, 2]}', "law of the signal must be numbers as [state][signal]"),
        ("a.json", '{"signal": 1, "profile": [1, 2]}', "the law of the signal must be numbers as [state][signal]"),
    ],
)
def test_what_is_refused(tmp_path, tables, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_answer(path, tables)
    assert says in str(caught.value)


def test_a_law_that_is_none_is_for_the_certificate(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEADER + "0,,,0.5\n1,,,0.25\n" + PLAY)
    with pytest.raises(BadInput) as caught:
        eq.certify("catalog:chicken", path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "0.75" in str(caught.value)

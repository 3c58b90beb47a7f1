"""Profiles from files: three formats, labels or numbers, and every error."""

import json

import numpy as np
import pytest

import equinfer as eq
from equinfer.errors import BadInput
from equinfer.games.files.answers import read_answer
from equinfer.games.tabular import TabularGame

HEAD = "state,player,action,probability\n"
SHAPE = (2, 2, 2, 3)


def built(**changes):
    arguments = {
        "discount": 0.5,
        "legal": [[[True, True], [True, False]], np.ones((2, 3), bool)],
        "state_labels": ["low, wet", "high"],
        "player_labels": ["ann", "bob"],
        "action_labels": [["l", "r"], ["1", "2", "3"]],
    } | changes
    reward = np.arange(float(np.prod(SHAPE))).reshape(SHAPE)
    return TabularGame(reward, np.full((*SHAPE[1:], 2), 0.5), **arguments)


def game(**changes):
    return built(**changes).tables()


PROFILE = (np.array([[0.25, 0.75], [1, 0]]), np.array([[0, 0, 1], [0.5, 0.5, 0]]))
ROWS = '"low, wet",ann,l,1/4\n"low, wet",ann,r,0.75\nhigh,ann,l,1\n"low, wet",bob,3,1\nhigh,bob,1,.5\nhigh,bob,2,5e-1\n'


def assert_same(found, wanted):
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(a, b)


def test_labels(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEAD + ROWS)
    assert_same(read_answer(path, game()), PROFILE)


def test_numbers_from_zero_even_where_labels_are_other_numbers(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "0,0,0,0.25\n0,0,1,0.75\n1,0,0,1\n0,1,2,1\n1,1,0,0.5\n1,1,1,0.5\n")
    assert_same(read_answer(path, game()), PROFILE)


def test_json_and_npz(tmp_path):
    listed = [policy.tolist() for policy in PROFILE]
    (tmp_path / "a.json").write_text(json.dumps({"schema_version": 1, "profile": listed}))
    (tmp_path / "b.json").write_text(json.dumps(listed))
    np.savez(tmp_path / "c.npz", meta=np.array("{}"), **{f"profile_{i}": policy for i, policy in enumerate(PROFILE)})
    for name in ("a.json", "b.json", "c.npz"):
        assert_same(read_answer(tmp_path / name, game()), PROFILE)


def test_epochs(tmp_path):
    finite = game(discount=1.0, horizon=2)
    both = tuple(np.stack([policy, policy[::-1]]) for policy in (np.array([[1.0, 0], [1, 0]]), PROFILE[1]))
    np.savez(tmp_path / "a.npz", profile_0=both[0], profile_1=both[1])
    (tmp_path / "a.json").write_text(json.dumps([policy.tolist() for policy in both]))
    with open(tmp_path / "a.csv", "w") as file:
        file.write("epoch," + HEAD)
        for i, policy in enumerate(both):
            file.writelines(f"{t},{s},{i},{a},{policy[t, s, a]}\n" for t, s, a in np.ndindex(policy.shape))
    for suffix in ("npz", "json", "csv"):
        assert_same(read_answer(tmp_path / f"a.{suffix}", finite), both)


def test_a_stationary_profile_is_played_in_every_epoch(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(HEAD + ROWS)
    finite = built(horizon=3)
    assert_same(read_answer(path, finite.tables()), PROFILE)
    every = eq.certify(finite, tuple(np.stack([policy] * 3) for policy in PROFILE))
    np.testing.assert_array_equal(eq.certify(finite, path).values, every.values)


def test_one_state_needs_no_column(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("player,action,probability\n0,0,1\n1,1,1\n")
    tables = TabularGame.from_payoffs(np.zeros((2, 2, 2))).tables()
    assert_same(read_answer(path, tables), (np.array([[1.0, 0]]), np.array([[0, 1.0]])))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (HEAD + ROWS.replace("1/4", "nan"), "line 2: column probability must hold a finite number, not 'nan'"),
        (HEAD + ROWS.replace("ann,r", "ann,l"), "line 3: state low, wet, player ann: a second row of action l"),
        (HEAD + ROWS.replace("high,ann,l,1\n", ""), "has no row of state high, player ann"),
        (HEAD + ROWS.replace("ann,r", "bob,r"), "line 3: unknown action 'r'; known are 1, 2, 3"),
        (HEAD + ROWS.replace("ann,r", "ann,x"), "line 3: unknown action 'x'; known are l, r"),
        (HEAD + ROWS.replace("high,bob,1", "high,eve,1"), "line 6: unknown player 'eve'; known are ann, bob"),
        (HEAD + ROWS.replace("high,bob,1", "2,bob,1"), "line 6: unknown state '2'; known are low, wet, high"),
        (HEAD, "has no row of state low, wet, player ann"),
        ("state,player,action\n0,0,0\n", "lacks the column 'probability'"),
        ("epoch," + HEAD + "0,0,0,0,1\n", "may not have the column 'epoch'"),
    ],
)
def test_errors_of_tables(tmp_path, text, says):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_answer(path, game())
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        (
            "a.csv",
            HEAD + ROWS.replace("high,ann,l,1", "high,ann,r,1"),
            "policy of player ann, state high: the probability of action r is 1, but the action is illegal there",
        ),
        (
            "a.csv",
            HEAD + ROWS.replace(".5\n", ".4\n"),
            "policy of player bob, state high: probabilities sum to 0.9, not",
        ),
        (
            "a.csv",
            HEAD + ROWS.replace("1/4", "-1/4"),
            "policy of player ann, state low, wet: the probability of action l is -0.25, which is negative",
        ),
        (
            "a.json",
            "[[[NaN, 0], [1, 0]], [[1, 0, 0], [1, 0, 0]]]",
            "policy of player ann, state low, wet: the probability of action l is nan, which is not a finite number",
        ),
    ],
)
def test_what_the_certificate_refuses_comes_with_the_file(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        eq.certify(built(), path)
    assert str(caught.value).startswith(f"{path}: {says}")


@pytest.mark.parametrize("suffix", [".json", ".npz", ".csv"])
def test_a_file_that_is_not_there_is_just_that(tmp_path, suffix):
    path = tmp_path / f"none{suffix}"
    with pytest.raises(BadInput) as caught:
        read_answer(path, game())
    assert str(caught.value) == f"{path}: no such file."


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "must hold 'profile', a list of one policy for each of 2 players"),
        ('{"profile": [[[1, 0], [1, 0]]]}', "must hold 'profile', a list of one policy for each of 2 players"),
        ("[[[1, 0], [1, 0]], [[1, 0], [1, 0]]]", "the policy of player bob must be numbers as [state][action], 2 x 3"),
        ("[[[1, 0], [1]], []]", "the policy of player ann must be numbers as [state][action], 2 x 2 of them"),
        ('[[["1", 0], [1, 0]], []]', "the policy of player ann must be numbers as [state][action]"),
        ("[[[null, 0], [1, 0]], []]", "the policy of player ann must be numbers"),
    ],
)
def test_errors_of_json(tmp_path, text, says):
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_answer(path, game())
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"profile_0": PROFILE[0]}, "holds no array 'profile_1'"),
        ({"profile_0": PROFILE[1], "profile_1": PROFILE[1]}, r"profile_0 must be floats of shape (2, 2), not float64"),
        (
            {"profile_0": PROFILE[0], "profile_1": PROFILE[1], "profile_2": PROFILE[1]},
            "holds a profile of more than the game's 2 players",
        ),
    ],
)
def test_errors_of_archives(tmp_path, arrays, says):
    path = tmp_path / "bad.npz"
    np.savez(path, **arrays)
    with pytest.raises(BadInput) as caught:
        read_answer(path, game())
    assert says in str(caught.value)


def test_an_unknown_suffix_lists_the_known_ones(tmp_path):
    with pytest.raises(BadInput, match=r"an answer's file ends in one of \.npz, \.json, \.csv"):
        read_answer(tmp_path / "a.txt", game())

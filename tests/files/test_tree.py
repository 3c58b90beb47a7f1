"""The tree of an extensive form in our own format: it comes back whole, or is refused by name."""

import json
from pathlib import Path

import numpy as np
import pytest

import equinfer as eq
from equinfer.errors import BadInput
from equinfer.games.files import read_game, write_game

DATA = Path(__file__).parent / "data"


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "card.npz"
    write_game(read_game(DATA / "card.efg"), path)
    return path


@pytest.mark.parametrize("name", ["card", "stages"])
def test_the_tree_comes_back_to_the_bit(tmp_path, name):
    tree = read_game(DATA / f"{name}.efg").extensive
    write_game(read_game(DATA / f"{name}.efg"), tmp_path / "again.npz")
    again = read_game(tmp_path / "again.npz").extensive
    assert tree is not None
    assert again is not None
    assert (again.title, again.players) == (tree.title, tree.players)
    assert [list(map(vars, sets)) for sets in again.information_sets] == [
        list(map(vars, sets)) for sets in tree.information_sets
    ]
    for array in ("probability", "payoffs", "sequences"):
        np.testing.assert_array_equal(getattr(again, array), getattr(tree, array))


def test_a_solution_of_the_saved_game_has_behaviour(saved):
    """The dealer raises with every red card and a third of the black ones; the guest meets two raises in three."""
    dealer, guest = eq.solve(saved, solver="support").behaviour
    assert dealer["red card"] == {"raise": 1.0, "fold": 0.0}
    assert dealer["black card"] == pytest.approx({"raise": 1 / 3, "fold": 2 / 3})
    assert guest == {"raised": pytest.approx({"meet": 2 / 3, "pass": 1 / 3})}


def rewritten(path, change=lambda tree: tree, **arrays):
    with np.load(path) as archive:
        old = dict(archive)
    meta = json.loads(str(old["meta"]))
    meta["tree"] = change(meta["tree"])
    np.savez(path, **{**old, **arrays, "meta": np.array(json.dumps(meta))})


def with_set(player, which, entry):
    def change(tree):
        tree[player][which] = entry
        return tree

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tree: tree[:1], "needs a list of information sets for each of 2 players"),
        (lambda tree: {"a": 1}, "needs a list of information sets"),
        (lambda tree: [tree[0], 7], "the information sets of the tree are no list"),
        (lambda tree: [tree[0], [7]], r"information set 7 is not \[label, actions, parent\]"),
        (with_set(0, 1, ["red card", ["raise", "fold"], 0]), "each name once"),
        (with_set(0, 1, ["x", ["raise", "raise"], 0]), "each name once"),
        (with_set(0, 1, ["x", [], 0]), "each name once"),
        (with_set(0, 1, ["x", ["raise", 3], 0]), "each name once"),
        (with_set(0, 1, ["x", ["raise", "fold"], 3]), "comes after no sequence 3"),
        (with_set(0, 1, ["x", ["raise", "fold"], True]), "comes after no sequence True"),
        (with_set(0, 1, ["x", ["raise", "fold"], -1]), "comes after no sequence -1"),
        (with_set(0, 1, ["x", ["raise", "fold", "wait"], 0]), "6 x 2 reduced strategies in one state, the table 4 x 2"),
        (with_set(0, 0, ["x", [str(k) for k in range(10**5)], 0]), "200000 x 2 reduced strategies"),
    ],
)
def test_a_wrong_information_set_is_named(saved, change, says):
    rewritten(saved, change)
    with pytest.raises(BadInput, match=says):
        read_game(saved)


LEAVES = read_game(DATA / "card.efg").extensive


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("tree_sequences", LEAVES.sequences + 9, "behind a sequence that does not exist"),
        ("tree_sequences", -1 - LEAVES.sequences, "behind a sequence that does not exist"),
        ("tree_sequences", LEAVES.sequences * 1.0, "tree_sequences must be integers"),
        ("tree_sequences", LEAVES.sequences[:, ::-1] // 2, "payoffs of the tree are not those of the table"),
        ("tree_payoffs", LEAVES.payoffs * np.inf, "a payoff or a probability that is none"),
        ("tree_payoffs", LEAVES.payoffs + 1, "payoffs of the tree are not those of the table"),
        ("tree_payoffs", LEAVES.payoffs[:-1], "tree_payoffs must be floats of shape"),
        ("tree_probability", -LEAVES.probability, "a payoff or a probability that is none"),
        ("tree_probability", LEAVES.probability * np.nan, "a payoff or a probability that is none"),
        ("tree_probability", LEAVES.payoffs, "is not a readable .npz file"),
        ("tree_probability", np.array([print], object), "is not a readable .npz file|Python objects"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value encountered in multiply")
def test_a_wrong_leaf_is_named(saved, name, array, says):
    rewritten(saved, **{name: array})
    with pytest.raises(BadInput, match=says):
        read_game(saved)

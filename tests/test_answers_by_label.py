"""An answer with labels is matched by them, whatever the order of the game's states and actions."""

import json
import re

import numpy as np
import pytest

import equinfer as eq
from equinfer.errors import BadInput

PLAYERS, STATES, ACTIONS = ("ann", "bob"), ("low", "high", "end"), (("a", "b"), ("c", "d", "e"))


def tables_of(rng):
    return rng.normal(size=(2, 3, 2, 3)), rng.dirichlet(np.ones(3), size=(3, 2, 3))


def labelled(reward, kernel, states=(0, 1, 2), own=((0, 1), (0, 1, 2)), **settings):
    """The game of the tables, its states and actions listed in another order."""
    axes = np.ix_(states, *own)
    return eq.TabularGame(
        reward[:, *axes],
        kernel[axes][..., states],
        player_labels=PLAYERS,
        state_labels=[STATES[s] for s in states],
        action_labels=[[labels[a] for a in order] for labels, order in zip(ACTIONS, own, strict=True)],
        **({"discount": 0.9} | settings),
    )


@pytest.fixture(scope="module")
def tables():
    return tables_of(np.random.default_rng(0))


@pytest.fixture(scope="module", params=[{}, {"horizon": 2, "discount": 1.0}], ids=str)
def pair(request, tables):
    """A game, and the same with everything in another order."""
    return labelled(*tables, **request.param), labelled(*tables, (2, 0, 1), ((1, 0), (2, 0, 1)), **request.param)


def test_a_solution_is_one_whatever_the_order(pair, tmp_path):
    game, other = pair
    solution = eq.solve(game)
    solution.save(tmp_path / "solution.npz")
    (tmp_path / "answer.json").write_text(json.dumps(solution.to_json()))
    for answer in (solution, tmp_path, tmp_path / "solution.npz", tmp_path / "answer.json"):
        certificate = eq.certify(other, answer)
        assert certificate.holds(solution.eps)
        np.testing.assert_allclose(certificate.values[..., [1, 2, 0]], solution.values, atol=1e-12)


def test_any_profile_keeps_its_gap(pair, tmp_path):
    game, other = pair
    rng = np.random.default_rng(1)
    profile = [rng.dirichlet(np.ones(size), size=game.num_states) for size in game.num_actions]
    labels = {"players": PLAYERS, "states": STATES, "actions": ACTIONS}
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"game": labels, "profile": [policy.tolist() for policy in profile]}))
    here = eq.certify(game, profile)
    assert here.gap > 0.1
    np.testing.assert_allclose(eq.certify(game, path).per_player, here.per_player, rtol=1e-12)
    np.testing.assert_allclose(eq.certify(other, path).per_player, here.per_player, rtol=1e-12)


def test_a_table_reorders_actions_and_answers_still_fit(tables, tmp_path):
    """CSV lists actions as they first occur: with `a` illegal in the first state, `b` comes first."""
    game = labelled(*tables, legal=[np.array([[0, 1], [1, 1], [1, 1]], bool), np.ones((3, 3), bool)])
    eq.save(game, tmp_path / "game.csv")
    again = eq.load(tmp_path / "game.csv")
    assert again.action_labels[0] == ("b", "a")
    solution = eq.solve(game)
    assert eq.certify(again, solution).holds(solution.eps)
    assert eq.certify(game, eq.solve(again)).holds(solution.eps)


def test_the_first_label_that_differs_is_named(tmp_path):
    path = tmp_path / "dilemma.json"
    path.write_text(json.dumps(eq.solve("catalog:prisoners_dilemma").to_json()))
    says = f"{path} is no answer to this game, which has no action of player 0 called 'cooperate', but 'stag'."
    with pytest.raises(BadInput, match=f"^{re.escape(says)}$"):
        eq.certify("catalog:stag_hunt", path)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"players": ["bob", "ann"]}, "which has no player called 'bob', but 'ann'"),
        ({"players": ["ann"], "actions": [["a", "b"]]}, "it has no player called 'bob'"),
        ({"states": ["low", "high", "over"]}, "which has no state called 'over', but 'end'"),
        ({"states": ["low", "high"]}, "it has no state called 'end'"),
        ({"actions": [["a", "b"], ["c", "d", "e", "f"]]}, "which has no action of player bob called 'f'"),
        ({"actions": [["a", "b"]]}, "'game' has 2 players, and actions of 1"),
        ({"states": 3}, "'game' must hold lists of labels"),
        ({"states": [1, 2, 3]}, "'game' must hold lists of labels"),
        ({"states": ["low", "high", "end", "low"]}, "it calls two things the state 'low'"),
    ],
)
def test_labels_that_do_not_fit(tables, tmp_path, changed, says):
    labels = {"players": PLAYERS, "states": STATES, "actions": ACTIONS} | changed
    path = tmp_path / "answer.json"
    path.write_text(json.dumps({"game": labels, "profile": [np.full((3, n), 1 / n).tolist() for n in (2, 3)]}))
    with pytest.raises(BadInput, match=says):
        eq.certify(labelled(*tables), path)


def test_an_answer_without_names_is_taken_by_its_numbers(tables):
    game = labelled(*tables)
    plain = eq.TabularGame(*tables, discount=0.9)
    solution = eq.solve(plain)
    assert eq.certify(game, solution.profile).holds(solution.eps)
    with pytest.raises(BadInput, match="the solution is no answer to this game, which has no player called '0'"):
        eq.certify(game, solution)

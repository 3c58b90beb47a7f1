"""Stochastic games in tables: both layouts read by hand-checked examples, round trips, and every error."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_tables import random_game

from equinfer.errors import BadInput
from equinfer.games.files import read_game, write_game
from equinfer.games.tabular import TabularGame

DATA = Path(__file__).parent / "data"
ROW = "state,a_0,u_0,phi_s\ndelta,,0.5,\n"


def test_listed_probabilities():
    """Players in order of their a_ columns, whatever the order of u_; labels with commas; actions of one state only."""
    game = read_game(DATA / "market.csv")
    assert game.name == "market"
    assert game.player_labels == ("north", "south")
    assert game.state_labels == ("boom", "slump")
    assert game.action_labels == (("hold", "sell", "wait"), ("hold", "cut, hard"))
    np.testing.assert_array_equal(game.discount, [0.9, 0.8])
    np.testing.assert_array_equal(game.initial, [0.5, 0.5])
    np.testing.assert_array_equal(game.legal[0], [[True, True, False], [False, False, True]])
    np.testing.assert_array_equal(game.legal[1], [[True, True], [True, True]])
    np.testing.assert_array_equal(game.reward[0], [[[2, -1], [4.5, 2], [0, 0]], [[0, 0], [0, 0], [-2, 0]]])
    np.testing.assert_array_equal(game.reward[1], [[[1, 3], [0, 2], [0, 0]], [[0, 0], [0, 0], [-1, 0]]])
    kernel = np.asarray(game.tables().kernel)
    np.testing.assert_array_equal(kernel[0, :2, :, 1], [[0.25, 0.5], [1, 0.9]])
    np.testing.assert_array_equal(kernel[1, 2, :, 1], [0, 0.7])


def test_one_successor_by_name():
    game = read_game(DATA / "rooms.csv")
    assert game.state_labels == ("(0, 0)", "(0, 1)")
    assert game.action_labels == (("go", "stay"),)
    np.testing.assert_array_equal(game.tables().kernel[0], [[0, 1], [1, 0]])
    np.testing.assert_array_equal(game.tables().kernel[1, 0], [1, 0])
    np.testing.assert_array_equal(game.legal[0], [[True, True], [True, False]])


@pytest.mark.parametrize("cell", ['"x: 0.25, y: 3/4"', '"{x: 0.25, y: 0.75}"', '"""y"": .75, x : .25,"'])
def test_several_successors_in_one_cell(tmp_path, cell):
    path = tmp_path / "g.csv"
    path.write_text(f"state,a_0,u_0,to_state\ndelta,,0.5,\nx,go,1,{cell}\ny,go,1,x\n")
    np.testing.assert_array_equal(read_game(path).tables().kernel[:, 0], [[0.25, 0.75], [1, 0]])


def test_what_is_left_of_the_probability_ends_the_game(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("state,a_0,u_0,phi_s,phi_end\ndelta,,0.5,,\ns,go,1,0.25,0.5\ns,quit,2,0,0\nend,go,3,1,0\n")
    with pytest.raises(
        BadInput, match=r"line 3: the probabilities of the next state sum to 0.75, not to one \(ending="
    ):
        read_game(path)
    game = read_game(path, ending=True)
    assert game.state_labels == ("s", "end", "end_")
    np.testing.assert_array_equal(game.tables().kernel[0], [[0.25, 0.5, 0.25], [0, 0, 1]])
    np.testing.assert_array_equal(game.tables().kernel[2, 0], [0, 0, 1])
    np.testing.assert_array_equal(game.reward[0], [[1, 2], [3, 0], [0, 0]])
    np.testing.assert_array_equal(game.initial, [0.5, 0.5, 0])
    np.testing.assert_array_equal(game.legal[0], [[True, True], [True, False], [True, False]])


def test_what_follows_a_one_shot_game_does_not_matter(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("state,a_0,u_0,to_state\ndelta,,0,\ns,go,1,\ns,quit,2,\n")
    game = read_game(path)
    assert game.is_one_shot
    np.testing.assert_array_equal(game.reward[0], [[1, 2]])


def test_parameters_of_the_call(tmp_path):
    game = read_game(DATA / "market.csv", discount=0.5, horizon=7, initial="slump")
    assert game.horizon == 7
    np.testing.assert_array_equal(game.discount, [0.5, 0.5])
    np.testing.assert_array_equal(game.initial, [0, 1])
    np.testing.assert_array_equal(read_game(DATA / "market.csv", initial=[0.25, 0.75]).initial, [0.25, 0.75])
    path = tmp_path / "g.csv"
    path.write_text("state,a_0,u_0,to_state\ns,go,1,s\n")
    np.testing.assert_array_equal(read_game(path, horizon=3).discount, [1])
    with pytest.raises(BadInput, match="has no row 'delta' with the players' discounts"):
        read_game(path)
    with pytest.raises(BadInput, match="has no state 'x' to begin in; its states begin with s"):
        read_game(path, horizon=3, initial="x")


labels = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=5).filter(
    lambda text: text == text.strip() and text != "delta"
)


@st.composite
def names_and_seed(draw):
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    states = draw(st.integers(1, 3))

    def unique(count):
        return draw(st.lists(labels, min_size=count, max_size=count, unique=True))

    return unique(len(sizes)), unique(states), [unique(k) for k in sizes], draw(st.integers(0, 2**32 - 1))


@settings(max_examples=60)
@given(names_and_seed())
def test_round_trip_keeps_every_bit_and_label(tmp_path_factory, drawn):
    game = random_game(*drawn)
    path = tmp_path_factory.getbasetemp() / "round.csv"
    write_game(game, path)
    again = read_game(path).tables()
    tables = game.tables()
    assert again.player_labels == tables.player_labels
    assert again.state_labels == tables.state_labels
    assert again.discount.tobytes() == tables.discount.tobytes()
    # A player's actions come back in order of appearance, without those that are legal nowhere.
    pairs = zip(tables.action_labels, again.action_labels, strict=True)
    order = [[own.index(label) for label in found] for own, found in pairs]
    place = np.ix_(range(tables.num_states), *order)
    for i, found in enumerate(again.legal):
        np.testing.assert_array_equal(found, tables.legal[i][:, order[i]])
        assert set(np.flatnonzero(tables.legal[i].any(axis=0))) == set(order[i])
    assert again.reward.tobytes() == tables.reward[(slice(None), *place)].tobytes()
    assert again.kernel.tobytes() == tables.kernel[place].tobytes()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"discount": 1.0, "horizon": 2}, "a finite horizon"),
        ({"initial": [0.25, 0.75]}, "an initial law that is not uniform"),
        ({"state_labels": ["delta", "s"]}, "a state named 'delta'"),
        ({"state_labels": ["", "s"]}, "a state without a name"),
        ({"state_labels": [" r", "s"]}, "a label with white space around it"),
    ],
)
def test_what_a_table_cannot_hold_is_not_written(tmp_path, changes, says):
    game = TabularGame(np.zeros((1, 2, 1)), np.full((2, 1, 2), 0.5), **{"discount": 0.5, **changes})
    with pytest.raises(BadInput, match=rf"cannot hold {says}; write 'game' to \.npz"):
        write_game(game, tmp_path / "g.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("state;a_0;u_0\n", "needs a column 'state' and, for each player, columns a_<player> and u_<player>"),
        ("state,a_0,a_1,u_0,phi_s\n", "has a column a_1, but no column u_1"),
        ("state,a_0,u_0,u_1,phi_s\n", "has a column u_1, but no column a_1"),
        ("state,a_0,u_0,u_0,phi_s\n", "line 1: there are two columns u_0"),
        (ROW, "has no row of a state"),
        (ROW + "delta,,0.5,\n", "line 3: a second row 'delta'; the first is on line 2"),
        ("state,a_0,u_0,phi_s\ndelta,,1,\ns,x,1,1\n", "discount of player 0 is 1; it must lie in [0, 1)"),
        ("state,a_0,u_0,phi_s\ndelta,,,\ns,x,1,1\n", "line 2: column u_0 must hold a finite number, not nothing"),
        (ROW + "s,x,1\n", "line 3: 3 cells, but the header has 4 columns"),
        (ROW + "s,x,1,1,\n", "line 3: 5 cells, but the header has 4 columns"),
        (ROW + 's,"x,1,1\n', "unexpected end of data"),
        (ROW + ",x,1,1\n", "line 3: the column state is empty"),
        (ROW + "s,x,nan,1\n", "line 3: column u_0 must hold a finite number, not 'nan'"),
        (ROW + "s,x,inf,1\n", "line 3: column u_0 must hold a finite number, not 'inf'"),
        (ROW + "s,x,1_0,1\n", "line 3: column u_0 must hold a finite number, not '1_0'"),
        (ROW + "s,x,1,\n", "line 3: column phi_s must hold a finite number, not nothing"),
        (ROW + "s,x,1,1\ns,x,2,1\n", "line 4: state s, joint action (x) stands there already, on line 3"),
        (ROW + "s,x,1,0.9\n", "line 3: the probabilities of the next state sum to 0.9, not to one"),
        (ROW + "s,x,1,1.5\n", "line 3: phi_s is 1.5, which is not a probability"),
        (ROW + "s,x,1,-0.5\n", "line 3: phi_s is -0.5, which is not a probability"),
        (ROW + "t,x,1,1\n", "has a column phi_s, but no row of a state s"),
        (ROW + "s,x,1,1\nt,x,1,1\n", "has rows of the state t, but no column phi_t"),
        ("state,a_0,u_0\ns,x,1\ndelta,,0.5\n", "has neither phi_ columns nor a column to_state"),
        ("state,a_0,u_0,to_state,phi_s\ns,x,1,s,1\ndelta,,0.5,,\n", "has both phi_ columns and a column to_state"),
        (
            "state,a_0,u_0,to_state\ndelta,,0.5,\ns,x,1,S\n",
            "line 3: to_state must be a state (s) or 'state: probability, ...', not 'S'",
        ),
        ("state,a_0,u_0,to_state\ndelta,,0.5,\ns,x,1,s: 1.5\n", "line 3: to_state gives s 1.5"),
        (
            "state,a_0,a_1,u_0,u_1,to_state\ndelta,,,0,0,\ns,x,p,1,1,s\ns,y,p,1,1,s\ns,x,q,1,1,s\n",
            "state s has no row for the joint action (y, q): each combination of the actions that occur in a state "
            "needs one (action 'y' of player 0 first occurs on line 4)",
        ),
        (
            "state,a_0,a_1,u_0,u_1,to_state\ndelta,,,0,0,\ns,x,p,1,1,s\ns,y,p,1,1,s\ns,x,q,1,1,s\ns,y,Q,1,1,s\n",
            "state s has no row for the joint action (x, Q): each combination of the actions that occur in a state "
            "needs one (action 'Q' of player 1 first occurs on line 6)",
        ),
    ],
)
def test_errors_name_the_place(tmp_path, text, says):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_game(path)
    assert says in str(caught.value)


def test_a_joint_table_that_would_not_fit_is_refused_before_it_is_built(tmp_path):
    """Each of 2000 states has two actions of its own: legal products are tiny, the joint table has 10**11 entries."""
    path = tmp_path / "big.csv"
    rows = "".join(f"{s},{s}{i},{s}{j},0,0,{s}\n" for s in range(2000) for i in "xy" for j in "xy")
    path.write_text("state,a_0,a_1,u_0,u_1,to_state\ndelta,,,0.5,0.5,\n" + rows)
    with pytest.raises(BadInput, match=r"2000 states with 4000 x 4000 joint actions, in .* need about .* GiB"):
        read_game(path)

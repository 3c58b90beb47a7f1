"""Gambit's strategic games: numbers checked by hand against the files in `data`, and round trips."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equinfer.errors import BadInput
from equinfer.games.files import read_game, write_game
from equinfer.games.tabular import TabularGame

DATA = Path(__file__).parent / "data"
HEAD = 'NFG 1 R "t" { "a" "b" } '


def test_payoff_form_lets_the_first_player_vary_fastest():
    game = read_game(DATA / "crossing.nfg")
    assert game.name == 'Crossing, in "payoff" form'
    assert game.player_labels == ("driver", "walker")
    assert game.action_labels == (("0", "1", "2"), ("0", "1"))
    np.testing.assert_array_equal(game.reward[0, 0], [[1, 10], [0.25, 4], [-0.75, 7]])
    np.testing.assert_array_equal(game.reward[1, 0], [[-1, -0.25], [2 / 3, 0], [0.5, 1]])
    assert game.is_one_shot


def test_outcome_form_with_three_players():
    game = read_game(DATA / "three.nfg")
    assert game.player_labels == ("ann", "bob", "cyd")
    assert game.action_labels == (("yes", "no"), ("yes", "no", "abstain"), ("stay",))
    np.testing.assert_array_equal(game.reward[0, 0, :, :, 0], [[1, 0, 1], [1 / 3, 1 / 3, 1]])
    np.testing.assert_array_equal(game.reward[1, 0, :, :, 0], [[2, 0, 2], [-1, -1, 2]])
    np.testing.assert_array_equal(game.reward[2, 0, :, :, 0], [[3, 0, 3], [0.5, 0.5, 3]])


def test_empty_and_repeated_strategies_are_numbered(tmp_path):
    path = tmp_path / "g.nfg"
    path.write_text('NFG 1 R "" { "" "x" } { { "u" "u" "" } { "u" } } 1 2 3 4 5 6')
    game = read_game(path)
    assert game.name == "g"
    assert game.player_labels == ("1", "x")
    assert game.action_labels == (("u_1", "u_2", "3"), ("u",))


payoffs = st.floats(-8e307, 8e307)
"""Any; differences of larger ones are beyond float64, and such games are refused."""
labels = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=6)


@st.composite
def one_shot_games(draw):
    """Arguments of `TabularGame.from_payoffs`."""
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    count = len(sizes) * int(np.prod(sizes))
    numbers = draw(st.lists(payoffs, min_size=count, max_size=count))
    return {
        "payoffs": np.reshape(numbers, (len(sizes), *sizes)),
        "player_labels": draw(st.lists(labels, min_size=len(sizes), max_size=len(sizes), unique=True)),
        "action_labels": [draw(st.lists(labels, min_size=k, max_size=k, unique=True)) for k in sizes],
        "name": draw(labels),
    }


@settings(max_examples=60)
@given(one_shot_games())
def test_round_trip_keeps_every_bit_and_label(tmp_path_factory, arguments):
    game = TabularGame.from_payoffs(**arguments)
    path = tmp_path_factory.getbasetemp() / "round.nfg"
    write_game(game, path)
    again = read_game(path)
    assert again.labels == game.labels
    assert np.asarray(again.reward).tobytes() == np.asarray(game.reward).tobytes()


def test_only_legal_strategies_are_written(tmp_path):
    game = TabularGame(
        np.arange(12.0).reshape(2, 1, 3, 2), np.ones((1, 3, 2, 1)), 0.0, legal=[[[True, False, True]], [[True, True]]]
    )
    write_game(game, tmp_path / "g.nfg")
    again = read_game(tmp_path / "g.nfg")
    assert again.action_labels == (("0", "2"), ("0", "1"))
    np.testing.assert_array_equal(again.reward[:, 0], np.arange(12.0).reshape(2, 3, 2)[:, [0, 2]])


def test_a_stochastic_game_is_no_nfg(tmp_path):
    game = TabularGame(np.zeros((1, 2, 1)), np.full((2, 1, 2), 0.5), 0.5)
    with pytest.raises(BadInput, match=r"holds a one-shot game; write 'game' to \.csv or \.npz"):
        write_game(game, tmp_path / "g.nfg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("EFG 2", "line 1: expected 'NFG' of the header 'NFG 1 R', found 'EFG'"),
        ('NFG 1 X "t"', "line 1: the header must go on with 'R'"),
        ('NFG 1 R "t" { }', "line 1: the game has no players"),
        ('NFG 1 R "t" {' + ' "p"' * 33 + "}", "the game has 33 players; at most 32 are read"),
        ('NFG 1 R "t"\n{ "a" }\n"b', "line 3: this quote is never closed"),
        (HEAD + "{ 2 0 }", "expected the number of strategies of player b, found '0'"),
        (HEAD + '{ { "x" } { } } 1 2', "player b has no strategies"),
        (HEAD + '{ { "x" } 2 } 1 2 3 4', "either all players or none have their strategies listed by name"),
        (HEAD + "{ 2 2 2 }", "expected '}' after the strategies of 2 players, found '2'"),
        (HEAD + "{ 2 1 }\n1 2 3", "line 2: only 3 payoffs of 4 = 2 strategy profiles x 2 players"),
        (HEAD + "{ 2 1 }\n1 2\n3 4\n5", "line 4: more payoffs than 4 = 2 strategy profiles x 2 players"),
        (HEAD + "{ 2 1 } 1 2 3 nan", "expected a payoff, found 'nan'"),
        (HEAD + "{ 2 1 } 1 2 3 1/0", "expected a payoff, found '1/0'"),
        (HEAD + "{ 2 1 } 1 2 3 1e999", "expected a payoff, found '1e999'"),
        (HEAD + "{ 999999999 999999999 } 1 2", "the file is too short for 999999999 strategy profiles"),
        (HEAD + '{ 1 1 } { { "o" 1 } } 1', "expected the payoff of player b, found '}'"),
        (HEAD + '{ 1 1 } { { "o" 1 2 3 } } 1', "expected '}' after 2 payoffs, one per player, found '3'"),
        (HEAD + '{ 1 1 } { { "o" 1 2 } }\n2', "line 2: outcome 2 does not exist; there are 1"),
        (HEAD + '{ 1 2 } { { "o" 1 2 } } 1', "only 1 outcome numbers of 2, one per strategy profile"),
        (HEAD + '{ 1 1 } { { "o" 1 2 } } 1 1', "more outcome numbers than the 1 strategy profiles"),
    ],
)
def test_errors_name_the_line(tmp_path, text, says):
    path = tmp_path / "bad.nfg"
    path.write_text(text)
    with pytest.raises(BadInput) as caught:
        read_game(path)
    assert str(caught.value).startswith(f"{path}, line ")
    assert says in str(caught.value)

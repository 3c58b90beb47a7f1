"""Games of OpenSpiel: the numbers against its own definitions, the refusals by name."""

import sys

import numpy as np
import pytest

from equinfer.errors import BadInput, MissingExtra, UnknownName
from equinfer.games.adapters import open_spiel


def test_without_the_package_the_pip_line_is_given(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspiel", None)
    with pytest.raises(MissingExtra, match=r"pip install 'equinfer\[openspiel\]'"):
        open_spiel.load("matrix_rps")


@pytest.fixture
def pyspiel():
    return pytest.importorskip("pyspiel")


@pytest.mark.peers
def test_rock_paper_scissors(pyspiel):
    game = open_spiel.load("matrix_rps")
    assert game.is_one_shot
    assert game.name == "matrix_rps"
    assert game.action_labels == (("Rock", "Paper", "Scissors"),) * 2
    np.testing.assert_array_equal(game.reward[0, 0], [[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    np.testing.assert_array_equal(game.reward[1], -np.asarray(game.reward[0]))


@pytest.mark.peers
@pytest.mark.parametrize("name", ["matrix_pd", "matrix_bos", "matrix_shapleys_game", "matrix_brps"])
def test_matrix_games_have_the_matrices_of_open_spiel(pyspiel, name):
    theirs, ours = pyspiel.load_matrix_game(name), open_spiel.load(name)
    np.testing.assert_array_equal(ours.reward[0, 0], theirs.row_utilities())
    np.testing.assert_array_equal(ours.reward[1, 0], theirs.col_utilities())


@pytest.mark.peers
def test_three_players(pyspiel):
    game = open_spiel.load("matching_pennies_3p")
    assert game.num_actions == (2, 2, 2)
    assert set(np.unique(game.reward)) <= {-1.0, 1.0}


@pytest.mark.peers
def test_parameters_reach_the_game(pyspiel):
    """Three coins on two fields: four ways to place them; the fuller fields win."""
    game = open_spiel.load("blotto", coins=3, fields=2)
    assert game.num_actions == (4, 4)
    np.testing.assert_array_equal(game.reward[0], -np.asarray(game.reward[1]))


@pytest.mark.peers
@pytest.mark.parametrize("name", ["goofspiel", "kuhn_poker", "markov_soccer"])
def test_games_of_several_moves_are_refused(pyspiel, name):
    with pytest.raises(BadInput, match=f"openspiel:{name} is not a one-shot game"):
        open_spiel.load(name)


@pytest.mark.peers
def test_unknown_names_and_parameters(pyspiel):
    with pytest.raises(UnknownName, match=r"'matrix_rp'; did you mean 'matrix_rps'\?"):
        open_spiel.load("matrix_rp")
    with pytest.raises(BadInput, match=r"OpenSpiel refuses blotto with \{'coin': 3\}"):
        open_spiel.load("blotto", coin=3)

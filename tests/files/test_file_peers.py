"""Our readers against those who made the formats: Gambit and sgamesolver."""

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest
from random_tables import random_game

from equinfer.games.extensive import behaviour
from equinfer.games.files import read_game, write_game
from equinfer.games.tabular import TabularGame

pytestmark = pytest.mark.peers
DATA = Path(__file__).parent / "data"


@pytest.fixture
def gambit():
    return pytest.importorskip("pygambit")


@pytest.mark.parametrize("name", ["crossing.nfg", "three.nfg"])
def test_gambit_reads_the_same_strategic_game(gambit, tmp_path, name):
    theirs, ours = gambit.read_nfg(DATA / name), read_game(DATA / name)
    write_game(ours, tmp_path / "copy.nfg")
    for game in (theirs, gambit.read_nfg(tmp_path / "copy.nfg")):
        arrays = game.to_arrays(dtype=float)
        np.testing.assert_array_equal(np.stack([np.asarray(a, float) for a in arrays]), ours.reward[:, 0])


@pytest.mark.parametrize("name", ["card.efg", "stages.efg"])
def test_gambit_reads_the_same_extensive_game(gambit, tmp_path, name):
    """Gambit's reduced normal form has the same payoffs; its strategies may come in another order."""
    theirs, ours = gambit.read_efg(DATA / name), read_game(DATA / name)
    (tmp_path / "normal.nfg").write_text(theirs.to_nfg())
    normal = read_game(tmp_path / "normal.nfg")
    assert normal.num_actions == ours.num_actions
    found = np.asarray(normal.reward)[:, 0]
    wanted = np.asarray(ours.reward)[:, 0]
    orders = itertools.product(*(itertools.permutations(range(size)) for size in ours.num_actions))
    assert any(np.allclose(wanted[(slice(None), *np.ix_(*order))], found, rtol=0, atol=1e-12) for order in orders)


def test_gambit_finds_the_same_behaviour(gambit):
    """The card game has one equilibrium, in behaviour strategies."""
    theirs = gambit.read_efg(DATA / "card.efg")
    equilibrium = gambit.nash.lcp_solve(theirs, use_strategic=False, rational=False).equilibrium
    listed = ast.literal_eval(str(equilibrium))  # {player: [{action: probability}, one per information set]}
    ours = behaviour(read_game(DATA / "card.efg").extensive, ([1 / 3, 2 / 3, 0, 0], [2 / 3, 1 / 3]))
    for player, sets in zip(("dealer", "guest"), ours, strict=True):
        assert [pytest.approx(law) for law in sets.values()] == listed[player]


@pytest.fixture
def sgamesolver(monkeypatch):
    monkeypatch.setattr(np, "NaN", np.nan, raising=False)  # it was written for NumPy 1
    return pytest.importorskip("sgamesolver")


def test_sgamesolver_reads_what_we_write(sgamesolver, tmp_path):
    game = random_game(["p", "q"], ["s", "t", "u"], [["a", "b"], ["c", "d", "e"]], 3)
    write_game(game, tmp_path / "g.csv")
    theirs = sgamesolver.SGame.from_table(str(tmp_path / "g.csv"))
    ours = read_game(tmp_path / "g.csv").tables()
    np.testing.assert_array_equal(theirs.delta, ours.discount)
    assert tuple(theirs.player_labels) == ours.player_labels
    assert tuple(theirs.state_labels) == ours.state_labels
    for s in range(3):
        place = [[ours.action_labels[i].index(str(label)) for label in theirs.action_labels[s][i]] for i in range(2)]
        for index in np.ndindex(*map(len, place)):
            where = (s, *(own[a] for own, a in zip(place, index, strict=True)))
            assert ours.legal_joint[where]
            np.testing.assert_array_equal(theirs.u[(s, slice(None), *index)], ours.reward[(slice(None), *where)])
            np.testing.assert_array_equal(theirs.phi[(s, *index)], ours.kernel[where])


def test_we_read_what_sgamesolver_writes(sgamesolver, tmp_path):
    # With as many actions everywhere: its writer misnames the actions of states that have fewer.
    theirs = sgamesolver.SGame.random_game(3, 2, 3, delta=[0.9, 0.95], seed=4)
    theirs.to_table().to_csv(tmp_path / "g.csv", index=False)
    ours = read_game(tmp_path / "g.csv").tables()
    np.testing.assert_array_equal(ours.discount, theirs.delta)
    for s, counts in enumerate(theirs.nums_actions):
        for index in np.ndindex(*counts):
            np.testing.assert_array_equal(ours.reward[(slice(None), s, *index)], theirs.u[(s, slice(None), *index)])
            np.testing.assert_allclose(ours.kernel[(s, *index)], theirs.phi[(s, *index)], rtol=0, atol=1e-15)
        assert tuple(int(mask[s].sum()) for mask in ours.legal) == tuple(counts)


def test_we_read_sgamesolvers_one_shot_games(sgamesolver, tmp_path):
    payoffs = np.arange(12.0).reshape(2, 2, 3)
    sgamesolver.SGame.one_shot_game(payoffs).to_table().to_csv(tmp_path / "g.csv", index=False)
    ours = read_game(tmp_path / "g.csv")
    assert isinstance(ours, TabularGame)
    assert ours.is_one_shot
    np.testing.assert_array_equal(ours.reward[:, 0], payoffs)

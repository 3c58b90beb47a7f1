"""Lemke-Howson: every path ends at an equilibrium, degenerate games included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equinfer.certificates.nash import certify_nash
from equinfer.errors import BadInput
from equinfer.games import catalog
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.lemke_howson import LemkeHowson


def last_iterate(game, label=None, seed=0):
    *_, last = LemkeHowson(initial_label=label).iterates(game, seed=seed)
    assert last.candidate
    return last


def relative_gap(game, profile):
    tables = game.tables()
    return certify_nash(tables, profile).gap / max(tables.payoff_scale, 1e-300)


def test_first_pivots_by_hand():
    # Dropping row i's label: row i enters, column's best response to it follows, then row's to that, ... In the battle
    # of the sexes each row's answer answers back, so labels 0 and 1 lead to the two pure equilibria in two pivots.
    game = catalog.load("battle_of_the_sexes")
    for label in (0, 1):
        last = last_iterate(game, label)
        assert last.info["pivots"] == 2
        for policy in last.answer:
            np.testing.assert_array_equal(policy[0], np.eye(2)[label])


@pytest.mark.parametrize("label", range(6))
def test_every_label_leads_to_the_only_equilibrium(label):
    for name in ("rock_paper_scissors", "shapley"):
        for policy in last_iterate(catalog.load(name), label).answer:
            np.testing.assert_allclose(policy, np.full((1, 3), 1 / 3), rtol=0, atol=1e-15)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 6), st.integers(-6, 6), st.booleans())
def test_every_path_of_every_game_ends_at_an_equilibrium(seed, rows, columns, exponent, degenerate):
    rng = np.random.default_rng(seed)
    payoffs = rng.integers(0, 2, (2, rows, columns)) if degenerate else rng.normal(size=(2, rows, columns))
    game = TabularGame.from_payoffs(payoffs * 10.0**exponent)
    for label in range(rows + columns):
        assert relative_gap(game, last_iterate(game, label).answer) <= 1e-13


def test_a_game_on_which_careless_pivoting_cycles():
    # All payoffs tie with others of their row and column; without the lexicographic rule paths run in circles here.
    rng = np.random.default_rng(0)
    for _ in range(30):
        payoffs = rng.integers(0, 2, (2, 8, 8)).astype(float)
        payoffs[:, 3] = payoffs[:, 5]
        payoffs[:, :, 1] = payoffs[:, :, 6]
        game = TabularGame.from_payoffs(payoffs)
        for label in range(16):
            assert relative_gap(game, last_iterate(game, label).answer) <= 1e-13


def test_constant_payoffs():
    game = TabularGame.from_payoffs(np.full((2, 3, 4), 7.0))
    for policy in last_iterate(game).answer:
        assert policy.sum() == 1


def test_illegal_actions_are_never_played():
    game = catalog.load("rock_paper_scissors")
    only = TabularGame(game.reward, np.ones((1, 3, 3, 1)), discount=0.0, legal=[[[True, True, False]], [[True] * 3]])
    mine, theirs = last_iterate(only).answer
    # Of (x, 1-x) player 1's paper earns x and scissors 1-2x: equal at 1/3. Of (0, q, 1-q) player 0's rock earns 1-2q
    # and paper q-1: equal at 2/3.
    np.testing.assert_allclose(mine, [[1 / 3, 2 / 3, 0]], rtol=0, atol=1e-15)
    np.testing.assert_allclose(theirs, [[0, 2 / 3, 1 / 3]], rtol=0, atol=1e-15)
    assert mine[0, 2] == 0


def test_large_games_are_exact():
    # Seed 200's paths take from 23 to 39,417 pivots; the default races several labels.
    for seed in (200, 201):
        game = TabularGame.from_payoffs(np.random.default_rng(seed).random((2, 200, 200)))
        assert relative_gap(game, last_iterate(game, seed=seed).answer) <= 1e-14


def test_a_long_path_lets_the_driver_look_at_the_clock():
    # A pivot of this size takes some 80,000 multiplications: 1,000 of them are well below 0.2 s.
    game = TabularGame.from_payoffs(np.random.default_rng(200).random((2, 200, 200)))
    pivots = [iterate.info["pivots"] for iterate in LemkeHowson(initial_label=0).iterates(game, seed=0)]
    assert pivots[-1] > 10_000
    assert np.diff(pivots).max() <= 1_000


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_that_do_not_exist_are_refused(label):
    with pytest.raises(BadInput, match="labels 0 to 3"):
        last_iterate(catalog.load("chicken"), label)


@pytest.mark.parametrize(("name", "says"), [("jordan", "3 players"), ("random", "solves one-shot games")])
def test_other_games_are_refused(name, says):
    with pytest.raises(BadInput, match=says):
        last_iterate(catalog.load(name))


@pytest.mark.peers
def test_quantecon_takes_the_same_paths():
    # In a nondegenerate game the path of a label is unique.
    game_theory = pytest.importorskip("quantecon.game_theory")
    for seed in range(10):
        payoffs = np.random.default_rng(seed).random((2, 6, 5))
        players = game_theory.Player(payoffs[0]), game_theory.Player(payoffs[1].T)
        for label in range(11):
            theirs = game_theory.lemke_howson(game_theory.NormalFormGame(players), init_pivot=label)
            ours = last_iterate(TabularGame.from_payoffs(payoffs), label).answer
            for one, two in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(one[0], two, atol=1e-10)

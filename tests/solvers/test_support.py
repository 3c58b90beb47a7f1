"""Support enumeration: every equilibrium, in degenerate games every extreme one."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from equinfer.certificates.nash import certify_nash
from equinfer.errors import BadInput
from equinfer.games import catalog
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.support import SupportEnumeration, undominated


def equilibria(game):
    return [iterate.answer for iterate in SupportEnumeration().iterates(game, seed=0) if iterate.candidate]


def rounded(profiles):
    """Profiles of one-shot games as a set that does not know rounding errors of 1e-9."""
    return {tuple(np.round(np.concatenate([policy.ravel() for policy in profile]), 8) + 0.0) for profile in profiles}


def exact_vertices(payoff):
    """All mixtures over the columns of `payoff` at which support plus best-response rows pin down one point, in exact
    rational arithmetic: every choice of binding constraints is tried.
    """
    rows, columns = len(payoff), len(payoff[0])
    found = set()
    for size in range(1, columns + 1):
        for own in itertools.combinations(range(columns), size):
            for tied in itertools.combinations(range(rows), size):
                system = [[Fraction(payoff[r][c]) for c in own] + [Fraction(-1), Fraction(0)] for r in tied]
                system.append([Fraction(1)] * size + [Fraction(0), Fraction(1)])
                solution = exact_solution(system)
                if solution is None or min(solution[:size]) <= 0:
                    continue
                mixture = [Fraction(0)] * columns
                for c, probability in zip(own, solution[:size], strict=True):
                    mixture[c] = probability
                if max(values_of(payoff, mixture)) == solution[size]:
                    found.add(tuple(mixture))
    return found


def values_of(payoff, mixture):
    return [sum(Fraction(p) * q for p, q in zip(row, mixture, strict=True)) for row in payoff]


def exact_solution(system):
    """Gauss-Jordan elimination of an augmented square system; None if it is singular."""
    size = len(system)
    for c in range(size):
        pivot = next((r for r in range(c, size) if system[r][c] != 0), None)
        if pivot is None:
            return None
        system[c], system[pivot] = system[pivot], system[c]
        system[c] = [entry / system[c][c] for entry in system[c]]
        for r in range(size):
            if r != c:
                system[r] = [a - system[r][c] * b for a, b in zip(system[r], system[c], strict=True)]
    return [row[-1] for row in system]


def exact_extreme_equilibria(row_payoff, column_payoff):
    """Pairs of vertices that are best responses to each other, in exact arithmetic."""
    transposed = [list(column) for column in zip(*column_payoff, strict=True)]
    for x, y in itertools.product(exact_vertices(transposed), exact_vertices(row_payoff)):
        mine, theirs = values_of(row_payoff, y), values_of(transposed, x)
        if all(p == 0 or v == max(mine) for p, v in zip(x, mine, strict=True)) and all(
            q == 0 or v == max(theirs) for q, v in zip(y, theirs, strict=True)
        ):
            yield np.array(x, float), np.array(y, float)


@pytest.mark.parametrize("name", ["battle_of_the_sexes", "chicken", "stag_hunt", "shapley", "rock_paper_scissors"])
def test_all_known_equilibria_are_found_and_no_others(name):
    game = catalog.load(name)
    known = [equilibrium.profile for equilibrium in catalog.equilibria(name)]
    assert rounded(equilibria(game)) == rounded(known)


def test_a_coordination_game_has_an_equilibrium_on_every_set_of_actions():
    # With payoffs the identity, any nonempty set of actions played evenly by both: 2^n - 1 of them.
    found = equilibria(TabularGame.from_payoffs(np.stack([np.eye(4), np.eye(4)])))
    assert len(rounded(found)) == len(found) == 2**4 - 1
    sizes = [np.count_nonzero(profile[0]) for profile in found]
    assert sizes == sorted(sizes)


def test_illegal_actions_are_never_played():
    game = catalog.load("rock_paper_scissors")
    only = TabularGame(game.reward, np.ones((1, 3, 3, 1)), discount=0.0, legal=[[[True, True, False]], [[True] * 3]])
    (profile,) = equilibria(only)
    # Of (x, 1-x) player 1's paper earns x and scissors 1-2x: equal at 1/3. Of (0, q, 1-q) player 0's rock earns 1-2q
    # and paper q-1: equal at 2/3.
    np.testing.assert_allclose(profile[0], [[1 / 3, 2 / 3, 0]], rtol=0, atol=1e-15)
    np.testing.assert_allclose(profile[1], [[0, 2 / 3, 1 / 3]], rtol=0, atol=1e-15)
    assert profile[0][0, 2] == 0


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.integers(1, 4))
def test_degenerate_games_against_exact_arithmetic(seed, rows, columns):
    payoffs = np.random.default_rng(seed).integers(0, 3, (2, rows, columns))
    found = equilibria(TabularGame.from_payoffs(payoffs.astype(float)))
    expected = list(exact_extreme_equilibria(payoffs[0].tolist(), payoffs[1].tolist()))
    assert rounded(found) == rounded(expected)
    assert len(found) == len(expected)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 5), st.floats(-6, 6))
def test_nondegenerate_games_have_an_odd_number_of_equilibria(seed, rows, columns, exponent):
    # Wilson's theorem; each of them certified.
    game = TabularGame.from_payoffs(np.random.default_rng(seed).normal(size=(2, rows, columns)) * 10.0**exponent)
    found = equilibria(game)
    assert len(found) % 2 == 1
    tables = game.tables()
    assert max(certify_nash(tables, profile).gap for profile in found) <= 1e-12 * tables.payoff_scale


def test_exchanging_the_players_exchanges_the_equilibria():
    payoffs = np.random.default_rng(8).random((2, 4, 5))
    found = equilibria(TabularGame.from_payoffs(payoffs))
    mirrored = equilibria(TabularGame.from_payoffs(payoffs[::-1].transpose(0, 2, 1)))
    assert rounded(found) == rounded((mine, theirs) for theirs, mine in mirrored)


def test_domination_is_iterated():
    # Column 2 is beaten by column 1; without it row 1 is beaten by row 0, and then column 0 by column 1.
    row = np.array([[3.0, 2.0, 0.0], [1.0, 1.0, 9.0]])
    column = np.array([[0.0, 1.0, 0.5], [5.0, 4.0, 3.0]])
    rows, columns = undominated(row, column.T, 1e-12)
    assert (rows.tolist(), columns.tolist()) == ([0], [1])


def test_a_finite_horizon_of_one_epoch_is_one_shot():
    game = TabularGame(catalog.load("chicken").reward, np.ones((1, 2, 2, 1)), horizon=1)
    found = equilibria(game)
    assert len(found) == 3
    assert {policy.shape for profile in found for policy in profile} == {(1, 1, 2)}


@pytest.mark.parametrize(
    ("game", "says"),
    [
        (catalog.load("jordan"), "this one has 3 players"),
        (catalog.load("random"), "solves one-shot games"),
        (TabularGame.from_payoffs(np.random.default_rng(0).random((2, 20, 20))), "20 x 20 game"),
    ],
)
def test_other_games_are_refused(game, says):
    with pytest.raises(BadInput, match=says):
        equilibria(game)


def test_every_pair_of_supports_is_examined_once():
    *_, last = SupportEnumeration().iterates(
        TabularGame.from_payoffs(np.random.default_rng(3).random((2, 9, 9))), seed=0
    )
    # None of these actions is dominated by a pure one.
    assert last.info["pairs"] == math.comb(18, 9) - 1


@pytest.mark.peers
def test_nashpy_finds_the_same():
    nashpy = pytest.importorskip("nashpy")
    for seed in range(20):
        payoffs = np.random.default_rng(seed).random((2, 4, 5))
        found = equilibria(TabularGame.from_payoffs(payoffs))
        # Its own support enumeration compares without a tolerance, and misses some.
        assert rounded(found) == rounded(nashpy.Game(*payoffs).vertex_enumeration())


@pytest.mark.peers
def test_quantecon_finds_the_same():
    game_theory = pytest.importorskip("quantecon.game_theory")
    for seed in range(20):
        payoffs = np.random.default_rng(seed).random((2, 5, 4))
        found = equilibria(TabularGame.from_payoffs(payoffs))
        players = game_theory.Player(payoffs[0]), game_theory.Player(payoffs[1].T)
        assert rounded(found) == rounded(game_theory.support_enumeration(game_theory.NormalFormGame(players)))

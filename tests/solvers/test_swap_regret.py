"""Learning without swap regret: its average play is as good a correlated equilibrium as the regret is small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import equinfer as eq
from equinfer.concepts import concept
from equinfer.drivers import host
from equinfer.drivers.protocol import Task
from equinfer.errors import BadInput, UnknownName
from equinfer.games.tabular import TabularGame
from equinfer.solvers.correlated.swap_play import stationary_law
from equinfer.solvers.correlated.swap_regret import SwapRegret

SHAPLEY = [[[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], [[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]]
"""Each player does well where the other does not; fictitious play cycles for ever longer (Shapley 1964)."""
RPS = np.array([[0.0, -1, 2], [1, 0, -1], [-1, 1, 0]])
CHICKEN = [[[6.0, 2], [7, 0]], [[6.0, 7], [2, 0]]]
GAMES = {
    "chicken": CHICKEN,
    "shapley": SHAPLEY,
    "rock-paper-scissors": [RPS, -RPS],
    "three players": np.random.default_rng(4).random((3, 2, 3, 2)),
    "a player without a choice": np.random.default_rng(5).random((3, 2, 1, 3)),
}


def played(payoffs, seed=0, **fields):
    """The outcome of a run, judged as a correlated equilibrium."""
    game = TabularGame.from_payoffs(payoffs)
    row, tables = concept("correlated"), game.tables()
    return game, host.drive(SwapRegret(**fields), game, Task(row.judge(tables), row.start(tables), seed))


@pytest.mark.parametrize("name", GAMES)
@pytest.mark.parametrize("start", ["uniform", "random"])
def test_the_certified_gap_is_the_swap_regret_and_below_its_bound(name, start):
    _, outcome = played(GAMES[name], rounds=3000, start=start)
    trace = outcome.trace
    assert len(trace["gap"]) > 5 or outcome.certificate.gap < 1e-12
    np.testing.assert_allclose(trace["gap"], trace["regret"], rtol=1e-9, atol=1e-12)
    assert (trace["gap"] <= trace["bound"]).all()


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.sampled_from([(2, 2), (3, 4), (2, 2, 2), (5, 2)]))
def test_so_it_is_in_any_game_and_unit(seed, sizes):
    rng = np.random.default_rng(seed)
    payoffs = rng.normal(size=(len(sizes), *sizes)) * 10.0 ** rng.integers(-3, 4)
    _, outcome = played(payoffs, seed=seed % 1000, rounds=100, start="random")
    trace = outcome.trace
    np.testing.assert_allclose(trace["gap"], trace["regret"], rtol=1e-8, atol=1e-12 * np.ptp(payoffs))
    assert (trace["gap"] <= trace["bound"]).all()


@pytest.mark.parametrize("name", ["chicken", "shapley", "rock-paper-scissors", "three players"])
def test_average_play_approaches_the_set_of_correlated_equilibria(name):
    _, outcome = played(GAMES[name], rounds=20_000, start="random", seed=2)
    gaps = outcome.trace["gap"]
    # As fast as one over the square root of the rounds allows: 64 times as many rounds, an eighth of the gap.
    rounds = outcome.trace["round"]
    early = gaps[np.searchsorted(rounds, 300)]
    assert gaps[-1] <= max(early / 4, 1e-3 * np.ptp(GAMES[name]))


def fictitious_play(payoffs, rounds):
    """The average joint play of two players who answer each other's frequencies, one ahead of the other."""
    counts, joint = [np.array([1.0, 0, 0]), np.array([0.0, 1, 0])], np.zeros((3, 3))
    for _ in range(rounds):
        moves = int(np.argmax(payoffs[0] @ counts[1])), int(np.argmax(counts[0] @ payoffs[1]))
        joint[moves] += 1
        for count, move in zip(counts, moves, strict=True):
            count[move] += 1
    return joint / rounds


def test_where_fictitious_play_cycles_swap_regret_vanishes():
    payoffs = np.array(SHAPLEY)
    game, outcome = played(payoffs, rounds=30_000, start="random")
    cycling = min(eq.certify(game, fictitious_play(payoffs, rounds)[None]).gap for rounds in (10_000, 20_000, 30_000))
    assert cycling > 0.05
    assert outcome.certificate.gap < 0.01


def test_nothing_that_swaps_is_left_of_dominated_actions():
    _, outcome = played([[[3.0, 0], [5, 1]], [[3.0, 5], [0, 1]]], rounds=20_000)
    joint = outcome.answer.joint[0]
    # The prisoners' dilemma: to defect gains at least 1, so whoever still cooperates regrets it.
    assert joint[0].sum() <= outcome.certificate.gap + 1e-12
    assert joint[1, 1] > 0.98


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_the_law_is_stationary(seed, size):
    rows = np.random.default_rng(seed).dirichlet(np.ones(size), size)
    law = stationary_law(np.log(rows))
    assert law.sum() == pytest.approx(1.0, rel=1e-14)
    np.testing.assert_allclose(law @ rows, law, rtol=1e-12)


def test_it_is_so_where_probabilities_underflow():
    # Out of the first with e^-1000, back with 2 e^-1000; in exact arithmetic (2/3, 1/3).
    law = stationary_law(np.array([[0.0, -1000.0], [-1000.0 + np.log(2), 0.0]]))
    np.testing.assert_allclose(law, [2 / 3, 1 / 3], rtol=1000 * np.finfo(float).eps)  # of logarithms that large


def test_illegal_actions_are_never_played_and_states_learn_apart():
    rng = np.random.default_rng(0)
    legal = (np.array([[True, True], [True, False]]), np.array([[True, True, True], [False, True, True]]))
    game = TabularGame(rng.random((2, 2, 2, 3)), np.full((2, 2, 3, 2), 0.5), horizon=1, legal=legal)
    solution = eq.solve(game, "correlated", solver="swap-regret", rounds=2000)
    joint = solution.joint
    assert joint is not None
    assert joint.shape == (1, 2, 2, 3)
    assert joint[0, 1, 1].sum() == joint[0, 1, :, 0].sum() == 0
    assert solution.gap == pytest.approx(solution.trace["regret"].min(), rel=1e-9)


def test_from_the_front_door():
    solution = eq.solve(TabularGame.from_payoffs(CHICKEN), "correlated", solver="swap-regret", rounds=2000, eps=0.1)
    assert solution.certified
    assert solution.solver == "swap-regret"
    # What nobody regrets to swap, nobody regrets to have swapped for one and the same action.
    coarse = eq.certify(TabularGame.from_payoffs(CHICKEN), solution.joint, concept="coarse-correlated")
    assert coarse.gap <= solution.gap
    with pytest.raises(UnknownName, match="finds a joint"):
        eq.solve(TabularGame.from_payoffs(CHICKEN), solver="swap-regret")


def test_games_that_go_on_are_refused():
    with pytest.raises(BadInput, match="swap-regret learns in one-shot games"):
        eq.solve("catalog:no_sde", "correlated", solver="swap-regret")
    with pytest.raises(BadInput, match="rounds must lie in"):
        SwapRegret(rounds=0)

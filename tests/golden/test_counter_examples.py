"""The tables of Theorem B: what the conditional form executes, solved here in NumPy, against its derived figures.

Two players at temperature 1. With exact predictions the executed mixtures solve x = C_1 y and y = C_2 x, where C_i
holds player i's softmax response to each *single* action of the other.
"""

import numpy as np
import pytest
from judge import values_and_gap
from scipy.special import logsumexp, softmax

from equinfer.games import catalog

LOG2 = np.log(2.0)


def conditional_profile(row, column):
    first, second = softmax(row, axis=0), softmax(column, axis=1).T
    chain = first @ second
    # The stationary law of a chain on two states, from its off-diagonal entries alone: they may be as small as e^-100.
    x = np.array([chain[0, 1], chain[1, 0]]) / (chain[0, 1] + chain[1, 0])
    return x[None], (second @ x)[None]


def half_a_unit(printed):
    """Of the last digit of a decimal: how far off the number behind it may be."""
    return 0.5 * 10.0 ** -len(printed.partition(".")[2])


@pytest.mark.parametrize(
    ("name", "gaps"),
    [
        ("copycat", {1: "0.275", 3: "0.411", 10: "1.25", 100: "12.5"}),
        ("dummy_opponent", {1: "0.389", 3: "0.000", 10: "1.67", 100: "23.1"}),
        ("near_tied_coordination", {1: "0.348", 3: "0.584", 10: "1.46", 100: "12.7"}),
        ("biased_matching_pennies", {1: "0.000", 3: "0.457", 10: "1.99", 100: "21.8"}),
    ],
)
def test_the_conditional_form_misses_by_the_derived_gap(name, gaps):
    for M, printed in gaps.items():
        game = catalog.load(name, M=float(M))
        profile = conditional_profile(*np.asarray(game.reward)[:, 0])
        _, gap = values_and_gap(game, profile)
        assert gap == pytest.approx(float(printed), abs=half_a_unit(printed))
    assert gap > LOG2  # far beyond the bound that the paper states for one epoch


def test_copycat_gap_tends_to_an_eighth_of_the_prize():
    game = catalog.load("copycat", M=1000.0)
    _, gap = values_and_gap(game, conditional_profile(*np.asarray(game.reward)[:, 0]))
    assert gap == pytest.approx(1000.0 / 8, rel=1e-9)


def test_beliefs_at_different_equilibria_are_far_from_one():
    """Each plays the quantal response near its own pure equilibrium of 5 I: x = softmax(5 x), far from 1/2."""
    game = catalog.load("belief_multiplicity")
    x = np.array([1.0, 0.0])
    for _ in range(200):
        x = softmax(5 * x)
    _, gap = values_and_gap(game, (x[None], x[None, ::-1]))
    assert gap == pytest.approx(4.89, abs=half_a_unit("4.89"))


@pytest.mark.parametrize(("horizon", "printed"), [(5, "2.27"), (9, "6.848"), (10, "8.24"), (20, "25.1"), (100, "184")])
def test_cliff_gap_outgrows_the_bound_of_the_paper(horizon, printed):
    game = catalog.load("cliff", horizon=horizon)
    reward, kernel = np.asarray(game.reward)[0], np.asarray(game.kernel.probabilities)
    soft, policies = np.zeros(2), []
    for _ in range(horizon):
        q = reward + kernel @ soft
        policies.append(softmax(q, axis=1).mean(axis=2))  # a uniform prediction: player 1 earns nothing
        soft = logsumexp(q, axis=1).mean(axis=1)
    walker = np.array(policies[::-1])
    _, gap = values_and_gap(game, (walker, np.full((horizon, 2, 2), 0.5)))
    assert gap == pytest.approx(float(printed), abs=half_a_unit(printed))
    assert (gap > horizon * LOG2) == (horizon >= 9)
    assert np.abs(reward).max() == 1.0


@pytest.mark.parametrize("first", np.linspace(0.0, 1.0, 14))
@pytest.mark.parametrize("M", [10.0, 0.5])
def test_the_segments_of_the_dummy_hold_its_equilibria_and_nothing_else(M, first):
    """A profile is an equilibrium exactly if a segment holds it; the tie is off the grid, but for the third one."""
    game, known = catalog.load("dummy_opponent", M=M), catalog.equilibria("dummy_opponent", M=M)
    tie = 3.0 / (3.0 + M)
    for y in (first, tie):
        for x in (0.0, 0.4, 1.0):
            profile = (np.array([[x, 1 - x]]), np.array([[y, 1 - y]]))
            values, gap = values_and_gap(game, profile)
            held = min(np.abs(each.values_near(profile) - values).max() for each in known)
            assert (gap < 1e-12) == (held < 1e-12)
            assert (gap < 1e-12) == ((x == 1 and y >= tie) or (x == 0 and y <= tie) or y == tie)

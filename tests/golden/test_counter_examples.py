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


@pytest.mark.parametrize(
    ("name", "gaps"),
    [
        ("copycat", {1: 0.275, 3: 0.411, 10: 1.25, 100: 12.5}),
        ("dummy_opponent", {1: 0.389, 3: 0.0, 10: 1.67, 100: 23.1}),
        ("near_tied_coordination", {1: 0.348, 3: 0.584, 10: 1.46, 100: 12.7}),
        ("biased_matching_pennies", {1: 0.0, 3: 0.457, 10: 1.99, 100: 21.8}),
    ],
)
def test_the_conditional_form_misses_by_the_derived_gap(name, gaps):
    for M, expected in gaps.items():
        game = catalog.load(name, M=float(M))
        profile = conditional_profile(*np.asarray(game.reward)[:, 0])
        _, gap = values_and_gap(game, profile)
        assert gap == pytest.approx(expected, abs=0.006 * max(1.0, expected))  # figures of three digits
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
    assert gap == pytest.approx(4.89, abs=0.01)


@pytest.mark.parametrize(("horizon", "expected"), [(5, 2.27), (9, 6.848), (10, 8.24), (20, 25.1), (100, 184.0)])
def test_cliff_gap_outgrows_the_bound_of_the_paper(horizon, expected):
    game = catalog.load("cliff", horizon=horizon)
    reward, kernel = np.asarray(game.reward)[0], np.asarray(game.kernel.probabilities)
    soft, policies = np.zeros(2), []
    for _ in range(horizon):
        q = reward + kernel @ soft
        policies.append(softmax(q, axis=1).mean(axis=2))  # a uniform prediction: player 1 earns nothing
        soft = logsumexp(q, axis=1).mean(axis=1)
    walker = np.array(policies[::-1])
    _, gap = values_and_gap(game, (walker, np.full((horizon, 2, 2), 0.5)))
    assert gap == pytest.approx(expected, rel=2e-3)
    assert (gap > horizon * LOG2) == (horizon >= 9)
    assert np.abs(reward).max() == 1.0

"""Cournot: what a firm has learnt of the other's costs predicts the other when the market, or its own costs, change.

Two firms choose quantities q = 0, 1/4, ..., 4 and earn (A - q_0 - q_1 - c_j) q_j; both answer each other softly, at
temperature 2. Revenue and quantity are the outcomes; the weights of firm 1 are 1 and -c_1 = -3. Everything but the
inference is plain NumPy here.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_agents import seen_by

from equinfer.games.tabular import TabularGame
from equinfer.opponents import Inferred
from equinfer.opponents.judging import imagined_game

QUANTITIES = np.arange(17) / 4
MINE, THEIRS = np.meshgrid(QUANTITIES, QUANTITIES, indexing="ij")
TEMPERATURE, MOVES = 2.0, 20_000
WEIGHTS = np.array([1.0, -3.0])
CHANGES = {"own cost +3": (10.0, 4.0), "demand 10 to 14": (14.0, 1.0), "demand 10 to 8": (8.0, 1.0)}


def outcomes(demand, quantity):
    """Revenue and quantity of a firm (A_0, A_1, 2)."""
    return np.stack([(demand - MINE - THEIRS) * quantity, quantity], axis=-1)


def soft(payoff):
    scores = np.exp((payoff - payoff.max()) / TEMPERATURE)
    return scores / scores.sum()


def soft_play(demand, own_cost, weights=WEIGHTS):
    """The logit equilibrium, firm 1 having `weights`."""
    first = outcomes(demand, MINE) @ np.array([1.0, -own_cost])
    second = outcomes(demand, THEIRS) @ weights
    p = q = np.full(17, 1 / 17)
    for _ in range(4000):
        p, q = 0.9 * p + 0.1 * soft(first @ q), 0.9 * q + 0.1 * soft(p @ second)
    np.testing.assert_allclose(soft(first @ q), p, atol=1e-12)
    return p, q


def divergence(law, other):
    return float(np.sum(law * np.log(law / other)))


@eqx.filter_jit
def fitted(model, game, moves):
    return model.refined(model.update(model.init(game, 0), moves, 0), 0, 1000 if model.features is None else 40)


def learnt(model, seed):
    rewards = [outcomes(10.0, MINE) @ np.array([1.0, -1.0]), outcomes(10.0, THEIRS) @ WEIGHTS]
    game = TabularGame.from_payoffs(rewards)
    profile = tuple(law[None] for law in soft_play(10.0, 1.0))
    moves = seen_by(game, 0, profile, np.zeros(MOVES, int), np.random.default_rng(seed))
    return fitted(model, jax.tree.map(jnp.asarray, game.unlabelled()), moves)


def by_outcomes():
    features = tuple(outcomes(10.0, quantity)[None] / TEMPERATURE for quantity in (MINE, THEIRS))
    return Inferred(features=features, ridge=1e-3)


def standard_errors():
    """A root of the inverse of the Fisher information of MOVES choices of firm 1, (2, 2)."""
    p, q = soft_play(10.0, 1.0)
    slope = np.einsum("a,abf->bf", p, outcomes(10.0, THEIRS)) / TEMPERATURE
    slope = slope - q @ slope
    return np.linalg.cholesky(np.linalg.inv(MOVES * np.einsum("b,bf,bg->fg", q, slope, slope)))


@pytest.mark.parametrize("seed", range(3))
def test_costs_are_found_where_play_tells_them(seed):
    # Logits are t_1 (A - E q_0 - q) q + t_2 q over the temperature: the square tells t_1 and the rest t_2. What the
    # firm expects of the other it has to estimate too; of 20,000 moves that is off by sd / root n = .01, which moves
    # t_2 by as much. Six standard errors, and six of that.
    theta = np.asarray(learnt(by_outcomes(), seed)[0].parameters)
    root = standard_errors()
    assert np.linalg.norm(np.linalg.solve(root, theta - WEIGHTS)) < 6 + 6 * np.sqrt(np.cov(MINE[:, 0])) / np.sqrt(
        MOVES
    ) / np.linalg.norm(root[1])


@pytest.mark.parametrize("change", CHANGES)
def test_outcomes_predict_what_counting_cannot(change):
    demand, own_cost = CHANGES[change]
    right = soft_play(demand, own_cost)[1]
    state = learnt(by_outcomes(), 0)
    found = soft_play(demand, own_cost, np.asarray(state[0].parameters))[1]
    counted = soft_play(10.0, 1.0)[1]  # the most that counting can know

    # What an error of twelve standard errors in any direction could do to the prediction; a third of what counting
    # loses for certain.
    angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    circle = 12 * standard_errors() @ np.stack([np.cos(angles), np.sin(angles)])
    allowed = max(divergence(right, soft_play(demand, own_cost, WEIGHTS + off)[1]) for off in circle.T)
    assert divergence(right, found) < allowed < divergence(right, counted) / 3

    # A best response to it loses no more than Theorem E allows, no more than one to the count, and next to nothing.
    profit = outcomes(demand, MINE) @ np.array([1.0, -own_cost])

    def regret(law):
        return float((profit @ right).max() - (profit @ right)[np.argmax(profit @ law)])

    off = np.abs(found - right).sum() / 2
    assert regret(found) <= min(0.01, 2 * np.ptp(profit) * off, regret(counted))


@pytest.mark.parametrize("change", CHANGES)
def test_a_free_table_says_after_the_change_what_it_said_before(change):
    # r(a) of one's own actions alone does not know what the rules are about: in a one-shot game it is the count.
    demand, own_cost = CHANGES[change]
    model = Inferred(ridge=1e-6)
    state = learnt(model, 0)
    counts = np.asarray(state[0].seen.actions)[0]
    (reward,) = model.rewards(state, 0)
    rewards = [outcomes(demand, MINE) @ np.array([1.0, -own_cost]), outcomes(demand, THEIRS) @ WEIGHTS]
    new = imagined_game(TabularGame.from_payoffs(rewards), 0, [None, np.asarray(reward) * TEMPERATURE])
    # Firm 1's reward in it does not depend on firm 0: its soft play is a soft answer to anything.
    law = soft(np.asarray(new.reward)[1, 0][0])
    np.testing.assert_allclose(law, counts / counts.sum(), atol=1e-4)
    right = soft_play(demand, own_cost)[1]
    assert divergence(right, law) > divergence(right, soft_play(10.0, 1.0)[1]) / 2

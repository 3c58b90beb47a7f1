"""The two industries: the quality ladder and the price duopoly."""

import itertools

import numpy as np
import pytest

from equinfer.games import catalog
from equinfer.games.catalog.quality_ladder import bertrand_profits


def test_bertrand_profits_satisfy_the_first_order_conditions():
    rng = np.random.default_rng(0)
    quality = 8 * rng.random((50, 3)) - 2
    markup = 1 + bertrand_profits(quality, market=1.0)  # at the equilibrium m D = m - 1
    appeal = np.exp(quality - markup)
    share = appeal / (1 + appeal.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(markup * (1 - share), 1.0, rtol=0, atol=1e-13)
    np.testing.assert_allclose(markup * share, markup - 1, rtol=0, atol=1e-13)


def test_no_price_beats_the_bertrand_price():
    quality = np.array([[1.0, 3.0]])
    profit = bertrand_profits(quality, market=2.0)[0]
    markup = 1 + profit / 2
    others = 1 + np.exp(quality[0, 1] - markup[1])
    tried = np.linspace(0.5, 4.0, 3501)
    appeal = np.exp(quality[0, 0] - tried)
    earned = 2 * tried * appeal / (others + appeal)
    assert earned.max() <= profit[0] + 1e-12
    assert earned.max() == pytest.approx(profit[0], abs=1e-6)


def test_profits_rise_with_the_own_level_and_fall_with_the_rivals():
    game = catalog.load("quality_ladder", firms=3, levels=4, investments=1)
    profit = np.asarray(game.reward)[:, :, 0, 0, 0].reshape(3, 4, 4, 4)
    for firm, axis in itertools.product(range(3), repeat=2):
        slope = np.diff(profit[firm], axis=axis)
        assert (slope > 0).all() if firm == axis else (slope < 0).all()


def test_quality_ladder_sizes_and_cost():
    game = catalog.load("quality_ladder", firms=3, levels=3, investments=3, cost=2.0)
    assert game.num_states == 27
    assert game.num_actions == (3, 3, 3)
    assert game.state_labels[5] == "0-1-2"
    reward = np.asarray(game.reward)
    spent = reward[1, :, :1, :1, :1] - reward[1]
    np.testing.assert_allclose(spent, np.broadcast_to(2.0 * np.arange(3)[None, None, :, None], spent.shape), atol=1e-14)


def test_quality_ladder_moves():
    """From levels (1, 1) of 0..2 with investments (1, 0): success 3/4, a common shock 0.7."""
    game = catalog.load("quality_ladder", levels=3)
    row = game.kernel.dense()[game.state_labels.index("1-1"), 1, 0]
    found = {game.state_labels[t]: row[t] for t in np.flatnonzero(row)}
    expected = {"2-1": 0.3 * 0.75, "1-1": 0.3 * 0.25, "1-0": 0.7 * 0.75, "0-0": 0.7 * 0.25}
    assert found.keys() == expected.keys()
    assert all(found[label] == pytest.approx(chance, abs=1e-15) for label, chance in expected.items())


def test_firms_are_interchangeable():
    game = catalog.load("quality_ladder", firms=2, levels=4)
    reward, kernel = np.asarray(game.reward), game.kernel.dense()
    order = np.arange(16).reshape(4, 4).T.ravel()
    np.testing.assert_allclose(reward[::-1][:, order].swapaxes(2, 3), reward, atol=1e-14)
    np.testing.assert_allclose(kernel[order].swapaxes(1, 2)[..., order], kernel, atol=1e-16)


def test_price_duopoly_opens_only_the_movers_prices():
    game = catalog.load("price_duopoly")
    assert game.num_states == 14
    first, second = game.legal
    assert first[:7].all()
    assert second[7:].all()
    np.testing.assert_array_equal(second[:7], np.eye(7, dtype=bool))
    np.testing.assert_array_equal(first[7:], np.eye(7, dtype=bool))
    # Firm 0 answers 5/6 by 3/6: it sells alone at monopoly profit 1/4, and firm 1 will find 3/6.
    s, t = (game.state_labels.index(f"firm {mover} moves, rival at {k}/6") for mover, k in ((0, 5), (1, 3)))
    assert np.asarray(game.reward)[:, s, 3, 5].tolist() == [0.25, 0.0]
    assert game.kernel.dense()[s, 3, 5, t] == 1.0
    assert np.asarray(game.reward)[:, s, 5, 5].tolist() == pytest.approx([5 / 72, 5 / 72])


@pytest.mark.parametrize("discount", [0.9, 0.95, 0.999])
def test_price_war_ends_with_the_published_chance(discount):
    """Maskin and Tirole print the chance to stay at 1/6 as (5 + d)/(5 d + 9 d^2)."""
    (kinked,) = catalog.equilibria("price_duopoly", discount=discount)
    stays = kinked.profile[0][1, 1]
    assert stays == pytest.approx((5 + discount) / (5 * discount + 9 * discount**2), abs=1e-15)

"""The two industries: the quality ladder and the price duopoly."""

import itertools

import numba
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
    """Maskin and Tirole print the chances to stay at 1/6 and, in the cycle, at 0: d is the discount, g = d^2."""
    kinked, cycle = catalog.equilibria("price_duopoly", discount=discount)
    stays = kinked.profile[0][1, 1]
    assert stays == pytest.approx((5 + discount) / (5 * discount + 9 * discount**2), abs=1e-15)
    stays, g = cycle.profile[0][0, 0], discount**2
    assert stays == pytest.approx((3 * g - 1) * (1 + g + g**2) / (8 + 7 * g + 2 * g**2 + 3 * g**3), abs=1e-15)


@numba.njit
def _worth(profit, discount, rival):
    """What each price earns against the reaction `rival`, (rival's price, own price): policy iteration."""
    now, policy = np.empty((7, 7)), np.zeros(7, np.int64)
    for c in range(7):
        for p in range(7):
            now[c, p] = profit[p, c] + discount * profit[p, rival[p]]
    while True:
        value, step, rate = np.empty(7), rival[policy], discount**2
        for c in range(7):
            value[c] = now[c, policy[c]]
        for _ in range(10):  # twice as many epochs each time: 1024 of them
            value, step, rate = value + rate * value[step], step[step], rate**2
        worth, improved = now + discount**2 * value[rival], False
        for c in range(7):
            if worth[c].max() > worth[c, policy[c]] + 1e-9:
                policy[c], improved = worth[c].argmax(), True
        if not improved:
            return worth


@numba.njit
def _pure_equilibria(profit, discount, tolerance):
    """Pairs of pure reactions, each a best response to the other: all of one firm, best responses of the other."""
    found, pairs = 0, 0
    first, second = np.zeros(7, np.int64), np.zeros(7, np.int64)
    for code in range(7**7):
        for c in range(7):
            first[c] = code // 7**c % 7
        worth = _worth(profit, discount, first)
        ways = np.ones(8, np.int64)
        for c in range(7):
            ways[c + 1] = ways[c] * np.sum(worth[c] >= worth[c].max() - tolerance)
        for way in range(ways[7]):
            for c in range(7):
                best = np.flatnonzero(worth[c] >= worth[c].max() - tolerance)
                second[c] = best[way // ways[c] % len(best)]
            back = _worth(profit, discount, second)
            pairs += 1
            regret = 0.0
            for c in range(7):
                regret = max(regret, back[c].max() - back[c, first[c]])
            found += regret <= tolerance
    return found, pairs


@pytest.mark.slow
def test_the_duopoly_has_no_pure_equilibrium():
    """All 7^7 reactions of a firm, with every pure best response to each: both listed equilibria have to mix."""
    price = np.arange(7)
    own, other = np.indices((7, 7))
    profit = (price * (6.0 - price))[:, None] * np.where(own < other, 1.0, np.where(own == other, 0.5, 0.0))
    found, pairs = _pure_equilibria(profit, 0.95, 1e-6)
    assert pairs > 7**7
    assert found == 0


def test_no_quality_is_too_large():
    # e^1000 is no float. Once the outside good is forgotten, only differences of quality count, up to the rounding of
    # exponents of that size, 4 * 1001 * 2^-52.
    near, far = (bertrand_profits(np.array([[level, level - 1.0]]), market=1.0) for level in (100.0, 1000.0))
    np.testing.assert_allclose(near, far, rtol=1e-11)
    ahead, behind = bertrand_profits(np.array([[800.0, 0.0]]), market=1.0)[0]
    others = np.log1p(np.exp(-1.0 - behind))
    np.testing.assert_allclose(ahead + np.log(ahead), 799 - others, rtol=1e-12)  # w + log w = z for w = W(e^z)

"""Games made to be difficult: certified, and confirmed by a judge that shares nothing with the package."""

import collections

import numpy as np
import pytest

from benchmarks.nasty import record
from benchmarks.nasty_games import DISCOUNTS, MOST_ACTIONS, MOST_PLAYERS, MOST_STATES, nasty_game

FAST = (0, 3, 4, 5, 6, 7, 8, 9, 38, 314, 590, 742, 988)
"""The last ones have stage games in which actions have second names, and no logit path ends."""


def test_every_seed_is_one_game():
    one, same, other = (nasty_game(seed).game.tables().reward for seed in (7, 7, 8))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or (one != other).any()


def test_games_are_as_announced():
    seen = collections.Counter()
    for seed in range(300):
        nasty = nasty_game(seed)
        tables = nasty.game.tables()
        seen.update(nasty.features)
        assert tables.num_states <= MOST_STATES
        assert tables.num_players <= MOST_PLAYERS
        assert max(tables.num_actions) <= MOST_ACTIONS
        assert (tables.discount <= 1).all()
        if "constant payoffs" in nasty.features and "large level" not in nasty.features:
            assert (tables.reward_ranges == 0).any()
        if "deterministic" in nasty.features and "absorbing" not in nasty.features:
            assert set(np.unique(tables.kernel)) == {0.0, 1.0}
        if "discount .999" in nasty.features and "unequal discounts" not in nasty.features:
            assert (tables.discount == max(DISCOUNTS)).all()
        if "ragged" not in nasty.features:
            assert all(mask.all() for mask in tables.legal)
    assert len(seen) == 18
    assert min(seen.values()) >= 5


@pytest.mark.parametrize("seed", FAST)
def test_some_of_them(seed):
    found = record(seed, None)
    assert found.certified, found
    assert not found.erred, found


@pytest.mark.slow
def test_a_hundred_of_them():
    found = [record(seed, 20) for seed in range(1000, 1100)]
    assert not [each for each in found if each.erred]
    assert not [each for each in found if each.reason.startswith("raised")]
    assert sum(each.certified for each in found) >= 95

"""The benchmarks' judge of false success, in both of its kinds of numbers, against brute force in rationals."""

import numpy as np
import pytest
from exact_games import random_profile, random_tables, true_gains

from benchmarks import second_judge

CASES = [(0.9, None), (0.999, None), (0.0, None), (1.0, 2), (0.5, 1)]


def case(discount, horizon):
    rng = np.random.default_rng(7)
    for num_actions in ((2, 2), (3,), (1, 2, 2)):
        tables = random_tables(rng, 2, num_actions, discount=discount, horizon=horizon, level=50.0, illegal=0.2)
        profile = random_profile(rng, tables)
        gains, _ = true_gains(tables, profile)
        yield tables, profile, np.array([float(np.max(gain)) for gain in gains])


@pytest.mark.parametrize(("discount", "horizon"), CASES)
def test_rationals_are_exact(discount, horizon):
    for tables, profile, truth in case(discount, horizon):
        found = second_judge.judge(tables, profile)
        np.testing.assert_array_equal(found.gap, truth)
        assert (found.uncertainty == 0).all()


@pytest.mark.parametrize(("discount", "horizon"), CASES)
def test_extended_precision_encloses_the_truth(discount, horizon, monkeypatch):
    monkeypatch.setattr(second_judge, "SMALL_TABLE", 0)
    for tables, profile, truth in case(discount, horizon):
        found = second_judge.judge(tables, profile)
        # Both numbers went through one rounding to float64.
        assert (np.abs(found.gap - truth) <= found.uncertainty + 2**-52 * truth).all()
        assert (found.uncertainty <= 1e-12 * tables.payoff_scale).all()


def test_a_gain_is_not_overlooked(monkeypatch):
    # Playing C instead of D in the prisoner's dilemma costs one.
    reward = np.array([[[3.0, 0.0], [4.0, 1.0]], [[3.0, 4.0], [0.0, 1.0]]])[:, None]
    tables = second_judge_tables(reward)
    cooperate, defect = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])
    for limit in (second_judge.SMALL_TABLE, 0):
        monkeypatch.setattr(second_judge, "SMALL_TABLE", limit)
        np.testing.assert_array_equal(second_judge.judge(tables, [cooperate, defect]).gap, [1.0, 0.0])
        np.testing.assert_array_equal(second_judge.judge(tables, [defect, defect]).gap, [0.0, 0.0])


def second_judge_tables(reward):
    from exact_games import tables_of

    return tables_of(reward, np.ones((*reward.shape[1:], 1)))

"""`numerical_error` against rational arithmetic, where float64 is most likely to deceive."""

from fractions import Fraction

import numpy as np
import pytest
from exact_games import one_shot, random_profile, random_tables, tables_of, true_gains
from hypothesis import given, settings
from hypothesis import strategies as st

from equinfer.certificates import certify_nash
from equinfer.certificates.decision import Backup, DecisionProcess, best_response
from equinfer.certificates.rounding import UNIT_ROUNDOFF, gamma, outward, roundings_of


def actual_error(tables, profile, certificate):
    gains, _ = true_gains(tables, profile)
    exact = max(np.array(gain).max() for gain in gains)
    return abs(Fraction(certificate.gap) - exact)


@settings(max_examples=150)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.9, 0.999, 0.999999]),
    st.integers(-6, 6),
    st.sampled_from([0.0, 1.0, 1e6]),
    st.sampled_from([0.0, 4e-9]),
)
def test_bound_holds_for_every_scale_level_and_discount(seed, num_actions, discount, power, level, off):
    """Payoffs over twelve orders of magnitude, on top of a level up to 1e12 times theirs; rows off by up to 4e-9."""
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 2, num_actions, discount=discount, scale=10.0**power, level=level, illegal=0.2)
    profile = [policy * (1 + off) for policy in random_profile(rng, tables)]
    certificate = certify_nash(tables, profile)
    assert actual_error(tables, profile, certificate) <= certificate.numerical_error


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.99, 0.9999]), st.integers(8, 17))
def test_bound_holds_at_near_ties(seed, discount, digits):
    """Two copies of every action, told apart in the last digits only, and mixed: nothing but near-ties."""
    rng = np.random.default_rng(seed)
    half = random_tables(rng, 3, (2, 1), discount=discount)
    reward = np.repeat(half.reward, 2, axis=2)
    reward = reward + 10.0**-digits * rng.integers(-3, 4, size=reward.shape)
    tables = tables_of(reward, np.repeat(half.kernel, 2, axis=1), discount)
    profile = random_profile(rng, tables, pure=0.0)
    certificate = certify_nash(tables, profile)
    assert actual_error(tables, profile, certificate) <= certificate.numerical_error


def test_bound_holds_where_states_differ_by_six_orders_of_magnitude():
    """The tiny state is isolated: its gain of 1e-6 must not drown in the 1e6 of the other."""
    reward = np.zeros((1, 2, 2))
    reward[0] = [[0, 1e6], [0, 1e-6]]
    kernel = np.repeat(np.eye(2)[:, None], 2, axis=1)
    tables = tables_of(reward, kernel, 0.5)
    profile = [[[0, 1], [1, 0]]]
    certificate = certify_nash(tables, profile)
    np.testing.assert_allclose(certificate.deviation(0).gain, [0, 2e-6], atol=certificate.numerical_error)
    assert certificate.gap > 1e-6
    assert actual_error(tables, profile, certificate) <= certificate.numerical_error < 1e-7


def test_bound_holds_when_kernel_rows_are_off():
    """Tables that somebody typed with nine digits: the judged game is the normalised one, and the bound knows."""
    rng = np.random.default_rng(4)
    tables = random_tables(rng, 3, (2, 2), discount=0.9)
    tables.kernel[...] *= 1 + 5e-9 * rng.uniform(-1, 1, size=(3, 2, 2, 1))
    profile = random_profile(rng, tables)
    certificate = certify_nash(tables, profile)
    assert actual_error(tables, profile, certificate) <= certificate.numerical_error
    assert 1e-9 < certificate.numerical_error < 1e-5


def test_bound_adds_up_over_the_epochs():
    """20 undiscounted epochs of one state whose rows sum to 1 + 4e-9: each gain of 2 is counted too often 0..19 times.

    The exact gap is 20 * 2; what is computed is 4e-9 * 2 * (0 + 1 + ... + 19) too large.
    """
    reward = np.array([[[[3, 0], [5, 1]]], [[[3, 5], [0, 1]]]], float)
    certificate = certify_nash(tables_of(reward, np.full((1, 2, 2, 1), 1 + 4e-9), 1.0, horizon=20), [[1, 0], [1, 0]])
    error = certificate.gap - 40
    assert error == pytest.approx(4e-9 * 2 * 190, rel=1e-6)
    assert error <= certificate.numerical_error < 10 * error


@pytest.mark.parametrize("discount", [0.0, 0.9, 0.999])
def test_bound_is_not_silly(discount):
    """Within 1e4 of the typical error over 100 games, and far below every tolerance that is asked for."""
    rng = np.random.default_rng(7)
    bounds, errors = [], []
    for _ in range(100):
        tables = random_tables(rng, 3, (2, 2), discount=discount)
        profile = random_profile(rng, tables)
        certificate = certify_nash(tables, profile)
        bounds.append(certificate.numerical_error)
        errors.append(float(actual_error(tables, profile, certificate)))
        assert certificate.numerical_error <= 1e-12 * tables.payoff_scale / (1 - discount)
    assert np.median(bounds) <= 1e4 * np.mean(errors)


def test_payoffs_at_the_ends_of_float64():
    tiny = certify_nash(one_shot([[[5e-324, 0], [0, 0]], [[0, 0], [0, 0]]]), ([0, 1], [1, 0]))
    assert tiny.gap == 5e-324
    huge = certify_nash(one_shot([[[1e308, 0], [0, 0]], [[0, 0], [0, 0]]]), ([0, 1], [1, 0]))
    assert huge.gap == pytest.approx(1e308, rel=1e-14)
    assert 0 < huge.numerical_error < 1e295


def test_payoffs_that_are_neighbours_in_float64():
    """The midrange of 1e16 and the next number is no number of its own: centred payoffs are 0 and 2."""
    tables = one_shot(1e16 + np.array([[[0.0, 0], [2, 2]], [[0, 2], [0, 2]]]))
    certificate = certify_nash(tables, ([0.75, 0.25], [1, 0]))
    np.testing.assert_array_equal(certificate.per_player, [1.5, 2])
    assert certificate.numerical_error < 1e-13


def test_products_that_underflow_are_within_the_bound():
    """1e-200 times 1e-200 is zero in float64; times a payoff of 1e300 it would have been 1e-100."""
    payoffs = np.zeros((3, 2, 2, 2))
    payoffs[0, 1, 1, 1] = 1e300
    tables = one_shot(payoffs)
    profile = ([1, 0], [1, 1e-200], [1, 1e-200])
    certificate = certify_nash(tables, profile)
    assert certificate.gap == 0
    assert actual_error(tables, [np.array([row]) for row in profile], certificate) == pytest.approx(1e-100)
    assert certificate.numerical_error > 1e-100


def test_a_discount_at_one_costs_certainty_not_truth():
    tables = tables_of([[[0.0, 1.0]]], np.ones((1, 2, 1)), 1 - 2.0**-50)
    certificate = certify_nash(tables, [[0.5, 0.5]])
    assert abs(certificate.gap - 2.0**49) <= certificate.numerical_error


def test_policy_iteration_reaches_the_end_of_a_long_corridor():
    """60 states in a row, the reward behind the last: the greedy policy of the start knows of one step only."""
    size = 60
    kernel = np.zeros((size, 2, size))
    kernel[np.arange(size), 0, np.maximum(np.arange(size) - 1, 0)] = 1
    kernel[np.arange(size), 1, np.minimum(np.arange(size) + 1, size - 1)] = 1
    reward = np.zeros((size, 2))
    reward[:, 0] = 1e-3  # a small bribe for going back
    reward[-1, 1] = 1
    process = DecisionProcess(reward, kernel, np.ones((size, 2), bool), Backup(100, 1.0, 0.99))
    start = np.full(size, 1e-3 / (1 - 0.99))  # going back for ever
    actions, values, error = best_response(process, start)
    # Forward for ever is worth 100 * 0.99^(steps to the end); back for ever 0.1: the first is better everywhere.
    np.testing.assert_array_equal(actions, 1)
    np.testing.assert_allclose(values, 100 * 0.99 ** np.arange(size - 1, -1, -1), rtol=1e-12)
    assert error < 1e-7


def test_gamma_counts():
    assert gamma(0) == 0
    assert gamma(2**53) == np.inf
    for m, n in [(1, 1), (40, 1000), (10**6, 3)]:
        assert gamma(m) + gamma(n) + gamma(m) * gamma(n) <= gamma(m + n)
    assert roundings_of(0.0) == 0
    assert roundings_of(1e-9) * UNIT_ROUNDOFF >= 1e-9
    assert outward(1.0) > 1

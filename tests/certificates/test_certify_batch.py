"""The certificate of many one-shot games against the certificate of one."""

from fractions import Fraction

import numpy as np
import pytest
from batched_games import exact_gains, random_games, random_profiles

from equinfer.certificates import certify_nash
from equinfer.certificates.batch import certify_batch
from equinfer.errors import BadInput
from equinfer.games.tabular import TabularGame

SHAPES = [(3,), (1, 4), (3, 2), (2, 3, 4), (2, 2, 2, 3)]
GAMES = 20


def random_batch(shape, seed):
    """Games whose players think in very different units, and profiles with zeros."""
    return random_games(shape, GAMES, seed, units=True), random_profiles(shape, GAMES, seed + 1)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_game_by_game_it_is_the_certificate_of_one_game(shape):
    payoffs, profiles = random_batch(shape, len(shape))
    many = certify_batch(payoffs, profiles)
    for b, payoff in enumerate(payoffs):
        one = certify_nash(TabularGame.from_payoffs(payoff).tables(), [policy[b] for policy in profiles])
        rounding = many.numerical_errors[b] + one.numerical_error
        assert abs(many.gaps[b] - one.gap) <= rounding
        np.testing.assert_allclose(many.per_player[b], one.per_player, rtol=0, atol=rounding)
        np.testing.assert_allclose(many.values[b], one.values[:, 0], rtol=1e-13)
        np.testing.assert_allclose(many.per_player_errors[b], one.per_player_error, rtol=1e-9)
        assert many.settled(1e-10)[b] == one.settled(1e-10)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_exact_gains_are_within_the_rounding_bound(shape):
    payoffs, profiles = random_batch(shape, 10 + len(shape))
    many = certify_batch(payoffs, profiles)
    for b, payoff in enumerate(payoffs):
        gains = exact_gains(payoff, [policy[b] for policy in profiles])
        for gain, found, error in zip(gains, many.per_player[b], many.per_player_errors[b], strict=True):
            assert abs(gain - Fraction(float(found))) <= Fraction(float(error))
        assert abs(max(gains) - Fraction(float(many.gaps[b]))) <= Fraction(float(many.numerical_errors[b]))
    assert np.all(many.numerical_errors <= 1e-13 * (many.gaps + np.ptp(payoffs.reshape(GAMES, -1), axis=1)))


def test_a_constant_game_has_no_gap_and_no_error():
    many = certify_batch(np.full((3, 2, 2, 2), 1e300), [np.full((3, 2), 0.5)] * 2)
    assert not many.gaps.any()
    assert not many.numerical_errors.any()
    np.testing.assert_array_equal(many.values, 1e300)


def test_payoffs_at_both_ends_of_float64():
    payoffs = np.stack([np.array([[[5e-324, 0.0], [0.0, 0.0]]] * 2), np.array([[[8e307, -8e307], [0.0, 0.0]]] * 2)])
    second = np.tile([0.0, 1.0], (2, 1))
    many = certify_batch(payoffs, [second, second])
    np.testing.assert_array_equal(many.gaps, 0.0)
    first = np.tile([1.0, 0.0], (2, 1))
    assert certify_batch(payoffs, [first, second]).gaps[1] == pytest.approx(1.6e308)


def test_many_blocks_are_one():
    payoffs = np.random.default_rng(4).random((5_000, 2, 2, 3))
    profiles = np.full((5_000, 2), 0.5), np.full((5_000, 3), 1 / 3)
    whole, end = certify_batch(payoffs, profiles), certify_batch(payoffs[4_000:], [p[4_000:] for p in profiles])
    np.testing.assert_array_equal(whole.gaps[4_000:], end.gaps)
    assert np.all(whole.gaps[:4_000] > 0)


@pytest.mark.parametrize("row", [[0.5, 0.4], [1.5, -0.5], [np.nan, 1.0], [np.inf, 0.0]])
def test_what_is_no_profile_is_refused_with_game_and_player(row):
    profiles = [np.full((4, 2), 0.5), np.full((4, 2), 0.5)]
    profiles[1][2] = row
    with pytest.raises(BadInput, match="game 2, player 1"):
        certify_batch(np.zeros((4, 2, 2, 2)), profiles)


def test_profiles_of_other_shapes_are_refused():
    with pytest.raises(BadInput, match=r"player 0 must have shape \(B, A\) = \(4, 2\)"):
        certify_batch(np.zeros((4, 2, 2, 2)), [np.full((4, 3), 1 / 3)] * 2)
    with pytest.raises(BadInput, match="1 players; the games have 2"):
        certify_batch(np.zeros((4, 2, 2, 2)), [np.full((4, 2), 0.5)])


def test_a_player_who_has_little_at_stake_is_not_settled_by_what_others_have():
    # Both lose half of what they have at stake; only the first one's loss counts in the gap.
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    payoffs = np.stack([1e6 * pennies, -1e-6 * pennies])[None]
    played, pure = np.full((1, 2), 0.5), np.array([[1.0, 0.0]])
    many = certify_batch(payoffs, [pure, played])
    np.testing.assert_array_equal(many.per_player, [[0.0, 1e-6]])
    assert many.gaps[0] <= 1e-10 * many.scales[0]
    assert not many.settled(1e-10)[0]
    assert certify_batch(payoffs, [played, played]).settled(1e-10)[0]

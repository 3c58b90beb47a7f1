"""The certificate of many one-shot games against the certificate of one."""

from fractions import Fraction

import numpy as np
import pytest

from equinfer.certificates import certify_nash
from equinfer.certificates.batch import certify_batch
from equinfer.errors import BadInput
from equinfer.games.tabular import TabularGame

SHAPES = [(3,), (1, 4), (3, 2), (2, 3, 4), (2, 2, 2, 3)]
GAMES = 20


def random_batch(rng, shape):
    """Games whose players think in very different units, and profiles with zeros."""
    unit = 10.0 ** rng.integers(-4, 7, size=(GAMES, len(shape), *[1] * len(shape)))
    level = 10.0 ** rng.integers(-4, 7, size=unit.shape)
    profiles = []
    for size in shape:
        policy = rng.random((GAMES, size)) * (rng.random((GAMES, size)) < 0.7)
        policy[:, 0] += 0.1
        profiles.append(policy / policy.sum(axis=1, keepdims=True))
    return unit * rng.normal(size=(GAMES, len(shape), *shape)) + level, tuple(profiles)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_game_by_game_it_is_the_certificate_of_one_game(shape):
    payoffs, profiles = random_batch(np.random.default_rng(len(shape)), shape)
    many = certify_batch(payoffs, profiles)
    for b, payoff in enumerate(payoffs):
        one = certify_nash(TabularGame.from_payoffs(payoff).tables(), [policy[b] for policy in profiles])
        rounding = many.numerical_errors[b] + one.numerical_error
        assert abs(many.gaps[b] - one.gap) <= rounding
        np.testing.assert_allclose(many.per_player[b], one.per_player, rtol=0, atol=rounding)
        np.testing.assert_allclose(many.values[b], one.values[:, 0], rtol=1e-13)
        assert many.numerical_errors[b] == pytest.approx(one.numerical_error, rel=1e-9)


def exact_gap(payoff, profile):
    """In rational numbers: of the game and of the profile with rows divided by their exact sums."""
    mixtures = [[Fraction(float(p)) for p in policy] for policy in profile]
    mixtures = [[p / sum(mixture) for p in mixture] for mixture in mixtures]
    gap = Fraction(0)
    for player, table in enumerate(payoff):
        own = [Fraction(0)] * table.shape[player]
        for cell in np.ndindex(table.shape):
            weight = Fraction(1)
            for other, action in enumerate(cell):
                if other != player:
                    weight *= mixtures[other][action]
            own[cell[player]] += weight * Fraction(float(table[cell]))
        gap = max(gap, max(own) - sum(p * value for p, value in zip(mixtures[player], own, strict=True)))
    return gap


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_exact_gap_is_within_the_rounding_bound(shape):
    payoffs, profiles = random_batch(np.random.default_rng(10 + len(shape)), shape)
    many = certify_batch(payoffs, profiles)
    for b, payoff in enumerate(payoffs):
        off = abs(exact_gap(payoff, [policy[b] for policy in profiles]) - Fraction(float(many.gaps[b])))
        assert off <= Fraction(float(many.numerical_errors[b]))
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

"""The certificate of many joint laws against the certificate of one, and against rational arithmetic."""

from fractions import Fraction

import numpy as np
import pytest
from batched_games import random_games

from equinfer.answer import Joint
from equinfer.certificates import certify_coarse_correlated, certify_correlated
from equinfer.certificates.batch_laws import certify_laws
from equinfer.errors import BadInput
from equinfer.games.tabular import TabularGame

SHAPES = [(3,), (1, 4), (3, 2), (2, 3, 4), (2, 2, 2, 3)]
GAMES = 20
ONE = {True: certify_correlated, False: certify_coarse_correlated}

every_case = pytest.mark.parametrize(
    ("shape", "told"), [(shape, told) for shape in SHAPES for told in (True, False)], ids=str
)


def random_batch(shape, seed):
    """Games whose players think in very different units, and laws with zeros."""
    rng = np.random.default_rng(seed)
    laws = rng.random((GAMES, np.prod(shape))) * (rng.random((GAMES, np.prod(shape))) < 0.6)
    laws[:, 0] += 0.1
    laws /= laws.sum(axis=1, keepdims=True)
    return random_games(shape, GAMES, seed, units=True), laws.reshape(GAMES, *shape)


def exact_gains(payoff, law, told):
    """Of each player, from the definition."""
    law = {m: Fraction(float(law[m])) for m in np.ndindex(law.shape)}
    total = sum(law.values())
    gains = []
    for player, table in enumerate(payoff):
        actions = range(table.shape[player])

        def gain(a, b, player=player, table=table):
            """Of doing b whenever told a."""
            instead = ((m, (*m[:player], b, *m[player + 1 :])) for m in law if m[player] == a)
            return sum(law[m] * (Fraction(float(table[other])) - Fraction(float(table[m]))) for m, other in instead)

        if told:
            gains.append(sum(max(gain(a, b) for b in actions) for a in actions) / total)
        else:
            gains.append(max(0, *(sum(gain(a, b) for a in actions) for b in actions), 0) / total)
    return gains


@every_case
def test_game_by_game_it_is_the_certificate_of_one_game(shape, told):
    payoffs, laws = random_batch(shape, len(shape))
    many = certify_laws(payoffs, laws, told=told)
    for b, payoff in enumerate(payoffs):
        one = ONE[told](TabularGame.from_payoffs(payoff).tables(), Joint(laws[b : b + 1]))
        rounding = many.per_player_errors[b] + one.per_player_error
        assert np.all(np.abs(many.per_player[b] - one.per_player) <= rounding)
        assert np.all(np.abs(many.values[b] - one.values[:, 0]) <= rounding + 1e-13 * np.abs(one.values[:, 0]))
        assert np.all(many.per_player_errors[b] <= 1e-13 * (np.abs(payoff).max() + np.ptp(payoff)))
        assert many.settled(1e-10)[b] == one.settled(1e-10)


@every_case
def test_the_exact_gains_are_within_the_rounding_bound(shape, told):
    payoffs, laws = random_batch(shape, 10 + len(shape))
    many = certify_laws(payoffs, laws, told=told)
    for b, payoff in enumerate(payoffs):
        gains = exact_gains(payoff, laws[b], told)
        for gain, found, error in zip(gains, many.per_player[b], many.per_player_errors[b], strict=True):
            assert abs(gain - Fraction(float(found))) <= Fraction(float(error))


def test_many_blocks_are_one():
    payoffs = np.random.default_rng(4).random((9_000, 2, 2, 3))
    laws = np.full((9_000, 2, 3), 1 / 6)
    whole, end = certify_laws(payoffs, laws, told=True), certify_laws(payoffs[8_000:], laws[8_000:], told=True)
    np.testing.assert_array_equal(whole.gaps[8_000:], end.gaps)
    assert np.all(whole.gaps[:8_000] > 0)


@pytest.mark.parametrize("law", [[[0.5, 0.4], [0, 0]], [[1.5, -0.5], [0, 0]], [[np.nan, 1], [0, 0]]])
def test_what_is_no_law_is_refused_with_its_game(law):
    laws = np.full((4, 2, 2), 0.25)
    laws[2] = law
    with pytest.raises(BadInput, match="game 2: "):
        certify_laws(np.zeros((4, 2, 2, 2)), laws, told=True)

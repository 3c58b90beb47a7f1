"""Mean-field games played by a few: exact Nash gaps of the policy of infinitely many."""

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.errors import BadInput
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.mean_field_players import lifted


def gained(game, policy, number):
    """What one player gains by the best response when all n play the policy."""
    table = game.with_players(number)
    certificate = eq.certify(table, lifted(game, policy, number))
    return float(certificate.deviation(0).gain[0] @ np.asarray(table.initial))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_gap_at_a_fork_falls_like_the_number_of_players(number):
    # With q = 2/3 on the left: left costs (1 + (n - 1) q) / n, right 2 (1 + (n - 1)(1 - q)) / n, that is 1/n more.
    game = eq.load("catalog:mean_field/left_right")
    policy = eq.solve(game).policy
    assert gained(game, policy, number) == pytest.approx(1 / 3 / number, abs=1e-12)


def test_who_moves_first_is_seen_by_others_later():
    """Kernels at the law of n players: infection by the other one, with probability .81 / 2."""
    game = eq.load("catalog:mean_field/susceptible_infected", T=1)
    table = game.with_players(2)
    kernel = np.asarray(table.kernel.dense())
    # Epoch 0, the first susceptible and out, the second infected: states are numbered (first, second) in C order.
    following = kernel[1, 0, 0, 4:].reshape(2, 2)
    np.testing.assert_allclose(following, np.outer([1 - 0.405, 0.405], [0.3, 0.7]), rtol=0, atol=1e-15)
    # Two who keep away pay .5, and 1 more for being ill.
    np.testing.assert_allclose(np.asarray(table.reward)[:, 1, 1, 1], [-0.5, -1.5], rtol=0, atol=1e-15)
    np.testing.assert_allclose(np.asarray(table.initial)[:4].reshape(2, 2), np.outer([0.4, 0.6], [0.4, 0.6]))


def test_illegal_actions_stay_illegal():
    legal = np.array([[True, False], [True, True]])
    game = MeanFieldGame(lambda t, law: -law, np.eye(2)[[[0, 1], [0, 1]]], [0.5, 0.5], horizon=1, legal=legal)
    table = game.with_players(2)
    assert [mask.tolist() for mask in map(np.asarray, table.legal)] == [
        [[True, False], [True, False], [True, True], [True, True]],
        [[True, False], [True, True], [True, False], [True, True]],
    ]


def test_an_equilibrium_of_the_few_can_be_solved_for():
    """Of two at a fork, both go left: right would cost as much."""
    game = eq.load("catalog:mean_field/left_right")
    solution = eq.solve(game.with_players(2))
    assert solution.certified


@pytest.mark.parametrize(("number", "message"), [(0, "at least one player"), (9, "table of")])
def test_numbers_that_cannot_be(number, message):
    with pytest.raises(BadInput, match=message):
        eq.load("catalog:mean_field/left_right").with_players(number)


def test_several_populations_are_refused():
    with pytest.raises(BadInput, match="one population"):
        eq.load("catalog:mean_field/crowd_avoidance").with_players(2)
    one = MeanFieldGame(lambda t, law: jnp.zeros((1, 1)), np.ones((1, 1, 1)), [1.0], discount=0.5)
    with pytest.raises(BadInput, match="with a horizon"):
        one.with_players(1)

"""Mean-field games played by a few: exact Nash gaps of the policy of infinitely many."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.equations.mean_field_players import one_of_many
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


@pytest.mark.parametrize(("number", "message"), [(0, "number of players must be a whole number"), (9, "table of")])
def test_numbers_that_cannot_be(number, message):
    with pytest.raises(BadInput, match=message):
        eq.load("catalog:mean_field/left_right").with_players(number)


def test_several_populations_are_refused():
    with pytest.raises(BadInput, match="one population"):
        eq.load("catalog:mean_field/crowd_avoidance").with_players(2)
    one = MeanFieldGame(lambda t, law: jnp.zeros((1, 1)), np.ones((1, 1, 1)), [1.0], discount=0.5)
    with pytest.raises(BadInput, match="with a horizon"):
        one.with_players(1)


@pytest.mark.parametrize("number", [1, 3])
def test_one_of_many_faces_what_one_of_the_few_does(number):
    """Where the only choice comes before anybody is seen, seeing the others is worth nothing."""
    game = eq.load("catalog:mean_field/congestion")
    policy = np.full((2, 4, 3), 1 / 3)
    assert eq.certify(one_of_many(game, policy, number), policy).gap == pytest.approx(
        gained(game, policy, number), abs=1e-12
    )


def test_the_gap_of_the_crowds_equilibrium_vanishes_as_the_crowd_grows():
    game = eq.load("catalog:mean_field/crowd_motion", torus_l=4, torus_w=4)
    policy = eq.solve(game).policy
    gaps = [eq.certify(one_of_many(game, policy, number), policy).gap for number in (10, 40, 160, 640)]
    assert all(now < before / 2 for before, now in itertools.pairwise(gaps))
    fork = eq.load("catalog:mean_field/left_right")
    even = eq.solve(fork).policy
    assert eq.certify(one_of_many(fork, even, 300), even).gap == pytest.approx(1 / 900, abs=1e-11)


@pytest.mark.parametrize("name", ["rock_paper_scissors", "susceptible_infected", "crowd_avoidance"])
def test_one_of_many_is_refused_where_crowds_answer(name):
    game = eq.load(f"catalog:mean_field/{name}")
    with pytest.raises(BadInput, match="one of many"):
        one_of_many(game, game.uniform_profile()[0], 3)

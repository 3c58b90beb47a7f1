"""What a belief is worth: by hand, and within Theorem E's bound."""

import numpy as np
import pytest

from equinfer.contraction import context_law
from equinfer.games.catalog import load
from equinfer.games.tabular import TabularGame
from equinfer.opponents.judging import best_response_regret, imagined_game, judge, marginal_beliefs, regret_bound


def test_a_wrong_guess_about_a_coin_by_hand():
    # Matching pennies, stake 1: believed heads 0.6, true 0.3. Best response heads earns 2 * 0.3 - 1 = -0.4, tails 0.4.
    game = load("matching_pennies")
    belief, truth = np.array([[0.6, 0.4]]), (np.array([[0.5, 0.5]]), np.array([[0.3, 0.7]]))
    rows, others = np.zeros(4, int), np.array([[0], [1], [1], [1]])
    found = judge(game.tables(), 0, belief, truth, rows, others)
    assert found.log_loss == pytest.approx(-(np.log(0.6) + 3 * np.log(0.4)) / 4)
    assert found.distance == pytest.approx(0.3)
    assert found.mean_distance == pytest.approx(0.3)
    assert found.regret == pytest.approx(0.8)
    assert found.bound == pytest.approx(2 * 2 * 0.3)


def test_what_was_thought_impossible_has_infinite_loss():
    game, belief = load("matching_pennies"), np.array([[1.0, 0.0]])
    found = judge(game.tables(), 0, belief, game.uniform_profile(), np.zeros(1, int), np.ones((1, 1), int))
    assert found.log_loss == np.inf


@pytest.mark.parametrize("horizon", [None, 3])
@pytest.mark.parametrize("seed", range(5))
def test_regret_is_within_theorem_e(seed, horizon):
    rng = np.random.default_rng(seed)
    shape = (3, 2, 2, 2)
    game = TabularGame(
        rng.random((3, *shape)), rng.dirichlet(np.ones(3), shape), discount=[0.5, 0.9, 0.7], horizon=horizon
    )
    rows = 3 * (horizon or 1)
    lead = () if horizon is None else (horizon,)
    truth = tuple(rng.dirichlet(np.ones(2), (*lead, 3)) for _ in range(3))
    belief = tuple(rng.dirichlet(np.ones(2), rows) for _ in range(3))
    for player in range(3):
        law = context_law(belief, player)
        again = marginal_beliefs(law, game.num_actions, player)
        for j in range(3):
            if j != player:
                np.testing.assert_allclose(again[j], belief[j], rtol=1e-12)
        found = judge(game.tables(), player, law, truth, np.zeros(1, int), np.zeros((1, 2), int))
        assert 0 <= found.regret <= found.bound
        right = tuple(policy.reshape(rows, 2) for policy in truth)
        assert best_response_regret(game.tables(), player, right, truth) <= 1e-12


def test_the_bound_is_attained():
    # An agent who guesses a coin that it believes fair loses 2 osc D: here everything to one side of even.
    game = load("matching_pennies")
    belief, truth = (
        (np.array([[0.5, 0.5]]), np.array([[0.5 + 1e-9, 0.5]])),
        (np.ones((1, 2)) / 2, np.array([[0.2, 0.8]])),
    )
    belief = tuple(policy / policy.sum() for policy in belief)
    regret = best_response_regret(game.tables(), 0, belief, truth)
    assert regret == pytest.approx(regret_bound(game.tables(), 0, 0.3))


def test_the_imagined_game_has_my_rewards_and_the_inferred_ones():
    game = load("chicken")
    mine = imagined_game(game, 0, [None, np.array([[1.0, 5.0]])])
    np.testing.assert_array_equal(mine.reward[0], game.reward[0])
    np.testing.assert_array_equal(mine.reward[1, 0], [[1.0, 5.0], [1.0, 5.0]])

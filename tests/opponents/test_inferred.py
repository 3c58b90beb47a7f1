"""Inferred rewards explain the play of an agent who acts by the posterior (5), and more data explain it better."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_agents import seen_by, soft_policy

from equinfer.equations.information import total_variation
from equinfer.errors import BadInput
from equinfer.games.catalog import load
from equinfer.games.tabular import TabularGame
from equinfer.opponents import Empirical, Inferred, Moves, Own, Trajectory
from equinfer.opponents.moves import kept_share

GAMES = {
    "matching_pennies": (load("matching_pennies"), 0.7, [[0.8, 0.2]]),
    "chicken": (load("chicken"), 2.0, [[0.3, 0.7]]),
    "grid_game_1": (load("grid_game_1", discount=0.9), 10.0, None),
}


def play(name):
    """Game, and the profile in which player 1 answers the fixed play of player 0 softly."""
    game, temperature, own = GAMES[name]
    first = game.uniform_profile()[0] if own is None else np.array(own)
    return game, (first, soft_policy(game, 1, first, temperature)), temperature


def learnt(model, game, profile, moves_per_row, seed=0, times=400):
    rng = np.random.default_rng(seed)
    rows = np.tile(np.arange(game.num_states), moves_per_row)
    return fitted(model, jax.tree.map(jnp.asarray, game.unlabelled()), seen_by(game, 0, profile, rows, rng), times)


@eqx.filter_jit
def fitted(model, game, moves, times):
    state = model.update(model.init(game, 0), moves, 0)
    return model.refined(state, 0, times) if hasattr(model, "refined") else state


@pytest.mark.parametrize("name", GAMES)
def test_the_posterior_converges_to_the_play_it_is_inferred_from(name):
    # Weissman et al. 2003: frequencies of n draws of A actions are further than e from their law with a chance of at
    # most 2^A exp(-2 n e^2), e in total variation. Over all decision points and both sizes: false alarms below 1e-6.
    # The prior of precision 0.01 moves a log-probability of n moves by 0.01 |r| / (n p) at most, far less than that.
    game, profile, _ = play(name)
    model = Inferred(ridge=0.01, forgetting=0.0)
    worst = []
    for n in (200, 20_000 if game.num_states == 1 else 5_000):
        state = learnt(model, game, profile, n, times=3000)
        distance = np.asarray(total_variation(np.asarray(state[0].policy), profile[1]))
        allowed = np.sqrt(np.log(2.0 ** profile[1].shape[1] * 2 * game.num_states / 1e-6) / (2 * n))
        assert (distance <= allowed).all()
        worst.append(float(distance.mean()))
    assert worst[1] < worst[0] / 2


def test_a_free_table_with_next_to_no_prior_is_counting():
    game, profile, _ = play("chicken")
    state = learnt(Inferred(ridge=1e-9, forgetting=0.0), game, profile, 1000, times=500)
    actions = np.asarray(state[0].seen.actions)
    np.testing.assert_allclose(state[0].policy, actions / actions.sum(axis=1, keepdims=True), atol=1e-8)


@pytest.mark.parametrize("name", ["matching_pennies", "chicken"])
def test_features_give_back_the_weight_of_the_true_rewards(name):
    # One parameter, true value 1 / temperature. The information of n moves is a few tenths of n in these units, at
    # least n * 0.05 * osc^2: a false alarm at 6 standard errors has a chance of 2e-9.
    game, profile, temperature = play(name)
    n = 4000 if game.num_states == 1 else 400
    features = tuple(np.asarray(game.reward)[j][..., None] / temperature for j in (0, 1))
    model = Inferred(features=features, ridge=1e-6, forgetting=0.0)
    state = learnt(model, game, profile, n, times=30)
    theta = float(state[0].parameters[0])
    assert abs(theta - 1) < 6 / np.sqrt(0.02 * n * game.num_states)
    few = np.asarray(total_variation(np.asarray(state[0].policy), profile[1])).max()
    counted = learnt(Empirical(), game, profile, n)
    frequencies = np.asarray(counted[0]) / np.asarray(counted[0]).sum(axis=1, keepdims=True)
    if game.num_states > 1:  # one number, learnt from all states, against a law for each
        assert few < np.asarray(total_variation(frequencies, profile[1])).max() / 3
    (reward,) = model.rewards(state, 0)
    assert reward.shape == profile[1].shape


def test_who_shares_my_payoff_is_known_and_who_does_not_is_mistaken():
    common = np.array([[1.0, 0.0], [0.0, 2.0]])
    game = TabularGame.from_payoffs([common, common])
    for other, close in ((game, True), (TabularGame.from_payoffs([common, -common]), False)):
        first = np.array([[0.5, 0.5]])
        profile = (first, soft_policy(other, 1, first, 0.5))
        state = learnt(Own(temperature=0.5, forgetting=0.0), game, profile, 20_000)
        distance = float(total_variation(np.asarray(state[0].policy), profile[1])[0])
        # Right: rewards are known to sd / root n = .007, the logit's slope is at most 1/4 of that over 0.5.
        assert (distance < 0.03) if close else (distance > 0.4)


def test_trajectories_agree_with_actions_where_nothing_is_left_to_chance():
    game, profile, _ = play("chicken")
    model = Trajectory(forgetting=0.0, trajectories=256)
    state = learnt(model, game, profile, 5000)
    nothing = seen_by(game, 0, profile, np.zeros(0, int), np.random.default_rng(0))
    state = jax.lax.fori_loop(0, 400, lambda _, state: model.update(state, nothing, 0), state)
    # The rate leaves noise of about root(rate p (1-p) / 256) in a logit.
    np.testing.assert_allclose(state[0].policy, profile[1], atol=0.06)
    assert 1 <= float(state[0].effective_samples) <= 256


def test_prior_policies_are_what_is_believed_before_anything_is_seen():
    game = load("chicken")
    prior = (np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]]))
    model = Inferred(prior=prior)
    np.testing.assert_allclose(model.predict(model.init(game, 0), game.uniform_profile(), 0), [[0.9, 0.1]])


def test_forgetting_follows_who_changes_its_mind():
    # Two halves of 1,000 moves with opposite play: who remembers all believes the average, 0.4 away. With renewal 1/2
    # move m of n weighs m / n, so that a quarter of the weight is old: 0.2 away (in one batch a third, 0.27).
    game = load("chicken")
    errors = []
    for model in (Inferred(renewal=0.0), Inferred(forgetting=0.01, renewal=0.0), Inferred(renewal=0.5)):
        state = model.init(game, 0)
        for half, law in enumerate(([[0.9, 0.1]], [[0.1, 0.9]])):
            profile = (np.array([[0.5, 0.5]]), np.array(law))
            for batch in range(10):
                rng = np.random.default_rng(10 * half + batch)
                state = model.update(state, seen_by(game, 0, profile, np.zeros(100, int), rng), 0)
        state = model.refined(state, 0, 500)
        errors.append(abs(float(state[0].policy[0, 0]) - 0.1))
    # The last hundred moves or so: a standard error of 0.3 / root 200 = 0.02. Of 1,000 halves: 0.3 / root 1500 = 0.008.
    # Batches of 100 forget a little less than single moves.
    assert errors[0] == pytest.approx(0.4, abs=0.05)
    assert errors[1] < 0.11
    assert errors[2] == pytest.approx(0.2, abs=0.05)


def test_with_half_a_renewal_a_move_weighs_by_its_place():
    # Sums of n moves are (n + 1) / 2, and move m is left with prod_k>=m k / (k + 1) = m / n of its weight.
    weights = np.zeros(0)
    for n in range(1, 200):
        kept = kept_share(np.array([weights.sum()]), np.ones(1), 0.0, 0.5)
        weights = np.append(float(kept[0]) * weights, 1.0)
        np.testing.assert_allclose(weights, np.arange(1, n + 1) / n, rtol=1e-12)
    left = kept_share(np.array([8.0, 0.0, 8.0]), np.array([3.0, 3.0, 0.0]), 0.5, 0.0)
    np.testing.assert_allclose(left[np.array([0, 2])], [1 / 8, 1.0])


@pytest.mark.parametrize("player", [0, 1, 2])
def test_three_players_with_features_of_joint_actions(player):
    # Each is paid for doing what the next one does; the counts of the rest enter in the right places.
    rng = np.random.default_rng(player)
    shape, n = (2, 3, 2), 60_000
    game = TabularGame.from_payoffs(rng.random((3, *shape)))
    laws = [rng.dirichlet(np.ones(a)) for a in shape]
    features = tuple(rng.normal(size=(1, *shape, 2)) for _ in shape)
    theta = np.array([1.0, -0.5])
    averages = [np.einsum(e, features[j][0] @ theta, *(laws[k] for k in range(3) if k != j))
                for j, e in enumerate(("abc,b,c->a", "abc,a,c->b", "abc,a,b->c"))]  # fmt: skip
    drawn = np.stack([rng.choice(a, n, p=law) for a, law in zip(shape, laws, strict=True)], axis=1)
    others = [j for j in range(3) if j != player]
    # Each other player answers the laws of the rest softly: the posterior of theta, whatever else is played.
    for j in others:
        answer = np.exp(averages[j]) / np.exp(averages[j]).sum()
        drawn[:, j] = rng.choice(shape[j], n, p=answer)
    zeros = jnp.zeros(n, int)
    moves = Moves(
        zeros, jnp.asarray(drawn[:, player]), jnp.asarray(drawn[:, others]), zeros, jnp.zeros(n), zeros, zeros == 0
    )
    model = Inferred(features=features, forgetting=0.0)
    state = model.refined(model.update(model.init(game, player), moves, player), player, 20)
    for j, each in zip(others, state, strict=True):
        counts = np.bincount(drawn[:, j], minlength=shape[j]) / n
        # Two parameters for at most two free logits: the posterior can say all that the counts do.
        np.testing.assert_allclose(each.policy[0], counts, atol=0.01)


def test_features_of_another_shape_are_refused():
    with pytest.raises(BadInput, match=r"features\[1\] must have shape \(1, 2, 2, F\); got \(1, 2, 3\)"):
        Inferred(features=(np.zeros((1, 2, 2, 1)), np.zeros((1, 2, 3)))).init(load("chicken"), 0)

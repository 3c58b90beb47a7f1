"""What a trained deviation gains is a lower bound of the gap."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

import equinfer as eq
from equinfer.data.arena import Arena
from equinfer.runs import last_phase


def debt(bonus):
    """What agent 0 is paid for each unit costs it two hundredths of it in every step from then on."""

    def step(owed, actions, *, key):
        used = jnp.clip(actions[0, 0], 0, 1)
        return owed + 0.02 * used, jnp.stack([bonus * used - owed, -(actions[1, 0] ** 2)]), False, False

    spaces = [eq.Box(-1, 1)] * 2
    return eq.ContinuousGame(lambda _: jnp.zeros(()), step, lambda owed, _: owed[None], spaces, 0.99, horizon=5)


def test_a_deviation_that_pays_until_the_episode_is_cut_is_no_bound():
    """Nothing beats using nothing for ever, which is worth 0, but within five steps using all is worth 5."""
    run = eq.train("iddpg", debt(-5.0), steps=500, seeds=1, hidden=8, batch=16)
    run = dataclasses.replace(run, game=debt(1.0), arena=Arena.of(debt(1.0)))
    phase = last_phase(run.learner, 500)
    state = jax.tree.map(lambda leaf: leaf[0], run.state)

    def worth(key):
        def body(carry, k):
            owed, weight = carry
            seen = jnp.broadcast_to(owed, (2, 1))
            used = jnp.clip(run.learner.act(run.arena, state, seen, phase, key=jax.random.fold_in(key, k))[0, 0], 0, 1)
            return (owed + 0.02 * used, 0.99 * weight), weight * (used - owed)

        return jax.lax.scan(body, (jnp.float32(0), jnp.float32(1)), jnp.arange(2000))[1].sum()

    worths = jax.jit(jax.vmap(worth))(jax.random.split(jax.random.key(3), 64))
    found = eq.best_response(run, 0, steps=500, restarts=1, episodes=64, hidden=8, batch=16)
    assert found.tail > 0
    assert found.low <= max(0.0, -float(worths.mean()) + 4 * float(worths.std()) / 8)


@pytest.fixture(scope="module")
def run():
    return eq.train("maddpg", "catalog:cournot", steps=500, seeds=1, hidden=8, batch=16)


@pytest.mark.slow
def test_no_deviation_gains_more_than_the_best(run):
    """Of a one-shot game, where the gap is exact: the agents play without chance once their noise is nothing."""
    quiet = eq.train(
        "maddpg", "catalog:cournot", steps=500, seeds=1, hidden=8, batch=16, noise_start=0.0, noise_end=0.0
    )
    exact = quiet.certificate[0]
    for agent in range(2):
        found = eq.best_response(quiet, agent, steps=1500, restarts=2, episodes=100)
        assert found.low <= found.gain <= exact.per_player[agent] + 1e-4
        assert found.gain >= 0.8 * exact.per_player[agent] - 0.02
        assert found.curve.shape == (2, 60)
        assert found.kind == "lower_bound"


def test_who_is_not_there(run):
    with pytest.raises(eq.BadInput, match="no agent 2"):
        eq.best_response(run, 2)
    with pytest.raises(eq.BadInput, match="no seed 3"):
        eq.best_response(run, 0, 3)

"""Who minds whom, proven of what a reward computes; and what a simulation may take for granted of it."""

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.equations.mean_field_locality import is_proven_local
from equinfer.equations.mean_field_players import one_of_many
from equinfer.equations.mean_field_structure import structure_of

STEPS = np.zeros((3, 2, 3))
STEPS[:, 0, 1] = STEPS[:, 1, 2] = 1


def game(reward):
    return eq.MeanFieldGame(reward, STEPS, [1, 0, 0], 2)


def by_state(law):
    return law.sum(axis=1)


LOCAL = {
    "logarithm": lambda t, law: -jnp.log(by_state(law) + 1e-3)[:, None] * jnp.array([[1.0, 2.0]]),
    "kept axis": lambda t, law: law.sum(axis=1, keepdims=True) ** 2 * jnp.ones((3, 2)),
    "matrix": lambda t, law: by_state(law)[:, None] @ jnp.array([[1.0, 3.0]]),
    "one by one": lambda t, law: jnp.stack([by_state(law)[i] for i in range(3)])[:, None] * jnp.ones((1, 2)),
    "none": lambda t, law: jnp.arange(6.0).reshape(3, 2),
}
OTHER = {
    "by action": lambda t, law: -law,
    "elsewhere, in a crowd": lambda t, law: -jnp.maximum(0, by_state(law)[::-1] - 0.9)[:, None] * jnp.ones((1, 2)),
    "exchanged": lambda t, law: jnp.stack([by_state(law)[i] for i in (0, 2, 1)])[:, None] * jnp.ones((1, 2)),
    "the mean": lambda t, law: (by_state(law) - by_state(law).max())[:, None] * jnp.ones((1, 2)),
    "cumulative": lambda t, law: jnp.cumsum(by_state(law))[:, None] * jnp.ones((1, 2)),
}


@pytest.mark.parametrize("name", LOCAL)
def test_rewards_by_the_crowd_in_the_same_place_are_proven_to_be(name):
    assert is_proven_local(game(LOCAL[name]))


@pytest.mark.parametrize("name", OTHER)
def test_other_rewards_are_not(name):
    assert not is_proven_local(game(OTHER[name]))


@pytest.mark.parametrize("name", ["beach_bar", "crowd_motion", "congestion", "left_right", "rock_paper_scissors"])
def test_what_is_proven_is_what_is_seen(name):
    known = eq.load(f"catalog:mean_field/{name}")
    assert is_proven_local(known) == structure_of(known.tables()).local


def shy(t, law):
    """Local but where nearly everybody is in the middle, which is felt at the side."""
    mass = law.sum(axis=1)
    costs = jnp.stack([0 * mass[0], mass[1], 2 * mass[2] + 5 * jnp.maximum(0, mass[1] - 0.9)])
    return -costs[:, None] * jnp.ones((1, 2))


def test_one_of_many_is_refused_where_crowds_are_felt_elsewhere():
    assert structure_of(game(shy).tables()).local  # as far as random flows show
    with pytest.raises(eq.BadInput, match="one of many"):
        one_of_many(game(shy), np.full((2, 3, 2), 0.5), 3)


@pytest.mark.slow
def test_simulation_holds_what_is_exact_where_crowds_are_felt_elsewhere():
    policy = np.broadcast_to([0.95, 0.05], (2, 3, 2)).copy()
    exact = eq.players_gap(game(shy), policy, 3, exact=True)
    found = eq.players_gap(game(shy), policy, 3, exact=False)
    assert found.interval[0] <= exact.gap <= found.interval[1]

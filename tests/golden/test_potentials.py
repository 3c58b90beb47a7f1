"""Potentials: what one player gains by a new policy, the potential gains too, from every state."""

import numpy as np
import pytest
from judge import values_and_gap

from equinfer.games import catalog


def worth(game, table, profile):
    """Discounted sum of a table (S, *A) under a profile."""
    tables = game.tables()
    kernel = tables.kernel
    for policy in profile:  # the first action axis is always axis 1
        shape = (len(policy), -1, *(1,) * (table.ndim - 2))
        table = (policy.reshape(shape) * table).sum(axis=1)
        kernel = (policy.reshape(*shape, 1) * kernel).sum(axis=1)
    return np.linalg.solve(np.eye(len(kernel)) - tables.discount[0] * kernel, table)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("congestion", {}),
        ("congestion", {"players": 3, "slopes": (1.0, 0.0), "offsets": (2.0, 3.0)}),
        ("random_potential", {}),
        ("random_potential", {"controlled": True}),
        ("random_potential", {"players": 3, "actions": (2, 3, 2), "controlled": True, "discount": 0.8, "seed": 2}),
        ("random_potential", {"players": 3, "actions": (2, 3, 2), "seed": 2}),
    ],
    ids=str,
)
def test_gains_are_gains_of_the_potential(name, parameters):
    game, potential = catalog.load(name, **parameters), catalog.stage_potential(name, **parameters)
    rng = np.random.default_rng(1)

    def drawn(size):
        policy = rng.exponential(size=(game.num_states, size))
        return policy / policy.sum(axis=1, keepdims=True)

    scale = game.tables().payoff_scale
    profile = [drawn(size) for size in game.num_actions]
    before = values_and_gap(game, profile)[0]
    for player, size in enumerate(game.num_actions):
        changed = [drawn(size) if j == player else policy for j, policy in enumerate(profile)]
        gain = values_and_gap(game, changed)[0][player] - before[player]
        expected = worth(game, potential, changed) - worth(game, potential, profile)
        assert np.abs(expected).max() > 1e-3 * scale
        np.testing.assert_allclose(gain, expected, rtol=0, atol=1e-14 * scale)


def test_players_of_a_potential_game_differ():
    for controlled in (False, True):
        reward = np.asarray(catalog.load("random_potential", controlled=controlled).reward)
        assert np.abs(reward[0] - reward[1]).max() > 0.1


def test_other_games_have_no_listed_potential():
    assert catalog.stage_potential("random") is None

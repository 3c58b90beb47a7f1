"""From an equilibrium of one game to the equilibrium of a similar game nearby, by Newton's method on supports."""

from typing import Any

import numpy as np

from equinfer.contraction import expected
from equinfer.solvers.tabular.polish import polish
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.types import Profile

__all__ = ["neighbour"]

_LARGEST_SYSTEM = 1_500
"""Mixing probabilities that are solved for at once: a second a step."""


def neighbour(game: Any, profile: Profile) -> Profile | None:
    """The equilibrium of `game` on the supports of `profile`, which are repaired where they no longer fit.

    With a finite horizon, epoch by epoch from the last one. None if Newton's method finds none, or if too many
    probabilities are mixed.
    """
    if game.horizon is None:
        return _solved(ScaledGame.of(game), profile)
    policies = tuple(np.zeros_like(policy) for policy in profile)
    value, discount = np.zeros((game.num_players, game.num_states)), np.asarray(game.discount)[:, None]
    for epoch in reversed(range(game.horizon)):
        stage = np.asarray(game.reward) + np.asarray(game.kernel.expect(discount * value))
        scaled = ScaledGame.of_arrays(stage, game.kernel, np.zeros(game.num_players), game.legal)
        now = _solved(scaled, tuple(policy[epoch] for policy in profile))
        if now is None:
            return None
        for whole, policy in zip(policies, now, strict=True):
            whole[epoch] = policy
        value = np.stack([expected(table, now) for table in stage])
    return policies


def _solved(scaled: ScaledGame, profile: Profile) -> Profile | None:
    flat = np.concatenate([np.asarray(policy) for policy in profile], axis=1)
    if np.count_nonzero(flat) - scaled.num_states * scaled.num_players > _LARGEST_SYSTEM:
        return None
    found = polish(scaled, flat, flat > 0)
    return None if found is None else tuple(np.array(policy) for policy in scaled.split(found.policy))

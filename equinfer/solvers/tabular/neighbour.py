"""From an equilibrium of one game to the equilibrium of a similar game nearby, by Newton's method on supports."""

from typing import Any

import numpy as np

from equinfer.contraction import expected
from equinfer.solvers.tabular.polish import exact_values, polish
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.types import Profile

__all__ = ["beyond_switch", "neighbour"]

_LARGEST_SYSTEM = 1_500
"""Mixing probabilities that are solved for at once: a second a step."""
_PARTS = 16
"""Parts of a switch, at the ends of which everybody else's incentives are looked at."""
_HALVINGS = 40


def neighbour(game: Any, profile: Profile) -> Profile | None:
    """The equilibrium of `game` on the supports of `profile`, which are repaired where they no longer fit.

    With a finite horizon, epoch by epoch from the last one. None if Newton's method finds none, or if too many
    probabilities are mixed.
    """
    if game.horizon is None:
        return _solved(ScaledGame.of(game), profile)
    policies = tuple(np.zeros_like(policy) for policy in profile)
    value = np.zeros((game.num_players, game.num_states))
    for epoch in reversed(range(game.horizon)):
        stage = stage_payoffs(game, value)
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


def beyond_switch(game: Any, profile: Profile) -> Profile | None:
    r"""Where an equilibrium goes when one player is about to switch in one state, nobody else mixing with it.

    There the player is indifferent, and equilibria form a segment on which it plays its better action more and more.
    The segment ends when the switch is complete, or when an action of somebody else becomes a best response; from there
    both mix. Either is solved for by Newton's method.

    **Returns:** the equilibrium beyond, of this game, in which the better action already is one; None if nobody has
    such an action, there is no such equilibrium, or the game has a finite horizon.
    """
    if game.horizon is not None:
        return None
    scaled = ScaledGame.of(game)
    flat = np.concatenate([np.asarray(policy) for policy in profile], axis=1)
    idle = scaled.legal & (flat == 0)
    gains = np.where(idle, _gains(scaled, flat), -np.inf)
    if not gains.max() > 0:
        return None
    state, action = np.unravel_index(np.argmax(gains), flat.shape)
    own = scaled.columns[int(scaled.owner[action])]
    switched = flat.copy()
    switched[state, own] = 0.0
    switched[state, action] = 1.0
    idle[state, own] = False

    def tempted(part: float) -> np.ndarray:
        """What others gain by actions that they do not play, with the switch done in part."""
        return np.where(idle, _gains(scaled, (1 - part) * flat + part * switched), -np.inf)

    support = switched > 0
    done, broken = 0.0, next((part for part in np.linspace(0, 1, _PARTS + 1)[1:] if tempted(part).max() > 0), None)
    if broken is None:
        done = 1.0
    else:
        done = broken - 1 / _PARTS
        for _ in range(_HALVINGS):
            middle = (done + broken) / 2
            done, broken = (done, middle) if tempted(middle).max() > 0 else (middle, broken)
        support |= flat > 0
        support[np.unravel_index(np.argmax(tempted(broken)), flat.shape)] = True
    found = polish(scaled, (1 - done) * flat + done * switched, support)
    return None if found is None else tuple(np.array(policy) for policy in scaled.split(found.policy))


def _gains(scaled: ScaledGame, flat: np.ndarray) -> np.ndarray:
    """What each action would gain over what is played."""
    values = exact_values(scaled, flat)
    return values.action_values - values.value[:, scaled.owner]

"""What a solve answers with: a profile, a joint law of everybody's actions, or a profile for every public signal."""

from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Float

__all__ = ["RARE", "Answer", "Joint", "Profile", "PublicPlay", "average_play", "marginals", "product"]

RARE = 1e-9
"""Probabilities that are not larger are what methods of finite precision leave of zero."""

Profile: TypeAlias = tuple[Float[np.ndarray, "..."], ...]
"""One policy per player, arrays ([H,] S, A_i): what each does alone."""


class Joint(NamedTuple):
    """A law over joint actions in every state, from which a mediator draws and tells each player its own part."""

    joint: Float[np.ndarray, "*HS_A"]
    """([H,] S, A_1, ..., A_N); 0 on illegal joint actions."""


class PublicPlay(NamedTuple):
    """A public signal, drawn anew in every decision epoch, and the profile that each of its W values calls for."""

    signal: Float[np.ndarray, "*HS W"]
    """Its law in every state, ([H,] S, W)."""
    profile: Profile
    """Per player, (W, [H,] S, A_i)."""


Answer: TypeAlias = Profile | Joint | PublicPlay


def marginals(joint: Float[np.ndarray, "*HS_A"], num_players: int) -> Profile:
    """What each of the players does, seen alone, ([H,] S, A_i)."""
    lead = joint.ndim - num_players
    return tuple(
        joint.sum(axis=tuple(lead + other for other in range(num_players) if other != player))
        for player in range(num_players)
    )


def product(profile: Profile) -> Float[np.ndarray, "*HS_A"]:
    """The joint law of players who choose independently, ([H,] S, A_1, ..., A_N)."""
    joint = profile[0]
    for more, policy in enumerate(profile[1:], start=1):
        joint = joint[..., None] * policy.reshape(*policy.shape[:-1], *[1] * more, policy.shape[-1])
    return joint


def average_play(play: PublicPlay) -> Profile:
    """What each player does, seen alone and without the signal, ([H,] S, A_i)."""
    weight = np.moveaxis(play.signal, -1, 0)[..., None]
    return tuple((weight * policy).sum(axis=0) for policy in play.profile)

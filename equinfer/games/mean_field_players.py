"""A mean-field game played by a few: the same rewards and kernels at the law that n players make."""

import itertools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equinfer.arguments import whole
from equinfer.errors import BadInput
from equinfer.games.kernels import SparseKernel
from equinfer.games.tabular import TabularGame
from equinfer.types import AnyArray, Profile

__all__ = ["as_players", "entries_of", "lifted"]

_MOST_ENTRIES = 2e7
"""Of the table of transitions."""


def as_players(game: Any, number: int) -> TabularGame:
    r"""The game of `number` players, each with reward and moves of the mean-field game at the law of all of them,
    $L(s,a)=\#\{j:s_j=s,a_j=a\}/n$; everybody sees everybody. Its states are the epoch and where everybody is.

    **Raises:** `BadInput` for stationary games, several populations, and games whose table is too large.
    """
    if game.horizon is None or game.num_players != 1:
        raise BadInput("only games of one population with a horizon can be played by a number of players.")
    number = whole("the number of players", number, 1)
    horizon, states, actions = game.horizon, game.num_states, game.num_actions[0]
    entries = entries_of(game, number)
    if entries > _MOST_ENTRIES:
        raise BadInput(
            f"{number} players in {states} states with {actions} actions over {horizon} epochs make a table of "
            f"{entries:.1e} transitions, more than {_MOST_ENTRIES:.0e}."
        )
    places = states**number
    where = np.array(list(itertools.product(range(states), repeat=number)))
    what = np.array(list(itertools.product(range(actions), repeat=number)))
    with jax.enable_x64(True):
        epochs = [_epoch(game, t, where, what) for t in range(horizon)]
    choices = (actions,) * number
    reward = np.concatenate([np.asarray(paid) for paid, _ in epochs]).reshape(horizon * places, *choices, number)
    chances = np.concatenate([np.asarray(moves) for _, moves in epochs]).reshape(horizon * places, *choices, places)
    # Nothing follows the last epoch: where it leads to does not matter.
    ahead = np.minimum(np.arange(horizon) + 1, horizon - 1) * places
    successors = np.repeat(ahead[:, None] + np.arange(places), places, axis=0)
    successors = np.broadcast_to(successors.reshape(horizon * places, *(1,) * number, places), chances.shape)
    initial = np.zeros(horizon * places)
    initial[:places] = np.prod(np.asarray(game.initial[0])[where], axis=1)
    mask = np.tile(np.asarray(game.legal[0])[where], (horizon, 1, 1))
    return TabularGame(
        np.moveaxis(reward, -1, 0),
        SparseKernel(successors, chances),
        discount=game.discount,
        horizon=horizon,
        initial=initial,
        legal=[mask[:, i] for i in range(number)],
        state_labels=[
            f"{t}: {', '.join(game.state_labels[s] for s in places)}" for t in range(horizon) for places in where
        ],
        action_labels=[game.action_labels[0]] * number,
        name=f"{game.name} of {number} players",
    )


def entries_of(game: Any, number: int) -> float:
    """Of the table of transitions of so many players."""
    digits = math.log(game.horizon) + number * math.log(game.num_states**2 * game.num_actions[0])
    return math.exp(digits) if digits < 700 else math.inf


def lifted(game: Any, policy: Float[np.ndarray, "H S A"], number: int) -> Profile:
    """What `number` players do who all play the policy of a mean-field game, in `as_players(game, number)`."""
    where = np.array(list(itertools.product(range(game.num_states), repeat=number)))
    own = [np.concatenate([now[where[:, i]] for now in policy]) for i in range(number)]
    return tuple(np.broadcast_to(each, (game.horizon, *each.shape)) for each in own)


def _epoch(game: Any, t: int, where: np.ndarray, what: np.ndarray) -> tuple[Array, Array]:
    """Rewards (places, joint actions, n), and chances of all places next (places, joint actions, places)."""
    number, states, actions = where.shape[1], game.num_states, game.num_actions[0]
    transition = game.transitions[0]

    def at(places: Any, chosen: Any) -> tuple[Array, Array]:
        law = jnp.zeros((states, actions)).at[places, chosen].add(1 / number)
        moves = jax.vmap(lambda value: transition.expect(t, (law,), value), out_axes=-1)(jnp.eye(states))
        joint = jnp.ones(1)
        for i in range(number):
            joint = jnp.outer(joint, moves[places[i], chosen[i]]).ravel()
        return game.rewards_at(t, (law,))[0][places, chosen], joint

    @jax.jit
    def all_of_them(where: AnyArray, what: AnyArray) -> tuple[Array, Array]:
        return jax.lax.map(lambda places: jax.vmap(lambda chosen: at(places, chosen))(what), where)

    return all_of_them(jnp.asarray(where), jnp.asarray(what))

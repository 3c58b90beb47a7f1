"""What every player sees of moves that were made: the joint of playing and learning."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.contraction import context_law
from equinfer.equations.information import total_variation
from equinfer.opponents import Moves
from equinfer.types import AnyArray, PRNGKey, Profile

__all__ = ["belief_error", "observed"]


def observed(game: Any, rows: Int[Array, " W"], actions: Int[Array, "W N"], key: PRNGKey) -> tuple[Moves, ...]:
    """One view per player of one move of W worlds, each at a decision point of `rows`.

    Where the last epoch is over, `continues` is False and `next_rows` a state of the first epoch.
    """
    epochs, num_states = game.horizon or 1, game.num_states
    states = rows % num_states
    next_states = game.kernel.draw(states, actions, key)
    if game.horizon is None:
        next_rows, continues = next_states, jnp.ones(rows.shape, bool)
    else:
        later = rows - states + num_states
        continues = later < epochs * num_states
        next_rows = jnp.where(continues, later, 0) + next_states
    views = []
    for player in range(game.num_players):
        others = jnp.delete(actions, player, axis=1)
        sizes = [size for j, size in enumerate(game.num_actions) if j != player]
        reward = jnp.asarray(game.reward)[(player, states, *actions.T)]
        context = jnp.zeros(rows.shape, actions.dtype)
        for m, size in enumerate(sizes):
            context = context * size + others[:, m]
        views.append(Moves(rows, actions[:, player], others, context, reward, next_rows, continues))
    return tuple(views)


def belief_error(beliefs: tuple[Float[AnyArray, "R _"], ...], executed: Profile) -> Float[jax.Array, ""]:
    """The largest total variation between what a player believes of the others and what they execute, anywhere.

    No player knows it: it is for the trace.
    """
    furthest = [
        jnp.max(jnp.asarray(total_variation(belief, context_law(executed, i)))) for i, belief in enumerate(beliefs)
    ]
    return jnp.max(jnp.stack(furthest))

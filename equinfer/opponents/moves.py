"""What an agent sees of the play, and what it sees others do, summed up."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from equinfer.types import AnyArray, ScalarLike

__all__ = ["Moves", "Statistics", "gathered", "kernel_of", "no_statistics"]


class Moves(NamedTuple):
    """What one agent sees of W moves: nothing of the others' rewards, policies or beliefs."""

    rows: Int[AnyArray, " W"]
    """Decision points: states, or epochs and states."""
    action: Int[AnyArray, " W"]
    others: Int[AnyArray, "W M"]
    """What each of the others did, in order of players."""
    context: Int[AnyArray, " W"]
    """The same, flattened."""
    reward: Float[AnyArray, " W"]
    """Its own."""
    next_rows: Int[AnyArray, " W"]
    continues: Bool[AnyArray, " W"]
    """False where the last epoch is over and no value follows."""


class Statistics(NamedTuple):
    """What `player` has seen of one of the others, as sums over moves."""

    actions: Float[AnyArray, "R A"]
    """How often each action was taken."""
    reward: Float[AnyArray, "R A"]
    """What `player` itself earned when it was."""
    successors: Float[AnyArray, "R A R2"]
    """Which decision point followed; the end of the game is none."""
    rest: Float[AnyArray, "R *rest"]
    """How often everybody else, `player` included, took each joint action: an axis per player but this one."""


def no_statistics(num_rows: int, num_actions: tuple[int, ...], other: int) -> Statistics:
    """Nothing seen yet of player `other`, in a game where the players have `num_actions`."""
    table = jnp.zeros((num_rows, num_actions[other]))
    rest = [size for k, size in enumerate(num_actions) if k != other]
    return Statistics(table, table, jnp.zeros((*table.shape, num_rows)), jnp.zeros((num_rows, *rest)))


def gathered(statistics: Statistics, moves: Moves, player: int, other: int, forgetting: ScalarLike = 0.0) -> Statistics:
    """The statistics of player `other` after the moves that `player` saw.

    **Arguments:** `forgetting` is the share of a decision point's sums that is dropped at each move seen there.
    """
    joint = list(moves.others.T)
    joint.insert(player, moves.action)
    action, rows = joint.pop(other), moves.rows
    seen = jnp.zeros_like(statistics.actions[:, 0]).at[rows].add(1.0)
    kept = (1 - forgetting) ** seen
    one = jnp.ones(rows.shape, seen.dtype)
    return Statistics(
        (kept[:, None] * statistics.actions).at[rows, action].add(one),
        (kept[:, None] * statistics.reward).at[rows, action].add(moves.reward),
        (kept[:, None, None] * statistics.successors)
        .at[rows, action, moves.next_rows]
        .add(moves.continues.astype(seen.dtype)),
        (kept.reshape(-1, *[1] * len(joint)) * statistics.rest).at[(rows, *joint)].add(one),
    )


def kernel_of(statistics: Statistics) -> Float[AnyArray, "R A R2"]:
    """Where an action of the other player leads, as it was seen; nowhere, if it never was."""
    seen = statistics.actions[..., None]
    return jnp.where(seen > 0, statistics.successors / jnp.where(seen > 0, seen, 1.0), 0.0)

"""What an agent sees of the play, and what it sees others do, summed up."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float, Int

from equinfer.types import AnyArray, ScalarLike

__all__ = ["Moves", "Statistics", "gathered", "kept_share", "kernel_of", "no_statistics"]


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


def kept_share(
    sums: Float[AnyArray, " R"], seen: Float[AnyArray, " R"], forgetting: ScalarLike, renewal: ScalarLike
) -> Float[jax.Array, " R"]:
    r"""What is left of the sums of a decision point after `seen` new moves there.

    Each move drops the share `forgetting` of them, and `renewal` of a move: then sums of $n$ moves weigh
    $(1-\text{renewal})\,n$, and one at $m\le n$ in proportion to $(m/n)^{r/(1-r)}$. Memory grows with what is seen, so
    that play which settles down is known ever better, and what was done before it settled counts for ever less.

    **Arguments:** `sums`, the weight of the moves that are remembered; `forgetting` and `renewal` in [0, 1).
    """
    left = jnp.asarray((1 - forgetting) ** seen * sums)
    dropped = jnp.minimum(renewal * seen, left)
    return jnp.where(sums > 0, (left - dropped) / jnp.where(sums > 0, sums, 1.0), 1.0)


def gathered(
    statistics: Statistics,
    moves: Moves,
    player: int,
    other: int,
    forgetting: ScalarLike = 0.0,
    renewal: ScalarLike = 0.0,
) -> Statistics:
    """The statistics of player `other` after the moves that `player` saw; `kept_share` says what is forgotten."""
    joint = list(moves.others.T)
    joint.insert(player, moves.action)
    action, rows = joint.pop(other), moves.rows
    seen = jnp.zeros_like(statistics.actions[:, 0]).at[rows].add(1.0)
    kept = kept_share(jnp.sum(statistics.actions, axis=1), seen, forgetting, renewal)
    one = jnp.ones(rows.shape, seen.dtype)

    def added(sums: AnyArray, where: tuple[AnyArray, ...], what: AnyArray) -> jax.Array:
        return jnp.asarray(kept.reshape(-1, *[1] * (sums.ndim - 1)) * sums).at[where].add(what)

    return Statistics(
        added(statistics.actions, (rows, action), one),
        added(statistics.reward, (rows, action), moves.reward),
        added(statistics.successors, (rows, action, moves.next_rows), moves.continues.astype(seen.dtype)),
        added(statistics.rest, (rows, *joint), one),
    )


def kernel_of(statistics: Statistics) -> Float[AnyArray, "R A R2"]:
    """Where an action of the other player leads, as it was seen; nowhere, if it never was."""
    seen = statistics.actions[..., None]
    return jnp.where(seen > 0, statistics.successors / jnp.where(seen > 0, seen, 1.0), 0.0)

r"""Potentials of stage games, state by state.

A stage game has a potential $\varphi$ iff for every pair of players and every choice of the others the table
$D=r_j-r_i$ has no *four-cycle*, $D(a,b)-D(a',b)+D(a',b')-D(a,b')=0$ (Monderer and Shapley, 1996, Corollary 2.9). The
four-cycle of mixed actions is linear in each of $p_i-p_i'$ and $p_j-p_j'$, so that none is larger than the worst of the
pure ones.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.errors import BadInput

__all__ = ["StageCycles", "own_variation", "stage_potential", "worst_stage_cycles"]

_MOST_COMPARISONS = 10**12
_BLOCK = 2**21
"""Entries that are compared at a time: 16 MiB."""


class StageCycles(NamedTuple):
    """The worst four-cycle of two players in every state."""

    players: tuple[int, int]
    sums: Float[np.ndarray, " S"]
    """Never negative."""
    actions: tuple[Int[np.ndarray, "S N"], Int[np.ndarray, "S N"]]
    """Two joint actions that differ in the choices of the two players only: a, b and a', b'."""


def stage_potential(
    reward: Float[np.ndarray, "N S *A"], legal: Sequence[Bool[np.ndarray, "S _"]], joint: Bool[np.ndarray, "S *A"]
) -> Float[np.ndarray, "S *A"]:
    """What the players gain in turn, from everybody's first legal action to a joint action: 0 there, and if illegal.

    It is the potential if there is one. The players move in order, each while those after it are still at the start.
    """
    potential = np.zeros(joint.shape)
    first = [mask.argmax(axis=1).reshape(-1, *[1] * (joint.ndim - 1)) for mask in legal]
    for player, table in enumerate(reward):
        for later in range(player + 1, len(legal)):
            table = np.take_along_axis(table, first[later], axis=1 + later)
        potential += table - np.take_along_axis(table, first[player], axis=1 + player)
    return np.where(joint, potential, 0.0)


def own_variation(
    table: Float[np.ndarray, "S *A"], joint: Bool[np.ndarray, "S *A"], player: int
) -> Float[np.ndarray, " S"]:
    """How much `player` can change the entry of a table by its own choice, whatever the others do, at most."""
    axis = 1 + player
    most = np.where(joint, table, -np.inf).max(axis=axis)
    least = np.where(joint, table, np.inf).min(axis=axis)
    spread = np.where(most >= least, most - least, 0.0)
    return spread.reshape(len(table), -1).max(axis=1)


def worst_stage_cycles(
    reward: Float[np.ndarray, "N S *A"], legal: Sequence[Bool[np.ndarray, "S _"]]
) -> Iterator[StageCycles]:
    """The worst four-cycles, for every pair of players.

    All pairs of actions of the one who has fewer are compared against every action of the other: time is the number
    of joint actions by half the number of actions of that player, memory a block of the table.

    **Raises:** `BadInput` with the estimate where that is more than 1e12 comparisons.
    """
    num_players, num_states, *sizes = reward.shape
    pairs = [(i, j) for i in range(num_players) for j in range(i + 1, num_players)]
    comparisons = sum(min(sizes[i], sizes[j]) for i, j in pairs) * num_states * int(np.prod(sizes, dtype=object)) // 2
    if comparisons > _MOST_COMPARISONS:
        raise BadInput(
            f"the worst four-cycle of {num_states} states with {' x '.join(map(str, sizes))} joint actions takes about "
            f"{comparisons:.1e} comparisons; at most {_MOST_COMPARISONS:.0e} are made. The game is no potential game: "
            "that alone was found at once."
        )
    for i, j in pairs:
        yield _of_pair(reward, legal, i, j)


def _of_pair(
    reward: Float[np.ndarray, "N S *A"], legal: Sequence[Bool[np.ndarray, "S _"]], i: int, j: int
) -> StageCycles:
    num_states, *sizes = reward.shape[1:]
    others = [k for k in range(len(sizes)) if k not in (i, j)]
    rows, columns = (i, j) if sizes[i] <= sizes[j] else (j, i)
    order = [0, *(1 + k for k in others), 1 + rows, 1 + columns]
    contexts = [sizes[k] for k in others]
    difference = np.transpose(reward[j] - reward[i], order).reshape(-1, sizes[rows], sizes[columns])
    here = np.repeat(np.arange(num_states), len(difference) // num_states)
    sums, found = _worst(difference, legal[rows][here], legal[columns][here])
    possible = np.ones((num_states, *contexts), bool)
    for axis, k in enumerate(others):
        possible &= legal[k].reshape(num_states, *(sizes[k] if a == axis else 1 for a in range(len(others))))
    sums = np.where(possible.reshape(-1), sums, 0.0).reshape(num_states, -1)
    # Where nothing can go wrong the context must be a legal one all the same.
    best = np.where(possible.reshape(num_states, -1), sums, -1.0).argmax(axis=1)
    states = np.arange(num_states)
    chosen = found.reshape(num_states, -1, 4)[states, best]
    actions = np.zeros((2, num_states, len(sizes)), int)
    for k, action in zip(others, np.unravel_index(best, contexts) if others else (), strict=True):
        actions[:, :, k] = action
    actions[:, :, rows] = chosen[:, :2].T
    actions[:, :, columns] = chosen[:, 2:].T
    return StageCycles((i, j), sums[states, best], (actions[0], actions[1]))


def _worst(
    difference: Float[np.ndarray, "M A B"], legal_rows: Bool[np.ndarray, "M A"], legal_columns: Bool[np.ndarray, "M B"]
) -> tuple[Float[np.ndarray, " M"], Int[np.ndarray, "M 4"]]:
    """The largest $D(a,b)-D(a',b)+D(a',b')-D(a,b')$ of each table, and its a, a', b, b'; one of them is legal: 0."""
    number, num_rows, num_columns = difference.shape
    sums = np.zeros(number)
    found = np.stack([legal_rows.argmax(axis=1)] * 2 + [legal_columns.argmax(axis=1)] * 2, axis=1)
    if num_rows == 1:
        return sums, found
    barred = ~legal_columns[:, None, :] if not legal_columns.all() else None
    together = max(1, _BLOCK // (num_rows * num_columns))
    for start in range(0, number, together):
        block = slice(start, start + together)
        table, whole = difference[block], np.arange(len(difference[block]))
        for a in range(num_rows - 1):
            change = table[:, a, None] - table[:, a + 1 :]
            most = change if barred is None else np.where(barred[block], -np.inf, change)
            least = change if barred is None else np.where(barred[block], np.inf, change)
            spread = most.max(axis=-1) - least.min(axis=-1)
            spread[~(legal_rows[block, a, None] & legal_rows[block, a + 1 :])] = 0.0
            other = spread.argmax(axis=1)
            larger = spread[whole, other] > sums[block]
            if larger.any():
                where, other = whole[larger], other[larger]
                sums[start + where] = spread[where, other]
                found[start + where] = np.stack(
                    [
                        np.full(len(where), a),
                        a + 1 + other,
                        most[where, other].argmax(axis=-1),
                        least[where, other].argmin(axis=-1),
                    ],
                    axis=1,
                )
    return sums, found

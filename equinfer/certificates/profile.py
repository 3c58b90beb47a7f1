"""The checks that a profile passes before anything is said about it."""

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from jaxtyping import Float

from equinfer.answer import Joint
from equinfer.arguments import ROW_SUM_TOLERANCE, refuse_masked
from equinfer.errors import BadInput, cause
from equinfer.mean_field_tables import AnyTables, MeanFieldTables
from equinfer.memory import refuse_beyond_half
from equinfer.records import Solution

__all__ = ["checked_law", "checked_profile", "real_array"]

SINGLE_TOLERANCE = 4 * float(np.finfo(np.float32).eps)
"""The same for arrays of single or half precision, 4.8e-7: what a softmax leaves in single precision passes. Half
precision resolves no more than 1e-3; only rows that it holds exactly, or nearly, such as (1/4, 3/4), pass."""


def checked_profile(tables: AnyTables, answer: Any) -> tuple[Float[np.ndarray, "..."], ...]:
    """One float64 policy per player, ([H,] S, A_i): a copy of `answer`, if it is a profile of this game.

    **Arguments:** `answer` is a `Solution`, or a sequence of one array-like per player (nested lists, NumPy or JAX
    arrays of any real type), where there is one population also its array alone. In a game of one state (A_i,) stands
    for (1, A_i); in a finite-horizon game (S, A_i) is played in every epoch. Nothing else is broadcast.

    Rows that sum to one within `ROW_SUM_TOLERANCE` (`SINGLE_TOLERANCE` in single precision) are renormalised; nothing
    is ever clipped, filled or replaced.

    **Raises:** `BadInput` that names the player, the state, the action and the epoch.
    """
    policies = answer.profile if isinstance(answer, Solution) else answer
    if isinstance(policies, Joint):
        raise BadInput("the answer is a law over joint actions; a profile has one policy for each player.")
    if (
        isinstance(policies, (str, bytes, dict))
        or not hasattr(policies, "__len__")
        or getattr(policies, "ndim", 1) == 0
    ):
        raise BadInput(f"a profile is a sequence of one array per player; got {type(answer).__name__}.")
    if isinstance(tables, MeanFieldTables) and tables.num_players == 1:
        time, axes = tables.horizon is not None, getattr(policies, "ndim", 0)
        listed = axes > 2 + time and len(policies) == 1  # an axis of populations, too
        if axes >= 1 + time and not listed:
            policies = (policies,)
    if len(policies) != tables.num_players:
        raise BadInput(f"the profile has {len(policies)} policies; the game has {tables.num_players} players.")
    return tuple(_checked_policy(tables, player, policy) for player, policy in enumerate(policies))


def checked_law(
    law: Any, what: str, place: Callable[[tuple[int, ...]], str], outcome: str = "value"
) -> Float[np.ndarray, "..."]:
    """A float64 copy of `law`, whose last axis is renormalised, if it holds probabilities that sum to one there.

    **Arguments:** `place` names a row by its index; `outcome` is what the last axis counts.

    **Raises:** `BadInput` that names the row and the entry.
    """
    array, tolerance = real_array(law, what)
    for bad, says in ((~np.isfinite(array), "which is not a finite number"), (array < 0, "which is negative")):
        if bad.any():
            index = tuple(np.argwhere(bad)[0].tolist())
            raise BadInput(
                f"{place(index[:-1])}: the probability of {outcome} {index[-1]} is {array[index]:g}, {says}."
            )
    sums = array.sum(axis=-1)
    off = np.abs(sums - 1) > tolerance
    if off.any():
        row = tuple(np.argwhere(off)[0].tolist())
        raise BadInput(f"{place(row)}: probabilities sum to {sums[row]:.10g}, not to one.")
    return np.abs(array / sums[..., None])  # of -0.0 too


def _checked_policy(tables: AnyTables, player: int, policy: Any) -> Float[np.ndarray, "..."]:
    array, tolerance = real_array(policy, f"the policy of player {tables.player_labels[player]}")
    array = _shaped(tables, player, array)
    legal = np.broadcast_to(tables.legal[player], array.shape)
    for bad, says in (
        (~np.isfinite(array), "which is not a finite number"),
        (array < 0, "which is negative"),
        ((array != 0) & ~legal, "but the action is illegal there"),
    ):
        if bad.any():
            _refuse_entry(tables, player, array, bad, says)
    sums = array.sum(axis=-1)
    off = np.abs(sums - 1) > tolerance
    if off.any():
        row = tuple(np.argwhere(off)[0].tolist())
        raise BadInput(f"{_place(tables, player, row)}: probabilities sum to {sums[row]:.10g}, not to one.")
    return np.abs(array / sums[..., None])  # of -0.0 too


def real_array(policy: Any, what: str) -> tuple[Float[np.ndarray, "..."], float]:
    """A float64 copy of probabilities, and how far from one their sums may be. **Raises:** `BadInput` about `what`."""
    refuse_masked(policy, what)
    try:
        given = np.asarray(policy)
        if given.dtype.kind in "USMmc":
            raise TypeError(f"its entries are {given.dtype}")
        if given.dtype.kind == "O":
            given = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"{what} is not a rectangular array of real numbers: {cause(error)}.") from None
    refuse_beyond_half(f"the entries of {what}, of shape {given.shape},", 8 * given.size)
    array = np.array(given, dtype=np.float64)
    coarse = given.dtype.kind == "f" and given.dtype.itemsize < 8
    return array, SINGLE_TOLERANCE if coarse else ROW_SUM_TOLERANCE


def _shaped(tables: AnyTables, player: int, array: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    stationary = (tables.num_states, tables.num_actions[player])
    expected = stationary if tables.horizon is None else (tables.horizon, *stationary)
    if array.shape == expected:
        return array
    if array.shape == stationary or (tables.num_states == 1 and array.shape == stationary[1:]):
        return np.broadcast_to(array, expected)
    axes = "(S, A)" if tables.horizon is None else "(H, S, A)"
    raise BadInput(
        f"the policy of player {tables.player_labels[player]} must have shape {axes} = {expected}; got {array.shape}."
    )


def _refuse_entry(tables: AnyTables, player: int, array: np.ndarray, bad: np.ndarray, says: str) -> NoReturn:
    index = tuple(np.argwhere(bad)[0].tolist())
    action = tables.action_labels[player][index[-1]]
    raise BadInput(
        f"{_place(tables, player, index[:-1])}: the probability of action {action} is {array[index]:g}, {says}."
    )


def _place(tables: AnyTables, player: int, row: tuple[int, ...]) -> str:
    epoch = f", epoch {row[0]}" if tables.horizon is not None else ""
    return f"policy of player {tables.player_labels[player]}{epoch}, state {tables.state_labels[row[-1]]}"

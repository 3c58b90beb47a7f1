"""The raw tables of a game, looked at again and prepared for exact judgement."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from equinfer.arguments import ROW_SUM_TOLERANCE
from equinfer.certificates.lists import matrix_of
from equinfer.certificates.rounding import averaging_roundings, roundings_of
from equinfer.errors import BadInput, cause
from equinfer.tables import SuccessorLists, Tables

__all__ = ["RawGame", "raw_game"]


class RawGame(NamedTuple):
    r"""A game in the units of its certificate: player i's rewards are $(r_i-\mathrm{centre}_i)/\mathrm{unit}_i$.

    A constant added to all rewards of a player changes no gain, and a power of two rounds nothing: errors are
    relative to the spread of the payoffs, whatever their level, and constant payoffs (unit 0) carry none.
    """

    reward: Float[np.ndarray, "N S *A"]
    """0 on illegal joint actions."""
    size: Float[np.ndarray, " N"]
    """Largest absolute value of each player's reward: about 1, or 0."""
    kernel: Any
    """An array (S, *A, S), or a sparse matrix with a row for every state and joint action."""
    row_terms: int
    """Entries of a row of the kernel."""
    discount: Float[np.ndarray, " N"]
    horizon: int | None
    legal: tuple[Bool[np.ndarray, "S _"], ...]
    unit: Float[np.ndarray, " N"]
    centre: Float[np.ndarray, " N"]
    kernel_roundings: int
    r"""$n$ such that each entry of the kernel is within $\gamma_n$ of the same row divided by its exact sum."""

    @property
    def averaging_roundings(self) -> int:
        return averaging_roundings(legal.shape[1] for legal in self.legal)


def raw_game(tables: Tables) -> RawGame:
    """The prepared game. Tables are plain arrays that anybody can build or alter, so nothing is taken on trust.

    **Raises:** `BadInput` where they are not a game: shapes, numbers that are not finite, rows that are no laws.
    """
    reward, discount = (_float64(getattr(tables, field), field) for field in ("reward", "discount"))
    num_states, num_actions = _checked_sizes(tables, reward, discount)
    kernel, row_terms = _checked_kernel(tables, (num_states, *num_actions))
    for player, gamma in enumerate(discount):
        if not (0 <= gamma < 1 or (gamma == 1 and tables.horizon is not None)):
            raise BadInput(f"discount of player {tables.player_labels[player]} is {gamma:g}.")
    if tables.horizon is not None and not (isinstance(tables.horizon, (int, np.integer)) and tables.horizon >= 1):
        raise BadInput(f"horizon must be a whole number of decision epochs, at least 1; got {tables.horizon!r}.")
    for player, legal in enumerate(tables.legal):
        if legal.dtype != bool or legal.shape != (num_states, num_actions[player]) or not legal.any(axis=1).all():
            raise BadInput(
                f"legal[{player}] must be boolean of shape {(num_states, num_actions[player])}, with a legal action "
                "in every state."
            )
    joint = tables.legal_joint
    centred, unit, centre = _centred(tables, reward, joint)
    return RawGame(
        reward=centred,
        size=np.abs(centred).reshape(len(centred), -1).max(axis=1),
        kernel=kernel,
        row_terms=row_terms,
        discount=discount,
        horizon=tables.horizon,
        legal=tables.legal,
        unit=unit,
        centre=centre,
        kernel_roundings=row_terms + 1 + roundings_of(_row_error(tables, kernel, joint)),
    )


def _float64(value: Any, field: str) -> Float[np.ndarray, "..."]:
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{field} of the tables is no array of numbers: {cause(error)}.") from None


def _checked_sizes(tables: Tables, reward: Any, discount: Any) -> tuple[int, tuple[int, ...]]:
    if reward.ndim < 3 or reward.ndim - 2 != reward.shape[0] or 0 in reward.shape:
        raise BadInput(f"reward must have shape (N, S, A_1, ..., A_N); got {reward.shape}.")
    num_players, num_states, *num_actions = reward.shape
    if discount.shape != (num_players,) or len(tables.legal) != num_players:
        raise BadInput(f"the tables need a discount and a table of legal actions for each of {num_players} players.")
    return num_states, tuple(num_actions)


def _checked_kernel(tables: Tables, rows: tuple[int, ...]) -> tuple[Any, int]:
    """The kernel as an array, or as a sparse matrix of its lists; and the number of entries of a row."""
    num_states = rows[0]
    if not isinstance(tables.kernel, SuccessorLists):
        kernel = _float64(tables.kernel, "kernel")
        if kernel.shape != (*rows, num_states):
            raise BadInput(f"kernel must have shape {(*rows, num_states)}; got {kernel.shape}.")
        return kernel, num_states
    successors = np.asarray(tables.kernel.successors)
    lists = SuccessorLists(successors, _float64(tables.kernel.probabilities, "kernel"))
    if lists.probabilities.shape != successors.shape or successors.shape[:-1] != rows or not successors.size:
        raise BadInput(
            f"lists of successors must have shape {(*rows, 'M')}; got {successors.shape} and "
            f"{lists.probabilities.shape}."
        )
    if successors.dtype.kind not in "iu" or not 0 <= successors.min() <= successors.max() < num_states:
        raise BadInput(f"successors must be whole numbers from 0 to {num_states - 1}.")
    return matrix_of(lists, num_states), successors.shape[-1]


def _centred(
    tables: Tables, reward: Float[np.ndarray, "N S *A"], joint: Bool[np.ndarray, "S *A"]
) -> tuple[Float[np.ndarray, "N S *A"], Float[np.ndarray, " N"], Float[np.ndarray, " N"]]:
    centred, unit, centre = np.zeros_like(reward), np.zeros(len(reward)), np.zeros(len(reward))
    for player, table in enumerate(reward):
        legal = table[joint]
        low, high = float(legal.min()), float(legal.max())
        spread = high - low if math.isfinite(low) and math.isfinite(high) else math.nan
        if not math.isfinite(spread):
            raise BadInput(
                f"rewards of player {tables.player_labels[player]} run from {low:g} to {high:g}: "
                "they must be finite, and so must their spread."
            )
        centre[player] = low + spread / 2
        if spread > 0:
            unit[player] = math.ldexp(1.0, math.frexp(spread)[1] - 1)
            centred[player][joint] = (legal - centre[player]) / unit[player]
    return centred, unit, centre


def _row_error(tables: Tables, kernel: Any, joint: Bool[np.ndarray, "S *A"]) -> float:
    """How far the computed sums of the rows are from one, at most."""
    rows = kernel if sparse.issparse(kernel) else kernel.reshape(-1, kernel.shape[-1])
    entries = rows.data if sparse.issparse(kernel) else rows
    with np.errstate(invalid="ignore", over="ignore"):
        sums = (rows @ np.ones(rows.shape[-1])).reshape(joint.shape)
    off = ~(np.abs(sums - 1) <= ROW_SUM_TOLERANCE)
    if not entries.min() >= 0:
        off |= ~(entries.reshape(rows.shape[0], -1).min(axis=-1) >= 0).reshape(joint.shape)
    if off.any():
        state, *actions = np.argwhere(off)[0]
        chosen = ", ".join(tables.action_labels[i][a] for i, a in enumerate(actions))
        raise BadInput(
            f"kernel at state {tables.state_labels[state]}, joint action ({chosen}): not probabilities that sum to one."
        )
    return float(np.abs(sums - 1)[joint].max())

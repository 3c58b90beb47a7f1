"""The checks that a tabular game passes once, on construction. Each returns a clean float64 array or raises one
clear sentence that names the player, the state and the joint action.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from numpy.typing import ArrayLike

from equinfer.arguments import ROW_SUM_TOLERANCE, refuse_masked, shown
from equinfer.errors import BadInput, cause
from equinfer.games.kernels import AbstractKernel, DenseKernel, KernelLike, SparseKernel, compact
from equinfer.memory import refuse_beyond_half, refuse_beyond_making
from equinfer.tables import SuccessorLists, discounted_length, joint_mask

__all__ = [
    "checked_discount",
    "checked_horizon",
    "checked_initial",
    "checked_kernel",
    "checked_labels",
    "checked_legal",
    "checked_payoffs",
    "checked_reward",
    "checked_rows",
]

_NO_NUMBERS = {"U": "text", "S": "text", "c": "complex", "M": "dates", "m": "times"}


def _numbers(value: float | int | ArrayLike, what: str, *, beside: int = 0) -> np.ndarray:
    """As an array of numbers, not copied if it is one, of which a copy in float64 fits in memory, `beside` the bytes of
    what is kept already.
    """
    refuse_masked(value, what)
    try:
        given = np.asarray(value)
        if given.dtype.kind in _NO_NUMBERS:
            raise TypeError(f"its entries are {_NO_NUMBERS[given.dtype.kind]}")
        if given.dtype.kind == "O":
            given = given.astype(np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise BadInput(f"{what} is not a rectangular array of real numbers: {cause(error)}.") from None
    refuse_beyond_half(f"the entries of {what}, of shape {given.shape},", 8 * given.size + beside)
    return given


def _array(value: float | int | ArrayLike, what: str, *, beside: int = 0) -> np.ndarray:
    """A copy in float64."""
    return np.array(_numbers(value, what, beside=beside), dtype=np.float64)


def checked_reward(reward: ArrayLike) -> Float[np.ndarray, "N S *A"]:
    """A copy in float64, if its shape is (N, S, A_1, ..., A_N) with no empty axis."""
    array = _array(reward, "reward")
    expected = "expected shape (N, S, A_1, ..., A_N)"
    if array.ndim < 3:
        raise BadInput(f"reward has {array.ndim} axes; {expected}, got {array.shape}.")
    if array.ndim - 2 != array.shape[0]:
        raise BadInput(
            f"reward has {array.shape[0]} players but {array.ndim - 2} action axes; {expected}, got {array.shape}."
        )
    if 0 in array.shape:
        raise BadInput(f"reward has an empty axis; {expected}, got {array.shape}.")
    return array


def checked_payoffs(payoffs: ArrayLike) -> Shaped[np.ndarray, "N *A"]:
    """As an array, not yet copied, if its shape is (N, A_1, ..., A_N) with no empty axis."""
    array = _numbers(payoffs, "payoffs")
    if array.ndim < 2 or array.ndim - 1 != array.shape[0] or 0 in array.shape:
        raise BadInput(
            f"payoffs must have shape (N, A_1, ..., A_N), an axis of actions for each of N players; got {array.shape}."
        )
    return array


def checked_horizon(horizon: Any) -> int | None:
    if horizon is None:
        return None
    if isinstance(horizon, (float, np.floating)) and float(horizon).is_integer():
        horizon = int(horizon)  # a value of a sweep
    if isinstance(horizon, bool) or not isinstance(horizon, (int, np.integer)) or not 1 <= horizon < 2**63:
        raise BadInput(f"horizon must be a whole number of decision epochs, at least 1; got {shown(horizon)}.")
    return int(horizon)


def checked_discount(
    discount: float | int | ArrayLike | None, num_players: int, horizon: int | None
) -> Float[np.ndarray, " N"]:
    """One discount per player: in [0, 1), or in [0, 1] within a finite horizon, where it defaults to 1."""
    if discount is None:
        if horizon is None:
            raise BadInput("a game needs a discount, a horizon, or both.")
        discount = 1.0
    array = _array(discount, "discount")
    if array.shape not in ((), (num_players,)):
        raise BadInput(f"discount must be one number or one per player ({num_players}); got shape {array.shape}.")
    array = np.broadcast_to(array, (num_players,)).copy()
    for player, value in enumerate(array):
        if not 0 <= value <= 1 or (horizon is None and value == 1):
            allowed = "[0, 1)" if horizon is None else "[0, 1]"
            raise BadInput(f"discount of player {player} is {value:g}; it must lie in {allowed}.")
    return array


def checked_rows(
    rows: Float[np.ndarray, "rows M"],
    name_of: Callable[[int], str],
    successors: Int[np.ndarray, "rows M"] | None = None,
) -> Float[np.ndarray, "rows M"]:
    """Rows of probabilities, renormalised to rounding; `name_of(row)` says in an error what a row is.

    **Arguments:** `successors`, which an entry is the probability of, if not of its column.
    """
    sums = rows.sum(axis=1)
    if not (np.isfinite(sums).all() and rows.min() >= 0):
        for bad, says in ((~np.isfinite(rows), "not a finite number"), (rows < 0, "negative")):
            if bad.any():
                row, column = np.argwhere(bad)[0].tolist()
                state = column if successors is None else successors[row, column]
                raise BadInput(f"{name_of(row)}: probability {rows[row, column]:g} of successor {state} is {says}.")
    off = np.abs(sums - 1) > ROW_SUM_TOLERANCE
    if off.any():
        row = int(np.argmax(off))
        raise BadInput(f"{name_of(row)}: probabilities sum to {sums[row]:.10g}, not to one.")
    # Rows that are right to rounding stay as they are, so that what was saved comes back to the bit.
    rounded = np.abs(sums - 1) > rows.shape[1] * np.finfo(float).eps
    return rows / np.where(rounded, sums, 1.0)[:, None] if rounded.any() else rows


def checked_initial(initial: ArrayLike | None, num_states: int) -> Float[np.ndarray, " S"]:
    if initial is None:
        return np.full(num_states, 1 / num_states)
    array = _array(initial, "initial")
    if array.shape != (num_states,):
        raise BadInput(f"initial must have shape ({num_states},), one probability per state; got {array.shape}.")
    return checked_rows(array[None], lambda _: "initial")[0]


def checked_legal(
    legal: Sequence[ArrayLike] | None, num_states: int, num_actions: tuple[int, ...], state_labels: Sequence[str]
) -> tuple[Bool[np.ndarray, "S _"], ...]:
    if legal is None:
        return tuple(np.ones((num_states, size), bool) for size in num_actions)
    if not hasattr(legal, "__len__"):
        raise BadInput(f"legal must hold one boolean array per player; got {shown(legal)}.")
    if len(legal) != len(num_actions):
        raise BadInput(f"legal has {len(legal)} arrays for {len(num_actions)} players.")
    masks = []
    for player, (mask, size) in enumerate(zip(legal, num_actions, strict=True)):
        try:
            array = np.asarray(mask)
        except ValueError as error:
            raise BadInput(f"legal[{player}] is not a rectangular array: {cause(error)}.") from None
        if array.shape != (num_states, size) or array.dtype != bool:
            raise BadInput(
                f"legal[{player}] must be boolean of shape ({num_states}, {size}); got {array.dtype} {array.shape}."
            )
        if not array.any(axis=1).all():
            state = int(np.argmin(array.any(axis=1)))
            raise BadInput(f"player {player} has no legal action in state {state_labels[state]}.")
        masks.append(array.copy())
    return tuple(masks)


def checked_labels(labels: Sequence[Any] | None, size: int, what: str) -> tuple[str, ...] | None:
    if labels is None:
        return None
    if not hasattr(labels, "__iter__"):
        raise BadInput(f"{what} must be a list of {size} labels; got {shown(labels)}.")
    if hasattr(labels, "__len__") and len(labels) != size:
        raise BadInput(f"{what} has {len(labels)} labels; expected {size}.")
    given = tuple(labels)
    for label in given:
        if hasattr(label, "__iter__") and not isinstance(label, str):
            raise BadInput(f"a label of {what} must be a name or a number; got {shown(label)}.")
    names = tuple(map(str, given))
    if len(names) != size:
        raise BadInput(f"{what} has {len(names)} labels; expected {size}.")
    if len(set(names)) != size:
        twice, _ = Counter(names).most_common(1)[0]
        raise BadInput(f"{what} has the label {twice!r} twice.")
    return names


def checked_kernel(
    reward: Float[np.ndarray, "N S *A"], kernel: KernelLike, legal: tuple[np.ndarray, ...], game: Any
) -> tuple[Float[np.ndarray, "N S *A"], AbstractKernel]:
    """Reward and kernel, both checked on legal joint actions; illegal ones get reward 0 and stay where they are.

    `game` lends its labels to the messages.
    """
    joint = joint_mask(legal)

    def named(index: Any) -> str:
        state, *actions = index
        chosen = ", ".join(game.action_labels[i][a] for i, a in enumerate(actions))
        return f"state {game.state_labels[state]}, joint action ({chosen})"

    reward[:, ~joint] = 0.0
    if not np.isfinite(reward).all():
        player, *index = np.argwhere(~np.isfinite(reward))[0]
        raise BadInput(f"reward of player {game.player_labels[player]} at {named(index)} is not a finite number.")
    _refuse_beyond_float64(reward, game)
    match kernel:
        case SparseKernel():
            return reward, _checked_lists(kernel, joint, named)
        case SuccessorLists():
            return reward, _checked_lists(SparseKernel(*kernel), joint, named)
        case DenseKernel():
            return reward, compact(_checked_table(kernel.probabilities, joint, named, reward.nbytes))
    return reward, compact(_checked_table(kernel, joint, named, reward.nbytes))


Named = Callable[[Any], str]


def _refuse_beyond_float64(reward: Float[np.ndarray, "N S *A"], game: Any) -> None:
    """Refuse rewards whose discounted sums, or the differences of these, are no numbers: no gap could be told."""
    flat = reward.reshape(len(reward), -1)
    largest = np.abs(flat).max(axis=1)
    with np.errstate(over="ignore"):
        spread = np.maximum(largest, flat.max(axis=1) - flat.min(axis=1))
        sums = spread * discounted_length(game.discount, game.horizon)
    if not np.isfinite(sums).all():
        player = int(np.argmin(np.isfinite(sums)))
        raise BadInput(
            f"rewards of player {game.player_labels[player]}, up to {largest[player]:g} in size, add up to values "
            "beyond float64."
        )


def _checked_table(
    kernel: Any, joint: Bool[np.ndarray, "S *A"], named: Named, beside: int
) -> Float[np.ndarray, "S *A S"]:
    array, num_states = _array(kernel, "kernel", beside=beside), len(joint)
    if array.shape != (*joint.shape, num_states):
        raise BadInput(
            f"kernel must have shape {(*joint.shape, num_states)} = (S, A_1, ..., A_N, S); got {array.shape}."
        )
    if joint.all():
        rows = checked_rows(array.reshape(-1, num_states), lambda row: named(np.unravel_index(row, joint.shape)))
        return rows.reshape(array.shape)
    array[joint] = checked_rows(array[joint], lambda row: named(np.argwhere(joint)[row]))
    array[~joint] = 0.0
    illegal = np.argwhere(~joint)
    array[(*illegal.T, illegal[:, 0])] = 1.0
    return array


def _checked_lists(kernel: SparseKernel, joint: Bool[np.ndarray, "S *A"], named: Named) -> SparseKernel:
    """The kernel with each list in order of successors, without repetitions, padded with the state itself."""
    successors, probabilities = np.asarray(kernel.successors), np.asarray(kernel.probabilities)
    num_states, length = len(joint), successors.shape[-1]
    if successors.shape[:-1] != joint.shape or not length:
        raise BadInput(
            f"a sparse kernel must have shape {(*joint.shape, 'M')} = (S, A_1, ..., A_N, M) with M >= 1; "
            f"got {successors.shape}."
        )

    def name_of(row: int) -> str:
        return named(np.unravel_index(row, joint.shape))

    refuse_beyond_making(
        f"lists of {length} successors for each of {joint.size} joint actions", 12 * successors.size, 5
    )
    own = np.repeat(np.arange(num_states, dtype=successors.dtype), joint.size // num_states)[:, None]
    first = np.arange(length) == 0
    legal = joint.reshape(-1, 1)
    successors = np.where(legal, successors.reshape(-1, length), own)
    probabilities = np.where(legal, probabilities.reshape(-1, length), first)
    padding = probabilities == 0
    outside = ((successors < 0) | (successors >= num_states)) & ~padding
    if outside.any():
        row, place = np.argwhere(outside)[0].tolist()
        raise BadInput(
            f"{name_of(row)}: successor {successors[row, place]} is no state; states run from 0 to {num_states - 1}."
        )
    probabilities = checked_rows(probabilities, name_of, successors)
    successors, probabilities = _in_order(np.where(padding, num_states, successors), probabilities)
    width = max(1, int(np.count_nonzero(probabilities, axis=1).max()))
    successors, probabilities = successors[:, :width], probabilities[:, :width]
    successors = np.where(probabilities == 0, own, successors).astype(np.int32)
    return SparseKernel(successors.reshape(*joint.shape, width), probabilities.reshape(*joint.shape, width))


def _in_order(
    successors: Int[np.ndarray, "rows M"], probabilities: Float[np.ndarray, "rows M"]
) -> tuple[Int[np.ndarray, "rows M"], Float[np.ndarray, "rows M"]]:
    """Lists sorted by successor, repetitions added up in the first place; what they leave empty comes last."""
    if not (successors[:, 1:] > successors[:, :-1]).all():
        order = np.argsort(successors, axis=1, kind="stable")
        successors = np.take_along_axis(successors, order, axis=1)
        probabilities = np.take_along_axis(probabilities, order, axis=1)
    repeated = (successors[:, 1:] == successors[:, :-1]) & (probabilities[:, 1:] > 0)
    some = np.flatnonzero(repeated.any(axis=1))
    if some.size:
        new = np.append(np.ones((len(some), 1), bool), ~repeated[some], axis=1)
        place = np.cumsum(new, axis=1) - 1
        rows = np.arange(len(some))[:, None]
        added = np.zeros((len(some), successors.shape[1]))
        np.add.at(added, (rows, place), probabilities[some])
        listed = np.zeros_like(successors[some])
        listed[rows, place] = successors[some]
        successors, probabilities = successors.copy(), probabilities.copy()
        successors[some], probabilities[some] = listed, added
    return successors, probabilities

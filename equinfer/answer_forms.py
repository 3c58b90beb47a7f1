"""What users hand in as an answer, and what it is: a profile, a joint law, or a public signal with its profiles."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from equinfer.answer import Joint, PublicPlay
from equinfer.errors import BadInput, cause
from equinfer.memory import refuse_beyond_half
from equinfer.tables import Tables

__all__ = ["understood"]

_PLAINLY = 1e-6
"""Probabilities whose sums are one to within this are what they seem, whatever they are asked to be."""


def understood(tables: Tables, answer: Any, kind: str | None) -> Any:
    """`answer` as a `Joint` or a `PublicPlay` where it is one, and otherwise as it is: a profile, or nothing known.

    An array, or nested lists of one, is a joint law ([H,] S, A_1, ..., A_N) or all players' policies (N, [H,] S, A),
    with the axes that may be missing, by its shape. Where the shape could be either, the probabilities say which: those
    of a joint law sum to one in every state, those of policies in every row, and never both. Where they do neither, it
    is what the concept asks for, and without a concept what its sums come nearer to.

    **Arguments:** `kind` of the answers of the concept that was asked for, `profile`, `joint` or `signal`, if one was.

    **Raises:** `BadInput` for what is no public play, or lists that differ in length and can only be a joint law.
    """
    if isinstance(answer, Mapping):
        return _public_play(answer)
    if isinstance(answer, (Joint, PublicPlay)) or not (isinstance(answer, (list, tuple)) or hasattr(answer, "ndim")):
        return answer
    array = _array_of(answer)
    if array is None:
        if kind == "joint" and isinstance(answer, list) and len(answer) != tables.num_players:
            _rectangular(answer, "the joint law")
        return answer
    law, policies = _fits_a_law(tables, array.shape), _fits_policies(tables, array.shape)
    if law and policies:
        return Joint(array) if _is_law(tables, array, kind) else tuple(array)
    if not law and not policies:  # wrong, and the checks of what it resembles will say how
        axes = tables.num_players + (tables.horizon is not None)
        resembles = array.ndim == axes + 1 or (array.ndim == axes and not isinstance(answer, (list, tuple)))
        law = resembles and (kind == "joint" or (kind is None and len(array) != tables.num_players))
    return Joint(array) if law else answer


def _public_play(answer: Mapping[Any, Any]) -> PublicPlay:
    if set(answer) != {"signal", "profile"}:
        keys = ", ".join(sorted(map(str, answer))[:8]) or "nothing"
        raise BadInput(f"a public signal and what it calls for are {{'signal':, 'profile':}}; got {keys}.")
    profile = answer["profile"]
    is_list = hasattr(profile, "__len__") and not isinstance(profile, (str, bytes, Mapping))
    if not is_list or getattr(profile, "ndim", 1) == 0:
        raise BadInput("what a public signal calls for is one array of policies for each player.")
    called = (_rectangular(policy, f"the policies of player {player}") for player, policy in enumerate(profile))
    return PublicPlay(_rectangular(answer["signal"], "the law of the signal"), tuple(called))


def _rectangular(given: Any, what: str) -> np.ndarray:
    try:
        return np.asarray(given)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{what}: no rectangular array of numbers: {cause(error)}.") from None


def _array_of(answer: Any) -> np.ndarray | None:
    """The array that lists come to; None where they differ in length, as policies of different players may."""
    if isinstance(answer, (list, tuple)):  # of arrays, perhaps of views that take no memory before they are copied
        size = sum(int(getattr(part, "size", 0)) for part in answer)
        refuse_beyond_half("the entries of the answer", 8 * size)
    try:
        array = np.asarray(answer)
    except (TypeError, ValueError):
        return None
    if array.dtype.kind == "O":  # numbers, perhaps, as other packages keep them
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError):
            return None
    return array if array.ndim and array.dtype.kind in "fiub" else None


def _fits_a_law(tables: Tables, shape: tuple[int, ...]) -> bool:
    lead = shape[: max(0, len(shape) - tables.num_players)]
    return shape[len(lead) :] == tables.num_actions and lead in _leads(tables)


def _fits_policies(tables: Tables, shape: tuple[int, ...]) -> bool:
    """All players' policies in one array: they have as many actions each."""
    alike = {shape[-1]} == set(tables.num_actions) and shape[0] == tables.num_players
    return alike and shape[1:-1] in _leads(tables)


def _leads(tables: Tables) -> list[tuple[int, ...]]:
    """What may stand before the actions: all epochs and states, states, or nothing where there is only one state."""
    states = (tables.num_states,)
    leads = [states if tables.horizon is None else (tables.horizon, *states), states]
    return [*leads, ()] if tables.num_states == 1 else leads


def _is_law(tables: Tables, array: np.ndarray, kind: str | None) -> bool:
    """Of an array that has the shape of a joint law and of all policies: is it the law?"""
    of_states = array.reshape(*array.shape[: array.ndim - tables.num_players], -1).sum(axis=-1)
    as_law, as_policies = (float(np.abs(sums - 1.0).max()) for sums in (of_states, array.sum(axis=-1)))
    if kind is None or min(as_law, as_policies) <= _PLAINLY:
        return as_law < as_policies
    return kind == "joint"

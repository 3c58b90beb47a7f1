"""The checks that a law over joint actions passes before anything is said about it."""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.answer import Joint, PublicPlay, product
from equinfer.certificates.profile import checked_profile, real_array
from equinfer.errors import BadInput
from equinfer.records import Solution
from equinfer.tables import Tables

__all__ = ["Law", "checked_joint"]


class Law(NamedTuple):
    """What is played together, and how exactly it is known."""

    joint: Float[np.ndarray, "*HS_A"]
    """([H,] S, A_1, ..., A_N); every state's entries sum to one, and are 0 on illegal joint actions."""
    roundings: int
    r"""$n$ such that each entry is within $\gamma_n$ of the answer's, divided by the exact sum of its state."""
    support: int
    """The most joint actions of positive probability in one state: an average has as many terms."""


def checked_joint(tables: Tables, answer: Any) -> Law:
    """The law of `answer`, a copy, if it is one over the joint actions of this game.

    **Arguments:** `answer` is a `Joint`, or a bare array of its shape ([H,] S, A_1, ..., A_N); a `Solution`; or a
    profile, as in `checked_profile`, whose law is the product. In a game of one state the axis S may be missing; in a
    finite-horizon game (S, A_1, ..., A_N) is drawn from in every epoch. Laws that sum to one within 1e-8 (4.8e-7 in
    single precision) are divided by their sum; nothing is ever clipped or filled.

    **Raises:** `BadInput` that names the epoch, the state and the joint action.
    """
    if isinstance(answer, Solution):
        answer = answer.answer
    if isinstance(answer, PublicPlay):
        raise BadInput("the answer is a public signal with profiles; give the joint law of what is played.")
    if not isinstance(answer, Joint) and not _is_joint_array(tables, answer):
        profile = checked_profile(tables, answer)
        joint = product(profile)
        return Law(joint, sum(1 + 2 * policy.shape[-1] for policy in profile), _support(tables, joint))
    array, tolerance = real_array(answer.joint if isinstance(answer, Joint) else answer, "the joint law")
    array = _shaped(tables, array)
    legal = np.broadcast_to(tables.legal_joint, array.shape)
    for bad, says in (
        (~np.isfinite(array), "which is not a finite number"),
        (array < 0, "which is negative"),
        ((array != 0) & ~legal, "but it is illegal there"),
    ):
        if bad.any():
            index = tuple(np.argwhere(bad)[0].tolist())
            place, actions = _place(tables, index), _chosen(tables, index)
            raise BadInput(f"{place}: the probability of joint action ({actions}) is {array[index]:g}, {says}.")
    sums = array.reshape(*_lead(tables), -1).sum(axis=-1)
    off = np.abs(sums - 1) > tolerance
    if off.any():
        row = tuple(np.argwhere(off)[0].tolist())
        raise BadInput(f"{_place(tables, row)}: the probabilities sum to {sums[row]:.10g}, not to one.")
    joint = np.abs(array / sums.reshape(*sums.shape, *[1] * tables.num_players))  # of -0.0 too
    support = _support(tables, joint)
    return Law(joint, support + 1, support)


def _lead(tables: Tables) -> tuple[int, ...]:
    return (tables.num_states,) if tables.horizon is None else (tables.horizon, tables.num_states)


def _support(tables: Tables, joint: Float[np.ndarray, "*HS_A"]) -> int:
    return int(np.count_nonzero(joint.reshape(*_lead(tables), -1), axis=-1).max())


def _is_joint_array(tables: Tables, answer: Any) -> bool:
    """An array whose last axes are the players' actions, and not one array of all players' policies."""
    shape = getattr(answer, "shape", ())
    return (
        len(shape) >= tables.num_players
        and shape[-tables.num_players :] == tables.num_actions
        and (
            shape[: -tables.num_players] in ((), (tables.num_states,), _lead(tables))
            and (tables.num_players > 1 or len(shape) > 1)
        )
    )


def _shaped(tables: Tables, array: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    expected = (*_lead(tables), *tables.num_actions)
    stationary = (tables.num_states, *tables.num_actions)
    if array.shape == expected:
        return array
    if array.shape == stationary or (tables.num_states == 1 and array.shape == tables.num_actions):
        return np.broadcast_to(array, expected).copy()
    axes = "(S, A_1, ..., A_N)" if tables.horizon is None else "(H, S, A_1, ..., A_N)"
    raise BadInput(f"a joint law must have shape {axes} = {expected}; got {array.shape}.")


def _place(tables: Tables, index: tuple[int, ...]) -> str:
    *epoch, state = index[: len(_lead(tables))]
    return f"joint law, {f'epoch {epoch[0]}, ' if epoch else ''}state {tables.state_labels[state]}"


def _chosen(tables: Tables, index: tuple[int, ...]) -> str:
    actions = zip(tables.action_labels, index[len(_lead(tables)) :], strict=True)
    return ", ".join(labels[action] for labels, action in actions)

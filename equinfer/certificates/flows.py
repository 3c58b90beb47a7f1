"""Flows of a mean-field game handed in as an answer: the policies that lead to them, if any do."""

from typing import Any

import numpy as np

from equinfer.certificates.mean_field import exact_flow
from equinfer.errors import BadInput
from equinfer.mean_field_tables import MeanFieldTables

__all__ = ["policies_of_flows"]

_PLAINLY = 1e-6
"""Masses that agree to within this are the same."""


def policies_of_flows(tables: MeanFieldTables, answer: Any) -> Any:
    """The policies that lead to `answer`, where that is the state-action law of every population, ([H,] S, A_p), or of
    the only one; any other answer as it is. What is done where nobody is moves no gain, and is taken to be uniform.

    **Raises:** `BadInput` for laws that no policy leads to.
    """
    if tables.num_states == 1 or not (isinstance(answer, (list, tuple)) or hasattr(answer, "ndim")):
        return answer
    lead = () if tables.horizon is None else (tables.horizon,)
    shapes = [(*lead, *mask.shape) for mask in tables.legal]
    try:
        is_alone = tables.num_players == 1 and np.shape(answer) == shapes[0]
        laws = [np.asarray(law, np.float64) for law in ((answer,) if is_alone else answer)]
    except (TypeError, ValueError):
        return answer
    if [law.shape for law in laws] != shapes or not all(_is_one_law(law) for law in laws):
        return answer
    policies = []
    for law, mask in zip(laws, tables.legal, strict=True):
        mass = law.sum(axis=-1, keepdims=True)
        anything = np.broadcast_to(mask / mask.sum(axis=1, keepdims=True), law.shape)
        policies.append(np.divide(law, mass, out=anything.copy(), where=mass > 0))
    for p, (law, led_to) in enumerate(zip(laws, exact_flow(tables, tuple(policies)), strict=True)):
        masses, found = law.sum(axis=-1), led_to.sum(axis=-1)
        off = np.argwhere(~(np.abs(masses - found) <= _PLAINLY))
        if len(off):
            place = tuple(off[0].tolist())
            when = "" if tables.horizon is None else f" at time {place[0]},"
            raise BadInput(
                f"the flow of population {tables.player_labels[p]} is that of no policy:{when} state "
                f"{tables.state_labels[place[-1]]} has mass {masses[place]:.6g}, where what is done leads to "
                f"{found[place]:.6g}."
            )
    return tuple(policies)


def _is_one_law(law: np.ndarray) -> bool:
    """All its entries together are probabilities, in every epoch."""
    return bool((law >= 0).all() and (np.abs(law.sum(axis=(-2, -1)) - 1) <= _PLAINLY).all())

"""A mean-field kernel in NumPy: what it averages, where it leads, and how many roundings that costs."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from equinfer.arguments import ROW_SUM_TOLERANCE
from equinfer.errors import BadInput
from equinfer.mean_field_tables import MeanFieldTables, RawTransition, Staged
from equinfer.tables import SuccessorLists

__all__ = ["averaged", "reached", "refuse_no_laws", "roundings", "sent"]


def averaged(kernel: RawTransition, value: Float[np.ndarray, " S"]) -> Float[np.ndarray, "S A"]:
    r"""$\sum_{s'}P(s'\mid s,a)v(s')$, rows of the kernel divided by their sums."""
    match kernel:
        case Staged():
            ahead = (kernel.probabilities * value[kernel.successors]).sum(axis=-1)
            return (ahead / kernel.probabilities.sum(axis=-1))[kernel.moves]
        case SuccessorLists():
            total = kernel.probabilities.sum(axis=-1)
            return (kernel.probabilities * value[kernel.successors]).sum(axis=-1) / total
    return kernel @ value / kernel.sum(axis=-1)


def sent(kernel: RawTransition, law: Shaped[np.ndarray, "S A"]) -> Shaped[np.ndarray, " S"]:
    r"""$\sum_{s,a}L(s,a)P(\cdot\mid s,a)$, in the precision of the law."""
    match kernel:
        case Staged():
            cells = _gathered(kernel.moves, law, len(kernel.successors))
            mass = (cells / kernel.probabilities.sum(axis=-1))[:, None] * kernel.probabilities
            return _gathered(kernel.successors, mass, len(law))
        case SuccessorLists():
            mass = (law / kernel.probabilities.sum(axis=-1, dtype=law.dtype))[..., None] * kernel.probabilities
            return _gathered(kernel.successors, mass, len(law))
    return np.einsum("sa,sax->x", law / kernel.sum(axis=-1, dtype=law.dtype), kernel)


def _gathered(
    places: Int[np.ndarray, "..."], amounts: Shaped[np.ndarray, "..."], size: int
) -> Shaped[np.ndarray, " S"]:
    if amounts.dtype == np.float64:
        return np.bincount(places.ravel(), amounts.ravel(), minlength=size)
    total = np.zeros(size, amounts.dtype)
    np.add.at(total, places.ravel(), amounts.ravel())
    return total


def reached(kernel: RawTransition, here: Bool[np.ndarray, " S"], legal: Bool[np.ndarray, "S A"]) -> np.ndarray:
    """States that some legal action can lead to from those in `here`."""
    return sent(kernel, (here[:, None] & legal).astype(float)) > 0


def refuse_no_laws(tables: MeanFieldTables, t: int, kernels: Sequence[RawTransition]) -> None:
    """Look at kernels at a population that no check has seen; rows are divided by their sums later, which must be one.

    **Raises:** `BadInput` with the population, the time, the state and the action.
    """
    if tables.fixed_dynamics:
        return
    for p, kernel in enumerate(kernels):
        if isinstance(kernel, Staged):
            continue
        rows = kernel.probabilities if isinstance(kernel, SuccessorLists) else kernel
        sums = rows.sum(axis=-1)
        good = np.isfinite(rows).all(axis=-1) & (rows >= 0).all(axis=-1) & (np.abs(sums - 1) <= ROW_SUM_TOLERANCE)
        off = np.argwhere(~good & tables.legal[p])
        if len(off):
            s, a = off[0].tolist()
            when = "" if tables.horizon is None else f" at time {t},"
            raise BadInput(
                f"kernel of population {tables.player_labels[p]}{when} state {tables.state_labels[s]}, action "
                f"{tables.action_labels[p][a]} is no law along the flow of this policy: its probabilities, smallest "
                f"{rows[s, a].min():.6g}, sum to {sums[s, a]:.10g}."
            )


def roundings(kernel: RawTransition) -> int:
    """Of an average by the kernel, or of a mass that it sends."""
    match kernel:
        case Staged():
            return 2 * kernel.successors.shape[-1] + kernel.moves.shape[-1] + 4
        case SuccessorLists():
            return 2 * kernel.successors.shape[-1] + 4
    return 2 * kernel.shape[-1] + 4

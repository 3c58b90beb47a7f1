"""A mean-field kernel in NumPy: what it averages, where it leads, and how many roundings that costs."""

import numpy as np
from jaxtyping import Bool, Float

from equinfer.mean_field_tables import RawTransition, Staged
from equinfer.tables import SuccessorLists

__all__ = ["averaged", "reached", "roundings", "sent"]


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


def sent(kernel: RawTransition, law: Float[np.ndarray, "S A"]) -> Float[np.ndarray, " S"]:
    r"""$\sum_{s,a}L(s,a)P(\cdot\mid s,a)$."""
    match kernel:
        case Staged():
            cells = np.bincount(kernel.moves.ravel(), law.ravel(), minlength=len(kernel.successors))
            mass = (cells / kernel.probabilities.sum(axis=-1))[:, None] * kernel.probabilities
            return np.bincount(kernel.successors.ravel(), mass.ravel(), minlength=len(law))
        case SuccessorLists():
            mass = (law / kernel.probabilities.sum(axis=-1))[..., None] * kernel.probabilities
            return np.bincount(kernel.successors.ravel(), mass.ravel(), minlength=len(law))
    return np.einsum("sa,sax->x", law / kernel.sum(axis=-1), kernel)


def reached(kernel: RawTransition, here: Bool[np.ndarray, " S"], legal: Bool[np.ndarray, "S A"]) -> np.ndarray:
    """States that some legal action can lead to from those in `here`."""
    return sent(kernel, (here[:, None] & legal).astype(float)) > 0


def roundings(kernel: RawTransition) -> int:
    """Of an average by the kernel, or of a mass that it sends."""
    match kernel:
        case Staged():
            return 2 * kernel.successors.shape[-1] + kernel.moves.shape[-1] + 4
        case SuccessorLists():
            return 2 * kernel.successors.shape[-1] + 4
    return 2 * kernel.shape[-1] + 4

"""Linear algebra of many small systems at once."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

__all__ = ["refined_solver", "times", "transposed"]


def refined_solver(matrix: Float[np.ndarray, "S n n"], ridge: float) -> Callable[[np.ndarray], np.ndarray]:
    """Solves with `matrix`, refined once; `ridge` of its largest entry keeps what is nearly singular from being so.

    The solutions of a system that is singular all the same are not a number.
    """
    size = matrix.shape[1]
    matrix = np.where(np.isfinite(matrix).all(axis=(1, 2), keepdims=True), matrix, np.eye(size))
    if ridge:
        matrix = matrix + ridge * np.abs(matrix).max(axis=(1, 2), initial=0.0)[:, None, None] * np.eye(size)
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:  # one of them is singular: it alone has no solution
        inverse = np.stack([_inverse(each) for each in matrix])

    def solve(right: np.ndarray) -> np.ndarray:
        found = times(inverse, right)
        return found + times(inverse, right - times(matrix, found))

    return solve


def _inverse(matrix: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    try:
        return np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full_like(matrix, np.nan)


def times(matrix: Float[np.ndarray, "S K J"], vector: Float[np.ndarray, "S J"]) -> Float[np.ndarray, "S K"]:
    return (matrix @ vector[..., None])[..., 0]


def transposed(matrix: Float[np.ndarray, "S K J"], vector: Float[np.ndarray, "S K"]) -> Float[np.ndarray, "S J"]:
    return (vector[:, None, :] @ matrix)[:, 0]

r"""How the best law of every decision moves with the payoffs, by the conditions of its optimality.

The law maximises $g\cdot\mu-\frac\rho2|\mu-\mu_0|^2$ under $D\mu\ge0$, $\mu\ge0$ and $\sum_m\mu(m)=1$, and has
multipliers $\lambda$ of obedience, z of the probabilities and $\nu$ of the sum. What changes payoffs changes g and D,
and moves the law by $d\mu$ with $\sum_md\mu(m)=0$ and

$$(\rho+Z+D^\top\Lambda D)\,d\mu=dg+dD^\top\lambda-D^\top\Lambda\,dD\,\mu+d\nu\,1,\qquad
\Lambda=\lambda/D\mu,\quad Z=z/\mu .$$

What holds with equality has infinite $\Lambda$ or Z, and gets a large one: that moves the derivative by as little,
and asks no inequality to be independent of the others. Where a multiplier is 0 as well as what it is of, the law has a
kink, and this is a derivative between those of its two sides.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from equinfer.solvers.correlated.linear import times
from equinfer.tables import joint_mask

__all__ = ["payoff_gradients", "sensitivities"]

_STIFFEST = 1e8
"""Largest of the ratios of a multiplier to what it is of."""
_TINY = 1e-15


def sensitivities(
    rows: Float[np.ndarray, "S K J"],
    senses: Bool[np.ndarray, "S K"],
    cells: Bool[np.ndarray, "S J"],
    law: Float[np.ndarray, "S J"],
    multiplier: Float[np.ndarray, "S K"],
    reduced: Float[np.ndarray, "S J"],
    functionals: Float[np.ndarray, "S R J"],
    *,
    regularisation: float,
) -> tuple[Float[np.ndarray, "S R J"], Float[np.ndarray, "S R K"]]:
    r"""For every functional f: w with $f\cdot d\mu=w\cdot dg$ when only g changes, and $\Lambda Dw$.

    **Arguments:** as `interior_point` takes and returns them. `functionals` are of laws, so constants do not count.
    """
    slack = np.maximum(times(rows, law), _TINY)
    stiffness = np.where(senses, np.minimum(multiplier / slack, _STIFFEST), 0.0)
    curvature = regularisation + np.minimum(reduced / np.maximum(law, _TINY), _STIFFEST)
    weighted = rows * np.sqrt(stiffness)[:, :, None]
    matrix = weighted.swapaxes(1, 2) @ weighted
    places = np.arange(matrix.shape[1])
    matrix[:, places, places] += np.where(cells, curvature, 1.0)
    scale = 1 / np.sqrt(matrix[:, places, places])
    right = np.concatenate([np.ones_like(law)[:, None], functionals], axis=1) * (cells * scale)[:, None]
    found = np.linalg.solve(matrix * scale[:, :, None] * scale[:, None, :], right.swapaxes(1, 2))
    found = (scale[:, :, None] * found).swapaxes(1, 2)
    level, moved = found[:, :1], found[:, 1:]
    moved = moved - level * (moved.sum(axis=2, keepdims=True) / level.sum(axis=2, keepdims=True))
    return moved, stiffness[:, None] * (moved @ rows.swapaxes(1, 2))


def payoff_gradients(
    q: Float[np.ndarray, "S N *A"],
    legal: Sequence[Bool[np.ndarray, "S _"]],
    law: Float[np.ndarray, "S *A"],
    multiplier: Float[np.ndarray, "S K"],
    moved: Float[np.ndarray, "S R J"],
    pushed: Float[np.ndarray, "S R K"],
    *,
    told: bool,
) -> Float[np.ndarray, "S R N *A"]:
    r"""The gradients of the functionals by the payoffs `q`, as far as these change what is obeyed.

    **Arguments:** `moved`, `pushed` from `sensitivities`. With them, a change dD of the obedience rows moves
    $f\cdot\mu$ by $\sum_{k,m}dD_{km}\bigl[\lambda_kw(m)-(\Lambda Dw)_k\mu(m)\bigr]$. Rows are those of `comparable`
    payoffs, whose units are held fixed: they change no law.
    """
    num_states, num_players, *sizes = q.shape
    shape = (num_states, moved.shape[1], *sizes)
    mask = joint_mask(legal)
    axes = tuple(range(2, q.ndim))
    allowed = np.broadcast_to(mask[:, None], q.shape)
    spread = np.where(allowed, q, -np.inf).max(axis=axes) - np.where(allowed, q, np.inf).min(axis=axes)
    gradients, begun = np.empty((num_states, moved.shape[1], num_players, *sizes)), 0
    for player, size in enumerate(sizes):
        count = size * (size - 1) if told else size
        own = slice(begun, begun + count)
        begun += count
        of_moved = _transposed_rows(multiplier[:, None, own], size, told)
        of_law = _transposed_rows(pushed[..., own], size, told)
        seen = np.moveaxis(moved.reshape(shape), 2 + player, 2).reshape(*shape[:2], size, -1)
        played = np.moveaxis(law, 1 + player, 1).reshape(num_states, 1, size, -1)
        change = of_moved @ seen - of_law @ played
        change = change.reshape(*shape[:2], size, *sizes[:player], *sizes[player + 1 :])
        unit = np.where(spread[:, player] > 0, spread[:, player], 1.0)
        gradients[:, :, player] = np.moveaxis(change, 2, 2 + player) / unit.reshape(-1, *[1] * (len(sizes) + 1))
    return np.where(mask[:, None, None], gradients, 0.0)


def _transposed_rows(multiplier: Float[np.ndarray, "S R K"], size: int, told: bool) -> Float[np.ndarray, "S R A A"]:
    r"""A player's part of $D\mapsto\sum_k\lambda_kD_k$, turned round: from weights of cells to those of its payoffs.

    A row is what $a$ is worth more than $b$, where a is played: a collects, and b pays.
    """
    by_pair = np.zeros((*multiplier.shape[:2], size, size))
    if told:
        by_pair[..., ~np.eye(size, dtype=bool)] = multiplier
    else:
        by_pair[:] = multiplier[..., None, :]
    collected = by_pair.sum(axis=-1)[..., None] * np.eye(size)
    return collected - by_pair.swapaxes(-1, -2)

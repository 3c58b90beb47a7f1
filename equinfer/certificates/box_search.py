r"""The largest value of a function on a box of actions: searched for, or bounded from above with proof.

Three ways, by what is known of the function $f$:

* nothing: a grid and a polish of the best points, which may miss the largest value;
* a Lipschitz constant, $|f(x)-f(y)|\le L\|x-y\|_2$: branch and bound, $\max f\le\max_c\,[f(c)+L\rho_c]$ over boxes with
  centres $c$ and half diagonals $\rho_c$ that cover everything;
* $f(x)=x^\top Sx+q^\top x$ with $S$ negative semidefinite: any $x$ bounds the maximum,
  $f(y)\le f(x)+\nabla f(x)^\top(y-x)$, and at a maximum the right side is no more than $f(x)$ in the whole box.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import qmc

from equinfer.certificates.rounding import UNIT_ROUNDOFF, gamma, outward
from equinfer.errors import BadInput

__all__ = ["Bound", "FalseConstant", "Peak", "concave_peak", "highest_bound", "searched_peak"]

Function = Callable[[Float[np.ndarray, "K d"]], Float[np.ndarray, " K"]]

_ON_A_LINE = 2001
_ON_A_SIDE = 101
_IN_SPACE = 2**14
"""Points of the grid in one, two and more dimensions."""
_POLISHED = 16
_CLOSE = 1e-12
"""Of the width of the box: the last step of the compass."""
_MOVES = 300
_SPLIT = 2048
"""Boxes that are split at a time."""
_EVALUATIONS = 400_000
"""After which branch and bound stops, with the bound that it has by then."""
_SWEEPS = 2000


class FalseConstant(BadInput):
    """A Lipschitz constant does not hold between two points."""


class Peak(NamedTuple):
    """A point and its value."""

    point: Float[np.ndarray, " d"]
    value: float


class Bound(NamedTuple):
    """A point, its value, and what no point exceeds, rounding of the function aside."""

    point: Float[np.ndarray, " d"]
    value: float
    bound: float


def searched_peak(
    function: Function, low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"], start: Float[np.ndarray, " d"]
) -> Peak:
    """The best of a grid, of `start`, and of what steps of a compass reach from the best of these."""
    points = np.vstack([start, _grid(low, high)])
    values = function(points)
    order = np.argsort(-values)[:_POLISHED]
    points, values = points[order], values[order]
    size = len(low)
    steps = np.concatenate([np.eye(size), -np.eye(size)])
    length = (high - low) / (_ON_A_LINE - 1 if size == 1 else _ON_A_SIDE - 1)
    for _ in range(_MOVES):
        around = np.clip(points[:, None] + steps * length, low, high)
        found = function(around.reshape(-1, size)).reshape(len(points), -1)
        best = found.argmax(axis=1)
        better = found[np.arange(len(points)), best] > values
        points = np.where(better[:, None], around[np.arange(len(points)), best], points)
        values = np.where(better, found.max(axis=1), values)
        if better.any():
            continue
        length = length / 2
        if (length <= _CLOSE * (high - low)).all():
            break
    top = int(values.argmax())
    return Peak(points[top], float(values[top]))


def highest_bound(
    function: Function,
    low: Float[np.ndarray, " d"],
    high: Float[np.ndarray, " d"],
    lipschitz: float,
    start: Float[np.ndarray, " d"],
    evaluations: int = _EVALUATIONS,
    rounding: float = 0.0,
) -> Bound:
    """Branch and bound, down to 1e-7 of what the Lipschitz constant allows in the box, or until so many `evaluations`.

    `rounding` of the function's values is not taken for a change; nor is it in the bound.

    **Raises:** `FalseConstant` naming two points between which the function changes faster than `lipschitz` says.
    """
    centres, halves = ((low + high) / 2)[None], ((high - low) / 2)[None]
    values = function(centres)
    bounds = values + _reach(halves, lipschitz)
    best = searched_peak(function, low, high, start)
    refuse_false_constant(centres, values, best.point[None], np.array([best.value]), lipschitz, rounding)
    precision = 1e-7 * float(bounds[0] - values[0])
    spent, dropped = 1, best.value
    while len(bounds):
        kept = bounds > best.value + precision
        dropped = max(dropped, float(bounds[~kept].max(initial=-np.inf)))
        centres, halves, values, bounds = centres[kept], halves[kept], values[kept], bounds[kept]
        if not len(bounds) or spent >= evaluations:
            break
        order = np.argpartition(-bounds, min(_SPLIT, len(bounds)) - 1)
        split, rest = order[:_SPLIT], order[_SPLIT:]
        children = _thirds(centres[split], halves[split])
        new, parent = children[0][len(split) :], np.tile(split, 2)
        found = function(new)
        spent += len(new)
        refuse_false_constant(centres[parent], values[parent], new, found, lipschitz, rounding)
        if found.max() > best.value:
            best = Peak(new[int(found.argmax())], float(found.max()))
        own = np.concatenate([values[split], found])
        above = np.minimum(own + _reach(children[1], lipschitz), np.tile(bounds[split], 3))
        centres = np.vstack([centres[rest], children[0]])
        halves = np.vstack([halves[rest], children[1]])
        values, bounds = np.concatenate([values[rest], own]), np.concatenate([bounds[rest], above])
    return Bound(best.point, best.value, max(dropped, float(bounds.max(initial=-np.inf))))


def refuse_false_constant(
    points: Float[np.ndarray, "K d"],
    values: Float[np.ndarray, " K"],
    others: Float[np.ndarray, "K d"],
    found: Float[np.ndarray, " K"],
    lipschitz: float,
    rounding: float,
) -> None:
    """**Raises:** `FalseConstant` with two points between which values change faster than the constant allows."""
    apart = np.linalg.norm(points - others, axis=1)
    change = np.abs(values - found)
    off = np.flatnonzero(change > outward(lipschitz) * apart * (1 + 1e-12) + 2 * rounding)
    if len(off):
        k = int(off[np.argmax((change / np.maximum(apart, 1e-300))[off])])
        raise FalseConstant(
            f"declares the Lipschitz constant {lipschitz:g}, but between its actions {points[k].tolist()} and "
            f"{others[k].tolist()} the reward changes by {change[k] / apart[k]:g} times their distance."
        )


def concave_peak(
    quadratic: Float[np.ndarray, "d d"],
    linear: Float[np.ndarray, " d"],
    low: Float[np.ndarray, " d"],
    high: Float[np.ndarray, " d"],
) -> Bound | None:
    r"""The maximum of $x^\top Sx+q^\top x$ with its bound, or None if S is not negative semidefinite to rounding."""
    size = len(low)
    curvature = float(np.linalg.eigvalsh(quadratic)[-1])
    doubt = gamma(8 * size * size) * float(np.abs(quadratic).sum())
    if curvature > doubt:
        return None
    point = _concave_point(quadratic, linear, low, high)
    gradient = 2 * quadratic @ point + linear
    slope = np.maximum(gradient * (high - point), gradient * (low - point)).sum()
    # The part of the curvature that may be positive, where rounding hides its sign.
    hidden = max(0.0, curvature + doubt) * float(((high - low) ** 2).sum())
    value = float(point @ quadratic @ point + linear @ point)
    return Bound(point, value, outward(max(0.0, float(slope)) + hidden) + value)


def _concave_point(
    quadratic: Float[np.ndarray, "d d"],
    linear: Float[np.ndarray, " d"],
    low: Float[np.ndarray, " d"],
    high: Float[np.ndarray, " d"],
) -> Float[np.ndarray, " d"]:
    """Coordinate ascent, which settles what lies at a bound; then the equations of what does not."""
    point = (low + high) / 2
    for _ in range(_SWEEPS):
        before = point.copy()
        for k in range(len(point)):
            slope = linear[k] + 2 * (quadratic[k] @ point - quadratic[k, k] * point[k])
            point[k] = _on_a_line(quadratic[k, k], slope, low[k], high[k])
        if np.abs(point - before).max() <= 4 * UNIT_ROUNDOFF * np.abs(high - low).max():
            return point
        free = (point > low) & (point < high)
        if free.any():
            rest = linear[free] + 2 * quadratic[np.ix_(free, ~free)] @ point[~free]
            solved = np.linalg.lstsq(-2 * quadratic[np.ix_(free, free)], rest, rcond=None)[0]
            if (solved >= low[free]).all() and (solved <= high[free]).all():
                point[free] = solved
    return point


def _on_a_line(curvature: float, slope: float, low: float, high: float) -> float:
    """Where $cx^2+sx$ is largest, c <= 0."""
    if curvature < 0:
        return min(max(-slope / (2 * curvature), low), high)
    return high if slope > 0 else low if slope < 0 else (low + high) / 2


def _reach(halves: Float[np.ndarray, "K d"], lipschitz: float) -> Float[np.ndarray, " K"]:
    return outward(lipschitz) * np.linalg.norm(halves, axis=1) * (1 + 1e-12)


def _thirds(
    centres: Float[np.ndarray, "K d"], halves: Float[np.ndarray, "K d"]
) -> tuple[Float[np.ndarray, "K3 d"], Float[np.ndarray, "K3 d"]]:
    """Each box cut in three along its longest side: those in the middle, whose centres stay, then the outer ones.

    Halves are made a little longer than a third, so that rounding leaves no gap between boxes.
    """
    rows, longest = np.arange(len(centres)), halves.argmax(axis=1)
    shift = np.zeros_like(centres)
    shift[rows, longest] = halves[rows, longest] * (2 / 3)
    smaller = halves.copy()
    smaller[rows, longest] *= (1 + 1e-12) / 3
    return np.vstack([centres, centres - shift, centres + shift]), np.tile(smaller, (3, 1))


def _grid(low: Float[np.ndarray, " d"], high: Float[np.ndarray, " d"]) -> Float[np.ndarray, "K d"]:
    """Points of the box: even ones on lines and planes, with the bounds; a Sobol sequence and corners beyond."""
    size = len(low)
    if size == 1:
        return np.linspace(low, high, _ON_A_LINE)
    if size == 2:
        sides = [np.linspace(a, b, _ON_A_SIDE) for a, b in zip(low, high, strict=True)]
        return np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1).reshape(-1, 2)
    spread = qmc.Sobol(size, scramble=False).random(_IN_SPACE)
    corners = np.array(list(np.ndindex(*[2] * min(size, 10))), float)
    corners = np.pad(corners, ((0, 0), (0, size - corners.shape[1])), constant_values=0.5)
    return low + np.vstack([spread, corners]) * (high - low)

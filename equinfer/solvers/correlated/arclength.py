r"""From one stationary correlated equilibrium to others: along a path in $(V,\log t)$, or by sweeps.

Both end with Newton's method on F (`markov_laws`). F has kinks, where inequalities begin or cease to bind; the method
then works with the derivative of one side.
"""

from collections.abc import Generator

import numpy as np
from jaxtyping import Float

from equinfer.solvers.correlated.markov_laws import MarkovLaws, Point, Work

__all__ = ["follow", "newton", "sweep"]

_MOST_NEWTON, _MOST_HALVINGS = 12, 3
_PROGRESS = 0.9
"""A step of Newton's method leaves at most this part of the error, or is halved."""
_POLISHED, _GOOD = 1e-15, 1e-10
"""Errors of F, of the size of the values: where polishing ends, and what counts as a zero."""
_FIRST_STEP, _LARGEST_STEP, _SMALLEST_STEP = 0.5, 2.0, 2e-3
_MOST_STEPS = 200
_VALUES = 1.0
"""Weight of the mean square change of the values beside the square change of the log weight."""
_NEAR = 1e-3
"""Change of the values, in units of reward, from which on Newton's method takes over from sweeps."""
_TOWARDS = 0.7
"""Of the way to the exact values of a law, in every second sweep."""


def newton(
    system: MarkovLaws,
    value: Float[np.ndarray, "N S"],
    log_weight: float,
    normal: Float[np.ndarray, " NS_1"] | None = None,
) -> Work[Point | None]:
    r"""A zero of F near `value`; None if the steps do not lead to one.

    With `normal`, in the plane through the start that stands on it in $(V,\log t)$; without, at fixed t.
    """
    point = yield from system.at(value, log_weight)
    size = 1.0 + float(np.abs(value).max())
    for _ in range(_MOST_NEWTON):
        if point.error <= _POLISHED * size:
            break
        linear = yield from system.linearised(point)
        if normal is None:
            step = np.append(-linear.solved(point.residual.ravel()), 0.0)
        else:
            step = linear.bordered(normal, np.append(-point.residual.ravel(), 0.0))
        if not np.isfinite(step).all():
            break
        for _ in range(_MOST_HALVINGS + 1):
            trial = yield from _moved(system, point, step)
            if trial.error <= _PROGRESS * point.error:
                break
            if point.error <= _GOOD * size:  # rounding
                return trial if trial.error < point.error else point
            step = step / 2
        else:
            return None
        point = trial
    return point if point.error <= _GOOD * size else None


def follow(system: MarkovLaws, point: Point, last: float) -> Generator[Point | None, None, None]:
    r"""The path from a zero of F on, until $\log t$ exceeds `last`, comes back, or can be followed no further.

    By predictor steps along the tangent and corrections at right angles to it, so that t may turn back.
    """
    weights = np.append(np.full(point.value.size, _VALUES / point.value.size), 1.0)
    linear = yield from system.linearised(point)
    tangent = _unit(np.append(-linear.solved(linear.slope), 1.0), weights)
    length, least = _FIRST_STEP, point.log_weight - 1.0
    for _ in range(_MOST_STEPS):
        ahead = length * tangent
        value = point.value + ahead[:-1].reshape(point.value.shape)
        found = yield from newton(system, value, point.log_weight + float(ahead[-1]), weights * tangent)
        if found is None:
            length /= 3
            if length < _SMALLEST_STEP:
                return
            continue
        yield found
        if not least <= found.log_weight < last:
            return
        linear = yield from system.linearised(found)
        turned = linear.bordered(weights * tangent, np.append(np.zeros(point.value.size), 1.0))
        point, tangent = found, _unit(turned, weights)
        length = min(2 * length, _LARGEST_STEP)


def sweep(
    system: MarkovLaws, value: Float[np.ndarray, "N S"], log_weight: float, sweeps: int
) -> Generator[Point | None, None, None]:
    """Best laws at values, values of these laws, and so on; once the values settle, Newton's method."""
    for number in range(sweeps):
        point = yield from system.at(value, log_weight)
        value = point.value
        if point.error <= _NEAR:
            break
        ahead = -point.residual if number % 2 == 0 else _TOWARDS * (system.exact(point.joint) - value)
        value = value + ahead
    found = yield from newton(system, value, log_weight)
    if found is not None:
        yield found


def _moved(system: MarkovLaws, point: Point, step: Float[np.ndarray, " NS_1"]) -> Work[Point]:
    value = point.value + step[:-1].reshape(point.value.shape)
    return (yield from system.at(value, point.log_weight + float(step[-1])))


def _unit(direction: Float[np.ndarray, " NS_1"], weights: Float[np.ndarray, " NS_1"]) -> Float[np.ndarray, " NS_1"]:
    return direction / np.sqrt((weights * direction**2).sum())

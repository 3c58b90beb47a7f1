"""Numbers that users hand to the functions and classes of the package, checked: one sentence for what is wrong."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.errors import BadInput

__all__ = [
    "ROW_SUM_TOLERANCE",
    "check_ranges",
    "checked_seed",
    "nonnegative",
    "nonnegative_each",
    "refuse_masked",
    "shown",
    "whole",
]

ROW_SUM_TOLERANCE = 1e-8
"""Probabilities typed or printed with eight or more decimals pass, and are renormalised; anything further off is
refused."""
_LONGEST = 80
"""Characters of a value that a message repeats."""


def shown(value: Any) -> str:
    """What came instead, for a message: on one line, and no longer than a reader wants."""
    if isinstance(value, np.ndarray) and value.ndim:
        return f"an array of shape {value.shape}"
    plain: Any = value.item() if isinstance(value, (np.ndarray, np.generic)) else value
    text = " ".join(repr(plain).split())
    if len(text) <= _LONGEST:
        return text
    return f"a {type(plain).__name__} of {len(plain)}" if hasattr(plain, "__len__") else f"{text[:_LONGEST]}…"


def refuse_masked(value: Any, what: str) -> None:
    """**Raises:** `BadInput` if `value` is a masked array that has no number somewhere; `what` is it."""
    if np.ma.is_masked(value):
        place = tuple(np.argwhere(np.ma.getmaskarray(value))[0].tolist())
        raise BadInput(f"entries of {what} are masked, the first at {place}: put numbers in their place.")


def nonnegative(name: str, value: Any) -> float:
    """`value`, a finite number of at least 0. **Raises:** `BadInput` if it is something else, by `name`."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise BadInput(f"{name} must be a finite number, at least 0; got {shown(value)}.")
    return float(value)


def nonnegative_each(name: str, value: Any, count: int) -> Float[np.ndarray, " count"]:
    """`value`, one such number for each of `count` games, or one for all. **Raises:** `BadInput` like `nonnegative`."""
    try:
        numbers = np.asarray(value)
    except ValueError:  # ragged
        numbers = np.empty((0, 0))
    if numbers.ndim == 0:
        return np.full(count, nonnegative(name, numbers.item()))
    if numbers.shape != (count,) or numbers.dtype.kind not in "iuf":
        raise BadInput(f"{name} must be a number, or one for each of {count} games; got {shown(value)}.")
    off = np.flatnonzero(~(np.isfinite(numbers) & (numbers >= 0)))
    if len(off):
        nonnegative(f"{name} of game {off[0]}", numbers[off[0]])
    return numbers.astype(np.float64)


def whole(name: str, value: Any, least: int) -> int:
    """`value`, a whole number of at least `least`. **Raises:** `BadInput` if it is something else, by `name`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)) or value < least:
        raise BadInput(f"{name} must be a whole number, at least {least}; got {shown(value)}.")
    return int(value)


def checked_seed(seed: Any) -> int:
    """`seed`, a whole number that random keys can be made of. **Raises:** `BadInput` if it is something else."""
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise BadInput(f"seed must be a whole number, at least 0 and below 2**63; got {shown(seed)}.")
    return int(seed)


def check_ranges(model: Any, ranges: Mapping[str, str]) -> None:
    """Check fields of a solver or a model against intervals such as `"(0, 1]"`; what is no number, such as a tracer,
    passes.

    **Raises:** `BadInput` if a field of `model` lies outside its interval, or is not a number.
    """
    for field, interval in ranges.items():
        value = getattr(model, field)
        if isinstance(value, (int, float, np.integer, np.floating)) and not _lies_in(float(value), interval):
            raise BadInput(f"{field} must lie in {interval}; got {shown(value)}.")


def _lies_in(value: float, interval: str) -> bool:
    low, high = map(float, interval[1:-1].split(","))
    return low < value < high or (value == low and interval[0] == "[") or (value == high and interval[-1] == "]")

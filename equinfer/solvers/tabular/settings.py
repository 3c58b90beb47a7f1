"""Checks of a solver's settings, with one sentence for what is wrong."""

from collections.abc import Mapping
from typing import Any

from equinfer.errors import BadInput

__all__ = ["check_choices", "check_ranges"]


def check_choices(solver: Any, choices: Mapping[str, tuple[str, ...]]) -> None:
    """**Raises:** `BadInput` if a field of `solver` is none of its choices."""
    for field, known in choices.items():
        if getattr(solver, field) not in known:
            raise BadInput(f"{field} must be one of {', '.join(known)}; got {getattr(solver, field)!r}.")


def check_ranges(solver: Any, ranges: Mapping[str, str]) -> None:
    """Check numbers against intervals such as `"(0, 1]"`; what is no plain number, such as a tracer, passes.

    **Raises:** `BadInput` if a field of `solver` lies outside its interval, or is not a number.
    """
    for field, interval in ranges.items():
        value = getattr(solver, field)
        if isinstance(value, (int, float)) and not _lies_in(float(value), interval):
            raise BadInput(f"{field} must lie in {interval}; got {value!r}.")


def _lies_in(value: float, interval: str) -> bool:
    low, high = map(float, interval[1:-1].split(","))
    return low < value < high or (value == low and interval[0] == "[") or (value == high and interval[-1] == "]")

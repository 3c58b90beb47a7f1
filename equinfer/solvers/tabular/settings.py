"""Checks of a solver's settings, with one sentence for what is wrong."""

from collections.abc import Mapping
from typing import Any

from equinfer.errors import BadInput
from equinfer.tables import Tables

__all__ = ["COLDEST", "HOTTEST", "check_choices", "check_ranges", "temperature_doubts"]

COLDEST, HOTTEST = 1e-3, 10.0
"""Temperatures, in units of the range of a player's rewards, between which (★) is known to get somewhere."""


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


def temperature_doubts(tables: Tables, first: float, last: float) -> tuple[str, ...]:
    """A sentence for each player whose rewards are in another unit than the temperature of a run, from first to last.

    A run that ends hot stays near the magnet whatever is paid; one that begins cold jumps between pure policies.
    """
    found = []
    for player, osc in zip(tables.player_labels, tables.reward_ranges.tolist(), strict=True):
        for temperature, wrong, fate in (
            (last, last > HOTTEST * osc, "too hot to tell actions apart"),
            (first, first < COLDEST * osc, "so cold that policies may jump instead of learning"),
        ):
            if osc > 0 and wrong:
                found.append(
                    f"The temperature {temperature:.3g} is {temperature / osc:.1g} of the range of player {player}'s "
                    f"rewards, {osc:.3g}: {fate}. It is in units of reward; try {0.1 * osc:.3g}."
                )
    return tuple(found)


def _lies_in(value: float, interval: str) -> bool:
    low, high = map(float, interval[1:-1].split(","))
    return low < value < high or (value == low and interval[0] == "[") or (value == high and interval[-1] == "]")

"""Checks of a solver's settings, with one sentence for what is wrong."""

from collections.abc import Mapping
from typing import Any

from equinfer.arguments import check_ranges
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

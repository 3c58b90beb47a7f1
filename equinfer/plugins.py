"""Games and solvers of other packages, found by their entry points when somebody asks for one that is not ours.

A package announces a plug-in by a line of its own `pyproject.toml`, under `[project.entry-points."equinfer.solvers"]`
or `[project.entry-points."equinfer.games"]`. One that is broken is named in a `PluginWarning` and skipped.
"""

import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

__all__ = ["GROUPS", "PluginWarning", "plugin", "plugins"]

GROUPS = ("equinfer.games", "equinfer.solvers")


class PluginWarning(UserWarning):
    """A plug-in is broken, or has a name that is taken, and was skipped."""


def plugins(group: str, taken: frozenset[str] | set[str] = frozenset()) -> dict[str, EntryPoint]:
    """The plug-ins of a group by name, none of them imported. Names that are `taken` already are warned about."""
    found: dict[str, EntryPoint] = {}
    for entry in entry_points(group=group):
        if entry.name in taken or entry.name in found:
            _warn(entry, f"the name {entry.name!r} is taken")
        else:
            found[entry.name] = entry
    return found


def plugin(group: str, name: str, fault: Callable[[Any], str | None]) -> Any:
    """What the plug-in `name` is, or None if there is none, or it is broken.

    **Arguments:** `fault` says what is wrong with what was imported, or None if nothing is.
    """
    entry = plugins(group).get(name)
    return None if entry is None else imported(entry, fault)


def imported(entry: EntryPoint, fault: Callable[[Any], str | None]) -> Any:
    """What an entry point leads to, or None, after a warning, if it leads nowhere or has a fault."""
    try:
        value = entry.load()
    except Exception as error:  # somebody else's module may raise anything when it is imported
        return _warn(entry, f"{type(error).__name__}: {error}")
    wrong = fault(value)
    return value if wrong is None else _warn(entry, wrong)


def described(entry: EntryPoint) -> str:
    """Which package the plug-in is of, and where in it."""
    package = "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
    return f"{entry.value} of {package}"


def _warn(entry: EntryPoint, reason: str) -> None:
    warnings.warn(
        f"plug-in {entry.name!r} of {entry.group} ({described(entry)}) is skipped: {reason}.",
        PluginWarning,
        stacklevel=3,
    )

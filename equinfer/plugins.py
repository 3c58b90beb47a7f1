"""Games and solvers of other packages, found by their entry points when somebody asks for one that is not ours.

A package announces a plug-in by a line of its own `pyproject.toml`, under `[project.entry-points."equinfer.solvers"]`
or `[project.entry-points."equinfer.games"]`. One that is broken is named in a `PluginWarning` and skipped.
"""

import warnings
from collections.abc import Callable, Collection, Iterator
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from equinfer.errors import UnknownName

__all__ = ["PluginWarning", "described", "is_plugin", "plugin", "working_plugins"]

Fault = Callable[[Any], str | None]
"""Says what is wrong with what was imported, or None if nothing is."""


class PluginWarning(UserWarning):
    """A plug-in is broken, or has a name that is taken, and was skipped."""


def plugin(group: str, what: str, name: str, ours: Collection[str], fault: Fault) -> Any:
    """What the plug-in called `name` is.

    **Raises:** `UnknownName` if there is none, or it is broken, with `ours` and the other plug-ins as the known names.
    """
    entries = entry_points(group=group)
    if name in entries.names:
        value = _imported(entries[name], fault)
        if value is not None:
            return value
    others = {entry.name for entry in entries} - {name, *ours}
    raise UnknownName.among(what, name, (*ours, *sorted(others)))


def is_plugin(group: str, name: str) -> bool:
    """Whether somebody announces a plug-in called `name`, working or not."""
    return name in entry_points(group=group).names


def working_plugins(group: str, ours: Collection[str], fault: Fault) -> Iterator[EntryPoint]:
    """Every plug-in of the group that can be imported and has a name of its own; a warning names each other."""
    taken = set(ours)
    for entry in entry_points(group=group):
        if entry.name in taken:
            _warn(entry, f"the name {entry.name!r} is taken")
        elif _imported(entry, fault) is not None:
            taken.add(entry.name)
            yield entry


def described(entry: EntryPoint) -> str:
    """Where the plug-in is, and in which package."""
    package = "an unknown package" if entry.dist is None else f"{entry.dist.name} {entry.dist.version}"
    return f"{entry.value} of {package}"


def _imported(entry: EntryPoint, fault: Fault) -> Any:
    """What an entry point leads to, or None, after a warning, if it leads nowhere or has a fault."""
    try:
        value = entry.load()
    except Exception as error:  # somebody else's module may raise anything when it is imported
        return _warn(entry, f"{type(error).__name__}: {error}")
    wrong = fault(value)
    return value if wrong is None else _warn(entry, wrong)


def _warn(entry: EntryPoint, reason: str) -> None:
    sentence = f"plug-in {entry.name!r} of {entry.group} ({described(entry)}) is skipped: {reason}."
    warnings.warn(sentence, PluginWarning, stacklevel=4)

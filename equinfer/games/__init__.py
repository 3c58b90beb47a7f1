"""The sources of games by name: what stands before the colon of a target. A name is one line here, or a plug-in."""

import importlib
from collections.abc import Callable
from typing import Any

from equinfer.plugins import plugin

__all__ = ["SOURCES", "game_source"]

SOURCES = {
    "catalog": "equinfer.games.catalog:load",
    "openspiel": "equinfer.games.adapters.open_spiel:load",
}
GROUP = "equinfer.games"


def game_source(name: str) -> Callable[..., Any]:
    """What makes the games of a source: it takes what stands behind the colon, and parameters.

    **Raises:** `UnknownName` with the known sources.
    """
    if name in SOURCES:
        module, _, attribute = SOURCES[name].partition(":")
        return getattr(importlib.import_module(module), attribute)
    return plugin(GROUP, "source of games", name, tuple(SOURCES), fault)


def fault(source: Any) -> str | None:
    """What is wrong with a plug-in, or None."""
    return None if callable(source) else f"it is no function that makes games, but {source!r}"

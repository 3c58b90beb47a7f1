"""Somebody's own game or environment, by the name `package.module:attribute`."""

import difflib
import importlib
import importlib.util
import sys
from typing import Any

from equinfer.errors import BadInput, blamed
from equinfer.games import GROUP, SOURCES
from equinfer.plugins import is_plugin

__all__ = ["imported", "is_importable"]


def is_importable(target: str) -> bool:
    """Whether a target is `package.module:attribute` of a module that can be found, and no source of games."""
    module, colon, attribute = target.partition(":")
    names = [*module.split("."), attribute]
    if not colon or module in SOURCES or not all(name.isidentifier() for name in names):
        return False
    if "." in module:
        return True
    known = module in sys.modules or importlib.util.find_spec(module) is not None
    return known and not is_plugin(GROUP, module)


def imported(target: str) -> Any:
    """What `package.module:attribute` is.

    **Raises:** `BadInput` if there is no such module or attribute, or if the module breaks.
    """
    module, _, attribute = target.partition(":")
    with blamed(f"{module} cannot be imported"):
        found = importlib.import_module(module)
    if not hasattr(found, attribute):
        close = difflib.get_close_matches(attribute, [name for name in vars(found) if name[0] != "_"], n=1)
        meant = f"; did you mean {close[0]!r}?" if close else "."
        raise BadInput(f"{module} has no {attribute}{meant}")
    return getattr(found, attribute)

"""Values as people type them: `n=3`, `slip=0.1`, `start=[0,1]`, `ordered=true`, `colour=red`."""

import json
from collections.abc import Collection, Sequence
from typing import Any

from equinfer.cli.usage import UsageError

__all__ = ["LOAD_ITSELF", "assignments", "value"]

LOAD_ITSELF = ("target", "name", "path")
"""What is no parameter of a game, but says which game it is."""


def assignments(words: Sequence[str] | None, option: str, reserved: Collection[str] = ()) -> dict[str, Any]:
    """`name=value` words as a dictionary with typed values.

    **Raises:** `UsageError` if a word has no name, no `=`, or a name that is `reserved` or came before.
    """
    typed: dict[str, Any] = {}
    for word in words or ():
        name, equals, text = word.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name.isidentifier():
            raise UsageError(f"{option} takes name=value; got {word!r}.")
        if name in reserved:
            raise UsageError(f"{option} cannot set {name}; that has a place of its own on the command line.")
        if name in typed:
            raise UsageError(f"{option} has {name} twice.")
        typed[name] = value(text.strip())
    return typed


def value(text: str) -> Any:
    """JSON where it is JSON; Python's `True`, `False`, `None`; numbers with commas are a list; else the text itself."""
    constants = {"True": True, "False": False, "None": None}
    if text in constants:
        return constants[text]
    for candidate in (text, f"[{text}]") if "," in text else (text,):
        try:
            return json.loads(candidate)
        except json.JSONDecodeError:
            continue
    return text

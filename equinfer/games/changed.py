"""A copy of a game in which some fields are others."""

from dataclasses import fields
from typing import Any, TypeVar

import equinox as eqx

__all__ = ["changed"]

Module = TypeVar("Module", bound=eqx.Module)


def changed(module: Module, **others: Any) -> Module:
    """The same module with `others` in place of its own fields, static ones too."""
    # Static fields are out of reach of `eqx.tree_at`; this is what Equinox's own unflattening does.
    copy = object.__new__(type(module))
    for field in fields(module):
        object.__setattr__(copy, field.name, others.get(field.name, getattr(module, field.name)))
    return copy

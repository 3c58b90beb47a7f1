"""The functions that somebody's game is made of."""

import functools
from typing import Any

import equinox as eqx

__all__ = ["as_new"]


def as_new(function: Any) -> Any:
    """The same function under an identity of its own; what is no function stays what it is.

    JAX keeps what it compiled by the function's identity, and a function can read names outside it that have changed
    since: a game that is made again is compiled again. Modules of Equinox are compared by what is in them.
    """
    if not callable(function) or isinstance(function, eqx.Module):
        return function
    return functools.partial(function)

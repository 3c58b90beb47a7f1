"""What a catalogue entry is: a builder with keyword parameters, its source, and what is known about its equilibria."""

import ast
import inspect
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float

from equinfer.arguments import shown
from equinfer.errors import BadInput, UnknownName

__all__ = ["Entry", "KnownEquilibrium", "entry", "require"]

Profile = tuple[Float[np.ndarray, "..."], ...]
AnyGame: TypeAlias = Any
"""A `TabularGame`, `MeanFieldGame` or `ContinuousGame`: named only, so that a list of games loads no JAX."""


@dataclass(frozen=True, eq=False)
class KnownEquilibrium:
    """An equilibrium derived on paper: its profile, its value vectors, or both; `note` says how it is derived.

    `complete` is True on every member of a list that holds all Nash equilibria of the game. A continuum of equilibria
    stands in the list once: by its values if they are the same, else by one member and a `family`.
    """

    profile: Profile | None
    """Arrays (S, A_i), with a leading H in a finite-horizon game; of a mean-field game, one for each population; of
    continuous actions, ([S,] d_i)."""
    values: Float[np.ndarray, "..."] | None
    """(N, S), or (N, H, S)."""
    note: str
    complete: bool = False
    family: Callable[[Profile], Float[np.ndarray, "..."]] | None = None
    """Of a continuum with different values: those of its member that is nearest to a profile."""

    def values_near(self, profile: Profile) -> Float[np.ndarray, "..."] | None:
        """Its values; of a continuum, those of the member nearest to `profile`."""
        return self.values if self.family is None else self.family(profile)


@dataclass(frozen=True)
class Entry:
    """A named family of games. The builder's signature holds the parameters and their defaults."""

    build: Callable[..., AnyGame]
    source: str
    known: Callable[..., tuple[KnownEquilibrium, ...]] | None
    """Takes the game built and every parameter."""
    stage_potential: Callable[..., Float[np.ndarray, "S *A"]] | None
    """Takes the game built and every parameter."""
    folder: str = ""
    """Stands before the name: `mean_field/` before those of mean-field games."""

    @property
    def name(self) -> str:
        return f"{self.folder}/{self.build.__name__}" if self.folder else self.build.__name__

    @property
    def description(self) -> str:
        """The first line of the builder's docstring."""
        return (inspect.getdoc(self.build) or "").splitlines()[0]

    @property
    def parameters(self) -> dict[str, Any]:
        """Each parameter with its default."""
        return {name: each.default for name, each in inspect.signature(self.build).parameters.items()}

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Every parameter: those given, read as what their annotation says, and the defaults of the rest.

        **Raises:** `UnknownName` for a parameter that the game does not have, `BadInput` for one of the wrong type.
        """
        signature = inspect.signature(self.build).parameters
        for name in given:
            if name not in signature:
                known = ", ".join(f"{key}={value!r}" for key, value in self.parameters.items()) or "none"
                raise UnknownName(f"{self.name} has no parameter {name!r}; its parameters are: {known}.")
        read = {key: _read(f"{self.name}: {key}", given[key], signature[key].annotation) for key in given}
        return self.parameters | read


def entry(
    source: str,
    known: Callable[..., tuple[KnownEquilibrium, ...]] | None = None,
    stage_potential: Callable[..., Float[np.ndarray, "S *A"]] | None = None,
    folder: str = "",
) -> Callable[[Callable[..., AnyGame]], Entry]:
    """Make a builder an `Entry`: used as a decorator, below the functions that it names."""
    return lambda build: Entry(build, source, known, stage_potential, folder)


def require(holds: bool, sentence: str) -> None:
    """**Raises:** `BadInput(sentence)` unless it `holds`."""
    if not holds:
        raise BadInput(sentence)


def _read(what: str, value: Any, annotation: Any) -> Any:
    """`value` as `annotation`: a word, a whole number, a number, a flag or a tuple of them.

    A string is read as Python's. A tuple of tuples is laid out in one row where the annotation allows it.
    """
    if annotation is str:
        if not isinstance(value, str):
            raise BadInput(f"{what} must be a word; got {shown(value)}.")
        return value
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value.strip().replace("true", "True").replace("false", "False"))
        except (ValueError, SyntaxError):
            raise BadInput(f"{what} must be {_in_words(annotation)}; got {shown(value)}.") from None
    many = isinstance(value, (tuple, list, np.ndarray))
    items = tuple(value) if many else (value,)
    if "tuple[tuple" in str(annotation):
        items = tuple(each for item in items for each in (item if np.ndim(item) else (item,)))
    allowed = str(annotation)
    element: Any = bool if annotation is bool else float if "float" in allowed else int
    fits = ("tuple" in allowed) if many else ("tuple" not in allowed or "|" in allowed)
    if not fits or not all(_is(item, element) for item in items):
        raise BadInput(f"{what} must be {_in_words(annotation)}; got {shown(value)}.")
    read = tuple(element(item) for item in items)
    return read if many else read[0]


def _is(value: Any, element: type) -> bool:
    if element is bool or isinstance(value, (bool, np.bool_)):
        return element is bool and isinstance(value, (bool, np.bool_))
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        return False
    return element is float or float(value).is_integer()


def _in_words(annotation: Any) -> str:
    if annotation is bool:
        return "true or false"
    number = "number" if "float" in str(annotation) else "whole number"
    if "tuple" not in str(annotation):
        return f"a finite {number}"
    return f"a {number} or a list of {number}s" if "|" in str(annotation) else f"a list of {number}s"

r"""What a game does near a population: by how much rewards, moves and laws change where masses are a little wrong.

Functions of the law are evaluated, not differentiated. Each law of a small game is moved, entry by entry, by a relative
distance of 1e-9, or twice its own error where that is more; of a large one, in a few directions of random signs, and
what is seen counts `MARGIN` times. In some directions a second law lies further out: a function that changes nearly as
much close by as far away jumps (or has an infinite slope) within the error, and nothing is bounded.

Functions are taken to be accurate to a few roundings of their arguments and of their result.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Shaped

from equinfer.certificates.rounding import UNIT_ROUNDOFF
from equinfer.mean_field_tables import Flow, MeanFieldTables, RawTransition

__all__ = [
    "MARGIN",
    "NOISE",
    "Laws",
    "Neighbourhood",
    "around",
    "can_move_entries",
    "jumps_between",
    "kernels_near",
    "largest_changes",
]

Arrays: TypeAlias = Sequence[Float[np.ndarray, "..."]]

Laws: TypeAlias = tuple[Shaped[np.ndarray, "..."], ...]
"""Of every population, in float64 or in the longest floats that there are."""

MARGIN = 4.0
"""Of what is seen in a few directions."""
_NEAR, _FAR = 1e-9, 1e-6
_MOST_NEAR = 0.05
_BEYOND, _CLOSE_PAIRS = 1.25, 16
"""Errors, and ways and back, where a function that jumps nearby is looked at closely."""
_WITHIN = 2.0
"""Errors, that the near distance is at least."""
_MOST_ENTRIES, _MOST_NUMBERS = 256, 4e6
"""Of laws that are moved entry by entry, and numbers that are made of that."""
_JUMPS = 4.0
"""Times the share of the far change that is the near one's, beyond which a function is no longer smooth or kinked."""
NOISE = 64 * UNIT_ROUNDOFF
"""Of the largest numbers of an epoch: by as much a function may jump, which is then counted as an error."""


class Neighbourhood(NamedTuple):
    """Laws around a law (or, of all epochs at once, flows around a flow), as relative changes."""

    entries: Sequence[tuple[int, int, int]]
    """Population, state and action of those that are moved one at a time; empty where there are too many."""
    steps: tuple[Float[np.ndarray, "*H S"], ...]
    """By which they are."""
    errors: tuple[Float[np.ndarray, "*H S"], ...]
    """Of the entries of a law, relative."""
    directions: tuple[tuple[Float[np.ndarray, "..."], ...], ...]
    """Each, per population, relative changes of all entries, at most 1 times `near` (or `far`)."""
    near: float
    far: float
    reach: float
    """The errors lie within this many of the directions' units."""

    def moved(self, laws: Laws, k: int) -> Laws:
        """With entry k moved alone."""
        p, s, a = self.entries[k]
        law = laws[p].copy()
        law[..., s, a] *= 1 + self.steps[p][..., s]
        return (*laws[:p], law, *laws[p + 1 :])

    def along(self, laws: Laws, direction: int, distance: float) -> Laws:
        pairs = zip(laws, self.directions[direction], strict=True)
        return tuple(law * (1 + distance * weights) for law, weights in pairs)

    def closer(self, laws: Laws) -> "Neighbourhood":
        """Only as far away as errors reach, in many directions; near and far are the same."""
        units = [np.minimum(error, _MOST_NEAR) / self.reach for error in self.errors]
        distance = _BEYOND * self.reach
        return self._replace(entries=(), directions=_directions(laws, units, _CLOSE_PAIRS), near=distance, far=distance)

    def place(self, direction: int) -> int:
        """Of the near law in that direction, which the far one follows."""
        return 1 + len(self.entries) + 2 * direction

    @property
    def size(self) -> int:
        return self.place(len(self.directions))

    def law(self, laws: Laws, k: int) -> Laws:
        """The law itself, then those with one entry moved, and then along each direction the near and the far one."""
        if k == 0:
            return laws
        if k <= len(self.entries):
            return self.moved(laws, k - 1)
        direction, is_far = divmod(k - self.place(0), 2)
        return self.along(laws, direction, self.far if is_far else self.near)


def can_move_entries(tables: MeanFieldTables, cost: int) -> bool:
    """Entries are few enough to be moved one by one, where one evaluation makes `cost` numbers."""
    count = sum(mask.size for mask in tables.legal)
    return count <= _MOST_ENTRIES and count * cost <= _MOST_NUMBERS


def around(
    tables: MeanFieldTables, laws: Laws, errors: Sequence[Float[np.ndarray, "*H S"]], cost: int
) -> Neighbourhood:
    """**Arguments:** `errors`, relative ones of the entries of a law; `cost`, numbers that one evaluation makes."""
    entries: list[tuple[int, int, int]] = []
    if can_move_entries(tables, cost):
        entries = [(p, s, a) for p, mask in enumerate(tables.legal) for s, a in np.argwhere(mask).tolist()]
    bounded = [np.minimum(error, _MOST_NEAR) for error in errors]
    reach = max(float(error.max()) for error in bounded)
    near = max(_NEAR, _WITHIN * reach)
    units = [error / reach for error in bounded]
    pairs = 2 if entries else 4 if cost < 2e4 else 2 if cost < 2e5 else 1
    return Neighbourhood(
        entries,
        tuple(np.maximum(_NEAR, _WITHIN * error) for error in bounded),
        tuple(errors),
        _directions(laws, units, pairs),
        near,
        max(_FAR, 8 * near),
        reach,
    )


def _directions(laws: Laws, units: Sequence[np.ndarray], pairs: int) -> tuple[tuple[np.ndarray, ...], ...]:
    """Each way and the way back: all masses together, masses at random, and then entries at random."""
    random = np.random.default_rng(0)
    found = []
    for pair in range(pairs + 1):
        weights = []
        for law, unit in zip(laws, units, strict=True):
            shape = (1,) * law.ndim if pair == 0 else (*law.shape[:-1], 1) if pair == 1 else law.shape
            weights.append(unit[..., None] * random.choice((-1.0, 1.0), shape) if pair else unit[..., None])
        found += [tuple(weights), tuple(-each for each in weights)]
    return tuple(found)


def kernels_near(
    tables: MeanFieldTables, t: int, laws: Flow, near: Neighbourhood
) -> Sequence[tuple[RawTransition, ...]]:
    """At every law of the neighbourhood."""
    every = [near.law(laws, k) for k in range(near.size)]
    if tables.nearby is None:
        return [tables.transitions(t, each) for each in every]
    return tables.nearby(t, tuple(np.stack(each) for each in zip(*every, strict=True)))


def largest_changes(
    near: Neighbourhood,
    laws: Flow,
    functions: Callable[[Neighbourhood], Callable[[int], Arrays]],
    counts: Sequence[Bool[np.ndarray, "..."]],
) -> tuple[list[Float[np.ndarray, "..."]], bool]:
    """To first order the most that the errors of a law can move each of the arrays that `functions(near)(k)` makes of
    law k of a neighbourhood, where it `counts`; and whether one of them jumps within those errors.
    """
    found = _changes_to_first_order(near, functions(near), counts)
    if found is not None:
        return found, False
    near = near.closer(laws)
    changes = _Changes(functions(near), counts)
    seen = [np.zeros_like(each) for each in changes.known]
    for k in range(1, near.size, 2):
        for most, change in zip(seen, changes.at(k), strict=True):
            np.maximum(most, change, out=most)
    jumps = any((most > changes.noise(i)).any() for i, most in enumerate(seen))
    return [MARGIN * most for most in seen], jumps


class _Changes:
    """Of arrays, from what they are at the law itself; 0 where they do not count, or are no longer finite."""

    def __init__(self, function: Callable[[int], Arrays], counts: Sequence[Bool[np.ndarray, "..."]]):
        self._function, self._counts = function, counts
        self.known = [np.where(mask, each, 0.0) for mask, each in zip(counts, function(0), strict=True)]

    def at(self, k: int) -> list[Float[np.ndarray, "..."]]:
        found = []
        for mask, new, old in zip(self._counts, self._function(k), self.known, strict=True):
            change = np.abs(new - old)
            change[~(mask & np.isfinite(change))] = 0.0
            found.append(change)
        return found

    def noise(self, i: int) -> Float[np.ndarray, "..."]:
        """Of the i-th array, epoch by epoch."""
        return NOISE * np.abs(self.known[i]).max(axis=(-2, -1), keepdims=True)


def _changes_to_first_order(
    near: Neighbourhood, function: Callable[[int], Arrays], counts: Sequence[Bool[np.ndarray, "..."]]
) -> list[Float[np.ndarray, "..."]] | None:
    """None if one of the arrays jumps nearby."""
    changes = _Changes(function, counts)
    seen, floor = ([np.zeros_like(each) for each in changes.known] for _ in range(2))
    for d in range(len(near.directions)):
        close, far = (changes.at(near.place(d) + side) for side in (0, 1))
        for i, (most, least, here, there) in enumerate(zip(seen, floor, close, far, strict=True)):
            noise = changes.noise(i)
            if jumps_between(near, here, there, noise):
                return None
            np.maximum(least, np.where(_is_jump(near, here, there), np.minimum(here, noise), 0.0), out=least)
            np.maximum(most, here, out=most)
    for most, least in zip(seen, floor, strict=True):
        most *= near.reach / near.near * (1.0 if near.entries else MARGIN)
        most += least
    if not near.entries:
        return seen
    total = [np.zeros_like(each) for each in changes.known]
    for k, (p, s, _) in enumerate(near.entries):
        ratio = near.errors[p][..., s] / near.steps[p][..., s]
        for most, change in zip(total, changes.at(k + 1), strict=True):
            most += change * ratio.reshape(*ratio.shape, *(1,) * (change.ndim - ratio.ndim))
    return [np.maximum(each, other) for each, other in zip(total, seen, strict=True)]


def jumps_between(near: Neighbourhood, close: np.ndarray, far: np.ndarray, noise: np.ndarray | float) -> bool:
    """Somewhere the near change, more than `noise`, is no smaller a part of the far one than it should."""
    return bool((_is_jump(near, close, far) & (close > noise)).any())


def _is_jump(near: Neighbourhood, close: np.ndarray, far: np.ndarray) -> Bool[np.ndarray, "..."]:
    return close > _JUMPS * near.near / near.far * far

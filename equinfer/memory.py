"""The memory of this machine, and what of it a request will take: said, or refused, before anything is allocated."""

import contextlib
import math
import os
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import NamedTuple

from equinfer.errors import BadInput

__all__ = ["Footprint", "foresee", "foreseen_by", "in_words", "installed", "refuse_beyond_half", "refuse_beyond_making"]

_COPIES, _FIXED = 2, 100 * 2**20
"""What solving takes beside the tables, in their size and in bytes: measured on random games of 2 to 4 players and on
quality ladders. Stage-Nash takes one copy, VPG two; the factors of the path in a sparse game are not counted."""


class Footprint(NamedTuple):
    """The memory that a request will take, from its sizes alone."""

    what: str
    kept: int
    """Bytes of tables, and of answers where there are many."""
    solving: int
    """Bytes that finding an equilibrium takes beside them, about."""

    @classmethod
    def of_game(cls, what: str, num_states: int, tables: int, making: int = 0) -> "Footprint":
        """Of a game with so many bytes of tables, of making them if that is still to be done, and of solving it."""
        states = f"{num_states} states, " if num_states > 1 else ""
        beside = max(_COPIES * tables + _FIXED, making)
        return cls(f"{what}: {states}tables of {in_words(tables)}", tables, beside)

    @classmethod
    def of_answers(cls, what: str, kept: int, largest: int) -> "Footprint":
        """Of many games kept with their answers, in so many bytes; the largest has `largest` bytes of tables."""
        return cls(f"{what}, {in_words(kept)} of games and answers", kept, _COPIES * largest + _FIXED)

    @property
    def sentence(self) -> str:
        return f"{self.what}; solving takes about {in_words(self.solving)} beside"

    @property
    def fits(self) -> bool:
        """Whether there is as much memory here."""
        return self.kept + self.solving <= installed()

    def refuse_unless_it_fits(self) -> None:
        """**Raises:** `BadInput` with the estimate, if this machine has less memory."""
        if not self.fits:
            raise BadInput(f"{self.sentence}; this machine has {in_words(installed())}.")


Hearer = Callable[[Footprint], None]

_HEARERS: ContextVar[tuple[Hearer, ...]] = ContextVar("hearers", default=())


@contextlib.contextmanager
def foreseen_by(hear: Hearer) -> Iterator[None]:
    """Inside the block, `hear` is told what every game will take before its tables are made; it may raise."""
    before = _HEARERS.set((*_HEARERS.get(), hear))
    try:
        yield
    finally:
        _HEARERS.reset(before)


def foresee(footprint: Footprint) -> None:
    """Tell whoever asked for it what is about to be allocated."""
    for hear in _HEARERS.get():
        hear(footprint)


def refuse_beyond_half(what: str, needed: int, advice: str = "") -> None:
    """Refuse arrays of so many bytes before they are made, if they would take more than half of this machine's memory:
    whatever is done with them makes a copy on the way.

    **Arguments:** `what`, the subject of the sentence, in the plural; `advice`, a sentence that follows it.

    **Raises:** `BadInput` with the estimate.
    """
    if needed > installed() // 2:
        also = f" {advice}" if advice else ""
        raise BadInput(f"{what} need about {in_words(needed)}; this machine has {in_words(installed())}.{also}")


def refuse_beyond_making(what: str, needed: int, times: int) -> None:
    """The same for arrays of which `times` their size is in use while they are made.

    **Raises:** `BadInput` with the estimate.
    """
    if needed * times > installed():
        raise BadInput(
            f"{what} need about {in_words(needed)}, and {times} times as much while they are made; this machine has "
            f"{in_words(installed())}."
        )


def installed() -> int:
    """Bytes of memory that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def in_words(size: float | int) -> str:
    """A number of bytes, with its unit: three figures, or all before the point up to a million."""
    units = ("bytes", "KiB", "MiB", "GiB")
    power = min(int(math.log2(max(size, 1))) // 10, len(units) - 1)
    amount = min(size, 10**300) / 1024**power
    return f"{amount:.0f} {units[power]}" if 1000 <= amount < 10**6 else f"{amount:.3g} {units[power]}"

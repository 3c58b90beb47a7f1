"""What a person sees on stderr while a solver works: a live line on a terminal, ever rarer plain ones elsewhere."""

import logging
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from rich.console import Console

from equinfer.cli.display import clean
from equinfer.memory import Footprint, foreseen_by

__all__ = ["memory_announced", "shown"]

FIRST_LINE = 2.0
"""Seconds before the first line where stderr is a file or a pipe; each next one takes twice as long."""

WHOLE = 10**6
"""Below this, whole numbers are shown to the last figure."""
LARGE = 2**23
"""Bytes of tables from which the memory that solving takes is announced."""


def memory_announced() -> AbstractContextManager[None]:
    """Inside the block, what large games take is said on stderr, each larger one before its tables are made."""
    largest = LARGE

    def hear(footprint: Footprint) -> None:
        nonlocal largest
        if footprint.kept >= largest and footprint.fits:
            largest = footprint.kept + 1
            print(clean(footprint.sentence), file=sys.stderr, flush=True)

    return foreseen_by(hear)


@contextmanager
def shown(task: str) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Shows what it is told until the block ends; the yielded function takes what a driver watches.

    It also shows what equinfer logs: that it waits for a compiler.
    """
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        say, began = _rare_lines(task), time.monotonic()
        with _log_shown_by(lambda text: say(text, time.monotonic() - began)):
            yield lambda row: say(_line(row), row["seconds"])
        return
    with console.status(f"{task} ...") as status, _log_shown_by(lambda text: status.update(f"{task}: {text} ...")):
        yield lambda row: status.update(f"{task}: {_line(row)}")


def _rare_lines(task: str) -> Callable[[str, float], None]:
    due = FIRST_LINE

    def say(text: str, seconds: float) -> None:
        nonlocal due
        if seconds >= due:
            due *= 2
            print(f"{task}: {text}, {seconds:.1f} s", file=sys.stderr, flush=True)

    return say


@contextmanager
def _log_shown_by(say: Callable[[str], None]) -> Iterator[None]:
    handler = logging.Handler()
    handler.emit = lambda record: say(record.getMessage())
    logger = logging.getLogger("equinfer")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _line(row: Mapping[str, float]) -> str:
    """What has a short name; the rest is there to be drawn."""
    return ", ".join(
        f"{name.replace('_', ' ')} {value:.0f}"
        if float(value).is_integer() and abs(value) < WHOLE
        else f"{name.replace('_', ' ')} {value:.3g}"
        for name, value in row.items()
        if name not in ("seconds", "gap") and name.isidentifier() and math.isfinite(value)
    )

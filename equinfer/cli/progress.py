"""What a person sees on stderr while a solver works: a live line on a terminal, an occasional plain one elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

__all__ = ["shown"]

PLAIN_EVERY = 10.0
"""Seconds between lines where stderr is a file or a pipe: a short solve says nothing there."""


@contextmanager
def shown(task: str) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Shows what it is told until the block ends; the yielded function takes what a driver watches."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        with console.status(f"{task} ...") as status:
            yield lambda row: status.update(f"{task}: {_line(row)}")
        return
    said = time.monotonic()

    def say(row: Mapping[str, float]) -> None:
        nonlocal said
        if time.monotonic() - said >= PLAIN_EVERY:
            said = time.monotonic()
            print(f"{task}: {_line(row)}", file=sys.stderr, flush=True)

    yield say


def _line(row: Mapping[str, float]) -> str:
    watched = [f"{name.replace('_', ' ')} {value:.3g}" for name, value in row.items() if name not in ("seconds", "gap")]
    return ", ".join([*watched, f"{row.get('seconds', 0):.1f} s"])

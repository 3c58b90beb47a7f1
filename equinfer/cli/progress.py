"""What a person sees on stderr while a solver works: a live line on a terminal, ever rarer plain ones elsewhere."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console

__all__ = ["shown"]

FIRST_LINE = 2.0
"""Seconds of solving before the first line where stderr is a file or a pipe; each next one takes twice as long."""


@contextmanager
def shown(task: str) -> Iterator[Callable[[Mapping[str, float]], None]]:
    """Shows what it is told until the block ends; the yielded function takes what a driver watches."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if console.is_terminal:
        with console.status(f"{task} ...") as status:
            yield lambda row: status.update(f"{task}: {_line(row)}")
        return
    due = FIRST_LINE

    def say(row: Mapping[str, float]) -> None:
        nonlocal due
        if row["seconds"] >= due:
            due *= 2
            print(f"{task}: {_line(row)}", file=sys.stderr, flush=True)

    yield say


def _line(row: Mapping[str, float]) -> str:
    watched = [f"{name.replace('_', ' ')} {value:.3g}" for name, value in row.items() if name not in ("seconds", "gap")]
    return ", ".join([*watched, f"{row.get('seconds', 0):.1f} s"])

"""Many runs at once, in threads of this process."""

import os
from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Event
from typing import Any, TypeVar

from equinfer.drivers.attended import in_thread

__all__ = ["cores", "side_by_side", "worth_threads"]

T = TypeVar("T")

_WORTH_THREADS = 600
"""State-action pairs from which on runs on a game go side by side. In smaller games Python itself takes most of the
time, which only one thread can have at a time: two then took up to twice as long as one."""
_PATIENCE = 0.1
"""Seconds between two looks at the clock while every thread is at work."""


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worth_threads(game: Any) -> bool:
    """Whether runs on `game` are long enough for threads of their own."""
    return game.num_states * sum(game.num_actions) >= _WORTH_THREADS


def side_by_side(runs: Iterator[Iterator[T]], *, workers: int, window: int) -> Iterator[tuple[int, T | None]]:
    """What each of `runs` yields, with its number, as it comes; None with the lowest number still under way whenever
    nothing comes for a while.

    Run n is asked of `runs` once all those up to n - `window` have ended and what they yielded has been passed on: it
    may build on them, whatever the order in which the others end. With one worker there are no threads, and a run is
    asked for when the one before has ended. An exception of a run is raised here. Closing this iterator ends the runs
    at the next thing that they yield; it does not wait for that.
    """
    if workers <= 1:
        for number, run in enumerate(runs):
            for each in run:
                yield number, each
        return
    said: SimpleQueue[tuple[int, Any, bool, BaseException | None]] = SimpleQueue()
    closed = Event()
    under_way: set[int] = set()
    begun, more = 0, True
    try:
        while more or under_way:
            while more and len(under_way) < workers and begun < min(under_way, default=begun) + window:
                run = next(runs, None)
                more = run is not None
                if run is not None:
                    under_way.add(begun)
                    in_thread(_go_through, run, begun, said, closed)
                    begun += 1
            if not under_way:
                return
            try:
                number, each, ended, error = said.get(timeout=_PATIENCE)
            except Empty:
                yield min(under_way), None
                continue
            if error is not None:
                raise error
            if ended:
                under_way.remove(number)
            else:
                yield number, each
    finally:
        closed.set()


def _go_through(run: Iterator[Any], number: int, said: SimpleQueue, closed: Event) -> None:
    """Pass on what `run` yields, until it ends or nobody listens any more."""
    try:
        for each in run:
            if closed.is_set():
                return
            said.put((number, each, False, None))
    except BaseException as error:
        said.put((number, None, True, error))
    else:
        said.put((number, None, True, None))

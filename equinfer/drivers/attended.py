"""A generator advanced in a thread of its own, so that whoever waits for its next item can stop waiting."""

import math
from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import jax

__all__ = ["attended", "in_thread"]

T = TypeVar("T")

_REST = 1.0
"""Seconds in which a generator that is at rest has ended, once told so."""


def attended(items: Iterator[T], seconds_left: Callable[[], float]) -> Generator[T | None]:
    """What `items` yields, each item asked for when the one before has been dealt with; None, and the end, once no
    seconds are left and the next one has not come.

    Ctrl-C is heard while waiting, whatever the other thread is in the middle of: the factorisation of a large matrix
    can take minutes, and nothing can break it off. Such a thread is left behind, and ends with what it is at; the end
    of a Python program waits for it. An exception of `items` is raised here.
    """
    asked: SimpleQueue[bool] = SimpleQueue()
    said: SimpleQueue[tuple[Any, bool, BaseException | None]] = SimpleQueue()
    thread = in_thread(_answer, items, asked, said)
    waiting = False
    try:
        while True:
            asked.put(True)
            waiting = True
            left = seconds_left()
            try:
                item, ended, error = said.get(timeout=None if left == math.inf else max(left, 0.0))
            except Empty:
                yield None
                return
            waiting = False
            if error is not None:
                raise error
            if ended:
                return
            yield item
    finally:
        asked.put(False)
        if not waiting:
            thread.join(_REST)


def in_thread(work: Callable[..., None], *arguments: Any) -> Thread:
    """`work` begun in a thread of its own, with double precision as everywhere in this library."""

    def run() -> None:
        with jax.enable_x64(True):  # which is a matter of each thread
            work(*arguments)

    # Not a daemon: what LAPACK and SuperLU work on would be taken from under them when Python ends.
    thread = Thread(target=run, name="equinfer")
    thread.start()
    return thread


def _answer(items: Iterator[Any], asked: SimpleQueue, said: SimpleQueue) -> None:
    """Advance `items` whenever asked to, until told to end."""
    try:
        while asked.get():
            try:
                item = next(items)
            except StopIteration:
                said.put((None, True, None))
                return
            said.put((item, False, None))
    except BaseException as error:
        said.put((None, True, error))
    finally:
        if isinstance(items, Generator):
            items.close()

"""Long work inside a host solver, cut up so that its driver can look at the clock meanwhile."""

import time
from collections.abc import Generator
from typing import TypeVar

from equinfer.drivers.protocol import Iterate

__all__ = ["with_glances"]

T = TypeVar("T")


def with_glances(work: Generator[None, None, T], iterate: Iterate, seconds: float) -> Generator[Iterate, None, T]:
    """What `work` returns; meanwhile the `iterate` is shown again whenever it has taken so many seconds."""
    shown = time.perf_counter()
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value
        if time.perf_counter() - shown > seconds:
            yield iterate
            shown = time.perf_counter()

"""Says when a solve waits for a compiler: records of level INFO under the logger `equinfer`."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["LOGGER", "announced"]

LOGGER = logging.getLogger("equinfer")


@contextmanager
def announced() -> Iterator[None]:
    """Log each kernel that numba compiles inside the block, which it does only where its cache does not hold it yet.

    Does nothing if no solver has imported numba.
    """
    if "numba" not in sys.modules:
        yield
        return
    from numba.core import event

    with event.install_listener("numba:compile", _announcer(event.Listener)):
        yield


def _announcer(listener: Any) -> Any:
    class Announcer(listener):
        def on_start(self, event: Any) -> None:
            LOGGER.info("compiling (first run only)")

        def on_end(self, event: Any) -> None:
            pass

    return Announcer()

"""What compiled kernels need around them: that waiting for a compiler is said, and that Ctrl-C stays what it is."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["LOGGER", "announced", "interruptible"]

LOGGER = logging.getLogger("equinfer")
"""Its records of level INFO say that a solve waits for a compiler."""


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise a Ctrl-C that comes while numba enters or leaves a kernel as one, and not as the `SystemError` it makes."""
    try:
        yield
    except SystemError as error:
        if isinstance(error.__cause__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise


@contextmanager
def announced() -> Iterator[None]:
    """Log each kernel that numba compiles inside the block, which it does only where its cache does not hold it yet.

    The block is `interruptible`. Nothing is logged if no solver has imported numba.
    """
    with interruptible():
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

"""What compiled kernels need around them: that waiting for a compiler is said, and that Ctrl-C stays what it is."""

import functools
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["LOGGER", "announced", "interruptible", "quick_to_compile"]

LOGGER = logging.getLogger("equinfer")
"""Its records of level INFO say that a solve waits for a compiler."""


_QUICK = {"xla_backend_optimization_level": 1}
"""Takes a third off what XLA takes to compile a learner for a CPU, and costs it nothing."""
_QUICKER = {**_QUICK, "xla_cpu_use_fusion_emitters": False}
"""Takes half of it off, and costs up to a quarter of the speed."""


@functools.cache
def quick_to_compile(large: bool) -> dict[str, Any]:
    """Options for `jax.jit` of large programs, or of middling ones; none where another version or device knows nothing
    of them.
    """
    import jax
    import jax.numpy as jnp

    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(jnp.negative, compiler_options=_QUICKER)(0)
    except (RuntimeError, ValueError):
        return {}
    return dict(_QUICKER if large else _QUICK)


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

import gc
import resource
from pathlib import Path

import jax
import pytest
from hypothesis import settings

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

_MEMORY = Path("/proc/self/statm")
_ALLOWANCE = 1_000_000_000 // resource.getpagesize()
_kept = 0

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="module")
def forget_what_was_compiled():
    """Programs of other modules are of no use any more; a process that keeps thousands of them becomes ten times as
    slow in everything.
    """
    global _kept
    yield
    if _pages() > _kept + _ALLOWANCE:
        jax.clear_caches()
        gc.collect()
        _kept = _pages()


def _pages() -> int:
    """Of memory that this process has."""
    return int(_MEMORY.read_text().split()[1]) if _MEMORY.exists() else 0

import gc
import resource
from pathlib import Path

import jax
import pytest

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_numpy_dtype_promotion", "strict")

_MEMORY = Path("/proc/self/statm")
_MOST_PAGES = 1_500_000_000 // resource.getpagesize()


@pytest.fixture(autouse=True, scope="module")
def forget_what_was_compiled():
    """Programs of other modules are of no use any more; a process that keeps thousands of them becomes ten times as
    slow in everything.
    """
    yield
    if _MEMORY.exists() and int(_MEMORY.read_text().split()[1]) > _MOST_PAGES:
        jax.clear_caches()
        gc.collect()

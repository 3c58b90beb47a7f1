"""Numbers that users hand to the functions of the package, checked: one sentence for what is wrong."""

import math
from typing import Any

import numpy as np

from equinfer.errors import BadInput

__all__ = ["checked_seed", "nonnegative"]


def nonnegative(name: str, value: Any) -> float:
    """`value`, a finite number of at least 0. **Raises:** `BadInput` if it is something else, by `name`."""
    number = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise BadInput(f"{name} must be a finite number, at least 0; got {value!r}.")
    return float(value)


def checked_seed(seed: Any) -> int:
    """`seed`, a whole number that random keys can be made of. **Raises:** `BadInput` if it is something else."""
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise BadInput(f"seed must be a whole number, at least 0 and below 2**63; got {seed!r}.")
    return int(seed)

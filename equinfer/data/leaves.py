"""Leaves of trees as NumPy has them, which compiles nothing; keys as the numbers that they are made of."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["numbers", "restored"]


def numbers(leaf: Any) -> np.ndarray:
    """The array itself, or the data of a key."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def restored(array: np.ndarray, like: Any) -> Any:
    """The leaf that `array` was of, where `like` is another of its kind."""
    return jax.random.wrap_key_data(jnp.asarray(array)) if _is_key(like) else jnp.asarray(array)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)

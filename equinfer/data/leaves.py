"""Leaves of trees as NumPy has them, which compiles nothing; keys as the numbers that they are made of."""

from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["first_broken", "kind", "numbers", "restored", "with_float_arrays"]

T = TypeVar("T")


def numbers(leaf: Any) -> np.ndarray:
    """The array itself, or the data of a key."""
    return np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)


def kind(leaf: Any) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of its `numbers`, which need not come from their device for that."""
    plain = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    return tuple(plain.shape), np.dtype(plain.dtype)


def restored(array: np.ndarray, like: Any) -> Any:
    """The leaf that `array` was of, where `like` is another of its kind."""
    return jax.random.wrap_key_data(jnp.asarray(array)) if _is_key(like) else jnp.asarray(array)


def first_broken(tree: Any) -> int | None:
    """The first row, along the leading axis of all leaves, in which some number is not finite."""
    floats = (np.asarray(leaf) for leaf in jax.tree.leaves(tree) if jnp.issubdtype(leaf.dtype, jnp.floating))
    rows = [row for leaf in floats for row in np.argwhere(~np.isfinite(leaf))[:1, 0].tolist()]
    return min(rows, default=None)


def with_float_arrays(tree: T, dtype: Any) -> T:
    """Python's floats as arrays: under `filter_jit` each is a part of the program, and every value a compilation."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if isinstance(leaf, float) else leaf, tree)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)

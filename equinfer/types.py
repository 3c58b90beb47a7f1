"""Axis letters and array aliases.

N players, S states, A (or A_i) own actions, C contexts (the joint actions of the others, flattened), H decision
epochs, `*A` the joint-action axes A_1, ..., A_N. NumPy arrays and JAX arrays are both welcome wherever an alias
stands: the same functions run eagerly in NumPy on the host and traced in JAX inside the solvers.
"""

from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

from equinfer.jax_constants import convert_by_precision

convert_by_precision()

AnyArray: TypeAlias = jax.Array | np.ndarray
ScalarLike: TypeAlias = float | int | Float[AnyArray, ""]

Reward: TypeAlias = Float[AnyArray, "N S *A"]
Policy: TypeAlias = Float[AnyArray, "S A"]
Profile: TypeAlias = tuple[Float[AnyArray, "..."], ...]
"""One policy per player, arrays (S, A_i), or (H, S, A_i) in a finite-horizon game."""
Legal: TypeAlias = tuple[Bool[AnyArray, "S _"], ...]
PRNGKey: TypeAlias = Key[Array, ""]
Tree: TypeAlias = Any
"""Any pytree."""


def namespace_of(*arrays: Any) -> Any:
    """The array module to compute in: `jax.numpy` if any of `arrays` is a JAX array or tracer, otherwise `numpy`."""
    return jnp if any(isinstance(array, jax.Array) for array in arrays) else np

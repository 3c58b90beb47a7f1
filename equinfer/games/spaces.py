"""What one agent can do in a game of learners: a box of real numbers, or one of finitely many moves."""

import operator
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from equinfer.arguments import shown
from equinfer.errors import BadInput, cause
from equinfer.types import PRNGKey

__all__ = ["Box", "Discrete", "Space", "alike"]


class Box(eqx.Module):
    """Actions of d real numbers between `low` and `high`, both (d,), in the game's units; a number is one dimension.

    **Raises:** `BadInput` unless all bounds are finite and `low < high` in every dimension.
    """

    low: tuple[float, ...] = eqx.field(static=True)
    high: tuple[float, ...] = eqx.field(static=True)

    def __init__(self, low: Any, high: Any):
        bounds = _numbers(low, "low"), _numbers(high, "high")
        if bounds[0].shape != bounds[1].shape:
            raise BadInput(f"low has {bounds[0].size} numbers, and high {bounds[1].size}; both are (d,).")
        if not bounds[0].size:
            raise BadInput("low and high are empty; an action has at least one dimension.")
        for k, (least, most) in enumerate(zip(*bounds, strict=True)):
            if not np.isfinite([least, most]).all():
                raise BadInput(f"dimension {k} goes from {least:g} to {most:g}; bounds must be finite.")
            if least >= most:
                raise BadInput(f"dimension {k} goes from {least:g} to {most:g}; low must be below high.")
        self.low, self.high = (tuple(map(float, bound)) for bound in bounds)

    @property
    def dimension(self) -> int:
        return len(self.low)

    def sample(self, key: PRNGKey) -> Float[Array, " d"]:
        """Uniform."""
        return self.from_unit(jax.random.uniform(key, (self.dimension,), minval=-1.0, maxval=1.0))

    def from_unit(self, unit: Float[Array, "*B d"]) -> Float[Array, "*B d"]:
        """From [-1, 1] in every dimension, where squashed policies act, to the game's units; in the dtype of `unit`."""
        middle, half = self._middle_and_half(unit)
        return middle + half * unit

    def to_unit(self, action: Float[Array, "*B d"]) -> Float[Array, "*B d"]:
        """The other way."""
        middle, half = self._middle_and_half(action)
        return (action - middle) / half

    def _middle_and_half(self, like: Float[Array, "*B d"]) -> tuple[Float[Array, "*ones d"], Float[Array, "*ones d"]]:
        low, high = np.asarray(self.low), np.asarray(self.high)
        shape = (1,) * (like.ndim - 1) + (self.dimension,)
        middle, half = (low / 2 + high / 2).reshape(shape), (high / 2 - low / 2).reshape(shape)
        return jnp.asarray(middle, like.dtype), jnp.asarray(half, like.dtype)


class Discrete(eqx.Module):
    """One of `n` moves, a whole number from 0. **Raises:** `BadInput` unless n is a whole number of at least 1."""

    n: int = eqx.field(static=True)

    def __init__(self, n: Any):
        try:
            self.n = operator.index(n)
        except TypeError:
            raise BadInput(f"the number of moves must be a whole number; got {shown(n)}.") from None
        if self.n < 1:
            raise BadInput(f"there must be at least one move; got {self.n}.")

    def sample(self, key: PRNGKey) -> Int[Array, ""]:
        """Uniform."""
        return jax.random.randint(key, (), 0, self.n)


Space: TypeAlias = Box | Discrete


def alike(spaces: tuple[Space, ...]) -> bool:
    """True if actions of all agents fit in one array: (N, d) of boxes of one dimension, (N,) of moves."""
    if all(isinstance(space, Discrete) for space in spaces):
        return True
    return len({space.dimension if isinstance(space, Box) else 0 for space in spaces}) == 1


def _numbers(bound: Any, what: str) -> Float[np.ndarray, " d"]:
    try:
        array = np.asarray(bound, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{what} is no list of numbers: {cause(error)}.") from None
    if array.ndim > 1:
        raise BadInput(f"{what} of one agent has shape {array.shape}; expected (d,).")
    return np.atleast_1d(array)

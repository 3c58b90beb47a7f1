"""A ring of transitions: arrays with a leading axis of capacity, written at one place a step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from equinfer.nn.laws import uniform_index
from equinfer.types import PRNGKey

__all__ = ["Experience", "Replay"]


class Experience(NamedTuple):
    """One step of all agents, or batches of them, in the units of networks; D numbers an action, O an observation."""

    observation: Float[Array, "*B N O"]
    action: Float[Array, "*B N D"]
    reward: Float[Array, "*B N"]
    terminated: Bool[Array, "*B"]
    """Of a truncated step this is False: what comes after it has a value."""
    after: Float[Array, "*B N O"]


class Replay(NamedTuple):
    """The last `capacity` steps."""

    steps: Experience
    written: Int[Array, ""]
    """Steps, ever."""

    @classmethod
    def empty(cls, capacity: int, like: Experience) -> "Replay":
        steps = jax.tree.map(lambda leaf: jnp.zeros((capacity, *leaf.shape), leaf.dtype), like)
        return cls(steps, jnp.zeros((), jnp.int32))

    @property
    def capacity(self) -> int:
        return self.steps.reward.shape[0]

    def add(self, step: Experience) -> "Replay":
        place = self.written % self.capacity
        steps = jax.tree.map(lambda ring, leaf: ring.at[place].set(leaf), self.steps, step)
        return Replay(steps, self.written + 1)

    def draw(self, key: PRNGKey, size: int, window: int | Int[Array, ""] | None = None) -> Experience:
        """`size` steps, drawn with replacement from the last `window` of those kept, or from all of them."""
        kept = jnp.minimum(self.written, self.capacity)
        reach = kept if window is None else jnp.clip(window, 1, kept)
        back = uniform_index(key, (size,), jnp.maximum(reach, 1))
        return self.at((self.written - 1 - back) % self.capacity)

    def at(self, places: Int[Array, " B"]) -> Experience:
        take: Any = lambda ring: ring[places]  # noqa: E731
        return jax.tree.map(take, self.steps)

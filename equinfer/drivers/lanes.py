"""Seeds in lanes: several small programs side by side, where one large one would leave cores idle."""

import dataclasses
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key

from equinfer.data import leaves
from equinfer.drivers.side_by_side import cores

__all__ = ["Lanes", "abreast", "keys_of_seeds"]

T = TypeVar("T")
R = TypeVar("R")

_SEEDS = 4
"""Of a lane, at most. Small networks gain from the vector units of a core up to about as many."""


@dataclasses.dataclass(frozen=True)
class Lanes(Generic[T]):
    """Trees along an axis of seeds in parts of one size; the last is filled up with copies of the last seed."""

    each: tuple[T, ...]
    seeds: int

    @classmethod
    def of(cls, whole: T) -> "Lanes[T]":
        """In lanes of up to four seeds, two lanes at least; in one lane on an accelerator, or over several devices.

        Nothing else decides, and not the number of cores: who shares a program with a seed moves its last digits, and
        a run that goes on must be in the same company.
        """
        first = jax.tree.leaves(whole)[0]
        seeds, devices = len(first), first.devices()
        if seeds < 2 or len(devices) > 1 or any(device.platform != "cpu" for device in devices):
            return cls((whole,), seeds)
        size = min(_SEEDS, -(-seeds // 2))
        parts = np.minimum(np.arange(-(-seeds // size) * size), seeds - 1).reshape(-1, size)

        def lane(part: np.ndarray) -> T:
            return jax.tree.map(lambda leaf: leaves.restored(leaves.numbers(leaf)[part], leaf), whole)

        return cls(tuple(map(lane, parts)), seeds)

    def whole(self) -> T:
        """All seeds in one, without the copies: whatever the lanes, the same tree."""
        if len(self.each) == 1:
            return self.each[0]
        return jax.tree.map(
            lambda *parts: leaves.restored(
                np.concatenate([leaves.numbers(part) for part in parts])[: self.seeds], parts[0]
            ),
            *self.each,
        )


def keys_of_seeds(run: int, seeds: int, first: int = 0) -> Key[Array, " seeds"]:
    """A key of each seed of a run, from number `first` on, whoever else learns beside it; spread over the devices where
    they can share seeds evenly.
    """
    numbers = first + jnp.arange(seeds, dtype=jnp.uint32)
    keys = jax.vmap(jax.random.fold_in, in_axes=(None, 0))(jax.random.key(run), numbers)
    devices = jax.local_devices()
    if len(devices) > 1 and seeds % len(devices) == 0:
        mesh = jax.sharding.Mesh(np.array(devices), ("seeds",))
        keys = jax.device_put(keys, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("seeds")))
    return keys


def abreast(work: Callable[[T], R], lanes: Sequence[T]) -> list[R]:
    """`work` of every lane, on as many threads as there are cores. What the first one of them raises is raised, as soon
    as those under way have ended.
    """
    if len(lanes) == 1:
        return [work(lanes[0])]
    # Of what JAX has for each thread apart, what equinfer relies on: a new thread would not know of it.
    settings: Any = jax.config
    doubles, device = settings.jax_enable_x64, settings.jax_default_device

    def one(lane: T) -> R:
        with jax.enable_x64(doubles), jax.default_device(device):
            return jax.block_until_ready(work(lane))

    with ThreadPoolExecutor(cores()) as threads:
        return list(threads.map(one, lanes))

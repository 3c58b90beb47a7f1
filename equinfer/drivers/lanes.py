"""Seeds in lanes: several small programs side by side, where one large one would leave cores idle."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from equinfer.drivers.side_by_side import cores

__all__ = ["abreast", "in_lanes", "joined"]

T = TypeVar("T")

_LANES, _SEEDS = 16, 4
"""Lanes at most, and seeds of one at least, where their number has such a divisor. Small networks gain from the vector
units of a core up to about four seeds, and from another core as much as it is worth."""


def in_lanes(keys: Key[Array, " seeds"]) -> tuple[Key[Array, " _"], ...]:
    """The keys of seeds in lanes of one size; in one lane on an accelerator, or over several devices.

    Their number alone decides, whatever the cores: who shares a program with a seed moves its last digits, and a run
    is the same bit by bit wherever it goes on.
    """
    devices = keys.devices()
    if len(keys) < 2 or len(devices) > 1 or any(device.platform != "cpu" for device in devices):
        return (keys,)
    size = _seeds_of_a_lane(len(keys))
    return tuple(keys[first : first + size] for first in range(0, len(keys), size))


def _seeds_of_a_lane(seeds: int) -> int:
    divisors = [size for size in range(1, seeds) if seeds % size == 0]
    enough = max(_SEEDS, seeds / _LANES)
    return next((size for size in divisors if size >= enough), divisors[-1])


def abreast(work: Callable[[T], Any], lanes: Sequence[T]) -> list[Any]:
    """`work` of every lane, on as many threads as there are cores."""
    if len(lanes) == 1:
        return [work(lanes[0])]
    doubles = jax.config.read("jax_enable_x64")

    def one(lane: T) -> Any:
        with jax.enable_x64(doubles):  # a thread's own setting: a new one knows nothing of ours
            return jax.block_until_ready(work(lane))

    threads = ThreadPoolExecutor(cores())
    try:
        return list(threads.map(one, lanes))
    finally:
        threads.shutdown(cancel_futures=True)


def joined(lanes: Sequence[T]) -> T:
    """Trees of all lanes as one, along their axis of seeds."""
    return lanes[0] if len(lanes) == 1 else jax.tree.map(lambda *parts: jnp.concatenate(parts), *lanes)

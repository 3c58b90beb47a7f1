"""Adam with a rate for each part of a learner, and targets that follow slowly."""

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.types import ScalarLike, Tree

__all__ = ["Moments", "begun", "descended", "followed", "learnt_from"]

Parameters = TypeVar("Parameters")
_DECAY, _DECAY_OF_SQUARES, _SMALLEST = 0.9, 0.999, 1e-8


class Moments(NamedTuple):
    """Adam's (Kingma and Ba 2015). Optax computes its powers of whole numbers, which strict types of numbers forbid."""

    steps: Float[Array, ""]
    mean: Tree
    squares: Tree


def begun(parameters: Tree) -> Moments:
    """Adam's moments before the first step."""
    zeros = jax.tree.map(jnp.zeros_like, parameters)
    return Moments(jnp.zeros((), jnp.float32), zeros, zeros)


def descended(
    parameters: Parameters,
    gradients: Parameters,
    moments: Moments,
    rates: Mapping[str, ScalarLike],
    clip: ScalarLike | None = None,
) -> tuple[Parameters, Moments]:
    """Parameters after one step, and the moments. **Arguments:** `rates`, of each of the parts of `parameters` by name;
    `clip`, the largest norm of an array's gradient, of each agent (leading axis) apart.
    """
    if clip is not None:
        gradients = jax.tree.map(lambda leaf: _shortened(leaf, clip), gradients)
    count = moments.steps + 1
    mean = followed(moments.mean, gradients, 1 - _DECAY)
    squares = followed(moments.squares, jax.tree.map(jnp.square, gradients), 1 - _DECAY_OF_SQUARES)
    least, most = 1 - _DECAY**count, 1 - _DECAY_OF_SQUARES**count

    def step(first: Array, second: Array) -> Array:
        return first / least / (jnp.sqrt(second / most) + _SMALLEST)

    steps, moments = jax.tree.map(step, mean, squares), Moments(count, mean, squares)

    def parts(tree: Any) -> list[Tree]:
        return [getattr(tree, name) for name in rates]

    moved = [
        jax.tree.map(lambda leaf, change, rate=rate: leaf - rate * change, old, step)
        for rate, old, step in zip(rates.values(), parts(parameters), parts(steps), strict=True)
    ]
    return eqx.tree_at(parts, parameters, moved), moments


def followed(slow: Parameters, fast: Parameters, share: ScalarLike) -> Parameters:
    """`slow`, moved by a share of the way to `fast`."""
    return jax.tree.map(lambda old, new: old + share * (new - old), slow, fast)


def learnt_from(begins: Array, new: Parameters, old: Parameters) -> Parameters:
    """`new` where learning has begun, else `old`."""
    return jax.tree.map(lambda one, other: jnp.where(begins, one, other), new, old)


def _shortened(leaf: Array, most: ScalarLike) -> Array:
    norm = jnp.sqrt((leaf**2).sum(axis=tuple(range(1, leaf.ndim)), keepdims=True))
    return leaf * jnp.minimum(1.0, most / jnp.maximum(norm, 1e-12))

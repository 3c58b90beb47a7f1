r"""Laws over actions, in the units of networks: a box is $[-1,1]^d$, a move is a unit vector.

Agents whose actions have fewer numbers than others' have them padded; `mask` tells which are real.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from equinfer.types import PRNGKey, ScalarLike

__all__ = ["Categorical", "Law", "SquashedGaussian", "lattice", "resampled", "uniform_index"]

_EDGE = 1 - 1e-6
"""Actions nearer to the edge of the box than this are taken to be here when they are unsquashed."""
_MEAN = (-7.0, 7.0)
"""Before squashing, up to the `_EDGE`. Beyond, who seeks entropy by its own draws, as ROMMEO and (10), would run away:
draws are taken to be at the edge there, and seem the less likely the farther the mean has gone.
"""
_LOG_STD = (-5.0, 1.0)
_FIRST_LOG_STD, _SLOPE = -2.0, 1.5
"""What a network's zero stands for, and what its one adds."""
_LOG_2PI = 1.8378770664093453
_GOLDEN = 0x9E3779B9
"""2^32 by the golden ratio, which is odd: its multiples meet every word once."""


class SquashedGaussian(NamedTuple):
    r"""$a=\tanh(\mu+\sigma\epsilon)$ in each real dimension."""

    mean: Float[Array, "*B D"]
    log_std: Float[Array, "*B D"]
    mask: Bool[Array, " D"]

    @classmethod
    def of(cls, outputs: Float[Array, "*B twoD"], mask: Bool[Array, " D"]) -> "SquashedGaussian":
        """From a network's outputs: means and logs of deviations, each kept in a range."""
        mean, spread = jnp.split(outputs, 2, axis=-1)
        return cls(_kept(mean, _MEAN), _kept(_FIRST_LOG_STD + _SLOPE * spread, _LOG_STD), mask)

    @staticmethod
    def output_of(deviation: ScalarLike) -> ScalarLike:
        """What a network has to put out for a deviation, before squashing."""
        return (jnp.log(deviation) - _FIRST_LOG_STD) / _SLOPE

    def sample(self, key: PRNGKey, count: int) -> Float[Array, "count *B D"]:
        noise = jax.random.normal(key, (count, *self.mean.shape), self.mean.dtype)
        action = jnp.tanh(self.mean[None] + jnp.exp(self.log_std)[None] * noise)
        return jnp.where(_wide(self.mask, action), action, 0)

    def log_prob(self, action: Float[Array, "*B D"]) -> Float[Array, "*B"]:
        """Of the density in the box, over real dimensions; broadcasts."""
        inside = jnp.clip(action, -_EDGE, _EDGE)
        mean, log_std = _under(self.mean, action), _under(self.log_std, action)
        scaled = (jnp.arctanh(inside) - mean) * jnp.exp(-log_std)
        density = -0.5 * (scaled * scaled + _LOG_2PI) - log_std - jnp.log1p(-inside * inside)
        return jnp.where(_wide(self.mask, density), density, 0).sum(axis=-1)

    def mode(self) -> Float[Array, "*B D"]:
        """The squashed mean, which is the median."""
        return jnp.where(_wide(self.mask, self.mean), jnp.tanh(self.mean), 0)


class Categorical(NamedTuple):
    """One of the moves that the mask allows."""

    logits: Float[Array, "*B D"]
    """Normalised, minus infinity off the mask."""

    @classmethod
    def of(cls, outputs: Float[Array, "*B D"], mask: Bool[Array, " D"]) -> "Categorical":
        allowed = jnp.where(_wide(mask, outputs), outputs, -jnp.inf)
        return cls(jax.nn.log_softmax(allowed, axis=-1))

    def sample(self, key: PRNGKey, count: int) -> Float[Array, "count *B D"]:
        drawn = jax.random.categorical(key, self.logits, shape=(count, *self.logits.shape[:-1]))
        return jax.nn.one_hot(drawn, self.logits.shape[-1], dtype=self.logits.dtype)

    def log_prob(self, action: Float[Array, "*B D"]) -> Float[Array, "*B"]:
        """Of a unit vector, or the mean of them."""
        finite = jnp.where(jnp.isfinite(self.logits), self.logits, 0)
        return (action * _under(finite, action)).sum(axis=-1)

    def mode(self) -> Float[Array, "*B D"]:
        best = self.logits.argmax(axis=-1)
        return jax.nn.one_hot(best, self.logits.shape[-1], dtype=self.logits.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _kept(values: Float[Array, "*B D"], ends: tuple[float, float]) -> Float[Array, "*B D"]:
    """In a range. At an end a gradient passes if descent leads back inside: laws are narrow at times and wide at
    others, and one whose gradient vanishes there stays as wide as it once was.
    """
    return jnp.clip(values, *ends)


def _kept_forward(
    values: Float[Array, "*B D"], ends: tuple[float, float]
) -> tuple[Float[Array, "*B D"], Float[Array, "*B D"]]:
    return jnp.clip(values, *ends), values


def _kept_backward(
    ends: tuple[float, float], values: Float[Array, "*B D"], gradient: Float[Array, "*B D"]
) -> tuple[Float[Array, "*B D"]]:
    low, high = ends
    leads_out = ((values <= low) & (gradient > 0)) | ((values >= high) & (gradient < 0))
    return (jnp.where(leads_out, 0, gradient),)


_kept.defvjp(_kept_forward, _kept_backward)


Law = SquashedGaussian | Categorical


def resampled(
    key: PRNGKey, points: Float[Array, "K D"], log_weights: Float[Array, " K"], count: int
) -> Float[Array, "count D"]:
    """Systematic resampling: `count` of the points in random order, each as often as its weight says, to within one."""
    drawn = jax.random.uniform(key, (count + 1,), points.dtype)
    levels = (jnp.arange(count, dtype=points.dtype) + drawn[0]) / count
    reached = jnp.cumsum(jax.nn.softmax(log_weights))
    chosen = jnp.searchsorted(reached, jnp.minimum(levels, reached[-1]))  # which rounding may leave short of one
    return points[chosen[drawn[1:].argsort()]]


def uniform_index(key: PRNGKey, shape: tuple[int, ...], bound: int | Int[Array, ""]) -> Int[Array, "*B"]:
    """Whole numbers from 0 up to `bound`, each as likely to within bound / 2^32.

    Two words are drawn, and their places hashed with them. A learner draws thousands of these a second: by a cipher for
    each number, as `jax.random.randint` does, they take a tenth of its time and ten times the program.
    """
    first, second = jax.random.bits(key, (2,), jnp.uint32)
    places = jnp.arange(math.prod(shape), dtype=jnp.uint32).reshape(shape)
    mixed = _mixed(second ^ _mixed(first + places * jnp.uint32(_GOLDEN)))
    return (mixed % jnp.asarray(bound, jnp.uint32)).astype(jnp.int32)


def _mixed(word: UInt32[Array, "*B"]) -> UInt32[Array, "*B"]:
    """A permutation of words in which each bit depends on all: the end of MurmurHash3 (Appleby 2011)."""
    word = (word ^ (word >> 16)) * jnp.uint32(0x85EBCA6B)
    word = (word ^ (word >> 13)) * jnp.uint32(0xC2B2AE35)
    return word ^ (word >> 16)


def _under(rows: Array, like: Array) -> Array:
    """With as many axes as `like`, those missing in front."""
    return rows.reshape((1,) * (like.ndim - rows.ndim) + rows.shape)


def _wide(mask: Bool[Array, " D"], like: Array) -> Array:
    return mask.reshape((1,) * (like.ndim - 1) + mask.shape)


def lattice(key: PRNGKey, count: int, dimensions: int, dtype: Any = jnp.float32) -> Float[Array, "count D"]:
    """Points in $[-1,1]^D$ that fill it evenly: Roberts' lattice of the plastic number's kin, shifted at random."""
    ratio = 2.0
    for _ in range(40):
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    slopes = jnp.asarray([ratio ** -(k + 1) % 1 for k in range(dimensions)], dtype)
    shift = jax.random.uniform(key, (dimensions,), dtype)
    places = jnp.arange(count, dtype=dtype)[:, None] * slopes[None]
    return 2 * ((places + shift[None]) % 1) - 1

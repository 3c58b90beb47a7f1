r"""The joint Gibbs law $\exp(Q^i(a)/\tau)$: how everybody would act if all wanted what agent i wants, together.

Held as particles that two Markov kernels move which leave it unchanged: iterated sampling importance resampling
against fresh uniform points, which finds other peaks, and a random walk, which climbs them.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from equinfer.nn.networks import Critic
from equinfer.types import PRNGKey, ScalarLike

__all__ = ["moved"]

_POOL = 64
_WALKS = (0.03, 0.12)
"""Standard deviations of the random walk, each for about half the particles."""


def moved(
    critic: Critic,
    seen: Float[Array, " O"],
    particles: Float[Array, "P N D"],
    mask: Bool[Array, "N D"],
    temperature: ScalarLike,
    key: PRNGKey,
) -> Float[Array, "P N D"]:
    """Particles of the joint Gibbs law after one step of each kernel. In boxes."""
    fresh, chosen, noise, walk = jax.random.split(key, 4)
    count = len(particles)

    def level(points: Float[Array, "K N D"]) -> Float[Array, " K"]:
        return critic.at(seen, points) / temperature

    pool = jax.random.uniform(fresh, (_POOL, *particles.shape[1:]), particles.dtype, -1.0, 1.0)
    pool = jnp.where(mask[None], pool, 0)
    own, others = level(particles), level(pool)
    logits = jnp.concatenate([own[:, None], jnp.broadcast_to(others[None], (count, _POOL))], axis=1)
    choice = jax.random.categorical(chosen, logits)
    there = choice == 0
    at = jnp.maximum(choice - 1, 0)
    particles = jnp.where(there[:, None, None], particles, pool[at])
    own = jnp.where(there, own, others[at])

    wide, taken = jax.random.uniform(walk, (2, count), particles.dtype)
    widths = jnp.where(wide < 0.5, *_WALKS).astype(particles.dtype)
    steps = widths[:, None, None] * jax.random.normal(noise, particles.shape, particles.dtype)
    proposed = jnp.where(mask[None], particles + steps, 0)
    inside = (jnp.abs(proposed) <= 1).all(axis=(1, 2))
    rises = level(proposed) - own
    accepted = inside & (jnp.log(taken) < rises)
    return jnp.where(accepted[:, None, None], proposed, particles)

"""Adam, with a rate for each part and a bound on each agent's gradient."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equinfer.nn.descent import begun, descended, followed


class Parts(NamedTuple):
    critic: jax.Array
    actor: jax.Array


def adams(gradients, rate, clip=np.inf):
    """Where parameters are, by the algorithm as it is printed (Kingma and Ba 2015), in double precision."""
    at = np.zeros(np.shape(gradients[0]))
    first, second = np.zeros_like(at), np.zeros_like(at)
    for t, gradient in enumerate(gradients, start=1):
        norm = np.linalg.norm(gradient, axis=-1, keepdims=True)
        gradient = gradient * np.minimum(1, clip / norm)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        at = at - rate * (first / (1 - 0.9**t)) / (np.sqrt(second / (1 - 0.999**t)) + 1e-8)
    return at


@pytest.mark.parametrize("clip", [None, 0.5])
def test_steps_are_adams(clip):
    rng = np.random.default_rng(0)
    slopes = rng.normal(size=(20, 2, 3, 4)) * np.geomspace(1, 1e-2, 20)[:, None, None, None]
    at = Parts(jnp.zeros((3, 4), jnp.float32), jnp.zeros((3, 4), jnp.float32))
    moments = begun(at)
    for critic, actor in slopes:
        gradient = Parts(jnp.asarray(critic, jnp.float32), jnp.asarray(actor, jnp.float32))
        at, moments = descended(at, gradient, moments, {"critic": 0.1, "actor": 0.01}, clip)
    bound = np.inf if clip is None else clip
    np.testing.assert_allclose(at.critic, adams(slopes[:, 0], 0.1, bound), rtol=1e-4)
    np.testing.assert_allclose(at.actor, adams(slopes[:, 1], 0.01, bound), rtol=1e-4)


def test_targets_follow_by_a_share():
    slow = jnp.zeros(3, jnp.float32)
    for _ in range(10):
        slow = followed(slow, jnp.ones(3, jnp.float32), 0.1)
    np.testing.assert_allclose(slow, 1 - 0.9**10, rtol=1e-5)

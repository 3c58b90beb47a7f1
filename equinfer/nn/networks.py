"""Networks of two hidden layers, in single precision, and how they are initialised."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from equinfer.types import PRNGKey

__all__ = ["Critic", "Network"]

_LEAK = 0.1
"""Of what is below zero, how much passes."""


class Network(eqx.Module):
    """A perceptron of two hidden layers of leaky rectified units: (..., inputs) becomes (..., outputs).

    Weights are uniform with He's variance, and the last layer `last_scale` times as large. Biases of hidden layers are
    drawn as well: where observations say nothing, and are zeros, they are all that a hidden layer has to go by. There,
    too, a few steps far in one direction switch all units off, for good if they did not leak.
    """

    layers: tuple[Float[Array, "_ _"], ...]
    biases: tuple[Float[Array, " _"], ...]

    def __init__(self, inputs: int, outputs: int, hidden: int, *, key: PRNGKey, last_scale: float = 1.0):
        first, second, last, *drawn = _drawn(
            key, (inputs, hidden), (hidden, hidden), (hidden, outputs), (hidden,), (hidden,)
        )
        self.layers = (_he(first), _he(second), last_scale * _he(last))
        self.biases = (drawn[0], drawn[1] * hidden**-0.5, jnp.zeros(outputs, jnp.float32))

    def __call__(self, inputs: Float[Array, "*B inputs"]) -> Float[Array, "*B outputs"]:
        values = inputs
        for layer, bias in zip(self.layers[:-1], self.biases[:-1], strict=True):
            values = jax.nn.leaky_relu(_affine(values, layer, bias), _LEAK)
        return _affine(values, self.layers[-1], self.biases[-1])


class Critic(eqx.Module):
    r"""$Q(o,a_1,\dots,a_N)$, two hidden layers of rectified units, the first one a sum over what comes in.

    So all pairs of K own actions and L actions of the others cost K + L products with the first layer, and an addition
    for each pair: give the parts shapes that broadcast.
    """

    observation: Float[Array, "O hidden"]
    actions: Float[Array, "N D hidden"]
    biases: tuple[Float[Array, " hidden"], Float[Array, " hidden"], Float[Array, " 1"]]
    second: Float[Array, "hidden hidden"]
    last: Float[Array, "hidden 1"]

    def __init__(self, observation: int, agents: int, actions: int, hidden: int, *, key: PRNGKey):
        inputs = observation + agents * actions
        first, second, last = _drawn(key, (inputs, hidden), (hidden, hidden), (hidden, 1))
        weights = _he(first)
        self.observation = weights[:observation]
        self.actions = weights[observation:].reshape(agents, actions, hidden)
        self.second, self.last = _he(second), _he(last)
        self.biases = (jnp.zeros(hidden, jnp.float32), jnp.zeros(hidden, jnp.float32), jnp.zeros(1, jnp.float32))

    def seen(self, observation: Float[Array, "*B O"]) -> Float[Array, "*B hidden"]:
        """What an observation adds to the first layer."""
        return _affine(observation, self.observation, self.biases[0])

    def done(self, agent: int | np.integer | Int[Array, ""], action: Float[Array, "*B D"]) -> Float[Array, "*B hidden"]:
        """What an action of the `agent` adds to it."""
        return action @ self.actions[agent]

    def worth(self, first: Float[Array, "*B hidden"]) -> Float[Array, "*B"]:
        """Q from the sum."""
        hidden = jax.nn.relu(_affine(jax.nn.relu(first), self.second, self.biases[1]))
        return _affine(hidden, self.last, self.biases[2])[..., 0]

    def at(self, observation: Float[Array, " O"], actions: Float[Array, "K N D"]) -> Float[Array, " K"]:
        """Q of K joint actions at one observation."""
        return self(jnp.broadcast_to(observation[None], (len(actions), len(observation))), actions)

    def __call__(self, observation: Float[Array, "*B O"], actions: Float[Array, "*B N D"]) -> Float[Array, "*B"]:
        # Where all that comes in is of one shape, one product takes half the time of the sum.
        inputs = jnp.concatenate([observation, actions.reshape(*actions.shape[:-2], -1)], axis=-1)
        weights = jnp.concatenate([self.observation, self.actions.reshape(-1, self.actions.shape[-1])])
        return self.worth(_affine(inputs, weights, self.biases[0]))


def _affine(values: Array, layer: Array, bias: Array) -> Array:
    product = values @ layer
    return product + bias.reshape((1,) * (product.ndim - 1) + bias.shape)


def _drawn(key: PRNGKey, *shapes: tuple[int, ...]) -> list[Array]:
    """Arrays of numbers that are uniform in [-1, 1]; one draw for all of them is quicker to compile."""
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    drawn = jax.random.uniform(key, (int(ends[-1]),), jnp.float32, -1.0, 1.0)
    parts = jnp.split(drawn, ends[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)]


def _he(drawn: Float[Array, "inputs outputs"]) -> Float[Array, "inputs outputs"]:
    return (6.0 / max(len(drawn), 1)) ** 0.5 * drawn

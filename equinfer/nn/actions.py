r"""What agents can do, in the units of networks: boxes $[-1,1]^d$, whose integrals are sums over weighted candidates,
and moves, whose sums are exact where what there is to sum over is not too much.

An agent's actions are rows of D numbers; `mask` tells which of them are real. An algorithm that asks for candidates
and contexts is written once for both.
"""

import abc
import itertools
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equinfer.errors import BadInput
from equinfer.games.spaces import Box, Discrete, Space
from equinfer.nn.laws import Categorical, Law, SquashedGaussian, lattice, resampled
from equinfer.types import PRNGKey

__all__ = ["AbstractActions", "Boxes", "Cloud", "Contexts", "Moves", "action_units", "mixed_log_prob"]

_MOST_SUMMED = 256
"""Joint moves, up to which sums over them are exact: more than these cost a learner more than draws do."""


class Cloud(NamedTuple):
    """A law over an agent's actions as weighted candidates."""

    points: Float[Array, "*B K D"]
    log_weights: Float[Array, "*B K"]
    """Up to a constant."""


class Contexts(NamedTuple):
    """A law over what J other agents do."""

    points: Float[Array, "L J D"]
    weights: Float[Array, " L"]
    """They add up to one."""


class AbstractActions(eqx.Module):
    """The actions of N agents."""

    is_continuous: ClassVar[bool]
    spaces: tuple[Any, ...] = eqx.field(static=True)

    @property
    def size(self) -> int:
        """D."""
        return max(map(_size, self.spaces))

    @property
    def mask(self) -> Bool[np.ndarray, "N D"]:
        return np.arange(self.size)[None] < np.array([[_size(space)] for space in self.spaces])

    @property
    @abc.abstractmethod
    def outputs(self) -> int:
        """How many numbers a network puts out for a law."""

    @abc.abstractmethod
    def law(self, outputs: Float[Array, "*B outputs"], mask: Bool[Array, " D"]) -> Law: ...

    @abc.abstractmethod
    def uniform(self, key: PRNGKey, mask: Bool[Array, " D"], count: int) -> Float[Array, "count D"]:
        """Independent draws."""

    @abc.abstractmethod
    def candidates(self, key: PRNGKey, law: Law | None, mask: Bool[Array, " D"], spread: int, near: int) -> Cloud:
        r"""Points whose weights make sums over them integrals by the uniform law: `spread` of them everywhere, `near`
        drawn from the `law`, if there is one. `log_weights` is $-\log m(x)$, with m the density of that mixture over
        the uniform one's.
        """

    @abc.abstractmethod
    def are_summed(self, agents: int) -> bool:
        """Whether sums over what so many agents do together are exact."""

    def contexts(self, key: PRNGKey, clouds: Cloud, count: int) -> Contexts:
        """Of J independent agents, given as clouds (J, K, D): `count` draws, or all that can happen."""
        keys = jax.random.split(key, len(clouds.points))
        points = jax.vmap(resampled, in_axes=(0, 0, 0, None))(keys, clouds.points, clouds.log_weights, count)
        return Contexts(points.swapaxes(0, 1), jnp.full(count, 1 / count, points.dtype))

    @abc.abstractmethod
    def cloud(self, key: PRNGKey, law: Law, mask: Bool[Array, " D"], count: int) -> Cloud:
        """A law as `count` draws, or with all that can happen."""

    @abc.abstractmethod
    def to_game(self, actions: Float[Array, "N D"]) -> tuple[Any, ...]:
        """As the game takes them, one for each agent."""


class Boxes(AbstractActions):
    """Everybody acts in a box."""

    is_continuous: ClassVar[bool] = True

    @property
    def outputs(self) -> int:
        return 2 * self.size

    def law(self, outputs: Float[Array, "*B outputs"], mask: Bool[Array, " D"]) -> SquashedGaussian:
        return SquashedGaussian.of(outputs, mask)

    def uniform(self, key: PRNGKey, mask: Bool[Array, " D"], count: int) -> Float[Array, "count D"]:
        drawn = jax.random.uniform(key, (count, self.size), jnp.float32, -1.0, 1.0)
        return jnp.where(mask[None], drawn, 0)

    def candidates(self, key: PRNGKey, law: Law | None, mask: Bool[Array, " D"], spread: int, near: int) -> Cloud:
        one, two = jax.random.split(key)
        points = jnp.where(mask[None], lattice(one, spread, self.size), 0)
        if law is None or not near:
            return Cloud(points, jnp.zeros(spread, jnp.float32))
        points = jnp.concatenate([points, law.sample(two, near)])
        log_density = jnp.log(2.0) * mask.sum(dtype=jnp.float32) + law.log_prob(points)  # relative to the uniform law
        share = near / (spread + near)
        return Cloud(points, -jnp.log((1 - share) + share * jnp.exp(jnp.minimum(log_density, 60.0))))

    def are_summed(self, agents: int) -> bool:
        return False

    def cloud(self, key: PRNGKey, law: Law, mask: Bool[Array, " D"], count: int) -> Cloud:
        return Cloud(law.sample(key, count), jnp.zeros(count, jnp.float32))

    def to_game(self, actions: Float[Array, "N D"]) -> tuple[Any, ...]:
        return tuple(space.from_unit(actions[i, : space.dimension]) for i, space in enumerate(self.spaces))


class Moves(AbstractActions):
    """Everybody has finitely many moves, unit vectors."""

    is_continuous: ClassVar[bool] = False

    @property
    def outputs(self) -> int:
        return self.size

    def law(self, outputs: Float[Array, "*B outputs"], mask: Bool[Array, " D"]) -> Categorical:
        return Categorical.of(outputs, mask)

    def uniform(self, key: PRNGKey, mask: Bool[Array, " D"], count: int) -> Float[Array, "count D"]:
        return Categorical.of(jnp.zeros(self.size, jnp.float32), mask).sample(key, count)

    def candidates(self, key: PRNGKey, law: Law | None, mask: Bool[Array, " D"], spread: int, near: int) -> Cloud:
        return Cloud(jnp.eye(self.size, dtype=jnp.float32), jnp.where(mask, 0.0, -jnp.inf))

    def are_summed(self, agents: int) -> bool:
        return self.together(agents) <= _MOST_SUMMED

    def contexts(self, key: PRNGKey, clouds: Cloud, count: int) -> Contexts:
        """Gradients reach the clouds: by their chances, or through draws as if these were the chances."""
        chances = jax.nn.softmax(clouds.log_weights, axis=-1)
        agents = len(chances)
        if self.are_summed(agents):
            chosen = chances[np.arange(agents)[None], self._indices(agents)]
            return Contexts(self.every(agents), jnp.prod(chosen, axis=1))
        drawn = super().contexts(key, clouds, count)
        return drawn._replace(points=drawn.points + (chances - jax.lax.stop_gradient(chances))[None])

    def cloud(self, key: PRNGKey, law: Law, mask: Bool[Array, " D"], count: int) -> Cloud:
        assert isinstance(law, Categorical)
        return Cloud(jnp.eye(self.size, dtype=jnp.float32), law.logits)

    def together(self, agents: int) -> int:
        """In how many ways so many agents can act, if all had as many moves as whoever has most."""
        return self.size**agents

    def every(self, agents: int) -> Float[Array, "L agents D"]:
        """All that they can do together."""
        return jnp.asarray(np.eye(self.size, dtype=np.float32)[self._indices(agents)])

    def _indices(self, agents: int) -> Int[np.ndarray, "L agents"]:
        return np.array(list(itertools.product(range(self.size), repeat=agents)))

    def to_game(self, actions: Float[Array, "N D"]) -> tuple[Any, ...]:
        return tuple(actions.argmax(axis=-1)[i] for i in range(len(self.spaces)))


def action_units(spaces: tuple[Space, ...]) -> AbstractActions:
    """**Raises:** `BadInput` if some agents act in boxes and others by moves."""
    boxes = tuple(space for space in spaces if isinstance(space, Box))
    moves = tuple(space for space in spaces if isinstance(space, Discrete))
    if boxes and moves:
        which = [next(i for i, space in enumerate(spaces) if isinstance(space, kind)) for kind in (Box, Discrete)]
        raise BadInput(
            f"agent {which[0]} acts in a box and agent {which[1]} by moves; learners take games of one kind."
        )
    return Boxes(boxes) if boxes else Moves(moves)


def _size(space: Space) -> int:
    return space.dimension if isinstance(space, Box) else space.n


def mixed_log_prob(
    law_at: Callable[[Float[Array, "J D"]], Law], contexts: Contexts, done: Float[Array, "R D"]
) -> Float[Array, " R"]:
    """Log-probabilities by the mixture, over what the others do, of the laws that answer it."""
    told = jax.vmap(lambda context: law_at(context).log_prob(done))(contexts.points)
    return jax.nn.logsumexp(told + jnp.log(contexts.weights)[:, None], axis=0)

"""A game as learners meet it: actions and observations in rows of one length, and a new episode when one has ended."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equinfer.data.replay import Experience
from equinfer.nn.actions import AbstractActions, action_units
from equinfer.types import PRNGKey

__all__ = ["Arena", "Place", "own_first"]


class Place(NamedTuple):
    """Where an episode is."""

    state: Any
    observation: Float[Array, "N O"]


class Arena(eqx.Module):
    """A `ContinuousGame` in the units of networks."""

    game: Any
    actions: AbstractActions

    @classmethod
    def of(cls, game: Any) -> "Arena":
        """**Raises:** `BadInput` for a mixture of boxes and moves."""
        return cls(game.unlabelled(), action_units(game.spaces))

    @property
    def agents(self) -> int:
        return len(self.game.spaces)

    @property
    def observation_size(self) -> int:
        """O, of whoever sees most."""
        return max(self.game.observation_sizes)

    @property
    def masks_seen(self) -> Bool[Array, "N N D"]:
        """Which numbers of actions are real, as each agent counts: its own first."""
        return jnp.asarray(self.actions.mask[own_first(self.agents)])

    def uniform(self, key: PRNGKey) -> Float[Array, "N D"]:
        """Uniform play by everybody."""
        keys = jax.random.split(key, self.agents)
        draw = jax.vmap(lambda key, mask: self.actions.uniform(key, mask, 1)[0])
        return draw(keys, jnp.asarray(self.actions.mask))

    def in_game_units(self, actions: Float[np.ndarray, "seeds N D"]) -> Any:
        """(seeds, N, ...) as the game has them; a tuple over agents where their boxes have different shapes."""
        with jax.enable_x64(False):
            parts = [np.asarray(part) for part in jax.vmap(self.actions.to_game)(jnp.asarray(actions))]
        if not self.actions.is_continuous:
            return np.stack(parts, axis=1)
        parts = [part.astype(np.float64) for part in parts]
        return np.stack(parts, axis=1) if len({part.shape for part in parts}) == 1 else tuple(parts)

    @property
    def is_still(self) -> bool:
        """Every decision is the same: observations say nothing, and there is nothing to bootstrap."""
        return self.game.is_one_shot

    @property
    def bootstraps(self) -> bool:
        """What comes after a step depends on what was done in it."""
        return not (self.is_still or self.game.exogenous) and any(self.game.discount)

    @property
    def drifts(self) -> bool:
        """Something follows a step that nobody's actions move: states have values in which no action has a share."""
        return self.game.exogenous and not self.is_still and any(self.game.discount)

    def reset(self, key: PRNGKey) -> Place:
        state = self.game.reset(key)
        return Place(state, self._seen(state))

    def step(
        self, place: Place, actions: Float[Array, "N D"], key: PRNGKey
    ) -> tuple[Place, Experience, Bool[Array, ""]]:
        """One step, where the next one begins, and whether an episode ended."""
        step, begin = jax.random.split(key)
        moved = self.game.step(place.state, self.actions.to_game(actions), key=step)
        after = self._seen(moved.state)
        ended = moved.terminated | moved.truncated
        reward = jnp.asarray(moved.rewards, jnp.float32)
        told = Experience(place.observation, actions, reward, jnp.asarray(moved.terminated), after)
        there = Place(moved.state, after)
        new = self.reset(begin)
        return jax.tree.map(lambda old, fresh: jnp.where(ended, fresh, old), there, new), told, ended

    def _seen(self, state: Any) -> Float[Array, "N O"]:
        return self.padded([jnp.asarray(self.game.observe(state, i), jnp.float32) for i in range(self.agents)])

    def padded(self, rows: Sequence[Float[Array, " _"]]) -> Float[Array, "N O"]:
        """Observations of all agents as one array."""
        return jnp.stack([jnp.pad(row, (0, self.observation_size - len(row))) for row in rows])


def own_first(agents: int) -> Int[np.ndarray, "N N"]:
    """Row i: agent i, then the others in order."""
    return np.array([[i, *(j for j in range(agents) if j != i)] for i in range(agents)])

"""Rewards of all games in one unit, so that one temperature serves them all."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

__all__ = ["RewardScale"]

_SPREAD = 10.0
"""Standard deviation of rewards under uniform play, once they are standardised: the unit of temperatures."""


class RewardScale(NamedTuple):
    """Moments of each agent's own rewards, over the warm-up."""

    steps: Float[Array, ""]
    mean: Float[Array, " N"]
    squares: Float[Array, " N"]

    def seen(self, reward: Float[Array, " N"]) -> "RewardScale":
        steps = self.steps + 1
        away = reward - self.mean
        mean = self.mean + away / steps
        return RewardScale(steps, mean, self.squares + away * (reward - mean))

    def deviation(self) -> Float[Array, " N"]:
        spread = jnp.sqrt(self.squares / jnp.maximum(self.steps, 1))
        return jnp.where(spread > 0, spread, 1)

    def unit(self) -> Float[Array, " N"]:
        """What is one, once rewards are standardised, in the game's own units."""
        return self.deviation() / _SPREAD

    def standardised(self, reward: Float[Array, "B N"], centred: bool) -> Float[Array, "B N"]:
        """Where episodes go on, what is taken off each step would be a reason to end them: then nothing is."""
        level = self.mean[None] if centred else 0.0
        return _SPREAD * (reward - level) / self.deviation()[None]

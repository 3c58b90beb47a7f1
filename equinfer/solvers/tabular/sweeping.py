"""What the sweeps of (★) have in common: where they begin, how temperature and step size fall, when magnets move.

The solvers that are handed in have the fields of the same name, documented there.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.errors import BadInput
from equinfer.solvers.tabular.evaluation import legal_rows
from equinfer.types import AnyArray, PRNGKey, Profile

__all__ = ["CHOICES", "RANGES", "averaged", "check_magnet_every", "moved_magnets", "rates", "starting_point"]

CHOICES = {
    "order": ("simultaneous", "round-robin"),
    "schedule": ("constant", "annealed"),
    "play": ("last", "average"),
    "start": ("magnet", "random"),
}
RANGES = {
    "temperature": "(0, inf)",
    "step_size": "(0, 1]",
    "steps": "[1, inf)",
    "floor": "(0, inf)",
    "decay": "[0, inf)",
    "step_decay": "[0, inf)",
    "magnet_every": "[0, inf)",
    "seeds": "[1, inf)",
    "tolerance": "(-inf, inf)",
}


def starting_point(solver: Any, game: Any, key: PRNGKey) -> tuple[Profile, Profile]:
    """The magnets, which need not sum to one, and the policies before the first sweep, (R, A_i) each."""
    players = range(game.num_players)
    magnets = tuple(legal_rows(game, i).astype(float) for i in players)
    if solver.magnet is not None:
        magnets = tuple(jnp.asarray(m).reshape(mask.shape) for m, mask in zip(solver.magnet, magnets, strict=True))
    first = magnets
    if solver.start == "random":
        keys = jax.random.split(key, game.num_players)
        first = tuple(m * jax.random.exponential(k, m.shape) for m, k in zip(magnets, keys, strict=True))
    return magnets, tuple(weights / jnp.sum(weights, axis=1, keepdims=True) for weights in first)


def rates(solver: Any, sweep: Int[Array, ""]) -> tuple[Float[AnyArray, ""], Float[AnyArray, ""]]:
    """Temperature and step size of a sweep."""
    start, step_size = jnp.asarray(solver.temperature, float), jnp.asarray(solver.step_size, float)
    if solver.schedule == "constant":
        return start, step_size
    fallen = start * (1 + sweep.astype(float)) ** -solver.decay
    temperature = jnp.maximum(fallen, jnp.minimum(solver.floor, start))
    return temperature, step_size * (temperature / start) ** solver.step_decay


def averaged(means: Profile, profile: Profile, sweep: Int[Array, ""]) -> Profile:
    """The plain means of the profiles up to this sweep, by those of the profiles before it."""
    return tuple(mean + (policy - mean) / sweep.astype(mean.dtype) for mean, policy in zip(means, profile, strict=True))


def check_magnet_every(every: Any, what: str = "steps") -> None:
    """**Raises:** `BadInput` for a number that `moved_magnets` cannot count `what` by."""
    if every < 0:
        raise BadInput(f"magnet_every must be 0, for never, or a number of {what}; got {every!r}.")


def moved_magnets(
    every: int | Int[Array, ""], magnets: Profile, policies: Profile, sweep: Int[Array, ""]
) -> tuple[Float[AnyArray, "..."], ...]:
    """The magnets, or their logarithms, after `sweep` sweeps: put where the policies are every so many; 0 is never."""
    due = (every > 0) & (sweep % jnp.maximum(every, 1) == 0)
    return tuple(jnp.where(due, new, old) for new, old in zip(policies, magnets, strict=True))

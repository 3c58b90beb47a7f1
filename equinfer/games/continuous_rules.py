"""How games of learners go on: the rules that somebody wrote, a single decision, or tables that are played."""

import abc
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equinfer.continuous_tables import QuadraticRewards
from equinfer.games.spaces import Box, Space, alike
from equinfer.games.tabular import TabularGame
from equinfer.types import AnyArray, PRNGKey

__all__ = [
    "AbstractPieces",
    "OneShot",
    "QuadraticReward",
    "Rules",
    "TablePlay",
    "TableState",
    "Transition",
    "as_rewards",
    "as_transition",
    "from_row",
]


class Transition(NamedTuple):
    """What one step leads to."""

    state: Any
    rewards: Float[Array, " N"]
    terminated: Bool[Array, ""]
    """Nothing follows: the value of what comes next is 0."""
    truncated: Bool[Array, ""]
    """The episode is cut here, though the game would go on: learners bootstrap through it."""


class Rules(NamedTuple):
    """Three pure functions that JAX can trace."""

    reset: Callable[..., Any]
    """reset(key) -> state."""
    step: Callable[..., Any]
    """step(state, actions, *, key) -> Transition."""
    observe: Callable[..., Any]
    """observe(state, i) -> (O_i,)."""


class OneShot(eqx.Module):
    """One decision, after which nothing follows; the only observation is the number 0."""

    reward: Callable[..., Any]
    """reward(actions) -> (N,)."""

    def reset(self, key: PRNGKey) -> tuple[()]:
        return ()

    def step(self, state: tuple[()], actions: Any, *, key: PRNGKey) -> Transition:
        return Transition((), as_rewards(self.reward(actions)), jnp.asarray(True), jnp.asarray(False))

    def observe(self, state: tuple[()], i: int) -> Float[Array, "1"]:
        return jnp.zeros(1)


class AbstractPieces(eqx.Module):
    r"""A reward $\max_p\,[a^\top M_{pi}a+b_{pi}^\top a+c_{pi}]$ that knows its coefficients."""

    @abc.abstractmethod
    def __call__(self, actions: Any) -> Float[Array, " N"]: ...

    @abc.abstractmethod
    def pieces(self) -> QuadraticRewards: ...


class QuadraticReward(AbstractPieces):
    r"""$r_i(a)=a^\top M_i a+b_i^\top a+c_i$, with everybody's actions in one row $a$ of D numbers."""

    matrix: Float[AnyArray, "N D D"]
    linear: Float[AnyArray, "N D"]
    constant: Float[AnyArray, " N"]

    def __call__(self, actions: Any) -> Float[Array, " N"]:
        parts = actions if isinstance(actions, tuple) else (actions,)
        row = jnp.concatenate([jnp.ravel(part) for part in parts])
        matrix, linear, constant = (jnp.asarray(each, row.dtype) for each in (self.matrix, self.linear, self.constant))
        return jnp.einsum("d,nde,e->n", row, matrix, row) + linear @ row + constant

    def pieces(self) -> QuadraticRewards:
        fields = self.matrix, self.linear, self.constant
        return QuadraticRewards(*(np.asarray(each, np.float64)[None] for each in fields))


class TableState(NamedTuple):
    """Where the play of a table is."""

    state: Int[Array, ""]
    epoch: Int[Array, ""]
    """0 where the horizon is infinite."""


class TablePlay(eqx.Module):
    """A game in tables, played: states are drawn from its kernel, and agents see which one it is, one-hot.

    Within a horizon they see the epoch as well, one-hot, and the last one terminates the game.
    """

    game: TabularGame
    is_one_shot: bool = eqx.field(static=True)
    """Of the game: a traced discount cannot be asked."""

    def reset(self, key: PRNGKey) -> TableState:
        law = jnp.asarray(self.game.initial, jnp.result_type(float))
        return TableState(jax.random.categorical(key, jnp.log(law)).astype(int), jnp.zeros((), int))

    def step(self, state: TableState, actions: Int[AnyArray, " N"], *, key: PRNGKey) -> Transition:
        rewards = jnp.asarray(self.game.reward)[(slice(None), state.state, *actions)]
        following = self.game.kernel.draw(state.state[None], actions[None], key)[0].astype(int)
        last = jnp.asarray(self.is_one_shot)
        epoch = state.epoch
        if self.game.horizon is not None:
            last = epoch + 1 >= self.game.horizon
            epoch = jnp.minimum(epoch + 1, self.game.horizon - 1).astype(int)
        after = TableState(following, epoch)
        return Transition(after, rewards.astype(float), last, jnp.asarray(False))

    def observe(self, state: TableState, i: int) -> Float[Array, " O"]:
        seen = jax.nn.one_hot(state.state, self.game.num_states)
        if self.game.horizon is None or self.game.horizon == 1:
            return seen
        return jnp.concatenate([seen, jax.nn.one_hot(state.epoch, self.game.horizon)])


def as_rewards(value: Any) -> Any:
    """What a reward function gave, as one array, whole numbers as floats; a tuple or list is put together."""
    array = jnp.stack([jnp.asarray(each) for each in value]) if isinstance(value, (tuple, list)) else jnp.asarray(value)
    return array if jnp.issubdtype(array.dtype, jnp.inexact) else array.astype(float)


def as_transition(value: Any) -> Transition:
    """What a step gave, with arrays in all places: a `Transition`, or a tuple of its four parts."""
    state, rewards, terminated, truncated = value
    return Transition(state, as_rewards(rewards), jnp.asarray(terminated, bool), jnp.asarray(truncated, bool))


def from_row(spaces: tuple[Space, ...], row: Float[Array, " D"]) -> Any:
    """Joint actions as a game takes them, from one row of everybody's numbers."""
    sizes = [space.dimension for space in spaces if isinstance(space, Box)]
    if alike(spaces):
        return row.reshape(len(sizes), sizes[0])
    ends = [sum(sizes[: i + 1]) for i in range(len(sizes))]
    return tuple(row[end - size : end] for end, size in zip(ends, sizes, strict=True))

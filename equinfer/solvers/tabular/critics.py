"""How one agent learns its soft action values from its own moves: by expected SARSA, or through a model of the game.

A critic sees what its agent sees, nothing else. Its state has the action values `q` (R, C, A): at a decision point,
for a context (the others' actions, flattened) and an action of one's own.
"""

import abc
from typing import ClassVar, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.equations.backup import soft_action_value
from equinfer.opponents import Moves
from equinfer.types import AnyArray, ScalarLike

__all__ = ["CRITICS", "AbstractCritic", "ExpectedSARSA", "LearntModel"]


class SARSAState(NamedTuple):
    """Estimates, and how many moves each rests on."""

    q: Float[AnyArray, "R C A"]
    visits: Float[AnyArray, "R C A"]


class ModelState(NamedTuple):
    """Estimates, and the counts of the learnt model."""

    q: Float[AnyArray, "R C A"]
    visits: Float[Array, "R C A"]
    reward: Float[Array, "R C A"]
    """Sum of the rewards seen."""
    successors: Float[Array, "R C A R2"]
    """How often each decision point followed; the end of the game is none."""


State = TypeVar("State", SARSAState, ModelState)


class AbstractCritic(eqx.Module, Generic[State]):
    """How soft action values are learnt."""

    name: ClassVar[str]

    @abc.abstractmethod
    def init(self, num_rows: int, num_contexts: int, num_actions: int) -> State: ...

    @abc.abstractmethod
    def learn(self, state: State, moves: Moves, value: Float[AnyArray, " R"], discount: ScalarLike) -> State:
        """Learn from moves, given the soft values of the agent's present policy under its present beliefs."""


class ExpectedSARSA(AbstractCritic[SARSAState]):
    r"""$Q(s,c,a)\leftarrow Q(s,c,a)+\alpha_n\,[r+\gamma V(s')-Q(s,c,a)]$, $\alpha_n=n^{-p}$ at the $n$-th visit.

    $V(s')$ is the expectation over what the agent would do and over what it believes of the others, not a sample of
    either. Moves of one batch that fall on the same entry count as so many visits, with their mean target.
    """

    name: ClassVar[str] = "sarsa"

    rate_decay: ScalarLike = 0.6
    """The power $p$, in (1/2, 1]."""

    def init(self, num_rows: int, num_contexts: int, num_actions: int) -> SARSAState:
        nothing = jnp.zeros((num_rows, num_contexts, num_actions))
        return SARSAState(nothing, nothing)

    def learn(self, state: SARSAState, moves: Moves, value: Float[AnyArray, " R"], discount: ScalarLike) -> SARSAState:
        entries = (moves.rows, moves.context, moves.action)
        later = jnp.where(moves.continues, value[moves.next_rows], 0.0)
        targets = soft_action_value(moves.reward, later, discount)
        seen = jnp.zeros_like(state.q).at[entries].add(1.0)
        mean = jnp.zeros_like(state.q).at[entries].add(targets) / jnp.maximum(seen, 1.0)
        visits = state.visits + seen
        # `seen` steps of one rate towards one target are one step of the rate 1 - (1 - alpha)^seen.
        rate = 1 - (1 - jnp.maximum(visits, 1.0) ** -self.rate_decay) ** seen
        return SARSAState(state.q + rate * (mean - state.q), visits)


class LearntModel(AbstractCritic[ModelState]):
    r"""$Q(s,c,a)=\hat r(s,c,a)+\gamma\sum_{s'}\hat P(s'\mid s,c,a)V(s')$, with the frequencies seen so far.

    One full soft backup of the learnt model at each step; an entry that was never seen is worth nothing.
    """

    name: ClassVar[str] = "model"

    def init(self, num_rows: int, num_contexts: int, num_actions: int) -> ModelState:
        nothing = jnp.zeros((num_rows, num_contexts, num_actions))
        return ModelState(nothing, nothing, nothing, jnp.zeros((*nothing.shape, num_rows)))

    def learn(self, state: ModelState, moves: Moves, value: Float[AnyArray, " R"], discount: ScalarLike) -> ModelState:
        entries = (moves.rows, moves.context, moves.action)
        visits = state.visits.at[entries].add(1.0)
        reward = state.reward.at[entries].add(moves.reward)
        successors = state.successors.at[(*entries, moves.next_rows)].add(moves.continues.astype(value.dtype))
        count = jnp.maximum(visits, 1.0)
        return ModelState(
            soft_action_value(reward / count, successors @ value / count, discount), visits, reward, successors
        )


CRITICS: dict[str, type[AbstractCritic]] = {critic.name: critic for critic in (ExpectedSARSA, LearntModel)}

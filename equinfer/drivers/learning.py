"""What a learner is: `phases`, `init`, `chosen`, `mode`, `learn`; and the phases of a run, fixed before it begins."""

import abc
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from equinfer.nn.actions import Cloud
from equinfer.types import PRNGKey, ScalarLike

__all__ = [
    "EVERY",
    "FULL_LENGTH",
    "AbstractLearner",
    "Phase",
    "Phases",
    "Prediction",
    "annealed",
    "decayed",
    "fewest_steps",
]

FULL_LENGTH = 5_500
"""Steps from which on phases have their full length; of a shorter run they are the same fractions."""
EVERY = 25
"""Steps between two evaluations."""
fewest_steps = 500
"""Of a run: in fewer nothing is learnt in any phase."""

State = TypeVar("State")


class Phase(NamedTuple):
    """Where in a run a step is."""

    kind: Int[Array, ""]
    """0 in uniform play, 1 in the burn-in, 2 in full play."""
    since_uniform: Int[Array, ""]
    """The step at which uniform play has ended, or will."""
    play_from: Int[Array, ""]
    """The step at which full play begins."""
    steps: Int[Array, ""]
    """Of the whole run."""

    @property
    def is_uniform(self) -> Bool[Array, ""]:
        return self.kind == 0

    @property
    def is_burn_in(self) -> Bool[Array, ""]:
        return self.kind == 1


class Phases(NamedTuple):
    """Uniform play, burn-in and full play. One program serves them all: which it is, is a number that it is given."""

    uniform: Any
    """The step at which it ends."""
    burn_in: Any
    steps: Any

    @classmethod
    def of(cls, steps: int, uniform: int, burn_in: int) -> "Phases":
        """Of full length from 5,500 steps on, else in proportion, in multiples of 25."""
        share = min(1.0, steps / FULL_LENGTH)
        ends = [EVERY * round(share * end / EVERY) for end in (uniform, uniform + burn_in)]
        return cls(ends[0], ends[1], steps)

    def ends(self) -> tuple[int, ...]:
        """Of those that have a step at all, in order."""
        return tuple(sorted({end for end in self if end > 0}))

    def at(self, step: int | Int[Array, ""]) -> Phase:
        """The phase of step number `step`."""
        ends = jnp.stack([jnp.asarray(end, jnp.int32) for end in (self.uniform, self.burn_in)])
        kind = jnp.asarray(step >= ends).sum(dtype=jnp.int32)
        return Phase(kind, *(jnp.asarray(end, jnp.int32) for end in self))


def annealed(
    start: ScalarLike, end: ScalarLike, rate: ScalarLike, step: Int[Array, ""], since: Int[Array, ""]
) -> Float[Array, ""]:
    """What falls from `start` to `end` by a share of `rate` per step, from step `since` on."""
    gone = jnp.maximum(step - since, 0).astype(jnp.float32)
    return jnp.asarray(end + (start - end) * jnp.exp(-rate * gone), jnp.float32)


def decayed(end: ScalarLike, step: Int[Array, ""], phase: Phase) -> Float[Array, ""]:
    """What falls evenly from 1 to `end` in full play, and is 1 before."""
    length = jnp.maximum(jnp.asarray(phase.steps - phase.play_from, jnp.float32), 1)
    gone = jnp.clip((step - phase.play_from).astype(jnp.float32) / length, 0, 1)
    return jnp.asarray(1 - (1 - end) * gone, jnp.float32)


class Prediction(NamedTuple):
    """What agents think of each other at one observation, and what they do: log-probabilities, of boxes log-densities
    in the units of networks, of R joint actions.
    """

    executed: Float[Array, "N R"]
    """Of each agent's own action, by the law that it is drawn from."""
    believed: Float[Array, "N J R"]
    """Of each of the others' actions, in order, by what agent i thinks that they do."""
    clouds: Cloud
    """(N, J, K, D): what agent i thinks, as weighted candidates."""


class AbstractLearner(eqx.Module, Generic[State]):
    """An algorithm that acts in an arena and learns from what it remembers; pure functions.

    One step is one step of the environment by all agents and one improvement of everything that they learn.
    """

    is_large: ClassVar[bool] = False
    """Whether its program takes so long to compile that less optimisation pays."""
    predicts: ClassVar[bool] = False
    """Whether agents have models of each other, and the learner `predictions`."""
    knows_laws: ClassVar[bool] = False
    """Whether the learner has `laws`, and does not only draw."""

    @abc.abstractmethod
    def phases(self, steps: int) -> Phases: ...

    @abc.abstractmethod
    def init(self, arena: Any, *, key: PRNGKey) -> State: ...

    def act(
        self, arena: Any, state: State, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        """What the agents do now, in the units of networks: anything in uniform play, then what they choose."""
        chosen = lambda: self.chosen(arena, state, observation, phase, key=key)  # noqa: E731
        return jax.lax.cond(phase.is_uniform, lambda: arena.uniform(key), chosen)

    @abc.abstractmethod
    def chosen(
        self, arena: Any, state: State, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        """What the agents choose to do, with whatever they explore by."""

    @abc.abstractmethod
    def mode(
        self, arena: Any, state: State, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        """What they would do without chance."""

    def laws(
        self, arena: Any, state: State, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N A"]:
        """In games of moves: the law that each agent's next move is drawn from."""
        raise NotImplementedError(f"agents of {type(self).__name__} only draw their moves.")

    def knows_exactly(self, arena: Any) -> bool:
        """Whether `laws` are those that moves are drawn from, and no estimates."""
        return self.knows_laws

    @abc.abstractmethod
    def learn(
        self, arena: Any, state: State, replay: Any, step: Int[Array, ""], phase: Phase, *, key: PRNGKey
    ) -> tuple[State, dict[str, Any]]:
        """Learn from the replay after step number `step`."""

    def predictions(
        self,
        arena: Any,
        state: State,
        observation: Float[Array, "N O"],
        done: Float[Array, "R N D"],
        step: Int[Array, ""],
        phase: Phase,
        *,
        key: PRNGKey,
    ) -> Prediction:
        """What each agent thinks, after `step` steps, that each of the others does, at the actions `done`."""
        raise NotImplementedError(f"agents of {type(self).__name__} do not predict each other.")

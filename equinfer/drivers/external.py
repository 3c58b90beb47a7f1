"""A Python environment outside, compiled steps inside: the same learners on somebody else's game."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from equinfer.data import leaves
from equinfer.data.arena import Arena
from equinfer.data.replay import Experience, Replay
from equinfer.drivers.learning import EVERY, AbstractLearner, Phases
from equinfer.drivers.training import Evaluation
from equinfer.games.external import ExternalGame
from equinfer.types import PRNGKey

__all__ = ["OutsideDriver"]

_LONGEST = 1_000
"""Steps of an episode by which it is judged, at most."""
_JUDGES = 1_000_000_007
"""Where the seeds of the environments begin that episodes are judged in, far from those of any run."""
_JUDGED = 20
"""Times in a run that an episode without chance is played."""


class Outside(NamedTuple):
    """What runs of several seeds carry from step to step; where their environments are stays outside."""

    replay: Replay
    learner: Any
    key: Key[Array, " seeds"]


@eqx.filter_jit
def _begin(learner: AbstractLearner, arena: Arena, keys: Key[Array, " seeds"], capacity: int) -> Outside:
    def one(key: PRNGKey) -> Outside:
        mind, rest = jax.random.split(key)
        seen = jnp.zeros((arena.agents, arena.observation_size), jnp.float32)
        actions = jnp.zeros((arena.agents, arena.actions.size), jnp.float32)
        like = Experience(seen, actions, jnp.zeros(arena.agents, jnp.float32), jnp.zeros((), bool), seen)
        return Outside(Replay.empty(capacity, like), learner.init(arena, key=mind), rest)

    return jax.vmap(one)(keys)


@eqx.filter_jit
def _act(
    learner: AbstractLearner,
    arena: Arena,
    run: Outside,
    seen: Float[Array, "seeds N O"],
    phases: Phases,
    number: Int[Array, ""],
    deterministic: bool,
) -> tuple[Float[Array, "seeds N D"], tuple[Any, ...]]:
    """Actions in the units of networks, and as the environment has them."""
    how = learner.mode if deterministic else learner.act

    def one(run: Outside, seen: Array) -> tuple[Array, tuple[Any, ...]]:
        key = jax.random.fold_in(run.key, 3 * number + 2 * deterministic)  # judging takes nothing from the run
        actions = how(arena, run.learner, seen, phases.at(number), key=key)
        return actions, arena.actions.to_game(actions)

    return jax.vmap(one)(run, seen)


@eqx.filter_jit(donate="all-except-first")
def _learn(
    given: tuple[AbstractLearner, Arena, Phases], run: Outside, told: Experience, number: Int[Array, ""]
) -> tuple[Outside, dict[str, Array]]:
    """Remember a step of every seed, and learn. Memories are written to where they are: `run` is none any more."""
    learner, arena, phases = given

    def one(run: Outside, told: Experience) -> tuple[Outside, dict[str, Array]]:
        replay = run.replay.add(told)
        key = jax.random.fold_in(run.key, 3 * number + 1)
        mind, info = learner.learn(arena, run.learner, replay, number, phases.at(number), key=key)
        return Outside(replay, mind, run.key), info

    return jax.vmap(one)(run, told)


class OutsideDriver:
    """Runs in copies of an environment, one for each seed, and as many again to be judged in.

    What an environment is at cannot be saved: a run that goes on begins a new episode, and is not the same bit by bit.
    """

    def __init__(
        self, learner: AbstractLearner, arena: Arena, phases: Phases, game: ExternalGame, seeds: int, first: int
    ):
        self._learner, self._arena = leaves.with_float_arrays(learner, jnp.float32), arena
        self._steps = phases.steps
        self._phases = Phases(*map(jnp.int32, phases))
        self._tables = [game.table(first + seed) for seed in range(seeds)]
        self._judges = [game.table(_JUDGES + first + seed) for seed in range(seeds)]
        self._due = max(EVERY, self._steps // _JUDGED // EVERY * EVERY)
        self._earned = np.zeros((seeds, arena.agents))
        self._returns = np.full((seeds, arena.agents), np.nan)

    def begin(self, keys: Key[Array, " seeds"], capacity: int) -> Outside:
        return _begin(self._learner, self._arena, keys, capacity)

    def advance(self, run: Outside, first: int, rounds: int) -> tuple[Outside, Evaluation]:
        """`rounds` times 25 steps from number `first` on. Returns are those of the last episodes that ended, with
        whatever agents explore by; those without chance are of an episode of their own, twenty times a run. If
        a reward or an observation is no number, what comes back is the round in which it was, and no other.
        """
        seen = []
        run = jax.tree.map(jnp.copy, run)  # the caller keeps its own, to which it goes back if it is stopped
        for k in range(rounds):
            run, evaluation = self._round(run, first + k * EVERY)
            if (evaluation.broken >= 0).any():
                seen = [evaluation]
                break
            seen.append(evaluation)
        return run, jax.tree.map(lambda *rows: np.stack(rows), *seen)

    def learners(self, run: Outside) -> Any:
        """What has been learnt, along a leading axis of seeds."""
        return run.learner

    def diverged(self, run: Outside) -> int | None:
        """The first seed that has learnt what is no finite number."""
        return leaves.first_broken(run.learner)

    def whole(self, run: Outside) -> Outside:
        return run

    def apart(self, whole: Outside) -> Outside:
        return whole

    def _round(self, run: Outside, first: int) -> tuple[Outside, Evaluation]:
        total = np.zeros_like(self._earned)
        broken = np.full((len(self._tables), 2), -1, np.int32)
        info: dict[str, Any] = {}
        for number in range(first, first + EVERY):
            before = np.stack([table.observation for table in self._tables])
            actions, moves = self._moves(run, before, number, False)
            told = [table.step(tuple(part[seed] for part in moves)) for seed, table in enumerate(self._tables)]
            reward, after = np.stack([each.reward for each in told]), np.stack([each.observation for each in told])
            wrong = ~(np.isfinite(reward) & np.isfinite(after).all(axis=2))
            wrong &= np.isfinite(actions).all(axis=(1, 2)).reshape(-1, 1)  # else it is the learner that has diverged
            if wrong.any():
                seeds = wrong.any(axis=1)
                broken[seeds] = np.stack([np.full(seeds.sum(), number), wrong[seeds].argmax(axis=1)], axis=1)
                nothing = np.full_like(total, np.nan)
                return run, Evaluation(nothing, nothing, np.full(actions.shape, np.nan), nothing, broken, info)
            ends = np.array([each.terminated for each in told])
            step = Experience(*map(jnp.asarray, (before, np.asarray(actions), reward, ends, after)))
            run, info = _learn((self._learner, self._arena, self._phases), run, step, jnp.int32(number))
            total += reward
            self._earned += reward
            for seed, each in enumerate(told):
                if each.ended:
                    self._returns[seed], self._earned[seed] = self._earned[seed], 0.0
                    self._tables[seed].reset()
        at = np.stack([table.observation for table in self._tables])
        best, _ = self._moves(run, at, first + EVERY, True)
        due = (first + EVERY) % self._due == 0 or first + EVERY >= self._steps
        judged = self._episode(run, first + EVERY) if due else np.full_like(total, np.nan)
        return run, Evaluation(self._returns.copy(), judged, np.asarray(best), total / EVERY, broken, info)

    def _episode(self, run: Outside, number: int) -> Float[np.ndarray, "seeds N"]:
        """Sums of rewards of one episode without chance."""
        total = np.zeros_like(self._earned)
        going = np.ones(len(total), bool)
        for table in self._judges:
            table.reset()
        for k in range(_LONGEST):
            seen = np.stack([table.observation for table in self._judges])
            _, moves = self._moves(run, seen, number + k, True)
            for seed, table in enumerate(self._judges):
                if going[seed]:
                    told = table.step(tuple(part[seed] for part in moves))
                    total[seed] += told.reward
                    going[seed] = not told.ended
            if not going.any():
                break
        return total

    def _moves(
        self, run: Outside, seen: Float[np.ndarray, "seeds N O"], number: int, deterministic: bool
    ) -> tuple[Any, list[np.ndarray]]:
        actions, parts = _act(
            self._learner, self._arena, run, jnp.asarray(seen), self._phases, jnp.int32(number), deterministic
        )
        return actions, [np.asarray(part) for part in parts]

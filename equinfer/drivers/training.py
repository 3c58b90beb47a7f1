"""Environment, memory and learning in one compiled loop, for many seeds at once.

One program serves all phases of a run, whatever the number of steps of a chunk; the key of a step depends on its number
and the seed alone. So how a run is cut into chunks changes nothing, and one that was killed goes on, bit by bit the
same, from its last checkpoint.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from equinfer.data import leaves
from equinfer.data.arena import Arena, Place
from equinfer.data.replay import Experience, Replay
from equinfer.drivers.compilation import quick_to_compile
from equinfer.drivers.lanes import Lanes, abreast
from equinfer.drivers.learning import EVERY, AbstractLearner, Phase, Phases
from equinfer.types import AnyArray, PRNGKey

__all__ = ["ROUNDS", "Evaluation", "InsideDriver", "Run"]

ROUNDS = 32
"""Evaluations that one dispatch has room for."""
_DRAWS = 25
"""Of a one-shot game, for one evaluation."""
_LONGEST, _ENDLESS = 1000, 100
"""Steps of an evaluation episode, at most, and where the game has no horizon."""


class Run(NamedTuple):
    """All that a run of one seed carries from step to step."""

    place: Place
    replay: Replay
    learner: Any
    key: Key[Array, ""]


class Evaluation(NamedTuple):
    """How the agents did, every 25 steps."""

    returns: Float[AnyArray, "*B N"]
    """Of an episode of what they execute: the sum of rewards, of the first 1,000 steps at most, or of 100 where the
    game has no horizon. Of a one-shot game the mean over 25.
    """
    deterministic: Float[AnyArray, "*B N"]
    """The same of what is likeliest."""
    actions: Float[AnyArray, "*B N D"]
    """What is likeliest at the beginning, in the units of networks."""
    rewards: Float[AnyArray, "*B N"]
    """Mean over the last 25 steps of the run itself."""
    broken: Int[AnyArray, "*B 2"]
    """The first step at which a reward or an observation was no number, and of which agent; -1 if none was."""
    info: Mapping[str, AnyArray]

    def means(self) -> list[dict[str, AnyArray]]:
        """Over seeds, along whose axis they come after one of evaluations: a line of metrics for each of these."""
        rows = {
            "returns": self.returns,
            "deterministic_returns": self.deterministic,
            "rewards": self.rewards,
            **self.info,
        }
        return [{name: row[k].mean(axis=0) for name, row in rows.items()} for k in range(len(self.returns))]


class InsideDriver:
    """Runs whose environment is compiled with them."""

    def __init__(self, learner: AbstractLearner, arena: Arena, phases: Phases):
        self._learner, self._arena = leaves.with_float_arrays(learner, jnp.float32), arena
        self._phases = Phases(*map(jnp.int32, phases))  # Python's numbers would be part of the program
        self._is_compiled = False

    def begin(self, keys: Key[Array, " seeds"], capacity: int) -> Lanes[Run]:
        """Runs at their first step."""
        begin, lanes = _compiled(_begin, True), Lanes.of(keys)
        return Lanes(tuple(begin(self._learner, self._arena, lane, capacity) for lane in lanes.each), lanes.seeds)

    def advance(self, lanes: Lanes[Run], first: int, rounds: int) -> tuple[Lanes[Run], Evaluation]:
        """`rounds` times 25 steps from number `first` on; evaluations are (rounds, seeds, ...)."""
        start, most = jnp.int32(first), jnp.int32(rounds)
        if len(lanes.each) > 1 and not self._is_compiled:
            self._lane(lanes.each[0], start, jnp.int32(0))  # else every thread would begin to compile the same
        self._is_compiled = True
        done = abreast(lambda run: self._lane(run, start, most), lanes.each)
        seen = jax.tree.map(
            lambda *parts: np.concatenate(parts, axis=1)[:, : lanes.seeds], *(evaluation for _, evaluation in done)
        )
        return Lanes(tuple(run for run, _ in done), lanes.seeds), seen

    def learners(self, lanes: Lanes[Run]) -> Any:
        """What has been learnt, along a leading axis of all seeds."""
        return Lanes(tuple(run.learner for run in lanes.each), lanes.seeds).whole()

    def diverged(self, lanes: Lanes[Run]) -> int | None:
        """The first seed that has learnt what is no finite number."""
        begun = 0
        for run in lanes.each:
            found = leaves.first_broken(run.learner)
            if found is not None:
                return min(begun + found, lanes.seeds - 1)
            begun += len(run.key)
        return None

    def whole(self, lanes: Lanes[Run]) -> Run:
        """All seeds along one leading axis."""
        return lanes.whole()

    def apart(self, whole: Run) -> Lanes[Run]:
        """What `whole` made one, ready to go on."""
        return Lanes.of(whole)

    def _lane(self, run: Run, first: Int[Array, ""], rounds: Int[Array, ""]) -> tuple[Run, Evaluation]:
        advance = _compiled(_advance, self._learner.is_large)
        run, seen = advance(self._learner, self._arena, run, self._phases, first, rounds)
        return run, jax.tree.map(lambda rows: np.asarray(rows)[: int(rounds)], seen)


@functools.cache
def _compiled(work: Callable[..., Any], large: bool) -> Callable[..., Any]:
    return cast(Any, eqx.filter_jit)(work, compiler_options=quick_to_compile(large))


def _begin(learner: AbstractLearner, arena: Arena, keys: Key[Array, " seeds"], capacity: int) -> Run:
    def one(key: PRNGKey) -> Run:
        place, mind, rest = jax.random.split(key, 3)
        there = arena.reset(place)
        actions = jnp.zeros((arena.agents, arena.actions.size), jnp.float32)
        reward = jnp.zeros(arena.agents, jnp.float32)
        like = Experience(there.observation, actions, reward, jnp.zeros((), bool), there.observation)
        return Run(there, Replay.empty(capacity, like), learner.init(arena, key=mind), rest)

    return jax.vmap(one)(keys)


def _advance(
    learner: AbstractLearner, arena: Arena, run: Run, phases: Phases, first: Int[Array, ""], rounds: Int[Array, ""]
) -> tuple[Run, Evaluation]:
    # What is jitted here is traced once, however often it is asked for its shapes.
    step = jax.jit(jax.vmap(lambda run, number: _step(learner, arena, run, phases.at(number), number), (0, None)))

    @jax.jit
    def round_of(number: Array, run: Run) -> tuple[Run, Evaluation]:
        def body(run: Run, number: Array) -> tuple[Run, tuple]:
            run, told, info = step(run, number)
            return run, (told.reward, _broken(told, number), info)

        run, (rewards, broken, info) = jax.lax.scan(body, run, number + jnp.arange(EVERY, dtype=jnp.int32))
        first = (broken[..., 0] >= 0).argmax(axis=0)
        lately = phases.at(number + EVERY - 1)
        return run, jax.vmap(functools.partial(one, lately), in_axes=(0, None, 0, 0, 0))(
            run,
            number + EVERY,
            rewards.mean(axis=0),
            jnp.take_along_axis(broken, first[None, :, None], axis=0)[0],
            jax.tree.map(lambda rows: rows[-1], info),
        )

    @jax.jit
    def one(phase: Phase, run: Run, number: Array, *watched: Any) -> Evaluation:
        return _evaluated(learner, arena, run, phase, number, *watched)

    def body(k: Array, carry: tuple) -> tuple:
        run, seen = carry
        run, now = round_of(first + k * EVERY, run)
        return run, jax.tree.map(lambda rows, row: rows.at[k].set(row), seen, now)

    shapes = jax.eval_shape(round_of, first, run)[1]
    empty = jax.tree.map(lambda leaf: jnp.zeros((ROUNDS, *leaf.shape), leaf.dtype), shapes)
    return jax.lax.fori_loop(0, rounds, body, (run, empty))


def _step(
    learner: AbstractLearner, arena: Arena, run: Run, phase: Phase, number: Int[Array, ""]
) -> tuple[Run, Experience, dict[str, Array]]:
    act, move, learn = jax.random.split(jax.random.fold_in(run.key, number), 3)
    actions = learner.act(arena, run.learner, run.place.observation, phase, key=act)
    place, told, _ = arena.step(run.place, actions, move)
    replay = run.replay.add(told)
    mind, info = learner.learn(arena, run.learner, replay, number, phase, key=learn)
    return Run(place, replay, mind, run.key), told, info


def _broken(told: Experience, number: Int[Array, ""]) -> Int[Array, "seeds 2"]:
    """The step and the agent, where a reward or an observation is no number; -1 elsewhere."""
    fine = jnp.isfinite(told.reward) & jnp.isfinite(told.after).all(axis=-1)
    fine |= ~jnp.isfinite(told.action).all(axis=(1, 2))[:, None]  # then it is the learner that has diverged
    agent = (~fine).argmax(axis=1).astype(jnp.int32)
    found = jnp.stack([jnp.full_like(agent, number), agent], axis=1)
    return jnp.where(fine.all(axis=1, keepdims=True), -1, found)


def _evaluated(
    learner: AbstractLearner,
    arena: Arena,
    run: Run,
    phase: Phase,
    number: Int[Array, ""],
    rewards: Float[Array, " N"],
    broken: Int[Array, " 2"],
    info: dict[str, Array],
) -> Evaluation:
    # Numbers of steps are not negative, so these keys are nobody else's.
    one, two = jax.random.split(jax.random.fold_in(run.key, -1 - number))

    def play(how: Any, key: PRNGKey) -> tuple[Float[Array, " N"], Float[Array, "N D"]]:
        return _episode(arena, lambda seen, key: how(arena, run.learner, seen, phase, key=key), key)

    draws = _DRAWS if arena.is_still else 1
    returns = jax.vmap(lambda key: play(learner.act, key)[0])(jax.random.split(one, draws)).mean(axis=0)
    return Evaluation(returns, *play(learner.mode, two), rewards, broken, info)


def _episode(arena: Arena, policy: Any, key: PRNGKey) -> tuple[Float[Array, " N"], Float[Array, "N D"]]:
    """The sum of rewards of one episode, and what is done at its beginning."""
    length = 1 if arena.is_still else min(arena.game.horizon or _ENDLESS, _LONGEST)
    begin, rest = jax.random.split(key)

    def body(k: Array, carry: tuple) -> tuple:
        place, total, begun, going = carry
        act, move = jax.random.split(jax.random.fold_in(rest, k))
        actions = policy(place.observation, act)
        place, told, ended = arena.step(place, actions, move)
        return place, total + jnp.where(going, told.reward, 0), jnp.where(k == 0, actions, begun), going & ~ended

    zeros = jnp.zeros(arena.agents, jnp.float32)
    begun = jnp.zeros((arena.agents, arena.actions.size), jnp.float32)
    return jax.lax.fori_loop(0, length, body, (arena.reset(begin), zeros, begun, jnp.ones((), bool)))[1:3]

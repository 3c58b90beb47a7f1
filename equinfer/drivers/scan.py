"""Drives solvers of pure steps in jitted chunks, one or many seeds at once.

A chunk is one dispatch of a compiled loop whose number of steps is an argument, so one compilation serves every
length; the key of a step depends on its number alone, so the answer does not depend on how the steps were cut.
No compilation is cut short, which is why the first chunk is a single step: it shall be all that time may run out in.
Chunks grow geometrically, for a trace that reads well on a logarithmic axis, up to about half a second each. Between
them the host looks at the clock and at Ctrl-C, has the profiles judged, and keeps the best.
"""

import time
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from equinfer.data import leaves
from equinfer.drivers.compilation import LOGGER
from equinfer.drivers.incumbent import Incumbent
from equinfer.drivers.protocol import AbstractSolver, Info, Outcome, Task
from equinfer.records import Status
from equinfer.types import PRNGKey, Profile, Tree

__all__ = ["CHUNK_SECONDS", "advance", "begin", "drive"]

CHUNK_SECONDS = 0.5
"""Aim of one dispatch, in wall-clock seconds: Ctrl-C and the clock wait no longer than that."""
Keys: TypeAlias = Key[Array, "*seeds"]
"""One key, or one per seed where there are several."""
GROWTH = 1.5
"""Steps done after a chunk over steps done before it, until a chunk takes `CHUNK_SECONDS`."""


def drive(solver: AbstractSolver, game: Any, task: Task, *, chunk: int | None = None) -> Outcome:
    """Do the `task` in chunks, or until all seeds converged, with a look at the clock after each.

    **Arguments:** `chunk` fixes the number of steps of a chunk.

    **Returns:** an `Outcome` with the best certified profile of all seeds and chunks. The trace has a row per chunk:
    `step`, `seconds`, `gap` (of the best seed), what the solver watches for that seed, and `gaps` (rows, seeds).
    """
    with jax.enable_x64(True):
        return _Run(task, chunk).outcome(solver, game)


def begin(solver: AbstractSolver, game: Any, seed: int) -> tuple[AbstractSolver, Any, Tree, Keys]:
    """Solver and game as they are compiled for, the state before the first step, and the keys of the seeds.

    Float fields become arrays, or every new temperature would be a new compilation. What only the driver reads is
    blanked for the same reason, and so are labels.
    """
    key = jax.random.key(seed)
    keys = key if solver.seeds == 1 else jax.random.split(key, solver.seeds)
    solver = eqx.tree_at(lambda s: (s.steps, s.seeds), solver, (0, 0))
    solver = leaves.with_float_arrays(solver, float)
    game = jax.tree.map(jnp.asarray, game.unlabelled())
    return solver, game, _init(solver, game, keys), keys


@eqx.filter_jit
def advance(
    solver: AbstractSolver, game: Any, state: Tree, keys: Keys, first: Int[Array, ""], last: Int[Array, ""]
) -> tuple[Tree, Info, Profile, Int[Array, ""]]:
    """Steps `first`, ..., `last` - 1, or fewer if all seeds converge: the state, what is watched, the profiles, and the
    number of the next step.
    """

    def step(state: Tree, key: PRNGKey, number: Int[Array, ""]) -> tuple[Tree, Info]:
        return solver.step(game, state, key=jax.random.fold_in(key, 1 + number))

    def profile(state: Tree) -> Profile:
        return solver.profile(game, state)

    if keys.ndim:
        step, profile = jax.vmap(step, in_axes=(0, 0, None)), jax.vmap(profile)

    def unfinished(carry: tuple) -> Any:
        _, info, number = carry
        return (number < last) & ~jnp.all(info["converged"])

    def body(carry: tuple) -> tuple:
        state, _, number = carry
        state, info = step(state, keys, number)
        return state, info, number + 1

    nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), jax.eval_shape(step, state, keys, first)[1])
    state, info, number = jax.lax.while_loop(unfinished, body, (state, nothing, first))
    return state, info, profile(state), number


def _last_finite(solver: AbstractSolver, game: Any, state: Tree, keys: Keys, good: int, bad: int) -> Profile:
    """The profiles after the last step at which all of them are numbers; they are after step `good`, at which `state`
    is, and not after step `bad`. Whoever judges them may see what is wrong with the game there.
    """
    first = good

    def after(number: int) -> Profile:
        return jax.tree.map(np.asarray, advance(solver, game, state, keys, jnp.asarray(first), jnp.asarray(number))[2])

    while bad - good > 1:
        middle = (good + bad) // 2
        finite = all(np.isfinite(policy).all() for policy in after(middle))
        good, bad = (middle, bad) if finite else (good, middle)
    return after(good)


@eqx.filter_jit
def _believed(solver: AbstractSolver, game: Any, state: Tree, keys: Keys) -> tuple[Any, ...]:
    def beliefs(state: Tree) -> tuple[Any, ...]:
        return solver.beliefs(game, state)

    return jax.vmap(beliefs)(state) if keys.ndim else beliefs(state)


@eqx.filter_jit
def _init(solver: AbstractSolver, game: Any, keys: Keys) -> Tree:
    def init(key: PRNGKey) -> Tree:
        return solver.init(game, key=jax.random.fold_in(key, 0))

    return jax.vmap(init)(keys) if keys.ndim else init(keys)


class _Run:
    """One run: the best certified profile so far, and what was watched."""

    def __init__(self, task: Task, chunk: int | None):
        self._incumbent = Incumbent(task)
        self._seed = task.seed
        self._chunk = chunk
        self._judging = 0.0
        self._rows: list[dict[str, Any]] = []
        self._beliefs: tuple[Any, ...] = ()

    def outcome(self, solver: AbstractSolver, game: Any) -> Outcome:
        try:
            ended = self._run(solver, game)
        except KeyboardInterrupt:
            ended = Status.interrupted
        names = self._rows[0] if self._rows else ()
        trace = {name: np.array([row[name] for row in self._rows]) for name in names}
        return self._incumbent.outcome(ended, trace)._replace(beliefs=self._beliefs)

    def _run(self, solver: AbstractSolver, game: Any) -> Status:
        LOGGER.info("compiling")
        steps = solver.steps
        solver, game, state, keys = begin(solver, game, self._seed)
        done, per_step = 0, np.inf
        while done < steps:
            if self._seconds_left <= 0:
                return Status.out_of_time
            last = min(steps, done + self._size(done, per_step))
            began = time.perf_counter()
            before = state
            state, info, profiles, number = advance(solver, game, state, keys, jnp.asarray(done), jnp.asarray(last))
            info, profiles, reached = jax.tree.map(np.asarray, (info, profiles, number))
            if not all(np.isfinite(policy).all() for policy in profiles):
                self._offer(_last_finite(solver, game, before, keys, done, int(reached)), keys.ndim == 1)
                return Status.stalled
            taken, first = time.perf_counter() - began, done == 0
            # The first chunk is one step and its compilation, which says nothing about the next ones.
            per_step = per_step if first else min(per_step, taken / max(1, int(reached) - done))
            done = int(reached)
            kept = self._record(done, steps, info, profiles, keys.ndim == 1)
            if kept is not None:
                beliefs = jax.tree.map(np.asarray, _believed(solver, game, state, keys))
                self._beliefs = tuple(belief[kept] for belief in beliefs) if keys.ndim else beliefs
            if self._incumbent.solved or np.all(info["converged"]):
                break
        return Status.above_eps

    def _size(self, done: int, per_step: float) -> int:
        """How many steps to take next."""
        if self._chunk is not None:
            return self._chunk
        growing = max(1, int((GROWTH - 1) * done))
        # An infinite per_step is one that was not measured yet: a single step then, by the same formula.
        return max(1, min(growing, int(min(CHUNK_SECONDS, self._seconds_left) / per_step)))

    @property
    def _seconds_left(self) -> float:
        """For steps: what the verdict on them will take is set aside."""
        return self._incumbent.seconds_left - self._judging

    def _offer(self, profiles: Profile, many: bool) -> tuple[list[Profile], Float[np.ndarray, " seeds"]]:
        """The answer of each seed, and its gap."""
        answers = list(zip(*profiles, strict=True)) if many else [profiles]
        return answers, np.array([self._incumbent.offer(answer).gap for answer in answers])

    def _record(self, step: int, steps: int, info: Info, profiles: Profile, many: bool) -> int | None:
        """A row of the trace; returns which of many seeds has the best answer so far, if one has."""
        began = time.perf_counter()
        answers, gaps = self._offer(profiles, many)
        self._judging = time.perf_counter() - began
        leader = int(np.argmin(gaps))
        watched = {name: float(value[leader] if many else value) for name, value in info.items() if name != "converged"}
        row = {"step": step, "seconds": self._incumbent.elapsed, "gap": gaps[leader], **watched, "gaps": gaps}
        self._rows.append(row)
        shown = {name: float(value) for name, value in row.items() if name != "gaps"}
        self._incumbent.tell({**shown, "steps": steps})
        return next((seed for seed, answer in enumerate(answers) if answer is self._incumbent.answer), None)

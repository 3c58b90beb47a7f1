"""Drives solvers of pure steps in jitted chunks, one or many seeds at once.

A chunk is one dispatch of a compiled loop whose number of steps is an argument, so one compilation serves every
length; the key of a step depends on its number alone, so the answer does not depend on how the steps were cut.
Chunks grow geometrically, for a trace that reads well on a logarithmic axis, up to about half a second each. Between
them the host looks at the clock and at Ctrl-C, has the profiles judged, and keeps the best.
"""

import time
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key

from equinfer.drivers.host import ROUNDING_LEVEL
from equinfer.drivers.protocol import AbstractSolver, Info, Judge, Outcome, Watch
from equinfer.records import Certificate, Status
from equinfer.types import PRNGKey, Profile, Tree

__all__ = ["CHUNK_SECONDS", "advance", "begin", "drive"]

CHUNK_SECONDS = 0.5
"""Aim of one dispatch, in wall-clock seconds: Ctrl-C and the clock wait no longer than that."""
Keys: TypeAlias = Key[Array, "*seeds"]
"""One key, or one per seed where there are several."""
GROWTH = 1.5
"""Steps done after a chunk over steps done before it, until a chunk takes `CHUNK_SECONDS`."""


def drive(
    solver: AbstractSolver,
    game: Any,
    *,
    judge: Judge,
    start: Profile,
    payoff_scale: float,
    seed: int = 0,
    seconds: float | None = None,
    watch: Watch | None = None,
    chunk: int | None = None,
) -> Outcome:
    """Run `solver` for its steps, until it converged, to a gap of rounding, out of time, or interrupted.

    **Arguments:** `judge` makes the certificate; `start` is a profile to fall back on; `seconds` of wall-clock time,
    read between chunks; `watch` is called after each chunk; `chunk` fixes the number of steps of a chunk.

    **Returns:** an `Outcome` with the best certified profile of all seeds and chunks. The trace has a row per chunk:
    `step`, `seconds`, `gap` (of the best seed), what the solver watches for that seed, and `gaps` (rows, seeds). A
    profile that is not finite ends the run as `stalled`.
    """
    with jax.enable_x64(True):
        return _Run(judge, payoff_scale, seconds, watch, chunk).outcome(solver, game, start, seed)


def begin(solver: AbstractSolver, game: Any, seed: int) -> tuple[AbstractSolver, Any, Tree, Keys]:
    """Solver and game as they are compiled for, the state before the first step, and the keys of the seeds.

    Float fields become arrays: under `filter_jit` a Python float is part of the program, and every new temperature
    would be a new compilation. What only the driver reads is blanked for the same reason, and so are labels.
    """
    key = jax.random.key(seed)
    keys = key if solver.seeds == 1 else jax.random.split(key, solver.seeds)
    solver = eqx.tree_at(lambda s: (s.steps, s.seeds), solver, (0, 0))
    solver = jax.tree.map(lambda leaf: jnp.asarray(leaf, float) if isinstance(leaf, float) else leaf, solver)
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


@eqx.filter_jit
def _init(solver: AbstractSolver, game: Any, keys: Keys) -> Tree:
    def init(key: PRNGKey) -> Tree:
        return solver.init(game, key=jax.random.fold_in(key, 0))

    return jax.vmap(init)(keys) if keys.ndim else init(keys)


class _Run:
    """One run: the clock, the best certified profile so far, and what was watched."""

    def __init__(
        self, judge: Judge, payoff_scale: float, seconds: float | None, watch: Watch | None, chunk: int | None
    ):
        self._judge = judge
        self._negligible = ROUNDING_LEVEL * payoff_scale
        self._limit = np.inf if seconds is None else seconds
        self._watch = watch
        self._chunk = chunk
        self._began = time.perf_counter()
        self._rows: list[dict[str, Any]] = []
        self._best: tuple[Profile, Certificate] | None = None

    @property
    def _elapsed(self) -> float:
        return time.perf_counter() - self._began

    def outcome(self, solver: AbstractSolver, game: Any, start: Profile, seed: int) -> Outcome:
        try:
            ended = self._run(solver, game, seed)
        except KeyboardInterrupt:
            ended = Status.interrupted
        profile, certificate = self._best or (start, self._judge(start))
        names = self._rows[0] if self._rows else ()
        trace = {name: np.array([row[name] for row in self._rows]) for name in names}
        return Outcome(profile, certificate, ended, trace, self._elapsed)

    def _run(self, solver: AbstractSolver, game: Any, seed: int) -> Status:
        steps = solver.steps
        solver, game, state, keys = begin(solver, game, seed)
        done, per_step = 0, np.inf
        while done < steps:
            if self._elapsed >= self._limit:
                return Status.out_of_time
            last = min(steps, done + self._size(done, per_step))
            began = time.perf_counter()
            state, info, profiles, number = advance(solver, game, state, keys, jnp.asarray(done), jnp.asarray(last))
            info, profiles, reached = jax.tree.map(np.asarray, (info, profiles, number))
            taken, first = time.perf_counter() - began, done == 0
            # The first chunk is one step and its compilation, which says nothing about the next ones.
            per_step = per_step if first else min(per_step, taken / max(1, int(reached) - done))
            done = int(reached)
            if not all(np.isfinite(policy).all() for policy in profiles):
                return Status.stalled
            self._record(done, steps, info, profiles, keys.ndim == 1)
            if self._solved or np.all(info["converged"]):
                break
        return Status.above_eps

    def _size(self, done: int, per_step: float) -> int:
        """How many steps to take next."""
        if self._chunk is not None:
            return self._chunk
        growing = max(1, int((GROWTH - 1) * done))
        # An infinite per_step is one that was not measured yet: a single step then, by the same formula.
        return max(1, min(growing, int(min(CHUNK_SECONDS, self._limit - self._elapsed) / per_step)))

    @property
    def _solved(self) -> bool:
        if self._best is None:
            return False
        certificate = self._best[1]
        return certificate.gap <= max(certificate.numerical_error, self._negligible)

    def _record(self, step: int, steps: int, info: Info, profiles: Profile, many: bool) -> None:
        answers = list(zip(*profiles, strict=True)) if many else [profiles]
        certificates = [self._judge(answer) for answer in answers]
        gaps = np.array([certificate.gap for certificate in certificates])
        leader = int(np.argmin(gaps))
        if self._best is None or gaps[leader] < self._best[1].gap:
            self._best = answers[leader], certificates[leader]
        watched = {name: float(value[leader] if many else value) for name, value in info.items() if name != "converged"}
        row = {"step": step, "seconds": self._elapsed, "gap": gaps[leader], **watched, "gaps": gaps}
        self._rows.append(row)
        if self._watch is not None:
            shown = {name: float(value) for name, value in row.items() if name != "gaps"}
            self._watch({**shown, "steps": steps, "best_gap": self._best[1].gap})

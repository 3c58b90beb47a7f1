r"""Algorithm 4 at many temperatures at once, and the best that any of them comes across.

How hot the kernel (★) must be differs from game to game by orders of magnitude, and so does the schedule of its prior
that works: a prior that stays uniform, with damping, finds pure equilibria by way of its rounded policies (each state's
likeliest action); a prior that follows is mirror descent, and finds mixed ones where crowds repel. So all of them run
side by side, one `vmap`, and of every run the least exploitable policy it met is kept, rounded or as it was.
"""

import time
from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.equations.information import logarithm
from equinfer.equations.mean_field import evaluated, exploitability, flow_of
from equinfer.games.mean_field_checks import refuse_along
from equinfer.mean_field_tables import TRIED, TRIED_STEP
from equinfer.solvers.mean_field.bayesian_q import BayesianQState, bayesian_q_step
from equinfer.solvers.tabular.settings import check_ranges
from equinfer.types import AnyArray, Profile

__all__ = ["TemperatureGrid", "value_unit"]

_SETTINGS = (
    *((temperature, damping, 0) for temperature in (1e-4, 3e-4, 1e-3, 3e-3) for damping in (0.1, 0.3)),
    *((temperature, 1.0, 1) for temperature in (1e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0)),
    *((temperature, 1.0, 20) for temperature in (0.03, 0.1, 0.3, 1.0)),
)
"""Temperature, in units of the spread of action values against the uniform policy; damping; `magnet_every`."""
_ROUNDING = 1e-15
"""Of the stakes: an exploitability that is zero."""
_AIM = 0.15
"""Seconds of one dispatch."""


class _Runs(NamedTuple):
    """Of each of G settings: where it is, and the best policies it met, with their exploitability."""

    states: BayesianQState
    broken: Bool[AnyArray, " G"]
    """The next step has no numbers to go by; the state is the one before it."""
    best: Profile
    gaps: Float[AnyArray, " G"]


class TemperatureGrid(AbstractHostSolver):
    """Algorithm 4 from 20 settings side by side; the best certified of all their iterates and rounded iterates.

    Watched: `step`, and `temperature`, `step_size`, `magnet_every` of the leading run; of each setting the least
    exploitability that it has met, which is the temperature map of reports. It ends once half of all steps
    brought nothing. What it cannot do is to follow mixed equilibria of games that are not monotone to the last digit.
    """

    name: ClassVar[str] = "temperature-grid"
    games: ClassVar[str] = "mean-field"

    magnet: Profile | None = None
    """Where it begins, and what attracts the runs whose prior is kept: one ([H,] S, A) array per population; None is
    uniform."""
    steps: int = 3000
    """Of each run, at most."""

    def __check_init__(self):
        check_ranges(self, {"steps": "[1, inf)"})

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        """**Raises:** `BadInput` for rewards that are not finite where a run comes to, with time, state and action."""
        del seed  # nothing is random
        start = tuple(map(jnp.asarray, game.uniform_profile() if self.magnet is None else self.magnet))
        labelled, game = game, jax.tree.map(jnp.asarray, game.unlabelled())
        settings = jnp.asarray(_SETTINGS)
        temperatures, dampings = settings[:, 0] * value_unit(game, start), settings[:, 1]
        every = settings[:, 2].astype(int)
        names = [_name(float(t), c, k) for t, (_, c, k) in zip(temperatures, _SETTINGS, strict=True)]
        runs = _begun(game, start, len(_SETTINGS))
        stakes = max(1.0, float(runs.gaps[0]))
        done, size, offered, improved, broken = 0, 1, np.inf, 0, np.zeros(len(_SETTINGS), bool)
        while done < self.steps:
            size = min(size, self.steps - done)
            began = time.perf_counter()
            runs = _advanced(game, runs, temperatures, dampings, every, jnp.asarray(size))
            gaps = np.asarray(runs.gaps)
            taken = time.perf_counter() - began
            done += size
            broken = _refuse_what_broke(labelled, runs, broken)
            leader = int(np.argmin(gaps))
            gap = float(gaps[leader])
            info = {
                "step": float(done),
                "temperature": float(temperatures[leader]),
                "step_size": float(dampings[leader]),
                "magnet_every": float(every[leader]),
                TRIED_STEP: float(done),
                **{name: float(least) for name, least in zip(names, gaps, strict=True)},
            }
            better = gap < 0.9 * offered
            improved = done if better else improved
            ended = gap <= _ROUNDING * stakes or done - improved > max(500, done // 2)
            last = ended or done == self.steps
            offer = gap < 0.1 * offered or (last and gap < offered)
            offered = gap if offer else offered
            yield Iterate(tuple(np.asarray(policy[leader]) for policy in runs.best), info, candidate=offer)
            if ended:
                return
            if done == 1:  # compiled: its time says nothing of the next ones, but that steps at rest take some
                size = 1 if game.horizon is None else 8
            else:
                size = max(1, min(2 * size, int(size * _AIM / taken) if taken > _AIM else 2 * size))


def _refuse_what_broke(game: Any, runs: _Runs, known: Bool[np.ndarray, " G"]) -> Bool[np.ndarray, " G"]:
    """Which runs are broken. A reward that is infinite where nobody is (a logarithm of nobody) breaks one run; of the
    others the game is not the worse. **Raises:** `BadInput` for what is not finite where somebody is.
    """
    broken = np.asarray(runs.broken)
    for run in np.flatnonzero(broken & ~known):
        policies = tuple(jnp.exp(log[run]) for log in runs.states.log_policies)
        flow = tuple(law[run] for law in runs.states.flow)
        settled = game.horizon is None and all(bool(jnp.isfinite(law).all()) for law in flow)
        masses = tuple(law.sum(axis=-1) for law in flow) if settled else game.initial
        refuse_along(game, policies, masses, "at a policy of this solver")
    return broken


def _name(temperature: float, damping: float, magnet_every: int) -> str:
    prior = {0: "prior kept", 1: "prior follows"}.get(magnet_every, f"prior follows every {magnet_every}")
    damped = f", damping {damping:g}" if damping < 1 else ""
    return f"{TRIED}temperature {temperature:.3g}, {prior}{damped}"


@eqx.filter_jit
def value_unit(game: Any, policies: Profile) -> Float[Array, ""]:
    """The spread of action values against the flow of `policies`, of the state where it is widest; 1 if there is
    none.
    """
    flow = flow_of(game, policies)
    spreads = []
    for p, policy in enumerate(policies):
        q = evaluated(game, p, flow, policy)[1]
        legal = jnp.broadcast_to(game.legal[p], q.shape)
        spread = jnp.max(jnp.where(legal, q, -jnp.inf), -1) - jnp.min(jnp.where(legal, q, jnp.inf), -1)
        spreads.append(spread.max())
    widest = jnp.max(jnp.stack(spreads))
    return jnp.where(widest > 0, widest, 1.0)


@eqx.filter_jit
def _begun(game: Any, policies: Profile, number: int) -> _Runs:
    logs = tuple(map(logarithm, policies))
    state = BayesianQState(jnp.asarray(0), logs, logs, flow_of(game, policies))
    runs = _Runs(state, jnp.asarray(False), policies, exploitability(game, policies))
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (number, *leaf.shape)), runs)


@eqx.filter_jit
def _advanced(
    game: Any,
    runs: _Runs,
    temperatures: Float[Array, " G"],
    dampings: Float[Array, " G"],
    every: Int[Array, " G"],
    steps: Int[Array, ""],
) -> _Runs:
    def step(runs: _Runs, temperature: Any, damping: Any, period: Any) -> _Runs:
        state = bayesian_q_step(game, runs.states, temperature, damping, period)
        broken = runs.broken | jnp.stack([jnp.isnan(log).any() for log in state.log_policies]).any()
        state = jax.tree.map(lambda old, new: jnp.where(broken, old, new), runs.states, state)
        policies = tuple(map(jnp.exp, state.log_policies))
        rounded = tuple(jax.nn.one_hot(jnp.argmax(log, axis=-1), log.shape[-1]) for log in state.log_policies)
        best, least = runs.best, runs.gaps
        for met in (rounded, policies):
            gap = exploitability(game, met)
            better = gap < least
            best = tuple(jnp.where(better, new, old) for new, old in zip(met, best, strict=True))
            least = jnp.where(better, gap, least)
        return _Runs(state, broken, best, least)

    def all_of_them(_: Any, runs: _Runs) -> _Runs:
        return jax.vmap(step)(runs, temperatures, dampings, every)

    return jax.lax.fori_loop(0, steps, all_of_them, runs)

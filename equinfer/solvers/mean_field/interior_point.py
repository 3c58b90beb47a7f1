r"""Mean-field equilibrium by a primal-dual interior point method on occupancy measures.

An equilibrium is a flow of masses $d_t(s,a)\ge0$ with values V,

$$\sum_ad_{t+1}(s,a)=\sum_{s',a'}P_t(s\mid s',a';d)d_t(s',a'),\qquad
z_t(s,a)=V_t(s)-r_t(s,a;d)-(P_tV_{t+1})(s,a)\ge0,\qquad d\,z=0.$$

Newton's method follows $d\,z=\kappa\to0$, predictor and corrector (Mehrotra 1992), from the flow of the uniform policy
and values above all actions. Where dynamics do not depend on the population, and rewards on the masses of the same
place alone, the same for all its actions but for what each minds of its own mass, all that is left of a step is a
sparse system in the values (`schur`), which `fronts` solves. Where more depends on the population, that system is the
preconditioner of Krylov's method (`coupling`). In a stationary game the masses leave themselves as they are, values are
discounted, and the system is dense (`rest`). Places and times that nobody can come to are left out: there is no
interior there.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.drivers.glances import with_glances
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.equations.mean_field_structure import structure_of
from equinfer.errors import BadInput
from equinfer.games.mean_field_checks import place_in
from equinfer.mean_field_tables import MeanFieldTables
from equinfer.solvers.mean_field.coupling import Coupling, MovingChances
from equinfer.solvers.mean_field.nodes import (
    Nodes,
    crowding,
    ends_by_chance,
    flat_rewards,
    flow_at,
    nodes_at_rest,
    nodes_of,
    profile_of,
)
from equinfer.solvers.mean_field.rest import RestSystem
from equinfer.solvers.mean_field.schur import Move, ValueSystem

__all__ = ["InteriorPoint"]

_TO_BOUNDARY = 0.995
"""Part of the way to the boundary that a step may go."""
_MARGIN = 0.1
"""Of the widest spread of action values: by how much values begin above the best action."""
_MOST_BYTES = 8e9
"""Of the factors."""
_SETTLED = 1e-7
"""Part of the first gap below which iterates are offered."""
_RARELY = 1e-4
"""Part of the last gap that was offered, at which another one is, where certificates take seconds: they then look for a
law that depends on itself."""
_STALLED = 6
"""Steps in which what is left to gain, rounding and all, is not halved once, after which nothing is left to do."""
_SETTLING, _SWEEPS = 20, 300
"""Steps towards a law at rest, and of value iteration, before the first step."""
_LITTLE, _GROWING, _STUCK = 0.95, 1.5, 8
"""A path that turns back gets nowhere: steps in which the gap does not fall to this part once, after which it ends.
Those that are so much longer than the one before do not count: after a start in a corner the first are short.
"""
_PATIENCE = 0.2
"""Seconds without a sign of life."""


class _Point(NamedTuple):
    masses: Float[np.ndarray, "N A"]
    values: Float[np.ndarray, " N"]
    slacks: Float[np.ndarray, "N A"]


class InteriorPoint(AbstractHostSolver):
    r"""The interior point method: at its best where crowds repel, and dynamics depend on them little.

    Watched: `complementarity` $\sum dz$, which is the exploitability but for `dual`, what the slacks are off; `step`,
    the part of the last Newton step that was taken.
    """

    name: ClassVar[str] = "interior-point"
    games: ClassVar[str] = "mean-field"

    steps: int = 200
    """Newton steps, at most."""

    def doubts(self, tables: MeanFieldTables) -> tuple[str, ...]:
        if tables.horizon is not None or not ends_by_chance(tables):
            return ()
        return ("Where populations end depends on chance here, and interior-point looks for one law at rest.",)

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        """**Raises:** `BadInput` for games whose factors do not fit into memory, and rewards that are not finite."""
        nodes = nodes_of(game) if game.horizon else nodes_at_rest(game)
        if nodes is None:
            return
        system = ValueSystem(game, nodes) if game.horizon else RestSystem(game, nodes)
        if system.nbytes > _MOST_BYTES:
            size = system.nbytes / 1e9
            raise BadInput(f"interior-point needs {size:.0f} GB for this game; try temperature-grid.")
        tables = game.tables()
        moving = None if tables.fixed_dynamics else MovingChances(game, nodes)
        coupled = moving is not None or not structure_of(tables).local
        costly = moving is not None and game.horizon is None
        system, point = _start(game, system, moving)
        first = offered = mark = float((point.masses * point.slacks).sum())
        part, before, stalled, stuck, turn = 0.0, 0.0, 0, 0, np.inf
        for _ in range(self.steps):
            gap = float((point.masses * point.slacks).sum())
            off, missing = _residuals(game, system, point)
            answer = profile_of(game, nodes, point.masses)
            info = {"complementarity": gap, "dual": float(np.abs(off).max()), "step_length": part}
            settled = gap <= (_RARELY * offered if costly else max(_SETTLED * first, 0.1 * offered))
            yield Iterate(answer, info, candidate=settled)
            offered = gap if settled else offered
            left = gap + float((point.masses * np.abs(off)).sum())
            if left <= mark / 2:
                mark, stalled = left, 0
            elif gap <= _SETTLED * first:
                stalled += 1
            fell = gap < _LITTLE * turn
            stuck = 0 if fell or part > _GROWING * before else stuck + 1
            turn, before = gap if fell else turn, part
            if stalled >= _STALLED or stuck >= _STUCK:
                return
            crowds = crowding(game, nodes, point.masses)
            work = system.linearised(point.masses, point.slacks, crowds)
            at = yield from with_glances(work, Iterate(answer, info), _PATIENCE)
            coupling = None
            if coupled:
                coupling = Coupling.at(game, nodes, point.masses, point.values, crowds, system.mates)
            move = _direction(system, at, off, missing, coupling, gap)
            part = _longest(nodes, point, move, _TO_BOUNDARY)
            if part == 0.0:
                return
            point = _Point(*(x + part * dx for x, dx in zip(point, move, strict=True)))
            if moving is not None:
                system = system.with_chances(moving(flow_at(game, nodes, point.masses)))


def _direction(
    system: Any,
    at: Any,
    off: Float[np.ndarray, "N A"],
    missing: Float[np.ndarray, " N"],
    coupling: Coupling | None,
    gap: float,
) -> Move:
    """Mehrotra's: see how far one gets to the boundary itself, then aim where that tells, to second order."""

    def moved(right: Float[np.ndarray, "N A"]) -> Move:
        if coupling is None:
            return system.move(at, right, off, missing)
        return coupling.move(system, at, right, off, missing, unit)

    unit = float(np.abs(at.slacks).max())
    here = at.masses * at.slacks
    affine = moved(-here)
    part = _longest(system.nodes, at, affine, 1.0)
    hoped = float(((at.masses + part * affine.masses) * (at.slacks + part * affine.slacks)).sum())
    centring = min(1.0, max(hoped / gap, 0.0) ** 3)
    aim = centring * gap / system.nodes.legal.sum() - here - affine.masses * affine.slacks
    return moved(np.where(system.nodes.legal, aim, 0.0))


def _residuals(game: Any, system: Any, point: _Point) -> tuple[Float[np.ndarray, "N A"], Float[np.ndarray, " N"]]:
    nodes = system.nodes
    rewards = flat_rewards(game, nodes, point.masses)
    _refuse_what_is_not_finite(game, nodes, rewards)
    off = point.slacks - (point.values[:, None] - rewards - system.expected(point.values))
    return np.where(nodes.legal, off, 0.0), system.missing(point.masses)


def _longest(nodes: Nodes, point: Any, move: Move, share: float) -> float:
    """The longest step, at most 1, that goes no further than `share` of the way to where something vanishes."""
    longest = 1.0
    for x, dx in ((point.masses, move.masses), (point.slacks, move.slacks)):
        shrinking = nodes.legal & (dx < 0)
        longest = min(longest, share * float((-x[shrinking] / dx[shrinking]).min(initial=np.inf)))
    return longest


def _start(game: Any, system: Any, moving: MovingChances | None) -> tuple[Any, _Point]:
    """The flow of the uniform policy, and values above all actions against it; both satisfy their equations."""
    nodes = system.nodes
    uniform = nodes.legal / nodes.legal.sum(axis=1, keepdims=True)
    if game.horizon is None:
        return _start_at_rest(game, system, moving, uniform)
    epochs = [np.flatnonzero(nodes.time == t) for t in range(game.horizon)]
    masses = np.zeros(nodes.legal.shape)
    for epoch in epochs:
        if moving is not None:
            system = system.with_chances(moving(flow_at(game, nodes, masses)))
        here = nodes.initial + system.arriving(masses)
        masses[epoch] = here[epoch, None] * uniform[epoch]
    rewards = flat_rewards(game, nodes, masses)
    _refuse_what_is_not_finite(game, nodes, rewards)
    values, q = np.zeros(nodes.size), np.zeros(nodes.legal.shape)
    for epoch in reversed(epochs):
        q[epoch] = (rewards + system.expected(values))[epoch]
        top = np.where(nodes.legal, q, -np.inf).max(axis=1)
        spread = float((top - np.where(nodes.legal, q, np.inf).min(axis=1))[epoch].max())
        margin = _MARGIN * max(spread, 1e-3 * (1 + float(np.abs(top[epoch]).max())))
        values[epoch] = top[epoch] + margin
    return system, _Point(masses, values, np.where(nodes.legal, values[:, None] - q, 1.0))


def _start_at_rest(
    game: Any, system: Any, moving: MovingChances | None, uniform: Float[np.ndarray, "N A"]
) -> tuple[Any, _Point]:
    nodes = system.nodes
    masses = system.settled(uniform)[:, None] * uniform
    if moving is not None:
        for _ in range(_SETTLING):
            system = system.with_chances(moving(flow_at(game, nodes, masses)))
            masses = (masses + system.settled(uniform)[:, None] * uniform) / 2
        system = system.with_chances(moving(flow_at(game, nodes, masses)))
    rewards = flat_rewards(game, nodes, masses)
    _refuse_what_is_not_finite(game, nodes, rewards)
    values = np.zeros(nodes.size)
    for _ in range(_SWEEPS):
        q = rewards + system.expected(values)
        values, before = np.where(nodes.legal, q, -np.inf).max(axis=1), values
        if np.abs(values - before).max() <= 1e-3 * np.abs(values).max():
            break
    q = rewards + system.expected(values)
    top = np.where(nodes.legal, q, -np.inf).max(axis=1)
    spread = float((top - np.where(nodes.legal, q, np.inf).min(axis=1)).max())
    margin = _MARGIN * max(spread, 1e-3 * (1 + float(np.abs(rewards).max())))
    # A constant c on all values is (1 - gamma) c on all slacks.
    raised = (float((top - values).max()) + margin) / (1 - game.discount)
    slacks = (values + raised)[:, None] - q - game.discount * raised
    return system, _Point(masses, values + raised, np.where(nodes.legal, slacks, 1.0))


def _refuse_what_is_not_finite(game: Any, nodes: Nodes, rewards: Float[np.ndarray, "N A"]) -> None:
    off = np.argwhere(~np.isfinite(rewards))
    if len(off):
        n, a = off[0].tolist()
        place = place_in(game, int(nodes.population[n]), int(nodes.time[n]), int(nodes.state[n]), a)
        raise BadInput(f"reward{place} is {rewards[n, a]:g} at a population of this solver.")

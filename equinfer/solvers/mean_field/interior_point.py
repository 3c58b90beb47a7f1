r"""Mean-field equilibrium by a primal-dual interior point method on occupancy measures.

Where dynamics do not depend on the population, an equilibrium is a flow of masses $d_t(s,a)\ge0$ with values V,

$$\sum_ad_{t+1}(s,a)=\sum_{s',a'}P_t(s\mid s',a')d_t(s',a'),\qquad
z_t(s,a)=V_t(s)-r_t(s,a;d)-(P_tV_{t+1})(s,a)\ge0,\qquad d\,z=0.$$

Newton's method follows $d\,z=\kappa\to0$, predictor and corrector (Mehrotra 1992), from the flow of the uniform policy
and values above all actions. Rewards must depend on the masses of the same place alone, the same for all its actions:
then all that is left of a step is a sparse system in the values (`schur`), which `fronts` solves. Places and times that
nobody can come to are left out: there is no interior there.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.drivers.glances import with_glances
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.equations.mean_field_structure import structure_of
from equinfer.errors import BadInput
from equinfer.solvers.mean_field.nodes import Nodes, crowding, flat_rewards, nodes_of, profile_of
from equinfer.solvers.mean_field.schur import Linearised, Move, ValueSystem

__all__ = ["InteriorPoint"]

_TO_BOUNDARY = 0.995
"""Part of the way to the boundary that a step may go."""
_MARGIN = 0.1
"""Of the widest spread of action values: by how much values begin above the best action."""
_MOST_BYTES = 8e9
"""Of the factors."""
_SETTLED = 1e-7
"""Part of the first gap below which iterates are offered."""
_STALLED = 6
"""Steps in which the gap is not halved once, after which there is nothing more to gain."""
_PATIENCE = 0.2
"""Seconds without a sign of life."""


class _Point(NamedTuple):
    masses: Float[np.ndarray, "N A"]
    values: Float[np.ndarray, " N"]
    slacks: Float[np.ndarray, "N A"]


class InteriorPoint(AbstractHostSolver):
    r"""The interior point method, for fixed dynamics and rewards that depend on the crowd in the same place.

    Watched: `complementarity` $\sum dz$, which is the exploitability but for `dual`, what the slacks are off; `step`,
    the part of the last Newton step that was taken.
    """

    name: ClassVar[str] = "interior-point"
    games: ClassVar[str] = "mean-field"

    steps: int = 200
    """Newton steps, at most."""

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        """**Raises:** `BadInput` for other games, and those whose factors do not fit into memory."""
        _refuse_others(game)
        nodes = nodes_of(game)
        system = ValueSystem(game, nodes)
        if system.dissection.nbytes > _MOST_BYTES:
            size = system.dissection.nbytes / 1e9
            raise BadInput(f"interior-point needs {size:.0f} GB for this game; try temperature-grid.")
        point = _start(game, system)
        first = offered = mark = float((point.masses * point.slacks).sum())
        part, stalled = 0.0, 0
        for _ in range(self.steps):
            gap = float((point.masses * point.slacks).sum())
            off, missing = _residuals(game, system, point)
            answer = profile_of(game, nodes, point.masses)
            info = {"complementarity": gap, "dual": float(np.abs(off).max()), "step_length": part}
            settled = gap <= max(_SETTLED * first, 0.1 * offered)
            yield Iterate(answer, info, candidate=settled)
            offered = gap if settled else offered
            if gap <= mark / 2:
                mark, stalled = gap, 0
            elif gap <= _SETTLED * first:
                stalled += 1
            if stalled >= _STALLED:
                return
            work = system.linearised(point.masses, point.slacks, crowding(game, nodes, point.masses))
            at = yield from with_glances(work, Iterate(answer, info), _PATIENCE)
            move = _direction(system, at, off, missing)
            part = _longest(nodes, point, move, _TO_BOUNDARY)
            if part == 0.0:
                return
            point = _Point(*(x + part * dx for x, dx in zip(point, move, strict=True)))


def _direction(
    system: ValueSystem, at: Linearised, off: Float[np.ndarray, "N A"], missing: Float[np.ndarray, " N"]
) -> Move:
    """Mehrotra's: see how far one gets to the boundary itself, then aim where that tells, to second order."""
    here = at.masses * at.slacks
    affine = system.move(at, -here, off, missing)
    part = _longest(system.nodes, at, affine, 1.0)
    hoped = float(((at.masses + part * affine.masses) * (at.slacks + part * affine.slacks)).sum())
    gap = float(here.sum())
    centring = min(1.0, max(hoped / gap, 0.0) ** 3)
    aim = centring * gap / system.nodes.legal.sum() - here - affine.masses * affine.slacks
    return system.move(at, np.where(system.nodes.legal, aim, 0.0), off, missing)


def _residuals(
    game: Any, system: ValueSystem, point: _Point
) -> tuple[Float[np.ndarray, "N A"], Float[np.ndarray, " N"]]:
    nodes = system.nodes
    rewards = flat_rewards(game, nodes, point.masses)
    off = point.slacks - (point.values[:, None] - rewards - system.expected(point.values))
    missing = nodes.initial + system.arriving(point.masses) - point.masses.sum(axis=1)
    return np.where(nodes.legal, off, 0.0), missing


def _longest(nodes: Nodes, point: Any, move: Move, share: float) -> float:
    """The longest step, at most 1, that goes no further than `share` of the way to where something vanishes."""
    longest = 1.0
    for x, dx in ((point.masses, move.masses), (point.slacks, move.slacks)):
        shrinking = nodes.legal & (dx < 0)
        longest = min(longest, share * float((-x[shrinking] / dx[shrinking]).min(initial=np.inf)))
    return longest


def _start(game: Any, system: ValueSystem) -> _Point:
    """The flow of the uniform policy, and values above all actions against it; both satisfy their equations."""
    nodes = system.nodes
    uniform = nodes.legal / nodes.legal.sum(axis=1, keepdims=True)
    epochs = [np.flatnonzero(nodes.time == t) for t in range(game.horizon)]
    masses = np.zeros(nodes.legal.shape)
    for epoch in epochs:
        here = nodes.initial + system.arriving(masses)
        masses[epoch] = here[epoch, None] * uniform[epoch]
    rewards = flat_rewards(game, nodes, masses)
    values, q = np.zeros(nodes.size), np.zeros(nodes.legal.shape)
    for epoch in reversed(epochs):
        q[epoch] = (rewards + system.expected(values))[epoch]
        top = np.where(nodes.legal, q, -np.inf).max(axis=1)
        spread = float((top - np.where(nodes.legal, q, np.inf).min(axis=1))[epoch].max())
        margin = _MARGIN * max(spread, 1e-3 * (1 + float(np.abs(top[epoch]).max())))
        values[epoch] = top[epoch] + margin
    return _Point(masses, values, np.where(nodes.legal, values[:, None] - q, 1.0))


def _refuse_others(game: Any) -> None:
    tables = game.tables()
    if tables.horizon is None:
        raise BadInput("interior-point is for games with a horizon; this one is stationary.")
    if not tables.fixed_dynamics:
        raise BadInput("interior-point is for dynamics that do not depend on the population; try complementarity.")
    if not structure_of(tables).local:
        raise BadInput(
            "interior-point is for rewards that depend on the masses in the same place, equally for all its actions; "
            "try complementarity."
        )

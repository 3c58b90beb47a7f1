"""`sweep`: one equilibrium along a parameter of a game, followed from value to value, with the folds where it ends."""

import contextlib
import time as clock
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer.api import default_eps, solve
from equinfer.arguments import checked_seed, nonnegative
from equinfer.certificates.nash import certify_nash
from equinfer.certificates.profile import checked_profile
from equinfer.drivers.harvest import distance
from equinfer.drivers.protocol import Watch
from equinfer.errors import BadInput, UnknownName
from equinfer.families import Fold, Sweep, Waypoint, register_page
from equinfer.games.tabular import TabularGame
from equinfer.games.units import COMPARABLE, in_comparable_units
from equinfer.many import judged
from equinfer.records import Solution, Status
from equinfer.solvers.tabular.neighbour import beyond_switch, neighbour
from equinfer.targets import load
from equinfer.types import Profile

__all__ = ["sweep"]

_NEAR = 0.1
"""Two equilibria are on one branch if no probability changes by more, for as small a change of the parameter as it
takes."""
_MOST_FOLDS = 20
"""Between two values; then the sweep gives up the branch and solves afresh."""
_BESIDE = 0.02
"""Weight of uniform play in the magnet with which the search begins where a branch has ended."""


class _Point(NamedTuple):
    """A value of the parameter, and an equilibrium there."""

    at: float
    solution: Solution


def sweep(
    target: str | Callable[[float], TabularGame],
    parameter: str,
    values: ArrayLike,
    *,
    eps: float | int | None = None,
    time: float | int | None = None,
    seed: int = 0,
    precision: float | int | None = None,
    start: Solution | Sequence[ArrayLike] | None = None,
    watch: Watch | None = None,
    **parameters: Any,
) -> Sweep:
    """Follow an equilibrium of a game while one of its parameters moves through `values`.

    The first equilibrium is what `solve` finds, or the one at `start`. Each next one is solved for on the supports of
    the last, repaired where they no longer fit (Newton's method), and taken if it is certified and close: no
    probability changes by more than 0.1. Otherwise the step is halved, as often as `precision` allows. Where no
    equilibrium is close even then, the branch ends: that is a `Fold`, bracketed to within `precision`. If one player
    switches there, the sweep goes on from where the switch ends; otherwise from what the path of regularised equilibria
    finds just beyond, with the last equilibrium as its magnet, or else from what `solve` does.

    **Arguments:** `target` of `load`, or a function from the parameter's value to a game; `parameter`, its name;
    `values` (K,), in the order in which they are visited; `parameters`, the game's other ones; `precision`, in units of
    the parameter, default 1e-6 of the range; `start`, a profile or a `Solution` (such as one of `solve_all`) from which
    Newton's method leads to the equilibrium to be followed; `eps`, in units of reward, default 1e-8 of each game's
    payoff scale; `time` in seconds of wall clock, after which what was reached is handed back, as it is after Ctrl-C.

    **Raises:** `BadInput` if the game has no such parameter, a value is wrong, or `start` leads to no equilibrium;
    `UnknownName` for a game or another parameter that does not exist.
    """
    began = clock.perf_counter()
    grid = _checked_values(values)
    width = float(np.ptp(grid))
    precision = 1e-6 * width if precision is None else nonnegative("precision", precision)
    time = None if time is None else nonnegative("time", time)
    if not precision > 0 and width > 0:
        raise BadInput(f"precision must be positive; got {precision!r}.")
    game_at = partial(_game_at, target, parameter, parameters)
    eps = None if eps is None else nonnegative("eps", eps)
    walk = _Walk(game_at, eps, checked_seed(seed), precision, time, watch)
    ended = Status.certified
    try:
        with jax.enable_x64(True):
            if start is not None:
                walk.begin(float(grid[0]), start)
            for at in grid[len(walk.points) :].tolist():
                if not walk.to(at):
                    ended = Status.out_of_time
                    break
    except KeyboardInterrupt:
        ended = Status.interrupted
    reached = len(walk.points)
    if ended is Status.certified and not all(point.solution.certified for point in walk.points):
        ended = Status.above_eps
    return Sweep(
        parameter=parameter,
        parameter_values=grid[:reached],
        solutions=tuple(point.solution for point in walk.points),
        branches=tuple(walk.branches),
        folds=tuple(walk.folds),
        waypoints=tuple(walk.waypoints),
        precision=precision,
        status=ended,
        message=_message(walk, len(grid), ended),
        seconds=clock.perf_counter() - began,
    )


class _Walk:
    """The sweep under way: the points reached, the folds met, and how to get from one value to the next."""

    def __init__(
        self,
        game_at: Callable[[float], TabularGame],
        eps: float | None,
        seed: int,
        precision: float,
        time: float | int | None,
        watch: Watch | None,
    ):
        self._game_at, self._eps, self._seed, self._precision = game_at, eps, seed, precision
        self._watch, self._time = watch, time
        self._began = clock.perf_counter()
        self.points: list[_Point] = []
        self.branches: list[int] = []
        self.folds: list[Fold] = []
        self.waypoints: list[Waypoint] = []

    def begin(self, at: float, start: Solution | Sequence[ArrayLike]) -> None:
        """Take the equilibrium to which Newton's method leads from `start` as the first one."""
        game = self._game_at(at)
        guess = start.profile if isinstance(start, Solution) else start
        found = self._solved_from(game, checked_profile(game.tables(), guess))
        if found is None:
            raise BadInput("start leads to no equilibrium of the first game: give a profile close to one.")
        self._arrive(self._passed(at, found))

    def to(self, at: float) -> bool:
        """Reach the next value; False if time was up before."""
        if self.points and self._seconds_left() <= 0:
            return False
        self._arrive(self._next(at))
        return True

    def _arrive(self, point: _Point) -> None:
        self.points.append(point)
        self.branches.append(len(self.folds))
        self._tell(point.at)

    def _passed(self, at: float, solution: Solution) -> _Point:
        if solution.certified:
            self.waypoints.append(Waypoint(at, len(self.folds), solution))
        return _Point(at, solution)

    def _tell(self, at: float) -> None:
        if self._watch is not None:
            seconds = clock.perf_counter() - self._began
            self._watch({"value": at, "folds": float(len(self.folds)), "seconds": seconds})

    def _next(self, at: float) -> _Point:
        game = self._game_at(at)
        if not self.points:
            return self._passed(at, self._afresh(game, None))
        here = self.points[-1]
        for _ in range(_MOST_FOLDS):
            here, blocked = self._follow(here, at)
            if blocked is None:
                return here
            here = self._beyond(here, blocked, at)
            if here.at == at:
                return here
        return self._passed(at, self._afresh(game, here.solution))

    def _beyond(self, last: _Point, blocked: float, goal: float) -> _Point:
        """Where the sweep goes on when the branch has ended at `last`: at the value that it does not reach, or at the
        goal if there is no game at that value.
        """
        at = blocked if self._exists(blocked) and self._seconds_left() > 0 else goal
        game = self._game_at(at)
        fits = _fits(game, last.solution)
        switched = self._solved_from(game, last.solution.profile, beyond_switch) if fits else None
        fresh = switched or self._afresh(game, last.solution)
        if fits:
            apart = distance(last.solution.profile, fresh.profile)
            if apart > _NEAR:
                self.folds.append(Fold(last.at, at, apart, "fold" if switched is None else "switch"))
        self._tell(at)
        return self._passed(at, fresh)

    def _exists(self, at: float) -> bool:
        try:
            self._game_at(at)
        except BadInput:  # between two values of a parameter that only takes whole numbers
            return False
        return True

    def _follow(self, start: _Point, goal: float) -> tuple[_Point, float | None]:
        """As far along the branch as it goes, towards `goal`: the last point on it, and the value that could not be
        reached from there in a step of at most the precision; None if it is `goal` that was reached.
        """
        here, step = start, goal - start.at
        while here.at != goal:
            there = goal if abs(goal - here.at) <= abs(step) else here.at + step
            found = self._close_by(here, there)
            if found is not None:
                here, step = self._passed(*found), 2 * step
            elif abs(there - here.at) <= self._precision or self._seconds_left() <= 0:
                return here, there
            else:
                step = (there - here.at) / 2
        return here, None

    def _close_by(self, here: _Point, at: float) -> _Point | None:
        """A certified equilibrium at `at` close to the one `here`."""
        if not self._exists(at):
            return None
        game = self._game_at(at)
        if not _fits(game, here.solution):
            return None
        found = self._solved_from(game, here.solution.profile)
        if found is None or distance(found.profile, here.solution.profile) > _NEAR:
            return None
        return _Point(at, found)

    def _solved_from(
        self,
        game: TabularGame,
        profile: Profile,
        method: Callable[[TabularGame, Profile], Profile | None] = neighbour,
    ) -> Solution | None:
        """The certified equilibrium to which Newton's method leads from `profile`."""
        began = clock.perf_counter()
        found = method(in_comparable_units(game, COMPARABLE), profile)
        if found is None:
            return None
        tables = game.tables()
        eps = default_eps(tables) if self._eps is None else self._eps
        certificate = certify_nash(tables, found)
        if not certificate.holds(eps) or certificate.warnings(eps):
            return None
        return judged(game, tables, found, certificate, "continuation", eps, clock.perf_counter() - began)

    def _afresh(self, game: TabularGame, last: Solution | None) -> Solution:
        """Solve without a branch to follow: from the last equilibrium as a magnet first, if there is one."""
        if last is not None and _fits(game, last):
            uniform = game.uniform_profile()
            magnet = [(1 - _BESIDE) * old + _BESIDE * flat for old, flat in zip(last.profile, uniform, strict=True)]
            found = self._solve(game, magnet=magnet)
            if found.certified:
                return found
        return self._solve(game)

    def _solve(self, game: TabularGame, **options: Any) -> Solution:
        """`solve` keeps Ctrl-C to itself; here it ends the sweep, with the points before."""
        found = solve(game, eps=self._eps, time=self._share(), seed=self._seed, **options)
        if found.status is Status.interrupted:
            raise KeyboardInterrupt
        return found

    def _seconds_left(self) -> float:
        return np.inf if self._time is None else self._time - (clock.perf_counter() - self._began)

    def _share(self) -> float | None:
        return None if self._time is None else max(self._seconds_left(), 0.0)


def _checked_values(values: ArrayLike) -> Float[np.ndarray, " K"]:
    try:
        grid = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"the values of a sweep must be numbers; got {values!r}.") from None
    if grid.ndim != 1 or not grid.size or not np.isfinite(grid).all():
        raise BadInput("the values of a sweep must be a list of finite numbers, at least one.")
    return grid


def _game_at(
    target: str | Callable[[float], TabularGame], parameter: str, parameters: dict[str, Any], at: float
) -> TabularGame:
    if callable(target):
        return target(at, **parameters)
    try:
        return load(target, **{**parameters, parameter: at})
    except UnknownName as error:
        with contextlib.suppress(BadInput):
            load(target, **parameters)
        raise BadInput(f"nothing to sweep: {error}") from None


def _fits(game: TabularGame, solution: Solution) -> bool:
    """The game has the shape and the legal actions of the one that was solved."""
    lead = () if game.horizon is None else (game.horizon,)
    masks = [np.asarray(mask) for mask in game.legal]
    if [policy.shape for policy in solution.profile] != [(*lead, *mask.shape) for mask in masks]:
        return False
    return not any(policy[..., ~mask].any() for policy, mask in zip(solution.profile, masks, strict=True))


def _message(walk: _Walk, wanted: int, ended: Status) -> str:
    reached, folds = len(walk.points), len(walk.folds)
    certified = sum(point.solution.certified for point in walk.points)
    until = {Status.out_of_time: " until time ran out", Status.interrupted: " until it was interrupted"}.get(ended, "")
    turns = "no fold" if not folds else "1 fold" if folds == 1 else f"{folds} folds"
    return f"{reached} of {wanted} values{until}, {certified} certified, {turns}."


def _report(family: Sweep, path: Any) -> None:
    from equinfer.report.sweep import write_sweep

    write_sweep(family, path)


register_page(Sweep, _report)

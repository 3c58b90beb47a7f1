"""`sweep`: one equilibrium along a parameter of a game, followed from value to value, with the folds where it ends."""

import time as clock
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer.api import default_eps, solve
from equinfer.arguments import checked_seed, nonnegative, shown
from equinfer.certificates.nash import certify_nash
from equinfer.certificates.profile import checked_profile
from equinfer.drivers.compilation import interruptible
from equinfer.drivers.harvest import distance
from equinfer.drivers.protocol import Watch
from equinfer.errors import BadInput, EquinferError
from equinfer.families import Fold, Sweep, Waypoint, register_page, start_values
from equinfer.games.tabular import TabularGame
from equinfer.games.units import COMPARABLE, in_comparable_units
from equinfer.many import judged, refuse_unless_nash
from equinfer.memory import Footprint
from equinfer.parametrised import RECORD, ParametrisedGame
from equinfer.records import Solution, Status
from equinfer.solvers.tabular.neighbour import beyond_switch, neighbour
from equinfer.types import Profile

__all__ = ["evenly_spaced", "sweep"]

_DUST = 1e-6
"""A probability of the start below which an action counts as not played."""
_NEAR = 0.1
"""Two equilibria are on one branch if no probability changes by more, for as small a change of the parameter as it
takes."""
_MOST_FOLDS = 20
"""Between two values; then the sweep gives up the branch and solves afresh."""
_BESIDE = 0.02
"""Weight of uniform play in the magnet with which the search begins where a branch has ended."""
_SLACK = 10.0
"""By how much gaps may differ that are both due to the last step alone."""
_CHECKING = 0.1
"""The part of the time given that may pass while the games are only made, to see that they exist."""


class _Point(NamedTuple):
    """A value of the parameter, and an equilibrium there."""

    at: float
    solution: Solution


def sweep(
    target: str | Callable[..., TabularGame],
    parameter: str,
    values: ArrayLike,
    *,
    concept: str | None = None,
    eps: float | int | None = None,
    time: float | int | None = None,
    seed: int = 0,
    precision: float | int | None = None,
    start: Solution | Sequence[ArrayLike] | None = None,
    watch: Watch | None = None,
    **parameters: Any,
) -> Sweep:
    """Follow an equilibrium of a game while one of its parameters moves through `values`.

    Before the first game is solved, every game is made once, so that a value at which there is none is refused at once
    (with a time limit, as many as a tenth of it allows). The first equilibrium is what `solve` finds, or the one at
    `start`. Each next one is solved for on the supports of the last, repaired where they no longer fit (Newton's
    method), and taken if it is certified and close: no probability changes by more than 0.1. Otherwise the step is
    halved, as often as `precision` allows. Where no equilibrium is close even then, the branch ends: that is a `Fold`,
    bracketed to within `precision`. If one player switches there, the sweep goes on from where the switch ends;
    otherwise from what the path of regularised equilibria finds just beyond, with the last equilibrium as its magnet,
    or else from what `solve` does.

    **Arguments:** `target` of `load`, or a function from the parameter's value to a game; `parameter`, its name;
    `values` (K,), in the order in which they are visited; `parameters`, the game's other ones; `concept`, `"nash"`;
    `precision`, in units of the parameter, default 1e-6 of the range; `start`, a profile or a `Solution` (such as one
    of `solve_all`) close to the equilibrium to be followed, to which Newton's method leads from there; `eps`, in units
    of reward, default 1e-8 of each game's payoff scale; `time` in seconds of wall clock, after which what was reached
    is handed back, as it is after Ctrl-C, and if a game cannot be made or solved after all (status `stalled`).

    **Raises:** `BadInput` if the game has no such parameter, there is no game at a value, games and answers would not
    fit in memory (with the estimate), or `start` is close to no equilibrium; `UnknownName` for a game, a concept or
    another parameter that does not exist.
    """
    began = clock.perf_counter()
    refuse_unless_nash(concept, "a sweep")
    if not isinstance(parameter, str):
        raise BadInput(f"the parameter of a sweep must be a name; got {shown(parameter)}.")
    if parameter in parameters:
        raise BadInput(f"{parameter} is swept: it cannot be set to {shown(parameters[parameter])} as well.")
    grid = _checked_values(parameter, values)
    width = float(np.ptp(grid))
    precision = 1e-6 * width if precision is None else nonnegative("precision", precision)
    time = None if time is None else nonnegative("time", time)
    if not precision > 0 and width > 0:
        raise BadInput(f"precision must be positive; got {precision!r}.")
    games = ParametrisedGame(target, parameter, parameters)
    eps = None if eps is None else nonnegative("eps", eps)
    walk = _Walk(games, eps, checked_seed(seed), precision, time, watch)
    ended, reason = Status.certified, ""
    try:
        games.refuse_unless_all_exist(grid, walk.has_checked)
        with jax.enable_x64(True), interruptible():
            if start is not None:
                walk.begin(float(grid[0]), start)
            for at in grid[len(walk.points) :].tolist():
                if not walk.to(at):
                    ended = Status.out_of_time
                    break
    except KeyboardInterrupt:
        ended = Status.interrupted
    except (EquinferError, MemoryError) as error:
        if not walk.points:
            raise
        ended, reason = Status.stalled, str(error) or "this machine has not enough memory."
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
        message=_message(walk, len(grid), ended, reason),
        seconds=clock.perf_counter() - began,
    )


def evenly_spaced(parameter: str, low: float, high: float, number: int) -> Float[np.ndarray, " K"]:
    """So many values of a parameter from `low` to `high`, both ends included.

    **Raises:** `BadInput` with the estimate if the answers to them would not fit in memory.
    """
    _refuse_unless_records_fit(parameter, number)
    return np.linspace(low, high, number)


class _Walk:
    """The sweep under way: the points reached, the folds met, and how to get from one value to the next."""

    def __init__(
        self,
        games: ParametrisedGame,
        eps: float | None,
        seed: int,
        precision: float,
        time: float | None,
        watch: Watch | None,
    ):
        self._games, self._eps, self._seed, self._precision = games, eps, seed, precision
        self._watch, self._time = watch, time
        self._began = clock.perf_counter()
        self._here: _Point | None = None
        """The last certified point: what is followed on from."""
        self.points: list[_Point] = []
        self.branches: list[int] = []
        self.folds: list[Fold] = []
        self.waypoints: list[Waypoint] = []

    def has_checked(self, number: int) -> bool:
        """Told that so many games exist, whether there is time to look at another."""
        seconds = clock.perf_counter() - self._began
        if self._watch is not None:
            self._watch({"checked": float(number), "seconds": seconds})
        return self._time is None or seconds < _CHECKING * self._time

    def begin(self, at: float, start: Solution | Sequence[ArrayLike]) -> None:
        """Take the equilibrium to which Newton's method leads from `start` as the first one."""
        game = self._games.at(at)
        guess = start.profile if isinstance(start, Solution) else start
        guess = checked_profile(game.tables(), guess)
        # What is nearly nothing is nothing: Newton's method would keep the action in the support.
        played = (np.where(policy < _DUST, 0.0, policy) for policy in guess)
        guess = tuple(policy / policy.sum(axis=-1, keepdims=True) for policy in played)
        found = self._solved_from(game, guess)
        if found is None:
            raise BadInput("start leads to no equilibrium of the first game: give a profile close to one.")
        if (apart := distance(found.profile, guess)) > _NEAR:
            raise BadInput(
                "start is no equilibrium of the first game: the one that Newton's method leads to from there differs "
                f"by {apart:.2g} in a probability, more than {_NEAR:g}. Give a profile close to the one to be followed."
            )
        self._arrive(self._passed(at, found))

    def to(self, at: float) -> bool:
        """Reach the next value; False if time was up before."""
        if self.points and self._seconds_left() <= 0:
            return False
        point = self._next(at)
        if point is None:
            return False
        self._arrive(point)
        return True

    def _arrive(self, point: _Point) -> None:
        self.points.append(point)
        self.branches.append(len(self.folds))
        self._tell(point.at)

    def _passed(self, at: float, solution: Solution) -> _Point:
        point = _Point(at, solution)
        if solution.certified:
            self._here = point
            self.waypoints.append(Waypoint(at, len(self.folds), solution.profile, start_values(solution)))
        return point

    def _tell(self, at: float, row: Mapping[str, float] | None = None) -> None:
        if self._watch is not None:
            seconds = clock.perf_counter() - self._began
            self._watch({**(row or {}), "value": at, "folds": float(len(self.folds)), "seconds": seconds})

    def _next(self, at: float) -> _Point | None:
        """The point at the next value; None if time was up on the way."""
        here = self._here
        if here is None:
            return self._passed(at, self._afresh(self._games.at(at), at, None))
        for _ in range(_MOST_FOLDS):
            here, blocked = self._follow(here, at)
            if blocked is None:
                return here
            if self._seconds_left() <= 0:
                return None
            here = self._beyond(here, blocked, at)
            if here.at == at or not here.solution.certified:
                break
        if here.at == at:
            return here
        return self._jumped(self._here or here, at, self._afresh(self._games.at(at), at, here.solution), "fold")

    def _beyond(self, last: _Point, blocked: float, goal: float) -> _Point:
        """Where the sweep goes on when the branch has ended at `last`: at the value that it does not reach, or at the
        goal if there is no game at that value.
        """
        at = blocked if self._games.exists(blocked) else goal
        game = self._games.at(at)
        if _fits(game, last.solution):
            switched = self._solved_from(game, last.solution.profile, beyond_switch)
            if switched is not None and _joined(game, last.solution.profile, switched.profile):
                return self._jumped(last, at, switched, "switch")
        return self._jumped(last, at, self._afresh(game, at, last.solution), "fold")

    def _jumped(self, last: _Point, at: float, solution: Solution, kind: str) -> _Point:
        """The point on another branch, if it is an equilibrium and another one."""
        alike = [policy.shape for policy in last.solution.profile] == [policy.shape for policy in solution.profile]
        if alike and solution.certified:
            apart = distance(last.solution.profile, solution.profile)
            if apart > _NEAR:
                self.folds.append(Fold(min(last.at, at), max(last.at, at), apart, kind))
        self._tell(at)
        return self._passed(at, solution)

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
        if not self._games.exists(at):
            return None
        game = self._games.at(at)
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

    def _afresh(self, game: TabularGame, at: float, last: Solution | None) -> Solution:
        """Solve without a branch to follow: from the last equilibrium as a magnet first, if there is one."""
        if last is not None and _fits(game, last):
            uniform = game.uniform_profile()
            magnet = [(1 - _BESIDE) * old + _BESIDE * flat for old, flat in zip(last.profile, uniform, strict=True)]
            found = self._solve(game, at, magnet=magnet)
            if found.certified:
                return found
        return self._solve(game, at)

    def _solve(self, game: TabularGame, at: float, **options: Any) -> Solution:
        """`solve` keeps Ctrl-C to itself; here it ends the sweep, with the points before."""
        found = solve(
            game, eps=self._eps, time=self._share(), seed=self._seed, watch=lambda row: self._tell(at, row), **options
        )
        if found.status is Status.interrupted:
            raise KeyboardInterrupt
        return found

    def _seconds_left(self) -> float:
        return np.inf if self._time is None else self._time - (clock.perf_counter() - self._began)

    def _share(self) -> float | None:
        return None if self._time is None else max(self._seconds_left(), 0.0)


def _checked_values(parameter: str, values: Any) -> Float[np.ndarray, " K"]:
    if isinstance(values, Sequence) or getattr(values, "ndim", 0) == 1:  # before a range or a view is copied
        _refuse_unless_records_fit(parameter, len(values))
    try:
        given = np.asarray(values)
        grid = np.asarray(given if given.ndim == 1 else (), np.float64)
    except (TypeError, ValueError):
        raise BadInput(f"the values of a sweep must be numbers; got {shown(values)}.") from None
    if grid.ndim != 1 or not grid.size or not np.isfinite(grid).all():
        raise BadInput("the values of a sweep must be a list of finite numbers, at least one.")
    return grid


def _refuse_unless_records_fit(parameter: str, number: int) -> None:
    Footprint.of_answers(f"{shown(number)} values of {parameter}", number * RECORD, 0).refuse_unless_it_fits()


def _fits(game: TabularGame, solution: Solution) -> bool:
    """The game has the shape and the legal actions of the one that was solved."""
    lead = () if game.horizon is None else (game.horizon,)
    masks = [np.asarray(mask) for mask in game.legal]
    if [policy.shape for policy in solution.profile] != [(*lead, *mask.shape) for mask in masks]:
        return False
    return not any(policy[..., ~mask].any() for policy, mask in zip(solution.profile, masks, strict=True))


def _joined(game: TabularGame, old: Profile, new: Profile) -> bool:
    """Just beyond a switch, halfway from the old profile to the new one nobody gains more, in size, than at the old."""
    tables = game.tables()
    halfway = certify_nash(tables, tuple((a + b) / 2 for a, b in zip(old, new, strict=True)))
    return halfway.gap <= _SLACK * certify_nash(tables, old).gap + halfway.numerical_error


def _message(walk: _Walk, wanted: int, ended: Status, reason: str) -> str:
    reached, folds = len(walk.points), len(walk.folds)
    certified = sum(point.solution.certified for point in walk.points)
    until = {Status.out_of_time: " until time ran out", Status.interrupted: " until it was interrupted"}.get(ended, "")
    turns = "no fold" if not folds else "1 fold" if folds == 1 else f"{folds} folds"
    stopped = f"; it could not go on: {reason}" if reason else "."
    return f"{reached} of {wanted} values{until}, {certified} certified, {turns}{stopped}"


def _report(family: Sweep, path: Any) -> None:
    from equinfer.report.sweep import write_sweep

    write_sweep(family, path)


register_page(Sweep, _report)

"""Which solvers are tried on a game, with which options, and the best of what they bring."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from equinfer.concepts import AbstractConcept
from equinfer.concepts import concept as concept_row
from equinfer.drivers.protocol import AbstractHostSolver, AbstractSolver, Outcome, Task
from equinfer.errors import BadInput, UnknownName
from equinfer.mean_field_tables import is_about_a_setting
from equinfer.records import Attempt, Status
from equinfer.solvers import solver_class
from equinfer.targets import Game

__all__ = ["ENOUGH", "Solver", "attempts_at", "best_of", "bound_on"]

Solver = AbstractSolver | AbstractHostSolver

ENOUGH = 1e-10
"""Of its payoff scale: if a player has a larger gap, the next solver is tried, whatever eps is."""

_GAMES = {"tables": "games in tables", "mean-field": "games with a mean field"}
_IN_WORDS = {"profile": "a profile", "joint": "a joint law", "signal": "a public signal with profiles"}
"""Kinds of answers."""


def attempts_at(
    row: AbstractConcept, names: Sequence[str], solver: str | Solver, options: dict[str, Any]
) -> list[Solver]:
    """The solver objects to try, in order, each with the options that it knows.

    **Arguments:** `names`, those that `"auto"` stands for. Options are fields of the solver, or columns of the concept
    `row` (`opponent`, `policy`) for solvers that have one.

    **Raises:** `UnknownName` for an option that none of them has, or a solver whose answers are of another kind.
    """
    if not isinstance(solver, str):
        if options:
            raise UnknownName(f"options {', '.join(options)}: a solver object carries its own; set them there.")
        return [_of_this_kind(row, solver)]
    classes = [_of_this_kind(row, solver_class(name)) for name in (names if solver == "auto" else (solver,))]
    if solver == "auto":
        classes = [kind for kind in classes if issubclass(kind, AbstractSolver) or kind.suits(options)]
    known = {kind: _options(kind, row) for kind in classes}
    for name in options:
        if not any(name in names for names in known.values()):
            raise UnknownName.among(f"option of solver {solver}", name, sorted(set().union(*known.values())))
    if "magnet" in options:
        classes = [kind for kind in classes if "magnet" in known[kind]]
    return [
        _built(kind, row, {name: value for name, value in options.items() if name in known[kind]}) for kind in classes
    ]


def best_of(attempts: Sequence[Solver], game: Game, task: Task) -> tuple[Outcome, Solver]:
    """The best outcome of the attempts, with the seconds all of them took, and the solver that had it.

    Each attempt but the last may use half of the time that is left. The trace is the best one's; what another one
    watched of each of its settings stays in it.
    """
    spent = 0.0
    best, won = None, attempts[0]
    came_to: list[Attempt] = []
    settings: dict[str, np.ndarray] = {}
    for left, solver in zip(reversed(range(len(attempts))), attempts, strict=True):
        share = None if task.seconds is None else (task.seconds - spent) / (2 if left else 1)
        outcome = _drive(solver, game, task._replace(seconds=share))
        spent += outcome.seconds
        came_to.append(Attempt(solver.name, outcome.certificate.gap, outcome.seconds, outcome.ended))
        settings |= {name: series for name, series in outcome.trace.items() if is_about_a_setting(name)}
        if best is None or _rank(outcome) < _rank(best):
            best, won = outcome, solver
        best = best._replace(ended=outcome.ended)
        if (
            best.certificate.settled(ENOUGH)
            or outcome.ended is Status.interrupted
            or (task.seconds is not None and spent >= task.seconds)
        ):
            break
    assert best is not None
    trace = {**best.trace, **settings}
    return best._replace(seconds=spent, attempts=tuple(came_to), trace=trace), won


def bound_on(solver: Solver, outcome: Outcome) -> float | None:
    """What the theory promises of the profile that was best, if the solver watches that.

    A host solver's bound is about the points of its path, its answer is what lies behind the end of the path.
    """
    gaps = outcome.trace.get("gap", np.array([]))
    if isinstance(solver, AbstractHostSolver) or "bound" not in outcome.trace or np.isnan(gaps).all():
        return None
    return float(outcome.trace["bound"][np.nanargmin(gaps)])


def _rank(outcome: Outcome) -> tuple[bool, float]:
    """Solved for every player comes before any gap of the others."""
    return not outcome.certificate.settled(ENOUGH), outcome.certificate.gap


def _drive(solver: Solver, game: Game, task: Task) -> Outcome:
    from equinfer.drivers import host, scan

    if isinstance(solver, AbstractHostSolver):
        return host.drive(solver, game, task)
    return scan.drive(solver, game, task)


def _of_this_kind(row: AbstractConcept, solver: Any) -> Any:
    """**Raises:** `UnknownName` if the concept has another kind of answer than the solver, or than the concept that a
    solver object was built for; a profile is of any kind.
    """
    if solver.games != row.games:
        raise UnknownName(
            f"solver {solver.name} is for {_GAMES[solver.games]}, and {row.name} is for {_GAMES[row.games]}."
        )
    if solver.answers not in ("profile", row.answers):
        found, asked = _IN_WORDS[solver.answers], _IN_WORDS[row.answers]
        raise UnknownName(f"solver {solver.name} finds {found}, and an answer of {row.name} is {asked}.")
    built_for = getattr(solver, "concept", None)
    if solver.answers != "profile" and isinstance(built_for, AbstractConcept) and built_for.name != row.name:
        raise UnknownName(f"this solver {solver.name} was made for {built_for.name!r}, and asked for {row.name!r}.")
    return solver


def _options(kind: type[Solver], row: AbstractConcept) -> set[str]:
    names = _fields(kind)
    if "concept" in names and issubclass(kind, AbstractSolver):
        names |= _fields(type(row))
    return names - {"concept"}


def _built(kind: type[Solver], row: AbstractConcept, options: dict[str, Any]) -> Solver:
    columns = {name: options.pop(name) for name in _fields(type(row)) & options.keys()}
    if "concept" in _fields(kind):
        options["concept"] = concept_row(row.name, **{**getattr(kind, "columns", {}), **columns})
    for field in dataclasses.fields(kind):
        if field.name in options:
            options[field.name] = _typed(field, options[field.name])
    return kind(**options)


def _fields(kind: type) -> set[str]:
    return {field.name for field in dataclasses.fields(kind) if field.init}


def _typed(field: dataclasses.Field, value: Any) -> Any:
    """`value` as the plain type that the field is declared with. **Raises:** `BadInput` if it is something else."""
    if field.type not in (bool, int, float, str):
        return value
    value = value.item() if isinstance(value, np.generic) else value
    if field.type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, field.type) or (isinstance(value, bool) and field.type is not bool):
        raise BadInput(f"option {field.name} must be of type {field.type.__name__}; got {value!r}.")
    return value

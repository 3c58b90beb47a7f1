"""Load, solve, certify, save: choose a method, run it, have its answer judged, hand both back."""

import dataclasses
import os
import time as clock
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer import records
from equinfer.arguments import checked_seed, nonnegative
from equinfer.concepts import CONCEPTS, Nash
from equinfer.concepts import concept as concept_row
from equinfer.drivers.protocol import AbstractHostSolver, AbstractSolver, Judge, Outcome, Task, Watch
from equinfer.errors import BadInput, UnknownName
from equinfer.games.extensive import behaviour
from equinfer.games.kernels import SparseKernel
from equinfer.games.relabelling import matched
from equinfer.games.tabular import TabularGame
from equinfer.records import Certificate, GameLabels, Solution, Status, register_view
from equinfer.solvers import solver_class
from equinfer.tables import SuccessorLists, Tables
from equinfer.targets import Target, game_of, load, save

__all__ = ["certify", "load", "load_solution", "save", "solve"]

Solver = AbstractSolver | AbstractHostSolver

AUTO = ("stage-nash", "homotopy")
"""What `solver="auto"` tries for a Nash equilibrium, in this order: the fast one, then the path that cannot cycle."""
ENOUGH = 1e-10
"""Of its payoff scale: if a player has a larger gap, `auto` goes on to its next solver, whatever eps is."""


def solve(
    game: TabularGame | Target,
    concept: str | None = None,
    solver: str | Solver = "auto",
    *,
    eps: float | int | None = None,
    time: float | int | None = None,
    seed: int = 0,
    magnet: Sequence[ArrayLike] | None = None,
    watch: Watch | None = None,
    **options: Any,
) -> Solution:
    """Find an equilibrium of `game` and certify it.

    **Arguments:** `game`, or a target of `load`; `concept`, default `"nash"`; `solver`, a name or a solver object
    (`"auto"` tries `stage-nash`, then `homotopy`; `Solution.solver` says which one won); `eps`, in units of reward,
    default 1e-8 of the payoff scale, decides the verdict and never the effort; `time` in seconds of wall clock, which
    cuts no compilation short;
    `magnet`, the prior profile of the regularised equilibria; `watch`, called now and then with what is going on;
    `options` are fields of the solver, and the columns of Table 1 by name (`opponent="empirical"`,
    `policy="conditional"`) for solvers that have them.

    **Returns:** a `Solution`, whatever happens: `status` says whether it is certified, above eps, out of time or
    interrupted (Ctrl-C hands back the best so far).

    **Raises:** `UnknownName` for a concept, solver or option that does not exist; `BadInput` for wrong values.
    """
    began = clock.perf_counter()
    concept = _known_concept(concept)
    game = game_of(game)
    tables = game.tables()
    scale = tables.payoff_scale
    eps = default_eps(tables) if eps is None else nonnegative("eps", eps)
    if time is not None:
        time = nonnegative("time", time)
    seed = checked_seed(seed)
    if magnet is not None:
        from equinfer.certificates import checked_profile

        options["magnet"] = checked_profile(tables, magnet)
    attempts = _attempts(solver, concept, options)
    with jax.enable_x64(True):
        outcome, won, spent = _run(attempts, game, tables, time, seed, watch)
    profile = tuple(np.asarray(policy, np.float64) for policy in outcome.profile)
    solution = Solution(
        game=GameLabels.of(tables),
        concept=concept,
        solver=won.name,
        profile=profile,
        values=outcome.certificate.values,
        certificate=outcome.certificate,
        eps=eps,
        status=outcome.ended,
        payoff_scale=scale,
        seconds={"total": clock.perf_counter() - began, "solve": spent},
        trace=outcome.trace,
        tables=tables,
        behaviour=None if game.extensive is None else behaviour(game.extensive, profile),
        bound=_bound(won, outcome),
        doubts=won.doubts(tables) if isinstance(won, AbstractSolver) else (),
    )
    if solution.certified and solution.status is not Status.interrupted:
        return dataclasses.replace(solution, status=Status.certified)
    return solution


def default_eps(tables: Tables) -> float:
    """The gap up to which an answer counts as an equilibrium unless somebody says otherwise: 1e-8 payoff scales."""
    return 1e-8 * tables.payoff_scale


def certify(game: TabularGame | Target, answer: Any, concept: str | None = None) -> Certificate:
    """Judge an answer that came from anywhere.

    **Arguments:** `answer` is a `Solution`, one array ([H,] S, A_i) per player ((A_i,) will do when S = 1), or the
    path of a file: a saved solution (or the folder that holds it), the object of `solve --json`, or CSV. Where it comes
    with labels, states and actions are matched by them.

    **Raises:** `BadInput` if it is no profile of this game, with the player and the state; or the first label that the
    answer has and the game has not, or the other way round.
    """
    _known_concept(concept)
    game = game_of(game)
    tables = game.tables()
    if isinstance(answer, (str, os.PathLike)):
        return _certified_file(tables, Path(answer))
    if isinstance(answer, Solution):
        answer = matched(answer.game, tables, "the solution").of(answer.profile)
    return _judge(tables)(answer)


def _certified_file(tables: Tables, path: Path) -> Certificate:
    from equinfer.games.files.answers import read_answer

    path = path / "solution.npz" if path.is_dir() else path
    profile = read_answer(path, tables)
    try:
        return _judge(tables)(profile)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def load_solution(path: Target, *, game: TabularGame | Target | None = None) -> Solution:
    """Read back what `Solution.save` wrote.

    **Arguments:** `game`, or a target of `load`: have the answer judged again, by this game, in whose order it comes
    back. Without it the verdict is what the file says, and `recorded` is true.

    **Raises:** `BadInput` if the file is missing, damaged, or something else; or its profile is none of `game`.
    """
    from equinfer.games.files.archive import opened

    with opened(Path(path)):  # an archive at all?
        solution = records.load_solution(path)
    if game is None:
        return solution
    tables = game_of(game).tables()
    profile = matched(solution.game, tables, str(path)).of(solution.profile)
    solution = dataclasses.replace(solution, game=GameLabels.of(tables), profile=profile)
    return solution.rejudged(_judge(tables)(profile), tables)


def _run(
    attempts: Sequence[Solver],
    game: TabularGame,
    tables: Tables,
    time: float | None,
    seed: int,
    watch: Watch | None,
) -> tuple[Outcome, Solver, float]:
    """The best outcome of the attempts, the solver that had it, and the seconds all of them took.

    Each attempt but the last may use half of the time that is left.
    """
    judge = _judge(tables)
    spent = 0.0
    best, won = None, attempts[0]
    for left, solver in zip(reversed(range(len(attempts))), attempts, strict=True):
        share = None if time is None else (time - spent) / (2 if left else 1)
        outcome = _drive(solver, game, tables, judge, share, seed, watch)
        spent += outcome.seconds
        if best is None or _rank(outcome) < _rank(best):
            best, won = outcome, solver
        best = best._replace(ended=outcome.ended)
        if (
            best.certificate.settled(ENOUGH)
            or outcome.ended is Status.interrupted
            or (time is not None and spent >= time)
        ):
            break
    assert best is not None
    return best, won, spent


def _rank(outcome: Outcome) -> tuple[bool, float]:
    """Solved for every player comes before any gap of the others."""
    return not outcome.certificate.settled(ENOUGH), outcome.certificate.gap


def _drive(
    solver: Solver,
    game: TabularGame,
    tables: Tables,
    judge: Judge,
    time: float | None,
    seed: int,
    watch: Watch | None,
) -> Outcome:
    from equinfer.drivers import host, scan

    task = Task(judge, _uniform(game), seed, time, watch)
    if isinstance(solver, AbstractHostSolver):
        return host.drive(solver, game, task)
    return scan.drive(solver, game, task)


def _bound(solver: Solver, outcome: Outcome) -> float | None:
    """What the theory promises of the profile that was best, if the solver watches that.

    A host solver's bound is about the points of its path, its answer is what lies behind the end of the path.
    """
    gaps = outcome.trace.get("gap", np.array([]))
    if isinstance(solver, AbstractHostSolver) or "bound" not in outcome.trace or np.isnan(gaps).all():
        return None
    return float(outcome.trace["bound"][np.nanargmin(gaps)])


def _attempts(solver: str | Solver, concept: str, options: dict[str, Any]) -> list[Solver]:
    """The solver objects to try, in order, each with the options that it knows.

    Options are fields of the solver, or columns of the concept (`opponent`, `policy`) for solvers that have one.

    **Raises:** `UnknownName` for an option that none of them has.
    """
    if not isinstance(solver, str):
        if options:
            raise UnknownName(f"options {', '.join(options)}: a solver object carries its own; set them there.")
        return [solver]
    classes = [solver_class(name) for name in (AUTO if solver == "auto" else (solver,))]
    known = {kind: _options(kind, concept) for kind in classes}
    for name in options:
        if not any(name in names for names in known.values()):
            raise UnknownName.among(f"option of solver {solver}", name, sorted(set().union(*known.values())))
    if "magnet" in options:
        classes = [kind for kind in classes if "magnet" in known[kind]]
    return [
        _built(kind, concept, {name: value for name, value in options.items() if name in known[kind]})
        for kind in classes
    ]


def _options(kind: type[Solver], concept: str) -> set[str]:
    names = _fields(kind)
    if "concept" in names:
        names |= _fields(CONCEPTS[concept])
    return names - {"concept"}


def _built(kind: type[Solver], concept: str, options: dict[str, Any]) -> Solver:
    columns = {name: options.pop(name) for name in _fields(CONCEPTS[concept]) & options.keys()}
    if "concept" in _fields(kind):
        options["concept"] = concept_row(concept, **{**getattr(kind, "columns", {}), **columns})
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
    if field.type is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, field.type) or (isinstance(value, bool) and field.type is not bool):
        raise BadInput(f"option {field.name} must be of type {field.type.__name__}; got {value!r}.")
    return value


def _known_concept(concept: str | None) -> str:
    if concept is None:
        return Nash.name
    if concept not in CONCEPTS:
        raise UnknownName.among("concept", concept, CONCEPTS)
    return concept


def _judge(tables: Tables) -> Judge:
    from equinfer.certificates import certify_nash

    return partial(certify_nash, tables)


def _uniform(game: TabularGame) -> tuple[Float[np.ndarray, "..."], ...]:
    """Every legal action equally likely, in every epoch: what there is before a solver has found anything."""
    profile = game.uniform_profile()
    if game.horizon is None:
        return profile
    return tuple(np.repeat(policy[None], game.horizon, axis=0) for policy in profile)


def _report(solution: Solution, path: Target) -> None:
    from equinfer.report.page import write_report

    write_report(solution, Path(path))


def _plot(solution: Solution) -> Any:
    from equinfer.report.page import plot

    return plot(solution)


def _sensitivity(solution: Solution, parameter: Any, game: TabularGame | Target | None) -> Any:
    from equinfer.solvers.tabular.parameters import sensitivity

    game = _game_of(solution) if game is None else game_of(game)
    with jax.enable_x64(True):
        return sensitivity(game, solution.profile, parameter, solution.game.origin)


def _game_of(solution: Solution) -> TabularGame:
    """The game that a solution carries. **Raises:** `BadInput` if it was saved without it."""
    tables = solution.tables
    if tables is None:
        raise BadInput("this solution was saved without its game, which is large; pass it as `game`.")
    return TabularGame(
        tables.reward,
        SparseKernel(*tables.kernel) if isinstance(tables.kernel, SuccessorLists) else tables.kernel,
        discount=tables.discount,
        horizon=tables.horizon,
        initial=tables.initial,
        legal=tables.legal,
        state_labels=tables.state_labels,
        action_labels=tables.action_labels,
        player_labels=tables.player_labels,
        name=tables.name,
    )


register_view("report", _report)
register_view("plot", _plot)
register_view("sensitivity", _sensitivity)

"""Load, solve, certify, save: choose a method, run it, have its answer judged, hand both back."""

import dataclasses
import os
import time as clock
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
from numpy.typing import ArrayLike

from equinfer import saved, views  # noqa: F401, what solutions make of themselves is registered there
from equinfer.answer import PublicPlay
from equinfer.answer_forms import understood
from equinfer.arguments import checked_seed, nonnegative, shown
from equinfer.attempts import Solver, attempts_at, best_of, bound_on
from equinfer.certificates.continuous import certify_actions
from equinfer.certificates.flows import policies_of_flows
from equinfer.concepts import CONCEPTS, AbstractConcept, Nash, natural_concept
from equinfer.concepts import concept as concept_row
from equinfer.drivers.protocol import Task, Watch
from equinfer.errors import BadInput
from equinfer.games.continuous import ContinuousGame
from equinfer.games.relabelling import matched
from equinfer.mean_field_tables import AnyTables
from equinfer.recording import recorded
from equinfer.records import Certificate, GameLabels, Solution
from equinfer.tables import Tables
from equinfer.targets import Game, SolvableGame, Target, game_of, game_to_solve, load, save
from equinfer.types import AnyArray

__all__ = ["certify", "default_eps", "load", "load_solution", "payoff_scale", "save", "solve"]


def solve(
    game: Game | Target,
    concept: str | None = None,
    solver: str | Solver = "auto",
    *,
    eps: float | int | None = None,
    time: float | int | None = None,
    seed: int = 0,
    magnet: Sequence[ArrayLike] | AnyArray | None = None,
    watch: Watch | None = None,
    **options: Any,
) -> Solution:
    """Find an equilibrium of `game` and certify it.

    **Arguments:** `game`, or a target of `load`; `concept`, default `"nash"`, or `"mean-field"` where there is one;
    `solver`, a name or a solver object (`"auto"` tries those of the concept, for `nash` `stage-nash`, then `homotopy`
    in games of up to 6,000 values; `Solution.solver` says which one won); `eps`, in units of reward, default 1e-8 of
    the payoff scale, decides the verdict and never the effort; `time` in seconds of wall clock, which cuts short no
    compilation, nor the certificate of the answer; `magnet`, the prior profile of the regularised equilibria; `watch`,
    called now and then with what is going on; `options` are fields of the solver, and the columns of Table 1 by name
    (`opponent="empirical"`, `policy="conditional"`) for solvers that have them.

    **Returns:** a `Solution`, whatever happens: `status` says whether it is certified, above eps, out of time or
    interrupted (Ctrl-C hands back the best so far).

    **Raises:** `UnknownName` for a concept, solver or option that does not exist; `BadInput` for wrong values.
    """
    began = clock.perf_counter()
    if concept is not None:
        concept_row(concept)  # before anything is made
    if not isinstance(solver, (str, Solver)):
        raise BadInput(f"solver must be a name or a solver object; got {shown(solver)}.")
    game = game_to_solve(game)
    row = _row(game, concept)
    tables = game.tables()
    eps = default_eps(tables, row.name) if eps is None else nonnegative("eps", eps)
    if time is not None:
        time = nonnegative("time", time)
    seed = checked_seed(seed)
    if magnet is not None:
        from equinfer.certificates import checked_profile

        options["magnet"] = checked_profile(tables, magnet)
    judge = row.judge(tables)
    attempts = attempts_at(row, row.solvers(tables, tuple(options)), solver, options)
    with jax.enable_x64(True):
        outcome, won = best_of(attempts, game, Task(judge, row.start(tables), seed, time, watch))
    seconds = {"total": clock.perf_counter() - began, "solve": outcome.seconds}
    solution = recorded(row, game, tables, outcome, won.name, eps, seconds)
    return dataclasses.replace(solution, bound=bound_on(won, outcome), doubts=won.doubts(tables))


def _row(game: SolvableGame, concept: str | None, answer: Any = None) -> AbstractConcept:
    """The concept, or the natural one. **Raises:** `BadInput` if it is for another kind of games."""
    row = concept_row(concept or natural_concept(game, answer))
    if row.games != game.kind:
        kinds = {"tables": "in tables", "mean-field": "with a mean field"}
        raise BadInput(f"concept {row.name!r} is for games {kinds[row.games]}; {game.name} is one {kinds[game.kind]}.")
    return row


def payoff_scale(tables: AnyTables, concept: str = Nash.name) -> float:
    """What players have at stake: the natural unit of every gap of a concept."""
    return concept_row(concept).stakes(tables)


def default_eps(tables: AnyTables, concept: str = Nash.name) -> float:
    """The gap up to which an answer counts as an equilibrium unless somebody says otherwise: 1e-8 payoff scales."""
    return 1e-8 * payoff_scale(tables, concept)


def certify(game: Game | Target, answer: Any, concept: str | None = None) -> Certificate:
    """Judge an answer that came from anywhere.

    **Arguments:** `answer` is a `Solution`; one array ([H,] S, A_i) per player ((A_i,) will do when S = 1); one array
    ([H,] S, A_1, ..., A_N), a joint law, or nested lists of one (an array whose shape could also be that of all
    policies, as where N = S = A_i, is what its probabilities sum to one as, and if that is neither, what `concept` asks
    for); the policy ([H,] S, A) of a game with a mean field, or its flow;
    the actions (N, d), or (d_i,) for each agent, of a one-shot game of continuous actions;
    `{"signal": ([H,] S, W), "profile": one array (W, [H,] S, A_i) per player}`; or the path of a file: a saved solution
    (or the folder that holds it), the object of `solve --json`, or CSV. Where it comes with labels, states and actions
    are matched by them. `concept` is by default that of the solution, saved or not, and otherwise `nash` for profiles,
    `correlated` for joint laws, `public-correlated` for signals, `mean-field` in games with a mean field.

    **Raises:** `BadInput` if it is no answer to this game, with the player and the state; or the first label that the
    answer has and the game has not, or the other way round; or if the concept has no meaning for the game.
    """
    if concept is not None:
        concept_row(concept)
    game = game_of(game)
    if isinstance(game, ContinuousGame):
        return _certified_actions(game, answer, concept)
    tables = game.tables()
    if isinstance(answer, (str, os.PathLike)):
        return _certified_file(game, tables, Path(answer), concept)
    if isinstance(answer, Solution):
        concept = concept or answer.concept
        answer = matched(answer.game, tables, "the solution").of(answer.answer)
    if isinstance(tables, Tables):
        answer = understood(tables, answer, concept and CONCEPTS[concept].answers)
    else:
        answer = policies_of_flows(tables, answer)
    return _judged(_row(game, concept, answer), tables, answer)


def _certified_actions(game: ContinuousGame, answer: Any, concept: str | None) -> Certificate:
    if concept not in (None, Nash.name):
        raise BadInput(f"joint actions of {game.name} are judged as a Nash equilibrium, and not as {concept!r}.")
    if isinstance(answer, (str, os.PathLike, Solution)):
        raise BadInput(
            f"{game.name} is a game of continuous actions; give its actions, (N, d) or (d_i,) for each agent. A run is "
            "judged where it is: `equinfer resume` says what its seeds are worth, `load_run(folder).certificate` too."
        )
    return certify_actions(game.tables(), answer)


def _judged(row: AbstractConcept, tables: AnyTables, answer: Any) -> Certificate:
    judge = row.judge(tables)
    if isinstance(answer, PublicPlay) and row.answers == "profile":
        raise BadInput("the answer is a public signal with profiles; a profile has one policy for each player.")
    return judge(answer)


def _certified_file(game: SolvableGame, tables: AnyTables, path: Path, concept: str | None) -> Certificate:
    from equinfer.games.files.answers import read_answer, said_concept

    path = saved.file_of(path)
    answer = read_answer(path, tables)
    concept = concept or said_concept(path) or natural_concept(game, answer)
    if concept not in CONCEPTS:
        raise BadInput(f"{path}: its concept {concept!r} is unknown here; known: {', '.join(CONCEPTS)}.")
    try:
        return _judged(_row(game, concept), tables, answer)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from None


def load_solution(path: Target, *, game: Game | Target | None = None) -> Solution:
    """Read back what `Solution.save` wrote, or `equinfer solve --out` into its folder.

    **Arguments:** `path`, of the file or of the folder; `game`, or a target of `load`: have the answer judged again, by
    this game, in whose order it comes back. Without it the verdict is what the file says, and `recorded` is true. With
    it nothing is said of how the answer stands among others (`objective_value`, `bound`): that was of the game that it
    was found in.

    **Raises:** `BadInput` if the file is missing, damaged, or something else; or its answer is none of `game`.
    """
    from equinfer.games.files.archive import opened

    path = saved.file_of(path)
    with opened(path):  # an archive at all?
        solution = saved.load_solution(path)
    if game is None:
        return solution
    game = game_of(game)
    if isinstance(game, ContinuousGame):
        raise BadInput(f"{path} cannot be an answer to {game.name}, a game of continuous actions.")
    row, tables = _row(game, solution.concept), game.tables()
    order = matched(solution.game, tables, str(path))
    answer, beliefs = order.of(solution.answer), solution.beliefs and tuple(map(order.of, solution.beliefs))
    unknown = dict.fromkeys(("objective", "objective_value", "objective_certified", "route", "bound"))
    solution = dataclasses.replace(
        solution, game=GameLabels.of(tables), beliefs=beliefs, **unknown, **row.recorded(tables, answer)
    )
    known = tables if isinstance(tables, Tables) else None
    return solution.rejudged(row.judge(tables)(answer), known, row.stakes(tables))

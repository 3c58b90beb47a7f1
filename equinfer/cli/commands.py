"""The commands. Each reads its words, calls `equinfer.api`, and shows what came back.

Nothing heavy is imported before a command runs: `--help` is as quick as the interpreter.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter, Token

import equinfer
from equinfer.cli.usage import UsageError, verdict_code
from equinfer.cli.words import LOAD_ITSELF, assignments

app = App(
    name="equinfer",
    help="Equilibria of games, each with a certificate of how good it is.",
    version=equinfer.__version__,
    default_parameter=Parameter(negative=()),
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)

Settings = Annotated[list[str] | None, Parameter(name="--set", consume_multiple=True, negative=())]
Options = Annotated[list[str] | None, Parameter(name="--option", consume_multiple=True, negative=())]
Json = Annotated[bool, Parameter(name="--json")]
All = Annotated[bool, Parameter(name="--all")]


def _whole(_: type, tokens: Sequence[Token]) -> int:
    """A whole number as it is typed: nothing is rounded to one."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise UsageError(f"{tokens[0].keyword} must be a whole number; got {tokens[0].value!r}.") from None


Seed = Annotated[int, Parameter(converter=_whole)]
Players = Annotated[int | None, Parameter(converter=_whole)]
Signals = Annotated[int | None, Parameter(converter=_whole)]

SOLVE_ITSELF = ("game", "concept", "solver", "eps", "time", "seed", "watch", "objective", "signals")
"""What is no option of a solver, but an argument of `equinfer.solve`."""


@app.command
def solve(
    target: str,
    /,
    *,
    concept: str | None = None,
    solver: str = "auto",
    eps: float | None = None,
    time: float | None = None,
    seed: Seed = 0,
    every: All = False,
    settings: Settings = None,
    options: Options = None,
    objective: str | None = None,
    signals: Signals = None,
    out: Path | None = None,
    force: bool = False,
    as_json: Json = False,
) -> int:
    """Find an equilibrium and certify it; with --all, as many as can be found.

    Exits with 0 if the certified gap is within eps (with --all: of at least one), 3 if it is not, and 130 if it was
    interrupted.

    Parameters
    ----------
    target
        A file (.nfg .efg .csv .npz), catalog:NAME, openspiel:NAME, or MODULE:NAME of your own.
    concept
        The kind of equilibrium [nash].
    solver
        Its name; auto chooses.
    eps
        The gap up to which the answer counts, in units of reward [1e-8 of the payoff scale].
    time
        Seconds of wall clock after which the best answer so far is taken.
    seed
        Of everything that is random.
    every
        All equilibria of a small two-player one-shot game; of any other, those that a search finds (--option
        searches=100), not proven to be all.
    settings
        Parameters of the game, as name=value.
    options
        Options of the solver, as name=value.
    objective
        Of a correlated concept: welfare, entropy, or a weight for each player as w1,w2 [welfare].
    signals
        Of public-correlated: how many values the public signal has [2].
    out
        Folder for solution.npz (with --all: one for each equilibrium), result.json and report.html.
    force
        Write into a folder that is not empty.
    as_json
        Print one JSON object instead of the summary.
    """
    from equinfer.cli import display, output, progress
    from equinfer.targets import game_to_solve

    coordinated = {"objective": objective, "signals": signals}
    coordinated = {name: value for name, value in coordinated.items() if value is not None}
    _refuse_what_does_not_go_together(concept, solver, every, coordinated)
    folder = output.prepared(out, force) if out else None
    with progress.memory_announced():
        game = game_to_solve(target, **_parameters(settings))
    if every:
        from equinfer.cli import families

        return families.solve_all(
            game, concept, eps=eps, time=time, seed=seed, options=options, folder=folder, as_json=as_json
        )
    with progress.shown(f"solving {game.name}") as watch:
        solution = equinfer.solve(
            game,
            concept,
            solver,
            eps=eps,
            time=time,
            seed=seed,
            watch=watch,
            **assignments(options, "--option", reserved=SOLVE_ITSELF),
            **coordinated,
        )
    if as_json:
        display.print_json(solution.to_json())
    else:
        display.print_solution(solution)
    if folder:
        folder.write(solution)
    return verdict_code(solution.certified, solution.status.value == "interrupted")


@app.command
def certify(
    target: str,
    answer: str,
    /,
    *,
    concept: str | None = None,
    eps: float | None = None,
    players: Players = None,
    settings: Settings = None,
    as_json: Json = False,
) -> int:
    """Judge an answer that came from anywhere, by exact best responses.

    Exits with 0 if the gap is within eps, else with 3.

    Parameters
    ----------
    target
        The game: a file, catalog:NAME, openspiel:NAME, or MODULE:NAME.
    answer
        A saved solution (.npz, or the folder of --out), the object of solve --json, or CSV with the columns
        state,player,action,probability; of a joint law, state,action_0,action_1,...,probability; of public play, the
        columns of a profile and signal.
    concept
        The kind of equilibrium [that of the saved solution; else nash for profiles, correlated for joint laws,
        public-correlated for signals].
    eps
        The gap up to which the answer counts, in units of reward [1e-8 of the payoff scale].
    players
        Of a mean-field policy: judge what one of so many players gains, who all play it, exactly or by simulation;
        without --eps the exit code is then 0.
    settings
        Parameters of the game, as name=value.
    as_json
        Print one JSON object instead of the summary.
    """
    from equinfer import api
    from equinfer.arguments import nonnegative
    from equinfer.cli import display

    if eps is not None:
        eps = nonnegative("--eps", eps)
    game = _loaded(target, settings)
    if players is not None:
        if concept is not None:
            raise UsageError("--players is for policies of mean-field games: leave --concept out.")
        from equinfer.cli.players import judge

        return judge(game, answer, players, eps, as_json)
    certificate = api.certify(game, answer, concept)
    tables = game.tables()
    eps = api.default_eps(tables, certificate.concept) if eps is None else eps
    if as_json:
        display.print_json(display.certificate_record(tables, certificate, eps))
    else:
        display.print_certificate(tables, certificate, eps)
    return verdict_code(certificate.holds(eps))


@app.command
def sweep(
    target: str,
    /,
    *,
    settings: Settings = None,
    concept: str | None = None,
    eps: float | None = None,
    time: float | None = None,
    seed: Seed = 0,
    precision: float | None = None,
    out: Path | None = None,
    force: bool = False,
    as_json: Json = False,
) -> int:
    """Follow an equilibrium along a parameter of the game, and report the folds where it jumps.

    Exits with 0 if every value's answer is certified, 3 if one is not or not all values were reached, and 130 if it was
    interrupted.

    Parameters
    ----------
    target
        A file (.nfg .efg .csv .npz), catalog:NAME, openspiel:NAME, or MODULE:NAME of your own.
    settings
        Parameters of the game, as name=value, and one as name=from:to:number, such as cost=1:3:9.
    concept
        The kind of equilibrium [nash].
    eps
        The gap up to which an answer counts, in units of reward [1e-8 of each game's payoff scale].
    time
        Seconds of wall clock after which the values reached so far are taken.
    seed
        Of everything that is random.
    precision
        To which a fold is bracketed, in units of the parameter [1e-6 of the range].
    out
        Folder for sweep.csv, result.json and report.html.
    force
        Write into a folder that is not empty.
    as_json
        Print one JSON object instead of the table.
    """
    from equinfer.cli import families, output

    folder = output.prepared(out, force) if out else None
    return families.sweep(
        target, settings, concept, eps=eps, time=time, seed=seed, precision=precision, folder=folder, as_json=as_json
    )


@app.command
def compare(a: str, b: str, /) -> int:
    """Set two saved answers side by side: are they of one game, and how far apart?

    Parameters
    ----------
    a
        A solution.npz, a result.json, or the folder that holds them.
    b
        Another.
    """
    from equinfer.cli.answers import saved_answer
    from equinfer.cli.comparison import print_comparison

    print_comparison(a, saved_answer(a), b, saved_answer(b))
    return 0


@app.command
def info(target: str, /, *, settings: Settings = None, potential: bool = False) -> int:
    """Say what was read: sizes, structure that was found, and doubts.

    Parameters
    ----------
    target
        A file (.nfg .efg .csv .npz), catalog:NAME, openspiel:NAME, or MODULE:NAME of your own.
    settings
        Parameters of the game, as name=value.
    potential
        Print the potential of the game as well, or refuse with a four-cycle of actions that shows that it has none.
    """
    from equinfer.cli import display

    game = _loaded(target, settings)
    asked = equinfer.potential(game) if potential else None
    if game.kind == "mean-field":
        from equinfer.cli.population import print_game

        print_game(game)
        return 0
    if game.kind == "continuous":
        from equinfer.cli.learners import print_game

        print_game(game)
        return 0
    display.print_info(game)
    if asked is not None:
        from equinfer.cli.potential import print_potential

        print_potential(game.tables(), asked)
    return 0


@app.command
def games() -> int:
    """List the catalogue."""
    from equinfer.cli import display

    display.print_catalogue()
    return 0


@app.command
def demo(*, out: Path = Path("demo-output"), force: bool = False) -> int:
    """Solve games of every concept end to end, and write a report of each.

    Parameters
    ----------
    out
        Folder for the reports.
    force
        Write into a folder that is not empty.
    """
    from equinfer.cli import showcase

    return showcase.run(out, force)


@app.command
def doctor() -> int:
    """Show versions, devices and extras, and run a self-test."""
    from equinfer.cli import health

    return health.run()


def _refuse_what_does_not_go_together(
    concept: str | None, solver: str, every: bool, coordinated: Mapping[str, Any]
) -> None:
    from equinfer.concepts import CONCEPTS, Nash
    from equinfer.concepts import concept as concept_row

    row = concept_row(concept or Nash.name)  # what is natural is known once the game is made
    if every and row.name != Nash.name:
        raise UsageError(f"--all finds Nash equilibria only: leave --concept {row.name} out.")
    if every and solver != "auto":
        raise UsageError("--all chooses its own solvers: leave --solver out.")
    if every and coordinated:
        raise UsageError(f"--all finds all equilibria, and chooses none: leave --{next(iter(coordinated))} out.")
    for name in coordinated:
        kinds = ("signal",) if name == "signals" else ("joint", "signal")
        if row.answers not in kinds:
            known = " or ".join(each for each, kind in CONCEPTS.items() if kind.answers in kinds)
            raise UsageError(f"--{name} is for --concept {known}; the concept here is {row.name}.")


def _loaded(target: str, settings: list[str] | None) -> Any:
    return equinfer.load(target, **_parameters(settings))


def _parameters(settings: list[str] | None) -> dict[str, Any]:
    return assignments(settings, "--set", reserved=LOAD_ITSELF)

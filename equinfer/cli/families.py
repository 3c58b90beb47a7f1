"""`solve --all` and `sweep`: many answers at once, on stdout and in a folder."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from equinfer.cli import output, progress
from equinfer.cli.display import clean, hue, mixed, on_stdout, print_facts, print_json, print_rest, sizes
from equinfer.cli.usage import UsageError, verdict_code
from equinfer.cli.words import LOAD_ITSELF, assignments
from equinfer.errors import BadInput
from equinfer.families import Equilibria, Sweep, start_values
from equinfer.records import Solution, Status
from equinfer.targets import Game
from equinfer.writing import json_text

__all__ = ["solve_all", "split_settings", "sweep", "values_of_range"]

ROWS = 40
"""Lines of a table; --json and the folder of --out have all of them."""


def solve_all(
    game: Game,
    concept: str | None,
    *,
    eps: float | None,
    time: float | None,
    seed: int,
    options: Sequence[str] | None,
    folder: output.OutFolder | None,
    as_json: bool,
) -> int:
    """Find, show and write all equilibria that can be found; 0 if at least one is certified."""
    from equinfer import many

    settings = assignments(options, "--option")
    if unknown := sorted(settings.keys() - {"searches"}):
        raise UsageError(f"solve --all has no option {unknown[0]!r}; known: searches.")
    with progress.shown(f"searching {game.name}") as watch:
        found = many.solve_all(game, concept, eps=eps, time=time, seed=seed, watch=watch, **settings)
    if as_json:
        print_json(found.to_json())
    else:
        _print_equilibria(found)
    if folder:
        folder.write_files(
            {
                **{f"equilibrium-{k:03d}.npz": solution.save for k, solution in enumerate(found)},
                "result.json": partial(_write_json, found),
                "report.html": found.report,
            }
        )
    return verdict_code(any(solution.certified for solution in found), found.status is Status.interrupted)


def sweep(
    target: str,
    settings: Sequence[str] | None,
    concept: str | None,
    *,
    eps: float | None,
    time: float | None,
    seed: int,
    precision: float | None,
    folder: output.OutFolder | None,
    as_json: bool,
) -> int:
    """Follow, show and write an equilibrium along a parameter; 0 if all its points are certified."""
    from equinfer import continuation

    parameter, text, others = split_settings(settings)
    values = values_of_range(parameter, text)
    with progress.memory_announced(), progress.shown(f"sweeping {parameter}") as watch:
        swept = continuation.sweep(
            target,
            parameter,
            values,
            concept=concept,
            eps=eps,
            time=time,
            seed=seed,
            precision=precision,
            watch=watch,
            **others,
        )
    if not swept:
        raise KeyboardInterrupt  # before there was anything to show
    if as_json:
        print_json(swept.to_json())
    else:
        _print_sweep(swept)
    if folder:
        folder.write_files(
            {"sweep.csv": swept.save_csv, "result.json": partial(_write_json, swept), "report.html": swept.report}
        )
    return verdict_code(swept.certified and len(swept) == len(values), swept.status is Status.interrupted)


def split_settings(settings: Sequence[str] | None) -> tuple[str, str, dict[str, Any]]:
    """The parameter that has a range, the range as it was typed, and the other settings.

    **Raises:** `UsageError` unless exactly one of the words is name=from:to:number.
    """
    typed = assignments(settings, "--set", reserved=LOAD_ITSELF)
    ranges = [name for name, value in typed.items() if isinstance(value, str) and ":" in value]
    if len(ranges) != 1:
        found = f"got {len(ranges)}: {', '.join(ranges)}" if ranges else "none was given"
        raise UsageError(f"sweep needs exactly one --set name=from:to:number, such as cost=1:3:9; {found}.")
    text = typed.pop(ranges[0])
    return ranges[0], text, typed


def values_of_range(parameter: str, text: str) -> np.ndarray:
    """The values of from:to:number, evenly spaced, both ends included.

    **Raises:** `BadInput` if it is something else, or there are more than fit in memory.
    """
    from equinfer.continuation import evenly_spaced

    try:
        low, high, number = text.split(":")
        ends, count = (float(low), float(high)), int(number)
    except ValueError:
        ends, count = (math.nan, math.nan), 0
    if not math.isfinite(ends[0] - ends[1]) or ends[0] == ends[1] or count < 2:
        raise BadInput(
            f"{parameter}={text} is no range: it must be from:to:number, two different numbers and how many values "
            "there are, at least 2, such as 1:3:9."
        )
    return evenly_spaced(parameter, *ends, count)


def _print_equilibria(found: Equilibria) -> None:
    console = on_stdout()
    print_facts(
        console,
        [
            ("game", sizes(found.game, found[0].tables if found else None)),
            ("answer", f"{found.concept}, by {found.solver} in {found.seconds['total']:.3g} s"),
        ],
    )
    console.print()
    several = len(set(found.components)) < len(found)
    table = Table("#", box=None, pad_edge=False)
    for player in found.game.players:
        table.add_column(f"value {clean(player)}", justify="right")
    table.add_column("welfare", justify="right")
    table.add_column("gap", justify="right")
    table.add_column("stability")
    if several:
        table.add_column("component", justify="right")
    table.add_column("plays" if len(found.game.states) == 1 else "mixes in")
    for k, solution in enumerate(found[:ROWS]):
        table.add_row(
            str(k),
            *(f"{value:.6g}" for value in start_values(solution)),
            f"{start_values(solution).sum():.6g}",
            f"{solution.gap:.2g}",
            found.stabilities[k].word,
            *([str(found.components[k])] if several else []),
            _support_in_words(solution),
        )
    if len(found):
        console.print(table)
        print_rest(console, len(found), ROWS)
    console.print()
    _print_verdict(console, found, good=len(found) > 0)


def _print_sweep(swept: Sweep) -> None:
    console = on_stdout()
    table = Table(clean(swept.parameter), "branch", box=None, pad_edge=False)
    for player in swept[0].game.players if swept else ():
        table.add_column(f"value {clean(player)}", justify="right")
    table.add_column("gap", justify="right")
    table.add_column("verdict")
    table.add_column("plays" if swept and len(swept[0].game.states) == 1 else "mixes in")
    for k, solution in enumerate(swept[:ROWS]):
        table.add_row(
            f"{swept.parameter_values[k]:.6g}",
            str(swept.branches[k]),
            *(f"{value:.6g}" for value in start_values(solution)),
            f"{solution.gap:.2g}",
            "certified" if solution.certified else solution.status.value.replace("_", " "),
            _support_in_words(solution),
        )
    console.print(table)
    print_rest(console, len(swept), ROWS)
    console.print()
    for fold in swept.folds:
        console.print(
            f"{fold.kind} between {swept.parameter} = {fold.low:.9g} and {fold.high:.9g}: a probability changes by "
            f"{fold.distance:.3g}"
        )
    _print_verdict(console, swept, good=swept.certified)


def _support_in_words(solution: Solution) -> str:
    """What each player plays in a one-shot game; else in how many states each of them mixes."""
    if all(policy.size == policy.shape[-1] for policy in solution.profile):
        actions = solution.game.actions
        return " | ".join(
            mixed(policy.ravel(), labels) for policy, labels in zip(solution.profile, actions, strict=True)
        )
    counts = [int((np.count_nonzero(policy, axis=-1) > 1).sum()) for policy in solution.profile]
    return ", ".join(f"{count} of {solution.profile[0][..., 0].size}" for count in counts)


def _print_verdict(console: Console, family: Equilibria | Sweep, good: bool) -> None:
    console.print(Text(f"{family.status.value.replace('_', ' ').upper()}. {family.message}", hue(good)))


def _write_json(family: Equilibria | Sweep, path: Path) -> None:
    path.write_text(json_text(family.to_json()), encoding="utf-8")

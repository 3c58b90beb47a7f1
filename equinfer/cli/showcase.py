"""`equinfer demo`: three games, from their files to certified equilibria and a report of each."""

from collections.abc import Callable
from functools import partial
from importlib import resources
from pathlib import Path
from typing import NamedTuple

import equinfer
from equinfer.cli import display, output, progress
from equinfer.cli.usage import verdict_code
from equinfer.records import Solution, Status
from equinfer.report.page import IndexEntry, write_index

__all__ = ["SHOWN", "run"]


class Shown(NamedTuple):
    """A game of the demonstration."""

    name: str
    title: str
    target: str
    """What `load` takes, or the name of a file among the examples."""


SHOWN = (
    Shown("penalty_kick", "A penalty kick, from a Gambit file", "penalty_kick.nfg"),
    Shown("fishery", "Two fleets and one stock of fish, a stochastic game from a CSV table", "fishery.csv"),
    Shown("grid_game_2", "Hu and Wellman's grid game 2, from the catalogue", "catalog:grid_game_2"),
)


def run(out: Path, force: bool) -> int:
    """Solve them, print summaries, write `out`/index.html and a folder for each; 0 if every answer is certified.

    Ctrl-C ends it after the game that it interrupts.
    """
    folder = output.prepared(out, force)
    console = display.on_stdout()
    solutions: dict[Shown, Solution] = {}
    with resources.as_file(resources.files(equinfer) / "examples") as examples:
        for number, shown in enumerate(SHOWN, 1):
            console.print(f"--- {number} of {len(SHOWN)}: {shown.title}")
            target = shown.target if ":" in shown.target else examples / shown.target
            with progress.shown(f"{number} of {len(SHOWN)}: solving {shown.name}") as watch:
                solutions[shown] = equinfer.solve(target, watch=watch)
            display.print_solution(solutions[shown])
            console.print()
            if solutions[shown].status is Status.interrupted:
                break
    with progress.shown("drawing the reports"):
        folder.write_files(_writers(solutions))
    console.print(f"Reports: {out / 'index.html'}", soft_wrap=True)
    interrupted = any(solution.status is Status.interrupted for solution in solutions.values())
    return verdict_code(all(solution.certified for solution in solutions.values()), interrupted)


def _writers(solutions: dict[Shown, Solution]) -> dict[str, Callable[[Path], None]]:
    writers: dict[str, Callable[[Path], None]] = {}
    for shown, solution in solutions.items():
        writers |= {f"{shown.name}/{name}": write for name, write in output.writers(solution).items()}
    links = [IndexEntry(shown.title, f"{shown.name}/report.html", solution) for shown, solution in solutions.items()]
    return {**writers, "index.html": partial(write_index, links)}

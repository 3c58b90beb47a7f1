"""`equinfer demo`: games of every concept, from their files to certified equilibria and a report of each."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

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
    concept: str = "nash"
    solver: str = "auto"
    parameters: Mapping[str, Any] = {}
    """Of the game."""
    options: Mapping[str, Any] = {}
    """Of `solve`."""


SHOWN = (
    Shown("fishery", "Two fleets and one stock of fish, a stochastic game from a CSV table", "fishery.csv"),
    Shown("grid_game_2", "Hu and Wellman's grid game 2, from the catalogue", "catalog:grid_game_2"),
    Shown("penalty_kick", "A penalty kick, zero-sum, from a Gambit file", "penalty_kick.nfg", "zero-sum"),
    Shown(
        "public_signal",
        "A battle that nobody enters unless a coin in public will settle it",
        "catalog:public_signal",
        "public-correlated",
    ),
    Shown("chicken", "Chicken, with recommendations in private", "catalog:chicken", "correlated"),
    Shown(
        "costly_rock_paper_scissors",
        "Rock-paper-scissors in which losing costs double, for players who commit before they are told",
        "catalog:rock_paper_scissors",
        "coarse-correlated",
        parameters={"loss": 2.0},
    ),
    Shown(
        "chicken_without_a_mediator",
        "Chicken again, and nobody recommends anything: what its players learn to do together in 100,000 rounds",
        "catalog:chicken",
        "correlated",
        "swap-regret",
        options={"eps": 0.02},
    ),
    Shown(
        "beach_bar",
        "A beach for infinitely many: near the bar, but not in the crowd",
        "catalog:mean_field/beach_bar",
        "mean-field",
    ),
)


def run(out: Path, force: bool) -> int:
    """Solve them, print summaries, write `out`/index.html and a folder for each; 0 if every answer is certified.

    Ctrl-C ends it after the game that it interrupts.
    """
    folder = output.prepared(out, force)
    console = display.on_stdout()
    solutions: dict[str, Solution] = {}
    with resources.as_file(resources.files(equinfer) / "examples") as examples:
        for number, shown in enumerate(SHOWN, 1):
            console.print(f"--- {number} of {len(SHOWN)}: {shown.title}")
            target = shown.target if ":" in shown.target else examples / shown.target
            with progress.shown(f"{number} of {len(SHOWN)}: solving {shown.name}") as watch:
                game = equinfer.load(target, **shown.parameters)
                solutions[shown.name] = solution = equinfer.solve(
                    game, shown.concept, shown.solver, watch=watch, **shown.options
                )
            display.print_solution(solution)
            console.print()
            if solution.status is Status.interrupted:
                break
    with progress.shown("drawing the reports"):
        folder.write_files(_writers(solutions))
    console.print(f"Reports: {out / 'index.html'}", soft_wrap=True)
    interrupted = any(solution.status is Status.interrupted for solution in solutions.values())
    return verdict_code(all(solution.certified for solution in solutions.values()), interrupted)


def _writers(solutions: dict[str, Solution]) -> dict[str, Callable[[Path], None]]:
    writers: dict[str, Callable[[Path], None]] = {}
    for name, solution in solutions.items():
        writers |= {f"{name}/{file}": write for file, write in output.writers(solution).items()}
    titles = {shown.name: shown.title for shown in SHOWN}
    links = [IndexEntry(titles[name], f"{name}/report.html", solution) for name, solution in solutions.items()]
    return {**writers, "index.html": partial(write_index, links)}

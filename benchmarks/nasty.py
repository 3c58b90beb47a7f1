"""A thousand games made to be difficult: how many `auto` certifies, why the others fail, and whether it ever errs.

    python -m benchmarks.nasty [--games 1000] [--limit 5]

Certified is gap + numerical error <= 1e-8 payoff scales. No false success: every certified answer is judged again, by a
judge that shares nothing with the package and works in rationals or extended precision.
"""

import argparse
import collections
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

import equinfer as eq
from benchmarks.nasty_games import KINDS, nasty_game
from benchmarks.results import table, versions, write_section
from benchmarks.second_judge import judge
from equinfer.tables import Tables

FINE = 1e-10
"""Payoff scales, and the share of its own payoff scale that a player's gap has beside the common one."""

WARM_SEEDS = (0, 1, 2, 3, 38, 311)
"""Solved before the clock runs: between them they compile every kernel."""


class Record(NamedTuple):
    """What became of one game."""

    seed: int
    kind: str
    players: int
    states: int
    features: tuple[str, ...]
    certified: bool
    fine: bool
    """Gap + numerical error <= 1e-10 of the payoff scale."""
    own: bool
    """Every player's gap, less its rounding, <= 1e-8 of its own payoff scale."""
    erred: bool
    """Certified, but the second judge cannot confirm it."""
    relative_gap: float
    solver: str
    reason: str
    seconds: float


def record(seed: int, limit: float | None) -> Record:
    """Solve the game of `seed` and judge the answer twice."""
    nasty = nasty_game(seed)
    tables = nasty.game.tables()
    shape = (seed, nasty.kind, tables.num_players, tables.num_states, nasty.features or ("none of these",))
    began = time.perf_counter()
    try:
        solution = eq.solve(nasty.game, time=limit)
    except Exception as error:  # a solver that breaks has failed, and the others shall still be seen
        reason = f"raised {type(error).__name__}: {error}"
        return Record(*shape, False, False, False, False, np.inf, "", reason, time.perf_counter() - began)
    seconds = time.perf_counter() - began
    scale, total = solution.payoff_scale, solution.gap + solution.certificate.numerical_error
    return Record(
        *shape,
        certified=solution.certified,
        fine=total <= FINE * scale,
        own=solution.certificate.settled(1e-8),
        erred=solution.certified and not confirmed(tables, solution),
        relative_gap=total / scale if scale else total,
        solver=solution.solver,
        reason=f"{solution.status.name}: {solution.status.message}",
        seconds=seconds,
    )


def confirmed(tables: Tables, solution: eq.Solution) -> bool:
    """The second judge proves that nobody gains more than eps."""
    second = judge(tables, solution.profile)
    return bool((second.gap + second.uncertainty <= solution.eps).all())


def share(flags: Iterable[bool]) -> str:
    flags = list(flags)
    return f"{100 * np.mean(flags):.1f}"


def row(name: str, records: Sequence[Record]) -> list[object]:
    times = [1000 * each.seconds for each in records]
    return [
        name,
        len(records),
        share(each.certified for each in records),
        share(each.fine for each in records),
        share(each.own for each in records),
        sum(each.erred for each in records),
        *(f"{np.quantile(times, level):.0f}" for level in (0.5, 0.9, 0.99, 1.0)),
    ]


def rows(records: Sequence[Record]) -> list[list[object]]:
    lines = [row("all", records)]
    lines += [row(kind, [each for each in records if each.kind == kind]) for kind in KINDS]
    for players in sorted({each.players for each in records}):
        lines.append(
            row(f"{players} player{'s' * (players > 1)}", [each for each in records if each.players == players])
        )
    counts = collections.Counter(feature for each in records for feature in each.features)
    for feature in sorted(counts):
        lines.append(row(feature, [each for each in records if feature in each.features]))
    return lines


def failures(records: Sequence[Record]) -> str:
    """Every game that was not certified, with what the solution says."""
    failed = [each for each in records if not each.certified]
    if not failed:
        return "Every game was certified."
    lines = [
        [
            each.seed,
            f"{each.kind}, {each.players} players, {each.states} states",
            ", ".join(each.features),
            f"{each.relative_gap:.0e}",
            f"{each.seconds:.1f}",
            each.reason,
        ]
        for each in failed
    ]
    return table(["seed", "game", "features", "gap / scale", "s", "reason"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--limit", type=float, default=5, help="seconds a game")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md as it is")
    arguments = parser.parse_args()
    for seed in WARM_SEEDS:
        record(seed, None)
    records = []
    for seed in range(arguments.first, arguments.first + arguments.games):
        records.append(record(seed, arguments.limit))
        if not records[-1].certified or records[-1].erred or not records[-1].own:
            print(records[-1], flush=True)
    header = ["games", "number", "certified, %", "<= 1e-10, %", "each player by its own scale, %", "false"]
    header += ["median, ms", "90 %", "99 %", "longest"]
    body = table(header, rows(records))
    failed = failures(records)
    print(body, failed, sep="\n\n")
    if arguments.dry:
        return
    command = f"`OMP_NUM_THREADS=1 python -m benchmarks.nasty --games {arguments.games} --limit {arguments.limit:g}`"
    write_section(
        "Nasty games",
        f"{command}: random games of 1 to 4 players, 1 to 40 states and 1 to 5 actions with features thrown in "
        "independently. Certified: gap + numerical error <= 1e-8 payoff scales (next column: 1e-10). False: certified, "
        "but not confirmed by the second judge, in rationals or extended precision. Wall clock. "
        f"{versions('equinfer', 'numpy', 'numba')}.\n\n{body}\n\nNot certified:\n\n{failed}",
    )


if __name__ == "__main__":
    main()

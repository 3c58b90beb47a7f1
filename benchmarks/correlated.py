"""Correlated equilibria: one-shot games against HiGHS alone, many at once against many programmes, discounted games.

    python -m benchmarks.correlated [--seeds 3] [--batch 1000] [--games 40] [--dry]

Times are CPU seconds of one thread (start it with OMP_NUM_THREADS=1), import and compilation apart. Ours hold the
obedience matrix and the certificate; HiGHS is handed the same programme, built before, at its own tolerances.
"""

import argparse
import functools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import linprog

import equinfer as eq
from benchmarks.results import table, versions, write_section
from equinfer.solvers.correlated.obedience import comparable, obedience_matrix

ONE_SHOT = [(2, 60), (4, 8)]
"""(players, actions of each), payoffs uniform on [0, 1]."""
DISCOUNTED = [(2, 5, 3, 0.9), (3, 10, 2, 0.9), (2, 50, 4, 0.9), (2, 100, 4, 0.95)]
"""(players, states, actions of each, discount), normal rewards, transitions uniform on the simplex."""
BETTER = 1e-6
"""In welfare, from where on an answer counts as better than Nash."""
CLOCK = 0.1
"""Short work is repeated until so many CPU seconds have passed."""


def seconds_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of one run, and what it gave."""
    runs, began = 0, time.process_time()
    while True:
        result = work()
        runs += 1
        spent = time.process_time() - began
        if spent >= CLOCK:
            return spent / runs, result


def payoffs_of(players: int, actions: int, seed: int, games: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).random((games, players, *[actions] * players))


def programme_of(payoffs: np.ndarray) -> dict[str, Any]:
    """The best welfare among the laws that are obeyed, as `linprog` takes it."""
    num_actions = payoffs.shape[1:]
    legal = np.ones((1, *num_actions), bool)
    rows = obedience_matrix(comparable(payoffs[None], legal)[0], [np.arange(size) for size in num_actions], True)
    worth = payoffs.sum(axis=0).ravel()
    return {
        "c": -worth,
        "A_ub": -rows,
        "b_ub": np.zeros(rows.shape[0]),
        "A_eq": np.ones((1, worth.size)),
        "b_eq": [1.0],
        "method": "highs",
    }


def one_shot(seeds: int) -> str:
    eq.solve(eq.TabularGame.from_payoffs(payoffs_of(2, 3, 0)[0]), "correlated")
    lines = []
    for players, actions in ONE_SHOT:
        found = []
        for seed in range(seeds):
            payoffs = payoffs_of(players, actions, seed)[0]
            theirs, answer = seconds_of(functools.partial(linprog, **programme_of(payoffs)))
            game = eq.TabularGame.from_payoffs(payoffs)
            ours, solution = seconds_of(functools.partial(eq.solve, game, "correlated"))
            found.append((ours, theirs, ours / theirs, solution.gap, abs(solution.objective_value + answer.fun)))
        ours, theirs, ratio, _, _ = (statistics.median(column) for column in zip(*found, strict=True))
        worst = [max(column) for column in zip(*found, strict=True)]
        lines.append(
            [
                f"{players} x {actions}",
                f"{ours:.3f}",
                f"{theirs:.3f}",
                f"{ratio:.2f}",
                f"{worst[2]:.2f}",
                f"{worst[3]:.0e}",
                f"{worst[4]:.0e}",
            ]
        )
        print(*lines[-1], sep="  ", flush=True)
    header = ["players x actions", "ours, CPU s", "HiGHS, CPU s", "ratio", "worst ratio", "worst gap"]
    return table([*header, "welfare: largest difference"], lines)


def at_once(games: int) -> str:
    """Games of three players with three actions, in one call."""
    payoffs = payoffs_of(3, 3, 0, games)
    eq.solve_batch(payoffs[:2], "correlated")
    ours, solution = seconds_of(functools.partial(eq.solve_batch, payoffs, "correlated"))
    programmes = [programme_of(each) for each in payoffs]
    theirs, answers = seconds_of(lambda: np.array([linprog(**programme).fun for programme in programmes]))
    difference = float(np.abs(solution.values.sum(axis=1) + answers).max())
    said = (
        f"{games:,} games of 3 x 3 x 3 in one call: {ours:.2f} CPU s, {games:,} linear programmes {theirs:.2f}, "
        f"{theirs / ours:.1f} times as long; {int(solution.certified.sum()):,} certified, worst gap "
        f"{solution.gaps.max():.0e}, welfare differs by {difference:.0e} at most."
    )
    print(said, flush=True)
    return said


class Found(NamedTuple):
    seconds: float
    """Of the portfolio, certificates included."""
    gap: float
    nash: float
    """Welfare."""
    best: float
    route: str


def random_game(players: int, states: int, actions: int, discount: float, seed: int) -> eq.TabularGame:
    rng = np.random.default_rng(seed)
    reward = rng.normal(size=(players, states, *[actions] * players))
    kernel = rng.dirichlet(np.ones(states), (states, *[actions] * players))
    return eq.TabularGame(reward, kernel, discount=discount)


def portfolio(game: eq.TabularGame) -> Found:
    nash = eq.solve(game, solver="stage-nash")
    welfare = float(np.asarray(game.initial) @ nash.values.sum(axis=0))
    began = time.process_time()
    solution = eq.solve(game, "correlated")
    spent = time.process_time() - began
    assert solution.objective_value is not None
    return Found(spent, solution.gap, welfare, solution.objective_value, str(solution.route))


def discounted(games: int) -> str:
    portfolio(random_game(2, 3, 3, 0.9, 0))
    each, lines, better = games // len(DISCOUNTED), [], 0
    for shape in DISCOUNTED:
        found = [portfolio(random_game(*shape, seed)) for seed in range(each)]
        above = sum(one.best > one.nash + BETTER for one in found)
        better += above
        players, states, actions, discount = shape
        lines.append(
            [
                f"{players} x {states} x {actions}",
                f"{discount:g}",
                f"{statistics.median(one.seconds for one in found):.2f}",
                f"{max(one.seconds for one in found):.2f}",
                f"{max(one.gap for one in found):.0e}",
                f"{above}/{each}",
                f"{min(one.best - one.nash for one in found):.1e}",
                f"{statistics.mean(one.nash for one in found):.3f}",
                f"{statistics.mean(one.best for one in found):.3f}",
                "; ".join(f"{route} {count}" for route, count in _counts(one.route for one in found)),
            ]
        )
        print(*lines[-1], sep="  ", flush=True)
    header = ["N x S x A", "discount", "CPU s", "longest", "worst gap", "better than Nash", "smallest difference"]
    body = table([*header, "mean welfare: Nash", "best", "won by"], lines)
    total = each * len(DISCOUNTED)
    return f"{body}\n\nOf {total} random games {better} have an answer whose welfare is above Nash's by {BETTER:g}."


def _counts(routes: Iterator[str]) -> list[tuple[str, int]]:
    counts: dict[str, int] = {}
    for route in routes:
        counts[route] = counts.get(route, 0) + 1
    return sorted(counts.items(), key=lambda item: -item[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="one-shot games of each size")
    parser.add_argument("--batch", type=int, default=1000, help="games in one call")
    parser.add_argument("--games", type=int, default=40, help="discounted games, as many of each size")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md as it is")
    arguments = parser.parse_args()
    parts = [one_shot(arguments.seeds), at_once(arguments.batch), discounted(arguments.games)]
    print(*parts, sep="\n\n")
    if arguments.dry:
        return
    command = "`OMP_NUM_THREADS=1 python -m benchmarks.correlated`"
    write_section(
        "Correlated equilibria",
        f"{command}: CPU seconds of one thread, medians over {arguments.seeds} games of each one-shot size and "
        f"{arguments.games // len(DISCOUNTED)} of each discounted one. Ours hold the certificate; HiGHS is handed the "
        "same programme, built before. Payoffs of one-shot games are uniform on [0, 1], rewards of discounted ones "
        f"normal. {versions('equinfer', 'numpy', 'scipy')}.\n\n" + "\n\n".join(parts),
    )


if __name__ == "__main__":
    main()

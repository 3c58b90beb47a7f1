"""Random stochastic games: ours against both methods of sgamesolver, in the same run.

    python -m benchmarks.stochastic_games [--seeds 10] [--rows 8] [--limit 60] [--skip-peers]

Times are CPU seconds of one thread (start it with OMP_NUM_THREADS=1), import and compilation apart: every solver
first solves a game of the same shape with another seed. Gaps are the exact Nash gaps of our certificate for all.
"""

import argparse
import importlib
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import equinfer as eq
from benchmarks.results import table, versions, write_section

ROWS = [(2, 5, 4), (3, 5, 4), (5, 5, 4), (2, 20, 4), (3, 20, 4), (4, 20, 3), (2, 20, 10), (2, 50, 4)]
"""(players, states, actions); N·S·(A+1) <= 500."""
WARM_SEED = 999


class OutOfTime(Exception):
    pass


def ours(solver: str, limit: float) -> Callable[[int, int, int, int], tuple[float, float]]:
    """CPU seconds and gap of `eq.solve`; its certificate is timed with it, since nobody gets an answer without."""

    def run(players: int, states: int, actions: int, seed: int) -> tuple[float, float]:
        game = _game(players, states, actions, seed)
        start = time.process_time()
        solution = eq.solve(game, solver=solver, time=limit)
        return time.process_time() - start, solution.gap

    return run


def sgamesolver(method: str, limit: float) -> Callable[[int, int, int, int], tuple[float, float]]:
    """CPU seconds of one of sgamesolver's homotopies at its defaults, and the gap of what it returns."""
    numpy: Any = np
    numpy.NaN = np.nan  # its last release reads NumPy 1's name
    peer = importlib.import_module("sgamesolver")

    def run(players: int, states: int, actions: int, seed: int) -> tuple[float, float]:
        game = peer.SGame.random_game(
            num_states=states, num_players=players, num_actions=actions, delta=0.95, seed=seed
        )
        homotopy = getattr(peer.homotopy, method)(game)
        homotopy.solver_setup()
        homotopy.solver.verbose = 0
        start = time.process_time()
        with _cpu_limit(limit):
            homotopy.solve()
        spent = time.process_time() - start
        strategies = np.nan_to_num(homotopy.equilibrium.strategies)
        profile = tuple(strategies[:, i] / strategies[:, i].sum(axis=1, keepdims=True) for i in range(players))
        return spent, eq.certify(_game(players, states, actions, seed), profile).gap

    return run


class _cpu_limit:
    """Raise `OutOfTime` after so many CPU seconds of this process."""

    def __init__(self, seconds: float):
        self._seconds = seconds

    def __enter__(self) -> None:
        def late(*_: Any) -> None:
            raise OutOfTime

        self._before = signal.signal(signal.SIGVTALRM, late)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._seconds)

    def __exit__(self, *_: Any) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, self._before)


def _game(players: int, states: int, actions: int, seed: int) -> eq.TabularGame:
    return eq.load("catalog:random", players=players, states=states, actions=actions, discount=0.95, seed=seed)


def measure(run: Callable[..., tuple[float, float]], row: tuple[int, int, int], seeds: Sequence[int]) -> dict[str, Any]:
    """Median CPU seconds and gap over `seeds`, and how many were solved to 1e-10."""
    late = float("inf")
    try:
        run(*row, WARM_SEED)
    except OutOfTime:
        return {"seconds": late, "gap": late, "worst": late, "solved": 0, "tried": 0}
    times, gaps = [], []
    for seed in seeds:
        try:
            seconds, gap = run(*row, seed)
        except OutOfTime:
            seconds, gap = float("nan"), float("nan")
        times.append(seconds)
        gaps.append(gap)
    return {
        "seconds": statistics.median(late if np.isnan(t) else t for t in times),
        "gap": statistics.median(late if np.isnan(g) else g for g in gaps),
        "worst": max(late if np.isnan(g) else g for g in gaps),
        "solved": sum(gap <= 1e-10 for gap in gaps),
        "tried": len(gaps),
    }


def _peer(found: dict[str, Any], limit: float) -> str:
    if found["seconds"] == float("inf"):
        return f"> {limit:g}"
    return f"{found['seconds']:.2f} @ {found['gap']:.0e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--rows", type=int, default=len(ROWS), help="only the first so many sizes")
    parser.add_argument("--limit", type=float, default=60, help="CPU seconds a game")
    parser.add_argument("--peer-seeds", type=int, default=3, help="how many of the seeds the peers run")
    arguments = parser.parse_args()
    methods = {
        "auto": (ours("auto", arguments.limit), arguments.seeds),
        "homotopy": (ours("homotopy", arguments.limit), arguments.seeds),
        "QRE": (sgamesolver("QRE", arguments.limit), arguments.peer_seeds),
        "LogTracing": (sgamesolver("LogTracing", arguments.limit), arguments.peer_seeds),
    }
    lines = []
    for row in ROWS[: arguments.rows]:
        found = {name: measure(run, row, range(seeds)) for name, (run, seeds) in methods.items()}
        mine, path = found["auto"], found["homotopy"]
        peer = min(found["QRE"]["seconds"], found["LogTracing"]["seconds"])
        lines.append(
            [
                " x ".join(map(str, row)),
                f"{mine['solved']}/{mine['tried']}",
                f"{mine['seconds']:.3f}",
                f"{mine['worst']:.0e}",
                f"{path['solved']}/{path['tried']}",
                f"{path['seconds']:.2f}",
                f"{path['worst']:.0e}",
                *(_peer(found[name], arguments.limit) for name in ("QRE", "LogTracing")),
                f"{peer / mine['seconds']:.0f}",
                f"{peer / path['seconds']:.1f}",
            ]
        )
        print(*lines[-1], sep="  ", flush=True)
    header = ["N x S x A", "auto: solved", "CPU s", "worst gap", "path alone: solved", "CPU s", "worst gap"]
    header += ["sgamesolver QRE: s @ gap", "LogTracing: s @ gap", "best peer / auto", "best peer / path"]
    body = (
        f"`OMP_NUM_THREADS=1 python -m benchmarks.stochastic_games --seeds {arguments.seeds} "
        f"--peer-seeds {arguments.peer_seeds}`, medians over seeds; solved = exact gap <= 1e-10. Each solver at its "
        f"own best gap. {versions('equinfer', 'sgamesolver', 'numpy', 'scipy')}.\n\n{table(header, lines)}"
    )
    write_section("Random stochastic games", body)


if __name__ == "__main__":
    main()

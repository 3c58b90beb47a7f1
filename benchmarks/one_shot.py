"""One-shot games: `eq.solve` against QuantEcon's and nashpy's Lemke-Howson and Gambit's methods, in the same run.

    python -m benchmarks.one_shot [--seeds 10] [--limit 20] [--rows 8]

Times are CPU seconds of one thread (start it with OMP_NUM_THREADS=1), import and compilation apart: every method first
solves a game of the same shape. Ours hold reading the game, and the certificate; a peer only solves a game object that
was built before. Gaps are the exact Nash gaps of our certificate for all. A peer that is not installed is left out,
and the section says so.
"""

import argparse
import contextlib
import functools
import importlib
import importlib.util
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import equinfer as eq
from benchmarks.children import Broken, answers
from benchmarks.results import table, versions, write_section

Profile = Sequence[np.ndarray]
Prepared = Callable[[], Profile]

ROWS = [(2, 20), (2, 50), (2, 100), (3, 8), (3, 20), (4, 8), (6, 3), (10, 2)]
"""(players, actions of each), payoffs uniform on [0, 1]."""
WARM_SEED = 999
SOLVED = 1e-10
CLOCK = 0.1
"""A solve is repeated until so many CPU seconds have passed: some clocks tick in hundredths."""
MOST_TIMES = 1000
PATIENCE = 2
"""After so many games of a row that took too long, a method is given up for that row."""


def ours(payoffs: np.ndarray) -> Prepared:
    return lambda: eq.solve(eq.TabularGame.from_payoffs(payoffs)).profile


def quantecon(payoffs: np.ndarray) -> Prepared:
    peer = importlib.import_module("quantecon.game_theory")
    game = peer.NormalFormGame([peer.Player(payoffs[0]), peer.Player(np.ascontiguousarray(payoffs[1].T))])
    return lambda: peer.lemke_howson(game)


def nashpy(payoffs: np.ndarray) -> Prepared:
    game = importlib.import_module("nashpy").Game(*payoffs)
    return lambda: game.lemke_howson(initial_dropped_label=0)


def gambit(method: str, **options: Any) -> Callable[[np.ndarray], Prepared]:
    def prepare(payoffs: np.ndarray) -> Prepared:
        peer = importlib.import_module("pygambit")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "game.nfg"
            eq.save(eq.TabularGame.from_payoffs(payoffs), path)
            game = peer.read_nfg(path)

        def run() -> Profile:
            result = getattr(peer.nash, method)(game, **options)
            found = result.equilibria[0] if hasattr(result, "equilibria") else result.equilibrium
            return [
                np.array([float(mixture[label]) for label in game.get_strategies(player)])
                for player, mixture in zip(game.players, found, strict=True)
            ]

        return run

    return prepare


METHODS: dict[str, tuple[str, Callable[[np.ndarray], Prepared]]] = {
    "equinfer": ("equinfer", ours),
    "QuantEcon LH": ("quantecon", quantecon),
    "nashpy LH": ("nashpy", nashpy),
    "Gambit lcp": ("pygambit", gambit("lcp_solve", rational=False, stop_after=1)),
    "Gambit ipa": ("pygambit", gambit("ipa_solve")),
    "Gambit logit": ("pygambit", gambit("logit_solve")),
}
"""Name in the table: package, and what prepares a solve of one game."""
TWO_PLAYER = ("QuantEcon LH", "nashpy LH", "Gambit lcp")


def answer(name: str, payoffs: np.ndarray) -> tuple[float, float]:
    """CPU seconds and gap of one game."""
    _, prepare = METHODS[name]
    seconds, profile = _timed(prepare(payoffs))
    return seconds, math.inf if profile is None else _gap(payoffs, profile)


def _timed(solve: Prepared) -> tuple[float, Profile | None]:
    """CPU seconds of a solve, the mean of as many as the clock needs, and what it found, if anything."""
    start, times = time.process_time(), 0
    while True:
        try:
            profile = solve()
        except Exception:  # whatever a peer does when it finds nothing
            profile = None
        times += 1
        spent = time.process_time() - start
        if spent >= CLOCK or times >= MOST_TIMES:
            return spent / times, profile


def _gap(payoffs: np.ndarray, profile: Profile) -> float:
    """The certificate's; infinite for what is no profile."""
    policies = [np.asarray(policy, float).reshape(1, -1) for policy in profile]
    totals = np.array([policy.sum() for policy in policies])
    if not np.all(np.isfinite(totals)) or np.any(np.abs(totals - 1) > 1e-6):
        return math.inf
    clipped = [np.maximum(policy, 0) / np.maximum(policy, 0).sum() for policy in policies]
    return eq.certify(eq.TabularGame.from_payoffs(payoffs), clipped).gap


def measure(name: str, warm: np.ndarray, games: Sequence[np.ndarray], limit: float) -> list[tuple[float, float]]:
    """CPU seconds and gap of every game; both infinite where time ran out."""
    late = (math.inf, math.inf)
    found: list[tuple[float, float]] = []
    while len(found) < len(games):
        with contextlib.suppress(Broken):  # some peers end their process when they find nothing
            found.extend(answers(functools.partial(answer, name), warm, games[len(found) :], limit))
        if len(found) < len(games):
            found.append(late)
        if found.count(late) >= PATIENCE:
            return found + [late] * (len(games) - len(found))
    return found


def random_payoffs(players: int, actions: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((players, *(actions,) * players))


def awkward() -> dict[str, np.ndarray]:
    """Small games on which one published method or another is known to fail."""
    dilemma = np.array([[3.0, 0.0], [5.0, 1.0]])
    cycle = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    nine = np.zeros((3, 2, 2, 2))
    for joint, values in {
        (0, 0, 0): (9, 8, 12),
        (1, 1, 0): (9, 8, 2),
        (0, 1, 1): (3, 4, 6),
        (1, 0, 1): (3, 4, 4),
    }.items():
        nine[(slice(None), *joint)] = values
    return {
        "prisoner's dilemma": np.stack([dilemma, dilemma.T]),
        "rock, paper, scissors": np.stack([cycle, cycle.T]),
        "2 x 2 x 2 with nine equilibria": nine,
        "chicken": np.array([[[0.0, 7.0], [2.0, 6.0]], [[0.0, 2.0], [7.0, 6.0]]]),
    }


def _cell(answers: Sequence[tuple[float, float]], limit: float) -> str:
    """Median seconds @ median gap (games solved, if not all)."""
    seconds = statistics.median(answer[0] for answer in answers)
    gap = statistics.median(answer[1] for answer in answers)
    solved = sum(answer[1] <= SOLVED for answer in answers)
    if math.isinf(seconds):
        return f"> {limit:g}"
    text = f"{seconds:.2g} @ {'nothing' if math.isinf(gap) else f'{gap:.0e}'}"
    return text if solved == len(answers) else f"{text} ({solved}/{len(answers)})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--limit", type=float, default=20, help="CPU seconds a game")
    parser.add_argument("--rows", type=int, default=len(ROWS), help="only the first so many sizes")
    arguments = parser.parse_args()
    present = [name for name, (package, _) in METHODS.items() if importlib.util.find_spec(package)]
    cases = {
        f"{players} x {actions}": (
            random_payoffs(players, actions, WARM_SEED),
            [random_payoffs(players, actions, seed) for seed in range(arguments.seeds)],
        )
        for players, actions in ROWS[: arguments.rows]
    }
    cases |= {name: (payoffs, [payoffs]) for name, payoffs in awkward().items() if arguments.rows == len(ROWS)}
    lines = []
    for case, (warm, games) in cases.items():
        if case in awkward():  # a method that hangs on the game itself must not hang while it warms up
            warm = random_payoffs(len(warm), warm.shape[1], WARM_SEED)
        cells = [
            _cell(measure(name, warm, games, arguments.limit), arguments.limit)
            if len(warm) == 2 or name not in TWO_PLAYER
            else "·"
            for name in present
        ]
        lines.append([case, *cells])
        print(*lines[-1], sep="  ", flush=True)
    absent = sorted({package for name, (package, _) in METHODS.items() if name not in present})
    packages = sorted({METHODS[name][0] for name in present} | {"numpy"})
    body = (
        f"`OMP_NUM_THREADS=1 python -m benchmarks.one_shot --seeds {arguments.seeds} --limit {arguments.limit:g}`: "
        "median CPU seconds @ median gap, and how many games were solved to 1e-10 where that is not all; payoffs "
        f"uniform on [0, 1], players x actions. {versions(*packages)}."
        + (f" Not installed: {', '.join(absent)}." if absent else "")
        + f"\n\n{table(['game', *present], lines)}"
    )
    write_section("One-shot games", body)


if __name__ == "__main__":
    main()

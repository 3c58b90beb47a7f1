"""Ten thousand small one-shot games: `eq.solve_batch` against loops over other packages, in the same run.

    python -m benchmarks.batches [--games 10000] [--sample 50]

Times are CPU seconds of one thread (start it with OMP_NUM_THREADS=1), the best of some repetitions, compilation and
import apart. Ours holds the certificates of all games, and the checks of the payoffs; a peer only solves game objects
that were built before (QuantEcon's also with building them). Gaps are the exact Nash gaps of our certificate for all.
"""

import argparse
import importlib
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

import equinfer as eq
from benchmarks.results import table, versions, write_section
from equinfer.certificates.batch import certify_batch

SHAPES = ((3, 3), (2, 2, 2), (10, 10), (3, 3, 3))
REPEATS = 5
SEED = 0


def best_seconds(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """CPU seconds of the quickest run, and what the last one gave."""
    times, result = [], None
    for _ in range(repeats):
        began = time.process_time()
        result = work()
        times.append(time.process_time() - began)
    return min(times), result


def ours(payoffs: np.ndarray, repeats: int) -> tuple[float, eq.BatchSolution]:
    eq.solve_batch(payoffs[:50])
    return best_seconds(lambda: eq.solve_batch(payoffs), repeats)


def worst_gap(payoffs: np.ndarray, profiles: Iterable[Sequence[np.ndarray]]) -> float:
    """Of one profile per game."""
    stacked = [np.array(policies, np.float64) for policies in zip(*profiles, strict=True)]
    stacked = [policy / policy.sum(axis=1, keepdims=True) for policy in stacked]
    return float(certify_batch(payoffs, stacked).gaps.max())


def quantecon(payoffs: np.ndarray, repeats: int, prebuilt: bool) -> tuple[float, list]:
    """Lemke-Howson game by game."""
    peer = importlib.import_module("quantecon.game_theory")

    def built(payoff: np.ndarray) -> Any:
        return peer.NormalFormGame([peer.Player(payoff[0]), peer.Player(np.ascontiguousarray(payoff[1].T))])

    games = [built(payoff) for payoff in payoffs]
    peer.lemke_howson(games[0])
    if prebuilt:
        return best_seconds(lambda: [peer.lemke_howson(game) for game in games], repeats)
    return best_seconds(lambda: [peer.lemke_howson(built(payoff)) for payoff in payoffs], repeats)


def nashpy(payoffs: np.ndarray) -> tuple[float, list]:
    """The first equilibrium of its support enumeration; its Lemke-Howson may run for ever."""
    peer = importlib.import_module("nashpy")
    games = [peer.Game(*payoff) for payoff in payoffs]
    return best_seconds(lambda: [next(game.support_enumeration()) for game in games], 1)


def sgamesolver(payoffs: np.ndarray) -> tuple[float, list]:
    """Its logarithmic tracing procedure at the defaults."""
    numpy: Any = np
    numpy.NaN = np.nan  # its last release reads NumPy 1's name
    peer = importlib.import_module("sgamesolver")
    paths = []
    for payoff in payoffs:
        homotopy = peer.homotopy.LogTracing(peer.SGame.one_shot_game(payoff))
        homotopy.solver_setup()
        homotopy.solver.verbose = 0
        paths.append(homotopy)
    seconds, _ = best_seconds(lambda: [path.solve() for path in paths], 1)
    return seconds, [np.nan_to_num(path.equilibrium.strategies)[0] for path in paths]


def peers(payoffs: np.ndarray, sample: int) -> dict[str, tuple[np.ndarray, float, list]]:
    """By name: the games that a peer solved, its seconds, and its profiles."""
    few = payoffs[:sample]
    if payoffs.shape[1] > 2:
        return {"sgamesolver LogTracing": (few, *sgamesolver(few))}
    found = {
        "QuantEcon lemke_howson": (payoffs, *quantecon(payoffs, REPEATS, prebuilt=True)),
        "QuantEcon, games built": (payoffs, *quantecon(payoffs, 1, prebuilt=False)),
    }
    if max(payoffs.shape[2:]) <= 4:
        found["nashpy support_enumeration"] = (few, *nashpy(few))
    return found


def rows_of(shape: tuple[int, ...], games: int, sample: int) -> list[list[str]]:
    payoffs = np.random.default_rng(SEED).random((games, len(shape), *shape))
    seconds, solution = ours(payoffs, REPEATS)
    mine = 1e6 * seconds / games
    head = [" x ".join(map(str, shape)), f"{mine:.2f}", f"{solution.gaps.max():.0e}", str(len(solution.failures))]
    rows = []
    for name, (solved, spent, profiles) in peers(payoffs, sample).items():
        theirs = 1e6 * spent / len(solved)
        gap = worst_gap(solved, profiles)
        rows.append([*head, name, str(len(solved)), f"{theirs:.1f}", f"{gap:.0e}", f"{theirs / mine:.0f}"])
        head = [""] * len(head)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=10_000)
    parser.add_argument("--sample", type=int, default=50, help="games of each shape for the peers that are slow")
    arguments = parser.parse_args()
    lines = [row for shape in SHAPES for row in rows_of(shape, arguments.games, arguments.sample)]
    header = ["actions", "ours: us a game", "worst gap", "failures"]
    header += ["peer", "games", "us a game", "worst gap", "peer / ours"]
    body = table(header, lines)
    print(body)
    command = f"`OMP_NUM_THREADS=1 python -m benchmarks.batches --games {arguments.games} --sample {arguments.sample}`"
    packages = versions("equinfer", "quantecon", "nashpy", "sgamesolver", "numpy", "numba")
    write_section(
        "Many games at once",
        f"{command}, payoffs uniform on [0, 1], CPU time of one thread, the best of {REPEATS} runs. Ours holds all "
        f"certificates, a peer only solves games that were built before. {packages}.\n\n{body}",
    )


if __name__ == "__main__":
    main()

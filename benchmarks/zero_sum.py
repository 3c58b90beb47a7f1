"""Zero-sum games to rounding: soccer, random games up to 10,000 states, and 200 games made to be difficult.

    python -m benchmarks.zero_sum [--seeds 3] [--games 200] [--limit 120] [--dry]

Times are CPU seconds of one thread (start it with OMP_NUM_THREADS=1), import and compilation apart. OpenSpiel's value
iteration, which needs cvxpy, is asked for the same values of a small game and of soccer, within the limit.
"""

import argparse
import functools
import importlib.util
import math
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import equinfer as eq
from benchmarks.children import Broken, answers, peak_memory
from benchmarks.nasty import confirmed
from benchmarks.open_spiel_values import open_spiel_values
from benchmarks.results import table, versions, write_section
from equinfer.targets import tabular_game_of

FINE = 1e-10
"""Of the payoff scale: what counts as solved."""
THRESHOLD = 1e-9
"""OpenSpiel's value iteration stops where no value moves by more."""


class Row(NamedTuple):
    name: str
    states: int
    actions: int
    successors: int | None = None
    """Of every state and joint action; None: a dense kernel."""
    goal: float = math.inf
    """CPU seconds."""
    most_seeds: int = 10


ROWS = [
    Row("soccer", 760, 5, 4, 0.1, 1),
    Row("small", 20, 4),
    Row("200 x 10 x 10", 200, 10, None, 0.1),
    Row("1,000 x 10 x 10", 1000, 10, None, 3.0, 1),
    Row("10,000 x 5 x 5, lists", 10_000, 5, 5, 10.0, 1),
]
WARM = (Row("soccer", 760, 5, 4), Row("warm", 30, 10))
"""A game of each kind of kernel compiles everything."""
PEER_ROWS = ("small", "soccer")


class Answer(NamedTuple):
    seconds: float
    """Of `eq.solve`, its certificate included; infinite if time ran out."""
    judging: float
    """Of the certificate alone."""
    sweeps: float
    gap: float
    """Of the payoff scale."""
    error: float
    """Bound on the rounding of the gap, of the payoff scale."""
    loading: float
    memory: float
    """Bytes: the peak of the process."""


def game_of(row: Row, seed: int) -> eq.TabularGame:
    """Soccer, or a random game: normal rewards, transitions exponential weights over all states or some of them."""
    if row.name == "soccer":
        return tabular_game_of(eq.load("catalog:soccer"), "the benchmark")
    rng = np.random.default_rng(seed)
    shape = (row.states, row.actions, row.actions)
    reward = rng.normal(size=shape)
    kernel: Any = rng.standard_exponential((*shape, row.successors or row.states))
    kernel /= kernel.sum(axis=-1, keepdims=True)
    if row.successors is not None:
        kernel = eq.SparseKernel(rng.integers(row.states, size=kernel.shape), kernel)
    return eq.TabularGame([reward, -reward], kernel, discount=0.95, name=row.name)


def nasty_game(seed: int) -> eq.TabularGame:
    """Few successors or one, payoffs over five orders of magnitude, ties, a constant sum, actions from state to state,
    discounts up to .999.
    """
    rng = np.random.default_rng([5, seed])
    states, sizes = int(rng.integers(1, 31)), rng.integers(1, 7, size=2).tolist()
    kernel = rng.exponential(size=(states, *sizes, states))
    kernel[rng.random(kernel.shape).argsort(axis=-1) >= 3] = 0.0
    kernel /= kernel.sum(axis=-1, keepdims=True)
    if rng.random() < 0.3:
        kernel = np.eye(states)[rng.integers(states, size=kernel.shape[:-1])]
    reward = rng.normal(size=kernel.shape[:-1]) * np.exp(2 * rng.normal(size=kernel.shape[:-1]))
    if rng.random() < 0.25:
        reward = np.round(reward)
    legal = [rng.random((states, size)) < 0.8 for size in sizes]
    for mask in legal:
        mask[np.arange(states), rng.integers(mask.shape[1], size=states)] = True
    constant, discount = rng.choice([0.0, 0.0, 3.0]), rng.choice([0.5, 0.9, 0.99, 0.999])
    return eq.TabularGame([reward, constant - reward], kernel, discount=discount, legal=legal, name=f"nasty {seed}")


def answer(task: tuple[Row, int]) -> Answer:
    """One game, solved and judged."""
    start = time.process_time()
    game = game_of(*task)
    loaded = time.process_time()
    solution = eq.solve(game, "zero-sum", "matrix-game")
    solved = time.process_time()
    eq.certify(game, solution)
    judged = time.process_time()
    scale = solution.payoff_scale
    return Answer(
        seconds=solved - loaded,
        judging=judged - solved,
        sweeps=float(solution.trace["sweep"][-1]) + 1,
        gap=solution.gap / scale,
        error=solution.certificate.numerical_error / scale,
        loading=loaded - start,
        memory=peak_memory(),
    )


def after_warming(solve: Callable[[Any], Any], warm: Sequence[Any], task: Any) -> Any:
    for each in warm:
        solve(each)
    return solve(task)


def measure(row: Row, seeds: int, limit: float) -> list[Answer]:
    """A process for each game, so that its memory is its own."""
    found = []
    for seed in range(min(seeds, row.most_seeds)):
        solve = functools.partial(after_warming, answer, [(warm, 0) for warm in WARM])
        found += list(answers(solve, (WARM[1], 1), [(row, seed)], limit))
    return found


def ours(seeds: int, limit: float) -> str:
    lines = []
    for row in ROWS:
        found = measure(row, seeds, limit)
        if not found:
            lines.append([row.name, f"> {limit:g}", *["·"] * 6, f"{row.goal:g}"])
            continue
        middle = Answer(*(statistics.median(column) for column in zip(*found, strict=True)))
        solved = sum(each.gap <= FINE for each in found)
        lines.append(
            [
                row.name,
                f"{middle.seconds:.3f}",
                f"{middle.judging:.3f}",
                f"{middle.sweeps:.0f}",
                f"{max(each.gap for each in found):.0e} ± {max(each.error for each in found):.0e}",
                f"{solved}/{len(found)}",
                f"{middle.loading:.2f}",
                f"{max(each.memory for each in found) / 1e9:.2f}",
                "" if math.isinf(row.goal) else f"{row.goal:g}",
            ]
        )
        print(*lines[-1], sep="  ", flush=True)
    header = ["game", "solve, CPU s", "of which certificate", "sweeps", "worst gap / scale", "<= 1e-10"]
    return table([*header, "loading, CPU s", "peak memory, GB", "goal, CPU s"], lines)


def nasty(games: int) -> str:
    eq.solve(nasty_game(0), "zero-sum")
    rows = []
    for seed in range(games):
        game, start = nasty_game(seed), time.process_time()
        solution = eq.solve(game, "zero-sum", "matrix-game")
        seconds = time.process_time() - start
        relative = solution.gap / solution.payoff_scale if solution.payoff_scale else 0.0
        false = solution.certified and not confirmed(game.tables(), solution)
        rows.append((solution.certified, relative, float(solution.trace["sweep"][-1]) + 1, seconds, false))
        if not solution.certified or relative > FINE or false:
            print(seed, solution, flush=True)
    certified, gaps, sweeps, seconds, false = (np.array(column, float) for column in zip(*rows, strict=True))
    return (
        f"{games} nasty games (1 to 30 states, 1 to 6 actions, at most 3 successors, payoffs over five orders of "
        f"magnitude, discounts up to .999): {certified.sum():.0f} certified, {(gaps <= FINE).sum()} with a gap of at "
        f"most 1e-10 of the payoff scale (largest {gaps.max():.0e}), {false.sum():.0f} not confirmed by the second "
        f"judge; sweeps: median {np.median(sweeps):.0f}, most {sweeps.max():.0f}; CPU ms: median "
        f"{1000 * np.median(seconds):.1f}, longest {1000 * seconds.max():.0f}."
    )


def peer_answer(task: tuple[Row, int]) -> tuple[float, float]:
    """CPU seconds of OpenSpiel's value iteration, and how far its values are from ours."""
    game = game_of(*task)
    start = time.process_time()
    values = open_spiel_values(game.tables(), THRESHOLD)
    seconds = time.process_time() - start
    return seconds, float(np.nanmax(np.abs(values - eq.solve(game, "zero-sum").value)))


def peer(limit: float) -> str:
    missing = [package for package in ("pyspiel", "cvxpy") if importlib.util.find_spec(package) is None]
    if missing:
        return f"OpenSpiel's value iteration: not run, {', '.join(missing)} not installed."
    said = []
    for row in ROWS:
        if row.name not in PEER_ROWS:
            continue
        try:
            found = list(answers(peer_answer, (Row("tiny", 2, 2), 0), [(row, 0)], limit))
        except Broken as error:
            said.append(f"{row.name}: {error}")
            continue
        said.append(
            f"{row.name}: {found[0][0]:.3g} CPU s, largest difference of values {found[0][1]:.0e}"
            if found
            else f"{row.name}: more than {limit:g} CPU s"
        )
    return f"OpenSpiel's value iteration to {THRESHOLD:g}, values only: {'; '.join(said)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--games", type=int, default=200, help="nasty games")
    parser.add_argument("--limit", type=float, default=120, help="CPU seconds a game")
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md as it is")
    arguments = parser.parse_args()
    parts = [ours(arguments.seeds, arguments.limit), nasty(arguments.games), peer(arguments.limit)]
    print(*parts, sep="\n\n")
    if arguments.dry:
        return
    command = "`OMP_NUM_THREADS=1 python -m benchmarks.zero_sum`"
    write_section(
        "Zero-sum games",
        f"{command}: median CPU seconds of {arguments.seeds} random games (one of the largest), discount .95 and "
        "soccer's .9. Peak memory is that of the whole process, interpreter and packages included. "
        f"{versions('equinfer', 'numpy', 'numba')}.\n\n" + "\n\n".join(parts),
    )


if __name__ == "__main__":
    main()

"""Presets of learners by a random search, with the same number of tries on the same games for every algorithm.

    python -m benchmarks.learning_search [--tries 16] [--minutes M] [--only NAME ...] [--log FILE] [--dry]

Try 0 is the `default` preset; all others draw every option of the written space anew, and have the rest from it. A try
that cannot be among the best two any more, whatever it scored in the remaining games, is left there. The best two and
try 0 play the same games again with fresh seeds, and those seeds decide. Every score is kept in the log, beside all
settings of its learner; a search that was stopped goes on from those of learners that are still the same. Ctrl-C ends
the fresh games.
"""

import argparse
import contextlib
import dataclasses
import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

import equinfer as eq
from benchmarks.learning import nash
from benchmarks.learning_spaces import SPACES
from benchmarks.results import table, versions, write_section
from equinfer.algorithms import ALGORITHMS
from equinfer.data.arena import Arena
from equinfer.drivers.lanes import keys_of_seeds
from equinfer.drivers.learning import EVERY, AbstractLearner
from equinfer.drivers.training import ROUNDS, InsideDriver
from equinfer.run_settings import settings

STEPS, SEEDS = 4000, 4
FIRST_SEED, FIRST_FRESH = 0, 1000
FAR = 0.25
"""Mean distance from Nash, in units of [-1, 1], from which on a seed scores nothing."""
GAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "printed 2x1": ("catalog:differential", {"variant": "printed"}),
    "rommeo 2x1": ("catalog:differential", {"variant": "rommeo"}),
    "cournot": ("catalog:cournot", {"costs": (1, 3)}),
    "zero-sum": ("catalog:quadratic_zero_sum", {}),
    "printed 3x1": ("catalog:differential", {"variant": "printed", "agents": 3}),
}


def drawn(algorithm: str, number: int) -> dict[str, Any]:
    """The options of a try."""
    if number == 0:
        return {}
    random = np.random.default_rng([list(SPACES).index(algorithm), number])
    return {option: space.draw(random) for option, space in SPACES[algorithm].items()}


def candidate(algorithm: str, number: int) -> AbstractLearner:
    return dataclasses.replace(ALGORITHMS[algorithm]["default"], **drawn(algorithm, number))


def remembered(log: Path) -> dict[tuple[str, int, bool], dict[str, Any]]:
    """What the log knows of learners as they are today."""
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    same = (line for line in lines if line.get("settings") == settings(candidate(line["algorithm"], line["try"])))
    return {(line["algorithm"], line["try"], line["fresh"]): line for line in same}


class Largest(eqx.Module):
    """The largest of quadratic functions, with coefficients as arrays: one program serves all games of one shape."""

    matrix: Float[Array, "P N D D"]
    linear: Float[Array, "P N D"]
    constant: Float[Array, "P N"]

    def __call__(self, actions: Float[Array, "N d"]) -> Float[Array, " N"]:
        row = actions.ravel()
        return (jnp.einsum("d,pnde,e->pn", row, self.matrix, row) + self.linear @ row + self.constant).max(axis=0)


class Field(NamedTuple):
    """A game of the search, in the units of networks."""

    arena: Arena
    goal: np.ndarray | None
    """(N, D), Nash; None where the reward itself is looked at."""


def fields() -> dict[str, Field]:
    found = {}
    for name, (target, parameters) in GAMES.items():
        game = eq.load(target, **parameters)
        low, high = (np.array([getattr(space, end) for space in game.spaces]) for end in ("low", "high"))
        quadratic = game.tables().quadratic
        assert quadratic is not None
        half, middle = (high - low).ravel() / 2, (high + low).ravel() / 2
        slope = quadratic.matrix @ middle
        parts = (
            quadratic.matrix * half[:, None] * half,
            (quadratic.linear + 2 * slope) * half,
            quadratic.constant + (quadratic.linear + slope) @ middle,
        )
        reward = Largest(*(jnp.asarray(np.resize(part, (2, *part.shape[1:])), jnp.float32) for part in parts))
        ones = np.ones(low.shape)
        goal = None if "differential" in target else (nash(game).ravel() - middle) / half
        arena = Arena.of(eq.ContinuousGame.one_shot(reward, -ones, ones))
        found[name] = Field(arena, None if goal is None else goal.reshape(low.shape))
    return found


def scores(learner: AbstractLearner, field: Field, first: int) -> list[float]:
    """Of `SEEDS` seeds from number `first` on, between 0 and 1."""
    # Lengths of phases are given apart, so that one program serves all tries.
    lengths = {name: 0 for name in ("uniform_steps", "burn_in") if hasattr(learner, name)}
    driver = InsideDriver(dataclasses.replace(learner, **lengths), field.arena, learner.phases(STEPS))
    run, seen = driver.begin(keys_of_seeds(0, SEEDS, first), STEPS), None
    for at in range(0, STEPS, EVERY * ROUNDS):
        run, seen = driver.advance(run, at, min(ROUNDS, (STEPS - at) // EVERY))
    assert seen is not None
    if field.goal is None:
        return np.clip(seen.deterministic[-1][:, 0] / 10, 0, 1).tolist()
    away = np.abs(seen.actions[-1] - field.goal[None]).mean(axis=(1, 2))
    return np.clip(1 - away / FAR, 0, 1).tolist()


def tried(algorithm: str, number: int, firsts: range, games: Mapping[str, Field], least: float) -> dict[str, Any]:
    """A line of the log, as soon as its score is known to be below the `least`."""
    learner, began = candidate(algorithm, number), time.perf_counter()
    line = {"algorithm": algorithm, "try": number, "fresh": firsts.start == FIRST_FRESH, "settings": settings(learner)}
    found = line["scores"] = {}
    for name, field in games.items():
        found[name] = [score for first in firsts for score in scores(learner, field, first)]
        if at_most(line) < least:
            break
    return {**line, "seconds": round(time.perf_counter() - began, 1)}


def at_most(line: Mapping[str, Any]) -> float:
    """The score, with 1 for games that were not played any more."""
    return float(np.mean([np.mean(line["scores"].get(game, 1.0)) for game in GAMES]))


def with_error(line: Mapping[str, Any]) -> str:
    """Mean and its standard error over seeds."""
    each = np.mean(list(line["scores"].values()), axis=0)
    return f"{each.mean():.3f} ± {each.std(ddof=1) / math.sqrt(len(each)):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=16)
    parser.add_argument("--minutes", type=float, default=math.inf, help="after which no further round of tries begins")
    parser.add_argument("--fresh", type=int, default=16, help="seeds, a multiple of 4")
    parser.add_argument("--only", nargs="*", default=list(SPACES))
    parser.add_argument("--log", type=Path, default=Path("learning_search.jsonl"))
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md as it is")
    arguments = parser.parse_args()
    known = remembered(arguments.log)

    with jax.enable_x64(False):
        games = fields()

        def look(algorithm: str, number: int, fresh: bool) -> None:
            if (algorithm, number, fresh) in known:
                return
            before = sorted(at_most(known[algorithm, k, False]) for k in range(number))
            least = before[-2] if len(before) > 1 and not fresh else 0.0
            first, count = (FIRST_FRESH, arguments.fresh) if fresh else (FIRST_SEED, SEEDS)
            line = tried(algorithm, number, range(first, first + count, SEEDS), games, least)
            known[algorithm, number, fresh] = line
            with arguments.log.open("a") as file:
                print(json.dumps(line), file=file)
            print(algorithm, number, "fresh" if fresh else "", f"{at_most(line):.3f}", line["seconds"], flush=True)

        began, tries = time.perf_counter(), 0
        while tries < arguments.tries and time.perf_counter() - began < 60 * arguments.minutes:
            for algorithm in arguments.only:
                look(algorithm, tries, False)
            tries += 1  # all have had as many
        with contextlib.suppress(KeyboardInterrupt):
            for algorithm in arguments.only:
                for number in best(known, algorithm, tries):
                    look(algorithm, number, True)
            for algorithm in reversed(arguments.only):
                look(algorithm, 0, True)
    body = report(known, arguments.only, tries, arguments.fresh)
    print(body)
    if not arguments.dry:
        write_section("Search for presets", body)


def best(known: Mapping[Any, Any], algorithm: str, tries: int) -> list[int]:
    return sorted(range(tries), key=lambda number: -at_most(known[algorithm, number, False]))[:2]


def report(known: Mapping[Any, Any], algorithms: list[str], tries: int, seeds: int) -> str:
    """The section of RESULTS.md."""
    rows, games, winners = [], [], []
    for algorithm in algorithms:
        all_scores = [at_most(known[algorithm, number, False]) for number in range(tries)]
        chosen = best(known, algorithm, tries)
        fresh: dict[int, Any] = {number: known.get((algorithm, number, True)) for number in (0, *chosen)}
        seen = [number for number in fresh if fresh[number]]
        winner = max(seen, key=lambda number: at_most(fresh[number]), default=None)
        left = sum(len(known[algorithm, number, False]["scores"]) < len(GAMES) for number in range(tries))
        cells = [f"{all_scores[0]:.3f}", f"{np.median(all_scores):.3f}"]
        cells += [f"{all_scores[number]:.3f} (try {number})" for number in chosen]
        cells += [with_error(fresh[number]) if fresh[number] else "-" for number in (0, *chosen)]
        rows.append([algorithm, tries, left, *cells])
        for number in seen:
            each = [f"{np.mean(fresh[number]['scores'][game]):.2f}" for game in GAMES]
            games.append([algorithm, f"try {number}", *each])
        space = "; ".join(f"{name}: {space}" for name, space in SPACES[algorithm].items())
        if winner is None:
            winners.append(f"- `{algorithm}`: {space}. No fresh games: nothing is decided.")
            continue
        options = ", ".join(f"{name} {value}" for name, value in drawn(algorithm, winner).items())
        winners.append(f"- `{algorithm}`: {space}. Winner, try {winner}: {options or 'as it was'}.")
    header = ["algorithm", "tries", "left", "try 0", "median", "best", "second"]
    header += [f"{which}, fresh" for which in ("try 0", "best", "second")]
    return (
        f"`python -m benchmarks.learning_search --tries {tries}` ({os.cpu_count()} cores): random search, try 0 the "
        f"`default` preset then, {STEPS:,} steps, {SEEDS} seeds for each try, and {seeds} fresh ones for the best "
        "two and try 0. Score: the mean over games of the mean over seeds, where a seed scores its last deterministic "
        "return over 10, between 0 and 1, in differential games, and in the others 1 less its distance from Nash over "
        f"{FAR} (mean over agents, units of [-1, 1]), not below 0. A try that could not be among the best two any more "
        "was left; what it did not play counts as 1 in the median, which so is an upper bound. ± is the standard error "
        "over seeds. Numbers are drawn evenly on a scale of logarithms, other options evenly. "
        f"{versions('equinfer', 'jax')}.\n\n"
        f"{table(header, rows)}\n\nBy games, fresh seeds:\n\n{table(['algorithm', 'preset', *GAMES], games)}\n\n"
        "Spaces; hidden layers of 32 and batches of 64 everywhere:\n\n" + "\n".join(winners)
    )


if __name__ == "__main__":
    main()

"""How often learners end at the best equilibrium of the differential game, and how near to Nash where interests differ.

    python -m benchmarks.learning [--seeds 100] [--rivals 32] [--published 10] [--fresh SEED] [--only NAME ...] [--dry]

One preset for all games, nothing chosen per game; returns are those of the last ten evaluations, gaps exact. With
`--fresh` the rows of MAI are measured once more, from a first seed that nothing was chosen by.
"""

import argparse
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import beta

import equinfer as eq
from benchmarks.results import measure_into, versions
from equinfer.drivers.side_by_side import cores
from equinfer.opponents.learners import LEARNERS

DIFFERENTIAL = "catalog:differential"


class Row(NamedTuple):
    """One run: of which algorithm on which game."""

    name: str
    algorithm: str
    target: str
    parameters: dict[str, Any]
    steps: int
    options: dict[str, Any]
    seeds_of: str = "rivals"
    """Whose number of seeds it takes: that of `--seeds`, `--rivals` or `--published`."""
    judged: bool = False
    """What its agents believe of each other is judged as well."""


Setting = tuple[str, str, dict[str, Any], int]


def settings() -> list[Setting]:
    """Games: name, target, parameters, steps."""
    games: list[Setting] = []
    for variant in ("printed", "rommeo"):
        for agents, dimensions, steps in ((2, 1, 5000), (3, 1, 4000), (2, 2, 4000)):
            shape = {"variant": variant, "agents": agents, "dimensions": dimensions}
            games.append((f"differential {variant} {agents}x{dimensions}", DIFFERENTIAL, shape, steps))
    moved = {"variant": "rommeo", "peaks": ((2.0, 6.0), (-6.0, -3.0))}
    games.append(("differential, moved peaks", DIFFERENTIAL, moved, 5000))
    games.append(("cournot, costs 1, 3", "catalog:cournot", {"costs": (1, 3)}, 5500))
    games.append(("cournot, costs 1, 2, 3", "catalog:cournot", {"costs": (1, 2, 3)}, 5500))
    games.append(("zero-sum quadratic", "catalog:quadratic_zero_sum", {}, 5500))
    games.append(("general-sum quadratic", "catalog:quadratic", {}, 5500))
    return games


def row(
    who: str, algorithm: str, setting: Setting, seeds_of: str = "rivals", judged: bool = False, **options: Any
) -> Row:
    name, target, parameters, steps = setting
    return Row(f"{who}: {name}", algorithm, target, parameters, steps, options, seeds_of, judged)


def rows() -> list[Row]:
    games = settings()
    modelled = (games[0], games[3], games[7], games[9])
    both = (games[0], games[3])
    found = [row("mai", "mai", game, "seeds" if game in both else "rivals", judged=game in modelled) for game in games]
    for rival in ("maddpg", "iddpg", "masql", "rommeo"):
        found += [row(rival, rival, game) for game in games]
    for rival in ("maddpg", "iddpg", "masql", "rommeo", "mai"):
        found += [row(f"{rival}, published", rival, game, "published", preset="published") for game in both]
    for game in modelled:
        for opponent in ("inferred-flat", "own", "empirical", "trajectory"):
            found.append(row(f"mai, {opponent}", "mai", game, judged=True, opponent=opponent))
        found.append(row("mai, conditional", "mai", game, judged=True, policy="conditional"))
        for opponent in ("inferred-flat", "own", "empirical", "trajectory"):
            name = f"mai, conditional {opponent}"
            found.append(row(name, "mai", game, judged=True, policy="conditional", opponent=opponent))
        for actor in ("gibbs", "reparameterised"):
            found.append(row(f"mai, {actor}", "mai", game, judged=True, actor=actor))
    return [*found, *(row("mai, no optimism", "mai", game, optimistic=False) for game in (*games[1:3], *games[4:6]))]


class Ended(NamedTuple):
    """What runs came to, seeds first; of those that did not diverge."""

    gaps: np.ndarray
    returns: np.ndarray
    """Over the last ten evaluations, of the mean agent."""
    ends: np.ndarray
    """Of the first agent, without chance."""
    actions: np.ndarray
    trust: np.ndarray | None
    believed: tuple[str, str]

    @classmethod
    def of(cls, run_of: Row, runs: Sequence[eq.Training]) -> "Ended":
        opponent = LEARNERS[run_of.options.get("opponent", "inferred")]
        learns_trust = "trust" in runs[0].trace and opponent.learns_trust
        return cls(
            np.array([each.gap for one in runs for each in one.certificate]),
            np.concatenate([one.returns[:, -10:].mean(axis=(1, 2)) for one in runs]),
            np.concatenate([one.deterministic_returns[:, -1, 0] for one in runs]),
            np.concatenate([one.actions for one in runs]),
            np.concatenate([one.trace["trust"][:, -1] for one in runs]) if learns_trust else None,
            beliefs(runs[0]) if run_of.judged else ("-", "-"),
        )


def trained(run_of: Row, game: Any, seeds: int, first: int) -> list[eq.Training]:
    """All seeds in one run; but those of published presets one by one, because one that diverges ends its run."""

    def run(seed: int, count: int) -> eq.Training:
        return eq.train(run_of.algorithm, game, run_of.steps, count, seed=seed, **run_of.options)

    def alone(seed: int) -> eq.Training | None:
        try:
            return run(seed, 1)
        except eq.BadInput as error:
            if "diverged" not in str(error):
                raise
            print(f"{run_of.name}: {error}", flush=True)
            return None

    if run_of.seeds_of != "published":
        return [run(first, seeds)]
    with ThreadPoolExecutor(cores()) as threads:
        return [each for each in threads.map(alone, range(first, first + seeds)) if each is not None]


def measured(run_of: Row, seeds: int, first: int) -> list[str]:
    """The cells of a row."""
    game = eq.load(run_of.target, **run_of.parameters)
    began = time.perf_counter()
    runs = trained(run_of, game, seeds, first)
    seconds = f"{time.perf_counter() - began:.0f}"
    diverged = seeds - sum(len(run.returns) for run in runs)
    count = f"{seeds}, {diverged} diverged" if diverged else seeds
    if not runs:
        return [*map(str, (run_of.name, count, run_of.steps)), *9 * ["-"], seconds]
    end = Ended.of(run_of, runs)
    if run_of.target == DIFFERENTIAL:
        hits = [int((end.ends > level).sum()) for level in (5, 9)]
        reached = [f"{number / seeds:.2f} {interval(number, seeds)}" for number in hits]
        trap = f"{((end.ends > -2) & (end.ends < 5)).sum() / seeds:.2f}"
        away = "-"
    else:
        reached, trap, away = ["-", "-"], "-", distance(game, end.actions)
    cells = [
        run_of.name,
        count,
        run_of.steps,
        *reached,
        trap,
        f"{np.median(end.returns):.2f}",
        away,
        f"{np.median(end.gaps):.2g}",
        "-" if end.trust is None else f"{end.trust.mean():.2f}",
        *end.believed,
    ]
    return [*map(str, cells), seconds]


def beliefs(run: eq.Training) -> tuple[str, str]:
    """Medians over seeds and agents: log-loss over that of the truth, and the regret of believing."""
    found = eq.judged_opponents(run)
    return f"{np.nanmedian(found.excess):.2g}", f"{np.nanmedian(found.regret):.2g}"


def interval(hits: int, count: int) -> str:
    """Clopper and Pearson's, 95 %."""
    low = beta.ppf(0.025, hits, count - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, count - hits) if hits < count else 1.0
    return f"[{low:.2f}, {high:.2f}]"


def distance(game: Any, actions: Any) -> str:
    """Mean and largest distance of an agent's actions from Nash, in units of [-1, 1]."""
    known = nash(game)
    half = np.array([(np.array(space.high) - np.array(space.low)) / 2 for space in game.spaces])
    off = np.abs(np.asarray(actions) - known[None]) / half[None]
    return f"{off.mean():.3f} ({off.max():.3f})"


def nash(game: Any) -> np.ndarray:
    """By best responses in turn, each of which the certificate finds."""
    at = np.array([(np.array(space.high) + np.array(space.low)) / 2 for space in game.spaces])
    for _ in range(400):
        certificate = eq.certify(game, at)
        best = np.array([np.ravel(certificate.deviation(i).policy) for i in range(len(at))])
        at = at + 0.4 * (best - at)
    return at


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--rivals", type=int, default=32)
    parser.add_argument("--published", type=int, default=10, help="seeds of published presets, which are slow")
    parser.add_argument("--fresh", type=int, help="the first seed, of rows of MAI in a section of their own")
    parser.add_argument("--only", nargs="*", default=["*"])
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md as it is")
    arguments = parser.parse_args()
    header = ["run", "seeds", "steps", "above 5", "above 9", "trap", "stochastic", "from Nash", "gap", "trust"]
    header += ["log-loss over truth", "regret", "s"]
    is_fresh, first = arguments.fresh is not None, 1 if arguments.fresh is None else arguments.fresh
    options = f" --seeds {arguments.seeds} --rivals {arguments.rivals} --fresh {first}" if is_fresh else ""
    caption = (
        f"`python -m benchmarks.learning{options}` ({os.cpu_count()} cores, shared), first seed {first}. Fractions of "
        "seeds whose deterministic joint action is worth more than 5 and 9, with 95 % intervals of Clopper and "
        "Pearson; trap: between -2 and 5; a seed that diverged reached nothing, and has no part in the rest. "
        "Stochastic: median over seeds of the return of executed play in the last ten evaluations. From Nash: "
        "mean (largest) distance of an agent, in units of [-1, 1]. Gap: median, exact. Trust: mean weight at the "
        "end, where it is learnt. Log-loss over truth: of what agents predict of each other, on fresh draws, less "
        "that of the laws that these are from, in nats; regret: of best responses to the predictions, in units of "
        "reward; medians, estimates. Rows are of different days and machines; seconds include compilation, and are "
        f"no measure of speed. The last one: {versions('equinfer', 'jax')}."
    )
    measure_into(
        ("Learning, fresh seeds" if is_fresh else "Learning", caption),
        header,
        [row for row in rows() if row.name.startswith("mai: ")] if is_fresh else rows(),
        arguments.only,
        lambda one: measured(one, getattr(arguments, one.seeds_of), first),
        dry=arguments.dry,
    )


if __name__ == "__main__":
    main()

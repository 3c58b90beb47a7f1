"""Where MAI ends in matrix games that are played again and again, goals and failures alike.

    python -m benchmarks.learning_discrete [--seeds 16] [--only NAME ...] [--dry]

One preset for all games; rows with another opponent model or form say so in their names.
"""

import argparse
import collections
import os
import time
from typing import Any, NamedTuple

import numpy as np

import equinfer as eq
from benchmarks.results import measure_into, versions
from equinfer.drivers.learning import EVERY
from equinfer.games.catalog import equilibria

STEPS = 5500


class Row(NamedTuple):
    """One run of MAI."""

    name: str
    target: str
    parameters: dict[str, Any]
    options: dict[str, Any]


WARM = {"optimistic": False, "temperature": 1.0, "final_temperature": 1.0, "standardised": False}
MODELS: dict[str, dict[str, Any]] = {
    "default": {},
    "empirical": {"opponent": "empirical"},
    "conditional": {"policy": "conditional"},
    "own, conditional": {"opponent": "own", "policy": "conditional"},
    "no optimism": {"optimistic": False},
    "no optimism, temperature 1": WARM,
    "empirical, no optimism, temperature 1": {**WARM, "opponent": "empirical"},
}
FORMS = ("default", "empirical", "conditional", "own, conditional")
GAMES: tuple[tuple[str, str, dict[str, Any], tuple[str, ...]], ...] = (
    ("climbing", "catalog:climbing", {}, ("no optimism", *FORMS)),
    ("penalty 0", "catalog:penalty", {"penalty": 0.0}, tuple(MODELS)),
    ("penalty -25", "catalog:penalty", {"penalty": -25.0}, tuple(MODELS)),
    ("penalty -100", "catalog:penalty", {"penalty": -100.0}, tuple(MODELS)),
    ("matching pennies", "catalog:matching_pennies", {}, FORMS),
    ("wolf", "catalog:wolf", {}, FORMS),
    ("prisoner's dilemma", "catalog:prisoners_dilemma", {}, FORMS),
    ("iterated prisoner's dilemma", "catalog:iterated_prisoners_dilemma", {}, FORMS),
)
"""With the models of each."""


def rows() -> list[Row]:
    """Those of one program together, which is compiled once."""
    found = [
        Row(f"{game}: {model}", target, parameters, MODELS[model])
        for game, target, parameters, models in GAMES
        for model in models
    ]
    return sorted(found, key=lambda row: list(MODELS.values()).index(row.options))


def measured(row: Row, seeds: int) -> list[str]:
    """The cells of a row."""
    game = eq.load(row.target, **row.parameters)
    began = time.perf_counter()
    run = eq.train("mai", game, STEPS, seeds, seed=1, **row.options)
    seconds = time.perf_counter() - began
    last = slice(-(run.returns.shape[1] // 5), None)
    reward = run.rewards[:, last].mean(axis=1)
    ends = collections.Counter("".join(map(str, row)) for row in np.asarray(run.actions))
    ended = ", ".join(f"{cell} {count}" for cell, count in sorted(ends.items(), key=lambda each: -each[1])[:4])
    if "chances" in run.trace:
        played = run.trace["chances"][:, run.learner.phases(STEPS).burn_in // EVERY :]
        average = played.mean(axis=1).astype(np.float64)
        gaps, away = _gaps(game, average), _away(row, average)
    else:
        gaps, away = [certificate.gap for certificate in run.certificate], "-"
    trust = run.trace["trust"][:, -1].mean() if row.options.get("opponent") not in ("own", "empirical") else np.nan
    cells = [row.name, str(seeds), ended, f"{np.median(reward):.2f}", f"{np.median(gaps):.2g} ({max(gaps):.2g})", away]
    return [*cells, "-" if np.isnan(trust) else f"{trust:.2f}", f"{seconds:.0f}"]


def _gaps(game: Any, average: np.ndarray) -> list[float]:
    """Exact Nash gaps of average policies, seeds first."""
    average = average / average.sum(axis=2, keepdims=True)
    sizes = game.num_actions
    return [eq.certify(game, [seed[i][None, : sizes[i]] for i in range(len(sizes))]).gap for seed in average]


def _away(row: Row, average: np.ndarray) -> str:
    """Mean and largest distance of a chance from those of the only equilibrium; nothing where there are several."""
    known = equilibria(row.target.partition(":")[2], **row.parameters)
    if len(known) != 1 or known[0].profile is None:
        return "-"
    off = np.abs(average - np.stack([policy[0] for policy in known[0].profile])[None])
    return f"{off.max(axis=(1, 2)).mean():.3f} ({off.max():.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--only", nargs="*", default=["*"])
    parser.add_argument("--dry", action="store_true", help="print, and leave RESULTS.md as it is")
    arguments = parser.parse_args()
    header = ["run", "seeds", "final moves: seeds", "reward", "gap", "from mixed", "trust", "s"]
    caption = (
        f"`python -m benchmarks.learning_discrete` ({os.cpu_count()} cores, shared), {STEPS} steps. Final moves: what "
        "agents do without chance in the end, in the first state, and in how many seeds. Reward: of an agent a step, "
        "over the last fifth of the run; median of seeds. Gap: of the average policy of full play, exact, median "
        "(largest); in the iterated game of the final policies. From mixed: mean over seeds (largest) of the "
        "furthest chance of the average policy from the only equilibrium. Trust: mean weight at the end. "
        f"{versions('equinfer', 'jax')}."
    )
    measure_into(
        ("Learning, discrete games", caption),
        header,
        rows(),
        arguments.only,
        lambda row: measured(row, arguments.seeds),
        dry=arguments.dry,
    )


if __name__ == "__main__":
    main()

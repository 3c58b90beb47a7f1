"""VPG in a Markov potential game: how fast the potential rises, by step size, beside what the paper guarantees.

Random potential games whose transitions depend on what is played, the entropy of the team, one player at a time, a
random start. The paper's step is the learning rate 1/L of Lemma 5.7, that is c = tau / (L (1 - gamma)).

    python -m benchmarks.potential_picture [--games 5] [--sweeps 3000] [--out docs/pictures/potential.svg]
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import numpy as np

from equinfer.certificates.nash import certify_nash
from equinfer.contraction import product_law
from equinfer.drivers.scan import begin
from equinfer.equations.bounds import entropy_gap, smoothness_constant
from equinfer.equations.information import entropy
from equinfer.equations.response import step_size_of
from equinfer.games import catalog
from equinfer.solvers.tabular.vpg import VPG

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "potential.svg"
STATES, ACTIONS, DISCOUNT, TEMPERATURE = 5, 3, 0.8, 0.1
STEP_SIZES = (1.0, 0.3, 0.1, 0.03)
COLOURS = ("#0072B2", "#009E73", "#8f6a00", "#D55E00", "#67707e")
"""Told apart by the colour-blind too (after Okabe and Ito): from the largest step to the paper's."""
POINTS = 80
SETTLING = 2000
"""Sweeps of soft best responses from the end of a run on: to the top of the hill that it climbs."""


class Climb(NamedTuple):
    """One run, at some of its sweeps."""

    sweeps: np.ndarray
    to_climb: np.ndarray
    """What the regularised potential, from the uniform law of states on, has still to gain before it ends its rise."""
    gaps: np.ndarray
    """Exact Nash gaps."""


def paper_step_size(bound: float) -> float:
    """The c of learning rate 1/L, for rewards of absolute value up to `bound`."""
    smoothness = smoothness_constant(2, ACTIONS, TEMPERATURE, DISCOUNT, bound)
    return float(step_size_of(1 / smoothness, TEMPERATURE, DISCOUNT))


def climb(seed: int, step_size: float, sweeps: int) -> Climb:
    parameters = {
        "states": STATES,
        "actions": ACTIONS,
        "discount": DISCOUNT,
        "controlled": True,
        "seed": seed,
    }
    game = catalog.load("random_potential", **parameters)
    table = catalog.stage_potential("random_potential", **parameters)
    fields = {"temperature": TEMPERATURE, "order": "round-robin", "entropy": "team", "start": "random"}
    solver, compiled, state, _ = begin(VPG(step_size=step_size, **fields), game, seed)
    last, profiles = _path(solver, compiled, state, sweeps)
    answering, *_ = begin(VPG(step_size=1.0, **fields), game, seed)
    top = _path(answering, compiled, last, SETTLING)[1]
    value = partial(_regularised, np.asarray(game.kernel.dense()), np.asarray(table))
    highest = value([policy[-1] for policy in top])
    chosen = np.unique(np.geomspace(1, sweeps, POINTS).astype(int)) - 1
    tables, visited = game.tables(), [[policy[k] for policy in profiles] for k in chosen]
    return Climb(
        sweeps=chosen + 1,
        to_climb=np.array([highest - value(profile) for profile in visited]),
        gaps=np.array([certify_nash(tables, profile).gap for profile in visited]),
    )


@eqx.filter_jit
def _path(solver: Any, game: Any, state: Any, sweeps: int) -> tuple[Any, Any]:
    def sweep(state: Any, _: None) -> tuple[Any, Any]:
        state, _info = solver.step(game, state, key=jax.random.key(0))
        return state, solver.profile(game, state)

    return jax.lax.scan(sweep, state, None, length=sweeps)


def _regularised(kernel: np.ndarray, table: np.ndarray, profile: list[Any]) -> float:
    policies = [np.asarray(policy) for policy in profile]
    law = np.asarray(product_law(tuple(policies)))
    bonus = TEMPERATURE * sum(np.asarray(entropy(policy)) for policy in policies)
    chain = np.einsum("sab,sabt->st", law, kernel)
    reward = (law * table).sum(axis=(1, 2)) + bonus
    return float(np.linalg.solve(np.eye(STATES) - DISCOUNT * chain, reward).mean())


def draw(games: int, sweeps: int, path: Path) -> None:
    import matplotlib  # pyright: ignore[reportMissingImports]

    matplotlib.use("svg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

    settings: dict[Any, Any] = {
        "font.size": 10,
        "svg.hashsalt": "potential",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    paper = paper_step_size(1.0)
    names = [f"c = {step_size:g}" for step_size in STEP_SIZES]
    names[0] += ", soft best responses"
    names.append(f"c = {paper:.1e}, the paper's 1/L")
    with plt.rc_context(settings):
        picture, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.9))
        for colour, name, step_size in zip(COLOURS, names, (*STEP_SIZES, paper), strict=True):
            for seed in range(games):
                run = climb(seed, step_size, sweeps)
                above = run.to_climb > 1e-13
                label = name if seed == 0 else None
                style = {"color": colour, "linewidth": 1.3, "alpha": 0.8}
                left.plot(run.sweeps[above], run.to_climb[above], label=label, **style)
                right.plot(run.sweeps, run.gaps, **style)
        epsilon = float(entropy_gap(TEMPERATURE, ACTIONS, 1 / (1 - DISCOUNT)))
        for height, text in (
            (epsilon, r"the paper's $\varepsilon=\tau\log n/(1-\gamma)$"),
            (2 * epsilon, r"Theorem E, team: $\tau\,\Sigma_j\log n_j/(1-\gamma)$"),
        ):
            right.axhline(height, color="#67707e", linewidth=0.9, linestyle=":")
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
            place = {"xycoords": ("axes fraction", "data"), "xytext": (0, 3), "textcoords": "offset points"}
            right.annotate(text, (1, height), ha="right", va="bottom", bbox=box, **place)
        left.set(yscale="log", ylabel=r"$\Phi^\tau$ still to climb, units of reward")
        right.set(ylabel="exact Nash gap, units of reward", ylim=(0, None))
        for axes in (left, right):
            axes.set(xscale="log", xlabel="sweeps")
            axes.grid(color="#e6e9ee", linewidth=0.8)
            axes.set_axisbelow(True)
        picture.legend(loc="upper center", ncols=5, frameon=False, columnspacing=1.2, handlelength=1.4)
        picture.tight_layout(rect=(0, 0, 1, 0.93))
        picture.savefig(path, metadata={"Date": None})
        plt.close(picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", type=int, default=5)
    parser.add_argument("--sweeps", type=int, default=3000)
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    with jax.enable_x64(True):
        draw(arguments.games, arguments.sweeps, arguments.out)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()

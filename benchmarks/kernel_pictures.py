"""The one kernel at work: where its settings lead in three small games, and the threshold of Theorem E.

    python -m benchmarks.kernel_pictures [--out docs/pictures]

writes kernel-paths.svg and kernel-threshold.svg.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from equinfer.certificates.nash import certify_nash
from equinfer.contraction import expected_own
from equinfer.drivers.scan import begin
from equinfer.equations.stability import stability_threshold
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.kernel import (
    Kernel,
    logit_dynamics,
    moving_magnet,
    multiplicative_weights,
    natural_policy_gradient,
    soft_policy_iteration,
)
from equinfer.solvers.tabular.support import SupportEnumeration

PICTURES = Path(__file__).parent.parent / "docs" / "pictures"
SETTINGS: dict[Any, Any] = {
    "font.size": 10,
    "svg.hashsalt": "kernel",
    "axes.spines.top": False,
    "axes.spines.right": False,
}
BLUE, RED, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#67707e"
"""Told apart by the colour-blind too (after Okabe and Ito)."""
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
PENNIES = np.array([[3.0, -1.0], [-1.0, 1.0]])
RPS = np.array([[0.0, -1.0, 2.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
STAG_HUNT = np.array([[4.0, 0.0], [3.0, 2.0]])


ROADS = np.stack(np.meshgrid(*[[0, 1]] * 4, indexing="ij"))
"""Which of two roads each of four players takes."""


class Game(NamedTuple):
    name: str
    payoffs: np.ndarray
    temperature: float
    seeds: tuple[int, ...]
    """Of the random starts that are drawn."""


GAMES = (
    Game("biased matching pennies\n(zero-sum)", np.stack([PENNIES, -PENNIES]), 0.5, (3,)),
    Game("rock-paper-scissors,\none win counts double (zero-sum)", np.stack([RPS, -RPS]), 0.25, (3,)),
    Game("stag hunt\n(potential)", np.stack([STAG_HUNT, STAG_HUNT.T]), 0.2, (0, 1, 2, 3, 4, 5)),
)


def solvers(game: Game) -> dict[str, Kernel]:
    """The settings that are drawn, by name, at the temperature of the game."""
    temperature = game.temperature
    half = logit_step(game) / 2
    return {
        "multiplicative weights\n$c=1$, magnet: the previous policy": multiplicative_weights(0.1, start="random"),
        "soft policy iteration\n$c=1$, uniform magnet": soft_policy_iteration(temperature, start="random"),
        "natural policy gradient\n$c=c^*/2$, uniform magnet": natural_policy_gradient(
            half / temperature, temperature, start="random"
        ),
        "moving magnet\n$c=0.3$, every 10 sweeps": moving_magnet(1.0, 10, 0.3, start="random"),
    }


def logit_step(game: Game) -> float:
    """The c* of the logit equilibrium that small steps find, at most 1."""
    return min(1.0, stability_threshold(game.payoffs, home(game.payoffs, game.temperature), game.temperature))


def path(payoffs: np.ndarray, solver: Kernel, seed: int, sweeps: int) -> list[np.ndarray]:
    """The policies (sweeps + 1, A_i) of each player of a one-shot game."""
    ready, game, state, _ = begin(solver, TabularGame.from_payoffs(payoffs), seed)
    profiles = _path(ready, game, state, sweeps)
    return [np.asarray(policies)[:, 0] for policies in profiles]


@eqx.filter_jit
def _path(solver: Any, game: Any, state: Any, sweeps: int) -> Any:
    def sweep(state: Any, _: None) -> tuple[Any, Any]:
        after, _info = solver.step(game, state, key=jax.random.key(0))
        return after, solver.profile(game, state)

    last, profiles = jax.lax.scan(sweep, state, None, length=sweeps)
    end = solver.profile(game, last)
    return tuple(jnp.concatenate([a, b[None]]) for a, b in zip(profiles, end, strict=True))


def place(policies: list[np.ndarray]) -> np.ndarray:
    """Points of the picture: the square of both players' first actions, or the triangle of player 0's policy."""
    if policies[0].shape[-1] == 2:
        return np.stack([policies[0][..., 0], policies[1][..., 0]], axis=-1)
    return policies[0] @ CORNERS


def equilibria(payoffs: np.ndarray) -> list[np.ndarray]:
    game = TabularGame.from_payoffs(payoffs)
    found = [iterate for iterate in SupportEnumeration().iterates(game, seed=0) if iterate.candidate]
    return [place([np.asarray(policy)[0] for policy in iterate.answer]) for iterate in found]


def draw_paths(out: Path, plt: Any, sweeps: int = 600) -> None:
    with plt.rc_context(SETTINGS):
        picture, rows = plt.subplots(len(GAMES), 4, figsize=(11.5, 9.2))
        for number, (game, row) in enumerate(zip(GAMES, rows, strict=True)):
            for axes, (name, solver) in zip(row, solvers(game).items(), strict=True):
                draw_panel(axes, game, solver, sweeps)
                if number == 0:
                    axes.set_title(name, fontsize=10)
            row[0].set_ylabel(game.name, fontsize=10, labelpad=14)
        picture.tight_layout(h_pad=1.6)
        picture.savefig(out / "kernel-paths.svg", metadata={"Date": None})
        plt.close(picture)


def draw_panel(axes: Any, game: Game, solver: Kernel, sweeps: int) -> None:
    square = game.payoffs.shape[1] == 2
    frame = np.array([[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]) if square else CORNERS[[0, 1, 2, 0]]
    axes.plot(*frame.T, color="#c3c9d2", linewidth=0.9, clip_on=False)
    tables = TabularGame.from_payoffs(game.payoffs).tables()
    gaps = []
    for seed in game.seeds:
        policies = path(game.payoffs, solver, seed, sweeps)
        points = place(policies)
        axes.plot(*points.T, color=BLUE, linewidth=0.7, alpha=0.75)
        axes.plot(*points[0], "o", color="white", markeredgecolor=BLUE, markersize=5, clip_on=False, zorder=3)
        axes.plot(*points[-1], "o", color=BLUE, markersize=5, clip_on=False, zorder=4)
        gaps.append(certify_nash(tables, [law[-1:] for law in policies]).gap)
        if solver.magnet_every == 1 and len(game.seeds) == 1:
            mean = place([law.mean(axis=0) for law in policies])
            axes.plot(*mean, "D", color="none", markeredgecolor=GREEN, markeredgewidth=1.6, markersize=11, zorder=5)
    for point in equilibria(game.payoffs):
        axes.plot(*point, "*", color=RED, markersize=10, markeredgecolor="white", clip_on=False, zorder=6)
    axes.set_aspect("equal")
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04 if square else CORNERS[2, 1] + 0.04), xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(f"Nash gap at the end: {max(gaps):.2g}", fontsize=9)


THRESHOLDS: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]] = {
    "rock-paper-scissors: $c^*=2/(1+1/(3\\tau^2))$": (
        np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) * np.array([1.0, -1.0])[:, None, None],
        np.geomspace(0.08, 1.0, 12),
        np.geomspace(0.02, 1.0, 12),
    ),
    "four players on two roads: $c^*=2/(1+3/(4\\tau))$": (
        -0.5 * ((ROADS[:, None] == ROADS[None]).sum(axis=1) - 1),
        np.geomspace(0.08, 1.0, 12),
        np.geomspace(0.02, 1.0, 12),
    ),
}


def draw_thresholds(out: Path, plt: Any) -> None:
    with plt.rc_context(SETTINGS):
        picture, row = plt.subplots(1, 2, figsize=(10.5, 4.6), sharey=True)
        for axes, (name, (payoffs, temperatures, step_sizes)) in zip(row, THRESHOLDS.items(), strict=True):
            fine = np.geomspace(temperatures[0], temperatures[-1], 40)
            curve = [stability_threshold(payoffs, home(payoffs, temperature), temperature) for temperature in fine]
            curve = np.where(np.array(curve) > 0, curve, np.nan)
            axes.plot(fine, curve, color="#1f2530", linewidth=1.4, label="$c^*$, from the eigenvalues")
            homes = [home(payoffs, temperature) for temperature in temperatures]
            settled = np.array(
                [[settles(payoffs, t, c, law) for t, law in zip(temperatures, homes, strict=True)] for c in step_sizes]
            )
            grid = np.stack(np.meshgrid(temperatures, step_sizes), axis=-1)
            for choice, style in (
                (settled, {"color": BLUE, "label": "a run from nearby comes back"}),
                (~settled, {"color": "white", "markeredgecolor": RED, "label": "it does not"}),
            ):
                axes.plot(*grid[choice].T, "o", markersize=5, linestyle="none", **style)
            axes.set(xscale="log", yscale="log", xlabel=r"temperature $\tau$", title=name, ylim=(0.017, 1.2))
            axes.set_xticks([0.1, 0.2, 0.5, 1.0], ["0.1", "0.2", "0.5", "1"])
            axes.set_xticks([], minor=True)
            axes.set_yticks([0.02, 0.05, 0.1, 0.2, 0.5, 1.0], ["0.02", "0.05", "0.1", "0.2", "0.5", "1"])
            axes.set_yticks([], minor=True)
            axes.grid(color="#e6e9ee", linewidth=0.8)
            axes.set_axisbelow(True)
        row[0].set_ylabel("step size $c$")
        picture.legend(*row[0].get_legend_handles_labels(), loc="upper center", ncols=3, frameon=False)
        picture.tight_layout(rect=(0, 0, 1, 0.92))
        picture.savefig(out / "kernel-threshold.svg", metadata={"Date": None})
        plt.close(picture)


def home(payoffs: np.ndarray, temperature: float) -> tuple[np.ndarray, ...]:
    """The logit equilibrium that small steps reach from uniform policies."""
    return tuple(law[-1] for law in path(payoffs, logit_dynamics(0.005, temperature), 0, 20_000))


def settles(payoffs: np.ndarray, temperature: float, step_size: float, equilibrium: tuple[np.ndarray, ...]) -> bool:
    """Whether sweeps from near a logit equilibrium come nearer."""
    rng = np.random.default_rng(0)
    start = [law * np.exp(1e-3 * rng.normal(size=law.shape)) for law in equilibrium]
    solver, game, state, _ = begin(logit_dynamics(step_size, temperature), TabularGame.from_payoffs(payoffs), 0)
    laws = tuple(jnp.asarray(law / law.sum())[None] for law in start)
    q = tuple(expected_own(jnp.asarray(table)[None], laws, player) for player, table in enumerate(payoffs))
    profiles = _path(solver, game, state._replace(log_policies=tuple(map(jnp.log, laws)), q=q), 4000)
    away = [
        max(np.abs(law[k, 0] - mine).max() for law, mine in zip(profiles, equilibrium, strict=True)) for k in (0, -1)
    ]
    return bool(away[1] < away[0] / 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PICTURES)
    out = parser.parse_args().out
    import matplotlib  # pyright: ignore[reportMissingImports]

    matplotlib.use("svg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

    with jax.enable_x64(True):
        draw_paths(out, plt)
        draw_thresholds(out, plt)
    print(f"written to {out}")


if __name__ == "__main__":
    main()

"""Algorithm 4 by itself, in four panels.

python -m benchmarks.mean_field_picture [--out docs/pictures/mean-field.svg]
"""

import argparse
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field
from equinfer.games.mean_field import MeanFieldGame
from equinfer.solvers.mean_field.bayesian_q import BayesianQ

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "mean-field.svg"
COLOURS = ("#0072B2", "#009E73", "#8f6a00", "#D55E00", "#67707e")
"""Told apart by the colour-blind too (after Okabe and Ito)."""
STEPS = 1000
FLOOR = 1e-16
"""Where exploitabilities of zero are drawn."""
CHASE = np.array([[0, 0, 0, 0], [0, 0, -1, 2], [0, 1, 0, -1], [0, -2, 1, 0]], float)
"""What each of three places pays for the masses in the others; nothing is paid at the start."""


def chase() -> MeanFieldGame:
    kernel = np.zeros((4, 3, 4))
    kernel[:, np.arange(3), 1 + np.arange(3)] = 1

    def reward(t: Any, law: Any) -> Any:
        return (jnp.asarray(CHASE) @ law.sum(axis=1))[:, None] * jnp.ones((1, 3))

    return MeanFieldGame(reward, kernel, [1, 0, 0, 0], horizon=2)


def beside() -> tuple[np.ndarray]:
    """A profile near the chase's equilibrium, which is 1/4, 1/2, 1/4."""
    start = np.full((2, 4, 3), 1 / 3)
    start[0, 0] = 0.3, 0.5, 0.2
    return (start,)


def gaps(solver: BayesianQ, game: MeanFieldGame, steps: list[int]) -> np.ndarray:
    """Exploitability after each number of steps."""
    tables, compiled = game.tables(), jax.tree.map(jnp.asarray, game.unlabelled())

    @jax.jit
    def advance(state: Any, count: Any) -> Any:
        return jax.lax.fori_loop(0, count, lambda _, now: solver.step(compiled, now, key=jax.random.key(0))[0], state)

    state, done, found = solver.init(compiled, key=jax.random.key(0)), 0, []
    for step in steps:
        state, done = advance(state, step - done), step
        found.append(certify_mean_field(tables, tuple(map(np.asarray, solver.profile(compiled, state)))).gap)
    return np.array(found)


def draw(path: Path) -> None:
    import cycler  # pyright: ignore[reportMissingImports]
    import matplotlib  # pyright: ignore[reportMissingImports]

    matplotlib.use("svg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

    settings: dict[Any, Any] = {
        "font.size": 10,
        "svg.hashsalt": "mean field",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler.cycler(color=COLOURS),
    }
    steps = sorted({int(x) for x in np.geomspace(1, STEPS, 60)})
    beach = eq.load("catalog:mean_field/beach_bar")
    with plt.rc_context(settings):
        picture, axes = plt.subplots(1, 4, figsize=(15, 3.9), layout="constrained")
        for panel, title, every in ((axes[0], "prior stays: beach bar", 0), (axes[1], "prior follows: beach bar", 1)):
            for temperature in (0.1, 0.3, 1.0, 3.0, 10.0):
                found = gaps(BayesianQ(temperature=temperature, magnet_every=every), beach, steps)
                panel.plot(steps, np.maximum(found, FLOOR), label=f"$\\tau$ = {temperature:g}")
            panel.set_title(title)
        for temperature in (3.0, 10.0, 30.0):
            found = gaps(BayesianQ(temperature=temperature, magnet=beside()), chase(), steps)
            axes[2].plot(steps, found, label=f"$\\tau$ = {temperature:g}")
        axes[2].set_title("prior follows: a chase, last policy")
        counts = np.array([4**k for k in range(2, 8)])
        runs = [(BayesianQ(temperature=float(np.sqrt(k)), magnet=beside(), play="average"), int(k)) for k in counts]
        means = np.array([gaps(solver, chase(), [k])[0] for solver, k in runs])
        axes[3].plot(counts, means, "o-", label=r"mean flow, $\tau=\sqrt{K}$")
        axes[3].plot(counts, means[0] * np.sqrt(counts[0] / counts), ":", color="#67707e", label="slope -1/2")
        axes[3].set_title("prior follows: a chase, mean flow")
        for panel in axes:
            panel.set(xscale="log", yscale="log", xlabel="steps")
            panel.grid(color="#e6e9ee", linewidth=0.8)
            panel.set_axisbelow(True)
            panel.legend(fontsize=8, frameon=False, loc="lower right" if panel is axes[0] else "best")
        axes[0].set_ylim(bottom=0.1)  # room for its legend, which no place between the lines has
        axes[0].set_ylabel("exploitability, units of reward")
        picture.savefig(path, metadata={"Date": None})
        plt.close(picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    with jax.enable_x64(True):
        draw(arguments.out)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()

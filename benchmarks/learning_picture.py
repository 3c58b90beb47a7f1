"""What MAI and MADDPG learn in the differential game, both with their default presets: curves, and paths over rewards.

python -m benchmarks.learning_picture [--seeds 32] [--out docs/pictures/learning.svg]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import equinfer as eq

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "learning.svg"
GAME = "catalog:differential"
STEPS = 5000
COLOURS = {"mai": "#0072B2", "maddpg": "#D55E00"}
"""Told apart by the colour-blind too (after Okabe and Ito)."""
NAMES = {"mai": "MAI", "maddpg": "MADDPG"}
DRAWN = 16
"""Seeds whose paths are drawn; their ends are those of all."""


def actions(run: eq.Training) -> np.ndarray:
    """(seeds, K, 2), without chance, in the game's units."""
    low, high = (np.array([getattr(space, end)[0] for space in run.game.spaces]) for end in ("low", "high"))
    return (low + high) / 2 + (high - low) / 2 * run.path[..., 0]


def draw_curves(panel: Any, runs: dict[str, eq.Training]) -> None:
    for name, run in runs.items():
        returns = run.deterministic_returns[:, :, 0]
        low, middle, high = np.quantile(returns, [0.1, 0.5, 0.9], axis=0)
        panel.fill_between(run.steps, low, high, color=COLOURS[name], alpha=0.2, linewidth=0)
        reached = (returns[:, -1] > 5).sum()
        panel.plot(run.steps, middle, color=COLOURS[name], label=f"{NAMES[name]}: {reached} of {len(returns)} above 5")
        panel.axvline(run.config["phases"]["burn_in"], color=COLOURS[name], linestyle=":", linewidth=1)
    panel.axhline(0, color="#67707e", linewidth=0.8)
    panel.set(xlabel="step", ylabel="return without chance", title="medians, 10 to 90 % of seeds")
    panel.legend(fontsize=8, framealpha=1, edgecolor="none", loc="lower right")
    panel.grid(color="#e6e9ee", linewidth=0.8)
    panel.set_axisbelow(True)


def draw_paths(panel: Any, run: eq.Training, name: str) -> None:
    tables = eq.load(GAME).tables()
    line = np.linspace(tables.low[0][0], tables.high[0][0], 201)
    rows = np.stack([part.ravel() for part in np.meshgrid(line, line)], axis=1)
    rewards = tables.rewards_at(rows)[:, 0].reshape(len(line), len(line))
    levels = rewards.max() - np.linspace((rewards.max() - rewards.min()) ** 0.5, 0, 14) ** 2
    panel.contour(line, line, rewards, levels=levels[:-1], colors="#9fb4cc", linewidths=0.8, linestyles="solid")
    begin = int(np.searchsorted(run.steps, run.config["phases"]["uniform"]))
    path = actions(run)
    for each in path[:DRAWN, begin:]:
        panel.plot(*each.T, color=COLOURS[name], linewidth=0.7, alpha=0.55)
    panel.plot(*path[:, begin].T, "o", markersize=3.5, markerfacecolor="white", color="#1d2430", linewidth=0)
    panel.plot(*path[:, -1].T, "o", markersize=4.5, color=COLOURS[name], markeredgecolor="white", markeredgewidth=0.6)
    for known in ((-5.0, -5.0), (5.0, 5.0)):
        panel.plot(*known, "x", color="#1d2430", markersize=9, markeredgewidth=1.6)
    panel.set(xlabel="action of agent 0", ylabel="action of agent 1", title=NAMES[name], aspect="equal")
    panel.set(xticks=range(-10, 11, 5), yticks=range(-10, 11, 5))


def draw(path: Path, seeds: int) -> None:
    import matplotlib  # pyright: ignore[reportMissingImports]

    matplotlib.use("svg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

    runs = {name: eq.train(name, GAME, STEPS, seeds) for name in NAMES}
    settings: dict[Any, Any] = {
        "font.size": 10,
        "svg.hashsalt": "learning",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with plt.rc_context(settings):
        picture, axes = plt.subplots(1, 3, figsize=(13.5, 4.2), layout="constrained")
        draw_curves(axes[0], runs)
        for panel, (name, run) in zip(axes[1:], runs.items(), strict=True):
            draw_paths(panel, run, name)
        picture.savefig(path, metadata={"Date": None})
        plt.close(picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=32)
    parser.add_argument("--out", type=Path, default=PICTURE)
    arguments = parser.parse_args()
    draw(arguments.out, arguments.seeds)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()

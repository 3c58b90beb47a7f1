"""What the policy of infinitely many leaves one of n players to gain, against n.

python -m benchmarks.many_players_picture [--out docs/pictures/many-players.svg] [--paths 4000]
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import equinfer as eq
from benchmarks.mean_field_picture import COLOURS
from equinfer.games.mean_field_players import entries_of

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "many-players.svg"
GAMES: dict[str, tuple[str, dict[str, Any]]] = {
    "a beach with a bar": ("beach_bar", {}),
    "three roads on three days": ("congestion", {"T": 2}),
    "random rewards and moves": ("random_linear", {"n": 3}),
}
"""Title: entry of the catalogue, and its parameters."""
EXACT = 5e6
"""Entries of the table of all players, up to which it is made."""
SIMULATED = (4, 10, 30, 100, 1000, 10_000, 100_000)
DEVIATIONS = {"prescient": "who knows what others will do", "sighted": "who sees them", "blind": "who sees itself"}


def judged(name: str, parameters: dict[str, Any], paths: int) -> dict[int, eq.PlayersGap]:
    game = eq.load(f"catalog:mean_field/{name}", **parameters)
    policy = eq.solve(game).policy
    found = {-n: eq.players_gap(game, policy, n, exact=True) for n in range(2, 9) if entries_of(game, n) <= EXACT}
    for n in SIMULATED:
        found[n] = eq.players_gap(game, policy, n, exact=False, paths=paths)
        print(name, found[n], flush=True)
    return found


def draw(path: Path, paths: int) -> None:
    import matplotlib  # pyright: ignore[reportMissingImports]

    matplotlib.use("svg")
    from matplotlib import pyplot as plt  # pyright: ignore[reportMissingImports]

    settings: dict[Any, Any] = {
        "font.size": 10,
        "svg.hashsalt": "many players",
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with plt.rc_context(settings):
        picture, axes = plt.subplots(1, 3, figsize=(15, 4.2), layout="constrained")
        for panel, (title, (name, parameters)) in zip(axes, GAMES.items(), strict=True):
            found = judged(name, parameters, paths)
            numbers = np.array(SIMULATED, float)
            for colour, (deviation, label) in zip(COLOURS, DEVIATIONS.items(), strict=False):
                gains = [getattr(found[n], deviation) for n in SIMULATED]
                if gains[0] is None:
                    continue
                means = np.array([gain.mean for gain in gains])
                wide = np.array([gain.high - gain.mean for gain in gains])
                seen = means > wide  # what is not above nothing cannot be drawn here
                panel.errorbar(
                    numbers[seen], means[seen], wide[seen], fmt="o", capsize=3, markersize=4, color=colour, label=label
                )
            exact = {-n: gap.gap for n, gap in found.items() if n < 0}
            panel.plot(list(exact), list(exact.values()), "D", color="#1b1f24", markersize=6, label="exact", zorder=3)
            middle = found[1000].sighted
            height = np.nan if middle is None else middle.mean
            panel.plot(numbers, height * np.sqrt(1000 / numbers), ":", color=COLOURS[4], label="slope -1/2")
            panel.set(xscale="log", yscale="log", xlabel="players", title=title)
            panel.grid(color="#e6e9ee", linewidth=0.8)
            panel.set_axisbelow(True)
            panel.legend(fontsize=8, frameon=False, loc="lower left")
        axes[0].set_ylabel("gain of one player, units of reward")
        picture.savefig(path, metadata={"Date": None})
        plt.close(picture)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=PICTURE)
    parser.add_argument("--paths", type=int, default=4000)
    arguments = parser.parse_args()
    draw(arguments.out, arguments.paths)
    print(f"written to {arguments.out}")


if __name__ == "__main__":
    main()

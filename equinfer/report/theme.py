"""What all pictures share: colours, fonts, margins, and how a number is written."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

__all__ = [
    "INK",
    "MASS",
    "MUTED",
    "PLAYERS",
    "PROBABILITY",
    "cut",
    "dress",
    "epoch_states",
    "figure",
    "number",
    "player_colour",
    "player_name",
    "shortened",
]

INK = "#1d2430"
MUTED = "#67707e"
GRID = "#e6e9ee"
PLAYERS = ("#2f6fb7", "#c8572c", "#2c8a63", "#8a4fa3", "#a47a16", "#3c8ea0", "#b23a62", "#5b6472")
"""One colour per player, told apart by the colour-blind too; repeated from the ninth player on."""
PROBABILITY = [[0.0, "#f7f9fc"], [0.001, "#e3edf8"], [0.5, "#6fa3d8"], [1.0, "#173f73"]]
"""Zero is almost the page's white: what is never played should look empty."""

MASS = [[0.0, "#f7f9fc"], [0.001, "#e9f1fa"], [1.0, "#7db0e2"]]
"""Light enough for what is drawn upon it."""


def player_colour(player: int) -> str:
    return PLAYERS[player % len(PLAYERS)]


def player_name(label: str) -> str:
    """`player 0` for a player who has only a number, otherwise the label itself."""
    return f"player {label}" if label.isdecimal() else label


def figure(*traces: Any, height: int = 360, **layout: Any) -> go.Figure:
    """A figure in the house's style."""
    result = go.Figure(list(traces))
    dress(result, height=height, **layout)
    return result


def dress(result: go.Figure, *, height: int, **layout: Any) -> None:
    """The house's style for a figure that was made elsewhere (subplots)."""
    result.update_layout(
        height=height,
        margin={"l": 60, "r": 24, "t": 40, "b": 48},
        font={"family": "system-ui, sans-serif", "size": 13, "color": INK},
        paper_bgcolor="white",
        plot_bgcolor="white",
        legend={"orientation": "h", "y": 1.12, "x": 0, "yanchor": "bottom"},
    )
    result.update_xaxes(gridcolor=GRID, zeroline=False, linecolor=MUTED)
    result.update_yaxes(gridcolor=GRID, zeroline=False, linecolor=MUTED)
    result.update_layout(**layout)


def number(value: float, digits: int = 4) -> str:
    """A number for people: as many digits as asked, no trailing zeros, no minus before zero."""
    text = f"{value:.{digits}g}"
    return "0" if float(text) == 0 else text


def cut(label: str, width: int) -> str:
    return label if len(label) <= width else label[: width - 1] + "…"


def shortened(labels: Sequence[str], width: int = 22) -> list[str]:
    """Labels that fit beside an axis, still all different."""
    short = [cut(label, width) for label in labels]
    if len(set(short)) == len(short):
        return short
    return [f"{text} #{index}" for index, text in enumerate(short)]


def epoch_states(labels: Sequence[str], horizon: int | None) -> list[str]:
    """Row names of a policy: states, or epoch and state in a finite-horizon game."""
    if horizon is None:
        return shortened(labels)
    if len(labels) == 1:
        return [f"t = {epoch}" for epoch in range(horizon)]
    return [f"t = {epoch} · {label}" for epoch in range(horizon) for label in shortened(labels)]

"""What pictures of a run share: a number of every seed against the steps, and the phases of the run."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from equinfer.report.theme import MUTED
from equinfer.runs import Training

__all__ = ["add_band", "agent_names", "shade_phases", "translucent", "watched_evaluations"]

MOST_EVALUATIONS = 400
"""Of a run; of a longer one so many are drawn, evenly spread."""
MOST_SEEDS = 32
"""Thin lines in a panel. Medians and bands are of all seeds."""
_BAND = (0.1, 0.9)


def agent_names(training: Training) -> list[str]:
    labels = training.game.player_labels
    return [f"agent {label}" if label.isdecimal() else label for label in labels]


def watched_evaluations(training: Training) -> Int[np.ndarray, " K"]:
    """Which evaluations are drawn."""
    count = len(training.steps)
    return np.unique(np.linspace(0, count - 1, min(count, MOST_EVALUATIONS)).round().astype(int))


def add_band(
    picture: go.Figure,
    steps: Float[np.ndarray, " K"],
    rows: Float[np.ndarray, "seeds K"],
    name: str,
    colour: str,
    *,
    row: int,
    col: int,
    legend: bool = True,
    dash: str = "solid",
) -> None:
    """Thin lines for seeds, what holds 10 to 90 % of them, and the median; where nothing is known nothing is drawn."""
    known = np.isfinite(rows).any(axis=0)
    steps, rows = steps[known], rows[:, known]
    if not len(steps):
        return
    low, middle, high = np.nanquantile(rows, [_BAND[0], 0.5, _BAND[1]], axis=0)
    where: Any = {"row": row, "col": col}
    if len(rows) > 1:
        some = rows[:MOST_SEEDS]
        gap = np.full((len(some), 1), np.nan)
        thin = go.Scatter(
            x=np.tile(np.append(steps, np.nan), len(some)),
            y=np.hstack([some, gap]).ravel().astype(np.float32),
            mode="lines",
            line={"color": translucent(colour, 0.22), "width": 0.8},
            hoverinfo="skip",
            showlegend=False,
            legendgroup=name,
        )
        edge: dict[str, Any] = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False}
        picture.add_trace(thin, **where)
        picture.add_trace(go.Scatter(x=steps, y=high, legendgroup=name, **edge), **where)
        shade = translucent(colour, 0.18)
        lower = go.Scatter(x=steps, y=low, fill="tonexty", fillcolor=shade, legendgroup=name, **edge)
        picture.add_trace(lower, **where)
    line = go.Scatter(
        x=steps,
        y=middle,
        name=name,
        legendgroup=name,
        showlegend=legend,
        mode="lines" if len(steps) > 1 else "markers",
        line={"color": colour, "width": 2.2, "dash": dash},
        customdata=np.stack([low, high], axis=1),
        hovertemplate="step %{x}: %{y:.4g}, 10-90 % %{customdata[0]:.4g} to %{customdata[1]:.4g}<extra>"
        + name
        + "</extra>",
    )
    picture.add_trace(line, **where)


def shade_phases(picture: go.Figure, training: Training, *, panels: int, above: bool = True) -> None:
    """Shade uniform play and the burn-in in all panels, side by side, and call them by name, above or below."""
    phases = training.config["phases"]
    ends = (("uniform", 0, phases["uniform"], 0.10), ("burn-in", phases["uniform"], phases["burn_in"], 0.18))
    last = float(training.steps[-1])
    for name, first, end, depth in ends:
        end = min(float(end), last)
        if end <= first:
            continue
        for col in range(1, panels + 1):
            where: Any = {"row": 1, "col": col}
            picture.add_vrect(
                x0=first, x1=end, fillcolor=translucent(MUTED, depth), line_width=0, layer="below", **where
            )
            picture.add_annotation(
                x=(first + end) / 2,
                y=float(above),
                yref="y domain",
                yanchor="top" if above else "bottom",
                text=name,
                showarrow=False,
                textangle=0 if name == "uniform" else -90,
                font={"size": 11, "color": MUTED},
                **where,
            )


def translucent(colour: str, share: float) -> str:
    """A colour of the theme, seen through."""
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {share})"

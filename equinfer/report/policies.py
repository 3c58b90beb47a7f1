"""Picture: the policies, one heat map per player, states downwards and actions across."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from equinfer.answer import RARE
from equinfer.records import Solution
from equinfer.report.places import names_of, never_signalled, place_names
from equinfer.report.theme import PROBABILITY, cut, dress, number, shortened

__all__ = ["policy_maps"]

MOST_ROWS = 600
"""Rows beyond which a heat map is a grey smear: the picture then stops, and says so."""
MOST_HEIGHT = 1800
MOST_LABELS = 70
"""Rows up to which each has its label."""
MOST_TITLES = 90
"""Letters of the players' names, side by side."""
TEXT_CELLS = 400
"""Cells per player up to which each says its probability."""


def policy_maps(solution: Solution) -> go.Figure:
    """One heat map per player; every state of every epoch, under every signal that may come there, is a row.

    Illegal actions are left blank.
    """
    played = ~never_signalled(solution)
    rows = [name for name, kept in zip(place_names(solution), played, strict=True) if kept]
    shown = min(len(rows), MOST_ROWS)
    titles = [cut(name, MOST_TITLES // len(solution.profile)) for name in names_of(solution)]
    result = make_subplots(
        cols=len(solution.profile),
        shared_yaxes=True,
        horizontal_spacing=0.03,
        column_widths=[max(policy.shape[-1], 2) for policy in solution.profile],
        subplot_titles=titles,
    )
    for column, policy in enumerate(solution.profile, start=1):
        flat = policy.reshape(-1, policy.shape[-1])[played][:shown]
        if solution.tables is not None:
            legal = np.broadcast_to(solution.tables.legal[column - 1], policy.shape).reshape(-1, policy.shape[-1])
            flat[~legal[played][:shown]] = np.nan
        # The last label goes to the bottom of an axis, so rows are turned round to read downwards.
        result.add_trace(
            go.Heatmap(
                z=flat[::-1],
                x=shortened(solution.game.actions[column - 1], 14),
                y=rows[:shown][::-1],
                zmin=0,
                zmax=1,
                colorscale=PROBABILITY,
                showscale=flat.size > TEXT_CELLS and column == len(solution.profile),
                colorbar={"title": "probability", "thickness": 12},
                text=_texts(flat[::-1]) if flat.size <= TEXT_CELLS else None,
                texttemplate="%{text}" if flat.size <= TEXT_CELLS else None,
                hovertemplate="%{y}<br>%{x}: %{z:.6g}<extra></extra>",
                xgap=1,
                ygap=1 if shown <= 60 else 0,
            ),
            row=1,
            col=column,
        )
    dress(result, height=min(MOST_HEIGHT, 150 + 24 * shown))
    result.update_xaxes(side="bottom", type="category", showgrid=False)
    result.update_yaxes(type="category", showgrid=False, automargin=True, showticklabels=False)
    result.update_yaxes(showticklabels=len(rows) > 1, dtick=1 if shown <= MOST_LABELS else None, col=1)
    return result


def _texts(policy: np.ndarray) -> list[list[str]]:
    return [[number(p, 3) if p >= RARE else "" for p in row] for row in policy]

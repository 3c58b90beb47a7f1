"""Picture: the law of the public signal, states downwards and signals across."""

import plotly.graph_objects as go

from equinfer.records import Solution
from equinfer.report.places import horizon_of, signal_names
from equinfer.report.theme import PROBABILITY, epoch_states, figure, number

__all__ = ["signal_map"]

MOST_ROWS = 60


def signal_map(solution: Solution) -> go.Figure | None:
    """How likely each signal is in every state of every epoch; None for answers without a signal."""
    if solution.signal is None:
        return None
    rows = epoch_states(solution.game.states, horizon_of(solution))[:MOST_ROWS]
    law = solution.signal.reshape(-1, solution.signal.shape[-1])[:MOST_ROWS]
    drawn = figure(
        go.Heatmap(
            z=law[::-1],  # the last row goes to the bottom of an axis
            x=signal_names(solution),
            y=rows[::-1],
            zmin=0,
            zmax=1,
            colorscale=PROBABILITY,
            showscale=False,
            text=[["" if p == 0 else number(float(p), 4) for p in row] for row in law[::-1]],
            texttemplate="%{text}",
            hovertemplate="%{y}<br>%{x}: %{z:.6g}<extra></extra>",
            xgap=1,
            ygap=1,
        ),
        height=110 + 24 * len(rows),
        margin={"l": 60, "r": 24, "t": 10, "b": 40},
        width=min(1000, 220 + 110 * law.shape[-1]),
    )
    drawn.update_xaxes(type="category", showgrid=False)
    drawn.update_yaxes(
        type="category", showgrid=False, automargin=True, showticklabels=len(rows) > 1, dtick=1, tickmode="linear"
    )
    return drawn

"""Picture: opponent models against the truth, as they learn."""

import numpy as np
import plotly.graph_objects as go

from equinfer.records import Solution
from equinfer.report.theme import PLAYERS, figure

__all__ = ["belief_error_picture"]


def belief_error_picture(solution: Solution) -> go.Figure | None:
    """The total variation between what is believed and what is played, where that is furthest; None if not watched."""
    error = solution.trace.get("belief_error")
    if error is None or np.isfinite(error).sum() < 2 or not np.nanmax(error) > 0:
        return None
    steps = solution.trace.get("step", np.arange(1, len(error) + 1))
    known = np.isfinite(error)
    line = go.Scatter(
        x=steps[known],
        y=error[known],
        mode="lines+markers" if known.sum() <= 60 else "lines",
        line={"color": PLAYERS[3], "width": 2},
        marker={"size": 5},
        hovertemplate="step %{x}: %{y:.3e}<extra></extra>",
    )
    result = figure(line, height=320, showlegend=False)
    result.update_yaxes(title="total variation", rangemode="tozero")
    result.update_xaxes(title="step")
    return result

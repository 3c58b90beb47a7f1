"""Picture: the temperature map of Algorithm 4, which of its settings works, and how soon."""

import numpy as np
import plotly.graph_objects as go

from equinfer.mean_field_tables import TRIED, TRIED_STEP
from equinfer.records import Solution
from equinfer.report.theme import figure

__all__ = ["temperature_map"]

_SHADES = [[0.0, "#173f73"], [0.5, "#7db0e2"], [1.0, "#f7f9fc"]]


def temperature_map(solution: Solution) -> go.Figure | None:
    """The least exploitability that each setting has met, against steps; None where no settings were tried."""
    names = [name for name in solution.trace if name.startswith(TRIED)]
    if not names or len(solution.trace.get(TRIED_STEP, ())) < 2:
        return None
    floor = max(solution.certificate.numerical_error, 1e-17)
    gaps = np.array([np.maximum(solution.trace[name], floor) for name in names])
    heat = go.Heatmap(
        z=np.log10(gaps),
        x=[f"{step:.0f}" for step in solution.trace[TRIED_STEP]],
        y=[name.removeprefix(TRIED) for name in names],
        colorscale=_SHADES,
        colorbar={"title": "log₁₀", "thickness": 12},
        customdata=gaps,
        hovertemplate="%{y}<br>after %{x} steps: %{customdata:.3e}<extra></extra>",
    )
    result = figure(heat, height=110 + 22 * len(names))
    result.update_xaxes(title="step", type="category", showgrid=False)
    result.update_yaxes(autorange="reversed", automargin=True, showgrid=False, dtick=1)
    return result

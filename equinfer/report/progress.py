"""Picture: the gap along the way, or the regret of learners, against the theory's bound."""

import numpy as np
import plotly.graph_objects as go

from equinfer.records import Solution
from equinfer.report.theme import INK, MUTED, PLAYERS, figure

__all__ = ["gap_along_the_way"]

# What a trace may hold, how it is called in the picture, and how it is drawn.
_SERIES = {
    "gap": ("certified gap", PLAYERS[0], "solid"),
    "regret": ("largest regret per round", PLAYERS[2], "dot"),
    "bound": ("theory's bound", PLAYERS[1], "dash"),
    "residual": ("solver's own residual", MUTED, "dot"),
}


def gap_along_the_way(solution: Solution, *, in_seconds: bool = False) -> go.Figure | None:
    """Gap, regret, bound and residual against the steps watched, or against seconds, on a logarithmic axis; None if
    fewer than two were.

    Against the rounds of play, on two logarithmic axes, where learners play: what falls like a power is a line.
    """
    # An objective has a bound of its own, which is no bound on the gap.
    names = [name for name in _SERIES if name in solution.trace and (name != "bound" or solution.objective is None)]
    series = {name: solution.trace[name] for name in names}
    if not any(np.isfinite(values).sum() >= 2 for values in series.values()):
        return None
    length = max(len(values) for values in series.values())
    in_rounds = "round" in solution.trace and not in_seconds
    along = "seconds" if in_seconds else "round" if in_rounds else "step"
    steps = solution.trace.get(along, np.arange(1, length + 1))
    # Zero has no logarithm: an exact answer is drawn at the rounding error of its certificate, or of the scale.
    floor = max(solution.certificate.numerical_error, 1e-17 * max(solution.payoff_scale, 1e-300))
    lines = []
    for name, values in series.items():
        label, colour, dash = _SERIES[name]
        flat = np.asarray(values, float)
        if flat.ndim != 1 or not np.isfinite(flat).any():
            continue
        known = np.isfinite(flat)
        lines.append(
            go.Scatter(
                x=steps[: len(flat)][known],
                y=np.maximum(flat[known], floor),
                name=label,
                mode="lines+markers" if known.sum() <= 60 else "lines",
                line={"color": colour, "dash": dash, "width": 2},
                marker={"size": 5},
                hovertemplate=along + " %{x}: %{y:.3e}<extra>" + label + "</extra>",
            )
        )
    result = figure(*lines, height=380)
    result.add_hline(y=max(solution.eps, floor), line={"color": INK, "width": 1, "dash": "dashdot"})
    result.add_annotation(
        xref="paper",
        x=1,
        xanchor="right",
        y=np.log10(max(solution.eps, floor)),
        yanchor="bottom",
        text="eps",
        showarrow=False,
    )
    result.update_yaxes(type="log", exponentformat="power", title=solution.certificate.unit)
    if in_rounds:
        result.update_xaxes(title="round", type="log", exponentformat="power", dtick=1)
    else:
        result.update_xaxes(title=along, dtick=1 if np.ptp(steps) <= 12 and not in_seconds else None)
    return result

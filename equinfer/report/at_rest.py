"""Picture: a population at rest, a bar for every state, made up of what those who are there do."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from equinfer.answer import RARE
from equinfer.records import Solution
from equinfer.report.places import names_of
from equinfer.report.theme import dress, player_colour, shortened

__all__ = ["is_at_rest", "law_at_rest"]

MOST_ACTIONS = 8
"""Actions that have a colour, those of the most players first; the others share a grey one."""
REST = "#c3c9d2"


def is_at_rest(solution: Solution) -> bool:
    """Whether it is an equilibrium of a stationary mean-field game."""
    return solution.flows is not None and solution.values.ndim == 2


def law_at_rest(solution: Solution) -> go.Figure:
    """The state-action law, of the populations one below the other; actions that nobody takes have no colour."""
    assert solution.flows is not None
    rows = len(solution.flows)
    titles = names_of(solution) if rows > 1 else None
    result = make_subplots(rows=rows, subplot_titles=titles, vertical_spacing=0.35 / rows)
    states = shortened(solution.game.states, 14)
    for p, flow in enumerate(solution.flows):
        taken = flow.sum(axis=0)
        order = [int(a) for a in np.argsort(-taken, kind="stable") if taken[a] > RARE]
        shown = sorted(order[:MOST_ACTIONS])
        bars = [(solution.game.actions[p][a], flow[:, a], player_colour(a)) for a in shown]
        if len(order) > MOST_ACTIONS:
            bars.append(("other actions", flow[:, order[MOST_ACTIONS:]].sum(axis=1), REST))
        for name, mass, colour in bars:
            result.add_trace(
                go.Bar(
                    x=states,
                    y=mass,
                    name=name if rows == 1 else f"{names_of(solution)[p]}: {name}",
                    marker={"color": colour, "line": {"width": 0}},
                    hovertemplate="%{x}: %{y:.6g}<extra>" + name + "</extra>",
                ),
                row=p + 1,
                col=1,
            )
    dress(result, height=rows * 250 + 70, barmode="stack", showlegend=True)
    result.update_xaxes(type="category", showgrid=False)
    result.update_yaxes(title="part of the population", rangemode="tozero")
    return result

"""Picture: the path of regularised equilibria, each action's probability as the temperature falls."""

import itertools

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from equinfer.records import Solution
from equinfer.report.theme import dress, player_colour, player_name, shortened

__all__ = ["probability_path"]

MOST_STATES = 4
MOST_PLAYERS = 4
_DASHES = ("solid", "dash", "dot", "dashdot")
"""Actions nine and up repeat the colours with another dash."""


def probability_path(solution: Solution) -> go.Figure | None:
    """Probabilities against 1/temperature, one panel per state and player (the first few); None without a path."""
    snapshots = [solution.trace.get(f"profile_{i}", np.zeros(0)) for i in range(len(solution.profile))]
    temperature = solution.trace.get("temperature")
    if temperature is None or any(snapshot.ndim != 3 for snapshot in snapshots):
        return None
    known = np.isfinite(temperature) & (temperature > 0)
    if known.sum() < 3 or np.ptp(temperature[known]) == 0:
        return None
    states, players = min(len(solution.game.states), MOST_STATES), min(len(solution.profile), MOST_PLAYERS)
    names = [player_name(label) for label in solution.game.players[:players]]
    result = make_subplots(
        rows=states,
        cols=players,
        shared_xaxes=True,
        shared_yaxes=True,
        vertical_spacing=0.05,
        horizontal_spacing=0.03,
        column_titles=names,
        row_titles=shortened(solution.game.states)[:states] if states > 1 else None,
    )
    for state, player in itertools.product(range(states), range(players)):
        for action, label in enumerate(shortened(solution.game.actions[player], 14)):
            line = snapshots[player][known, state, action]
            if not line.any():
                continue
            result.add_trace(
                go.Scatter(
                    x=1 / temperature[known],
                    y=line,
                    name=label,
                    legendgroup=names[player],
                    legendgrouptitle={"text": names[player]},
                    showlegend=state == 0,
                    mode="lines+markers",
                    marker={"size": 5},
                    line={"color": player_colour(action), "dash": _DASHES[(action // 8) % len(_DASHES)], "width": 2},
                    hovertemplate="%{y:.4f}<extra>" + label + "</extra>",
                ),
                row=state + 1,
                col=player + 1,
            )
    dress(result, height=130 + 220 * states, legend={"orientation": "v", "x": 1.04, "y": 1, "yanchor": "top"})
    result.update_yaxes(range=[-0.03, 1.03])
    result.update_yaxes(title="probability", col=1)
    result.update_xaxes(type="log", exponentformat="power")
    result.update_xaxes(title="1 / temperature", row=states)
    return result

"""Picture: what two players can get in correlated equilibria, with the Nash equilibria and the answer in it."""

import numpy as np
import plotly.graph_objects as go

from equinfer.records import Solution
from equinfer.report.theme import INK, MUTED, PLAYERS, cut, figure, player_name
from equinfer.solvers.correlated.payoff_set import ReachablePayoffs

__all__ = ["reachable_map"]


def reachable_map(solution: Solution, reachable: ReachablePayoffs | None) -> go.Figure | None:
    """The polygons and points of `reachable`, and where the answer lies; None if there is nothing to draw."""
    if reachable is None:
        return None
    traces = [
        _polygon(reachable.feasible, "all laws", MUTED, None, "dot"),
        _polygon(reachable.coarse, "coarse correlated", PLAYERS[4], "rgba(164, 122, 22, 0.14)", "solid"),
        _polygon(reachable.correlated, "correlated", PLAYERS[0], "rgba(47, 111, 183, 0.28)", "solid"),
    ]
    if len(reachable.public) > 1:
        traces.append(_polygon(reachable.public, "public signals", PLAYERS[2], None, "dash"))
    traces.append(_points(reachable.nash, "Nash", PLAYERS[2], "circle", 10))
    start = solution.values.reshape(2, -1)[:, :1].T
    traces.append(_points(start, "this answer", PLAYERS[1], "star", 15))
    names = [cut(player_name(label), 28) for label in solution.game.players]
    beside = {"orientation": "v", "x": 1.02, "y": 1.0, "yanchor": "top"}
    result = figure(*traces, height=440, width=760, margin={"l": 70, "r": 24, "t": 16, "b": 56}, legend=beside)
    result.update_xaxes(title=f"payoff of {names[0]}")
    result.update_yaxes(title=f"payoff of {names[1]}")
    return result


def _polygon(corners: np.ndarray, name: str, colour: str, fill: str | None, dash: str) -> go.Scatter:
    closed = np.concatenate([corners, corners[:1]])
    return go.Scatter(
        x=closed[:, 0],
        y=closed[:, 1],
        name=name,
        mode="lines" if len(corners) > 1 else "markers",
        line={"color": colour, "width": 1.6, "dash": dash},
        marker={"color": colour, "size": 8},
        fill=None if fill is None or len(corners) < 3 else "toself",
        fillcolor=fill,
        hovertemplate="%{x:.6g}, %{y:.6g}<extra>" + name + "</extra>",
    )


def _points(places: np.ndarray, name: str, colour: str, symbol: str, size: int) -> go.Scatter:
    return go.Scatter(
        x=places[:, 0],
        y=places[:, 1],
        name=name,
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": size, "line": {"color": INK, "width": 1}},
        hovertemplate="%{x:.6g}, %{y:.6g}<extra>" + name + "</extra>",
    )

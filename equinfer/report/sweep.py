"""The page of a sweep: values and probabilities against the parameter, with the folds marked."""

import os

import numpy as np
import plotly.graph_objects as go
import plotly.offline
from plotly.subplots import make_subplots

from equinfer.answer import RARE
from equinfer.families import Sweep, start_values
from equinfer.report.page import embedded, write_page
from equinfer.report.theme import MUTED, dress, figure, number, player_colour, player_name, shortened

__all__ = ["probability_picture", "value_picture", "write_sweep"]

MOST_LINES = 8
"""Probabilities drawn per player: those that move most."""
MOST_PLAYERS = 4
MOST_ROWS = 60
DASHES = ("solid", "dash", "dot", "dashdot")


def write_sweep(sweep: Sweep, path: str | os.PathLike[str]) -> None:
    """Write the page of `sweep`."""
    probabilities = probability_picture(sweep)
    rows = [
        (
            number(float(value), 8),
            branch,
            [number(float(worth), 6) for worth in start_values(solution)],
            number(solution.gap, 2),
            "certified" if solution.certified else solution.status.value.replace("_", " "),
        )
        for value, branch, solution in zip(sweep.parameter_values, sweep.branches, sweep, strict=True)
    ]
    write_page(
        "sweep.html.j2",
        path,
        sweep=sweep,
        name=sweep[0].game.name if sweep else "sweep",
        players=[player_name(label) for label in sweep[0].game.players] if sweep else [],
        rows=rows[:MOST_ROWS],
        hidden=max(0, len(rows) - MOST_ROWS),
        values=embedded(value_picture(sweep), "values"),
        probabilities=None if probabilities is None else embedded(probabilities, "probabilities"),
        plotly=plotly.offline.get_plotlyjs(),
    )


def value_picture(sweep: Sweep) -> go.Figure:
    """Every player's value at the start against the parameter."""
    values = np.stack([point.start_values for point in sweep.waypoints]) if sweep.waypoints else np.zeros((0, 0))
    traces = []
    for player in range(values.shape[1]):
        name = player_name(sweep[0].game.players[player])
        line = _line(sweep, values[:, player], name, player_colour(player))
        traces.append(line.update(line={"dash": DASHES[player % len(DASHES)]}))  # equal values show both colours
    result = figure(*traces, height=400)
    _mark_folds(result, sweep)
    result.update_xaxes(title=sweep.parameter)
    result.update_yaxes(title="value at the start")
    return result


def probability_picture(sweep: Sweep) -> go.Figure | None:
    """The probabilities that move most, a panel per player; None if the games of the sweep differ in shape."""
    points = sweep.waypoints
    if len({tuple(policy.shape for policy in point.profile) for point in points}) != 1:
        return None
    labels = sweep[0].game
    players = range(min(len(labels.players), MOST_PLAYERS))
    names = [player_name(labels.players[player]) for player in players]
    result = make_subplots(rows=1, cols=len(names), shared_yaxes=True, horizontal_spacing=0.03, column_titles=names)
    for player in players:
        lines = np.stack([point.profile[player] for point in points])
        lines = lines.reshape(len(points), -1)
        moves = np.ptp(lines, axis=0)
        order = np.argsort(-moves, kind="stable")
        moving = moves > RARE  # what stays is drawn only where nothing else is
        chosen = [place for place in order if (moving[place] if moving.any() else lines[0, place] > 0)][:MOST_LINES]
        for rank, place in enumerate(sorted(chosen)):
            trace = _line(sweep, lines[:, place], _place_name(sweep, player, int(place)), player_colour(rank))
            trace.update(legendgroup=names[player], legendgrouptitle={"text": names[player]})
            result.add_trace(trace, row=1, col=player + 1)
    dress(result, height=420, legend={"orientation": "v", "x": 1.02, "y": 1, "yanchor": "top"})
    _mark_folds(result, sweep)
    result.update_yaxes(range=[-0.03, 1.03])
    result.update_yaxes(title="probability", col=1)
    result.update_xaxes(title=sweep.parameter)
    return result


def _place_name(sweep: Sweep, player: int, place: int) -> str:
    labels, shape = sweep[0].game, sweep[0].profile[player].shape
    *before, action = np.unravel_index(place, shape)
    name = shortened(labels.actions[player], 14)[int(action)]
    if len(labels.states) > 1:
        name = f"{shortened(labels.states, 14)[int(before[-1])]}: {name}"
    return f"t = {int(before[0])}, {name}" if len(before) > 1 else name


def _line(sweep: Sweep, line: np.ndarray, name: str, colour: str) -> go.Scatter:
    """A number at every waypoint, with a gap wherever the branch changes and a mark at the values of the sweep."""
    x: list[float] = []
    y: list[float | None] = []
    sizes: list[int] = []
    asked, before = set(sweep.parameter_values.tolist()), None
    for point, height in zip(sweep.waypoints, line.tolist(), strict=True):
        if before not in (None, point.branch):
            x.append(point.value)
            y.append(None)
            sizes.append(0)
        x.append(point.value)
        y.append(height)
        sizes.append(6 if point.value in asked else 0)
        before = point.branch
    return go.Scatter(
        x=x,
        y=y,
        name=name,
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"size": sizes},
        hovertemplate=f"{sweep.parameter} = %{{x:.6g}}: %{{y:.6g}}<extra>{name}</extra>",
    )


def _mark_folds(result: go.Figure, sweep: Sweep) -> None:
    for fold in sweep.folds:
        result.add_vline(x=(fold.low + fold.high) / 2, line={"color": MUTED, "width": 1, "dash": "dot"})

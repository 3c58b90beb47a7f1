"""Pictures: opponent models against the truth, as they learn, and in the answer."""

import itertools

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from equinfer.records import Solution
from equinfer.report.places import horizon_of
from equinfer.report.theme import INK, MUTED, dress, epoch_states, figure, player_colour, player_name, shortened

__all__ = ["belief_error_picture", "belief_picture"]

MOST_ROWS = 24
"""Actions, of all places together, whose probabilities one model of one player shows."""
MOST_ACTIONS = 8
"""Of one place."""
MOST_MODELS = 6


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
        line={"color": MUTED, "width": 2},
        marker={"size": 5},
        hovertemplate="step %{x}: %{y:.3e}<extra></extra>",
    )
    result = figure(line, height=320, showlegend=False)
    result.update_yaxes(title="total variation", rangemode="tozero")
    result.update_xaxes(title="step")
    return result


def belief_picture(solution: Solution) -> go.Figure | None:
    """What each player believes of each of the others, and what that one plays: a dumbbell for every action.

    Of many places those where the two are furthest apart, and of many models the worst ones; None if nobody believes
    anything.
    """
    if solution.beliefs is None:
        return None
    names = [player_name(label) for label in solution.game.players]
    models = sorted(_worst_models(solution))
    columns = min(2, len(models))
    rows = -(-len(models) // columns)
    titles = [f"{names[i]} about {names[j]}" for i, j in models]
    panels = [_Panel(solution, i, j) for i, j in models]
    heights = [max(panel.size for panel in panels[k : k + columns]) for k in range(0, len(panels), columns)]
    height = 110 + sum(24 * size + 70 for size in heights)
    result = make_subplots(
        rows=rows,
        cols=columns,
        subplot_titles=titles,
        row_heights=heights,
        vertical_spacing=min(70 / height, 0.9 / max(rows - 1, 1)),
        horizontal_spacing=min(0.4, 0.06 + 0.0072 * max(len(label) for panel in panels for label, *_ in panel.rows)),
    )
    for number, panel in enumerate(panels):
        for trace in panel.traces(legend=number == 0):
            result.add_trace(trace, row=1 + number // columns, col=1 + number % columns)
    dress(result, height=height, legend={"orientation": "h", "y": 1 + 40 / height, "x": 0, "yanchor": "bottom"})
    result.update_xaxes(range=[-0.03, 1.03], title=None)
    result.update_yaxes(type="category", automargin=True, dtick=1)
    for number, panel in enumerate(panels):  # downwards, with room for the marks of the first and the last
        rows_shown = [panel.size - 0.4, -0.6]
        result.update_yaxes(range=rows_shown, row=1 + number // columns, col=1 + number % columns)
    return result


def _apart(solution: Solution, i: int, j: int) -> Float[np.ndarray, " places"]:
    """The total variation between what i believes of j and what j plays, place by place."""
    assert solution.beliefs is not None
    return np.abs(solution.beliefs[i][j] - solution.profile[j]).sum(axis=-1).ravel() / 2


def _worst_models(solution: Solution) -> list[tuple[int, int]]:
    pairs = itertools.permutations(range(len(solution.profile)), 2)
    return sorted(pairs, key=lambda pair: -_apart(solution, *pair).max())[:MOST_MODELS]


class _Panel:
    """One player's model of another."""

    def __init__(self, solution: Solution, i: int, j: int):
        assert solution.beliefs is not None
        size = solution.profile[j].shape[-1]
        believed, played = (law.reshape(-1, size) for law in (solution.beliefs[i][j], solution.profile[j]))
        here = epoch_states(solution.game.states, horizon_of(solution))
        actions = shortened(solution.game.actions[j], 14)
        apart = _apart(solution, i, j)
        each = min(size, MOST_ACTIONS)
        chosen = np.sort(np.argsort(-apart, kind="stable")[: max(1, MOST_ROWS // each)])
        self.colour = player_colour(j)
        self.rows: list[tuple[str, float, float]] = []
        for place in chosen.tolist():
            mass = np.maximum(believed[place], played[place])
            for action in np.sort(np.argsort(-mass, kind="stable")[:each]).tolist():
                label = actions[action] if len(here) == 1 else f"{here[place]} · {actions[action]}"
                self.rows.append((label, float(believed[place, action]), float(played[place, action])))
        self.size = len(self.rows)

    def traces(self, *, legend: bool) -> list[go.Scatter]:
        labels, believed, played = zip(*self.rows, strict=True)
        ends = [end for b, p in zip(believed, played, strict=True) for end in (b, p, None)]
        between = go.Scatter(
            x=ends,
            y=[label for label in labels for _ in range(3)],
            mode="lines",
            line={"color": self.colour, "width": 2},
            hoverinfo="skip",
            showlegend=False,
        )
        marks = (("played", played, "circle", 9), ("believed", believed, "circle-open", 14))
        return [
            between,
            *(
                go.Scatter(
                    x=list(values),
                    y=list(labels),
                    mode="markers",
                    name=name,
                    marker={"symbol": symbol, "size": size, "color": self.colour if name == "played" else INK},
                    hovertemplate=f"%{{y}}, {name}: %{{x:.4g}}<extra></extra>",
                    showlegend=legend,
                )
                for name, values, symbol, size in marks
            ),
        ]

"""Pictures: how the joint action moves while agents learn, over the rewards if they can be drawn."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float
from plotly.subplots import make_subplots

from equinfer.games import catalog
from equinfer.games.continuous import ContinuousGame
from equinfer.games.spaces import Box
from equinfer.report.bands import MOST_SEEDS, add_band, agent_names, shade_phases, translucent, watched_evaluations
from equinfer.report.theme import INK, PLAYERS, dress, player_colour
from equinfer.runs import Training

__all__ = ["action_curves", "known_actions", "paths_over_rewards"]

MOST_AGENTS = 4
MOST_NUMBERS = 6
"""Of an agent's actions."""
_ON_A_SIDE = 121
_LEVELS = 16
_HEIGHTS = [[0.0, "#5f87b5"], [0.35, "#a9c6e4"], [0.7, "#dfeaf6"], [1.0, "#fffdf5"]]
"""The higher the lighter, so that paths are seen where they end."""


def known_actions(game: object) -> list[tuple[str, list[np.ndarray]]]:
    """Equilibria of a one-shot game of the catalogue, as actions (d_i,) of each agent, each with how it is known."""
    if not isinstance(game, ContinuousGame) or not game.is_one_shot or game.labels.origin is None:
        return []
    source, _, name = game.labels.origin.target.partition(":")
    if source != "catalog" or not all(isinstance(space, Box) for space in game.spaces):
        return []
    known = catalog.equilibria(name, **dict(game.labels.origin.parameters))
    return [(each.note, [np.asarray(part) for part in each.profile]) for each in known if each.profile is not None]


def paths_over_rewards(training: Training) -> go.Figure | None:
    """Of a one-shot game of two agents with a number each: the paths of all seeds over contours of the sum of rewards,
    and of each agent's where they differ. None of any other game.
    """
    game = training.game
    if not isinstance(game, ContinuousGame) or not game.is_one_shot or len(game.spaces) != 2:
        return None
    if not all(isinstance(space, Box) and space.dimension == 1 for space in game.spaces):
        return None
    (x, y), rewards = _rewards(game)
    names = agent_names(training)
    panels = [("sum of rewards", rewards.sum(axis=2))]
    if np.ptp(rewards, axis=2).max() > 1e-9 * max(1.0, np.abs(rewards).max()):
        panels += [(f"reward of {name}", rewards[:, :, i]) for i, name in enumerate(names)]
    scale = np.abs(rewards).max()
    panels = [(title, heights) for title, heights in panels if np.ptp(heights) > 1e-9 * scale]
    if not panels:
        return None
    columns = len(panels)
    spacing = 0.16 / columns if columns > 1 else 0
    result = make_subplots(
        rows=1, cols=columns, horizontal_spacing=spacing, column_titles=[title for title, _ in panels]
    )
    for col, (_, heights) in enumerate(panels, 1):
        result.add_trace(_contours(x, y, heights, showscale=columns == 1), row=1, col=col)
        for trace in (*_paths(training, legend=col == 1), _marks(training, legend=col == 1)):
            if trace is not None:
                result.add_trace(trace, row=1, col=col)
    dress(result, height=660 if columns == 1 else 160 + 900 // columns)
    result.update_layout(legend={"y": 1.06 if columns == 1 else 1.12}, width=760 if columns == 1 else None)
    result.update_xaxes(title=f"action of {names[0]}", range=[x[0], x[-1]], showgrid=False)
    result.update_yaxes(range=[y[0], y[-1]], showgrid=False)
    result.update_yaxes(title=f"action of {names[1]}", col=1)
    return result


def action_curves(training: Training) -> go.Figure:
    """What agents do without chance at the beginning of an episode, against the steps: numbers in boxes, the chances of
    moves where they are watched, else the share of seeds in which a move is the likeliest.
    """
    names = agent_names(training)[:MOST_AGENTS]
    result = make_subplots(rows=1, cols=len(names), horizontal_spacing=0.07, column_titles=names)
    chosen = watched_evaluations(training)
    steps, known = training.steps[chosen], known_actions(training.game)
    most = 1
    for agent in range(len(names)):
        space = training.game.spaces[agent]
        if isinstance(space, Box):
            low, high = np.array(space.low), np.array(space.high)
            values = (low + high) / 2 + (high - low) / 2 * training.path[:, :, agent, : space.dimension]
            result.update_yaxes(range=[low.min(), high.max()], col=agent + 1)
        else:
            values = training.trace.get("chances", training.path)[:, :, agent, : space.n]
            result.update_yaxes(range=[-0.03, 1.03], col=agent + 1)
        most = max(most, values.shape[2])
        for k in range(min(values.shape[2], MOST_NUMBERS)):
            name, colour = (f"number {k}" if isinstance(space, Box) else f"move {k}"), player_colour(k)
            rows = values[:, chosen, k]
            if not isinstance(space, Box) and "chances" not in training.trace:
                rows = rows.mean(axis=0, keepdims=True)
            add_band(result, steps, rows, name, colour, row=1, col=agent + 1, legend=agent == 0)
            if isinstance(space, Box):
                for _, actions in known:
                    where: Any = {"row": 1, "col": agent + 1}
                    line = {"color": colour, "width": 1, "dash": "dot"}
                    result.add_hline(y=float(actions[agent][k]), line=line, **where)
    dress(result, height=400, showlegend=most > 1)
    shade_phases(result, training, panels=len(names))
    result.update_xaxes(title="step", range=[0, float(training.steps[-1])])
    moves = not isinstance(training.game.spaces[0], Box)
    shown = "chance of a move" if "chances" in training.trace else "share of seeds"
    result.update_yaxes(title=shown if moves else "action", col=1)
    return result


def _rewards(game: ContinuousGame) -> tuple[tuple[np.ndarray, np.ndarray], Float[np.ndarray, "Y X N"]]:
    tables = game.tables()
    x, y = (np.linspace(low[0], high[0], _ON_A_SIDE) for low, high in zip(tables.low, tables.high, strict=True))
    rows = np.stack([part.ravel() for part in np.meshgrid(x, y)], axis=1)
    return (x, y), tables.rewards_at(rows).reshape(len(y), len(x), 2)


def _contours(x: np.ndarray, y: np.ndarray, heights: np.ndarray, *, showscale: bool) -> go.Contour:
    """Levels are even in the root of what is missing to the top: around a quadratic peak, even in the distance."""
    top = heights.max()
    root = -np.sqrt(top - heights)
    step = -root.min() / _LEVELS
    ticks = root.min() * np.linspace(1, 0, 6)
    return go.Contour(
        x=x,
        y=y,
        z=root.astype(np.float32),
        customdata=heights.astype(np.float32),
        colorscale=_HEIGHTS,
        contours={"start": root.min(), "end": 0, "size": step},
        line={"color": translucent(INK, 0.35), "width": 0.7},
        showscale=showscale,
        colorbar={
            "thickness": 12,
            "tickvals": ticks.tolist(),
            "ticktext": [f"{top - tick**2:.3g}" for tick in ticks],
            "outlinewidth": 0,
        },
        hovertemplate="(%{x:.3g}, %{y:.3g}): %{customdata:.4g}<extra></extra>",
    )


def _paths(training: Training, *, legend: bool) -> list[go.Scatter]:
    """From where uniform play ends; thin lines, hollow marks where they begin and full ones where they end."""
    begin = int(np.searchsorted(training.steps, training.config["phases"]["uniform"]))
    begin = min(begin, len(training.steps) - 1)
    chosen = watched_evaluations(training)
    chosen = np.union1d(chosen[chosen >= begin], [begin])
    game = training.game
    low, high = (np.array([getattr(space, end)[0] for space in game.spaces]) for end in ("low", "high"))
    path = (low + high) / 2 + (high - low) / 2 * training.path[:, :, :, 0]
    some = path[:MOST_SEEDS, chosen]
    gap = np.full((len(some), 1, 2), np.nan)
    joined = np.concatenate([some, gap], axis=1).reshape(-1, 2).astype(np.float32)
    ends, starts = path[:, -1], path[:, begin]
    seeds = np.arange(len(path))
    hover = "seed %{customdata}: (%{x:.4g}, %{y:.4g})<extra></extra>"
    colour = PLAYERS[1]
    return [
        go.Scatter(
            x=joined[:, 0],
            y=joined[:, 1],
            mode="lines",
            name="path of a seed",
            legendgroup="path",
            showlegend=legend,
            line={"color": translucent(colour, 0.5), "width": 1},
            hoverinfo="skip",
        ),
        go.Scatter(
            x=starts[:, 0],
            y=starts[:, 1],
            mode="markers",
            name="when uniform play ends" if training.config["phases"]["uniform"] else "at the first evaluation",
            legendgroup="start",
            showlegend=legend,
            customdata=seeds,
            marker={"symbol": "circle-open", "size": 6, "color": INK, "line": {"width": 1}},
            hovertemplate=hover,
        ),
        go.Scatter(
            x=ends[:, 0],
            y=ends[:, 1],
            mode="markers",
            name="in the end",
            legendgroup="end",
            showlegend=legend,
            customdata=seeds,
            marker={"size": 8, "color": colour, "line": {"color": "white", "width": 1}},
            hovertemplate=hover,
        ),
    ]


def _marks(training: Training, *, legend: bool) -> go.Scatter | None:
    known = known_actions(training.game)
    if not known:
        return None
    return go.Scatter(
        x=[actions[0][0] for _, actions in known],
        y=[actions[1][0] for _, actions in known],
        mode="markers",
        name="known equilibrium",
        legendgroup="known",
        showlegend=legend,
        text=[note for note, _ in known],
        marker={"symbol": "x-thin", "size": 15, "line": {"color": INK, "width": 2.5}},
        hovertemplate="equilibrium at (%{x:.4g}, %{y:.4g}): %{text}<extra></extra>",
    )

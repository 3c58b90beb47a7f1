"""Pictures of mean-field equilibria: where the population is, where it goes, and what it does."""

from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from plotly.subplots import make_subplots

from equinfer.records import Solution
from equinfer.report.at_rest import is_at_rest, law_at_rest
from equinfer.report.places import names_of
from equinfer.report.theme import INK, MASS, PROBABILITY, cut, dress, number, shortened

__all__ = ["actions_over_time", "flow_maps", "is_on_a_plane"]

MOST_FRAMES = 6
"""Moments that a flow over a grid of two axes is drawn at."""
MOST_ARROWS = 900
"""Of a panel: of more, those where most players are."""
MOST_SIDE = 420
"""Pixels of a frame."""
EMPTY = 1e-3
"""Of the fullest cell: where fewer are, nobody's arrow is drawn."""
MOST_PANELS = 8
"""Actions that have a panel, those of the most players first."""


def flow_maps(solution: Solution) -> go.Figure | None:
    """Where every population is: frames over a grid of two axes (of three: floor below floor), else states against
    time; arrows show where players go on average, where actions are displacements. A bar for each state where the
    population is at rest. None for other answers.
    """
    if solution.flows is None:
        return None
    grid = solution.game.grid
    if grid is not None and is_on_a_plane(solution):
        return _frames(solution, grid)
    return law_at_rest(solution) if is_at_rest(solution) else _over_time(solution)


def is_on_a_plane(solution: Solution) -> bool:
    """Whether populations are drawn cell by cell of a grid of two axes, or floor by floor of three."""
    grid = solution.game.grid
    return grid is not None and len(grid) in (2, 3) and min(grid) > 1


def actions_over_time(solution: Solution) -> go.Figure | None:
    """The probability of each action, states against time, of the populations one below the other; None for answers of
    other kinds, of populations at rest, and over grids of two axes, whose arrows say it.
    """
    on_a_grid = solution.game.grid is not None and len(solution.game.grid) > 1
    if solution.flows is None or is_at_rest(solution) or on_a_grid:
        return None
    flows = _with_time(solution)
    panels = max(min(flow.shape[-1], MOST_PANELS) for flow in flows)
    rows = len(flows)
    result = make_subplots(
        rows=rows,
        cols=panels,
        shared_xaxes=True,
        shared_yaxes=True,
        horizontal_spacing=0.02,
        vertical_spacing=0.3 / rows**2,
        subplot_titles=_titles(solution, flows, panels),
    )
    for row, (policy, flow) in enumerate(zip(solution.profile, flows, strict=True), start=1):
        whole = policy if policy.ndim == 3 else policy[None]
        seen = np.where(flow.sum(axis=-1, keepdims=True) > 0, whole, np.nan)
        for column, action in enumerate(_shown_actions(flow), start=1):
            result.add_trace(
                _heat(seen[:, :, action].T, solution, zmax=1.0, what="probability", bar=row == 1 and column == panels),
                row=row,
                col=column,
            )
    dress(result, height=rows * _height(solution) + 60)
    result.update_xaxes(title="time", row=rows)
    result.update_xaxes(**_whole_epochs(flows))
    result.update_yaxes(autorange="reversed", showgrid=False)
    return result


def _whole_epochs(flows: list[Float[np.ndarray, "H S _"]]) -> dict[str, Any]:
    """A tick for each where there are few, of which some would be halves otherwise."""
    return {"dtick": 1} if len(flows[0]) <= 6 else {}


def _titles(solution: Solution, flows: list[Float[np.ndarray, "H S _"]], panels: int) -> list[str]:
    titles = []
    for p, flow in enumerate(flows):
        names = [solution.game.actions[p][action] for action in _shown_actions(flow)]
        of = f"{names_of(solution)[p]}: " if len(flows) > 1 else ""
        titles += [cut(f"{of}{name}", 90 // panels) for name in names] + [""] * (panels - len(names))
    return titles


def _shown_actions(flow: Float[np.ndarray, "H S A"]) -> Int[np.ndarray, " K"]:
    """Those that most players take, in their own order."""
    return np.sort(np.argsort(-flow.sum(axis=(0, 1)), kind="stable")[:MOST_PANELS])


def _over_time(solution: Solution) -> go.Figure:
    """States downwards, time across."""
    flows = _with_time(solution)
    titles = names_of(solution) if len(flows) > 1 else None
    result = make_subplots(rows=len(flows), subplot_titles=titles, vertical_spacing=0.3 / len(flows) ** 2)
    for p, flow in enumerate(flows):
        mass = flow.sum(axis=-1)
        heat = _heat(mass.T, solution, zmax=float(mass.max()), what="mass", bar=p == 0, colours=MASS)
        result.add_trace(heat, row=p + 1, col=1)
        moves = _moves(solution, p)
        if moves is not None and len(mass) > 1:
            time, state = _crowded(mass)
            along = _mean_moves(solution, p, moves)[time, state, 0]
            arrows = _arrows(time, state, np.full(len(time), 0.4), 0.4 * along)
            result.add_trace(arrows, row=p + 1, col=1)
    dress(result, height=len(flows) * _height(solution) + 60, showlegend=False)
    result.update_xaxes(title="time", row=len(flows))
    result.update_xaxes(**_whole_epochs(flows))
    result.update_yaxes(autorange="reversed", showgrid=False)
    return result


def _frames(solution: Solution, grid: tuple[int, ...]) -> go.Figure:
    """The grid at several moments, each in shades of its own."""
    flows, at_rest = _with_time(solution), is_at_rest(solution)
    times = np.unique(np.linspace(0, len(flows[0]) - 1, MOST_FRAMES).round().astype(int))
    titles = [
        f"{'' if at_rest else f't = {t}: '}up to {number(flow[t].sum(-1).max(), 2)}" for flow in flows for t in times
    ]
    result = make_subplots(
        rows=len(flows),
        cols=len(times),
        subplot_titles=titles,
        horizontal_spacing=0.015,
        vertical_spacing=0.25 / len(flows) ** 2,
    )
    height, width = _sheet(np.zeros(grid)).shape
    for p, flow in enumerate(flows):
        moves = _moves(solution, p)
        ahead = None if moves is None else _mean_moves(solution, p, moves)
        for column, t in enumerate(times, start=1):
            mass = flow[t].sum(axis=-1)
            heat = go.Heatmap(
                z=_sheet(mass.reshape(grid)),
                zmin=0,
                zmax=float(mass.max()),
                colorscale=MASS,
                showscale=False,
                hovertemplate="row %{y}, column %{x}: %{z:.4g}<extra></extra>",
            )
            result.add_trace(heat, row=p + 1, col=column)
            if ahead is not None and len(grid) == 2:
                _, cell = _crowded(mass[None])
                y, x = np.divmod(cell, width)
                result.add_trace(
                    _arrows(x, y, 0.45 * ahead[t, cell, 1], 0.45 * ahead[t, cell, 0]), row=p + 1, col=column
                )
    side = min(1000 / len(times), MOST_SIDE)
    dress(
        result,
        height=int(len(flows) * (side * height / width + 30) + 40),
        showlegend=False,
        margin={"l": 8 if len(flows) == 1 else 40, "r": 8, "t": 30, "b": 8},
    )
    plain = {"showticklabels": False, "showgrid": False, "constrain": "domain", "mirror": True}
    result.update_xaxes(**plain)
    result.update_yaxes(**plain, autorange="reversed")
    for panel in range(len(flows) * len(times)):
        axis = "" if panel == 0 else str(panel + 1)
        result.layout[f"yaxis{axis}"].update(scaleanchor=f"x{axis}")
    if len(flows) > 1:
        for p, name in enumerate(names_of(solution)):
            result.update_yaxes(title=name, row=p + 1, col=1)
    for note in result.layout.annotations:
        note.font.size = 11
    return result


def _sheet(mass: Float[np.ndarray, "*floors rows columns"]) -> Float[np.ndarray, "height columns"]:
    """On two axes: floors one below the other, an empty row between them."""
    if mass.ndim == 2:
        return mass
    apart = np.full((len(mass), 1, mass.shape[2]), np.nan)
    return np.concatenate([mass, apart], axis=1).reshape(-1, mass.shape[2])[:-1]


def _with_time(solution: Solution) -> list[Float[np.ndarray, "H S _"]]:
    """Of a stationary game a single moment."""
    assert solution.flows is not None
    return [flow if flow.ndim == 3 else flow[None] for flow in solution.flows]


def _moves(solution: Solution, p: int) -> Float[np.ndarray, "A axes"] | None:
    moves = solution.game.moves
    if moves is None or moves[p] is None or solution.game.grid is None:
        return None
    return np.array(moves[p], float)


def _mean_moves(solution: Solution, p: int, moves: Float[np.ndarray, "A axes"]) -> Float[np.ndarray, "H S axes"]:
    policy = solution.profile[p] @ moves
    return policy if policy.ndim == 3 else policy[None]


def _crowded(mass: Float[np.ndarray, "H S"]) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """Times and states where players are, of very many those with most of them."""
    flat = np.where(mass > EMPTY * mass.max(axis=1, keepdims=True), mass, 0.0).ravel()
    places = np.argsort(-flat, kind="stable")[: min(MOST_ARROWS, np.count_nonzero(flat))]
    time, state = np.divmod(np.sort(places), mass.shape[1])
    return time, state


def _arrows(x: np.ndarray, y: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> go.Scatter:
    """From the middles of cells; a dot for those who stay."""
    nothing = np.full(len(x), np.nan)
    moving = np.hypot(dx, dy) > 1e-3
    ends = np.stack([x, x + dx, nothing], axis=1), np.stack([y, y + dy, nothing], axis=1)
    sizes = np.stack([np.where(moving, 0, 3), np.where(moving, 6, 0), np.zeros(len(x))], axis=1)
    return go.Scatter(
        x=ends[0].ravel(),
        y=ends[1].ravel(),
        mode="lines+markers",
        line={"color": INK, "width": 1},
        marker={
            "symbol": np.where(np.tile([False, True, False], len(x)), "arrow", "circle"),
            "size": sizes.ravel(),
            "angleref": "previous",
            "color": INK,
            "line": {"width": 0},
        },
        hoverinfo="skip",
    )


def _heat(
    z: Float[np.ndarray, "S H"], solution: Solution, *, zmax: float, what: str, bar: bool, colours: Any = PROBABILITY
) -> go.Heatmap:
    return go.Heatmap(
        z=z,
        y=_state_names(solution),
        zmin=0,
        zmax=zmax,
        colorscale=colours,
        showscale=bar,
        colorbar={"title": what, "thickness": 12},
        hovertemplate="time %{x}, state %{y}: %{z:.4g}<extra></extra>",
    )


def _state_names(solution: Solution) -> list[str] | None:
    """None, which counts them, where arrows need numbers or labels are numbers already."""
    labels = solution.game.states
    numbered = solution.game.moves is not None or all(label.isdecimal() for label in labels)
    return None if numbered else shortened(labels, 14)


def _height(solution: Solution) -> int:
    return int(min(420, max(150, 60 + 22 * len(solution.game.states))))

"""The page of many equilibria of one game: a table, a picture of their values, and the policies of the first few."""

import os
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
import plotly.offline

from equinfer.families import Equilibria, start_values
from equinfer.report.page import embedded, write_page
from equinfer.report.policies import policy_maps
from equinfer.report.theme import MUTED, PLAYERS, figure, number, player_name

__all__ = ["value_picture", "write_equilibria"]

MOST_POLICIES = 12
"""Equilibria whose policies are drawn."""
MOST_STATES = 40
"""States up to which they are."""
_MARKS = {
    True: ("stable", PLAYERS[2], "circle"),
    False: ("unstable", PLAYERS[1], "x"),
    None: ("stability undetermined", MUTED, "diamond-open"),
}


class _Row(NamedTuple):
    """One line of the table."""

    number: int
    values: list[str]
    welfare: str
    mixing: str
    gap: str
    stability: str
    component: int


def write_equilibria(equilibria: Equilibria, path: str | os.PathLike[str]) -> None:
    """Write the page of `equilibria`."""
    drawn = [
        (k, embedded(policy_maps(solution), f"policies-{k}"))
        for k, solution in enumerate(equilibria[:MOST_POLICIES])
        if len(solution.game.states) <= MOST_STATES
    ]
    picture = value_picture(equilibria)
    write_page(
        "equilibria.html.j2",
        path,
        equilibria=equilibria,
        players=[player_name(label) for label in equilibria.game.players],
        rows=[_row(equilibria, k) for k in range(len(equilibria))],
        components=len(set(equilibria.components)),
        picture=None if picture is None else embedded(picture, "values"),
        policies=drawn,
        hidden=len(equilibria) - len(drawn),
        plotly=plotly.offline.get_plotlyjs(),
    )


def value_picture(equilibria: Equilibria) -> go.Figure | None:
    """Values of the first two players against each other, a point per equilibrium; None where there is nothing."""
    if not equilibria or len(equilibria.game.players) < 2:
        return None
    values = np.stack([start_values(solution) for solution in equilibria])
    traces = []
    for verdict in _MARKS:
        chosen = [k for k, stable in enumerate(equilibria.stable) if stable is verdict]
        if not chosen:
            continue
        name, colour, symbol = _MARKS[verdict]
        traces.append(
            go.Scatter(
                x=values[chosen, 0],
                y=values[chosen, 1],
                name=name,
                mode="markers+text" if len(equilibria) <= 40 else "markers",
                text=[str(k) for k in chosen],
                textposition="top center",
                marker={"color": colour, "symbol": symbol, "size": 10, "opacity": 0.85},
                hovertemplate="equilibrium %{text}: %{x:.6g}, %{y:.6g}<extra></extra>",
            )
        )
    names = [player_name(label) for label in equilibria.game.players[:2]]
    result = figure(*traces, height=440)
    result.update_xaxes(title=f"value of {names[0]}")
    result.update_yaxes(title=f"value of {names[1]}")
    return result


def _row(equilibria: Equilibria, k: int) -> _Row:
    solution, stability = equilibria[k], equilibria.stabilities[k]
    sizes = [np.count_nonzero(policy, axis=-1).ravel() for policy in solution.profile]
    if all(size.size == 1 for size in sizes):
        mixing = " × ".join(str(int(size[0])) for size in sizes)
    else:
        mixing = f"{int(sum((size > 1).sum() for size in sizes))} of {sum(size.size for size in sizes)}"
    return _Row(
        number=k,
        values=[number(float(value), 6) for value in start_values(solution)],
        welfare=number(float(equilibria.welfare[k]), 6),
        mixing=mixing,
        gap=number(solution.gap, 2),
        stability=stability.word,
        component=equilibria.components[k],
    )

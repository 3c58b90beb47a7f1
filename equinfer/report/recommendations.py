"""Picture: what the mediator draws: of two players a matrix for every state, of more the likeliest draws."""

from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from equinfer.answer import RARE
from equinfer.records import Solution
from equinfer.report.places import horizon_of
from equinfer.report.theme import PROBABILITY, cut, dress, epoch_states, number, player_name, shortened

__all__ = ["MOST_PLACES", "Draw", "likeliest_draws", "recommendation_maps"]

MOST_PLACES = 12
"""States (of all epochs) that are drawn."""
MOST_DRAWS = 12
ACROSS = 3
TEXT_CELLS = 150
"""Joint actions up to which each says its probability."""


class Draw(NamedTuple):
    """One joint action that may be drawn."""

    place: str
    actions: tuple[str, ...]
    probability: float


def recommendation_maps(solution: Solution) -> go.Figure | None:
    """A matrix for each state: player 0's part downwards, player 1's across; None unless there are two players."""
    laws = _laws(solution)
    if laws is None or len(solution.game.players) != 2:
        return None
    names = epoch_states(solution.game.states, horizon_of(solution))
    shown = min(len(laws), MOST_PLACES)
    across = min(shown, ACROSS)
    down = -(-shown // across)
    rows, columns = (shortened(labels, 14) for labels in solution.game.actions)
    cell = 36 if len(rows) <= 8 else 18
    height = 100 + down * (cell * len(rows) + 70)
    result = make_subplots(
        rows=down,
        cols=across,
        subplot_titles=[f"state {name}" if name.isdecimal() else name for name in names[:shown]]
        if len(names) > 1
        else None,
        horizontal_spacing=0.12 if across > 1 else 0.0,
        vertical_spacing=70 / height if down > 1 else 0.0,
    )
    texts = laws[0].size <= TEXT_CELLS
    for place, law in enumerate(laws[:shown]):
        legal = np.ones_like(law, bool) if solution.tables is None else _legal(solution, place)
        turned = np.where(legal, law, np.nan)[::-1]  # the last row goes to the bottom of an axis
        result.add_trace(
            go.Heatmap(
                z=turned,
                x=columns,
                y=rows[::-1],
                zmin=0,
                zmax=1,
                colorscale=PROBABILITY,
                showscale=False,
                text=[[number(float(p), 4) if p >= RARE else "" for p in row] for row in turned] if texts else None,
                texttemplate="%{text}" if texts else None,
                hovertemplate="%{y}, %{x}: %{z:.6g}<extra></extra>",
                xgap=1,
                ygap=1,
            ),
            row=place // across + 1,
            col=place % across + 1,
        )
    first, second = (cut(player_name(label), 24) for label in solution.game.players)
    width = min(960, max(480, across * (150 + max(70, cell) * len(columns))))
    top = 76 if len(names) > 1 else 44
    dress(result, height=height, width=width, margin={"l": 60, "r": 24, "t": top, "b": 40})
    result.update_layout(
        title={
            "text": f"{first} ↓&#160;&#160; {second} →",
            "font": {"size": 13},
            "x": 0.01,
            "y": 1.0,
            "yanchor": "top",
            "pad": {"t": 10},
        }
    )
    result.update_xaxes(type="category", showgrid=False)
    result.update_yaxes(type="category", showgrid=False, automargin=True)
    return result


def likeliest_draws(solution: Solution) -> tuple[Draw, ...]:
    """Of more than two players: the likeliest joint actions of the first states, in order."""
    laws = _laws(solution)
    if laws is None or len(solution.game.players) == 2:
        return ()
    names = epoch_states(solution.game.states, horizon_of(solution))
    most = MOST_DRAWS if len(laws) == 1 else MOST_DRAWS // 3
    draws = []
    for name, law in zip(names[:MOST_PLACES], laws, strict=False):
        for cell in np.argsort(-law, axis=None, kind="stable")[:most]:
            index = np.unravel_index(cell, law.shape)
            if law[index] > RARE:
                told = tuple(labels[a] for labels, a in zip(solution.game.actions, index, strict=True))
                draws.append(Draw(name if len(names) > 1 else "", told, float(law[index])))
    return tuple(draws)


def _laws(solution: Solution) -> np.ndarray | None:
    """Place by place, (places, A_1, ..., A_N)."""
    if solution.joint is None:
        return None
    return solution.joint.reshape(-1, *map(len, solution.game.actions))


def _legal(solution: Solution, place: int) -> np.ndarray:
    assert solution.tables is not None
    first, second = (mask[place % solution.tables.num_states] for mask in solution.tables.legal)
    return first[:, None] & second

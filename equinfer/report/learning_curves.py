"""Pictures: what was earned while agents learnt, and what their algorithm watched."""

import itertools

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from equinfer.report.bands import add_band, agent_names, shade_phases, watched_evaluations
from equinfer.report.theme import PLAYERS, dress, player_colour
from equinfer.runs import Training

__all__ = ["return_curves", "shares_rewards", "watched_curves"]

MOST_AGENTS = 6
MOST_PAIRS = 12
_DASHES = ("solid", "dash", "dot", "dashdot")


def shares_rewards(training: Training) -> bool:
    """Whether everybody earned the same all along, which single precision may round."""
    returns = training.returns[np.isfinite(training.returns).all(axis=2)]
    away = np.abs(returns - returns[:, :1]).max(initial=0.0)
    return bool(away <= 1e-5 * max(1.0, np.abs(returns).max(initial=0.0)))


def return_curves(training: Training) -> go.Figure:
    """Returns of executed play, and of play without chance, side by side against the steps."""
    panels = ("as executed, chance included", "without chance")
    result = make_subplots(rows=1, cols=2, shared_yaxes=True, horizontal_spacing=0.03, column_titles=panels)
    chosen = watched_evaluations(training)
    agents = 1 if shares_rewards(training) else min(len(training.game.player_labels), MOST_AGENTS)
    names = ["every agent"] if shares_rewards(training) else agent_names(training)
    for agent, (col, values) in itertools.product(
        range(agents), enumerate((training.returns, training.deterministic_returns), 1)
    ):
        rows = values[:, chosen, agent]
        add_band(
            result,
            training.steps[chosen],
            rows,
            names[agent],
            player_colour(agent),
            row=1,
            col=col,
            legend=col == 1,
        )
    dress(result, height=420)
    shade_phases(result, training, panels=2)
    result.update_yaxes(title="return of an episode", col=1)
    result.update_xaxes(title="step", range=[0, float(training.steps[-1])])
    return result


def watched_curves(training: Training) -> go.Figure | None:
    """Trust weights, temperatures and noise against the steps; None if the algorithm watches nothing of the kind."""
    trace, names = training.trace, agent_names(training)
    panels: list[tuple[str, list[tuple[str, str, str, np.ndarray]]]] = []
    if "trust" in trace:
        panels.append(("trust weight", _trust(trace["trust"], names)))
    for watched, title in (("temperature", "temperature, in units of reward"), ("noise", "level of the noise")):
        if watched in trace:
            panels.append((title, _by_agent(np.asarray(trace[watched], float), names)))
    if not panels:
        return None
    result = make_subplots(
        rows=1, cols=len(panels), horizontal_spacing=0.08, column_titles=[title for title, _ in panels]
    )
    chosen, drawn = watched_evaluations(training), set()
    for col, (title, lines) in enumerate(panels, 1):
        for name, colour, dash, rows in lines:
            first = name not in drawn
            add_band(
                result, training.steps[chosen], rows[:, chosen], name, colour, row=1, col=col, legend=first, dash=dash
            )
            drawn.add(name)
        if title.startswith("temperature"):
            result.update_yaxes(rangemode="tozero", col=col)
    dress(result, height=380)
    shade_phases(result, training, panels=len(panels), above=False)
    result.update_xaxes(title="step", range=[0, float(training.steps[-1])])
    return result


def _trust(values: np.ndarray, names: list[str]) -> list[tuple[str, str, str, np.ndarray]]:
    """(seeds, K, N, J), of each agent in each of the others: a colour for who trusts, a dash for whom."""
    lines = []
    for i, name in enumerate(names):
        for k, j in enumerate(j for j in range(len(names)) if j != i):
            lines.append((f"{name} in {names[j]}", player_colour(i), _DASHES[k % len(_DASHES)], values[:, :, i, k]))
    return lines[:MOST_PAIRS]


def _by_agent(values: np.ndarray, names: list[str]) -> list[tuple[str, str, str, np.ndarray]]:
    """(seeds, K, N); one line if all agents have the same."""
    if np.ptp(values, axis=2).max(initial=0.0) <= 1e-6 * np.abs(values).max(initial=0.0):
        return [("every agent", PLAYERS[-1], "solid", values[:, :, 0])]
    return [(name, player_colour(i), "solid", values[:, :, i]) for i, name in enumerate(names[:MOST_AGENTS])]

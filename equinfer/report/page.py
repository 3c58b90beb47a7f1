"""The page: one self-contained HTML file that opens in ten years."""

import importlib.metadata
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

import jinja2
import numpy as np
import plotly.graph_objects as go
import plotly.offline

from equinfer.answer import RARE
from equinfer.records import Solution
from equinfer.report.at_rest import is_at_rest
from equinfer.report.beliefs import belief_error_picture, belief_picture
from equinfer.report.deviations import deviation_rows, gains_by_state
from equinfer.report.path import probability_path
from equinfer.report.payoff_table import payoff_tables
from equinfer.report.places import names_of, never_signalled
from equinfer.report.policies import MOST_ROWS, policy_maps
from equinfer.report.population import actions_over_time, flow_maps, is_on_a_plane
from equinfer.report.progress import gap_along_the_way
from equinfer.report.reachable import reachable_map
from equinfer.report.recommendations import MOST_PLACES, likeliest_draws, recommendation_maps
from equinfer.report.signal import signal_map
from equinfer.report.temperatures import temperature_map
from equinfer.report.theme import number
from equinfer.solvers.correlated.payoff_set import ReachablePayoffs
from equinfer.writing import written_atomically

__all__ = ["IndexEntry", "embedded", "plot", "write_index", "write_page", "write_report"]

MOST_VALUES = 24
"""States whose values the table lists."""


def plot(solution: Solution) -> go.Figure:
    """The figure that stands for an answer in a notebook: what is recommended, the population, or the policies."""
    return recommendation_maps(solution) or flow_maps(solution) or policy_maps(solution)


def write_report(
    solution: Solution, path: str | os.PathLike[str], *, reachable: ReachablePayoffs | None = None
) -> None:
    """Write the page of `solution`: the answer, its certificate, and pictures of both.

    **Arguments:** `reachable`, what can be got in correlated equilibria of its game, to be drawn around the answer.
    """
    at_rest = is_at_rest(solution)
    in_bars = at_rest and not is_on_a_plane(solution)
    pictures = {
        "signal": signal_map(solution),
        "recommendations": recommendation_maps(solution),
        "reachable": reachable_map(solution, reachable),
        "flow": flow_maps(solution),
        "policies": policy_maps(solution) if solution.flows is None or in_bars else actions_over_time(solution),
        "progress": gap_along_the_way(solution),
        "seconds": None if solution.flows is None else gap_along_the_way(solution, in_seconds=True),
        "temperatures": temperature_map(solution),
        "models": belief_picture(solution),
        "beliefs": belief_error_picture(solution),
        "path": probability_path(solution),
        "gains": gains_by_state(solution),
    }
    drawn = {name: embedded(picture, name) for name, picture in pictures.items() if picture is not None}
    write_page(
        "page.html.j2",
        path,
        solution=solution,
        certificate=solution.certificate,
        players=names_of(solution),
        pictures=drawn,
        payoff_tables=payoff_tables(solution),
        deviations=deviation_rows(solution),
        draws=likeliest_draws(solution),
        hidden_places=max(0, solution.values[0].size - MOST_PLACES),
        value_names=_value_names(solution),
        valued_states=len(_states_with_values(solution)),
        values=_value_rows(solution),
        hidden_rows=max(0, _policy_rows(solution) - MOST_ROWS) if solution.flows is None or in_bars else 0,
        at_rest=at_rest,
        in_bars=in_bars,
        facts=_facts(solution),
        plotly=plotly.offline.get_plotlyjs(),
    )


class IndexEntry(NamedTuple):
    """One line of an index of reports."""

    title: str
    href: str
    solution: Solution


def write_index(entries: Sequence[IndexEntry], path: str | os.PathLike[str]) -> None:
    """Write a page that links to the reports of several answers."""
    write_page("index.html.j2", path, entries=entries)


def write_page(template: str, path: str | os.PathLike[str], **context: Any) -> None:
    """Fill in one of our templates, and write it whole or not at all."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("equinfer.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["number"] = number
    environment.globals["rare"] = RARE
    text = environment.get_template(template).render(version=importlib.metadata.version("equinfer"), **context)
    with written_atomically(path) as file:
        file.write(text.encode())


def embedded(picture: go.Figure, name: str) -> str:
    """A picture as a piece of a page that loads plotly once."""
    return picture.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,  # a name instead of a random one, so that the same answer writes the same page
        config={"displayModeBar": False, "responsive": True},
    )


def _policy_rows(solution: Solution) -> int:
    return int((~never_signalled(solution)).sum())


def _value_names(solution: Solution) -> list[str]:
    """What the numbers of `_value_rows` are."""
    names = names_of(solution)
    if solution.concept != "zero-sum":
        return names
    first, second = names
    return [f"value, to {first}", f"{first} makes sure of", f"{second} gives no more than", "sum of both gains"]


def _value_rows(solution: Solution) -> list[tuple[str, list[str]]]:
    """The first states with every player's value, of the first epoch where there are several.

    Of a zero-sum game one value, and what either policy makes sure of whatever the other player does.
    """
    values = solution.values[:, 0] if solution.values.ndim == 3 else solution.values
    if solution.concept == "zero-sum":
        first, second = (each.gain.reshape(solution.values.shape[1:]) for each in solution.certificate.deviations)
        if solution.values.ndim == 3:
            first, second = first[0], second[0]
        values = np.stack([values[0], values[0] - second, values[0] + first, first + second])
    noise = solution.certificate.numerical_error
    values = np.where(np.abs(values) <= noise, 0.0, values)
    return [
        (solution.game.states[state], [number(float(value[state]), 8) for value in values])
        for state in _states_with_values(solution)[:MOST_VALUES]
    ]


def _states_with_values(solution: Solution) -> list[int]:
    """Those where somebody of a mean-field game begins, or is at rest; of other games all."""
    if solution.flows is None:
        return list(range(len(solution.game.states)))
    first = [flow[0] if flow.ndim == 3 else flow for flow in solution.flows]
    return np.flatnonzero(sum(flow.sum(axis=-1) for flow in first)).tolist()


def _facts(solution: Solution) -> list[tuple[str, str]]:
    tables = solution.tables
    who = "players" if solution.flows is None else "populations"
    facts = [
        (who, str(len(solution.game.players))),
        ("states", str(len(solution.game.states))),
        ("actions", " × ".join(str(len(actions)) for actions in solution.game.actions)),
    ]
    if is_at_rest(solution):
        facts.append(("horizon", "none: the population is at rest"))
    elif solution.flows is not None:
        facts.append(("horizon", f"{solution.values.shape[1]} decision epochs"))
    if tables is not None:
        if tables.horizon is not None:
            facts.append(("horizon", f"{tables.horizon} decision epochs"))
        if not tables.is_one_shot and (tables.horizon is None or (tables.discount != 1).any()):
            facts.append(("discount", ", ".join(dict.fromkeys(number(float(g), 6) for g in tables.discount))))
    if solution.objective is not None and solution.objective_value is not None:
        best = "the best" if solution.objective_certified else "not proven to be the best"
        facts.append((solution.objective, f"{number(solution.objective_value, 6)}, {best}"))
    if solution.route is not None:
        facts.append(("by way of", solution.route))
    facts.append(("payoff scale", number(solution.payoff_scale)))
    facts.append(("solver", solution.solver))
    facts += [("tried", str(attempt)) for attempt in solution.tried]
    facts.append(("seconds", number(float(solution.seconds["total"]), 3)))
    return facts

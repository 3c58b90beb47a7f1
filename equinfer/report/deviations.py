"""Picture: the best deviations: why this is, or is not, an equilibrium."""

from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

from equinfer.answer import RARE
from equinfer.records import Solution
from equinfer.report.places import names_of, place_names
from equinfer.report.theme import figure, number, player_colour

__all__ = ["DeviationRow", "deviation_rows", "gains_by_state"]

MOST_BARS = 80


@dataclass(frozen=True)
class DeviationRow:
    """One player's best deviation, in words."""

    player: str
    gain: str
    place: str
    plays: str
    instead: str


def deviation_rows(solution: Solution) -> tuple[DeviationRow, ...]:
    """For each player the place where deviating gains most, what is played there and what would be better."""
    rows, names, players = [], place_names(solution), names_of(solution)
    for player, deviation in enumerate(solution.certificate.deviations):
        gain = _weighed(solution, player, deviation.gain)
        place = int(np.argmax(gain))
        actions = solution.game.actions[player]
        own = solution.profile[player].reshape(-1, len(actions))[place]
        instead = deviation.policy.reshape(gain.size, -1, len(actions))[place]
        better = _swaps(instead, own, actions) if len(instead) > 1 else _mixture(instead[0], actions)
        rows.append(
            DeviationRow(
                player=players[player],
                gain=number(float(gain[place]), 3),
                place=names[place] if len(gain) > 1 else "",
                plays=_mixture(own, actions),
                instead=better if gain[place] > _noise(solution) else "nothing gains more than rounding",
            )
        )
    return tuple(rows)


def gains_by_state(solution: Solution) -> go.Figure | None:
    """What each player gains by its best deviation, state by state; None where it is rounding everywhere."""
    gains = [_weighed(solution, player, each.gain) for player, each in enumerate(solution.certificate.deviations)]
    if not gains or max(gain.max() for gain in gains) <= _noise(solution) or gains[0].size == 1:
        return None
    players = names_of(solution)
    worst = np.argsort(-np.max(gains, axis=0), kind="stable")[:MOST_BARS]
    shown, names = np.sort(worst), place_names(solution)
    bars = [
        go.Bar(
            x=[names[row] for row in shown],
            y=gain[shown],
            name=players[player],
            marker={"color": player_colour(player)},
            hovertemplate="%{x}: %{y:.3e}<extra>%{fullData.name}</extra>",
        )
        for player, gain in enumerate(gains)
    ]
    result = figure(*bars, height=340, barmode="group")
    result.update_yaxes(title=f"gain ({solution.certificate.unit})", exponentformat="power")
    result.update_xaxes(type="category")
    return result


def _weighed(solution: Solution, player: int, gain: np.ndarray) -> np.ndarray:
    """Of a population, times the part of it that is there: what few could gain is nearly nothing."""
    if solution.flows is not None:
        gain = gain * solution.flows[player].sum(axis=-1)
    return np.ravel(gain)


def _noise(solution: Solution) -> float:
    return max(solution.certificate.numerical_error, 1e-13 * solution.payoff_scale)


def _mixture(policy: np.ndarray, actions: tuple[str, ...]) -> str:
    """`stay 0.75, go 0.25`: the played actions, likeliest first."""
    order = [action for action in np.argsort(-policy, kind="stable") if policy[action] >= RARE]
    if len(order) == 1:
        return actions[order[0]]
    return ", ".join(f"{actions[action]} {number(float(policy[action]), 3)}" for action in order[:4]) + (
        ", …" if len(order) > 4 else ""
    )


def _swaps(instead: np.ndarray, told: np.ndarray, actions: tuple[str, ...]) -> str:
    """`told stay, go; told go, stay`: the recommendations that may come and are not followed."""
    swapped = [a for a in range(len(actions)) if told[a] >= RARE and instead[a, a] < 1]
    words = [f"told {actions[a]}, play {_mixture(instead[a], actions)}" for a in swapped[:4]]
    return "; ".join(words) + ("; …" if len(swapped) > 4 else "")

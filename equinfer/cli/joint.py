"""Laws over joint actions, and what a player would rather do than it is told, in words."""

import math

import numpy as np
from rich.table import Table

from equinfer.answer import RARE
from equinfer.cli.display import clean, mixed
from equinfer.records import Solution

__all__ = ["objective_in_words", "recommendations", "swaps_in_words"]

SHOWN = 5
"""Joint actions of one state that a summary spells out."""
_LARGEST_MATRIX = 8


def recommendations(solution: Solution, places: list[tuple[int, ...]]) -> Table:
    """What the mediator draws: of two players in one state a matrix, else the likeliest draws in each of `places`."""
    assert solution.joint is not None
    labels = solution.game
    if len(labels.players) == 2 and len(places) == 1 and max(map(len, labels.actions)) <= _LARGEST_MATRIX:
        rows, columns = labels.actions
        table = Table(f"{clean(labels.players[0])} \\ {clean(labels.players[1])}", box=None, pad_edge=False)
        for action in columns:
            table.add_column(clean(action), justify="right")
        for action, law in zip(rows, solution.joint[places[0]], strict=True):
            table.add_row(clean(action), *(f"{p:.4g}" if p > RARE else "-" for p in law.tolist()))
        return table
    table = Table(*(["epoch"] if len(places[0]) > 1 else []), "state", "drawn together", box=None, pad_edge=False)
    for place in places:
        *epoch, state = place
        table.add_row(*map(str, epoch), clean(labels.states[state]), _draws(solution.joint[place], labels.actions))
    return table


def _draws(law: np.ndarray, actions: tuple[tuple[str, ...], ...]) -> str:
    likeliest = np.argsort(-law, axis=None, kind="stable")
    drawn = likeliest[: max(1, int((law > RARE).sum()))]
    words = []
    for cell in drawn[:SHOWN]:
        index = np.unravel_index(cell, law.shape)
        together = ", ".join(clean(labels[a]) for labels, a in zip(actions, index, strict=True))
        words.append(f"({together}) {law[index]:.4g}")
    return "; ".join(words) + (f"; {len(drawn) - SHOWN} more" if len(drawn) > SHOWN else "")


def objective_in_words(solution: Solution) -> str:
    """The objective that the answer was chosen by, its value, and whether that is the best."""
    proven = solution.objective_certified
    best = ", proven to be the best" if proven else ", not proven to be the best of the whole game"
    best = "" if proven is None else best
    value = math.nan if solution.objective_value is None else solution.objective_value
    route = f", by way of {solution.route}" if solution.route else ""
    named = solution.objective in ("welfare", "entropy")
    return f"{'' if named else 'weights '}{solution.objective}: {value:.6g}{best}{route}"


def swaps_in_words(policy: np.ndarray, actions: tuple[str, ...]) -> str:
    """The recommendations that are not followed, and what is done instead: `policy` (A, A)."""
    changed = [a for a, row in enumerate(policy) if row[a] < 1]
    words = [f"told {clean(actions[a])}, play {mixed(policy[a], actions)}" for a in changed[:SHOWN]]
    return "; ".join(words) + (f"; {len(changed) - SHOWN} more" if len(changed) > SHOWN else "")

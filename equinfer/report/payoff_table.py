"""Picture: payoff tables with the equilibrium on their margins, as plain HTML."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from equinfer.answer import PublicPlay, average_play, product
from equinfer.records import Solution
from equinfer.report.theme import number, player_name
from equinfer.tables import Tables

__all__ = ["PayoffTable", "payoff_tables"]

MOST_ACTIONS = 10
"""Actions a side beyond which only the played ones, then the first of the others, are shown."""
MOST_STATES = 6
MOST_SLICES = 8
"""Joint actions of players 2, 3, ... that get a table of their own, if there is one state; otherwise the likeliest."""


@dataclass(frozen=True)
class Cell:
    """One joint action: what each player gets now, and how likely it is, given what players 2, 3, ... do."""

    payoffs: tuple[str, ...]
    probability: float


@dataclass(frozen=True)
class PayoffTable:
    """One state, players 0 and 1 on the sides, everybody else at one joint action."""

    title: str
    row_player: str
    column_player: str
    columns: tuple[tuple[str, float], ...]
    rows: tuple[tuple[str, float, tuple[Cell, ...]], ...]
    omitted: int


def payoff_tables(solution: Solution) -> tuple[PayoffTable, ...]:
    """Tables of the rewards now, for the first states, and for the likeliest actions of players 2, 3, ...

    Of a finite horizon, the margins are the first epoch's.
    """
    tables = solution.tables
    if tables is None or tables.num_players < 2:
        return ()
    epoch = (0,) if solution.values.ndim == 3 else ()
    answer = solution.answer
    policies = average_play(answer) if isinstance(answer, PublicPlay) else solution.profile
    return tuple(
        table
        for state in range(min(tables.num_states, MOST_STATES))
        for table in _of_state(
            tables, tuple(policy[(*epoch, state)] for policy in policies), _law(solution, (*epoch, state)), state
        )
    )


def _law(solution: Solution, place: tuple[int, ...]) -> np.ndarray:
    """Of what all players do at one place, (A_1, ..., A_N)."""
    if solution.joint is not None:
        return solution.joint[place]
    if solution.signal is None:
        return product(tuple(policy[place] for policy in solution.profile))
    called = [
        product(tuple(policy[(w, *place)] for policy in solution.profile)) for w in range(len(solution.profile[0]))
    ]
    return np.tensordot(solution.signal[place], called, axes=1)


def _of_state(tables: Tables, mixed: tuple[np.ndarray, ...], law: np.ndarray, state: int) -> Iterator[PayoffTable]:
    legal = [[int(a) for a in np.flatnonzero(mask[state])] for mask in tables.legal]
    others = list(itertools.product(*legal[2:]))
    weights = [float(law[(slice(None), slice(None), *joint)].sum()) if joint else 1.0 for joint in others]
    slices = MOST_SLICES if tables.num_states == 1 else 1
    likeliest = sorted(range(len(others)), key=lambda index: -weights[index])[:slices]
    rows, columns = (_shown(legal[player], mixed[player]) for player in (0, 1))
    for index in likeliest:
        here = law[(slice(None), slice(None), *others[index])] / (weights[index] or 1.0)
        yield PayoffTable(
            title=_title(tables, state, others[index], weights[index]),
            row_player=player_name(tables.player_labels[0]),
            column_player=player_name(tables.player_labels[1]),
            columns=tuple((tables.action_labels[1][b], float(mixed[1][b])) for b in columns),
            rows=tuple(
                (
                    tables.action_labels[0][a],
                    float(mixed[0][a]),
                    tuple(
                        Cell(
                            tuple(number(r[(state, a, b, *others[index])]) for r in tables.reward),
                            float(here[a, b]),
                        )
                        for b in columns
                    ),
                )
                for a in rows
            ),
            omitted=len(legal[0]) - len(rows) + len(legal[1]) - len(columns),
        )


def _shown(legal: list[int], mixed: np.ndarray) -> np.ndarray:
    """All legal actions, or the most played ones where there are too many, in their own order."""
    order = np.array(legal)[np.argsort(-mixed[legal], kind="stable")]
    return np.sort(order[:MOST_ACTIONS])


def _title(tables: Tables, state: int, others: tuple[int, ...], weight: float) -> str:
    parts = [] if tables.num_states == 1 else [f"state {tables.state_labels[state]}"]
    if others:
        chosen = ", ".join(
            f"{player_name(tables.player_labels[2 + k])}: {tables.action_labels[2 + k][a]}"
            for k, a in enumerate(others)
        )
        parts.append(f"{chosen} (probability {number(weight, 3)})")
    return " · ".join(parts)

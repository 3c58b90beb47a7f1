r"""Stochastic games as a table with one row per state and joint action: the layout of sgamesolver's users.

| state | a_firm | a_buyer | u_firm | u_buyer | phi_low | phi_high |
|-------|--------|---------|--------|---------|---------|----------|
| delta |        |         | 0.9    | 0.8     |         |          |
| low   | wait   | buy     | 1      | 2       | 0.5     | 0.5      |

`a_` columns name the players, in order, and hold the actions' labels; `u_` columns hold the rewards; `phi_` columns,
one for each state, the probabilities of what comes next. One column `to_state` may stand for all of them: it holds
the successor's label, or `low: 0.5, high: 0.5`. The row `delta` holds each player's discount. Other columns are
ignored.
"""

import csv
import io
import math
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer.arguments import ROW_SUM_TOLERANCE
from equinfer.errors import BadInput
from equinfer.games.files.rows import Row, read_rows
from equinfer.games.files.source import decimal, number, write_text
from equinfer.games.kernels import listed, worth_listing
from equinfer.games.tabular import TabularGame
from equinfer.games.validation import checked_discount, checked_horizon, checked_initial
from equinfer.tables import SuccessorLists, refuse_unless_it_fits

__all__ = ["read", "write"]

DELTA = "delta"
"""Label of the row of discounts."""
END = "end"
"""Label of the absorbing state that stands for the end of the game."""
SHOWN = 8
"""Names listed in an error."""

Law = dict[int, float]
"""Probability of each successor that has any; the number of states stands for the end of the game."""


def read(
    path: Path,
    *,
    discount: float | ArrayLike | None = None,
    horizon: int | float | None = None,
    initial: str | ArrayLike | None = None,
    ending: bool = False,
) -> TabularGame:
    """The stochastic game of a table in CSV.

    The legal actions of a state are the labels that occur in it; their full product must be there exactly once.
    States, and each player's actions over all states, are numbered in order of appearance.

    **Arguments:** `discount` instead of the row `delta`; `horizon`, number of decision epochs; `initial`, a state's
    label or one probability per state; `ending=True` reads probabilities that sum to less than one as sgamesolver
    does: with the rest the game ends, in an absorbing state `end` with reward 0. (If nobody's discount exceeds 0,
    what comes next does not matter and may be left out.)

    **Raises:** `BadInput` naming the line, the state and the joint action.
    """
    header, rows = read_rows(path)
    players = _players(path, header)
    factors, rows = _discount(path, players, rows)
    if discount is None:
        discount = factors
    if discount is None and horizon is None:
        raise BadInput(f"{path} has no row {DELTA!r} with the players' discounts: add it, or give discount or horizon.")
    epochs = checked_horizon(horizon)
    gamma = checked_discount(discount, len(players), epochs)
    states = _states(path, players, rows)
    transitions = _Transitions(path, header, tuple(states), ending, stays=epochs is None and not gamma.any())
    moves = [
        _Move(s, joint, row, transitions.law(s, row))
        for s, here in enumerate(states.values())
        for joint, row in here.rows.items()
    ]
    return _assembled(path, players, states, moves, gamma, epochs, initial)


@dataclass
class _State:
    """Rows of one state by joint action, and the line on which each legal action of each player first occurs."""

    actions: tuple[dict[str, int], ...]
    rows: dict[tuple[str, ...], Row] = field(default_factory=dict)


class _Move(NamedTuple):
    """A joint action in a state, and where it leads."""

    state: int
    joint: tuple[str, ...]
    row: Row
    law: Law


def _suffixes(header: tuple[str, ...], prefix: str) -> tuple[str, ...]:
    return tuple(name.removeprefix(prefix) for name in header if name.startswith(prefix))


def _players(path: Path, header: tuple[str, ...]) -> tuple[str, ...]:
    players = _suffixes(header, "a_")
    if "state" not in header or not players:
        raise BadInput(
            f"{path} needs a column 'state' and, for each player, columns a_<player> and u_<player>; "
            f"its header begins with {', '.join(map(repr, header[:SHOWN]))}."
        )
    for player in sorted(set(players) ^ set(_suffixes(header, "u_"))):
        has, lacks = ("a_", "u_") if player in players else ("u_", "a_")
        raise BadInput(f"{path} has a column {has}{player}, but no column {lacks}{player}.")
    return players


def _discount(path: Path, players: tuple[str, ...], rows: list[Row]) -> tuple[list[float] | None, list[Row]]:
    """The players' discounts, if a row has them, and the other rows."""
    found = [row for row in rows if row.cells["state"] == DELTA]
    others = [row for row in rows if row.cells["state"] != DELTA]
    if len(found) > 1:
        found[1].fail(f"a second row {DELTA!r}; the first is on line {found[0].line}")
    if not others:
        raise BadInput(f"{path} has no row of a state.")
    return [found[0].number(f"u_{player}") for player in players] if found else None, others


def _states(path: Path, players: tuple[str, ...], rows: list[Row]) -> dict[str, _State]:
    """The rows by state and joint action, each full product complete."""
    states: dict[str, _State] = {}
    for row in rows:
        label = row.cells["state"]
        if not label:
            row.fail("the column state is empty")
        here = states.setdefault(label, _State(tuple({} for _ in players)))
        joint = tuple(row.cells[f"a_{player}"] for player in players)
        first = here.rows.setdefault(joint, row)
        if first is not row:
            row.fail(f"state {label}, joint action ({', '.join(joint)}) stands there already, on line {first.line}")
        for own, action in zip(here.actions, joint, strict=True):
            own.setdefault(action, row.line)
    for label, here in states.items():
        if len(here.rows) < math.prod(map(len, here.actions)):
            _refuse_incomplete(path, players, label, here)
    return states


def _refuse_incomplete(path: Path, players: tuple[str, ...], label: str, here: _State) -> None:
    missing = next(joint for joint in product(*here.actions) if joint not in here.rows)
    seldom = {
        (player, action): sum(joint[i] == action for joint in here.rows)
        for i, (player, action) in enumerate(zip(players, missing, strict=True))
    }
    player, action = min(seldom, key=seldom.__getitem__)
    line = here.actions[players.index(player)][action]
    raise BadInput(
        f"{path}: state {label} has no row for the joint action ({', '.join(missing)}): each combination of the "
        f"actions that occur in a state needs one (action {action!r} of player {player} first occurs on line {line})."
    )


class _Transitions:
    """Reads where a row leads, in either layout."""

    def __init__(self, path: Path, header: tuple[str, ...], states: tuple[str, ...], ending: bool, stays: bool):
        self.number = {label: s for s, label in enumerate(states)}
        self.ending, self.stays = ending, stays
        named = _suffixes(header, "phi_")
        self.columns = [(f"phi_{label}", s) for label, s in self.number.items()] if named else []
        if bool(named) == ("to_state" in header):
            which = "both phi_ columns and" if named else "neither phi_ columns nor"
            raise BadInput(f"{path} has {which} a column to_state; one of the two says which state comes next.")
        for label in named:
            if label not in self.number:
                raise BadInput(f"{path} has a column phi_{label}, but no row of a state {label}.")
        for label in set(states) - set(named) if named else ():
            raise BadInput(f"{path} has rows of the state {label}, but no column phi_{label}.")

    def law(self, state: int, row: Row) -> Law:
        """Successors of one row; what is left of the probability ends the game, if anything may."""
        law = self._listed(row) if self.columns else self._named(row)
        total = math.fsum(law.values())
        if total < 1 - ROW_SUM_TOLERANCE and (self.ending or self.stays):
            rest = len(self.number) if self.ending and not self.stays else state
            law[rest] = law.get(rest, 0.0) + 1 - total
        elif abs(total - 1) > ROW_SUM_TOLERANCE:
            hint = " (ending=True reads the rest as the end of the game)" if total < 1 else ""
            row.fail(f"the probabilities of the next state sum to {total:.10g}, not to one{hint}")
        return law

    def _listed(self, row: Row) -> Law:
        law = {s: row.number(column) for column, s in self.columns if row.cells[column] != "0"}
        for s, probability in law.items():
            if not 0 <= probability <= 1 + ROW_SUM_TOLERANCE:
                row.fail(f"{self.columns[s][0]} is {probability:g}, which is not a probability")
        return law

    def _named(self, row: Row) -> Law:
        text = row.cells["to_state"]
        if text in self.number:
            return {self.number[text]: 1.0}
        law: Law = {}
        for part in filter(str.strip, text.removeprefix("{").removesuffix("}").split(",")):
            label, colon, probability = (piece.strip().strip('"') for piece in part.rpartition(":"))
            value = number(probability) if colon else None
            if label not in self.number or value is None:
                known = ", ".join(list(self.number)[:SHOWN]) + (", ..." if len(self.number) > SHOWN else "")
                row.fail(f"to_state must be a state ({known}) or 'state: probability, ...', not {text!r}")
            if not 0 <= value <= 1 + ROW_SUM_TOLERANCE:
                row.fail(f"to_state gives {label} {value:g}, which is not a probability")
            law[self.number[label]] = law.get(self.number[label], 0.0) + value
        return law


def _assembled(
    path: Path,
    players: tuple[str, ...],
    states: dict[str, _State],
    moves: list[_Move],
    discount: Float[np.ndarray, " N"],
    horizon: int | None,
    initial: str | ArrayLike | None,
) -> TabularGame:
    end, labels = len(states), list(states)
    if any(end in move.law for move in moves):
        labels.append(next(name for name in (END + "_" * k for k in range(end + 1)) if name not in states))
    actions = tuple(
        tuple(dict.fromkeys(label for here in states.values() for label in here.actions[i]))
        for i in range(len(players))
    )
    sizes = tuple(map(len, actions))
    longest = max(len(move.law) for move in moves)
    lists = longest if worth_listing(len(labels), longest) else None
    refuse_unless_it_fits(len(players), len(labels), sizes, str(path), lists)
    reward = np.zeros((len(players), len(labels), *sizes))
    successors = np.zeros((len(labels), *sizes, longest), int)
    probabilities = np.zeros(successors.shape)
    legal = tuple(np.zeros((len(labels), size), bool) for size in sizes)
    places = [{label: a for a, label in enumerate(own)} for own in actions]
    for state, joint, row, law in moves:
        index = (state, *(place[action] for place, action in zip(places, joint, strict=True)))
        reward[(slice(None), *index)] = [row.number(f"u_{player}") for player in players]
        successors[index][: len(law)], probabilities[index][: len(law)] = list(law), list(law.values())
        for mask, action in zip(legal, index[1:], strict=True):
            mask[state, action] = True
    for mask in legal:
        mask[end:, 0] = True
    successors[end:], probabilities[end:, ..., 0] = end, 1.0
    return TabularGame(
        reward,
        listed(successors, probabilities),
        discount=discount,
        horizon=horizon,
        initial=_initial(path, labels, end, initial),
        legal=legal,
        state_labels=labels,
        action_labels=actions,
        player_labels=players,
        name=path.stem,
    )


def _initial(path: Path, labels: list[str], end: int, initial: str | ArrayLike | None) -> Float[np.ndarray, " S"]:
    """The law of the first state: uniform, certain, or as given; never the end of the game."""
    if isinstance(initial, str):
        if initial not in labels[:end]:
            shown = ", ".join(labels[: min(end, SHOWN)])
            raise BadInput(f"{path} has no state {initial!r} to begin in; its states begin with {shown}.")
        initial = [float(label == initial) for label in labels[:end]]
    return np.concatenate([checked_initial(initial, end), np.zeros(len(labels) - end)])


def write(game: TabularGame, path: Path) -> None:
    """Write a game of infinite horizon; every float comes back to the bit.

    The next states stand in `phi_` columns, or those of a sparse kernel in one column `to_state`. Only legal actions
    are written, so that on reading back a player's actions may come in another order.

    **Raises:** `BadInput` if the table cannot hold the game: a horizon, an initial law that is not uniform, a state
    named `delta`, a label with white space around it.
    """
    tables = game.tables()
    labels = (*tables.player_labels, *tables.state_labels, *(label for own in tables.action_labels for label in own))
    for reason, holds in (
        ("a finite horizon", tables.horizon is not None),
        ("an initial law that is not uniform", np.ptp(tables.initial) > 0),
        (f"a state named {DELTA!r}", DELTA in tables.state_labels),
        ("a state without a name", "" in tables.state_labels),
        ("a label with white space around it", any(label != label.strip() for label in labels)),
    ):
        if holds:
            raise BadInput(f"{path}: a .csv table cannot hold {reason}; write {game.name!r} to .npz.")
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # its line ends are RFC 4180's, which makes it quote both kinds within a label
    players, states = tables.player_labels, tables.state_labels
    named_laws = isinstance(tables.kernel, SuccessorLists)
    if named_laws and any(set(label) & set(',:{}"') for label in states):
        raise BadInput(f'{path}: a column to_state cannot hold state labels with , : {{ }} or "; write to .npz.')
    ahead = ["to_state"] if named_laws else [f"phi_{s}" for s in states]
    writer.writerow(["state", *(f"a_{p}" for p in players), *(f"u_{p}" for p in players), *ahead])
    writer.writerow([DELTA, *[""] * len(players), *map(decimal, tables.discount), *[""] * len(ahead)])
    for index in np.argwhere(tables.legal_joint).tolist():
        state, *joint = index
        named = [own[action] for own, action in zip(tables.action_labels, joint, strict=True)]
        rewards = map(decimal, tables.reward[(slice(None), *index)])
        if isinstance(tables.kernel, SuccessorLists):
            law = tables.kernel.row(tuple(index)).items()
            ahead = [", ".join(f"{states[s]}: {decimal(probability)}" for s, probability in law)]
        else:
            ahead = map(decimal, tables.kernel[tuple(index)])
        writer.writerow([states[state], *named, *rewards, *ahead])
    write_text(path, text.getvalue())

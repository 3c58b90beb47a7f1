"""Profiles in files, from whatever solver: a saved solution, the object of `solve --json`, or a table in CSV."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.errors import BadInput
from equinfer.games.files.archive import opened
from equinfer.games.files.rows import Row, read_rows
from equinfer.games.files.source import read_text
from equinfer.games.validation import checked_rows
from equinfer.tables import Tables

__all__ = ["read_answer"]

SHOWN = 8
"""Labels listed in an error."""

Profile = tuple[Float[np.ndarray, "..."], ...]


def read_answer(path: str | os.PathLike[str], tables: Tables) -> Profile:
    """The profile in a file, for the game of `tables`: one array ([H,] S, A_i) per player.

    `.npz` holds arrays `profile_0`, `profile_1`, ...; `.json` an object with `profile` as
    [player][epoch?][state][action], or that list alone; `.csv` the columns `state`, `player`, `action`,
    `probability`, and `epoch` where there is a horizon, in labels or numbers from 0. Rows that a table leaves out have
    probability 0; the column `state` may be missing if there is one state. A stationary profile of a finite-horizon
    game is played in every epoch.

    **Raises:** `BadInput` naming the line, or the player, epoch and state, of what is unknown, missing, there twice,
    no probability law, or on an illegal action.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"{path}: an answer's file ends in one of {', '.join(_READERS)}.")
    arrays = reader(path, tables)
    return tuple(_checked(path, tables, player, array) for player, array in enumerate(arrays))


def _shapes(tables: Tables, player: int) -> tuple[tuple[int, ...], ...]:
    """Shapes that a policy may have: of all epochs, and stationary."""
    stationary = (tables.num_states, tables.num_actions[player])
    return (stationary,) if tables.horizon is None else ((tables.horizon, *stationary), stationary)


def _checked(path: Path, tables: Tables, player: int, array: Float[np.ndarray, "..."]) -> Float[np.ndarray, "*H S A"]:
    """The policy as one law over legal actions per epoch and state."""
    full = np.broadcast_to(array, _shapes(tables, player)[0])
    wrong = np.argwhere(~(np.isfinite(full) & (full >= 0)) | ((full != 0) & ~tables.legal[player]))
    if wrong.size:
        *index, action = wrong[0]
        legal = tables.legal[player][index[-1], action]
        says = f"has {full[*index, action]:g}, which is not a probability" if legal else "is illegal, but is played"
        label = tables.action_labels[player][action]
        raise BadInput(f"{path}: {_place(tables, player, index)}: action {label} {says}.")

    def name_of(row: int) -> str:
        return f"{path}: {_place(tables, player, np.unravel_index(row, full.shape[:-1]))}"

    return checked_rows(full.reshape(-1, full.shape[-1]), name_of).reshape(full.shape)


def _place(tables: Tables, player: int, index: Sequence[Any]) -> str:
    *epoch, state = index
    when = f"epoch {epoch[0]}, " if epoch else ""
    return f"{when}state {tables.state_labels[state]}, player {tables.player_labels[player]}"


def _read_npz(path: Path, tables: Tables) -> list[np.ndarray]:
    arrays = []
    with opened(path) as archive:
        for player in range(tables.num_players):
            shapes = _shapes(tables, player)
            found = archive.shape(f"profile_{player}")
            arrays.append(archive.array(f"profile_{player}", found if found in shapes else shapes[0]))
        if f"profile_{tables.num_players}" in archive:
            raise BadInput(f"{path} holds a profile of more than the game's {tables.num_players} players.")
    return arrays


def _read_json(path: Path, tables: Tables) -> list[np.ndarray]:
    try:
        record = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON: {error}.") from None
    profile = record.get("profile") if isinstance(record, dict) else record
    if not isinstance(profile, list) or len(profile) != tables.num_players:
        raise BadInput(f"{path} must hold 'profile', a list of one policy for each of {tables.num_players} players.")
    return [_nested(path, tables, player, policy) for player, policy in enumerate(profile)]


def _nested(path: Path, tables: Tables, player: int, policy: Any) -> np.ndarray:
    shapes = _shapes(tables, player)
    try:
        array = np.array(policy)
    except ValueError:
        array = np.array(None)
    if array.shape not in shapes or array.dtype.kind not in "fi":
        levels = "[epoch][state][action]" if tables.horizon is not None else "[state][action]"
        raise BadInput(
            f"{path}: the policy of player {tables.player_labels[player]} must be numbers as {levels}, "
            f"{' x '.join(map(str, shapes[0]))} of them."
        )
    return array.astype(float)


def _read_csv(path: Path, tables: Tables) -> list[np.ndarray]:
    header, rows = read_rows(path)
    _check_columns(path, tables, header)
    epochs = _numbered(rows, "epoch", range(tables.horizon or 0)) if "epoch" in header else None
    states = _numbered(rows, "state", tables.state_labels) if "state" in header else [0] * len(rows)
    players = _numbered(rows, "player", tables.player_labels)
    own: dict[int, list[int]] = defaultdict(list)
    for position, player in enumerate(players):
        own[player].append(position)
    arrays = []
    for player in range(tables.num_players):
        mine = [rows[position] for position in own[player]]
        actions = _numbered(mine, "action", tables.action_labels[player])
        shape = _shapes(tables, player)[-1 if epochs is None else 0]
        array = np.full(shape, np.nan)
        for position, row, action in zip(own[player], mine, actions, strict=True):
            index = (*(() if epochs is None else (epochs[position],)), states[position], action)
            if not np.isnan(array[index]):
                row.fail(f"{_place(tables, player, index[:-1])}: a second row of action {row.cells['action']}")
            array[index] = row.number("probability")
        missing = np.argwhere(np.isnan(array).all(axis=-1))
        if missing.size:
            raise BadInput(f"{path} has no row of {_place(tables, player, tuple(missing[0]))}.")
        arrays.append(np.nan_to_num(array))
    return arrays


def _check_columns(path: Path, tables: Tables, header: Sequence[str]) -> None:
    optional = {"epoch"} if tables.horizon is not None else set()
    required = {"state", "player", "action", "probability"}
    if tables.num_states == 1:
        optional, required = optional | {"state"}, required - {"state"}
    wrong = sorted((required - set(header)) | (set(header) - required - optional))
    if wrong:
        verb = "lacks" if wrong[0] in required else "may not have"
        raise BadInput(f"{path} {verb} the column {wrong[0]!r}; needed are {', '.join(sorted(required))}.")


def _numbered(rows: Sequence[Row], column: str, labels: Iterable[Any]) -> list[int]:
    """The numbers behind a column's cells: all of them labels, or else all of them numbers from 0."""
    by_label = {str(label): number for number, label in enumerate(labels)}
    by_number = {str(number): number for number in by_label.values()}
    for known in (by_label, by_number):
        if all(row.cells[column] in known for row in rows):
            return [known[row.cells[column]] for row in rows]

    def familiar(row: Row) -> tuple[bool, bool]:
        cell = row.cells[column]
        return cell in by_label or cell in by_number, cell in by_label

    wrong = min(rows, key=familiar)
    shown = ", ".join(list(by_label)[:SHOWN])
    wrong.fail(f"unknown {column} {wrong.cells[column]!r}; known are {shown}{', ...' if len(by_label) > SHOWN else ''}")


_READERS: dict[str, Callable[[Path, Tables], list[np.ndarray]]] = {
    ".npz": _read_npz,
    ".json": _read_json,
    ".csv": _read_csv,
}

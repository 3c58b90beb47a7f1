"""Answers in files, from whatever solver: a saved solution, the object of `solve --json`, or a table in CSV."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equinfer.answer import Answer, Joint, Profile, PublicPlay
from equinfer.errors import BadInput
from equinfer.games.files.archive import opened
from equinfer.games.files.rows import Row, read_rows
from equinfer.games.files.source import read_text
from equinfer.games.relabelling import Order, matched
from equinfer.mean_field_tables import AnyTables
from equinfer.records import GameLabels

__all__ = ["read_answer", "said_concept"]

SHOWN = 8
"""Labels listed in an error."""
_RESERVED = ("epoch", "state", "probability")


def read_answer(path: str | os.PathLike[str], tables: AnyTables) -> Answer:
    """The answer in a file, for the game of `tables`: one array ([H,] S, A_i) per player, a joint law, or public play.

    `.npz` holds arrays `profile_0`, `profile_1`, ...; `.json` an object with `profile` as
    [player][epoch?][state][action], or that list alone; `.csv` the columns `state`, `player`, `action`,
    `probability`, and `epoch` where there is a horizon, in labels or numbers from 0. Rows that a table leaves out have
    probability 0; the column `state` may be missing if there is one state. In a finite-horizon game a profile may be
    stationary, (S, A_i).

    A joint law ([H,] S, A_1, ..., A_N) is the array `joint` of an `.npz`, `joint` of a `.json`, and in `.csv` the
    columns `state`, one for each player's action, called `action_0`, `action_1`, ... or by the player's label, and
    `probability`. Where a file has both, the profile is what the joint law comes to for each player alone.

    Public play is the law of the signal ([H,] S, W) as `signal` of an `.npz` or `.json`, whose profile then has W in
    front, (W, [H,] S, A_i); in `.csv` a column `signal`, numbers from 0, beside the columns of a profile. Rows in which
    player and action are empty hold the law of the signal; without them each of its values is as likely as any.

    Where an `.npz` or `.json` says in `game` whose labels its axes are in, states and actions are matched by label
    (`relabelling.matched`). Whether the numbers are probabilities is for the certificate to check.

    **Raises:** `BadInput` naming the line, or the player, epoch and state, of what is unknown, missing, there twice or
    no number.
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise BadInput(f"{path}: an answer's file ends in one of {', '.join(_READERS)}.")
    return reader(path, tables)


def said_concept(path: Path) -> str | None:
    """Of what a saved solution, or the object of `solve --json`, says that it is an equilibrium; None of other files.

    **Arguments:** `path` of a file that `read_answer` has read.
    """
    record: Any = None
    if path.suffix.lower() == ".npz":
        with opened(path) as archive:
            record = archive.record("meta") if "meta" in archive else None
    elif path.suffix.lower() == ".json":
        record = json.loads(read_text(path))
    concept = record.get("concept") if isinstance(record, dict) else None
    return concept if isinstance(concept, str) else None


def _shapes(tables: AnyTables, player: int) -> tuple[tuple[int, ...], ...]:
    """Shapes that a policy may have: of all epochs, and stationary."""
    stationary = (tables.num_states, tables.num_actions[player])
    return (stationary,) if tables.horizon is None else ((tables.horizon, *stationary), stationary)


def _place(tables: AnyTables, player: int, index: Sequence[Any]) -> str:
    *epoch, state = index
    when = f"epoch {epoch[0]}, " if epoch else ""
    return f"{when}state {tables.state_labels[state]}, player {tables.player_labels[player]}"


def _joint_shapes(tables: AnyTables) -> tuple[tuple[int, ...], ...]:
    """Shapes that a joint law may have: of all epochs, and stationary."""
    stationary = (tables.num_states, *tables.num_actions)
    return (stationary,) if tables.horizon is None else ((tables.horizon, *stationary), stationary)


def _read_npz(path: Path, tables: AnyTables) -> Answer:
    arrays, signal = [], None
    with opened(path) as archive:
        order = _order(path, archive.record("meta") if "meta" in archive else None, tables)
        if "joint" in archive:
            shapes, found = _joint_shapes(tables), archive.shape("joint")
            joint = Joint(archive.array("joint", found if found in shapes else shapes[0]))
            return order.of(joint) if order else joint
        if "signal" in archive:
            lead = _shapes(tables, 0)[0][:-1]
            num_signals = (archive.shape("signal") or (1,))[-1]
            signal = archive.array("signal", (*lead, num_signals))
        for player in range(tables.num_players):
            shapes = _shapes(tables, player)
            if signal is not None:
                shapes = ((signal.shape[-1], *shapes[0]),)
            found = archive.shape(f"profile_{player}")
            arrays.append(archive.array(f"profile_{player}", found if found in shapes else shapes[0]))
        if f"profile_{tables.num_players}" in archive:
            raise BadInput(f"{path} holds a profile of more than the game's {tables.num_players} players.")
    answer = tuple(arrays) if signal is None else PublicPlay(signal, tuple(arrays))
    return order.of(answer) if order else answer


def _order(path: Path, record: Any, tables: AnyTables) -> Order | None:
    """Where the game's states and actions stand in an answer whose `record` has its labels; None if it has none."""
    game = record.get("game") if isinstance(record, dict) else None
    if game is None:
        return None
    lists: list[Any] = []
    if isinstance(game, dict) and isinstance(game.get("actions"), list):
        lists = [game.get("players"), game.get("states"), *game["actions"]]
    if not lists or not all(isinstance(each, list) and all(isinstance(a, str) for a in each) for each in lists):
        raise BadInput(f"{path}: 'game' must hold lists of labels: 'players', 'states' and, by player, 'actions'.")
    players, states, *actions = map(tuple, lists)
    if len(actions) != len(players):
        raise BadInput(f"{path}: 'game' has {len(players)} players, and actions of {len(actions)}.")
    return matched(GameLabels("", players, states, tuple(actions)), tables, str(path))


def _read_json(path: Path, tables: AnyTables) -> Answer:
    text = read_text(path)
    try:
        record = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path} is not JSON: {error}.") from None
    order = _order(path, record, tables)
    if isinstance(record, dict) and record.get("joint") is not None:
        levels = "".join(f"[action of player {player}]" for player in tables.player_labels)
        joint = Joint(_nested(path, tables, "the joint law", record["joint"], _joint_shapes(tables), levels))
        return order.of(joint) if order else joint
    profile = record.get("profile") if isinstance(record, dict) else record
    if not isinstance(profile, list) or len(profile) != tables.num_players:
        raise BadInput(f"{path} must hold 'profile', a list of one policy for each of {tables.num_players} players.")
    signal, first = None, ""
    if isinstance(record, dict) and record.get("signal") is not None:
        num_signals = _last_length(record["signal"])
        lead = _shapes(tables, 0)[0][:-1]
        signal = _nested(path, tables, "the law of the signal", record["signal"], ((*lead, num_signals),), "[signal]")
        first = "[signal]"
    policies = tuple(
        _nested(
            path,
            tables,
            f"the policy of player {tables.player_labels[player]}",
            policy,
            _shapes(tables, player) if signal is None else ((signal.shape[-1], *_shapes(tables, player)[0]),),
            "[action]",
            first,
        )
        for player, policy in enumerate(profile)
    )
    answer = policies if signal is None else PublicPlay(signal, policies)
    return order.of(answer) if order else answer


def _last_length(nested: Any) -> int:
    """Of the innermost lists, judged by the first."""
    while isinstance(nested, list) and nested and isinstance(nested[0], list):
        nested = nested[0]
    return len(nested) if isinstance(nested, list) else 1


def _nested(
    path: Path,
    tables: AnyTables,
    what: str,
    given: Any,
    shapes: tuple[tuple[int, ...], ...],
    levels: str,
    first: str = "",
) -> np.ndarray:
    try:
        array = np.array(given)
    except ValueError:
        array = np.array(None)
    if array.shape not in shapes or array.dtype.kind not in "fi":
        levels = f"{first}{'[epoch]' if tables.horizon is not None else ''}[state]{levels}"
        sizes = " x ".join(map(str, shapes[0]))
        raise BadInput(f"{path}: {what} must be numbers as {levels}, {sizes} of them.")
    return array.astype(float)


def _read_csv(path: Path, tables: AnyTables) -> Answer:
    header, rows = read_rows(path)
    if not {"player", "action"} & set(header):
        return _joint_in_rows(path, tables, header, rows)
    _check_columns(path, tables, header)
    return _public_in_rows(path, tables, header, rows) if "signal" in header else _policies(path, tables, header, rows)


def _public_in_rows(path: Path, tables: AnyTables, header: Sequence[str], rows: Sequence[Row]) -> PublicPlay:
    """What each signal calls for, and the rows without a player: how likely the signal is."""
    num_signals = max(map(_signal, rows), default=0) + 1
    if num_signals > len(rows):
        raise BadInput(f"{path}: signals are numbered from 0; it has {len(rows)} rows and a signal {num_signals - 1}.")
    laws = [row for row in rows if not row.cells["player"] and not row.cells["action"]]
    called = [row for row in rows if row.cells["player"] or row.cells["action"]]
    profiles = [
        _policies(path, tables, header, [row for row in called if _signal(row) == signal], f", signal {signal}")
        for signal in range(num_signals)
    ]
    shape = (*(_shapes(tables, 0)[0][:-1]), num_signals)
    policies = tuple(
        np.stack([np.broadcast_to(policy, _shapes(tables, player)[0]) for policy in each])
        for player, each in enumerate(zip(*profiles, strict=True))
    )
    if not laws:
        return PublicPlay(np.full(shape, 1 / num_signals), policies)
    places = _places(tables, header, laws)
    law = np.full((*(_shapes(tables, 0)[0 if "epoch" in header else -1][:-1]), num_signals), np.nan)
    for row, place in zip(laws, places, strict=True):
        if not np.isnan(law[(*place, _signal(row))]):
            row.fail(f"a second row of how likely signal {row.cells['signal']} is")
        law[(*place, _signal(row))] = row.number("probability")
    return PublicPlay(np.broadcast_to(np.nan_to_num(law), shape), policies)


def _signal(row: Row) -> int:
    if not row.cells["signal"].isdecimal() or not row.cells["signal"].isascii():
        row.fail(f"column signal must hold a number from 0, not {row.cells['signal']!r}")
    return int(row.cells["signal"])


def _places(tables: AnyTables, header: Sequence[str], rows: Sequence[Row]) -> list[tuple[int, ...]]:
    """([epoch,] state) of every row."""
    columns = [_numbered(rows, "epoch", range(tables.horizon or 0))] if "epoch" in header else []
    columns.append(_numbered(rows, "state", tables.state_labels) if "state" in header else [0] * len(rows))
    return list(zip(*columns, strict=True))


def _policies(path: Path, tables: AnyTables, header: Sequence[str], rows: Sequence[Row], under: str = "") -> Profile:
    """One array per player; `under` which signal, for errors."""
    places = _places(tables, header, rows)
    players = _numbered(rows, "player", tables.player_labels)
    own: dict[int, list[int]] = defaultdict(list)
    for position, player in enumerate(players):
        own[player].append(position)
    arrays = []
    for player in range(tables.num_players):
        mine = [rows[position] for position in own[player]]
        actions = _numbered(mine, "action", tables.action_labels[player])
        shape = _shapes(tables, player)[0 if "epoch" in header else -1]
        array = np.full(shape, np.nan)
        for position, row, action in zip(own[player], mine, actions, strict=True):
            index = (*places[position], action)
            if not np.isnan(array[index]):
                row.fail(f"{_place(tables, player, index[:-1])}{under}: a second row of action {row.cells['action']}")
            array[index] = row.number("probability")
        missing = np.argwhere(np.isnan(array).all(axis=-1))
        if missing.size:
            raise BadInput(f"{path} has no row of {_place(tables, player, tuple(missing[0]))}{under}.")
        arrays.append(np.nan_to_num(array))
    return tuple(arrays)


def _joint_in_rows(path: Path, tables: AnyTables, header: Sequence[str], rows: Sequence[Row]) -> Joint:
    """A row for each joint action that has a probability; those left out have none."""
    columns = [
        label if label in header and label not in _RESERVED else f"action_{player}"
        for player, label in enumerate(tables.player_labels)
    ]
    optional = {"epoch"} if tables.horizon is not None else set()
    optional |= {"state"} if tables.num_states == 1 else set()
    required = {*columns, "probability", "state"} - optional
    missing, surplus = sorted(required - set(header)), sorted(set(header) - required - optional)
    if missing or surplus:
        lacks = f"lacks the column {missing[0]!r}" if missing else f"may not have the column {surplus[0]!r}"
        raise BadInput(
            f"{path} {lacks}; needed are {', '.join(sorted(required))} for a joint law, and player, action, "
            "probability for a profile."
        )
    drawn = [_numbered(rows, column, labels) for column, labels in zip(columns, tables.action_labels, strict=True)]
    joint = np.full(_joint_shapes(tables)[0 if "epoch" in header else -1], np.nan)
    for row, place, actions in zip(rows, _places(tables, header, rows), zip(*drawn, strict=True), strict=True):
        index = (*place, *actions)
        if not np.isnan(joint[index]):
            row.fail("a second row of this joint action")
        joint[index] = row.number("probability")
    empty = np.argwhere(np.isnan(joint.reshape(*joint.shape[: -tables.num_players], -1)).all(axis=-1))
    if empty.size:
        *epoch, state = empty[0].tolist()
        raise BadInput(
            f"{path} has no row of {f'epoch {epoch[0]}, ' if epoch else ''}state {tables.state_labels[state]}."
        )
    return Joint(np.nan_to_num(joint))


def _check_columns(path: Path, tables: AnyTables, header: Sequence[str]) -> None:
    optional = {"signal", "epoch"} if tables.horizon is not None else {"signal"}
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


_READERS: dict[str, Callable[[Path, AnyTables], Answer]] = {
    ".npz": _read_npz,
    ".json": _read_json,
    ".csv": _read_csv,
}

"""Our own format: every number, label and mask of a tabular game, to the bit, in a NumPy archive without pickles.

Arrays `reward`, `kernel` (or, of a sparse one, `successors` and `probabilities`), `discount`, `initial`, `legal_0`,
..., shaped as in `TabularGame`; `meta` is JSON text with `format`, `schema_version`, `name`, `horizon`, `players`,
`states` and `actions` (labels, or null). Of a game that came from a tree, also what `tree.py` says.
"""

from pathlib import Path
from typing import Any

import numpy as np

from equinfer.errors import BadInput
from equinfer.games.files import tree as tree_file
from equinfer.games.files.archive import is_label, opened
from equinfer.games.kernels import SparseKernel
from equinfer.games.tabular import TabularGame
from equinfer.tables import kernel_arrays, refuse_unless_it_fits
from equinfer.writing import json_text, written_atomically

__all__ = ["read", "write"]

FORMAT = "equinfer game"
SCHEMA_VERSION = 1


def read(path: Path) -> TabularGame:
    """The game that `write` wrote.

    **Raises:** `BadInput` if the file is damaged, of another kind or version, or does not fit in memory.
    """
    with opened(path) as archive:
        meta = _checked_meta(archive.record("meta"), path)
        shape = archive.shape("reward")
        if len(shape) < 3 or shape[0] != len(shape) - 2:
            raise BadInput(f"{path}: reward has shape {shape}; expected (N, S, A_1, ..., A_N).")
        num_players, num_states, *num_actions = shape
        lists = archive.shape("successors") if "successors" in archive else None
        if lists is not None and (len(lists) != len(shape) or lists[-1] < 1):
            raise BadInput(f"{path}: successors have shape {lists}; expected (S, A_1, ..., A_N, M).")
        length = None if lists is None else lists[-1]
        refuse_unless_it_fits(num_players, num_states, tuple(num_actions), str(path), length)
        reward = archive.array("reward", shape)
        if length is None:
            kernel = archive.array("kernel", (*shape[1:], num_states))
        else:
            listed = (*shape[1:], length)
            kernel = SparseKernel(archive.array("successors", listed, "i"), archive.array("probabilities", listed))
        discount = archive.array("discount", (num_players,))
        initial = archive.array("initial", (num_states,))
        tree = None
        if meta.get("tree") is not None:
            players = tuple(meta["players"] or map(str, range(num_players)))
            tree = tree_file.read(archive, meta["tree"], meta["name"] or str(path), players, reward)
        legal = [archive.array(f"legal_{i}", (num_states, size), "b") for i, size in enumerate(num_actions)]
    return TabularGame(
        reward,
        kernel,
        discount=discount,
        horizon=meta["horizon"],
        initial=initial,
        legal=legal,
        state_labels=meta["states"],
        action_labels=meta["actions"],
        player_labels=meta["players"],
        name=meta["name"],
        extensive=tree,
    )


def _checked_meta(meta: Any, path: Path) -> dict[str, Any]:
    """The record, if each of its entries is of the right kind; `TabularGame` checks their numbers."""
    if not isinstance(meta, dict) or meta.get("format") != FORMAT:
        raise BadInput(f"{path} holds no game of ours: its meta does not say {FORMAT!r}.")
    if meta.get("schema_version") != SCHEMA_VERSION:
        raise BadInput(f"{path} has schema_version {meta.get('schema_version')}; this one reads {SCHEMA_VERSION}.")
    rightly = {
        "name": is_label(meta.get("name")),
        "horizon": isinstance(meta.get("horizon", ""), int | None),
        "players": _are_labels(meta.get("players", 0)),
        "states": _are_labels(meta.get("states", 0)),
        "actions": "actions" in meta
        and (meta["actions"] is None or (isinstance(meta["actions"], list) and all(map(_are_labels, meta["actions"])))),
    }
    for name, right in rightly.items():
        if not right:
            raise BadInput(f"{path}: its meta has no {name!r} of the right kind.")
    return meta


def _are_labels(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(map(is_label, value)))


def write(game: TabularGame, path: Path) -> None:
    """Write the whole game, the tree of an extensive form included."""
    tables, labels = game.tables(), game.labels
    meta = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "name": labels.name,
        "horizon": tables.horizon,
        "players": labels.players,
        "states": labels.states,
        "actions": labels.actions,
    }
    arrays: dict[str, Any] = {f"legal_{i}": mask for i, mask in enumerate(tables.legal)}
    for name in ("reward", "discount", "initial"):
        arrays[name] = getattr(tables, name)
    if game.extensive is not None:
        meta["tree"] = tree_file.record(game.extensive)
        arrays |= tree_file.arrays(game.extensive)
    arrays |= kernel_arrays(tables.kernel)
    with written_atomically(path) as file:
        np.savez(file, meta=np.array(json_text(meta)), **arrays)

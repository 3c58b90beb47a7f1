"""A saved solution, read back."""

import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from equinfer.errors import BadInput
from equinfer.records import SCHEMA_VERSION, Attempt, Certificate, Deviation, GameLabels, Solution, Status
from equinfer.tables import Origin, SuccessorLists, Tables

__all__ = ["file_of", "load_solution"]


def file_of(path: str | os.PathLike[str]) -> Path:
    """The file of an answer: `path` itself, or the one in the folder that `equinfer solve --out` made."""
    path = Path(path)
    return path / "solution.npz" if path.is_dir() else path


def load_solution(path: str | os.PathLike[str]) -> Solution:
    """Read back what `Solution.save` wrote, the verdict included: nothing is judged again, `recorded` says so.

    **Raises:** `BadInput` if the file is missing, damaged, or something else.
    """
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such file.")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return _assembled(arrays, json.loads(str(arrays["meta"])))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, NotImplementedError) as error:
        raise BadInput(f"{path} is not a solution that equinfer saved: {error}.") from None
    except (zipfile.BadZipFile, zlib.error, MemoryError) as error:
        raise BadInput(f"{path} is damaged: {error}.") from None


def _moves(recorded: Any) -> tuple[tuple[tuple[int, ...], ...] | None, ...] | None:
    if recorded is None:
        return None
    return tuple(each if each is None else tuple(map(tuple, each)) for each in recorded)


def _assembled(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Solution:
    if meta["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version {meta['schema_version']}, this equinfer reads {SCHEMA_VERSION}")
    names = meta["game"]
    labels = GameLabels(
        str(names["name"]),
        tuple(names["players"]),
        tuple(names["states"]),
        tuple(map(tuple, names["actions"])),
        _origin(names.get("origin")),
        tuple(names["grid"]) if names.get("grid") else None,
        _moves(names.get("moves")),
    )
    players = range(len(labels.players))
    tables = None
    if "game_reward" in arrays:
        tables = Tables(
            reward=arrays["game_reward"],
            kernel=arrays["game_kernel"]
            if "game_kernel" in arrays
            else SuccessorLists(arrays["game_successors"], arrays["game_probabilities"]),
            discount=arrays["game_discount"],
            horizon=meta["horizon"],
            initial=arrays["game_initial"],
            legal=tuple(arrays[f"game_legal_{i}"] for i in players),
            name=labels.name,
            state_labels=labels.states,
            action_labels=labels.actions,
            player_labels=labels.players,
            origin=labels.origin,
        )
    certificate = Certificate(
        concept=meta["concept"],
        kind=meta["gap_kind"],
        gap=_number(meta["gap"]),
        per_player=arrays["per_player_gap"],
        numerical_error=_number(meta["numerical_error"]),
        per_player_error=arrays["per_player_error"],
        values=arrays["values"],
        deviations=tuple(
            Deviation(arrays[f"deviation_{i}"], arrays[f"gain_{i}"]) for i in players if f"gain_{i}" in arrays
        ),
        unit=meta["gap_unit"],
        payoff_scales=None if meta["payoff_scales"] is None else np.array(meta["payoff_scales"], np.float64),
    )
    return Solution(
        game=labels,
        concept=meta["concept"],
        solver=meta["solver"],
        profile=tuple(arrays[f"profile_{i}"] for i in players),
        values=arrays["values"],
        certificate=certificate,
        eps=_number(meta["eps"]),
        status=Status(meta["status"]),
        payoff_scale=_number(meta["payoff_scale"]),
        seconds=meta["seconds"],
        trace={name.removeprefix("trace_"): a for name, a in arrays.items() if name.startswith("trace_")},
        tables=tables,
        behaviour=meta.get("behaviour"),
        bound=meta["bound"],
        recorded=True,
        attempts=tuple(map(_attempt, meta.get("attempts", ()))),
        doubts=tuple(meta["warnings"]) if not meta["certified"] else (),
        joint=arrays.get("joint"),
        signal=arrays.get("signal"),
        beliefs=_beliefs(arrays, len(players)),
        flows=tuple(arrays[f"flow_{i}"] for i in players) if "flow_0" in arrays else None,
        **{name: meta.get(name) for name in ("objective", "objective_value", "objective_certified", "route")},
    )


def _beliefs(arrays: Mapping[str, np.ndarray], num_players: int) -> tuple[tuple[np.ndarray, ...], ...] | None:
    if not any(name.startswith("belief_") for name in arrays):
        return None
    everybody = range(num_players)
    return tuple(tuple(arrays[f"profile_{i}" if i == j else f"belief_{i}_{j}"] for j in everybody) for i in everybody)


def _attempt(record: Mapping[str, Any]) -> Attempt:
    return Attempt(str(record["solver"]), _number(record["gap"]), float(record["seconds"]), Status(record["ended"]))


def _origin(record: Mapping[str, Any] | None) -> Origin | None:
    if record is None:
        return None
    parameters = record["parameters"].items()
    return Origin(
        str(record["target"]),
        tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in parameters),
    )


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)

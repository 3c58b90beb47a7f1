"""Saved answers, as the objects of `solve --json`: from the archive, the JSON file, or the folder that holds both."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

import equinfer
from equinfer.errors import BadInput
from equinfer.games.files.source import read_text
from equinfer.saved import file_of

__all__ = ["saved_answer"]

KEYS = ("game", "concept", "solver", "status", "gap", "numerical_error", "eps", "profile", "values")


def saved_answer(path: str) -> dict[str, Any]:
    """**Raises:** `BadInput` if `path` holds no answer that equinfer saved."""
    place = file_of(path)
    if place.suffix.lower() == ".npz":
        return equinfer.load_solution(place).to_json()
    if place.suffix.lower() != ".json":
        raise BadInput(f"{place}: a saved answer is a solution.npz, a result.json, or the folder that holds them.")
    text = read_text(place)
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{place} is not JSON: {error}.") from None
    if not isinstance(answer, dict) or any(key not in answer for key in KEYS):
        raise BadInput(f"{place} is not the object of `equinfer solve --json`: it needs {', '.join(KEYS)}.")
    if not _is_well_formed(answer):
        raise BadInput(f"{place} is not the object of `equinfer solve --json`: what it holds is not of the right kind.")
    return answer


def _is_well_formed(answer: Mapping[str, Any]) -> bool:
    """The game has players, each with policies and values that are numbers, and so are the gap and its like."""
    try:
        players = list(answer["game"]["players"])
        policies = [np.array(policy, float) for policy in answer["profile"]]
        values = [np.array(value, float) for value in answer["values"]]
        numbers = [np.array(answer[key], float) for key in ("gap", "numerical_error", "eps")]
    except (TypeError, ValueError, LookupError):
        return False
    return (
        all(isinstance(player, str) for player in players)
        and len(players) == len(policies) == len(values)
        and len({value.shape for value in values}) == 1
        and not any(number.ndim for number in numbers)
    )

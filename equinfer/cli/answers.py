"""Saved answers, as the objects of `solve --json`: from the archive, the JSON file, or the folder that holds both."""

import json
from pathlib import Path
from typing import Any

from equinfer.errors import BadInput
from equinfer.records import load_solution

__all__ = ["saved_answer"]

KEYS = ("game", "concept", "solver", "status", "gap", "numerical_error", "eps", "profile", "values")


def saved_answer(path: str) -> dict[str, Any]:
    """**Raises:** `BadInput` if `path` holds no answer that equinfer saved."""
    place = Path(path)
    if place.is_dir():
        place /= "solution.npz"
    if place.suffix != ".json":
        return load_solution(place).to_json()
    try:
        answer = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{place} cannot be read: {error}.") from None
    if not isinstance(answer, dict) or any(key not in answer for key in KEYS):
        raise BadInput(f"{place} is not the object of `equinfer solve --json`: it needs {', '.join(KEYS)}.")
    return answer

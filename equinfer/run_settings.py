"""What a run is determined by: the configuration that its folder holds, and the learner that it names."""

import dataclasses
import hashlib
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import jax
import numpy as np
from jaxtyping import UInt8

from equinfer.algorithms import learner as learner_named
from equinfer.drivers.learning import AbstractLearner
from equinfer.errors import BadInput
from equinfer.runs import CONFIG, RUN_SCHEMA
from equinfer.writing import json_text

__all__ = ["config_of", "fingerprint", "learner_of", "settings"]


def config_of(
    name: str, preset: str | None, learner: AbstractLearner, game: Any, steps: int, seeds: int, seed: int
) -> dict[str, Any]:
    """All that a run is determined by, and where it was made."""
    origin = game.labels.origin
    phases = learner.phases(steps)
    return {
        "schema_version": RUN_SCHEMA,
        "algorithm": name,
        "preset": preset,
        "options": settings(learner),
        "steps": steps,
        "seeds": seeds,
        "seed": seed,
        "phases": {"uniform": phases.uniform, "burn_in": phases.burn_in, "steps": phases.steps},
        "game": {
            "name": game.name,
            "players": list(game.player_labels),
            "origin": None if origin is None else {"target": origin.target, "parameters": dict(origin.parameters)},
        },
        "versions": {"equinfer": version("equinfer"), "jax": jax.__version__, "numpy": np.__version__},
        "device": jax.devices()[0].device_kind,
    }


def fingerprint(config: Mapping[str, Any]) -> UInt8[np.ndarray, "32"]:
    """Of what decides every number of a run: a checkpoint has it beside it, and fits no other configuration."""
    decides = {name: value for name, value in config.items() if name not in ("versions", "device")}
    return np.frombuffer(hashlib.sha256(json_text(decides).encode()).digest(), np.uint8)


def learner_of(config: Mapping[str, Any], algo: Any, folder: Any) -> AbstractLearner:
    """The learner of a run: by its name, or the object `algo` if it was one, in which case settings must agree."""
    if config["preset"] is not None:
        return learner_named(config["algorithm"], config["preset"], config["options"])[1]
    if algo is None:
        raise BadInput(f"the learner of {folder} was an object of kind {config['algorithm']}: give it as `algo`.")
    name, learner = learner_named(algo, "default", {})
    if name != config["algorithm"] or settings(learner) != config["options"]:
        raise BadInput(f"the learner given is not that of {folder}, whose settings are in {CONFIG}.")
    return learner


def settings(learner: AbstractLearner) -> dict[str, Any]:
    """The fields of a learner that a file can hold, as a file has them."""
    fields = {field.name: getattr(learner, field.name) for field in dataclasses.fields(learner)}
    return {name: _listed(value) for name, value in fields.items() if isinstance(value, (bool, int, float, str, tuple))}


def _listed(value: Any) -> Any:
    """As a file has it."""
    return [_listed(each) for each in value] if isinstance(value, tuple) else value

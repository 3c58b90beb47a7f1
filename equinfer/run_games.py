"""The game of a run: as learners play it, and what it is recognised by when a run goes on."""

import contextlib
import inspect
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equinfer.arguments import shown
from equinfer.data.arena import Arena
from equinfer.errors import BadInput, blamed
from equinfer.games.continuous import ContinuousGame
from equinfer.games.external import ExternalGame
from equinfer.games.importable import imported, is_importable
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.tabular import TabularGame
from equinfer.tables import Origin
from equinfer.targets import Game, load
from equinfer.types import PRNGKey

__all__ = ["playable", "probed", "same_game"]

_COURSES, _STEPS = 8, 2
"""By which a game is recognised: episodes, and steps of each."""


def playable(game: Any, /, **parameters: Any) -> ContinuousGame | ExternalGame:
    """`game` as learners play it: a game, a target of `load`, or `package.module:function` that makes a PettingZoo
    `ParallelEnv`, of which `discount` says how it is discounted, and the other parameters are its own.

    **Raises:** `BadInput` for what they cannot play.
    """
    if isinstance(game, str) and is_importable(game) and not _gives_a_game(game, parameters):
        return ExternalGame.of(imported(game), game, **parameters)
    if isinstance(game, (str, os.PathLike)):
        game = _loaded(game, parameters)
    if isinstance(game, TabularGame):
        return ContinuousGame.from_table(game)
    if isinstance(game, (ContinuousGame, ExternalGame)):
        return game
    what = f"{game.name}, a mean-field game" if isinstance(game, MeanFieldGame) else shown(game)
    raise BadInput(f"learners play games of continuous actions and games in tables; got {what}.")


def _gives_a_game(target: str, parameters: Mapping[str, Any]) -> bool:
    """Whether `package.module:attribute` is a game of ours, or makes one; else it is to make an environment."""
    found = imported(target)
    if isinstance(found, Game) or not callable(found):
        return isinstance(found, Game)
    own = {**parameters}
    if "discount" not in inspect.signature(found).parameters:
        own.pop("discount", None)
    with blamed(f"{target} could not be made"):
        made: Any = found(**own)
    if isinstance(made, Game):
        return True
    with contextlib.suppress(Exception):
        made.close()
    return False


def _loaded(target: str | os.PathLike[str], parameters: Mapping[str, Any]) -> Any:
    """What `load` makes; if that is from a file, it remembers where that is, so that a run can go on from elsewhere."""
    game = load(target, **parameters)
    if game.labels.origin is not None:
        return game
    return game.made_from(Origin(str(Path(target).resolve()), tuple(parameters.items())))


def probed(game: ContinuousGame | ExternalGame) -> Float[np.ndarray, " K"]:
    """What a game pays and shows in a few steps of uniform play; nothing of somebody else's environment."""
    if isinstance(game, ExternalGame):
        return np.zeros(0, np.float32)
    with jax.enable_x64(False):
        arena = Arena.of(game)

        def course(key: PRNGKey) -> Float[Array, " K"]:
            begin, *steps = jax.random.split(key, 1 + _STEPS)
            place, told = arena.reset(begin), []
            for each in steps:
                act, move = jax.random.split(each)
                place, step, _ = arena.step(place, arena.uniform(act), move)
                told += [step.reward, step.after.ravel()]
            return jnp.concatenate(told)

        return np.asarray(jax.jit(jax.vmap(course))(jax.random.split(jax.random.key(0), _COURSES))).ravel()


def same_game(then: Float[np.ndarray, " K"], now: Float[np.ndarray, " K"]) -> bool:
    """Whether a game pays and shows what it did, but for what another machine rounds differently."""
    size = float(np.abs(then[np.isfinite(then)]).max(initial=0.0))
    return then.shape == now.shape and np.allclose(then, now, rtol=1e-4, atol=1e-5 * size, equal_nan=True)

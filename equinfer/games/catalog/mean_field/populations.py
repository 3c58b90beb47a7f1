"""OpenSpiel's mean-field games of several populations on a grid; cells (x, y) are numbered x first."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import entry, require
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.stencil import Stencil
from equinfer.types import AnyArray

__all__ = ["crowd_avoidance", "predator_prey"]

_MOVES = ((0, 0), (1, 0), (0, 1), (0, -1), (-1, 0))
_ACTIONS = ("stay", "right", "up", "down", "left")
_SMALL = 1e-25
_HUNTS = {
    3: ((0, -1, 1), (1, 0, -1), (-1, 1, 0)),
    4: ((0, 1, 0, -1), (-1, 0, 1, 0), (0, -1, 0, 1), (1, 0, -1, 0)),
}


@entry("OpenSpiel, python_mfg_crowd_avoidance, 2023", folder="mean_field")
def crowd_avoidance(
    *, horizon: int = 10, proba_noise: float = 0.5, coef_congestion: float = 0.0, coef_target: float = 1.0
) -> MeanFieldGame:
    """Two populations cross a room with pillars to each other's side; each minds the crowd of the other.

    At the default of OpenSpiel, `coef_congestion=0`, nobody minds anybody.
    """
    _require_walk("crowd_avoidance", horizon, proba_noise)
    walls = np.ones((7, 7), bool)
    walls[1:-1, 1:-1] = False
    walls[3, [1, 3, 5]] = True
    begin = np.zeros((2, 7, 7))
    begin[0, [1, 2, 1], [2, 2, 4]] = 0.4, 0.4, 0.2
    begin[1, [5, 4, 5], [2, 4, 4]] = 0.2, 0.4, 0.4

    def minding(own: int, target: tuple[int, int]) -> Callable[..., Any]:
        goal = np.zeros(49)
        goal[target[0] * 7 + target[1]] = coef_target

        def reward(t: Any, laws: tuple[Float[AnyArray, "S A"], ...]) -> Float[AnyArray, "S A"]:
            crowd = laws[1 - own].sum(axis=1)
            return (jnp.asarray(goal, crowd.dtype) - coef_congestion * crowd)[:, None] * jnp.ones((1, 5), crowd.dtype)

        return reward

    return MeanFieldGame(
        [minding(0, (5, 3)), minding(1, (1, 3))],
        [Stencil((7, 7), _MOVES, _noise(proba_noise), walls=walls)] * 2,
        list(begin.reshape(2, 49)),
        horizon,
        action_labels=[_ACTIONS] * 2,
        name="mean_field/crowd_avoidance",
    )


@entry(
    "Perolat et al., Scaling up mean field games with online mirror descent, 2021, as in OpenSpiel", folder="mean_field"
)
def predator_prey(
    *,
    populations: int = 3,
    size: int = 5,
    horizon: int = 10,
    noise_probability: float = 0.8,
    congestion_coeff: float = 1.0,
) -> MeanFieldGame:
    """Three or four populations on a square: each hunts one, flees another, and avoids its own crowd; zero-sum between.

    OpenSpiel plays four of them for `horizon=20`.
    """
    require(populations in _HUNTS, f"predator_prey needs 3 or 4 populations; got {populations}.")
    require(size >= 2, f"predator_prey needs size >= 2; got {size}.")
    _require_walk("predator_prey", horizon, noise_probability)
    end = size - 1
    corners = ((0, 0), (end, 0), (0, end)) if populations == 3 else ((0, 0), (0, end), (end, end), (end, 0))
    begin = np.zeros((populations, size, size))
    for p, corner in enumerate(corners):
        begin[p][corner] = 1

    def hunting(own: int) -> Callable[..., Any]:
        def reward(t: Any, laws: tuple[Float[AnyArray, "S A"], ...]) -> Float[AnyArray, "S A"]:
            masses = jnp.stack([law.sum(axis=1) for law in laws])
            others = jnp.asarray(_HUNTS[populations][own], masses.dtype) @ masses
            return (others - congestion_coeff * jnp.log(masses[own] + _SMALL))[:, None] * jnp.ones((1, 5), masses.dtype)

        return reward

    return MeanFieldGame(
        [hunting(p) for p in range(populations)],
        [Stencil((size, size), _MOVES, _noise(noise_probability))] * populations,
        list(begin.reshape(populations, -1)),
        horizon,
        action_labels=[_ACTIONS] * populations,
        name="mean_field/predator_prey",
    )


def _noise(probability: float) -> list[float]:
    return [1 - probability] + [probability / 4] * 4


def _require_walk(name: str, horizon: int, probability: float) -> None:
    require(horizon >= 1, f"{name} needs horizon >= 1; got {horizon}.")
    require(0 <= probability <= 1, f"{name} needs a probability of noise in [0, 1]; got {probability:g}.")

"""Crowds that spread over a beach, a square or the floors of a building; MFGLib's versions.

The beach and the square are called tori there, but clip at their borders.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from equinfer.games.catalog.entry import entry, require
from equinfer.games.kernels import SparseKernel
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.stencil import Stencil
from equinfer.types import AnyArray

__all__ = ["beach_bar", "building_evacuation", "crowd_motion"]

_FOUR = ((1, 0), (-1, 0), (0, 1), (0, -1))


@entry("Perrin et al., Fictitious play for mean field games, 2020, as in MFGLib", folder="mean_field")
def beach_bar(
    *, T: int = 2, n: int = 4, bar_loc: int = 2, p_still: float = 0.5, log_eps: float = 1e-20
) -> MeanFieldGame:
    """Be near the bar on a beach, but not in the crowd; distance is measured round a torus, moves end at its ends."""
    require(n >= 2, f"beach_bar needs n >= 2; got {n}.")
    require(0 <= bar_loc < n, f"beach_bar needs 0 <= bar_loc < n = {n}; got {bar_loc}.")
    _require_crowd("beach_bar", T, p_still, log_eps)
    ahead = (np.arange(n) - bar_loc) % n
    distance = np.minimum(ahead, (-ahead) % n)
    fixed = -distance[:, None] - np.array([1.0, 0, 1]) / n
    side = (1 - p_still) / 2

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        return jnp.asarray(fixed, law.dtype) - jnp.log(law.sum(axis=1) + log_eps)[:, None]

    return MeanFieldGame(
        reward,
        Stencil(n, [-1, 0, 1], [side, p_still, side], together=True),
        np.full(n, 1 / n),
        T + 1,
        action_labels=("left", "stay", "right"),
        name="mean_field/beach_bar",
    )


def bar_path(T: int, size: tuple[int, int], loc_change_freq: int, seed: int) -> Int[np.ndarray, "H 2"]:
    """Where the bar stands at times 0..T: it tries a diagonal step every `loc_change_freq` epochs."""
    bits = np.random.RandomState(seed)
    places = [(size[0] // 2, size[1] // 2)]
    for i in range(T):
        here = places[-1]
        if (i + 1) % loc_change_freq == 0:
            step = [(-1, 1)[int(draw % 2)] for draw in bits.randint(0, 2**32, 2, dtype=np.uint32)]
            there = (here[0] + step[0], here[1] + step[1])
            here = there if all(0 <= x < most for x, most in zip(there, size, strict=True)) else here
        places.append(here)
    return np.array(places)


@entry(
    "Perolat et al., Scaling up mean field games with online mirror descent, 2021, as in MFGLib", folder="mean_field"
)
def crowd_motion(
    *,
    T: int = 3,
    torus_l: int = 20,
    torus_w: int = 20,
    loc_change_freq: int = 2,
    c: float = 10.0,
    log_eps: float = 1e-10,
    p_still: float = 0.5,
    seed: int = 0,
) -> MeanFieldGame:
    """Follow a point of interest that wanders over a square, away from the crowd."""
    least = min(torus_l, torus_w)
    require(least >= 2, f"crowd_motion needs torus_l and torus_w >= 2; got {torus_l}, {torus_w}.")
    require(loc_change_freq >= 1, f"crowd_motion needs loc_change_freq >= 1; got {loc_change_freq}.")
    require(0 <= seed < 2**32, f"crowd_motion needs 0 <= seed < 2**32; got {seed}.")
    _require_crowd("crowd_motion", T, p_still, log_eps)
    bar = bar_path(T, (torus_l, torus_w), loc_change_freq, seed)
    where = np.indices((torus_l, torus_w)).reshape(2, -1)
    near = c * (1 - np.abs(where[None] - bar[:, :, None]).sum(axis=1) / (torus_l + torus_w))

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        here = jnp.asarray(near, law.dtype)[t] - jnp.log(law.sum(axis=1) + log_eps)
        return here[:, None] * jnp.ones((1, 5), law.dtype)

    cells = torus_l * torus_w
    return MeanFieldGame(
        reward,
        Stencil((torus_l, torus_w), [*_FOUR, (0, 0)], [(1 - p_still) / 4] * 4 + [p_still], together=True),
        np.full(cells, 1 / cells),
        T + 1,
        action_labels=("down", "up", "right", "left", "stay"),
        name="mean_field/crowd_motion",
    )


@entry(
    "Perolat et al., Scaling up mean field games with online mirror descent, 2021, as in MFGLib", folder="mean_field"
)
def building_evacuation(
    *,
    T: int = 3,
    n_floor: int = 5,
    floor_l: int = 10,
    floor_w: int = 10,
    log_eps: float = 1e-20,
    eta: float = 1.0,
    evac_r: float = 10.0,
) -> MeanFieldGame:
    """Leave a building by stairs: down in one corner of each floor, up in the opposite one; crowds slow everybody."""
    shape = (n_floor, floor_l, floor_w)
    require(min(shape) >= 1, f"building_evacuation needs positive n_floor, floor_l and floor_w; got {shape}.")
    require(T >= 0, f"building_evacuation needs T >= 0; got {T}.")
    require(log_eps > 0, f"building_evacuation needs log_eps > 0; got {log_eps:g}.")
    floor, row, column = np.indices(shape).reshape(3, -1)
    down = (row == 0) & (column == 0)
    up = (row == floor_l - 1) & (column == floor_w - 1)
    still = np.zeros_like(row)
    steps = [(still, *np.broadcast_arrays(still + dl, still + dw)) for dl, dw in ((1, 0), (-1, 0), (0, -1), (0, 1))]
    steps += [(-1 * down, still, still), (1 * up, still, still)]
    there = [
        np.ravel_multi_index(
            tuple(np.clip(x + dx, 0, most - 1) for x, dx, most in zip((floor, row, column), step, shape, strict=True)),
            shape,
        )
        for step in steps
    ]
    successors = np.stack(there, axis=-1)[..., None]
    safe = evac_r * (floor == 0)

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        crowd = jnp.log(jnp.maximum(law.sum(axis=1), log_eps))
        return (jnp.asarray(safe, law.dtype) - eta * crowd)[:, None] * jnp.ones((1, 6), law.dtype)

    return MeanFieldGame(
        reward,
        SparseKernel(successors, np.ones(successors.shape)),
        np.full(floor.size, 1 / floor.size),
        T + 1,
        grid=shape,
        action_labels=("down", "up", "left", "right", "downstairs", "upstairs"),
        name="mean_field/building_evacuation",
    )


def _require_crowd(name: str, T: int, p_still: float, log_eps: float) -> None:
    require(T >= 0, f"{name} needs T >= 0; got {T}.")
    require(0 <= p_still <= 1, f"{name} needs 0 <= p_still <= 1; got {p_still:g}.")
    require(log_eps > 0, f"{name} needs log_eps > 0; got {log_eps:g}.")

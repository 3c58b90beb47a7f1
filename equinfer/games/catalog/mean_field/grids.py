"""OpenSpiel's mean-field games on circles and grids; cells (x, y) are numbered x first."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.catalog.mean_field.memory import first_visits
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.stencil import Stencil
from equinfer.types import AnyArray

__all__ = ["crowd_modelling", "crowd_modelling_2d", "four_rooms", "periodic_aversion"]

_SMALL = 1e-25
_MOVES = ((0, -1), (-1, 0), (0, 0), (1, 0), (0, 1))
"""(dx, dy) of each action of the 2-D game; the third one stays."""
_FOUR_ROOMS = (
    "#############",
    "#     #     #",
    "#     #     #",
    "#           #",
    "#     #     #",
    "#     #     #",
    "### ##### ###",
    "#     #     #",
    "#     #     #",
    "#           #",
    "#     #     #",
    "#     #     #",
    "#############",
)


@entry("Perrin et al., Fictitious play for mean field games, 2020, as in OpenSpiel", folder="mean_field")
def crowd_modelling(
    *, size: int = 10, horizon: int = 10, move_cost: float = 1.0, as_open_spiel: bool = False
) -> MeanFieldGame:
    """Be near the middle of a circle but not in the crowd; a step costs 1 / size.

    `as_open_spiel=True`: what costs is the step by which a place was first visited in a depth-first search.
    """
    require(size >= 2 and horizon >= 1, f"crowd_modelling needs size >= 2 and horizon >= 1; got {size}, {horizon}.")
    require(move_cost >= 0, f"crowd_modelling needs move_cost >= 0; got {move_cost:g}.")
    steps = np.array([-1, 0, 1])
    near = 1 - np.abs(np.arange(size) - size // 2) / (size // 2)
    cost: Any = move_cost * np.abs(steps) / size
    if as_open_spiel:
        around = _circle(size, steps)
        cost = cost[first_visits(range(size), around, around, horizon, size, 1)]

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        here = jnp.asarray(near, law.dtype) - jnp.log(law.sum(axis=1) + _SMALL)
        return _charged(here, cost, t, as_open_spiel, 3)

    return MeanFieldGame(
        reward,
        Stencil(size, steps, np.full(3, 1 / 3), boundary="torus"),
        np.full(size, 1 / size),
        horizon,
        action_labels=("left", "stay", "right"),
        name="mean_field/crowd_modelling",
    )


def _even(
    game: MeanFieldGame,
    only_distribution_reward: bool,
    forbidden_states: tuple[int, ...],
    start: tuple[int, ...],
    **_: Any,
) -> tuple[KnownEquilibrium, ...]:
    if not only_distribution_reward or forbidden_states or start:
        return ()
    return (KnownEquilibrium(game.uniform_profile(), None, "everybody spreads evenly, so all places pay the same"),)


@entry(
    "Perolat et al., Scaling up mean field games with online mirror descent, 2021, as in OpenSpiel",
    _even,
    folder="mean_field",
)
def crowd_modelling_2d(
    *,
    size: int = 10,
    horizon: int = 10,
    only_distribution_reward: bool = False,
    with_congestion: bool = False,
    noise_intensity: float = 1.0,
    crowd_aversion_coef: float = 1.0,
    move_cost: float = 1.0,
    forbidden_states: tuple[int, ...] = (),
    start: tuple[int, ...] = (),
    as_open_spiel: bool = False,
) -> MeanFieldGame:
    """Be near the middle of a torus of size x size cells, away from the crowd; nobody can enter forbidden cells.

    A step costs 1 / size, times the crowd where one is `with_congestion`. `forbidden_states` and `start`, where players
    begin, are numbers of cells; without `start` they begin everywhere. `as_open_spiel=True`: what costs is the step by
    which a place was first visited in a depth-first search.
    """
    require(size >= 2 and horizon >= 1, f"crowd_modelling_2d needs size >= 2 and horizon >= 1; got {size}, {horizon}.")
    require(0 <= noise_intensity <= 1, f"crowd_modelling_2d needs 0 <= noise_intensity <= 1; got {noise_intensity:g}.")
    require(move_cost >= 0, f"crowd_modelling_2d needs move_cost >= 0; got {move_cost:g}.")
    for what, cells in (("forbidden_states", forbidden_states), ("start", start)):
        inside = all(0 <= cell < size**2 for cell in cells)
        require(inside, f"crowd_modelling_2d needs {what} in 0..{size**2 - 1}; got {cells}.")
    walls = np.zeros(size**2, bool)
    walls[list(forbidden_states)] = True
    begin = np.zeros(size**2)
    begin[list(start) or slice(None)] = 1
    require(not bool((begin.astype(bool) & walls).any()), "crowd_modelling_2d needs a start that is not forbidden.")
    return _on_torus(
        "crowd_modelling_2d",
        walls.reshape(size, size),
        begin / begin.sum(),
        horizon,
        noise_intensity,
        crowd_aversion_coef,
        None if only_distribution_reward else move_cost,
        with_congestion,
        as_open_spiel,
    )


@entry(
    "Perolat et al., Scaling up mean field games with online mirror descent, 2021, as in OpenSpiel", folder="mean_field"
)
def four_rooms(*, horizon: int = 40, noise_intensity: float = 1.0, crowd_aversion_coef: float = 1.0) -> MeanFieldGame:
    """Spread over four rooms, joined by doors, from the corner of one of them."""
    require(horizon >= 1, f"four_rooms needs horizon >= 1; got {horizon}.")
    require(0 <= noise_intensity <= 1, f"four_rooms needs 0 <= noise_intensity <= 1; got {noise_intensity:g}.")
    walls = np.array([[cell == "#" for cell in row] for row in _FOUR_ROOMS]).T
    begin = np.zeros(walls.shape)
    begin[1, 1] = 1
    return _on_torus(
        "four_rooms", walls, begin.ravel(), horizon, noise_intensity, crowd_aversion_coef, None, False, False
    )


def _on_torus(
    name: str,
    walls: Bool[np.ndarray, "N N"],
    initial: Float[np.ndarray, " S"],
    horizon: int,
    noise_intensity: float,
    crowd_aversion_coef: float,
    move_cost: float | None,
    with_congestion: bool,
    as_open_spiel: bool,
) -> MeanFieldGame:
    """`move_cost` None: nothing but the crowd counts."""
    size = len(walls)
    x, y = np.indices(walls.shape)
    legal = np.stack([~walls[(x + dx) % size, (y + dy) % size].ravel() for dx, dy in _MOVES], axis=-1)
    legal[:, 2] = True
    near = 2 - 2 / size * (np.abs(x - size // 2) + np.abs(y - size // 2)).ravel()
    cost: Any = (move_cost or 0.0) * np.abs(_MOVES).sum(axis=1) / size
    if as_open_spiel:

        def around(s: int) -> list[int | None]:
            cells = [((s // size + dx) % size, (s % size + dy) % size) for dx, dy in _MOVES]
            return [None if walls[cell] else cell[0] * size + cell[1] for cell in cells]

        starts = _first_axis_fastest(initial, size)
        cost = cost[first_visits(starts, around, around, horizon, size**2, 2)]

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        mass = law.sum(axis=1)
        here = -crowd_aversion_coef * jnp.log(mass + float(np.float32(_SMALL)))
        if move_cost is None:
            return here[:, None] * jnp.ones((1, 5), law.dtype)
        here = here + jnp.asarray(near, law.dtype)
        return _charged(here, cost, t, as_open_spiel, 5, mass if with_congestion else None)

    noise = np.full(5, noise_intensity / 5)
    noise[2] += 1 - noise_intensity
    return MeanFieldGame(
        reward,
        Stencil(walls.shape, _MOVES, noise, walls=walls if walls.any() else None, boundary="torus", blocked="share"),
        initial,
        horizon,
        legal=legal,
        action_labels=("down", "left", "stay", "right", "up"),
        name=f"mean_field/{name}",
    )


def _first_axis_fastest(initial: Float[np.ndarray, " S"], size: int) -> list[int]:
    """Where players can begin, in the order in which OpenSpiel draws it."""
    return [x * size + y for y in range(size) for x in range(size) if initial[x * size + y] > 0]


def _circle(size: int, steps: Any) -> Any:
    return lambda s: [(s + int(step)) % size for step in steps]


def _charged(here: Any, cost: Any, t: Any, as_open_spiel: bool, actions: int, crowd: Any = None) -> Any:
    """`here` (S,) less the cost of an action, (A,); in OpenSpiel's games, of a place (H, S)."""
    costs = jnp.asarray(cost, here.dtype)
    charge = costs[t][:, None] * jnp.ones((1, actions), here.dtype) if as_open_spiel else costs[None]
    return here[:, None] - charge * (1.0 if crowd is None else crowd[:, None])


@entry(
    "Almulla, Ferreira and Gomes, Two numerical approaches to stationary mean-field games, 2017, as in OpenSpiel",
    folder="mean_field",
)
def periodic_aversion(
    *,
    size: int = 21,
    horizon: int = 20,
    dt: float = 0.01,
    n_actions_per_side: int = 10,
    volatility: float = 1.0,
    coef_aversion: float = 1.0,
    xmin: float = 0.0,
    xmax: float = 1.0,
    as_open_spiel: bool = False,
) -> MeanFieldGame:
    """Crowd aversion on a periodic interval, with a price on speed and a landscape.

    `as_open_spiel=True`: what costs is the move by which a place was first visited in a depth-first search.
    """
    side = n_actions_per_side
    require(size >= 2 and horizon >= 1, f"periodic_aversion needs size >= 2 and horizon >= 1; got {size}, {horizon}.")
    require(0 <= side <= size, f"periodic_aversion needs 0 <= n_actions_per_side <= size; got {side}.")
    require(
        dt > 0 and volatility > 0, f"periodic_aversion needs positive dt and volatility; got {dt:g}, {volatility:g}."
    )
    require(xmax > xmin, f"periodic_aversion needs xmin < xmax; got {xmin:g}, {xmax:g}.")
    dx = (xmax - xmin) / (size - 1)
    steps = np.arange(-side, side + 1)
    noise = np.exp(-((steps * dx) ** 2) / (2 * volatility**2 * dt))
    angle = 2 * math.pi * (np.arange(size) * dx + xmin)
    land = 2 * math.pi**2 * (volatility * np.sin(angle) - np.cos(angle) ** 2) + 2 / volatility**2 * np.sin(angle)
    cost: Any = dt * (steps * dx / dt) ** 2 / 2
    if as_open_spiel:
        around = _circle(size, steps)
        cost = cost[first_visits(range(size), around, around, horizon, size, side)]

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        here = dt * (jnp.asarray(land, law.dtype) - coef_aversion * jnp.log(law.sum(axis=1) / dx + 1e-15))
        return _charged(here, cost, t, as_open_spiel, steps.size)

    return MeanFieldGame(
        reward,
        Stencil(size, steps, noise / noise.sum(), boundary="torus"),
        np.full(size, 1 / size),
        horizon,
        action_labels=[f"{step:+d}" for step in steps],
        name="mean_field/periodic_aversion",
    )

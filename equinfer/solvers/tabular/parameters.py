"""What an equilibrium can be differentiated by: from what a user calls a parameter to a direction of the tables."""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.arguments import shown
from equinfer.errors import BadInput, UnknownName
from equinfer.games import catalog
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.sensitivity import (
    Direction,
    KernelMap,
    LinearisedEquilibrium,
    RewardMap,
    Sensitivity,
    along,
    refuse_unless_alike,
    towards,
)
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.tables import Origin
from equinfer.types import Profile

__all__ = ["differenced", "sensitivity"]

TABLES = ("reward", "kernel", "discount")

STEP = float(np.finfo(float).eps) ** 0.2
"""Step of the central differences, as a part of the parameter: it balances their error h^4 with rounding's eps / h."""

_SHRINK, _SHRINKINGS = 8.0, 9
"""By how much the step shrinks while differences disagree, and how often they are looked at: down to 1e-11 of `at`."""
_AGREE = 1e-8
"""Of the derivative, by which two extrapolated differences may differ."""

Build = Callable[..., Any]
"""A function of one number that makes a game."""


def sensitivity(
    game: TabularGame, profile: Profile, parameter: Any, origin: Origin | None = None
) -> Sensitivity | RewardMap | KernelMap:
    """The derivative of the equilibrium `profile` of `game`; `Solution.sensitivity` lists what `parameter` may be.

    **Arguments:** `origin`, if the game does not remember its own.

    **Raises:** `BadInput` if the equilibrium is not regular, with the reason, or the parameter is out of range or
    discrete; `UnknownName` for a parameter that the game does not have.
    """
    if isinstance(parameter, str) and parameter in ("reward", "kernel"):
        linearised = LinearisedEquilibrium.of(game, profile)
        return RewardMap(linearised) if parameter == "reward" else KernelMap(linearised)
    direction, name, step = _direction(game, parameter, game.labels.origin or origin)
    return LinearisedEquilibrium.of(game, profile).jvp(direction, name, step)


def _direction(game: TabularGame, parameter: Any, origin: Origin | None) -> tuple[Direction, str, float | None]:
    """The direction, what it is called, and the step of the differences it took."""
    match parameter:
        case "discount":
            return along(game, discount=1.0), "discount", None
        case ("discount", player):
            moved = _unit(game, "discount", (player,), (game.num_players,))
            return along(game, discount=moved), f"discount of player {game.player_labels[player]}", None
        case ("reward", index):
            shape = (game.num_players, game.num_states, *game.num_actions)
            return along(game, reward=_unit(game, "reward", index, shape)), f"reward at {index}", None
        case ("kernel", _):
            raise BadInput("one probability cannot move alone; give a direction {'kernel': ...} of rows that sum to 0.")
        case str() | (str(), _):
            return _of_catalogue(game, parameter, origin)
        case (build, value) if callable(build):
            return _of_builder(game, build, value, getattr(build, "__name__", "parameter"))
        case TabularGame():
            return towards(game, parameter), "the line to the other game", None
        case Mapping():
            for name in parameter:
                if name not in TABLES:
                    raise UnknownName.among("table", str(name), TABLES)
            if not parameter:
                raise BadInput(f"a direction needs a change of at least one of {', '.join(TABLES)}.")
            return along(game, **parameter), f"direction of {', '.join(parameter)}", None
    raise BadInput(
        "a parameter is a name, a pair such as ('discount', 0) or (build, value), a dict of changes of the tables, or "
        f"another game; got {type(parameter).__name__}."
    )


def _unit(game: TabularGame, table: str, index: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """Zeros, and a one at `index`. **Raises:** `BadInput` if there is no such entry, or no such legal action."""
    many = isinstance(index, (tuple, list)) and len(index) == len(shape)
    if not many or not all(_is_index(k, size) for k, size in zip(index, shape, strict=True)):
        raise BadInput(f"{table} has no entry {shown(index)}; its shape is {shape}.")
    for player, action in enumerate(index[2:]):
        if not game.legal[player][index[1], action]:
            raise BadInput(
                f"{table} at {tuple(index)}: action {game.action_labels[player][action]} of player "
                f"{game.player_labels[player]} is not legal in state {game.state_labels[index[1]]}."
            )
    array = np.zeros(shape)
    array[tuple(index)] = 1.0
    return array


def _of_catalogue(game: TabularGame, parameter: Any, origin: Origin | None) -> tuple[Direction, str, float]:
    """The direction of a parameter, or of one entry of it, of the game's entry in the catalogue."""
    name, entry = parameter if isinstance(parameter, tuple) else (parameter, None)
    values = dict(origin.parameters) if origin else {}
    if name not in values:
        smooth = (key for key, value in values.items() if key not in TABLES and not _discrete(value))
        raise UnknownName.among("parameter", name, (*TABLES, *smooth))
    assert origin is not None
    value = values[name]
    if not isinstance(value, tuple) and entry is not None:
        raise BadInput(f"{name} of {game.name} is one number, {value!r}, and has no entry {shown(entry)}.")
    if isinstance(value, tuple) and not _is_index(entry, len(value)):
        asked = "" if entry is None else f", and has no entry {shown(entry)}"
        raise BadInput(f"{name} of {game.name} is a list of {len(value)}{asked}; ask for ({name!r}, k), k from 0 on.")
    at = value if entry is None else value[entry]
    if _discrete(at):
        raise BadInput(f"{name} of {game.name} is discrete ({at!r}): the equilibrium has no derivative in it.")

    def build(x: float) -> TabularGame:
        changed = x if entry is None else (*value[:entry], x, *value[entry + 1 :])
        return catalog.load(origin.target.removeprefix("catalog:"), **{**values, name: changed})

    return _of_builder(game, build, at, name if entry is None else f"{name}[{entry}]")


def _is_index(value: Any, size: int) -> bool:
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    return bool(whole and 0 <= value < size)


def _discrete(value: Any) -> bool:
    """A whole number or a flag, or a list of them; the catalogue reads numbers that can vary smoothly as floats."""
    return not all(isinstance(each, float) for each in (value if isinstance(value, tuple) else (value,)))


def _of_builder(game: TabularGame, build: Build, at: Any, name: str) -> tuple[Direction, str, float]:
    real = isinstance(at, (int, float, np.integer, np.floating)) and not isinstance(at, bool)
    if not real or not np.isfinite(at):
        raise BadInput(f"{name}: the value at which to differentiate must be a finite number; got {shown(at)}.")
    direction, step = differenced(game, build, float(at), name)
    return direction, name, step


def differenced(game: TabularGame, build: Build, at: float, name: str) -> tuple[Direction, float]:
    """The derivative at `at` of the tables that `build` makes, and the step.

    Central differences at steps h and h/2, extrapolated (Richardson): their error is of order $h^4$, about 1e-12 of
    the tables for h = `STEP` times |`at|` where they vary on the scale of `at`. Whether they do is seen from the same
    with h/2 and h/4: h shrinks until the two agree.

    **Raises:** `BadInput` if `build(at)` is another game than `game`, if `at` is at an end of its range, where the
    tables jump or have a kink, or vary too fast for any step.
    """
    centre = build(at)
    _refuse_unless_like(game, centre, name, at)
    if not _same_tables(game, centre):
        raise BadInput(f"{name} = {at:g} makes another game than the one that was solved.")
    probe = np.random.default_rng(0).random((game.num_players, game.num_states))
    # A power of two, so that it is halved, and added to nearly every number, without rounding.
    step = 2.0 ** math.floor(math.log2(STEP * (abs(at) or 1.0)))
    for _ in range(_SHRINKINGS):
        around = _Around.of(game, build, at, step, name)
        coarse, fine = around.derivative(probe, step), around.finer.derivative(probe, step / 2)
        size = np.abs(stage_payoffs(centre, probe)).max(axis=tuple(range(1, fine.ndim)), keepdims=True)
        largest = np.abs(fine).max(axis=tuple(range(1, fine.ndim)), keepdims=True)  # of every player
        if (np.abs(coarse - fine) <= _AGREE * largest + 64 * float(np.finfo(float).eps) * size / step).all():
            break
        step /= _SHRINK
    else:
        raise BadInput(
            f"the game has a kink or a jump at {name} = {at:g}, or varies too fast there: its differences at ever "
            "smaller steps do not agree."
        )

    def direction(value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N S *A"]:
        around.refuse_kinks(centre, value, f"{name} = {at:g}")
        return around.derivative(value, step)

    return direction, step


class _Around(NamedTuple):
    """Games at -h, -h/2, -h/4, h/4, h/2 and h from a parameter's value."""

    games: tuple[TabularGame, ...]

    @classmethod
    def of(cls, game: TabularGame, build: Build, at: float, step: float, name: str) -> "_Around":
        try:
            games = tuple(build(at + part * step) for part in (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0))
        except BadInput as error:
            raise BadInput(f"{name} = {at:g} is at an end of its range, where it has no derivative: {error}") from None
        for other in games:
            _refuse_unless_like(game, other, name, at)
        return cls(games)

    @property
    def finer(self) -> "_Around":
        """The same of half the step, as far as that is needed for a derivative."""
        return _Around((self.games[1], self.games[2], self.games[2], self.games[3], self.games[3], self.games[4]))

    def derivative(self, value: Float[np.ndarray, "N S"], step: float) -> Float[np.ndarray, "N S *A"]:
        low, left, _, _, right, high = (stage_payoffs(each, value) for each in self.games)
        return (8 * (right - left) - (high - low)) / (6 * step)

    def refuse_kinks(self, centre: TabularGame, value: Float[np.ndarray, "N S"], where: str) -> None:
        low, left, _, _, right, high = (stage_payoffs(each, value) for each in self.games)
        here = stage_payoffs(centre, value)
        for player in range(len(here)):
            whole, half = (up[player] - 2 * here[player] + down[player] for up, down in ((high, low), (right, left)))
            _refuse_kink(whole, half, float(np.abs(here[player]).max()), where)


def _refuse_unless_like(game: TabularGame, built: Any, name: str, at: float) -> None:
    """**Raises:** `BadInput` if what was built at `at` or close to it is no game, or of another shape than `game`."""
    if not isinstance(built, TabularGame):
        raise BadInput(f"{name} = {at:g} must make a TabularGame; what was made of it is {shown(built)}.")
    refuse_unless_alike(game, built)


def _refuse_kink(whole: np.ndarray, half: np.ndarray, size: float, where: str) -> None:
    """A player's second differences at h and h/2 have the ratio 4 where tables are smooth, 2 at a kink, 1 at a jump."""
    rounding = 64 * float(np.finfo(float).eps) * size
    if np.abs(whole - 4 * half).max() > 0.2 * np.abs(whole).max() + rounding:
        raise BadInput(f"the game has a kink or a jump at {where}, and no derivative there.")


def _same_tables(one: TabularGame, other: TabularGame) -> bool:
    probe = np.random.default_rng(0).random((one.num_players, one.num_states))
    tables, others = stage_payoffs(one, probe), stage_payoffs(other, probe)
    sizes = np.abs(tables).max(axis=tuple(range(1, tables.ndim)), keepdims=True)  # of every player
    return bool((np.abs(tables - others) <= 1e-12 * (sizes + np.abs(others))).all())

"""Many one-shot games of one shape: the checks that they pass once, all together."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer.arguments import refuse_masked
from equinfer.errors import BadInput, cause
from equinfer.memory import refuse_beyond_half
from equinfer.tables import MOST_PLAYERS

__all__ = ["checked_games"]

_EXPECTED = "a batch of games has payoffs of shape (B, N, A_1, ..., A_N)"


def checked_games(payoffs: ArrayLike) -> Float[np.ndarray, "B N *A"]:
    """The payoffs of B games, any array-like (B, N, A_1, ..., A_N), as contiguous float64, finite and with finite
    spreads. B may be 0, nothing else may.

    **Raises:** `BadInput` that names the game, the player and the joint action, or the memory that it would take.
    """
    given: Any = payoffs if hasattr(payoffs, "shape") else _rectangular(payoffs)
    _refuse_other_axes(tuple(given.shape))
    _refuse_unless_it_fits(tuple(given.shape))
    refuse_masked(given, "payoffs")
    if np.asarray(given).dtype.kind not in "biuf":
        raise BadInput(f"payoffs must be real numbers; got {np.asarray(given).dtype}.")
    array = np.ascontiguousarray(given, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        spread_of_all = array.max(initial=0.0) - array.min(initial=0.0)
        if not np.isfinite(spread_of_all):
            _refuse_unbounded(array)
    return array


def _rectangular(payoffs: Any) -> np.ndarray:
    """Nested sequences as one array. **Raises:** `BadInput` with the first game and player that break the shape."""
    try:
        return np.asarray(payoffs)
    except (TypeError, ValueError, OverflowError) as error:
        _refuse_ragged(payoffs)
        raise BadInput(f"{_EXPECTED}; this is no rectangular array of numbers: {cause(error)}.") from None


def _refuse_ragged(games: Iterable[Any]) -> None:
    first = None
    for b, game in enumerate(games):
        tables = list(game) if hasattr(game, "__iter__") else []
        for i, table in enumerate(tables):
            try:
                shape = np.shape(table)
            except ValueError:
                raise BadInput(f"game {b}, player {i}: the payoffs are not a rectangular array.") from None
            first = shape if first is None else first
            if shape != first:
                raise BadInput(
                    f"game {b}, player {i}: payoffs of shape {shape}; those of game 0, player 0 have shape {first}, "
                    "and all games of a batch have the same numbers of actions."
                )
            if len(shape) != len(tables):
                raise BadInput(
                    f"game {b}: payoffs of {len(tables)} players, with {len(shape)} action axes each; {_EXPECTED}."
                )


def _refuse_other_axes(shape: tuple[int, ...]) -> None:
    if len(shape) < 3 or len(shape) - 2 != shape[1]:
        says = "" if len(shape) < 3 else f" {shape[1]} players but {len(shape) - 2} action axes,"
        raise BadInput(f"{_EXPECTED}; got{says} {shape}.")
    if 0 in shape[1:]:
        raise BadInput(f"{_EXPECTED}; got an empty axis, {shape}.")


def _refuse_unless_it_fits(shape: tuple[int, ...]) -> None:
    """Refuse before anything is allocated: the payoffs in float64, the profiles, and some numbers of each game."""
    games, players, *num_actions = shape
    if players > MOST_PLAYERS:
        raise BadInput(f"{players} players; payoffs have one axis for each, at most {MOST_PLAYERS}.")
    per_game = players * math.prod(num_actions) + 3 * players * max(num_actions) + 2 * players + 8
    refuse_beyond_half(
        f"payoffs and profiles of {games} games with {' x '.join(map(str, num_actions))} joint actions",
        8 * games * per_game,
        "Solve them in parts.",
    )


def _refuse_unbounded(payoffs: Float[np.ndarray, "B N *A"]) -> None:
    flat = payoffs.reshape(*payoffs.shape[:2], -1)
    off = np.argwhere(~np.isfinite(flat.max(axis=2) - flat.min(axis=2)))
    if not len(off):
        return  # payoffs of different games or players are far apart, which is nobody's problem
    game, player = off[0].tolist()
    table = payoffs[game, player]
    if np.isfinite(table).all():
        raise BadInput(f"game {game}, player {player}: the spread of the payoffs is beyond float64.")
    cell = tuple(np.argwhere(~np.isfinite(table))[0].tolist())
    raise BadInput(f"game {game}, player {player}, joint action {cell}: the payoff is {table[cell]}.")

"""A game for every value of one of its parameters: made on demand, and checked before anybody works on it."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.errors import BadInput, EquinferError, UnknownName
from equinfer.games.tabular import TabularGame
from equinfer.memory import Footprint, foresee
from equinfer.targets import game_to_solve, tabular_game_of

__all__ = ["RECORD", "ParametrisedGame"]

RECORD = 2**13
"""Bytes that the record of an answer takes, however small the game: measured."""


class ParametrisedGame:
    """A target of `load`, or a function from the parameter's value to a game; `others` are its fixed parameters."""

    def __init__(self, target: str | Callable[..., TabularGame], parameter: str, others: dict[str, Any]):
        self._target, self._parameter, self._others = target, parameter, others

    def at(self, value: float) -> TabularGame:
        """**Raises:** `BadInput` that names the value if there is no such game, or no memory to solve it."""
        try:
            return self._made(value)
        except BadInput as error:
            raise BadInput(f"{self._parameter} = {value:.9g}: {error}") from None

    def exists(self, value: float) -> bool:
        """False where there is no game: between two values of a parameter that only takes whole numbers."""
        try:
            self._made(value)
        except BadInput:
            return False
        return True

    def refuse_unless_all_exist(self, values: Float[np.ndarray, " K"], go_on: Callable[[int], bool]) -> None:
        """Make the game of every value once, the ends of the range first; the others while `go_on`, which is told how
        many were made, says so.

        **Raises:** `BadInput` for a parameter that the target does not have, for the first value at which there is no
        game, and for games that would not fit in memory together with their answers, with the estimate; `UnknownName`
        for a target or another parameter that does not exist.
        """
        ends = [self._first(float(values[0])), *([self.at(float(values[-1]))] if len(values) > 1 else [])]
        each = sum(map(_kept, ends)) // len(ends)
        what = f"{len(values)} values of {self._parameter}"
        footprint = Footprint.of_answers(what, len(values) * each, max(game.nbytes for game in ends))
        footprint.refuse_unless_it_fits()
        foresee(footprint)
        for made, value in enumerate(values[1:-1].tolist(), len(ends)):
            if not go_on(made):
                return
            self.at(value)

    def _first(self, value: float) -> TabularGame:
        """The game of the first value; what is wrong with it may be wrong whatever the parameter is."""
        try:
            return self._made(value)
        except UnknownName as error:
            if callable(self._target):
                raise
            with contextlib.suppress(BadInput):
                game_to_solve(self._target, **self._others)
            raise BadInput(f"nothing to sweep: {error}") from None
        except BadInput as error:
            if not callable(self._target) and self._refusal_without() == str(error):
                raise
            raise BadInput(f"{self._parameter} = {value:.9g}: {error}") from None

    def _refusal_without(self) -> str | None:
        """What is said of the game if the parameter is left alone."""
        try:
            game_to_solve(self._target, **self._others)  # pyright: ignore[reportArgumentType], no function
        except BadInput as error:
            return str(error)
        return None

    def _made(self, value: float) -> TabularGame:
        if not callable(self._target):
            made = game_to_solve(self._target, **{**self._others, self._parameter: value})
            return tabular_game_of(made, "a sweep")
        try:
            made = self._target(value, **self._others)
        except EquinferError:
            raise
        except Exception as error:
            error.add_note(f"Raised by the function that makes the game, at {self._parameter} = {value:.9g}.")
            raise
        if not isinstance(made, TabularGame):
            raise BadInput(f"the function of {self._parameter} must make a TabularGame; got {type(made).__name__}.")
        game_to_solve(made)
        return made


def _kept(game: TabularGame) -> int:
    """Bytes of a game and the record of its answer: policies and best responses; values and gains."""
    numbers = game.num_states * (2 * sum(game.num_actions) + 4 * game.num_players) * (game.horizon or 1)
    return game.nbytes + 8 * numbers + RECORD

"""A target, such as a path or `catalog:stag_hunt`, to a game, and a game to a file."""

import difflib
import os
from pathlib import Path
from typing import Any

from equinfer.errors import BadInput, EquinferError, UnknownName, blamed
from equinfer.games import SOURCES, game_source
from equinfer.games.continuous import ContinuousGame
from equinfer.games.importable import imported, is_importable
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.tabular import TabularGame
from equinfer.memory import Footprint, foresee, foreseen_by
from equinfer.tables import Origin

__all__ = ["Game", "SolvableGame", "Target", "game_of", "game_to_solve", "load", "save", "tabular_game_of"]

Target = str | os.PathLike[str]
SolvableGame = TabularGame | MeanFieldGame
Game = SolvableGame | ContinuousGame


def load(target: Target, /, **parameters: Any) -> Any:
    """A game from a file, from the catalogue, from OpenSpiel, from a plug-in or from a module of one's own.

    **Arguments:** `target` is a path (`.nfg`, `.efg`, `.csv`, `.npz`), `"catalog:name"`, `"openspiel:name"`,
    `"plugin:name"`, or `"package.module:name"` of a game or of a function that makes one; `parameters` go to whatever
    makes the game.

    **Returns:** a `TabularGame`, a `MeanFieldGame` or a `ContinuousGame`: which one the target says, and no type can.

    **Raises:** `BadInput` for a file that is missing or wrong; `UnknownName` for a name that nobody knows.
    """
    if not isinstance(target, (str, os.PathLike)):
        what = _shortly(target)
        raise BadInput(f"expected a game, a path, or a name such as 'catalog:stag_hunt'; got {what}.")
    if is_importable(str(target)) and not _exists(target):
        return _own(str(target), parameters)
    source, colon, name = str(target).partition(":")
    if colon and (source in SOURCES or (_could_be_a_source(source) and not _exists(target))):
        return _made(source, name, parameters)
    if not _exists(target):
        _refuse_a_bare_name(str(target))
        raise BadInput(f"{target}: no such file.")
    from equinfer.games.files import read_game

    return read_game(Path(target), **parameters)


def save(game: TabularGame, path: Target) -> None:
    """Write `game` to a file whose suffix says the format (`.nfg`, `.csv`, `.npz`); never half of one.

    **Raises:** `BadInput` for games that are no tables, which are functions and have no file.
    """
    game = tabular_game_of(game, "a file")
    from equinfer.games.files import write_game

    write_game(game, Path(path))


def game_of(game: Any) -> Game:
    """The game itself, or what `load` makes of a target."""
    return game if isinstance(game, Game) else load(game)


def tabular_game_of(game: Any, what: str) -> TabularGame:
    """The game, which must be one in tables. **Raises:** `BadInput` if it is not; `what` is for tables only."""
    if not isinstance(game, TabularGame):
        kind = "one of continuous actions" if isinstance(game, ContinuousGame) else "a mean-field game"
        raise BadInput(f"{what} is for games in tables; {game.name} is {kind}.")
    return game


def game_to_solve(game: Game | Target, /, **parameters: Any) -> SolvableGame:
    """The game itself, or what `load` makes of a target, if there is the memory to solve it as well.

    **Raises:** `BadInput` with the estimate if there is not: before the tables are made, wherever their sizes are known
    before; and what `load` raises.
    """
    if isinstance(game, Game) and parameters:
        raise BadInput(
            f"{game.name} is a game already, which takes no parameters, such as {next(iter(parameters))}; give a "
            "target of `load`, or a function from the parameter's value to a game."
        )
    with foreseen_by(Footprint.refuse_unless_it_fits):
        made = game if isinstance(game, Game) else load(game, **parameters)
        if isinstance(made, ContinuousGame):
            raise BadInput(
                f"{made.name} is a game of continuous actions, which no solver finds equilibria of; agents learn to "
                "play it by `eq.train`, and `eq.certify` judges their joint actions."
            )
        foresee(Footprint.of_game(made.name, made.num_states, made.nbytes))
    return made


def _shortly(value: Any) -> str:
    """A value in an error: itself, or its kind if that is an array or the like."""
    return repr(value) if isinstance(value, (int, float, bool, type(None))) else type(value).__name__


def _exists(path: Target) -> bool:
    try:
        return Path(path).exists()
    except OSError as error:  # a name that no file can have
        raise BadInput(f"{path} cannot be read: {error.strerror or error}.") from None


def _could_be_a_source(word: str) -> bool:
    """A word longer than the letter of a drive."""
    return len(word) > 1 and word.replace("-", "_").isidentifier()


def _made(source: str, name: str, parameters: dict[str, Any]) -> Game:
    """The game called `name` of a source. **Raises:** `EquinferError` if a plug-in breaks, or makes something else."""
    make = game_source(source)
    try:
        game = make(name, **parameters)
    except Exception as error:
        if source in SOURCES or isinstance(error, EquinferError):
            raise
        raise EquinferError(f"plug-in {source!r} failed: {type(error).__name__}: {error}.") from error
    if not isinstance(game, Game):
        raise EquinferError(f"plug-in {source!r} made no game of {name!r}, but {type(game).__name__}.")
    return game


def _own(target: str, parameters: dict[str, Any]) -> Game:
    """The game that somebody's module has, or that a function of it makes."""
    made = imported(target)
    if isinstance(made, Game) and parameters:
        raise BadInput(f"{target} is a game already, which takes no parameters, such as {next(iter(parameters))}.")
    if callable(made) and not isinstance(made, Game):
        with blamed(f"{target} failed"):
            made = made(**parameters)
    if not isinstance(made, Game):
        raise BadInput(f"{target} is no game, and no function that makes one: it gave a {type(made).__name__}.")
    return made.made_from(Origin(target, tuple(parameters.items())))


def _refuse_a_bare_name(target: str) -> None:
    """Say that a word without a suffix, which is no file, is no name either, and which one was probably meant."""
    from equinfer.games import catalog

    known = (*catalog.names(), *catalog.continuous_names())
    close = difflib.get_close_matches(target.replace("-", "_"), known, n=1, cutoff=0.8)
    if close:
        raise UnknownName(f"no file is called {target!r}; did you mean 'catalog:{close[0]}'?")
    if not Path(target).suffix:
        raise UnknownName(
            f"there is no file called {target!r}, and no game of the catalogue; `equinfer games` lists it."
        )

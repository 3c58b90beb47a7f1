"""Games in files: one line per format in `FORMATS`, one module with `read` and `write` each."""

import errno
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from equinfer.errors import BadInput, UnknownName
from equinfer.games.files import csv, efg, nfg, npz
from equinfer.games.tabular import TabularGame

__all__ = ["FORMATS", "Format", "read_game", "write_game"]


class Format(NamedTuple):
    """How files with one suffix are read, and written if they can be."""

    read: Callable[..., TabularGame]
    write: Callable[[TabularGame, Path], None] | None


FORMATS: dict[str, Format] = {
    ".nfg": Format(nfg.read, nfg.write),
    ".efg": Format(efg.read, None),
    ".csv": Format(csv.read, csv.write),
    ".npz": Format(npz.read, npz.write),
}


def read_game(path: str | os.PathLike[str], **parameters: Any) -> TabularGame:
    """The game in a file, by its suffix: Gambit's `.nfg` and `.efg`, a table in `.csv`, or our own `.npz`.

    **Arguments:** `parameters` of the format's reader; only `.csv` has any (`discount`, `horizon`, `initial`,
    `ending`).

    **Raises:** `BadInput` with one sentence that names the file and the line; `UnknownName` for a parameter that the
    format does not have.
    """
    path = Path(path)
    reader = _format(path).read
    known = [name for name in inspect.signature(reader).parameters if name != "path"]
    for name in parameters:
        if name not in known:
            if not known:
                raise UnknownName(f"{path}: a {path.suffix.lower()} file has no parameters; got {name!r}.")
            raise UnknownName.among(f"parameter of a {path.suffix.lower()} file", name, known)
    return reader(path, **parameters)


def write_game(game: TabularGame, path: str | os.PathLike[str]) -> None:
    """Write a game in the format of the path's suffix. The file appears whole or not at all.

    **Raises:** `BadInput` if the format cannot hold the game, or the folder cannot be written.
    """
    path = Path(path)
    write = _format(path).write
    if write is None:
        writable = ", ".join(suffix for suffix, form in FORMATS.items() if form.write is not None)
        raise BadInput(f"{path}: {path.suffix} files are only read; games are written to {writable}.")
    try:
        write(game, path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # a full disk is nobody's bad input
            raise
        raise BadInput(f"{path} cannot be written: {error.strerror or error}.") from None


def _format(path: Path) -> Format:
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        found = f"{path.suffix} is none of them" if path.suffix else "this name has no suffix"
        raise BadInput(f"{path}: the name of a game's file ends in one of {', '.join(FORMATS)}; {found}.")
    return form

"""Comma-separated tables as rows of named cells."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import NamedTuple, NoReturn

from equinfer.errors import BadInput
from equinfer.games.files.source import clipped, number, read_text

__all__ = ["Row", "read_rows"]


class Row(NamedTuple):
    """One line of a table: its cells by column name."""

    path: Path
    line: int
    """On which the row ends, from 1."""
    cells: dict[str, str]

    def fail(self, says: str) -> NoReturn:
        raise BadInput(f"{self.path}, line {self.line}: {clipped(says)}.")

    def number(self, column: str) -> float:
        value = number(self.cells[column])
        if value is None:
            found = repr(self.cells[column]) if self.cells[column] else "nothing"
            self.fail(f"column {column} must hold a finite number, not {found}")
        return value


def read_rows(path: Path) -> tuple[tuple[str, ...], list[Row]]:
    """Column names and non-empty rows; cells lose the white space around them.

    **Raises:** `BadInput` naming the line of a row that is too short, too long, or wrongly quoted.
    """
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True, skipinitialspace=True)
    header: tuple[str, ...] = ()
    found = []
    try:
        for raw in reader:
            cells = tuple(cell.strip() for cell in raw)
            if not any(cells):
                continue
            if not header:
                header = cells
                twice = [name for name, count in Counter(header).items() if name and count > 1]
                if twice:
                    raise BadInput(f"{path}, line {reader.line_num}: there are two columns {twice[0]}.")
                continue
            if len(cells) != len(header):
                raise BadInput(
                    f"{path}, line {reader.line_num}: {len(cells)} cells, but the header has {len(header)} columns."
                )
            found.append(Row(path, reader.line_num, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise BadInput(f"{path}, line {reader.line_num}: {error}.") from None
    return header, found

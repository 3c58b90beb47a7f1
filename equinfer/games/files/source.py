"""Files as text and numbers: what every reader needs before it can say what is wrong, and where."""

import math
import os
import re
import stat
from pathlib import Path

from equinfer.errors import BadInput
from equinfer.writing import written_atomically

__all__ = ["LARGEST_FILE", "checked_file", "clipped", "decimal", "number", "read_text", "write_text"]

LARGEST_FILE = 2**29
"""Bytes of text that a reader takes in."""

LONGEST_SENTENCE = 800

_DECIMAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_RATIONAL = re.compile(r"([+-]?\d+)/(\d+)", re.ASCII)


def checked_file(path: Path, limit: int) -> int:
    """Size of an ordinary, readable, non-empty file of at most `limit` bytes; anything else is refused by name."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {_reason(error)}.") from None
    if not stat.S_ISREG(status.st_mode):
        raise BadInput(f"{path} is {'a folder' if stat.S_ISDIR(status.st_mode) else 'not an ordinary file'}.")
    if status.st_size == 0:
        raise BadInput(f"{path} is empty.")
    if status.st_size > limit:
        raise BadInput(f"{path} has {status.st_size} bytes; at most {limit} are read.")
    return status.st_size


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, with line ends as they are."""
    checked_file(path, LARGEST_FILE)
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {_reason(error)}.") from None
    if b"\0" in raw:
        raise BadInput(f"{path} is a binary file, not text (zero byte at position {raw.index(0)}).")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path} is not UTF-8 text (byte {raw[error.start]:#04x} at position {error.start}).") from None
    if not text.strip():
        raise BadInput(f"{path} is empty.")
    return text


def write_text(path: Path, text: str) -> None:
    """Write a file that appears whole or not at all."""
    with written_atomically(path) as file:
        file.write(text.encode())


def number(text: str) -> float | None:
    """The finite number that an integer, decimal (`-1.5e3`) or rational (`1/3`) stands for, or None."""
    try:
        if _DECIMAL.fullmatch(text):
            value = float(text)
        elif rational := _RATIONAL.fullmatch(text):
            value = int(rational[1]) / int(rational[2])
        else:
            return None
    except (ArithmeticError, ValueError):
        return None
    return value if math.isfinite(value) else None


def decimal(value: float) -> str:
    """The shortest text from which `number` gets the same float back."""
    text = repr(float(value))
    return text.removesuffix(".0")


def clipped(says: str) -> str:
    """A sentence that quotes a file, without the middle if the quotation is endless."""
    return (
        says
        if len(says) <= LONGEST_SENTENCE
        else f"{says[: LONGEST_SENTENCE // 2]} ... {says[-LONGEST_SENTENCE // 2 :]}"
    )


def _reason(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else str(error)

"""NumPy's `.npz` archives, read without trust: no pickles, and no array larger than its header, the expected shape
and the file itself allow.
"""

import contextlib
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy

from equinfer.errors import BadInput
from equinfer.games.files.source import checked_file

__all__ = ["Archive", "opened"]

LARGEST_ARCHIVE = 2**40
LARGEST_PACKED = 2**26
"""Bytes of one compressed array, unpacked. Larger ones must be stored as they are, as `numpy.savez` does."""


class Archive:
    """Arrays by name."""

    def __init__(self, path: Path, archive: zipfile.ZipFile):
        self._path, self._archive = path, archive
        self._names = set(archive.namelist())

    def __contains__(self, name: str) -> bool:
        return f"{name}.npy" in self._names

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of an array, from its header alone."""
        with self._member(name) as (_, shape, _, _):
            return shape

    def array(self, name: str, shape: tuple[int, ...], kind: str = "f") -> np.ndarray:
        """The array, if it has the `shape` and its numbers are of the `kind`.

        Kinds are 'f' floats, 'i' whole numbers, 'b' booleans.
        """
        with self._member(name) as (member, found, fortran, dtype):
            if found != shape or dtype.kind != kind:
                wanted = {"f": "floats", "b": "booleans", "i": "whole numbers", "U": "text"}[kind]
                raise BadInput(f"{self._path}: {name} must be {wanted} of shape {shape}, not {dtype} of shape {found}.")
            flat = np.frombuffer(member.read(), dtype)
            return flat.reshape(shape, order="F" if fortran else "C").astype(dtype.newbyteorder("="))

    def record(self, name: str) -> Any:
        """What a JSON text holds."""
        return json.loads(str(self.array(name, (), "U")))

    @contextlib.contextmanager
    def _member(self, name: str) -> Iterator[tuple[Any, tuple[int, ...], bool, np.dtype]]:
        if name not in self:
            raise BadInput(f"{self._path} holds no array {name!r}.")
        entry = self._archive.getinfo(f"{name}.npy")
        packed = entry.compress_type != zipfile.ZIP_STORED
        if entry.file_size > (LARGEST_PACKED if packed else self._path.stat().st_size):
            raise BadInput(
                f"{self._path}: {name} claims {entry.file_size} bytes, more than are unpacked from this file."
            )
        with self._archive.open(entry) as member:
            version = npy.read_magic(member)
            header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
            shape, fortran, dtype = header(member)
            if dtype.hasobject or min(shape, default=1) < 0:
                raise ValueError(f"{name} holds Python objects")
            if entry.file_size - member.tell() != math.prod(shape) * dtype.itemsize:
                raise ValueError(f"{name} does not have the size that its header says")
            yield member, shape, fortran, dtype


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Archive]:
    """The archive at `path`; whatever goes wrong inside the block is a `BadInput` about the file."""
    checked_file(path, LARGEST_ARCHIVE)
    try:
        with zipfile.ZipFile(path) as archive:
            yield Archive(path, archive)
    except BadInput:
        raise
    except Exception as error:  # damaged bytes make zipfile, zlib, NumPy and JSON raise nearly anything
        raise BadInput(f"{path} is not a readable .npz file: {error}.") from None

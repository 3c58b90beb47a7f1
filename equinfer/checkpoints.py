"""The state of a run on disk: every array of a tree in one file that is there whole or not at all."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from equinfer.data.leaves import kind, numbers, restored
from equinfer.errors import BadInput
from equinfer.writing import written_atomically

__all__ = ["load_tree", "read_arrays", "save_tree"]


def save_tree(path: Path, tree: Any, beside: Mapping[str, np.ndarray]) -> None:
    """Write the arrays of `tree` in the order of its leaves, and others by name."""
    leaves = {f"leaf_{k}": numbers(leaf) for k, leaf in enumerate(jax.tree.leaves(tree))}
    with written_atomically(path) as file:
        arrays: dict[str, Any] = {**leaves, **beside}
        np.savez(file, **arrays)


def load_tree(path: Path, like: Any) -> tuple[Any, dict[str, np.ndarray]]:
    """What `save_tree` wrote: a tree with the structure, shapes and types of `like`, and what was beside it.

    **Raises:** `BadInput` if the file is missing, torn, or holds another tree.
    """
    arrays = read_arrays(path)
    leaves, structure = jax.tree.flatten(like)
    kept: list[Any] = [arrays.pop(f"leaf_{k}", None) for k in range(len(leaves))]
    if any(name.startswith("leaf_") for name in arrays):
        raise BadInput(f"{path} is a checkpoint of another configuration: it holds more arrays than this one.")
    for k, (leaf, array) in enumerate(zip(leaves, kept, strict=True)):
        want = kind(leaf)
        if array is None or (array.shape, array.dtype) != want:
            found = "nothing" if array is None else f"{array.dtype} {array.shape}"
            raise BadInput(
                f"{path} is a checkpoint of another configuration: array {k} is {found}; expected {want[1]} {want[0]}."
            )
    # Seeds go back to the devices that they were spread over.
    whole = [jax.device_put(restored(array, leaf), leaf.sharding) for array, leaf in zip(kept, leaves, strict=True)]
    return jax.tree.unflatten(structure, whole), arrays


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """**Raises:** `BadInput` if the file is missing or torn."""
    if not path.is_file():
        raise BadInput(f"{path}: no such file.")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise BadInput(f"{path} is damaged: {error}.") from None

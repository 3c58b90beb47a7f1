"""Files and JSON as equinfer writes them: whole or not at all, and strict."""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

__all__ = ["half_written", "json_text", "plain", "written_atomically"]


_PARTIAL = ".partial"


@contextlib.contextmanager
def written_atomically(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that appears under its name whole, once the block has ended well, or not at all."""
    path = Path(path)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def half_written(path: Path) -> list[Path]:
    """What `written_atomically` left of `path` where its process was killed, or has of it where it is not done."""
    return list(path.parent.glob(f".{path.name}.*{_PARTIAL}"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def json_text(record: Any, indent: int | None = None) -> str:
    """Strict JSON: arrays become lists, and what is no finite number becomes null."""
    return json.dumps(plain(record), ensure_ascii=False, allow_nan=False, indent=indent)


def plain(value: Any) -> Any:
    """Lists, dicts, numbers and text only; what is no finite number becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        return plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value

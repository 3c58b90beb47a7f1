"""The folder of `--out`: solution.npz, result.json and report.html, all of them or none."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from equinfer.cli.usage import UsageError
from equinfer.records import Solution
from equinfer.writing import json_text

__all__ = ["OutFolder", "prepared", "writers"]


@dataclass(frozen=True)
class OutFolder:
    """A folder that may be written into."""

    path: Path

    def write(self, solution: Solution) -> None:
        """The three files of a solution."""
        self.write_files(writers(solution))

    def write_files(self, writers: Mapping[str, Callable[[Path], None]]) -> None:
        """Write every file aside first, then move them all in: a full disk leaves the folder as it was."""
        self.path.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=self.path))
        try:
            for name, write in writers.items():
                (partial / name).parent.mkdir(parents=True, exist_ok=True)
                write(partial / name)
            for name in writers:
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(partial / name, self.path / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def prepared(out: Path, force: bool) -> OutFolder:
    """See that the folder can be written, before any work is done for it; it is made once there is something to write.

    **Raises:** `UsageError` if it is no folder, or holds something and `force` is off, or nothing can be written there.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        if out.exists() and not out.is_dir():
            raise UsageError(f"--out {out} is a file; it must be a folder.")
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()) and not force:
            raise UsageError(f"--out {out} is not empty: choose another folder, or write into it with --force.")
        with tempfile.TemporaryFile(dir=out):
            return OutFolder(out)
    except OSError as error:
        raise UsageError(f"--out {out} cannot be written: {error.strerror or error}.") from None
    finally:
        with contextlib.suppress(OSError):
            for folder in made:
                folder.rmdir()


def writers(solution: Solution) -> dict[str, Callable[[Path], None]]:
    """File name -> what writes it, for the three files of a solution."""

    def write_json(path: Path) -> None:
        path.write_text(json_text(solution.to_json()), encoding="utf-8")

    return {"solution.npz": solution.save, "result.json": write_json, "report.html": solution.report}

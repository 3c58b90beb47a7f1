"""The folder of `--out`: solution.npz, result.json and report.html, all of them or none."""

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from equinfer.cli.usage import UsageError
from equinfer.records import Solution, json_text

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
    """Make the folder, before any work is done for it.

    **Raises:** `UsageError` if it is no folder, or holds something and `force` is off; `OSError` if nothing can be
    written there.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; it must be a folder.")
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()) and not force:
        raise UsageError(f"--out {out} is not empty: choose another folder, or write into it with --force.")
    with tempfile.TemporaryFile(dir=out):
        return OutFolder(out)


def writers(solution: Solution) -> dict[str, Callable[[Path], None]]:
    """File name -> what writes it, for the three files of a solution."""

    def write_json(path: Path) -> None:
        path.write_text(json_text(solution.to_json()), encoding="utf-8")

    return {"solution.npz": solution.save, "result.json": write_json, "report.html": solution.report}

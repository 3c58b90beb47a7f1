"""What a user waits for: CPU seconds of whole commands, imports and compilation included, the second time.

    python -m benchmarks.waiting

Each command runs once to fill the caches, then `REPEATS` times; the median of user + system time counts.
"""

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.results import table, versions, write_section

REPEATS = 5
PENALTY_KICK = Path(__file__).parent.parent / "equinfer" / "examples" / "penalty_kick.nfg"
COMMANDS = [
    ("--help", ["--help"], 0.5),
    ("solve a Gambit file", ["solve", str(PENALTY_KICK)], 3.0),
    ("solve grid game 2 (57 states)", ["solve", "catalog:grid_game_2"], 3.0),
    ("the path on a small game", ["solve", "catalog:stag_hunt", "--solver", "homotopy"], 3.0),
    ("VPG on a small game", ["solve", "catalog:prisoners_dilemma", "--solver", "vpg"], 3.0),
    ("solve and write the report", ["solve", "catalog:random", "--force", "--out"], 3.0),
]


def cpu_seconds(command: list[str]) -> float:
    """User and system time of one run of `command` and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    program = shutil.which("equinfer", path=str(Path(sys.executable).parent)) or "equinfer"
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        for name, arguments, limit in COMMANDS:
            command = [program, *arguments, *([folder] if arguments[-1] == "--out" else [])]
            cpu_seconds(command)
            spent = statistics.median(cpu_seconds(command) for _ in range(REPEATS))
            lines.append([name, f"{spent:.2f}", f"{limit:g}"])
            print(*lines[-1], sep="  ", flush=True)
    body = f"`python -m benchmarks.waiting`, median of {REPEATS}. {versions('equinfer', 'jax', 'numba')}.\n\n"
    write_section("Waiting time", body + table(["command", "CPU s", "limit"], lines))


if __name__ == "__main__":
    main()

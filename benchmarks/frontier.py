"""The frontier: time and exact gap against size, ours and both methods of sgamesolver, in one run.

    python -m benchmarks.frontier [--seeds 10] [--peer-seeds 1] [--limit 100] [--huge]
    python -m benchmarks.frontier --quick
    python -m benchmarks.frontier --rows '2x*' 'ladder-*' --methods auto --out /tmp/frontier

Times are CPU seconds of one thread (start it with OMP_NUM_THREADS=1), import and compilation apart: each method has a
process of its own for each row, and first solves a game of the same shape there. Gaps are the exact Nash gaps of our
certificate for all, and ours is timed with its certificate. A process that needs longer than the limit for a game is
killed, and its method is given up for that row; so is the path after the first game that it does not solve. The raw
answers are kept in `frontier.json`, from which `--redraw` makes tables and pictures again.
"""

import argparse
import fnmatch
import functools
import importlib.util
import json
import math
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.children import Broken, answers
from benchmarks.frontier_picture import draw, write_page
from benchmarks.frontier_rows import HUGE, METHODS, OURS, PEERS, ROWS, WARM_SEED, Answer, Row, Task
from benchmarks.results import table, versions, write_section

PICTURE = Path(__file__).parent.parent / "docs" / "pictures" / "frontier.svg"
RAW = Path(__file__).with_name("frontier.json")
SOLVED = 1e-10
SLOW = 500
"""N S (A + 1) from which the path alone solves fewer games."""
PATH_SEEDS = 3
QUICK = ("2x5x4", "3x5x4", "2x20x4", "ladder-2x20")
LATE = Answer(math.inf, math.inf, math.nan, math.nan, math.nan)
FAILED = LATE._replace(seconds=math.nan)

Found = dict[str, dict[str, list[Answer]]]
"""By row and by method."""


def measure(method: str, row: Row, seeds: int, limit: float) -> list[Answer]:
    """One answer per seed, or those before the first that took too long, or that broke the method, and it."""
    tasks = [Task(row, seed) for seed in range(seeds)]
    if method in OURS:  # stops by itself, by the wall clock; the process is killed only if it does not
        solve, killed = functools.partial(METHODS[method], method, limit), 3 * limit
        warm = Task(row.warm, WARM_SEED)
    else:  # compiles nothing
        solve, killed = functools.partial(METHODS[method], method), limit
        warm = Task(Row("random", row.players, 2, 2), WARM_SEED)
    found: list[Answer] = []
    try:
        for answer in answers(solve, warm, tasks, killed):
            found.append(answer)
            if method == "homotopy" and answer.gap > SOLVED:
                return found
    except Broken as error:
        print(row.name, method, error, sep="  ", flush=True)
        return [*found, FAILED]
    return found if len(found) == seeds else [*found, LATE]


def run(rows: Sequence[Row], arguments: argparse.Namespace, command: str, raw: Path) -> Found:
    """Everything, row by row; what is there is written after each."""
    found: Found = {}
    for row in rows:
        found[row.name] = {}
        for method in arguments.methods:
            if (method in PEERS and not row.peers) or (method == "homotopy" and not row.path):
                continue
            seeds = min(row.most_seeds, arguments.peer_seeds if method in PEERS else arguments.seeds)
            if method == "homotopy" and row.unknowns > SLOW:
                seeds = min(seeds, PATH_SEEDS)
            found[row.name][method] = measure(method, row, seeds, row.time * arguments.limit)
            print(row.name, method, _cell(found[row.name][method], arguments.limit), sep="  ", flush=True)
        raw.write_text(json.dumps({"command": command, "limit": arguments.limit, "found": found}))
    return found


def median(found: Sequence[Answer], what: str) -> float:
    return statistics.median(getattr(answer, what) for answer in found)


def _cell(found: Sequence[Answer], limit: float) -> str:
    """Median seconds @ median gap."""
    seconds, gap = median(found, "seconds"), median(found, "gap")
    if not math.isfinite(seconds):
        return "failed" if math.isnan(seconds) else f"> {limit:g}"
    return f"{seconds:.2f} @ {_size(gap)}"


def _size(gap: float) -> str:
    return "nothing" if math.isinf(gap) else f"{gap:.0e}" if gap else "0"


def _mine(found: Sequence[Answer] | None) -> list[str]:
    """Solved, median and longest seconds, worst gap; where the last one was killed, of those that ended."""
    if found is None:
        return ["·"] * 4
    ended = _ended(found)
    solved = f"{sum(answer.gap <= SOLVED for answer in ended)}/{len(found)}"
    if not ended:
        return [solved, *["·"] * 3]
    times = [answer.seconds for answer in ended]
    return [solved, f"{statistics.median(times):.3g}", f"{max(times):.3g}", _size(max(a.gap for a in ended))]


def _ended(found: Sequence[Answer]) -> list[Answer]:
    return [answer for answer in found if math.isfinite(answer.gap)]


def _ratio(found: dict[str, list[Answer]], method: str, limit: float) -> str:
    """The better peer's seconds, or the limit if both ran out of time, over ours."""
    peers = [found[name] for name in PEERS if name in found]
    if not peers or method not in found:
        return "·"
    times = [median(peer, "seconds") for peer in peers if math.isfinite(median(peer, "gap"))]
    mine = median(found[method], "seconds")
    return f"{min(times) / mine:.3g}" if times else f"> {limit / mine:.3g}"


MINE = ["solved", "CPU s", "longest", "worst gap"]


def random_table(rows: Sequence[Row], found: Found, limit: float) -> str:
    lines = []
    for row in rows:
        here = found[row.name]
        lines.append(
            [
                f"{row.players} x {row.size} x {row.actions}",
                row.unknowns,
                *_mine(here.get("auto")),
                *_mine(here.get("homotopy")),
                *(_cell(here[name], limit) if name in here else "·" for name in PEERS),
                *(_ratio(here, name, limit) for name in OURS),
            ]
        )
    header = ["N x S x A", "N S (A + 1)", *(f"auto: {MINE[0]}", *MINE[1:]), *(f"path alone: {MINE[0]}", *MINE[1:])]
    header += ["sgamesolver QRE: s @ gap", "LogTracing: s @ gap", "best peer / auto", "best peer / path"]
    return table(header, lines)


def ladder_table(rows: Sequence[Row], found: Found) -> str:
    lines = []
    for row in rows:
        here = found[row.name]
        auto = _ended(here.get("auto", [])) or [LATE]
        lines.append(
            [
                f"{row.players} firms, {row.size} levels",
                f"{row.states:,}",
                row.unknowns,
                f"{median(auto, 'loading'):.2g}",
                *_mine(here.get("auto")),
                _size(max(answer.gap / answer.scale for answer in auto)),
                f"{max(answer.memory for answer in auto) / 1e9:.2f}",
                *_mine(here.get("homotopy")),
            ]
        )
    header = ["quality ladder", "states", "N S (A + 1)", "loaded, s", f"auto: {MINE[0]}", *MINE[1:]]
    header += ["of payoff scale", "peak memory, GB", f"path alone: {MINE[0]}", *MINE[1:]]
    return table(header, lines)


def body(rows: Sequence[Row], found: Found, limit: float, command: str) -> str:
    """The section of RESULTS.md."""
    packages = versions("equinfer", *(["sgamesolver"] if _installed() else []), "numpy", "scipy", "numba")
    random = [row for row in rows if row.kind == "random"]
    ladders = [row for row in rows if row.kind == "ladder"]
    parts = [
        f"`OMP_NUM_THREADS=1 {command}`, CPU seconds, medians over seeds (path alone: {PATH_SEEDS} seeds above "
        f"N S (A + 1) = {SLOW}, and none after the first that is not solved). "
        "Solved: exact gap <= 1e-10, absolute; rewards of random games are uniform on [0, 1], discount .95, and "
        "ladders have the catalogue's defaults with a market that grows by 5 % from seed to seed. "
        "Each solver at its own best gap; a ratio is the better peer's time over our median. `> T`: not done in T "
        f"seconds. {packages}.",
        "![Time and gap against size](../docs/pictures/frontier.svg)",
        *([random_table(random, found, limit)] if random else []),
        *(
            [
                "Quality ladders, ours only. Peak memory is that of the whole process, interpreter and packages "
                "included.",
                ladder_table(ladders, found),
            ]
            if ladders
            else []
        ),
    ]
    return "\n\n".join(parts)


def _installed() -> bool:
    return importlib.util.find_spec("sgamesolver") is not None


def chosen(arguments: argparse.Namespace) -> list[Row]:
    """The rows that the command line asks for."""
    patterns = arguments.rows or (QUICK if arguments.quick else ("*",))
    rows = [row for row in ROWS if any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns)]
    return [row for row in rows if row.name != HUGE or arguments.huge]


def restored(path: Path) -> tuple[Found, float, str]:
    kept: dict[str, Any] = json.loads(path.read_text())
    found = {
        row: {method: [Answer(*answer) for answer in answers] for method, answers in methods.items()}
        for row, methods in kept["found"].items()
    }
    return found, kept["limit"], kept["command"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="games of each row for ours")
    parser.add_argument("--peer-seeds", type=int, default=1, help="how many of them the peers try")
    parser.add_argument("--limit", type=float, default=100, help="seconds a game")
    parser.add_argument("--rows", nargs="+", metavar="NAME", help=f"patterns of: {', '.join(r.name for r in ROWS)}")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--huge", action="store_true", help="the ladder of 99,856 states too")
    parser.add_argument("--quick", action="store_true", help="a few small rows, two seeds, ten seconds a game")
    parser.add_argument("--out", type=Path, help="folder for raw answers, table, picture and page, instead of the docs")
    parser.add_argument("--redraw", type=Path, metavar="JSON", help="the raw answers of an earlier run")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.limit = min(arguments.seeds, 2), min(arguments.limit, 10.0)
    if not arguments.out and (arguments.quick or arguments.rows or len(arguments.methods) < len(METHODS)):
        arguments.out = Path(tempfile.mkdtemp(prefix="frontier-"))  # RESULTS.md holds whole runs only
    if not _installed():
        arguments.methods = [method for method in arguments.methods if method in OURS]
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.redraw:
        found, limit, command = restored(arguments.redraw)
        rows = [row for row in ROWS if row.name in found]
    else:
        rows, limit = chosen(arguments), arguments.limit
        command = "python -m benchmarks.frontier " + " ".join(sys.argv[1:])
        found = run(rows, arguments, command, arguments.out / "frontier.json" if arguments.out else RAW)
    text = body(rows, found, limit, command)
    print(text)
    if arguments.out:
        (arguments.out / "frontier.md").write_text(text + "\n")
        write_page(rows, found, limit, arguments.out / "frontier.html")
    else:
        write_section("Stochastic games: the frontier", text)
    draw(rows, found, limit, arguments.out / "frontier.svg" if arguments.out else PICTURE)
    print(f"written to {arguments.out or PICTURE}")


if __name__ == "__main__":
    main()

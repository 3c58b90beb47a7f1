"""Where benchmark programs write: one section each of RESULTS.md, with the command and the machine."""

import fnmatch
import os
import platform
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("RESULTS.md")


def versions(*packages: str) -> str:
    """The versions of `packages`, of Python and of the processor, in one line."""
    found = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    return f"{found}; Python {platform.python_version()}, {os.cpu_count()} cores ({_processor()})"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(map(str, cells)) + " |" for cells in (header, ["---"] * len(header), *rows)]
    return "\n".join(lines)


def measure_into(
    section: tuple[str, str],
    header: Sequence[str],
    rows: Sequence[Any],
    patterns: Sequence[str],
    measured: Callable[[Any], list[str]],
    *,
    dry: bool,
) -> None:
    """Measure the rows whose names match a pattern, print each, and write it into its section (title, caption) at once,
    so that hours of work survive a stop.

    Rows that the section's table holds from before, under the same header, stay where they are not measured now.
    """
    title, caption = section
    names = [row.name for row in rows]
    for row in rows:
        if any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns):
            cells = measured(row)
            print("  ".join(cells), flush=True)
            if not dry:
                known = {row[0]: row for row in [*_table_of(title, header), cells]}  # others may have written meanwhile
                body = table(header, [known[name] for name in names if name in known])
                write_section(title, f"{caption}\n\n{body}")


def _table_of(title: str, header: Sequence[str]) -> list[list[str]]:
    """The rows that the section `title` has; none where its header is another."""
    lines = [line[2:-2].split(" | ") for line in _sections()[1].get(title, "").split("\n") if line.startswith("| ")]
    return lines[2:] if lines[:1] == [list(header)] else []


def write_section(title: str, body: str) -> None:
    """Replace the section called `title` in RESULTS.md, or add it at the end."""
    head, kept = _sections()
    kept[title] = body.strip()
    RESULTS.write_text("\n\n## ".join([head, *(f"{name}\n\n{text}" for name, text in kept.items())]) + "\n")


def _sections() -> tuple[str, dict[str, str]]:
    """What RESULTS.md begins with, and its sections by title."""
    head, *sections = (RESULTS.read_text() if RESULTS.exists() else "# Results\n").split("\n## ")
    parts = [section.partition("\n") for section in sections]
    return head.rstrip(), {name.strip(): text.strip() for name, _, text in parts}

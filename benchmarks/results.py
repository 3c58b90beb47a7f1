"""Where benchmark programs write: one section each of RESULTS.md, with the command and the machine."""

import fnmatch
import os
import platform
from collections.abc import Callable, Iterable, Sequence
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


def measured_rows(
    rows: Iterable[Any], patterns: Sequence[str], measured: Callable[[Any], list[str]]
) -> list[list[str]]:
    """The cells of those rows whose names match a pattern, printed as they come."""
    found = []
    for row in rows:
        if any(fnmatch.fnmatch(row.name, pattern) for pattern in patterns):
            found.append(measured(row))
            print("  ".join(found[-1]), flush=True)
    return found


def write_section(title: str, body: str) -> None:
    """Replace the section called `title` in RESULTS.md, or add it at the end."""
    text = RESULTS.read_text() if RESULTS.exists() else "# Results\n"
    head, *sections = text.split("\n## ")
    kept = {section.partition("\n")[0].strip(): section.partition("\n")[2].strip() for section in sections}
    kept[title] = body.strip()
    RESULTS.write_text("\n\n## ".join([head.rstrip(), *(f"{name}\n\n{text}" for name, text in kept.items())]) + "\n")

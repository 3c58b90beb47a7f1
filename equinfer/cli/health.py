"""`equinfer doctor`: what is installed here, and whether it works."""

import importlib.metadata
import importlib.util
import os
import platform
import time

from rich.console import Console
from rich.text import Text

import equinfer
from equinfer.cli.display import on_stdout

__all__ = ["run"]

CORE = ("numpy", "scipy", "jax", "jaxlib", "equinox", "optax", "numba", "cyclopts", "plotly")
EXTRAS = {"openspiel": "pyspiel"}


def run() -> int:
    """Print versions, devices and extras, solve two games whose answers are known; 0 if all is well, else 1."""
    import jax

    console = on_stdout()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    facts = [
        ("equinfer", equinfer.__version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *((name, _version(name)) for name in CORE),
        ("devices", ", ".join(str(device) for device in jax.devices())),
        ("machine", f"{os.cpu_count()} processors, {memory:.3g} GiB of memory"),
    ]
    for extra, module in EXTRAS.items():
        present = importlib.util.find_spec(module) is not None
        facts.append((extra, "installed" if present else f"not installed: pip install 'equinfer[{extra}]'"))
    for name, text in facts:
        console.print(Text(f"{name:<10}", "bold").append(Text(text, "not bold")), soft_wrap=True)
    failures = _self_test(console)
    return 1 if failures else 0


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _self_test(console: Console) -> list[str]:
    """Games whose equilibrium values are known by derivation; the names of those that went wrong."""
    cases = {
        "catalog:prisoners_dilemma": None,
        "catalog:rock_paper_scissors": None,
    }
    failures = []
    for target in cases:
        began = time.perf_counter()
        solution = equinfer.solve(target)
        took = time.perf_counter() - began
        console.print(f"self-test {target}: {'ok' if solution.certified else 'FAILED'}, {took:.2f} s")
        if not solution.certified:
            failures.append(target)
    return failures

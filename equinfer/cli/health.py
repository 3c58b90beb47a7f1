"""`equinfer doctor`: what is installed here, and whether it works."""

import importlib.metadata
import importlib.util
import itertools
import os
import platform
import time
from collections.abc import Iterator

import numpy as np
from rich.console import Console
from rich.text import Text

import equinfer
from equinfer import games, solvers
from equinfer.cli.display import on_stdout
from equinfer.games import catalog
from equinfer.memory import in_words, installed
from equinfer.plugins import described, working_plugins

__all__ = ["run"]

CORE = ("numpy", "scipy", "jax", "jaxlib", "equinox", "numba", "cyclopts", "plotly")
EXTRAS = {"openspiel": "pyspiel", "pettingzoo": "pettingzoo"}
SELF_TEST = (
    ("rock_paper_scissors", "stage-nash", 1e-8),
    ("dynamic_rock_paper_scissors", "homotopy", 1e-8),
    ("prisoners_dilemma", "vpg", 1e-2),  # a logit equilibrium: near, at its temperature of 0.1
)
"""Game, solver, and how far its values may be from those of a known equilibrium."""


def run() -> int:
    """Print versions, devices and extras, solve two games whose answers are known; 0 if all is well, else 1."""
    import jax

    console = on_stdout()
    facts = [
        ("equinfer", equinfer.__version__),
        ("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *((name, _version(name)) for name in CORE),
        ("devices", ", ".join(str(device) for device in jax.devices())),
        ("machine", f"{os.cpu_count()} processors, {in_words(installed())} of memory"),
    ]
    for extra, module in EXTRAS.items():
        present = importlib.util.find_spec(module) is not None
        facts.append((extra, "installed" if present else f"not installed: pip install 'equinfer[{extra}]'"))
    for name, text in itertools.chain(facts, _plugins()):
        console.print(Text(f"{name:<12}", "bold").append(Text(text, "not bold")), soft_wrap=True)
    return 0 if _self_test(console) else 1


def _plugins() -> Iterator[tuple[str, str]]:
    """Each plug-in that can be imported; a warning names the others."""
    for group, ours, fault in (
        (games.GROUP, tuple(games.SOURCES), games.fault),
        (solvers.GROUP, ("auto", *solvers.SOLVERS), solvers.fault),
    ):
        for entry in working_plugins(group, ours, fault):
            yield "plug-in", f"{entry.name} ({group}): {described(entry)}"


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _self_test(console: Console) -> bool:
    """Solve games whose equilibria are known by derivation, once by each kind of solver; True if all are found."""
    passed = True
    for name, solver, tolerance in SELF_TEST:
        began = time.perf_counter()
        solution = equinfer.solve(f"catalog:{name}", solver=solver)
        apart = min(
            np.abs(solution.values - known.values).max()
            for known in catalog.equilibria(name)
            if known.values is not None
        )
        good = bool(apart <= tolerance)
        passed = passed and good
        console.print(
            f"self-test {name} by {solver}: {'ok' if good else 'FAILED'}, values {apart:.1g} from a known equilibrium, "
            f"gap {solution.gap:.1g}, {time.perf_counter() - began:.2f} s"
        )
    return passed

"""Equilibria of games by probabilistic inference, each with a certificate of how good it is.

Names are loaded when they are first used (PEP 562), so that `import equinfer` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equinfer.api import certify, load, load_solution, save, solve
    from equinfer.errors import BadInput, EquinferError, MissingExtra, UnknownName
    from equinfer.games.kernels import SparseKernel
    from equinfer.games.tabular import TabularGame
    from equinfer.records import Certificate, Solution, Status

__version__ = "0.1.0"

_HOME = {
    "certify": "equinfer.api",
    "load": "equinfer.api",
    "load_solution": "equinfer.api",
    "save": "equinfer.api",
    "solve": "equinfer.api",
    "BadInput": "equinfer.errors",
    "EquinferError": "equinfer.errors",
    "MissingExtra": "equinfer.errors",
    "UnknownName": "equinfer.errors",
    "SparseKernel": "equinfer.games.kernels",
    "TabularGame": "equinfer.games.tabular",
    "Certificate": "equinfer.records",
    "Solution": "equinfer.records",
    "Status": "equinfer.records",
}

__all__ = [
    "BadInput",
    "Certificate",
    "EquinferError",
    "MissingExtra",
    "Solution",
    "SparseKernel",
    "Status",
    "TabularGame",
    "UnknownName",
    "__version__",
    "certify",
    "load",
    "load_solution",
    "save",
    "solve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'equinfer' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""Equilibria of games by probabilistic inference, each with a certificate of how good it is.

Names are loaded when they are first used (PEP 562), so that `import equinfer` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from equinfer.api import certify, load, load_solution, save, solve
    from equinfer.batch_solution import BatchSolution
    from equinfer.batches import solve_batch
    from equinfer.best_responses import best_response
    from equinfer.continuation import sweep
    from equinfer.errors import BadInput, EquinferError, MissingExtra, NotWritten, UnknownName
    from equinfer.families import Equilibria, Sweep
    from equinfer.four_cycles import PotentialDefect
    from equinfer.games.adapters.pettingzoo import to_pettingzoo
    from equinfer.games.continuous import ContinuousGame
    from equinfer.games.continuous_rules import Transition
    from equinfer.games.kernels import SparseKernel
    from equinfer.games.mean_field import MeanFieldGame
    from equinfer.games.spaces import Box, Discrete
    from equinfer.games.stencil import Stencil
    from equinfer.games.tabular import TabularGame
    from equinfer.many import solve_all
    from equinfer.many_players import PlayersGap, players_gap
    from equinfer.opponent_judgements import OpponentJudgement, judged_opponents
    from equinfer.potential_games import potential, potential_defect
    from equinfer.records import Certificate, Solution, Status
    from equinfer.runs import Training
    from equinfer.training import load_run, resume, train

__version__ = "0.1.0"

_HOME = {
    "best_response": "equinfer.best_responses",
    "certify": "equinfer.api",
    "load": "equinfer.api",
    "load_solution": "equinfer.api",
    "players_gap": "equinfer.many_players",
    "potential": "equinfer.potential_games",
    "potential_defect": "equinfer.potential_games",
    "judged_opponents": "equinfer.opponent_judgements",
    "load_run": "equinfer.training",
    "resume": "equinfer.training",
    "save": "equinfer.api",
    "train": "equinfer.training",
    "OpponentJudgement": "equinfer.opponent_judgements",
    "Training": "equinfer.runs",
    "solve": "equinfer.api",
    "solve_all": "equinfer.many",
    "solve_batch": "equinfer.batches",
    "sweep": "equinfer.continuation",
    "BatchSolution": "equinfer.batch_solution",
    "BadInput": "equinfer.errors",
    "EquinferError": "equinfer.errors",
    "MissingExtra": "equinfer.errors",
    "NotWritten": "equinfer.errors",
    "UnknownName": "equinfer.errors",
    "Equilibria": "equinfer.families",
    "Sweep": "equinfer.families",
    "to_pettingzoo": "equinfer.games.adapters.pettingzoo",
    "Box": "equinfer.games.spaces",
    "ContinuousGame": "equinfer.games.continuous",
    "Discrete": "equinfer.games.spaces",
    "Transition": "equinfer.games.continuous_rules",
    "SparseKernel": "equinfer.games.kernels",
    "MeanFieldGame": "equinfer.games.mean_field",
    "Stencil": "equinfer.games.stencil",
    "TabularGame": "equinfer.games.tabular",
    "PlayersGap": "equinfer.many_players",
    "PotentialDefect": "equinfer.four_cycles",
    "Certificate": "equinfer.records",
    "Solution": "equinfer.records",
    "Status": "equinfer.records",
}

__all__ = [
    "BadInput",
    "BatchSolution",
    "Box",
    "Certificate",
    "ContinuousGame",
    "Discrete",
    "Equilibria",
    "EquinferError",
    "MeanFieldGame",
    "MissingExtra",
    "NotWritten",
    "OpponentJudgement",
    "PlayersGap",
    "PotentialDefect",
    "Solution",
    "SparseKernel",
    "Status",
    "Stencil",
    "Sweep",
    "TabularGame",
    "Training",
    "Transition",
    "UnknownName",
    "__version__",
    "best_response",
    "certify",
    "judged_opponents",
    "load",
    "load_run",
    "load_solution",
    "players_gap",
    "potential",
    "potential_defect",
    "resume",
    "save",
    "solve",
    "solve_all",
    "solve_batch",
    "sweep",
    "to_pettingzoo",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'equinfer' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

"""The Nash equilibrium of a discounted game that a search for better play begins at."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from equinfer.drivers.protocol import Iterate
from equinfer.games.units import in_comparable_units
from equinfer.solvers.tabular.homotopy import Homotopy
from equinfer.solvers.tabular.stage_nash import StageNash

__all__ = ["first_nash"]


def first_nash(game: Any, seed: int) -> Iterator[Iterate]:
    """Profiles, up to the last Nash equilibrium that one of two solvers offers."""
    for solver in (StageNash(), Homotopy(restarts=3)):
        found = False
        try:
            for iterate in solver.iterates(in_comparable_units(game, solver.unit_ratio), seed=seed):
                found = found or iterate.candidate
                yield iterate
                if iterate.candidate and isinstance(solver, Homotopy):
                    return
        except (np.linalg.LinAlgError, FloatingPointError):
            continue
        if found:
            return

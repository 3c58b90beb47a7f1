"""What a solve hands back: plain data that saves and loads, and draws nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.tables import Tables

__all__ = ["Certificate", "Deviation", "Solution", "Status"]

Profile = tuple[Float[np.ndarray, "..."], ...]


class Status(Enum):
    """How a solve ended. `message` says what to turn next."""

    certified = "certified"
    above_eps = "above_eps"
    out_of_time = "out_of_time"
    interrupted = "interrupted"
    stalled = "stalled"
    infeasible = "infeasible"

    @property
    def message(self) -> str:
        return _MESSAGES[self]


_MESSAGES = {
    Status.certified: "The gap, its rounding error included, is within eps.",
    Status.above_eps: "The solver finished, but its best answer is above eps: try another solver or another seed.",
    Status.out_of_time: "Time ran out; this is the best answer found: allow more with `time`.",
    Status.interrupted: "Interrupted; this is the best answer found until then.",
    Status.stalled: "The solver could make no more progress: try another seed, magnet or solver.",
    Status.infeasible: "There is no answer of this kind.",
}


@dataclass(frozen=True, eq=False)
class Deviation:
    """The best that one player can do alone against an answer."""

    policy: Float[np.ndarray, "..."]
    """([H,] S, A_i), or (S, A_i, A_i) for swap deviations."""
    gain: Float[np.ndarray, "..."]
    """What it gains, ([H,] S), in the unit of the gap."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """A distance from equilibrium, computed by code that shares nothing with any solver."""

    concept: str
    kind: str
    """`exact`, `upper_bound`, `lower_bound` or `estimate`."""
    gap: float
    per_player: Float[np.ndarray, " N"]
    numerical_error: float
    """Bound on the rounding error of `gap`."""
    values: Float[np.ndarray, "N *HS"]
    """Values of the answer itself, (N, [H,] S), as the certificate computed them."""
    deviations: tuple[Deviation, ...]
    unit: str = "reward"

    def deviation(self, player: int) -> Deviation:
        """The best deviation of `player`: `.policy`, and `.gain` per state."""
        return self.deviations[player]


@dataclass(frozen=True, eq=False)
class Solution:
    """An answer, its certificate, and how it was found."""

    concept: str
    solver: str
    profile: Profile
    """One array ([H,] S, A_i) per player, zero on illegal actions."""
    values: Float[np.ndarray, "N *HS"]
    certificate: Certificate
    eps: float
    status: Status
    payoff_scale: float
    seconds: Mapping[str, float]
    """`total` and `solve`."""
    trace: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What was watched on the way: arrays, one entry per watched step."""
    tables: Tables | None = None
    """The game, kept so that a saved solution can still be drawn; left out of files when it is large."""
    behaviour: Any = None
    """Of an extensive form: one dict per player, information set -> {action: probability}."""
    bound: float | None = None
    """The theory's bound on the gap, where the solver has one (Theorem A, A')."""

    @property
    def gap(self) -> float:
        return self.certificate.gap

    @property
    def certified(self) -> bool:
        """The certificate is a proof (exact or an upper bound) and says gap + rounding error <= eps."""
        proof = self.certificate.kind in ("exact", "upper_bound")
        return bool(proof and self.certificate.gap + self.certificate.numerical_error <= self.eps)

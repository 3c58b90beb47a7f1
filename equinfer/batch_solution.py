"""What a batch of games hands back: plain data, one entry per game."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

__all__ = ["BatchSolution"]

_NAMED = 5
"""Games that failed whose numbers are printed."""


@dataclass(frozen=True, eq=False)
class BatchSolution:
    """The answers to B one-shot games, each with its own certificate and verdict."""

    concept: str
    profiles: tuple[Float[np.ndarray, "B _"], ...]
    """One array (B, A_i) per player; uniform where nothing was found."""
    joints: Float[np.ndarray, "B *A"] | None
    """Laws over joint actions, for concepts that have them."""
    values: Float[np.ndarray, "B N"]
    """Expected payoffs, as the certificate computed them."""
    gaps: Float[np.ndarray, " B"]
    """Exact gap of each answer, in the unit of its game's payoffs."""
    numerical_errors: Float[np.ndarray, " B"]
    """Bounds on the rounding errors of `gaps`."""
    eps: Float[np.ndarray, " B"]
    """What counts as an equilibrium of each game."""
    statuses: Shaped[np.ndarray, " B"]
    """A `Status` per game."""
    seconds: float

    @property
    def certified(self) -> Bool[np.ndarray, " B"]:
        """Where gap + rounding error <= eps."""
        return self.gaps + self.numerical_errors <= self.eps

    @property
    def failures(self) -> Int[np.ndarray, " failures"]:
        """The numbers of the games that are not certified."""
        return np.flatnonzero(~self.certified)

    @property
    def messages(self) -> list[str]:
        """What became of each game, in words."""
        return [status.message for status in self.statuses]

    def __len__(self) -> int:
        return len(self.gaps)

    def __repr__(self) -> str:
        sizes = " x ".join(str(policy.shape[1]) for policy in self.profiles)
        worst = self.gaps.max(initial=0.0)
        return (
            f"<BatchSolution of {len(self)} games, {sizes}: {self.concept} in {self.seconds:.3g} s, "
            f"{int(self.certified.sum())} certified, worst gap {worst:.3g}{self._failed()}>"
        )

    def _failed(self) -> str:
        """How many games failed in which way, and which ones."""
        failures = self.failures
        ways = []
        for status in dict.fromkeys(self.statuses[failures]):
            games = failures[self.statuses[failures] == status]
            named = ", ".join(map(str, games[:_NAMED])) + (", ..." if len(games) > _NAMED else "")
            ways.append(f"; {len(games)} {status.value}: {named}")
        return "".join(ways)

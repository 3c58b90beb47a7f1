"""What a batch of games hands back: plain data, one entry per game."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from equinfer.certificate import falls_short, shortfalls

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
    per_player: Float[np.ndarray, "B N"]
    """Largest gain of each player who deviates alone, in the unit of its payoffs."""
    gaps: Float[np.ndarray, " B"]
    """Exact gap of each answer, the largest of these."""
    numerical_errors: Float[np.ndarray, " B"]
    """Bounds on the rounding errors of `gaps`."""
    payoff_scales: Float[np.ndarray, "B N"]
    """What each player has at stake: the spread of its payoffs."""
    eps: Float[np.ndarray, " B"]
    """What counts as an equilibrium of each game."""
    statuses: Shaped[np.ndarray, " B"]
    """A `Status` per game."""
    seconds: float
    reasons: Mapping[int, str] = field(default_factory=dict)
    """Why some games failed, where their status does not say: game -> sentence."""
    objective: str | None = None
    """By what each answer was chosen among the equilibria of its game, as in `Solution`; None of Nash equilibria."""

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
        said = [status.message for status in self.statuses]
        for game in self.failures.tolist():
            said[game] = self._failure(game)
        return said

    def _failure(self, game: int) -> str:
        if self.gaps[game] > self.numerical_errors[game]:
            return self.reasons.get(game, self.statuses[game].message)
        return (
            f"The gap is within its rounding error, {self.numerical_errors[game]:.1g}, and that is more than eps = "
            f"{self.eps[game]:.3g}: float64 cannot prove more."
        )

    @property
    def small_stakes(self) -> Bool[np.ndarray, "B N"]:
        """The players of certified games whose gap, though within eps, is not small beside their own stakes."""
        return self.certified[:, None] & falls_short(self.per_player, self.payoff_scales, self.eps)

    @property
    def warnings(self) -> dict[int, tuple[str, ...]]:
        """What one should know about some games although they are certified: game -> a sentence per player."""
        short = self.small_stakes
        return {
            game: shortfalls(short[game], self.per_player[game], self.payoff_scales[game], float(self.eps[game]))
            for game in np.flatnonzero(short.any(axis=1)).tolist()
        }

    def __len__(self) -> int:
        return len(self.gaps)

    def __repr__(self) -> str:
        sizes = " x ".join(str(policy.shape[1]) for policy in self.profiles)
        worst = self.gaps.max(initial=0.0)
        return (
            f"<BatchSolution of {len(self)} games, {sizes}: {self.concept} in {self.seconds:.3g} s, "
            f"{int(self.certified.sum())} certified, worst gap {worst:.3g}{self._failed()}{self._warned()}>"
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

    def _warned(self) -> str:
        warned = int(self.small_stakes.any(axis=1).sum())
        return f"; {warned} with a warning" if warned else ""

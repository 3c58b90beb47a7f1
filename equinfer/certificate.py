"""The distance of an answer from equilibrium, as data: what certificates compute and everybody else reads."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from equinfer.errors import BadInput

__all__ = ["Certificate", "Deviation", "falls_short", "freeze", "shortfalls", "weakest"]


def weakest(kinds: Iterable[str]) -> str:
    """What can be said of several gaps of known kinds together: a bound of all, or an estimate if one of them is."""
    return max(kinds, key=("exact", "upper_bound", "estimate").index)


@dataclass(frozen=True, eq=False)
class Deviation:
    """The best that one player can do alone against an answer."""

    policy: Float[np.ndarray, "..."]
    """([H,] S, A_i), (S, A_i, A_i) for swap deviations, or an action (d_i,) of real numbers."""
    gain: Float[np.ndarray, "..."]
    """What it gains, ([H,] S), in the unit of the gap."""

    def __post_init__(self) -> None:
        freeze(self, "policy", "gain")


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
    per_player_error: Float[np.ndarray, " N"]
    """The same for each of `per_player`."""
    values: Float[np.ndarray, "N *HS"]
    """Values of the answer itself, (N, [H,] S), as the certificate computed them."""
    deviations: tuple[Deviation, ...]
    unit: str = "reward"
    payoff_scales: Float[np.ndarray, " N"] | None = None
    """What each player has at stake, in the unit of the gap; None where that has no meaning."""
    welfare: float | None = None
    """The sum of all players' rewards at a joint action: a trap may have no gap either."""
    intervals: Float[np.ndarray, "N 2"] | None = None
    """Of an estimate from samples: where each of `per_player` lies with the confidence that was asked for."""
    doubt: str | None = None
    """Why nothing is certain, where nothing is: a sentence."""

    def __post_init__(self) -> None:
        freeze(self, "per_player", "per_player_error", "values", "intervals")

    def __repr__(self) -> str:
        eps = math.inf if self.payoff_scales is None else 1e-8 * float(self.payoff_scales.max())
        warnings = "".join(f" Warning: {sentence}" for sentence in self.warnings(eps))
        gap = f"gap {self.gap:.3g} ± {self.numerical_error:.1g} in {self.unit} ({self.kind})"
        beside = "" if self.welfare is None else f", welfare {self.welfare:.6g}"
        return f"<Certificate: {self.concept}, {gap}{beside}.{warnings}>"

    @property
    def equilibrium(self) -> str:
        """What an answer without a gap is: `Nash equilibrium`, `zero-sum equilibrium`, ..."""
        return f"{'Nash' if self.concept == 'nash' else self.concept} equilibrium"

    def holds(self, eps: float) -> bool:
        """It is a proof (exact or an upper bound), and says gap + rounding error <= `eps`, a finite number."""
        proof = self.kind in ("exact", "upper_bound") and math.isfinite(eps)
        return bool(proof and self.gap + self.numerical_error <= eps)

    def settled(self, level: float) -> bool:
        """Every player's gap is rounding, or at most `level` of what that player has at stake, and nothing is in doubt.

        Unlike the one gap of all players this does not depend on the units in which each counts its payoffs.
        """
        stakes = np.zeros_like(self.per_player) if self.payoff_scales is None else self.payoff_scales
        return self.doubt is None and bool(np.all(self.per_player <= np.maximum(self.per_player_error, level * stakes)))

    def warnings(self, eps: float, players: Sequence[str] | None = None) -> tuple[str, ...]:
        """A sentence for each player whose gap is within `eps`, but not small beside what it has at stake itself.

        There is none unless the certificate holds, but its own doubt, or that rounding alone is above `eps`. Small is
        `eps` beside the largest stakes, and at least 1e-8.
        """
        if self.doubt is not None:
            return (self.doubt,)
        if self.kind == "exact" and eps < self.numerical_error and self.gap <= eps + self.numerical_error:
            return (
                f"Rounding alone, ±{self.numerical_error:.2g}, is above eps = {eps:.3g}: the gap may be as small as "
                "that, but float64 cannot tell it, beside payoffs of this size.",
            )
        if self.payoff_scales is None or not self.holds(eps):
            return ()
        short = falls_short(self.per_player, self.payoff_scales, np.float64(eps))
        return shortfalls(short, self.per_player, self.payoff_scales, eps, players)

    def deviation(self, player: int) -> Deviation:
        """The best deviation of `player`: `.policy`, and `.gain` per state. **Raises:** `BadInput` if there is none."""
        if isinstance(player, bool) or not 0 <= player < len(self.deviations):
            raise BadInput(f"there is no player {player!r}; the {len(self.deviations)} of them are counted from 0.")
        return self.deviations[player]


def falls_short(
    gaps: Float[np.ndarray, "*B N"], scales: Float[np.ndarray, "*B N"], eps: Float[np.ndarray | np.float64, "*B"]
) -> Bool[np.ndarray, "*B N"]:
    """Where the gap of a player, though within `eps`, is not small beside what it has at stake itself.

    Small is `eps` beside the largest stakes, and at least 1e-8.
    """
    widest = scales.max(axis=-1)
    with np.errstate(over="ignore", invalid="ignore"):
        level = np.divide(eps, widest, out=np.zeros_like(widest), where=widest > 0)
        return gaps > scales * np.maximum(1e-8, level)[..., None]


def shortfalls(
    short: Bool[np.ndarray, " N"],
    gaps: Float[np.ndarray, " N"],
    scales: Float[np.ndarray, " N"],
    eps: float,
    players: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """A sentence for each player of one game who falls `short`."""
    return tuple(
        f"The gap of player {i if players is None else players[i]} is {gaps[i]:.3g}, and its own payoff scale only "
        f"{scales[i]:.3g}: eps = {eps:.3g} is small beside the widest scale, {scales.max():.3g}."
        for i in np.flatnonzero(short).tolist()
    )


def freeze(record: Any, *names: str) -> None:
    """Make arrays of a record read-only, where there are some: what was certified is what will be saved."""
    for name in names:
        value = getattr(record, name)
        if value is not None:
            object.__setattr__(record, name, _read_only(value))


def _read_only(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_read_only, value))
    view = np.asarray(value).view()
    view.flags.writeable = False
    return view

"""The raw numbers of a one-shot game with continuous actions, in NumPy: what `game.tables()` returns and certificates
judge.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from equinfer.tables import Origin

__all__ = ["ContinuousTables", "QuadraticRewards"]


@dataclass(frozen=True, eq=False)
class QuadraticRewards:
    r"""$r_i(a)=\max_p\,[a^\top M_{pi}a+b_{pi}^\top a+c_{pi}]$ of the joint action $a$, all agents' actions in one
    row of D numbers; P pieces, one in a quadratic game.
    """

    matrix: Float[np.ndarray, "P N D D"]
    """Symmetric."""
    linear: Float[np.ndarray, "P N D"]
    constant: Float[np.ndarray, "P N"]


@dataclass(frozen=True, eq=False)
class ContinuousTables:
    """Everybody's reward as a function, and the box that each agent acts in."""

    rewards_at: Callable[[Float[np.ndarray, "K D"]], Float[np.ndarray, "K N"]]
    """Of K joint actions, the agents' numbers one after the other in a row of D."""
    low: tuple[Float[np.ndarray, " _"], ...]
    """(d_i,) of each agent."""
    high: tuple[Float[np.ndarray, " _"], ...]
    lipschitz: Float[np.ndarray, " N"] | None
    r"""Declared: $|r_i(a_i,a_{-i})-r_i(b_i,a_{-i})|\le L_i\|a_i-b_i\|_2$ for all $a_{-i}$, in units of the game."""
    quadratic: QuadraticRewards | None
    """The coefficients, where rewards are quadratic, or the largest of several quadratic functions."""
    roundoff: float
    """The unit roundoff that rewards are computed with: 2**-53, or 2**-24 of a function that insists on float32."""
    name: str
    player_labels: tuple[str, ...]
    origin: Origin | None = None

    @property
    def num_players(self) -> int:
        return len(self.low)

    @property
    def columns(self) -> tuple[slice, ...]:
        """Where each agent's numbers stand in a row."""
        ends = np.cumsum([len(low) for low in self.low]).tolist()
        return tuple(slice(end - len(low), end) for end, low in zip(ends, self.low, strict=True))

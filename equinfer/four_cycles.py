"""How far a game is from having a potential, as data."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from equinfer.certificate import freeze
from equinfer.errors import BadInput

__all__ = ["FourCycle", "PotentialDefect"]


@dataclass(frozen=True, eq=False)
class FourCycle:
    r"""Two players change their policies in turn and come back: $\pi_i\to\pi_i'$, $\pi_j\to\pi_j'$, back, and back.

    In a potential game what the two movers gain on the way, each for itself, adds up to nothing.
    """

    players: tuple[int, int]
    """The two movers, in the order in which they move."""
    state: int
    """Where the play begins."""
    epoch: int | None
    """When, in a finite horizon of more than one epoch; else None."""
    profiles: tuple[tuple[Float[np.ndarray, "..."], ...], ...]
    """The four profiles in order; what follows the last is the first again."""
    gains: Float[np.ndarray, " 4"]
    """What each step gains the player who takes it, in units of reward."""

    def __post_init__(self) -> None:
        freeze(self, "gains")

    @property
    def sum(self) -> float:
        """The defect that it shows, in units of reward."""
        return float(self.gains.sum())


@dataclass(frozen=True, eq=False)
class PotentialDefect:
    """How far a game is from having an exact potential (Definition 5.4, without entropy), in units of reward."""

    defect: float
    """The largest sum of the four gains of a `FourCycle`, or a lower bound of it; 0 for an exact potential game."""
    kind: str
    """`exact`, or `lower_bound`: the largest sum that a search has found."""
    numerical_error: float
    """Bound on the rounding error of `defect`, which is 0 where the sums that were found are no more than that."""
    witness: FourCycle | None
    """A cycle that shows the defect; None if it is 0."""
    potential: Float[np.ndarray, "..."] | None
    r"""$\varphi$ of the potential $\Phi(s;\pi)=E\sum_t\gamma^t\varphi(s_t,a_t)$, where the defect is proved to be 0.

    In units of reward, and fixed up to what nobody's choice changes. Its shape is (A_1, ..., A_N) in a one-shot game,
    otherwise (S, A_1, ..., A_N); 0 on illegal joint actions.
    """
    message: str
    """One sentence: what was proved or found, and how."""

    def __post_init__(self) -> None:
        freeze(self, "potential")

    def stage_potential(self, game: str = "this game") -> Float[np.ndarray, "..."]:
        """`potential`, for those who need one.

        **Raises:** `BadInput` that names the game, and the state and the joint actions of the witness; or says that no
        potential is known.
        """
        if self.potential is None:
            says = f"{self.message[0].lower()}{self.message[1:]}"
            raise BadInput(f"no potential is known of {game}: {says}" if self.witness is None else f"{game} is {says}")
        return self.potential

    def __repr__(self) -> str:
        return (
            f"<PotentialDefect: {self.defect:.6g} ± {self.numerical_error:.1g} in reward ({self.kind}). {self.message}>"
        )

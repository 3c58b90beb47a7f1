"""A mean-field game for those who judge and draw it: plain arrays, and functions from NumPy to NumPy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.tables import Origin, SuccessorLists, Tables

__all__ = [
    "TRIED",
    "TRIED_STEP",
    "AnyTables",
    "Flow",
    "MeanFieldTables",
    "PopulationSizes",
    "RawTransition",
    "Staged",
    "is_about_a_setting",
]

TRIED, TRIED_STEP = "least exploitability at ", "step of every setting"
"""How the names of a trace begin that are about one setting of a solver each (the rest of the name is the setting); and
the name of the steps that they are at.
"""

Flow: TypeAlias = tuple[Float[np.ndarray, "..."], ...]
"""The state-action law of every population, (H, S, A_p); without the H where the game is stationary."""


def is_about_a_setting(name: str) -> bool:
    """Of an entry of a trace: it belongs to the map of what each setting of a solver came to."""
    return name == TRIED_STEP or name.startswith(TRIED)


class Staged(NamedTuple):
    """A kernel in two stages: an action leads to a cell, of which there may be more than states, noise to a state."""

    moves: Int[np.ndarray, "S A"]
    successors: Int[np.ndarray, "U E"]
    probabilities: Float[np.ndarray, "U E"]


RawTransition: TypeAlias = Float[np.ndarray, "S A S"] | SuccessorLists | Staged


_MOST_ENTRIES, _MOST_OPERATIONS = 2e7, 1e10
"""Of a Jacobian that is dense in each epoch."""


class PopulationSizes:
    """How many populations, states and actions there are, read off the initial laws and the legal actions."""

    initial: Any
    legal: Any
    horizon: Any

    @property
    def num_players(self) -> int:
        """The number of populations."""
        return len(self.initial)

    @property
    def num_states(self) -> int:
        return len(self.initial[0])

    @property
    def num_actions(self) -> tuple[int, ...]:
        return tuple(mask.shape[1] for mask in self.legal)

    @property
    def num_unknowns(self) -> int:
        """Of one epoch, as a complementarity problem: policies, values and masses."""
        return self.num_states * sum(size + 2 for size in self.num_actions)

    @property
    def has_small_jacobian(self) -> bool:
        """Whether a Newton step on that problem takes seconds at most, and its dense blocks fit into memory."""
        size, epochs = float(self.num_unknowns), self.horizon or 1
        return epochs * size**2 <= _MOST_ENTRIES and epochs * size**3 <= _MOST_OPERATIONS


@dataclass(frozen=True, eq=False)
class MeanFieldTables(PopulationSizes):
    """The game as its certificate sees it. P populations live in the same S states; A_p actions of population p."""

    rewards: Callable[[Flow], tuple[Float[np.ndarray, "..."], ...]]
    """Of a flow, the reward of every population, shaped like it."""
    transitions: Callable[[int, tuple[Float[np.ndarray, "S _"], ...]], tuple[RawTransition, ...]]
    """Of a time and the laws at it, every population's kernel."""
    initial: tuple[Float[np.ndarray, " S"], ...]
    legal: tuple[Bool[np.ndarray, "S _"], ...]
    horizon: int | None
    """Number of decision epochs; None for a stationary game."""
    discount: float
    """Of one step to the next, 1 unless said otherwise."""
    name: str
    state_labels: tuple[str, ...]
    action_labels: tuple[tuple[str, ...], ...]
    player_labels: tuple[str, ...]
    """Of the populations."""
    grid: tuple[int, ...] | None = None
    """The shape of the grid that states are the cells of, in C order, if they are."""
    moves: tuple[tuple[tuple[int, ...], ...] | None, ...] | None = None
    """Of each population, the displacement on the grid that each action tries, where that is what actions do."""
    origin: Origin | None = None
    fixed_dynamics: bool = False
    """Kernels are known not to depend on the population."""
    nearby: Callable[[int, Flow], Sequence[tuple[RawTransition, ...]]] | None = None
    """`transitions` at several laws (K, S, A_p) of one time, faster than one by one; the last digits may differ."""


AnyTables: TypeAlias = Tables | MeanFieldTables

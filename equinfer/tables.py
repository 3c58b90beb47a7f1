"""The raw tables of a finite game, in NumPy: what `game.tables()` returns, certificates judge and reports draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.errors import BadInput
from equinfer.memory import Footprint, foresee, refuse_beyond_half, refuse_beyond_making

__all__ = [
    "MOST_PLAYERS",
    "Origin",
    "Sizes",
    "SuccessorLists",
    "Tables",
    "joint_mask",
    "kernel_arrays",
    "one_shot",
    "refuse_unless_epochs_fit",
    "refuse_unless_it_fits",
]

_MAKING = 6
"""Times their own size that lists are in use while they are made, checked and put in order: measured."""
MOST_PLAYERS = 32
"""A joint table has one axis per player, and NumPy at most 64; beyond 32 no table of real choices fits anyway."""


class Origin(NamedTuple):
    """What a game was made from: a target of `load`, and every parameter with its value."""

    target: str
    parameters: tuple[tuple[str, Any], ...]


class Sizes:
    """How many players, states and actions there are, read off the axes of `reward` (N, S, A_1, ..., A_N)."""

    reward: Any

    @property
    def num_players(self) -> int:
        return self.reward.shape[0]

    @property
    def num_states(self) -> int:
        return self.reward.shape[1]

    @property
    def num_actions(self) -> tuple[int, ...]:
        return self.reward.shape[2:]


class SuccessorLists(NamedTuple):
    """A kernel by lists: `probabilities[s, a, m]` of going from s to `successors[s, a, m]` under the joint action a.

    Successors that are listed twice add up; what a shorter list is padded with has probability 0.
    """

    successors: Int[np.ndarray, "S *A M"]
    probabilities: Float[np.ndarray, "S *A M"]

    @property
    def nbytes(self) -> int:
        return self.successors.nbytes + self.probabilities.nbytes

    def row(self, index: tuple[int, ...]) -> dict[int, float]:
        """Successors of one state and joint action, with their probabilities, none of which is 0."""
        law: dict[int, float] = {}
        for successor, probability in zip(
            self.successors[index].tolist(), self.probabilities[index].tolist(), strict=True
        ):
            if probability:
                law[successor] = law.get(successor, 0.0) + probability
        return law


def kernel_arrays(kernel: np.ndarray | SuccessorLists) -> dict[str, np.ndarray]:
    """The arrays of a kernel by the names that files give them: `kernel`, or `successors` and `probabilities`."""
    return kernel._asdict() if isinstance(kernel, SuccessorLists) else {"kernel": kernel}


@dataclass(frozen=True, eq=False)
class Tables(Sizes):
    """A finite stochastic game as plain float64 arrays. Shapes: N players, S states, A_i actions of player i.

    Illegal joint actions have reward 0 and lead back to their own state, so no number in here is ever NaN.
    """

    reward: Float[np.ndarray, "N S *A"]
    kernel: Float[np.ndarray, "S *A S"] | SuccessorLists
    discount: Float[np.ndarray, " N"]
    horizon: int | None
    """Number of decision epochs, or None when the horizon is infinite."""
    initial: Float[np.ndarray, " S"]
    legal: tuple[Bool[np.ndarray, "S _"], ...]
    name: str
    state_labels: tuple[str, ...]
    action_labels: tuple[tuple[str, ...], ...]
    player_labels: tuple[str, ...]
    origin: Origin | None = None

    @property
    def legal_joint(self) -> Bool[np.ndarray, "S *A"]:
        """True where every player's part of the joint action is legal in the state."""
        return joint_mask(self.legal)

    @property
    def is_one_shot(self) -> bool:
        return one_shot(self.num_states, self.discount, self.horizon)

    @property
    def payoff_scale(self) -> float:
        r"""$\max_i \mathrm{osc}(r_i)\sum_t\gamma_i^t$ over legal joint actions: the natural unit of every gap."""
        return float(np.max(self.payoff_scales))

    @property
    def payoff_scales(self) -> Float[np.ndarray, " N"]:
        r"""$\mathrm{osc}(r_i)\sum_t\gamma_i^t$ of each player: what it has at stake."""
        return self.reward_ranges * discounted_length(self.discount, self.horizon)

    @property
    def reward_ranges(self) -> Float[np.ndarray, " N"]:
        r"""$\mathrm{osc}(r_i)$ of each player: largest less smallest reward over legal joint actions."""
        mask = self.legal_joint
        return np.array([float(r[mask].max()) - float(r[mask].min()) for r in self.reward])


def one_shot(num_states: int, discount: Any, horizon: int | None) -> bool:
    """True if nothing follows the first decision: one epoch, or one state and discount 0."""
    return horizon == 1 or (num_states == 1 and horizon is None and not np.any(discount))


def joint_mask(legal: Sequence[Bool[np.ndarray, "S _"]]) -> Bool[np.ndarray, "S *A"]:
    """True where every player's part of a joint action is legal in the state."""
    joint = legal[0]
    for mask in legal[1:]:
        joint = joint[..., None] & mask.reshape(mask.shape[0], *[1] * (joint.ndim - 1), mask.shape[1])
    return joint


def discounted_length(discount: Float[np.ndarray, " N"], horizon: int | None) -> Float[np.ndarray, " N"]:
    r"""$\sum_t\gamma_i^t$ over the horizon; $1/(1-\gamma_i)$ when it is infinite."""
    if horizon is None:
        return 1.0 / (1.0 - discount)
    with np.errstate(divide="ignore", invalid="ignore"):  # discounts 0, whose logarithm may be infinite, and 1
        lengths = -np.expm1(horizon * np.log(discount)) / (1.0 - discount)
    return np.where(discount == 1.0, float(horizon), lengths)


def refuse_unless_it_fits(
    num_players: int, num_states: int, num_actions: tuple[int, ...], what: str, successors: int | None = None
) -> None:
    """Refuse a game before its joint table is allocated, if it would not fit in half of this machine's memory; tell
    those who asked for it what it will take (`memory.foreseen_by`).

    **Arguments:** `successors`, the length of the lists of a sparse kernel, whose entries take 12 bytes; without it
    the kernel is dense.

    **Raises:** `BadInput` with the size and the estimate.
    """
    if num_players > MOST_PLAYERS:
        raise BadInput(f"{what}: {num_players} players; a joint table has one axis for each, at most {MOST_PLAYERS}.")
    joint = num_states * math.prod(num_actions)
    needed = joint * (8 * num_players + (8 * num_states if successors is None else 12 * successors))
    sizes = (
        f"{what}: {num_states} states with {' x '.join(map(str, num_actions))} joint actions, in a reward table and the"
    )
    if successors is None:
        refuse_beyond_half(f"{sizes} transition table,", needed)
        foresee(Footprint.of_game(what, num_states, needed))
    else:
        refuse_beyond_making(f"{sizes} lists of {successors} successors,", needed, _MAKING)
        foresee(Footprint.of_game(what, num_states, needed, (_MAKING - 1) * needed))


def refuse_unless_epochs_fit(horizon: int, num_players: int, num_states: int, num_actions: tuple[int, ...]) -> None:
    """Refuse a horizon whose answer, a policy and values for every epoch, would not fit in half of the memory.

    **Raises:** `BadInput` with the horizon and the estimate.
    """
    # Per epoch and state: a profile and its best responses; values, gains and what is needed on the way.
    needed = 8 * horizon * num_states * (2 * sum(num_actions) + 6 * num_players)
    refuse_beyond_half(
        f"horizon {horizon}: policies and values of {num_states} states in every epoch",
        needed,
        "Leave `horizon` out for an infinite one, with a discount below 1.",
    )

"""By what one of the many correlated equilibria is chosen."""

import math
import numbers
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.arguments import shown
from equinfer.errors import BadInput

__all__ = ["Objective", "checked_objective"]


_SMALLEST, _LARGEST = 1e-100, 1e100
"""Between which the largest weight must lie: there is room for payoffs in float64 beside it."""


class Objective(NamedTuple):
    r"""A linear objective $E_\mu[\sum_iw_iQ^i]$, or the entropy $\mathcal H(\mu)$ in nats."""

    name: str
    """`welfare`, `entropy`, or the weights."""
    weights: tuple[float, ...] | None
    """One per player, in `unit`s, so that they add up to at most one in size; None for entropy."""
    unit: float = 1.0
    """A power of two, by which nothing is rounded."""

    @property
    def is_entropy(self) -> bool:
        return self.weights is None

    def payoff(self, values: Float[np.ndarray, "N *rest"]) -> Float[np.ndarray, "*rest"]:
        r"""$\sum_iw_iQ^i$, in `unit`s; 0 for entropy."""
        weights = np.zeros(len(values)) if self.weights is None else np.array(self.weights)
        return np.tensordot(weights, values, axes=1)


def checked_objective(objective: Any, num_players: int) -> Objective:
    """The objective that `"welfare"`, `"entropy"`, a number for each player, or `"w1,w2"` stands for.

    The name says it all: handed back in, it is the same objective.

    **Raises:** `BadInput` for another word, weights of the wrong number, not finite, all 0, or out of range.
    """
    if isinstance(objective, str):
        word = objective.strip()
        if word == "welfare":
            return _weighted(word, (1.0,) * num_players)
        if word == "entropy":
            return Objective(word, None)
        try:
            objective = [float(part) for part in word.split(",")]
        except ValueError:
            raise BadInput(
                f"objective must be welfare, entropy, or a weight for each of {num_players} players; got {word!r}."
            ) from None
    if isinstance(objective, np.ndarray):
        objective = objective.tolist()
    if not isinstance(objective, (list, tuple)) or not all(map(_is_finite_number, objective)):
        raise BadInput(f"objective: weights must be finite numbers, one for each player; got {shown(objective)}.")
    if len(objective) != num_players:
        count = f"{len(objective)} weight{'' if len(objective) == 1 else 's'}"
        raise BadInput(f"objective: {count}, {shown(objective)}, for {num_players} players.")
    weights = tuple(map(float, objective))
    if not any(weights):
        raise BadInput(
            "objective: the weights are all 0, which prefers nothing; entropy prefers the least decided law."
        )
    largest = max(map(abs, weights))
    if not _SMALLEST <= largest <= _LARGEST:
        raise BadInput(
            f"objective: the largest weight must lie between {_SMALLEST:g} and {_LARGEST:g} in size; got {largest:g}. "
            "Only the ratios of weights make a difference."
        )
    return _weighted(", ".join(repr(weight).removesuffix(".0") for weight in weights), weights)


def _is_finite_number(weight: Any) -> bool:
    if not isinstance(weight, numbers.Real) or isinstance(weight, bool):
        return False
    try:
        return math.isfinite(weight)
    except OverflowError:  # a whole number beyond float64
        return False


def _weighted(name: str, weights: tuple[float, ...]) -> Objective:
    unit = math.ldexp(1.0, math.frexp(sum(map(abs, weights)))[1])
    return Objective(name, tuple(weight / unit for weight in weights), unit)

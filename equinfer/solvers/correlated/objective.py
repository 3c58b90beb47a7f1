"""By what one of the many correlated equilibria is chosen."""

import math
import numbers
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.arguments import shown
from equinfer.errors import BadInput

__all__ = ["Objective", "checked_objective"]


class Objective(NamedTuple):
    r"""A linear objective $E_\mu[\sum_iw_iQ^i]$, or the entropy $\mathcal H(\mu)$ in nats."""

    name: str
    """`welfare`, `entropy`, or the weights."""
    weights: tuple[float, ...] | None
    """One per player; None for entropy."""

    @property
    def is_entropy(self) -> bool:
        return self.weights is None

    def payoff(self, values: Float[np.ndarray, "N *rest"]) -> Float[np.ndarray, "*rest"]:
        r"""$\sum_iw_iQ^i$; 0 for entropy."""
        weights = np.zeros(len(values)) if self.weights is None else np.array(self.weights)
        return np.tensordot(weights, values, axes=1)


def checked_objective(objective: Any, num_players: int) -> Objective:
    """The objective that `"welfare"`, `"entropy"`, a number for each player, or `"w1,w2"` stands for.

    **Raises:** `BadInput` for another word, weights of the wrong number, not finite, or all 0.
    """
    if isinstance(objective, str):
        word = objective.strip()
        if word == "welfare":
            return Objective(word, (1.0,) * num_players)
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
    if not isinstance(objective, (list, tuple)) or not all(
        isinstance(weight, numbers.Real) and not isinstance(weight, bool) and math.isfinite(weight)
        for weight in objective
    ):
        raise BadInput(f"objective: weights must be finite numbers, one for each player; got {shown(objective)}.")
    if len(objective) != num_players:
        raise BadInput(f"objective: {len(objective)} weights, {shown(objective)}, for {num_players} players.")
    weights = tuple(map(float, objective))
    if not any(weights):
        raise BadInput(
            "objective: the weights are all 0, which prefers nothing; entropy prefers the least decided law."
        )
    return Objective(", ".join(f"{weight:g}" for weight in weights), weights)

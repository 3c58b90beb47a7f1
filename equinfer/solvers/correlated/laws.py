"""What laws over joint actions are worth, and how undecided they are."""

from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["discounted_entropies", "entropies", "rewards_for_ever", "values_for_ever"]


def entropies(law: Float[np.ndarray, "S *A"]) -> Float[np.ndarray, " S"]:
    """In nats."""
    rows = law.reshape(len(law), -1)
    return -(rows * np.log(np.where(rows > 0, rows, 1.0))).sum(axis=1)


def values_for_ever(game: Any, law: Float[np.ndarray, "S *A"], discount: Any) -> Float[np.ndarray, "N S"]:
    """What play by this law in every epoch of a discounted game is worth."""
    return rewards_for_ever(np.asarray(game.reward), game.kernel, law, discount)


def rewards_for_ever(
    reward: Float[np.ndarray, "N S *A"], kernel: Any, law: Float[np.ndarray, "S *A"], discount: Any
) -> Float[np.ndarray, "N S"]:
    """The same of any rewards."""
    earned = (law * reward).reshape(len(reward), len(law), -1).sum(axis=-1)
    return np.asarray(kernel.induced_by(law).values(earned, np.asarray(discount)))


def discounted_entropies(game: Any, law: Float[np.ndarray, "S *A"]) -> Float[np.ndarray, " S"]:
    """Of play by this law in every epoch of a discounted game, added up at the mean discount of the players."""
    rate = np.mean(np.asarray(game.discount), keepdims=True)
    return np.asarray(game.kernel.induced_by(law).values(entropies(law)[None], rate))[0]

"""The stage games of a game at given values."""

from typing import Any

import numpy as np
from jaxtyping import Float

__all__ = ["stage_payoffs"]


def stage_payoffs(game: Any, value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N S *A"]:
    r"""$Q^V_i(s,a)=r_i(s,a)+\gamma_iE[V_i(s')\mid s,a]$ (Def. 5.1 without the term that no response can see)."""
    return np.asarray(game.reward) + np.asarray(game.kernel.expect(np.asarray(game.discount)[:, None] * value))

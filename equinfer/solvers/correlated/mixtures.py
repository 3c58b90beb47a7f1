"""Mixtures of a few equilibria: which a public signal should choose among, and how often."""

import itertools
import math

import numpy as np
from jaxtyping import Float

__all__ = ["best_mixture"]

_TIE = 1e-9
"""Of the spread of the values: equilibria whose worth differs by less are equally good."""
_MOST_CHOICES = 5_000
"""Sets of equilibria of which the best is looked for; among more, the first equilibria only."""
_STEPS = 500


def best_mixture(
    values: Float[np.ndarray, "K N"],
    laws: Float[np.ndarray, "K *A"],
    weights: Float[np.ndarray, " N"] | None,
    most: int,
) -> tuple[Float[np.ndarray, " k"], list[int]]:
    r"""The best mixture of at most `most` of K equilibria, given each player's values and the laws of joint actions.

    With `weights` it is best in $\sum_iw_iV_i$: the equilibria that attain the maximum, evenly mixed; of more than
    `most` those whose average treats the players most alike. Without, it is the mixture whose law of joint actions has
    the largest entropy, by the multiplicative ascent of a concave function.

    **Returns:** probabilities, and the numbers of the equilibria that they are of.
    """
    if weights is None:
        return _most_random(laws.reshape(len(laws), -1), most)
    worth = values @ weights
    spread = float(np.ptp(values)) or 1.0
    best = np.flatnonzero(worth >= worth.max() - _TIE * spread * float(np.abs(weights).sum()))
    if len(best) > most:
        chosen = min(_sets(best, most), key=lambda some: float(np.ptp(values[list(some)].mean(axis=0))))
    else:
        chosen = tuple(best.tolist())
    return np.full(len(chosen), 1 / len(chosen)), list(chosen)


def _most_random(laws: Float[np.ndarray, "K C"], most: int) -> tuple[Float[np.ndarray, " k"], list[int]]:
    found = []
    sets = _sets(np.arange(len(laws)), min(most, len(laws)))
    alone = [(k,) for k in range(len(laws))]  # where one is best by itself, the ascent to it would be slow
    for chosen in alone + sets:
        some = laws[list(chosen)]
        mixture = np.full(len(chosen), 1 / len(chosen))
        for _ in range(
            _STEPS if len(chosen) > 1 else 0
        ):  # Blahut and Arimoto: each law gains by how unlike the mixture it is
            unlike = -(some * np.log(np.maximum(mixture @ some, 1e-300))).sum(axis=1)
            mixture = mixture * np.exp(unlike - unlike.max())
            mixture /= mixture.sum()
        average = mixture @ some
        found.append((-float((average * np.log(np.maximum(average, 1e-300))).sum()), mixture, list(chosen)))
    _, mixture, chosen = max(found, key=lambda each: each[0])
    return mixture, chosen


def _sets(members: np.ndarray, size: int) -> list[tuple[int, ...]]:
    while math.comb(len(members), size) > _MOST_CHOICES:
        members = members[: len(members) - 1]
    return list(itertools.combinations(members.tolist(), size))

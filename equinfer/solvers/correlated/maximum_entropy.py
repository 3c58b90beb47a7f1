r"""The correlated equilibrium of largest entropy of one large game, by projected Newton steps on its dual.

The dual is the log-partition function of `gibbs`, over multipliers $\lambda\ge0$, of which there may be thousands: few
of them are positive in the end. Each step works on those that are, and on the two most violated inequalities of every
(player, recommendation).
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.solvers.correlated.gibbs import log_partition
from equinfer.solvers.correlated.obedience import comparable, obedience_matrix
from equinfer.solvers.correlated.stage import StageLaws
from equinfer.tables import joint_mask

__all__ = ["maximum_entropy"]

_MOST_STEPS, _MOST_HALVINGS = 60, 40
_DISOBEDIENCE = 1e-13
_UNATTAINED = 1e6
"""A multiplier as large as this has its optimum at infinity: obedience forces a probability to be 0."""
_RIDGE = 1e-13
_ARMIJO = 1e-4


def maximum_entropy(
    q: Float[np.ndarray, "1 N *A"], legal: Sequence[Bool[np.ndarray, "1 _"]], *, told: bool
) -> tuple[StageLaws, Float[np.ndarray, " 1"]] | None:
    """The law, and a bound on the entropy of every law that is obeyed; None if the dual is not attained.

    The multipliers are of the inequalities among legal actions only.
    """
    mask = joint_mask(legal)
    actions = [np.flatnonzero(own[0]) for own in legal]
    payoffs = comparable(q, mask)[0]
    rows = obedience_matrix(payoffs, actions, told)
    groups = _groups([len(own) for own in actions], told)
    cells = np.ones((1, rows.shape[1]), bool)

    def at(multiplier: np.ndarray) -> tuple[float, np.ndarray]:
        value, law = log_partition((rows.T @ multiplier)[None], cells)
        return float(value[0]), law[0]

    multiplier = np.zeros(rows.shape[0])
    value, law = at(multiplier)
    for _ in range(_MOST_STEPS):
        slope = rows @ law
        wrong = np.where(multiplier > 0, np.abs(slope) * np.minimum(1.0, multiplier), 0.0).max(initial=0.0)
        if slope.min(initial=0.0) >= -_DISOBEDIENCE and wrong <= 1e-9:
            break
        free = np.flatnonzero((multiplier > 0) | _most_violated(slope, groups))
        part = rows[free].toarray()
        scaled = (part - slope[free, None]) * np.sqrt(law)
        matrix = scaled @ scaled.T
        matrix[np.diag_indices_from(matrix)] += _RIDGE * (1 + np.trace(matrix) / max(len(free), 1))
        step = -np.linalg.solve(matrix, slope[free])
        size, moved = 1.0, multiplier
        for _ in range(_MOST_HALVINGS):
            trial = multiplier.copy()
            trial[free] = np.maximum(multiplier[free] + size * step, 0.0)
            reached, trial_law = at(trial)
            if reached <= value + _ARMIJO * float(slope @ (trial - multiplier)) + 1e-15 * (1 + abs(value)):
                moved, value, law = trial, reached, trial_law
                break
            size /= 2
        if moved is multiplier or moved.max() > _UNATTAINED:
            return None
        multiplier = moved
    else:
        return None
    joint = np.zeros(mask.shape)
    joint[mask] = law
    laws = StageLaws(joint, multiplier[None], np.zeros((1, mask[0].size)), np.array([True]))
    return laws, np.array([value])


def _groups(num_actions: Sequence[int], told: bool) -> Int[np.ndarray, " K"]:
    """The number of the (player, recommendation) to which each row of the matrix belongs."""
    lengths = [size - 1 for size in num_actions for _ in range(size)] if told else list(num_actions)
    return np.repeat(np.arange(len(lengths)), lengths)


def _most_violated(slope: Float[np.ndarray, " K"], groups: Int[np.ndarray, " K"]) -> Bool[np.ndarray, " K"]:
    """The two lowest rows of each group, where they are negative."""
    order = np.lexsort((slope, groups))
    begins = np.searchsorted(groups[order], groups[order])
    chosen = np.zeros(len(slope), bool)
    chosen[order[np.arange(len(order)) - begins < 2]] = True
    return chosen & (slope < 0)

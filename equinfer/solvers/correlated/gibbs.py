r"""Gibbs laws that are obeyed: the variational correlated equilibrium with an entropy, by its dual.

$$\mu_\lambda(m)\propto\exp\bigl(g(m)+(D^\top\lambda)(m)\bigr),\qquad
\lambda=\arg\min_{\lambda\ge0}\log Z(\lambda),\qquad\nabla\log Z(\lambda)=D\mu_\lambda .$$

The minimum's conditions are obedience, and $\log Z(\lambda)$ of any $\lambda\ge0$ bounds $E_\mu[g]+\mathcal H(\mu)$
of every law that is obeyed.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from equinfer.solvers.correlated.linear import refined_solver, times, transposed

__all__ = ["gibbs_laws", "log_partition"]

_MOST_STEPS = 80
_LAST_BARRIER = 1e-13
_ALLOWED = 1e-12
"""The disobedience that is planned for, of payoffs spread over one."""
_DISOBEDIENCE = 2e-12
"""Of payoffs spread over one: the most by which a law may fall short where it counts as solved."""
_ARMIJO, _MOST_HALVINGS = 1e-4, 40


def log_partition(
    weights: Float[np.ndarray, "S J"], cells: Bool[np.ndarray, "S J"]
) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "S J"]]:
    r"""$\log\sum_m e^{w(m)}$ over legal cells, and the law $\propto e^w$."""
    weights = np.where(cells, weights, -np.inf)
    highest = weights.max(axis=1, keepdims=True)
    terms = np.exp(weights - highest)
    total = terms.sum(axis=1, keepdims=True)
    return (highest + np.log(total))[:, 0], terms / total


def gibbs_laws(
    rows: Float[np.ndarray, "S K J"],
    senses: Bool[np.ndarray, "S K"],
    cells: Bool[np.ndarray, "S J"],
    gain: Float[np.ndarray, "S J"],
) -> tuple[Float[np.ndarray, "S J"], Float[np.ndarray, "S K"], Bool[np.ndarray, " S"]]:
    r"""Laws, their multipliers, and where they are obeyed to rounding; all states take their steps together.

    A primal-dual interior point in $\lambda$ and the slacks $D\mu_\lambda+\epsilon$. The tiny $\epsilon$ brings the
    minimum back from infinity: a probability that obedience forces to 0 becomes about $\epsilon$. It falls with the
    barrier $\sigma$, so that multipliers which cancel one another stay near $\sigma/\epsilon$.
    """
    laws, multipliers = np.zeros_like(gain), np.where(senses, 1.0, 0.0)
    active = np.arange(len(rows))
    dual = _Dual(rows, senses, cells, gain)
    multiplier, room = multipliers.copy(), np.ones(senses.shape)
    barrier = np.ones(len(rows))
    with np.errstate(all="ignore"):  # a state that breaks down is not solved
        for _ in range(_MOST_STEPS):
            _, law = dual.at(multiplier)
            slack = np.where(dual.senses, times(dual.rows, law), 0.0)
            laws[active], multipliers[active] = law, multiplier
            wanted = barrier[:, None] / multiplier
            allowed = np.maximum(barrier, _ALLOWED)[:, None]
            far = dual.senses & ~(np.abs(slack + allowed - wanted) <= 0.5 * wanted)
            keep = np.isfinite(law).all(axis=1) & (far.any(axis=1) | (barrier > _LAST_BARRIER))
            if not keep.any():
                break
            if not keep.all():
                active, dual = active[keep], _Dual(*(field[keep] for field in dual))
                multiplier, room, barrier, far = multiplier[keep], room[keep], barrier[keep], far[keep]
                law, slack = law[keep], slack[keep]
            barrier = np.where(~far.any(axis=1), np.maximum(0.05 * barrier, _LAST_BARRIER), barrier)
            allowed = np.maximum(barrier, _ALLOWED)[:, None]
            slope = np.where(dual.senses, slack + allowed - barrier[:, None] / multiplier, 0.0)
            # Newton's matrix, scaled on both sides by the root of multiplier by room: one plus a covariance of rows.
            weight = np.sqrt(np.where(dual.senses, multiplier / room, 0.0))
            spread = (dual.rows - slack[:, :, None]) * (weight[:, :, None] * np.sqrt(law)[:, None, :])
            solve = refined_solver(np.eye(spread.shape[1]) + spread @ spread.swapaxes(1, 2), ridge=4e-16)
            step = -weight * solve(weight * slope)
            widening = np.where(dual.senses, (barrier[:, None] - room * step) / multiplier - room, 0.0)
            size = dual.searched(multiplier, step, barrier, slope)
            multiplier = multiplier + size[:, None] * step
            shrinking = np.where(dual.senses & (widening < 0), -room / widening, np.inf).min(axis=1, initial=np.inf)
            room = room + np.minimum(1.0, 0.99 * shrinking)[:, None] * widening
    disobeyed = -np.where(senses, times(rows, laws), 0.0).min(axis=1, initial=0.0)
    return laws, multipliers, np.isfinite(laws).all(axis=1) & (disobeyed <= _DISOBEDIENCE)


class _Dual(NamedTuple):
    """The convex function of the multipliers that is minimised, of the states that are still being solved."""

    rows: Float[np.ndarray, "S K J"]
    senses: Bool[np.ndarray, "S K"]
    cells: Bool[np.ndarray, "S J"]
    gain: Float[np.ndarray, "S J"]

    def at(self, multiplier: Float[np.ndarray, "S K"]) -> tuple[Float[np.ndarray, " S"], Float[np.ndarray, "S J"]]:
        return log_partition(self.gain + transposed(self.rows, multiplier), self.cells)

    def function(
        self, multiplier: Float[np.ndarray, "S K"], barrier: Float[np.ndarray, " S"]
    ) -> Float[np.ndarray, " S"]:
        logs = np.log(np.where(self.senses, multiplier, 1.0)).sum(axis=1)
        return self.at(multiplier)[0] + np.maximum(barrier, _ALLOWED) * multiplier.sum(axis=1) - barrier * logs

    def searched(
        self,
        multiplier: Float[np.ndarray, "S K"],
        step: Float[np.ndarray, "S K"],
        barrier: Float[np.ndarray, " S"],
        slope: Float[np.ndarray, "S K"],
    ) -> Float[np.ndarray, " S"]:
        """How far along each step the barrier function falls enough."""
        shrinking = np.where(self.senses & (step < 0), -multiplier / step, np.inf).min(axis=1, initial=np.inf)
        size = np.minimum(1.0, 0.99 * shrinking)
        promised = (slope * step).sum(axis=1)
        begun = self.function(multiplier, barrier)
        for _ in range(_MOST_HALVINGS):
            reached = self.function(multiplier + size[:, None] * step, barrier)
            short = ~(reached <= begun + _ARMIJO * size * promised + 1e-15 * (1 + np.abs(begun)))
            if not short.any():
                break
            size = np.where(short, size / 2, size)
        return size

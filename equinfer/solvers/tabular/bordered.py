r"""The linear systems of the path, policies eliminated state by state: what is left has the size of the values.

For errors $E_1$ (S, n), $E_2$ (S, N) and one border row, the unknowns $(\delta\beta,\delta V,\delta\lambda)$ solve

* $B\,\delta\beta-\lambda G\,\delta V-D\,\delta\lambda=-E_1$ with $B=I-\lambda M$ in every state,
* $p^\top(M\,\delta\beta+G\,\delta V)+\kappa\,\delta\lambda=-E_2$ for every state and player,
* $\langle\text{border},(\delta\beta,\delta V,\delta\lambda)\rangle=c$.

The first eliminates $\delta\beta$; since $I+\lambda MB^{-1}=B^{-1}$, the second becomes
$p^\top B^{-1}G\,\delta V+(\kappa+ZD)\,\delta\lambda=ZE_1-E_2$ with $Z=p^\top MB^{-1}$.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from equinfer.solvers.tabular.factored import Factors, SingularSystemError
from equinfer.solvers.tabular.moves import AbstractMoves

__all__ = ["BorderedSystem", "SingularSystemError", "StateBlocks"]

WORST_CONDITION = 1e9
"""A state whose B is worse than this is not eliminated: its logits stay unknowns of the global system."""


@dataclass(frozen=True, eq=False)
class StateBlocks:
    """The derivatives of the equations, state by state. Columns are all players' actions side by side."""

    rate: float
    r"""$\lambda$."""
    own: Float[np.ndarray, "N n"]
    """One where the column is the player's."""
    response: Float[np.ndarray, "S n"]
    """p, the soft best response."""
    slope: Float[np.ndarray, "S n n"]
    r"""M, the derivative of $\bar Q$ in the logits."""
    gain: AbstractMoves
    """G, the derivative of the advantages in the values; each row acts on its own player's values."""
    advantage: Float[np.ndarray, "S n"]
    """D."""
    curvature: Float[np.ndarray, "S N"]
    r"""$\kappa$."""

    @cached_property
    def matrices(self) -> Float[np.ndarray, "S n n"]:
        """B."""
        return np.eye(self.slope.shape[1]) - self.rate * self.slope

    @cached_property
    def picks(self) -> Float[np.ndarray, "S N n"]:
        r"""$p^\top$, each player's on its own columns."""
        return self.own * self.response[:, None, :]


@dataclass(frozen=True, eq=False)
class BorderedSystem:
    """The system of one linearisation and one border, factored."""

    blocks: StateBlocks
    inverse: Float[np.ndarray, "S n n"]
    r"""$B^{-1}$."""
    gathered: Float[np.ndarray, "S N n"]
    """Z; zero in states that are kept."""
    border_weight: Float[np.ndarray, "S n"]
    r"""The border's part on logits, times $B^{-1}$; zero in states that are kept."""
    kept: Int[np.ndarray, " K"]
    """States that are not eliminated."""
    factors: Factors
    sign: float
    """Sign of the determinant of the whole bordered Jacobian, +1 at infinite temperature with border (0, 0, 1)."""

    @classmethod
    def factor(
        cls,
        blocks: StateBlocks,
        border_logits: Float[np.ndarray, "S n"],
        border_value: Float[np.ndarray, "S N"],
        border_rate: float,
    ) -> "BorderedSystem":
        """**Raises:** `SingularSystemError`."""
        signs, kept, inverse = _inverses(blocks.matrices)
        gathered = blocks.picks @ blocks.slope @ inverse
        border_weight = (border_logits[:, None] @ inverse)[:, 0]
        gathered[kept] = border_weight[kept] = 0.0

        (S, N), n = border_value.shape, border_logits.shape[1]
        m = S * N
        size = m + 1 + len(kept) * n
        matrix = blocks.gain.blank(size)
        matrix.put(0, 0, blocks.gain.weighted(blocks.picks + blocks.rate * gathered))
        matrix.put(0, m, (blocks.curvature + _rowwise(gathered, blocks.advantage)).reshape(m, 1))
        along = blocks.gain.weighted(border_weight[:, None]).sum(axis=0)
        matrix.put(m, 0, (border_value.ravel() + blocks.rate * along)[None])
        matrix.put(m, m, np.full((1, 1), border_rate + np.sum(border_weight * blocks.advantage)))
        for place, s in enumerate(kept.tolist()):
            row = m + 1 + place * n
            matrix.put(s * N, row, blocks.picks[s] @ blocks.slope[s])
            matrix.put(row, row, blocks.matrices[s])
            matrix.put(row, 0, -blocks.rate * blocks.gain.of_state(s, blocks.own))
            matrix.put(row, m, -blocks.advantage[s][:, None])
            matrix.put(m, row, border_logits[s][None])

        factors = matrix.factored()
        sign = float(factors.sign * np.prod(signs) * (-1) ** m)
        return cls(blocks, inverse, gathered, border_weight, kept, factors, sign)

    def solve(
        self, response_error: Float[np.ndarray, "S n"], value_error: Float[np.ndarray, "S N"], along: float
    ) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "S N"], float]:
        r"""$(\delta\beta,\delta V,\delta\lambda)$ for these errors, with the product `along` with the border."""
        blocks, m = self.blocks, value_error.size
        right = np.empty(m + 1 + self.kept.size * response_error.shape[1])
        right[:m] = (_rowwise(self.gathered, response_error) - value_error).ravel()
        right[m] = along + np.sum(self.border_weight * response_error)
        right[m + 1 :] = -response_error[self.kept].ravel()
        solution = self.factors.solve(right)
        value, rate = solution[:m].reshape(value_error.shape), float(solution[m])
        change = blocks.rate * blocks.gain.times(value) + rate * blocks.advantage - response_error
        logits = _rowwise(self.inverse, change)
        logits[self.kept] = solution[m + 1 :].reshape(-1, logits.shape[1])
        return logits, value, rate

    def tangent(self) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "S N"], float]:
        """The direction that leaves the equations unchanged, whose product with the border is one."""
        return self.solve(np.zeros_like(self.blocks.advantage), np.zeros_like(self.blocks.curvature), 1.0)


def _rowwise(matrices: Float[np.ndarray, "S k n"], vectors: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "S k"]:
    """Each state's matrix times each state's vector."""
    return (matrices @ vectors[:, :, None])[:, :, 0]


def _inverses(matrices: Float[np.ndarray, "S n n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signs of the determinants of the states that can be eliminated, the states that cannot, and inverses."""
    signs = np.linalg.slogdet(matrices)[0]
    singular = signs == 0
    inverse = np.linalg.inv(np.where(singular[:, None, None], np.eye(matrices.shape[1]), matrices))
    condition = (np.abs(inverse) @ np.abs(matrices)).sum(axis=2).max(axis=1)  # Skeel's: blind to the scale of rows
    kept = np.flatnonzero(singular | ~(condition < WORST_CONDITION))
    return np.delete(signs, kept), kept, inverse

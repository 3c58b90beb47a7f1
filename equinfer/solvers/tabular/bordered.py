r"""The linear systems of the path, policies eliminated state by state: what is left has the size of the values.

For errors $E_1$ (S, n), $E_2$ (S, N) and one border row, the unknowns $(\delta\beta,\delta V,\delta\lambda)$ solve

* $B\,\delta\beta-\lambda G\,\delta V-D\,\delta\lambda=-E_1$ with $B=I-\lambda M$ in every state,
* $p^\top(M\,\delta\beta+G\,\delta V)+\kappa\,\delta\lambda=-E_2$ for every state and player,
* $\langle\text{border},(\delta\beta,\delta V,\delta\lambda)\rangle=c$.

The first eliminates $\delta\beta$; since $I+\lambda MB^{-1}=B^{-1}$, the second becomes
$p^\top B^{-1}G\,\delta V+(\kappa+ZD)\,\delta\lambda=ZE_1-E_2$ with $Z=p^\top MB^{-1}$. The unknowns that are
left are player by player, in each the states; then the one of the border; then the logits of states that are kept.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from equinfer.solvers.tabular.factors import AbstractFactors, DenseFactors, SingularSystemError, SparseFactors
from equinfer.solvers.tabular.next_values import Gain, SparseNextValues
from equinfer.solvers.tabular.small_inverses import inverses

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
    gain: Gain
    """G, the derivative of the advantages in the values."""
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
    factors: AbstractFactors
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
        reduced = _Reduced(
            blocks,
            rows=blocks.picks + blocks.rate * gathered,
            border_row=np.where(blocks.gain.game.legal, blocks.rate * border_weight, 0.0),
            column=blocks.curvature + _rowwise(gathered, blocks.advantage),
            border_value=border_value,
            corner=border_rate + float(np.sum(border_weight * blocks.advantage)),
        )
        if isinstance(blocks.gain.after, SparseNextValues):
            factors = SparseFactors(reduced.sparse(kept, border_logits), reduced.order(len(kept)))
        else:
            factors = DenseFactors(reduced.dense(kept, border_logits))
        sign = factors.sign * float(np.prod(signs)) * (-1) ** border_value.size
        return cls(blocks, inverse, gathered, border_weight, kept, factors, sign)

    def solve(
        self, response_error: Float[np.ndarray, "S n"], value_error: Float[np.ndarray, "S N"], along: float
    ) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "S N"], float, Float[np.ndarray, "N S *A"]]:
        r"""$(\delta\beta,\delta V,\delta\lambda)$ for these errors, with the product `along` with the border, and what
        $\delta V$ does to the action tables.
        """
        blocks, m = self.blocks, value_error.size
        right = np.empty(m + 1 + len(self.kept) * blocks.own.shape[1])
        right[:m] = (_rowwise(self.gathered, response_error) - value_error).T.ravel()
        right[m] = along + np.sum(self.border_weight * response_error)
        right[m + 1 :] = -response_error[self.kept].ravel()
        solution = self.factors.solve(right)
        value, rate = solution[:m].reshape(value_error.shape[::-1]).T, float(solution[m])
        gained, tables = blocks.gain.times(value)
        logits = _rowwise(self.inverse, blocks.rate * gained + rate * blocks.advantage - response_error)
        logits[self.kept] = solution[m + 1 :].reshape(-1, logits.shape[1])
        return logits, value, rate, tables

    def tangent(self) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "S N"], float, Float[np.ndarray, "N S *A"]]:
        """The direction that leaves the equations unchanged, whose product with the border is one."""
        return self.solve(np.zeros_like(self.blocks.advantage), np.zeros_like(self.blocks.curvature), 1.0)


@dataclass(frozen=True, eq=False)
class _Reduced:
    """What is left when the logits are eliminated: rows that act on advantages, state by state, and the border."""

    blocks: StateBlocks
    rows: Float[np.ndarray, "S N n"]
    border_row: Float[np.ndarray, "S n"]
    column: Float[np.ndarray, "S N"]
    border_value: Float[np.ndarray, "S N"]
    corner: float

    @property
    def _all_rows(self) -> Float[np.ndarray, "S K n"]:
        return np.concatenate([self.rows, self.border_row[:, None]], axis=1)

    def _own_values(self) -> Float[np.ndarray, "S K N"]:
        """What the rows ask of the values of their own state: those that the advantages subtract."""
        return self._all_rows @ self.blocks.own.T

    def dense(self, kept: Int[np.ndarray, " K"], border_logits: Float[np.ndarray, "S n"]) -> np.ndarray:
        """With the rows of states that are not eliminated."""
        gain = self.blocks.gain
        S, N, n = self.rows.shape
        m, states = S * N, np.arange(S)
        size = m + 1 + len(kept) * n
        matrix = np.empty((size, size)) if not len(kept) else np.zeros((size, size))
        chains = gain.chains(self._all_rows).reshape(S, N, N + 1, S)
        own = self._own_values()
        for i in range(N):
            there = slice(i * S, (i + 1) * S)
            for k in range(N):
                block = matrix[k * S : (k + 1) * S, there]
                block[:] = chains[:, i, k]
                block[states, states] -= own[:, k, i]
            matrix[m, there] = self.border_value[:, i] + chains[:, i, N].sum(axis=0) - own[:, N, i]
        matrix[:m, m] = self.column.T.ravel()
        matrix[m, m] = self.corner
        for row, column, block in self._kept_blocks(kept, border_logits):
            matrix[np.ix_(row, column)] = block
        return matrix

    def _kept_blocks(
        self, kept: Int[np.ndarray, " K"], border_logits: Float[np.ndarray, "S n"]
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """What states that are not eliminated add: rows, columns, and the block of entries where they cross."""
        blocks = self.blocks
        S, N, n = self.rows.shape
        m, values, players = S * N, np.arange(S * N), np.arange(N) * S
        gain = blocks.gain.of_states(kept) if len(kept) else ()
        for place, (s, slope) in enumerate(zip(kept, gain, strict=True)):
            logits = m + 1 + place * n + np.arange(n)
            after = np.flatnonzero(slope.any(axis=0))
            yield s + players, logits, blocks.picks[s] @ blocks.slope[s]
            yield logits, logits, blocks.matrices[s]
            weights = -blocks.rate * blocks.own.T[:, :, None] * slope[:, None, after]
            yield logits, values.reshape(N, S)[:, after].ravel(), weights.reshape(n, -1)
            yield logits, np.array([m]), -blocks.advantage[s][:, None]
            yield np.array([m]), logits, border_logits[s][None]

    def sparse(self, kept: Int[np.ndarray, " K"], border_logits: Float[np.ndarray, "S n"]) -> scipy.sparse.csc_array:
        """The same, of entries that are there."""
        S, N, n = self.rows.shape
        m, after = S * N, self.blocks.gain.after
        assert isinstance(after, SparseNextValues)
        row, column = after.pattern
        chains = self.blocks.gain.chains(self._all_rows).reshape(N, N + 1, -1)
        own = self._own_values()
        chains[:, :, after.diagonal] -= own.T
        border = np.stack([np.bincount(column, chains[i, N], S) + self.border_value[:, i] for i in range(N)])
        players = np.arange(N) * S
        shape = (N, N, row.size)
        rows = np.broadcast_to(players[:, None] + row, shape).ravel()
        columns = np.broadcast_to(players[:, None, None] + column, shape).ravel()
        last, all_values = np.full(m, m), np.arange(m)
        entries = [
            (rows, columns, chains[:, :N].ravel()),
            (all_values, last, self.column.T.ravel()),
            (last, all_values, border.ravel()),
            (np.array([m]), np.array([m]), np.array([self.corner])),
        ]
        for row, column, block in self._kept_blocks(kept, border_logits):
            entries.append((np.repeat(row, column.size), np.tile(column, row.size), block.ravel()))
        row, column, entry = (np.concatenate(parts) for parts in zip(*entries, strict=True))
        size = m + 1 + len(kept) * n
        return scipy.sparse.csc_array((entry, (row, column)), shape=(size, size))

    def order(self, num_kept: int) -> Int[np.ndarray, " size"]:
        """State by state, the values of all players; the logits of states that are kept, and last the border."""
        S, N, n = self.rows.shape
        after = self.blocks.gain.after
        assert isinstance(after, SparseNextValues)
        values = (after.order[:, None] + np.arange(N) * S).ravel()
        return np.concatenate([values, S * N + 1 + np.arange(num_kept * n), [S * N]])


def _rowwise(matrices: Float[np.ndarray, "S k n"], vectors: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "S k"]:
    """Each state's matrix times each state's vector."""
    return (matrices @ vectors[:, :, None])[:, :, 0]


def _inverses(matrices: Float[np.ndarray, "S n n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signs of the determinants of the states that can be eliminated, the states that cannot, and inverses."""
    inverse, signs, condition = inverses(matrices)
    kept = np.flatnonzero(~(condition < WORST_CONDITION))
    inverse[kept] = 0.0
    return np.delete(signs, kept), kept, inverse

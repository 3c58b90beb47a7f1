r"""Where each player's own actions lead, discounted: $\gamma_iP(s'\mid s,a^i)$, all players' actions side by side.

It is the derivative of action values in the values of the next state, and with it every linear system of the path and
the polish is built: as one array for a dense kernel, as one sparse matrix a player for lists of successors.
"""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from equinfer.games.chains import csr
from equinfer.solvers.tabular.factored import DenseBlocks, Factors, SparseBlocks

__all__ = ["AbstractMoves", "DenseMoves", "SparseMoves"]


class AbstractMoves(abc.ABC):
    """A row for every state and action of every player, which acts on that player's values."""

    columns: Sequence[slice]
    """Each player's actions in a flat profile."""

    @abc.abstractmethod
    def times(self, value: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "S n"]:
        """Each row times the values of its own player."""

    @abc.abstractmethod
    def weighted(self, rows: Float[np.ndarray, "S k n"]) -> Any:
        """Mixtures of the rows of every state, spread over the values of all states and players: (S k, S N)."""

    @abc.abstractmethod
    def less_staying(self, legal: Bool[np.ndarray, "S n"]) -> "AbstractMoves":
        """Rows less the value of the state itself, zero on illegal actions: the derivative of the advantages."""

    @abc.abstractmethod
    def of_state(self, state: int, own: Float[np.ndarray, "N n"]) -> Any:
        """The rows of one state, spread over the values of all states and players: (n, S N)."""

    @abc.abstractmethod
    def rows(self, player: int, states: Int[np.ndarray, " K"], actions: Int[np.ndarray, " K"]) -> Any:
        """Some rows of one player, `actions` counted over all players: (K, S)."""

    @abc.abstractmethod
    def resolvent(self, player: int, policy: Float[np.ndarray, "S n"]) -> Factors:
        r"""$I-\gamma_iP_\pi$, factored, for the policies of this profile."""

    @abc.abstractmethod
    def blank(self, size: int) -> DenseBlocks | SparseBlocks:
        """An empty square matrix to put blocks of this kind into."""


class DenseMoves(AbstractMoves):
    """One array (S, n, S)."""

    def __init__(self, table: Float[np.ndarray, "S n S"], columns: Sequence[slice]):
        self.table, self.columns = table, columns

    def times(self, value: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "S n"]:
        return np.concatenate([self.table[:, mine] @ value[:, i] for i, mine in enumerate(self.columns)], axis=1)

    def weighted(self, rows: Float[np.ndarray, "S k n"]) -> Float[np.ndarray, "Sk SN"]:
        spread = np.stack([rows[:, :, mine] @ self.table[:, mine] for mine in self.columns], axis=-1)
        return spread.reshape(rows.shape[0] * rows.shape[1], -1)

    def less_staying(self, legal: Bool[np.ndarray, "S n"]) -> "DenseMoves":
        table, states = self.table.copy(), np.arange(len(self.table))
        table[states, :, states] -= 1.0
        table[~legal] = 0.0
        return DenseMoves(table, self.columns)

    def of_state(self, state: int, own: Float[np.ndarray, "N n"]) -> Float[np.ndarray, "n SN"]:
        return (self.table[state][:, :, None] * own.T[:, None]).reshape(own.shape[1], -1)

    def rows(self, player: int, states: Int[np.ndarray, " K"], actions: Int[np.ndarray, " K"]) -> np.ndarray:
        return self.table[states, actions]

    def resolvent(self, player: int, policy: Float[np.ndarray, "S n"]) -> Factors:
        mine = self.columns[player]
        chain = (policy[:, None, mine] @ self.table[:, mine])[:, 0]
        blocks = self.blank(len(chain))
        blocks.put(0, 0, np.eye(len(chain)) - chain)
        return blocks.factored()

    def blank(self, size: int) -> DenseBlocks:
        return DenseBlocks(size)


class SparseMoves(AbstractMoves):
    """One matrix (S A_i, S) a player."""

    def __init__(self, matrices: Sequence[Any], columns: Sequence[slice]):
        self.matrices, self.columns = matrices, columns

    def times(self, value: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "S n"]:
        return np.concatenate(
            [(matrix @ value[:, i]).reshape(len(value), -1) for i, matrix in enumerate(self.matrices)], axis=1
        )

    def weighted(self, rows: Float[np.ndarray, "S k n"]) -> sparse.csr_array:
        return self._spread([self._mixed(player, rows[:, :, mine]) for player, mine in enumerate(self.columns)])

    def _mixed(self, player: int, weights: Float[np.ndarray, "S k A"]) -> Any:
        """Mixtures of the rows of every state of one player: (S k, S)."""
        num_states, _, size = weights.shape
        place = np.arange(num_states * size, dtype=np.int32).reshape(num_states, 1, size)
        mixing = csr(np.broadcast_to(place, weights.shape), weights, num_states * size)
        return mixing @ self.matrices[player]

    def _spread(self, parts: Sequence[Any]) -> sparse.csr_array:
        """The sum of what acts on each player's values, as one matrix over the values of all."""
        num_players = len(parts)
        shape = (parts[0].shape[0], parts[0].shape[1] * num_players)
        wide = [
            sparse.csr_array((part.data, part.indices * num_players + i, part.indptr), shape=shape)
            for i, part in enumerate(parts)
        ]
        return sum(wide[1:], start=wide[0])

    def less_staying(self, legal: Bool[np.ndarray, "S n"]) -> "SparseMoves":
        num_states, matrices = len(legal), []
        for mine, matrix in zip(self.columns, self.matrices, strict=True):
            mask = legal[:, mine]
            state = np.repeat(np.arange(num_states, dtype=np.int32), mask.shape[1])
            ends = np.arange(mask.size + 1, dtype=np.int32)
            staying = sparse.csr_array((np.ones(mask.size), state, ends), shape=matrix.shape)
            matrices.append(sparse.diags_array(mask.ravel().astype(float)) @ (matrix - staying))
        return SparseMoves([matrix.tocsr() for matrix in matrices], self.columns)

    def of_state(self, state: int, own: Float[np.ndarray, "N n"]) -> sparse.csr_array:
        parts = []
        for mine, matrix in zip(self.columns, self.matrices, strict=True):
            size = mine.stop - mine.start
            here = matrix[state * size : (state + 1) * size].tocoo()
            padded = sparse.coo_array(
                (here.data, (here.coords[0] + mine.start, here.coords[1])), shape=(own.shape[1], matrix.shape[1])
            )
            parts.append(padded.tocsr())
        return self._spread(parts)

    def rows(self, player: int, states: Int[np.ndarray, " K"], actions: Int[np.ndarray, " K"]) -> sparse.csr_array:
        mine = self.columns[player]
        return self.matrices[player][states * (mine.stop - mine.start) + actions - mine.start]

    def resolvent(self, player: int, policy: Float[np.ndarray, "S n"]) -> Factors:
        chain = self._mixed(player, policy[:, None, self.columns[player]])
        blocks = self.blank(chain.shape[0])
        blocks.put(0, 0, sparse.eye_array(chain.shape[0]) - chain)
        return blocks.factored()

    def blank(self, size: int) -> SparseBlocks:
        return SparseBlocks(size)

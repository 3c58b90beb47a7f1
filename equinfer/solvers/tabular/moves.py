r"""Where each player's own actions lead, discounted: $\gamma_iP(s'\mid s,a^i)$, all players' actions side by side.

It is the derivative of action values in the values of the next state: what exact evaluation and Newton's method on
supports are built of. One array for a dense kernel, one sparse matrix a player for lists of successors.
"""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from equinfer.games.chains import csr
from equinfer.solvers.tabular.factors import MANY_STATES, AbstractFactors, DenseFactors, SparseFactors, UnitFactors

__all__ = ["AbstractMoves", "DenseMoves", "SparseMoves", "no_moves"]


class AbstractMoves(abc.ABC):
    """A row for every state and action of every player, which acts on that player's values."""

    columns: Sequence[slice]
    """Each player's actions in a flat profile."""

    @abc.abstractmethod
    def times(self, value: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "S n"]:
        """Each row times the values of its own player."""

    @abc.abstractmethod
    def transposed_times(self, weight: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "S N"]:
        """The rows of each player, weighted and summed."""

    @abc.abstractmethod
    def rows(self, player: int, states: Int[np.ndarray, " K"], actions: Int[np.ndarray, " K"]) -> Any:
        """Some rows of one player, `actions` counted over all players: (K, S)."""

    @abc.abstractmethod
    def of_states(self, states: Int[np.ndarray, " K"]) -> Float[np.ndarray, "K n S"]:
        """All rows of a few states."""

    @abc.abstractmethod
    def resolvent(self, player: int, policy: Float[np.ndarray, "S n"]) -> AbstractFactors:
        r"""$I-\gamma_iP_\pi$, factored, for the policies of this profile."""


class DenseMoves(AbstractMoves):
    """One array (S, n, S)."""

    def __init__(self, table: Float[np.ndarray, "S n S"], columns: Sequence[slice]):
        self.table, self.columns = table, columns

    def times(self, value: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "S n"]:
        return np.concatenate([self.table[:, mine] @ value[:, i] for i, mine in enumerate(self.columns)], axis=1)

    def transposed_times(self, weight: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "S N"]:
        return np.stack([np.tensordot(weight[:, mine], self.table[:, mine]) for mine in self.columns], axis=1)

    def rows(self, player: int, states: Int[np.ndarray, " K"], actions: Int[np.ndarray, " K"]) -> np.ndarray:
        return self.table[states, actions]

    def of_states(self, states: Int[np.ndarray, " K"]) -> Float[np.ndarray, "K n S"]:
        return self.table[states]

    def resolvent(self, player: int, policy: Float[np.ndarray, "S n"]) -> AbstractFactors:
        mine = self.columns[player]
        chain = (policy[:, None, mine] @ self.table[:, mine])[:, 0]
        return DenseFactors(np.eye(len(chain)) - chain)


class SparseMoves(AbstractMoves):
    """One matrix (S A_i, S) a player."""

    def __init__(self, matrices: Sequence[Any], columns: Sequence[slice]):
        self.matrices, self.columns = matrices, columns

    def times(self, value: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "S n"]:
        return np.concatenate(
            [(matrix @ value[:, i]).reshape(len(value), -1) for i, matrix in enumerate(self.matrices)], axis=1
        )

    def transposed_times(self, weight: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "S N"]:
        owned = zip(self.matrices, self.columns, strict=True)
        return np.stack([matrix.T @ weight[:, mine].ravel() for matrix, mine in owned], axis=1)

    def rows(self, player: int, states: Int[np.ndarray, " K"], actions: Int[np.ndarray, " K"]) -> sparse.csr_array:
        mine = self.columns[player]
        return self.matrices[player][states * (mine.stop - mine.start) + actions - mine.start]

    def of_states(self, states: Int[np.ndarray, " K"]) -> Float[np.ndarray, "K n S"]:
        parts = []
        for player, mine in enumerate(self.columns):
            actions = np.arange(mine.start, mine.stop)
            rows = self.rows(player, np.repeat(states, actions.size), np.tile(actions, len(states)))
            parts.append(rows.toarray().reshape(len(states), actions.size, -1))
        return np.concatenate(parts, axis=1)

    def resolvent(self, player: int, policy: Float[np.ndarray, "S n"]) -> AbstractFactors:
        if not self.matrices[player].nnz:
            return UnitFactors()
        weights = policy[:, None, self.columns[player]]
        place = np.arange(weights.size, dtype=np.int32).reshape(weights.shape)
        chain = csr(place, weights, weights.size) @ self.matrices[player]
        return SparseFactors((sparse.eye_array(chain.shape[0]) - chain).tocsc())


def no_moves(num_states: int, columns: Sequence[slice]) -> AbstractMoves:
    """Where the future counts for nothing."""
    if num_states < MANY_STATES:
        return DenseMoves(np.zeros((num_states, columns[-1].stop, num_states)), columns)
    sizes = [mine.stop - mine.start for mine in columns]
    return SparseMoves([sparse.csr_array((num_states * size, num_states)) for size in sizes], columns)

r"""What the path asks of the transitions, compiled: $\gamma_iE[V_i(s')\mid s,a]$, and chains of laws of joint actions.

Both are asked several times a step, for few values at a time, which is bound by memory: rows are read once for all
players, and only successors of positive probability are where these are few.
"""

import abc
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, no_type_check

import numba
import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from equinfer.solvers.tabular.factors import MANY_STATES, elimination_order
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.solvers.tabular.soft_play import average_tables

__all__ = ["AbstractNextValues", "DenseNextValues", "Gain", "SparseNextValues", "continuation", "next_values"]

FEW = 0.1
"""Share of states that can follow a state, up to which chains are sparse matrices."""

_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")
_reordering_kernel = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})


@dataclass(frozen=True, eq=False)
class AbstractNextValues(abc.ABC):
    """Transitions out of S states by J joint actions."""

    num_states: int

    @abc.abstractmethod
    def expect(self, value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N SJ"]:
        r"""$E[V_i(s')\mid s,a]$."""

    @abc.abstractmethod
    def chains(self, laws: Float[np.ndarray, "S K J"]) -> Float[np.ndarray, "..."]:
        r"""$\sum_a\mathcal L_k(a\mid s)P(s'\mid s,a)$ of K laws at once, as this storage holds chains."""


@dataclass(frozen=True, eq=False)
class DenseNextValues(AbstractNextValues):
    """All transitions."""

    probabilities: Float[np.ndarray, "SJ S"]

    def expect(self, value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N SJ"]:
        return _expect_dense(self.probabilities, np.ascontiguousarray(value))

    def chains(self, laws: Float[np.ndarray, "S K J"]) -> Float[np.ndarray, "S K S"]:
        return laws @ self.probabilities.reshape(self.num_states, -1, self.num_states)


@dataclass(frozen=True, eq=False)
class SparseNextValues(AbstractNextValues):
    """Successors of positive probability, joint action by joint action; chains have one common pattern."""

    ends: Int[np.ndarray, " rows_and_end"]
    """Where the successors of each joint action begin, and the last ones end."""
    successors: Int[np.ndarray, " nnz"]
    probabilities: Float[np.ndarray, " nnz"]

    def expect(self, value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N SJ"]:
        return _expect_sparse(self.ends, self.successors, self.probabilities, np.ascontiguousarray(value.T))

    def chains(self, laws: Float[np.ndarray, "S K J"]) -> Float[np.ndarray, "K E"]:
        """The entries of `pattern`, in its order."""
        return _chains_sparse(self.ends, self._slots, self.probabilities, laws, self.pattern[0].size)

    @cached_property
    def _keys(self) -> Int[np.ndarray, " nnz"]:
        joint = (self.ends.size - 1) // self.num_states
        origin = np.repeat(np.arange(self.ends.size - 1) // joint, np.diff(self.ends))
        return origin * self.num_states + self.successors

    @cached_property
    def pattern(self) -> tuple[Int[np.ndarray, " E"], Int[np.ndarray, " E"]]:
        """States and successors that any chain can have, row by row, the diagonal included."""
        diagonal = np.arange(self.num_states) * (self.num_states + 1)
        return np.divmod(np.union1d(self._keys, diagonal), self.num_states)

    @cached_property
    def diagonal(self) -> Int[np.ndarray, " S"]:
        """Where in the pattern a state follows itself."""
        return np.flatnonzero(self.pattern[0] == self.pattern[1])

    @cached_property
    def order(self) -> Int[np.ndarray, " S"]:
        """The order of states in which their values are best eliminated."""
        rows, columns = self.pattern
        shape = (self.num_states, self.num_states)
        return elimination_order(scipy.sparse.csc_array((np.ones(rows.size), (rows, columns)), shape=shape))

    @cached_property
    def _slots(self) -> Int[np.ndarray, " nnz"]:
        rows, columns = self.pattern
        return np.searchsorted(rows * self.num_states + columns, self._keys)


@dataclass(frozen=True, eq=False)
class Gain:
    r"""G, the derivative of the advantages in the values at one policy, never formed."""

    game: ScaledGame
    after: AbstractNextValues
    policy: Float[np.ndarray, "S n"]

    def times(self, value: Float[np.ndarray, "S N"]) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "N S *A"]]:
        r"""$G\,\delta V$, and how the action tables change with the values."""
        game = self.game
        tables = continuation(game, self.after, value)
        ends = np.append(game.starts, game.owner.size)
        change = average_tables(self.policy, tables.reshape(game.num_players, -1), ends) - value[:, game.owner]
        return np.where(game.legal, change, 0.0), tables

    def chains(self, rows: Float[np.ndarray, "S K n"]) -> Float[np.ndarray, "..."]:
        r"""Rows of every state times the discounted transitions of each player's actions, as chains are held.

        In order of players, for each of them in order of rows. The own part of a row weighs the player's actions, the
        policy those of the others.
        """
        game, laws = self.game, []
        num_states = rows.shape[0]
        for i, discount in enumerate(game.discount):
            law = np.full((num_states, 1, 1), discount)
            for j, mine in enumerate(game.columns):
                weights = rows[:, :, mine] if i == j else self.policy[:, None, mine]
                law = (law[:, :, :, None] * weights[:, :, None, :]).reshape(
                    num_states, -1, law.shape[2] * weights.shape[2]
                )
            laws.append(law)
        return self.after.chains(np.concatenate(laws, axis=1))

    def of_states(self, states: Int[np.ndarray, " K"]) -> Float[np.ndarray, "K n S"]:
        """G itself in a few states; each row acts on its own player's values."""
        gain = self.game.moves(self.policy).of_states(states)
        gain[np.arange(len(states)), :, states] -= 1.0
        gain[~self.game.legal[states]] = 0.0
        return gain


def continuation(
    game: ScaledGame, after: AbstractNextValues, value: Float[np.ndarray, "S N"]
) -> Float[np.ndarray, "N S *A"]:
    r"""$\gamma_iE[V_i(s')\mid s,a]$."""
    if not game.discount.any():
        return np.zeros(game.reward.shape)
    return after.expect((game.discount * value).T).reshape(game.reward.shape)


def next_values(game: ScaledGame) -> AbstractNextValues:
    """The transitions of a game, dense or sparse as they are; none where the future counts for nothing."""
    kernel: Any = game.kernel
    states = game.num_states
    num_rows = math.prod(game.reward.shape[1:])
    if not game.discount.any():
        return DenseNextValues(states, np.broadcast_to(0.0, (num_rows, states)))
    if not hasattr(kernel, "successors"):
        rows = np.ascontiguousarray(kernel.probabilities, float).reshape(-1, states)
        reached = (rows != 0).reshape(states, -1, states).any(axis=1)
        if states < MANY_STATES or reached.mean() > FEW:
            return DenseNextValues(states, rows)
        joint, successors = np.nonzero(rows)
        weights = rows[joint, successors]
    else:
        lists = np.asarray(kernel.probabilities).reshape(-1, kernel.probabilities.shape[-1])
        joint, place = np.nonzero(lists)
        successors = np.asarray(kernel.successors).reshape(lists.shape)[joint, place]
        weights = lists[joint, place]
    ends = np.concatenate([[0], np.cumsum(np.bincount(joint, minlength=num_rows))])
    return SparseNextValues(states, ends, successors.astype(np.int64), np.ascontiguousarray(weights, float))


@_reordering_kernel
@no_type_check
def _expect_dense(rows, value):
    num_players, num_states = value.shape
    out = np.empty((num_players, len(rows)))
    for r in range(len(rows)):
        i = 0
        while i + 1 < num_players:
            first, second = 0.0, 0.0
            for s in range(num_states):
                first += rows[r, s] * value[i, s]
                second += rows[r, s] * value[i + 1, s]
            out[i, r], out[i + 1, r] = first, second
            i += 2
        if i < num_players:
            first = 0.0
            for s in range(num_states):
                first += rows[r, s] * value[i, s]
            out[i, r] = first
    return out


@_kernel
@no_type_check
def _expect_sparse(ends, successors, probabilities, value):
    num_players = value.shape[1]
    out = np.zeros((num_players, len(ends) - 1))
    for r in range(len(ends) - 1):
        for e in range(ends[r], ends[r + 1]):
            for i in range(num_players):
                out[i, r] += probabilities[e] * value[successors[e], i]
    return out


@_kernel
@no_type_check
def _chains_sparse(ends, slots, probabilities, laws, size):
    num_states, num_laws, num_joint = laws.shape
    out = np.zeros((num_laws, size))
    for s in range(num_states):
        for a in range(num_joint):
            r = s * num_joint + a
            for k in range(num_laws):
                weight = laws[s, k, a]
                if weight != 0.0:
                    for e in range(ends[r], ends[r + 1]):
                        out[k, slots[e]] += weight * probabilities[e]
    return out

"""Transition kernels as objects: the questions that solvers ask, whatever the storage.

A dense kernel has one probability for every state, joint action and next state. A sparse one lists, for every state
and joint action, the few states that can follow, and nothing of the size S x S is made of it by anybody.
"""

import abc
import math
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from scipy import sparse

from equinfer.contraction import context_law, expected_own, product_law
from equinfer.errors import BadInput, cause
from equinfer.games.chains import AbstractChain, DenseChain, SparseChain
from equinfer.memory import refuse_beyond_half
from equinfer.tables import SuccessorLists
from equinfer.types import AnyArray, PRNGKey, Profile, namespace_of

__all__ = ["AbstractKernel", "DenseKernel", "KernelLike", "SparseKernel", "compact", "listed", "worth_listing"]

_WORTH_LISTING = 500
"""States from which a dense table is looked at for a shorter form."""
_FEW = 16
"""Lists are the shorter form where no list is longer than one S-th of this."""


class AbstractKernel(eqx.Module):
    r"""$P(s'\mid s,a)$ of a finite stochastic game."""

    @property
    @abc.abstractmethod
    def num_states(self) -> int: ...

    @abc.abstractmethod
    def expect(
        self, value: Float[AnyArray, "*batch S"], states: Int[AnyArray, " K"] | None = None
    ) -> Float[AnyArray, "..."]:
        r"""$E[v(s')\mid s,a]$ for every joint action, in every state or in `states`: (*batch, S) becomes
        (*batch, S or K, *A).
        """

    def induced(self, profile: Profile) -> AbstractChain:
        r"""$\sum_a\prod_i\pi_i(a^i\mid s)P(s'\mid s,a)$: the Markov chain that everybody's play induces."""
        return self.induced_by(product_law(profile))

    @abc.abstractmethod
    def induced_by(self, law: Float[AnyArray, "..."]) -> AbstractChain:
        r"""$\sum_a\mathcal L(a\mid s)P(s'\mid s,a)$: the chains of laws (*batch, S, *A), correlated or not."""

    @abc.abstractmethod
    def induced_own(self, player: int, profile: Profile) -> AbstractChain:
        r"""$\sum_{a^{-i}}\rho(a^{-i}\mid s)P(s'\mid s,a^i,a^{-i})$: the decision process that `player` faces, with rows
        (S, A_i).
        """

    @abc.abstractmethod
    def draw(self, states: Int[AnyArray, " K"], actions: Int[AnyArray, "K N"], key: PRNGKey) -> Int[AnyArray, " K"]:
        r"""$s'_k\sim P(\cdot\mid s_k,a_k)$ for K states and joint actions: what a simulator does."""

    @abc.abstractmethod
    def pushforward(self, law: Float[AnyArray, "S *A"]) -> Float[AnyArray, " S"]:
        r"""$\sum_{s,a}\mathcal L(s,a)P(s'\mid s,a)$: where a law over states and joint actions is one epoch later."""

    @abc.abstractmethod
    def dense(self) -> Float[np.ndarray, "S *A S"]:
        """The whole table, for games small enough to look at."""

    @abc.abstractmethod
    def raw(self) -> Float[np.ndarray, "S *A S"] | SuccessorLists:
        """The arrays in NumPy, as `Tables` hold them."""


class DenseKernel(AbstractKernel):
    """The kernel as one array (S, A_1, ..., A_N, S)."""

    probabilities: Float[AnyArray, "S *A S"]

    @property
    def num_states(self) -> int:
        return self.probabilities.shape[0]

    def expect(
        self, value: Float[AnyArray, "*batch S"], states: Int[AnyArray, " K"] | None = None
    ) -> Float[AnyArray, "..."]:
        table = self.probabilities if states is None else self.probabilities[states]
        flat = value.reshape(-1, self.num_states) @ table.reshape(-1, self.num_states).T
        return flat.reshape(*value.shape[:-1], *table.shape[:-1])

    def induced_by(self, law: Float[AnyArray, "..."]) -> DenseChain:
        # One row-times-matrix product a state for all the laws at once: the table is read once, however many.
        num_states, num_joint = self.num_states, math.prod(self.probabilities.shape[1:-1])
        batch = law.shape[: law.ndim - self.probabilities.ndim + 1]
        laws = law.reshape(-1, num_states, num_joint).swapaxes(0, 1)
        chains = laws @ self.probabilities.reshape(num_states, num_joint, num_states)
        return DenseChain(chains.swapaxes(0, 1).reshape(*batch, num_states, num_states))

    def induced_own(self, player: int, profile: Profile) -> DenseChain:
        return DenseChain(expected_own(self.probabilities, profile, player))

    def draw(self, states: Int[AnyArray, " K"], actions: Int[AnyArray, "K N"], key: PRNGKey) -> Int[AnyArray, " K"]:
        return jax.random.categorical(key, jnp.log(jnp.asarray(self.probabilities)[(states, *actions.T)]))

    def pushforward(self, law: Float[AnyArray, "S *A"]) -> Float[AnyArray, " S"]:
        return law.reshape(math.prod(law.shape)) @ self.probabilities.reshape(-1, self.num_states)

    def dense(self) -> Float[np.ndarray, "S *A S"]:
        return np.asarray(self.probabilities)

    def raw(self) -> Float[np.ndarray, "S *A S"]:
        return np.asarray(self.probabilities)


class SparseKernel(AbstractKernel):
    """The kernel as lists of successors, of which repeated ones add up; padding has probability 0.

    **Arguments:** `successors`, whole numbers, and `probabilities`, both (S, A_1, ..., A_N, M). A `TabularGame` checks
    them, and keeps each list in order of successors, without repetitions, padded with the state itself.

    **Raises:** `BadInput` if the two are not of one shape and kind.
    """

    successors: Int[AnyArray, "S *A M"]
    probabilities: Float[AnyArray, "S *A M"]

    def __init__(self, successors: AnyArray | ArrayLike, probabilities: AnyArray | ArrayLike):
        self.successors = _as_array(successors, "successors", "iu", np.int32)
        self.probabilities = _as_array(probabilities, "probabilities", "iuf", np.float64)
        if self.successors.shape != self.probabilities.shape or self.successors.ndim < 3:
            raise BadInput(
                "a sparse kernel needs successors and probabilities of one shape (S, A_1, ..., A_N, M); got "
                f"{self.successors.shape} and {self.probabilities.shape}."
            )

    @property
    def num_states(self) -> int:
        return self.successors.shape[0]

    def expect(
        self, value: Float[AnyArray, "*batch S"], states: Int[AnyArray, " K"] | None = None
    ) -> Float[AnyArray, "..."]:
        successors, probabilities = self.successors, self.probabilities
        if states is not None:
            successors, probabilities = successors[states], probabilities[states]
        if namespace_of(value, probabilities) is not np:
            ahead = jnp.asarray(value)[..., successors]
            return jnp.sum(jnp.broadcast_to(jnp.asarray(probabilities), ahead.shape) * ahead, axis=-1)
        rows = _rows(np.asarray(successors), np.asarray(probabilities), self.num_states)
        flat = np.stack([rows @ one for one in value.reshape(-1, self.num_states)])
        return flat.reshape(*value.shape[:-1], *successors.shape[:-1])

    def induced_by(self, law: Float[AnyArray, "..."]) -> SparseChain:
        # All joint actions' lists one behind the other, each weighted by the chance of its joint action.
        batch = law.shape[: law.ndim - self.successors.ndim + 1]
        probabilities = self.probabilities.reshape(*[1] * len(batch), *self.probabilities.shape)
        weights = (law[..., None] * probabilities).reshape(*batch, self.num_states, -1)
        return SparseChain(self.successors.reshape(self.num_states, -1), weights, self.num_states)

    def induced_own(self, player: int, profile: Profile) -> SparseChain:
        num_states, own = self.num_states, 1 + player
        successors, probabilities = (self._seen_by(array, own) for array in (self.successors, self.probabilities))
        weights = context_law(profile, player)[:, None, :, None] * probabilities
        rows = (num_states, self.successors.shape[own], -1)
        return SparseChain(successors.reshape(rows), weights.reshape(rows), num_states)

    @staticmethod
    def _seen_by(array: AnyArray, own: int) -> AnyArray:
        """The lists by own action, then by context: (S, A_i, C, M)."""
        axes = [0, own, *(axis for axis in range(1, array.ndim - 1) if axis != own), array.ndim - 1]
        return array.transpose(axes).reshape(array.shape[0], array.shape[own], -1, array.shape[-1])

    def draw(self, states: Int[AnyArray, " K"], actions: Int[AnyArray, "K N"], key: PRNGKey) -> Int[AnyArray, " K"]:
        places = (states, *actions.T)
        listed = jax.random.categorical(key, jnp.log(jnp.asarray(self.probabilities)[places]))
        return jnp.take_along_axis(jnp.asarray(self.successors)[places], listed[:, None], axis=1)[:, 0].astype(int)

    def pushforward(self, law: Float[AnyArray, "S *A"]) -> Float[AnyArray, " S"]:
        mass = (law[..., None] * self.probabilities).reshape(-1)
        if namespace_of(mass) is np:
            return np.bincount(self.successors.reshape(-1), mass, self.num_states)
        return jnp.zeros(self.num_states, mass.dtype).at[self.successors.reshape(-1)].add(mass)

    def dense(self) -> Float[np.ndarray, "S *A S"]:
        rows = _rows(np.asarray(self.successors), np.asarray(self.probabilities), self.num_states)
        return rows.toarray().reshape(*self.successors.shape[:-1], self.num_states)

    def raw(self) -> SuccessorLists:
        return SuccessorLists(np.asarray(self.successors), np.asarray(self.probabilities))


KernelLike: TypeAlias = ArrayLike | DenseKernel | SparseKernel | SuccessorLists
"""What a game takes as its kernel: a table, or lists; `Tables.kernel` and a game's own `kernel` are among them."""


def worth_listing(num_states: int, longest: int) -> bool:
    """Whether lists of up to `longest` successors are the better form of a kernel than a table."""
    return num_states >= _WORTH_LISTING and longest * _FEW <= num_states


def listed(
    successors: Int[np.ndarray, "..."], probabilities: Float[np.ndarray, "..."]
) -> SparseKernel | Float[np.ndarray, "S *A S"]:
    """Lists of successors (S, *A, M) in the form that suits the game. The two arrays are broadcast to one shape."""
    kernel = SparseKernel(*np.broadcast_arrays(successors, probabilities))
    return kernel if worth_listing(kernel.num_states, kernel.successors.shape[-1]) else kernel.dense()


def compact(probabilities: Float[np.ndarray, "S *A S"]) -> AbstractKernel:
    """A table in the form that suits the game: as lists where there are many states and few successors."""
    num_states = len(probabilities)
    if not worth_listing(num_states, 1):
        return DenseKernel(probabilities)
    longest = int(np.count_nonzero(probabilities, axis=-1).max())
    if not worth_listing(num_states, longest):
        return DenseKernel(probabilities)
    rows = probabilities.reshape(-1, num_states)
    row, successor = np.nonzero(rows)
    counts = np.bincount(row, minlength=len(rows))
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    own = np.repeat(np.arange(num_states, dtype=np.int32), len(rows) // num_states)
    lists = np.repeat(own[:, None], longest, axis=1), np.zeros((len(rows), longest))
    lists[0][row, place], lists[1][row, place] = successor, rows[row, successor]
    return SparseKernel(*(array.reshape(*probabilities.shape[:-1], longest) for array in lists))


def _rows(
    successors: Int[np.ndarray, "*rows M"], probabilities: Float[np.ndarray, "*rows M"], num_states: int
) -> sparse.csr_array:
    """The lists as one matrix that shares their memory, so zeros and repetitions are still in it."""
    length = successors.shape[-1]
    ends = np.arange(0, successors.size + 1, length, dtype=successors.dtype)
    data = probabilities.reshape(-1), successors.reshape(-1), ends
    return sparse.csr_array(data, shape=(successors.size // length, num_states))


def _as_array(value: Any, what: str, kinds: str, dtype: type) -> AnyArray:
    if isinstance(value, Tracer):
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise BadInput(f"{what} of a sparse kernel is not a rectangular array: {cause(error)}.") from None
    refuse_beyond_half(f"{what} of a sparse kernel, of shape {array.shape},", np.dtype(dtype).itemsize * array.size)
    if array.dtype.kind not in kinds:
        wanted = "whole numbers" if dtype is np.int32 else "numbers"
        raise BadInput(f"{what} of a sparse kernel must be {wanted}; got {array.dtype}.")
    if dtype is np.int32 and array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
        raise BadInput(f"{what} of a sparse kernel run to {array.max()}, beyond any state.")
    return array.astype(dtype, copy=False)

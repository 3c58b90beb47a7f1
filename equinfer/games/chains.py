r"""Markov chains that a law over joint actions induces: one matrix, or lists of successors.

A chain's rows are states or, for the decision process that one player faces, states and own actions. Both forms answer
the question that solvers ask of it: the discounted values $(I-\gamma P)^{-1}r$ of rewards.
"""

import abc
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from scipy import sparse
from scipy.sparse import linalg as sparse_linalg
from scipy.sparse.csgraph import reverse_cuthill_mckee

from equinfer.types import AnyArray, namespace_of

__all__ = ["AbstractChain", "DenseChain", "SparseChain", "as_chain", "csr"]

_STEPS = 150
"""Steps of the Krylov method before a chain is factored instead: about what the factors of a ladder or grid cost."""
_REDUCTION = 1e-8
"""Of the residual, by one run of the Krylov method; the next run starts from what is left."""
_ROUNDING = 1e-15
"""Residual, relative to the values, at which nothing is left to refine."""
_GOOD = 1e-14
"""The same, at which values that can no longer be refined are good enough."""
_BANDED = 4e6
"""Rows times the square of the bandwidth up to which factors of a chain cost less than three runs of the method."""


class AbstractChain(abc.ABC):
    r"""Laws $P(s'\mid\text{row})$ of the next state, or batches of them."""

    @abc.abstractmethod
    def at(self, index: Any) -> "AbstractChain":
        """One chain of a batch."""

    @abc.abstractmethod
    def expect(self, value: Float[AnyArray, "*batch S"]) -> Float[AnyArray, "..."]:
        r"""$E[v(s')\mid\text{row}]$: (*batch, S) becomes (*batch, *rows)."""

    @abc.abstractmethod
    def values(
        self, reward: Float[AnyArray, "*batch N S"], discount: Float[AnyArray, " N"]
    ) -> Float[AnyArray, "*batch N S"]:
        r"""$V^i=(I-\gamma_iP)^{-1}r^i$. Players who discount alike share a factorisation. Rows must be states."""

    @abc.abstractmethod
    def stopped(self, states: Int[np.ndarray, " C"]) -> "AbstractChain":
        """The chain that ends on entering `states`: their rows are zero. On the host."""


def as_chain(transition: Any) -> AbstractChain:
    """`transition`, or an array (*batch, S, S) as a chain."""
    return transition if isinstance(transition, AbstractChain) else DenseChain(transition)


class DenseChain(AbstractChain):
    """One matrix (*batch, *rows, S)."""

    def __init__(self, matrix: Float[AnyArray, "*rows S"]):
        self.matrix = matrix

    def at(self, index: Any) -> "DenseChain":
        return DenseChain(self.matrix[index])

    def expect(self, value: Float[AnyArray, "*batch S"]) -> Float[AnyArray, "..."]:
        *rows, num_states = self.matrix.shape
        flat = value.reshape(-1, num_states) @ self.matrix.reshape(-1, num_states).T
        return flat.reshape(*value.shape[:-1], *rows)

    def values(
        self, reward: Float[AnyArray, "*batch N S"], discount: Float[AnyArray, " N"]
    ) -> Float[AnyArray, "*batch N S"]:
        xp = namespace_of(reward, self.matrix, discount)
        identity = xp.eye(self.matrix.shape[0], dtype=self.matrix.dtype)
        if xp is np:
            return _by_discount(
                lambda rate, sides: np.linalg.solve(identity - rate * self.matrix, sides),
                np.asarray(reward),
                np.asarray(discount),
            )

        def together() -> AnyArray:
            return _solved(lambda sides: jnp.linalg.solve(identity - discount[0] * self.matrix, sides), reward)

        def apart() -> jax.Array:
            systems = identity[None] - discount[:, None, None] * self.matrix[None]
            sides = jnp.moveaxis(reward, -2, 0).reshape(len(discount), -1, len(identity)).swapaxes(1, 2)
            values = jnp.linalg.solve(systems, sides).swapaxes(1, 2)
            return jnp.moveaxis(values.reshape(len(discount), *reward.shape[:-2], len(identity)), 0, -2)

        if len(discount) == 1:
            return together()
        return jax.lax.cond(jnp.all(discount == discount[:1]), together, apart)

    def stopped(self, states: Int[np.ndarray, " C"]) -> "DenseChain":
        matrix = self.matrix.copy()
        matrix[states] = 0.0
        return DenseChain(matrix)


class SparseChain(AbstractChain):
    r"""Lists of K successors a row, with weights that a batch of chains does not share; repeated successors add up.

    Linear systems with it are solved by BiCGSTAB, restarted on the residual until that is rounding. Chains that mix
    take some dozens of products, and a graph without small separators, such as a random one, has factors that are all
    but dense. Chains of narrow band and those that move slowly are factored instead; since $I-\gamma P$ is diagonally
    dominant, no pivoting is needed and the ordering may keep the factors as sparse as it can. Traced code calls the
    host for this.
    """

    def __init__(
        self, successors: Int[AnyArray, "*rows K"], weights: Float[AnyArray, "*batch_rows K"], num_states: int
    ):
        self.successors, self.weights, self.num_states = successors, weights, num_states

    def at(self, index: Any) -> "SparseChain":
        return SparseChain(self.successors, self.weights[index], self.num_states)

    def expect(self, value: Float[AnyArray, "*batch S"]) -> Float[AnyArray, "..."]:
        ahead = value[..., self.successors]
        return (namespace_of(ahead, self.weights).broadcast_to(self.weights, ahead.shape) * ahead).sum(axis=-1)

    def matrix(self) -> sparse.csr_array:
        """The rows as one matrix, in NumPy, without zeros or repetitions."""
        return csr(np.asarray(self.successors), np.asarray(self.weights), self.num_states)

    def values(
        self, reward: Float[AnyArray, "*batch N S"], discount: Float[AnyArray, " N"]
    ) -> Float[AnyArray, "*batch N S"]:
        if namespace_of(reward, self.weights, discount) is np:
            return _values_on_host(*map(np.asarray, (self.successors, self.weights, reward, discount)))
        # A callback runs outside the scope of 64-bit arithmetic, where JAX would round its arguments to 32 bits.
        words = map(_as_words, (self.weights, reward, discount))
        like = jax.ShapeDtypeStruct((*reward.shape, 2), jnp.uint32)
        values = jax.pure_callback(_words_on_host, like, self.successors, *words, vmap_method="sequential")
        return jax.lax.bitcast_convert_type(values, jnp.float64)

    def stopped(self, states: Int[np.ndarray, " C"]) -> "SparseChain":
        weights = self.weights.copy()
        weights[states] = 0.0
        return SparseChain(self.successors, weights, self.num_states)


def _as_words(array: AnyArray) -> jax.Array:
    """Floats of 64 bits as pairs of whole numbers of 32 bits."""
    return jax.lax.bitcast_convert_type(jnp.asarray(array, jnp.float64), jnp.uint32)


def _words_on_host(successors: Any, *words: Any) -> np.ndarray:
    floats = (np.ascontiguousarray(word).view(np.float64)[..., 0] for word in words)
    values = _values_on_host(np.asarray(successors), *floats)
    return np.ascontiguousarray(values)[..., None].view(np.uint32)


def _values_on_host(
    successors: Int[np.ndarray, "S K"],
    weights: Float[np.ndarray, "S K"],
    reward: Float[np.ndarray, "*batch N S"],
    discount: Float[np.ndarray, " N"],
) -> Float[np.ndarray, "*batch N S"]:
    matrix = csr(successors, weights, reward.shape[-1])
    return _by_discount(lambda rate, sides: _solved_sparse(matrix, rate, sides), reward, discount)


def csr(
    successors: Int[np.ndarray, "*rows K"], weights: Float[np.ndarray, "*rows K"], num_states: int
) -> sparse.csr_array:
    """Lists of successors as one matrix with a row for each list, without zeros or repetitions."""
    length = successors.shape[-1]
    places = np.flatnonzero(weights)
    counts = np.count_nonzero(weights.reshape(-1, length), axis=1)
    ends = np.append(0, np.cumsum(counts)).astype(successors.dtype)
    matrix = sparse.csr_array(
        (weights.reshape(-1)[places], successors.reshape(-1)[places], ends), shape=(len(counts), num_states)
    )
    matrix.sum_duplicates()
    return matrix


def _solved(solve: Callable[..., Any], reward: Float[AnyArray, "*batch S"]) -> Any:
    """`solve` for all rewards as columns."""
    return solve(reward.reshape(-1, reward.shape[-1]).T).T.reshape(reward.shape)


def _by_discount(
    solve: Callable[..., np.ndarray], reward: Float[np.ndarray, "*batch N S"], discount: Float[np.ndarray, " N"]
) -> Float[np.ndarray, "*batch N S"]:
    """`solve(rate, sides)` for each distinct discount, all rewards of its players as columns of `sides`."""
    first = float(discount[0])
    if all(rate == first for rate in discount.tolist()):
        return _solved(partial(solve, first), reward)
    values = np.empty(reward.shape)
    for rate in np.unique(discount).tolist():
        players = discount == rate
        values[..., players, :] = _solved(partial(solve, rate), reward[..., players, :])
    return values


def _solved_sparse(chain: Any, discount: float, sides: Float[np.ndarray, "S R"]) -> Float[np.ndarray, "S R"]:
    system = sparse.eye_array(chain.shape[0], format="csr") - discount * chain
    values = np.empty(sides.shape)
    done = 0
    if not _is_banded(chain):
        while done < sides.shape[1] and (found := _by_krylov(system, sides[:, done])) is not None:
            values[:, done] = found
            done += 1
    if done < sides.shape[1]:
        factors = sparse_linalg.splu(
            system.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True}
        )
        left = sides[:, done:]
        solution = factors.solve(left)
        values[:, done:] = solution + factors.solve(left - system @ solution)
    return values


def _is_banded(chain: sparse.csr_array) -> bool:
    """Whether an order of the states keeps successors near, so that factors are cheap."""
    size = len(chain.indptr) - 1
    if size**3 <= _BANDED:
        return True
    if size > _BANDED:
        return False
    order = reverse_cuthill_mckee(chain, symmetric_mode=False)
    rank = np.empty(size, order.dtype)
    rank[order] = np.arange(size, dtype=order.dtype)
    width = np.abs(np.repeat(rank, np.diff(chain.indptr)) - rank[chain.indices]).max(initial=0)
    return size * float(width) ** 2 <= _BANDED


def _by_krylov(system: sparse.csr_array, side: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"] | None:
    """The solution to rounding, or None where a factorisation is no dearer."""
    solution, residual, left = np.zeros(side.shape), side, _STEPS
    before = np.inf
    while True:
        error, size = np.abs(residual).max(), np.abs(solution).max()
        if error <= _ROUNDING * size or not error < before / 2:
            return solution if error <= _GOOD * size else None
        used = []
        change, failed = sparse_linalg.bicgstab(
            system, residual / error, rtol=_REDUCTION, atol=0.0, maxiter=left, callback=used.append
        )  # of size one: SciPy takes small products for a breakdown
        left -= len(used)
        if failed or left <= 0:
            return solution if error <= _GOOD * size else None
        solution = solution + error * change
        before, residual = error, side - system @ solution

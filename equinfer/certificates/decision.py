r"""Decision processes and Markov chains on relative values, each solution with a bound on its error.

Whatever way a value was computed, one more Bellman backup tells how wrong it can be:
$\|V-V^*\|_\infty\le\|V-TV\|_\infty/(1-\gamma)$, and the rounding errors of that one backup are bounded.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.linalg import get_lapack_funcs
from scipy.sparse import linalg as sparse_linalg

from equinfer.certificates.rounding import UNDERFLOW, gamma, outward

__all__ = ["Backup", "DecisionProcess", "MarkovChain", "Process", "best_response", "greatest", "midrange", "one_hot"]

_factor, _substitute = get_lapack_funcs(("getrf", "getrs"), dtype=np.float64)

_MOST_IMPROVEMENTS = 1000
"""Policy iteration takes a handful. Whatever residual is left after so many goes into the bound."""

_KRYLOV_STEPS, _KRYLOV_REDUCTION, _KRYLOV_ACCEPTED = 150, 1e-10, 1e-8


class Backup(NamedTuple):
    r"""The rounding errors of one computed $r+\gamma Pv-w$: at most $\gamma_n\sum|\mathrm{terms}|$."""

    roundings: int
    size: float
    """A bound on |r|, with everything that is added to it."""
    discount: float

    def rounding(self, ahead: Float[np.ndarray, "..."], result: Float[np.ndarray, "..."]) -> float:
        """For the values `ahead` that go in and the `result` that is compared with; rows of P sum to one."""
        terms = self.size + self.discount * float(np.abs(ahead).max()) + float(np.abs(result).max())
        return outward(gamma(self.roundings) * terms + UNDERFLOW)

    def error(self, values: Float[np.ndarray, "..."], image: Float[np.ndarray, "..."]) -> float:
        """How far `values` can be from the fixed point of the backup, given its computed `image` of them."""
        residual = float(np.abs(image - values).max())
        return outward((residual + self.rounding(values, values)) / (1 - self.discount))


class MarkovChain:
    """A discounted chain (S, S), an array or a sparse matrix, made ready once for any number of rewards."""

    def __init__(self, chain: Any, discount: float):
        self.chain, self.discount = chain, discount
        self._solved = (_sparse_solver if sparse.issparse(chain) else _dense_solver)(chain, discount)

    def backup(self, reward: Float[np.ndarray, " S"], values: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        return reward + self.discount * (self.chain @ values)

    def values(self, reward: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        r"""$(I-\gamma P)^{-1}r$, refined once."""
        values = self._solved(reward)
        return values + self._solved(self.backup(reward, values) - values)


def _dense_solver(chain: Float[np.ndarray, "S S"], discount: float) -> Callable[[np.ndarray], np.ndarray]:
    # Plain LAPACK: a matrix that is singular in float64 gives values that are not finite, which are refused.
    factors, pivots, _ = _factor(np.eye(len(chain)) - discount * chain)
    return lambda right: _substitute(factors, pivots, right)[0]


def _sparse_solver(chain: Any, discount: float) -> Callable[[np.ndarray], np.ndarray]:
    """A Krylov method as long as it ends soon, which it does where the chain mixes; else sparse factors.

    The matrix is diagonally dominant, so that it is factored without pivoting, in the order that fills in least.
    """
    system = (sparse.eye_array(chain.shape[0], format="csr") - discount * chain).tocsr()
    factors = []

    def solved(right: Float[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        if not factors:
            size = float(np.abs(right).max()) or 1.0
            unit = right / size  # SciPy takes small products for a breakdown
            solution, _ = sparse_linalg.bicgstab(system, unit, rtol=_KRYLOV_REDUCTION, atol=0.0, maxiter=_KRYLOV_STEPS)
            if np.abs(unit - system @ solution).max() <= _KRYLOV_ACCEPTED:
                return size * solution
            try:
                factors.append(
                    sparse_linalg.splu(
                        system.tocsc(),
                        permc_spec="MMD_AT_PLUS_A",
                        diag_pivot_thresh=0.0,
                        options={"SymmetricMode": True},
                    )
                )
            except RuntimeError:  # exactly singular in float64
                return np.full(right.shape, np.nan)
        return factors[0].solve(right)

    return solved


class DecisionProcess(NamedTuple):
    """What one player faces when the play of the others is fixed."""

    reward: Float[np.ndarray, "S A"]
    kernel: Any
    """An array (S, A, S), or a sparse matrix (S A, S)."""
    legal: Bool[np.ndarray, "S A"]
    backup: Backup

    def action_values(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, "S A"]:
        return self.reward + self.backup.discount * (self.kernel @ values).reshape(self.reward.shape)

    def greatest(
        self, action_values: Float[np.ndarray, "S A"]
    ) -> tuple[Int[np.ndarray, " S"], Float[np.ndarray, " S"]]:
        return greatest(action_values, self.legal)

    def chosen(
        self, action_values: Float[np.ndarray, "S A"], actions: Int[np.ndarray, " S"]
    ) -> Float[np.ndarray, " S"]:
        return action_values[np.arange(len(actions)), actions]

    def values(self, actions: Int[np.ndarray, " S"]) -> Float[np.ndarray, " S"]:
        """Of a pure policy."""
        states, num_actions = np.arange(len(actions)), self.reward.shape[1]
        rows = self.kernel if sparse.issparse(self.kernel) else self.kernel.reshape(-1, len(actions))
        chain = rows[states * num_actions + actions]
        return MarkovChain(chain, self.backup.discount).values(self.reward[states, actions])


@runtime_checkable
class Process(Protocol):
    """What policy iteration asks of a decision process; a decision is whatever it chooses in a state."""

    @property
    def backup(self) -> Backup: ...

    def action_values(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, "S *choice"]: ...

    def greatest(
        self, action_values: Float[np.ndarray, "S *choice"]
    ) -> tuple[Int[np.ndarray, "S *decision"], Float[np.ndarray, " S"]]:
        """The best legal decision of each state, and what it is worth."""
        ...

    def chosen(
        self, action_values: Float[np.ndarray, "S *choice"], actions: Int[np.ndarray, "S *decision"]
    ) -> Float[np.ndarray, " S"]:
        """What given decisions are worth."""
        ...

    def values(self, actions: Int[np.ndarray, "S *decision"]) -> Float[np.ndarray, " S"]:
        """Of a pure policy."""
        ...


def best_response(
    process: Process, start: Float[np.ndarray, " S"]
) -> tuple[Int[np.ndarray, "S *decision"], Float[np.ndarray, " S"], float]:
    """A best pure policy, its values, and a bound on their error, by policy iteration from the values `start`.

    `start` must be values of a policy. They are handed back when no action improves on them beyond rounding.
    Elsewhere an action is exchanged only for one that is better by more than a part of the rounding bound, so ties
    do not cycle; should rounding make the values fall as much as they rise, the iteration ends. The bound rests on
    the residual that is measured at the end, not on the way there.
    """
    best, image = process.greatest(process.action_values(start))
    tie = process.backup.rounding(start, start) / 8
    if (image - start).max() <= tie:
        return best, start, process.backup.error(start, image)
    actions, values = best, start
    answers = []
    for _ in range(_MOST_IMPROVEMENTS):
        before, values = values, process.values(actions)
        action_values = process.action_values(values)
        best, image = process.greatest(action_values)
        answers.append((process.backup.error(values, image), actions, values))
        better = image - process.chosen(action_values, actions) > tie
        if not better.any() or (values - before).max() <= (before - values).max():
            break
        actions = np.where(better.reshape(-1, *[1] * (actions.ndim - 1)), best, actions)
    error, actions, values = min(answers[-2:], key=lambda answer: answer[0])
    return actions, values, error


def greatest(
    action_values: Float[np.ndarray, "S A"], legal: Bool[np.ndarray, "S A"]
) -> tuple[Int[np.ndarray, " S"], Float[np.ndarray, " S"]]:
    """The best legal action of each state (the first of several), and its value."""
    allowed = np.where(legal, action_values, -np.inf)
    return allowed.argmax(axis=1), allowed.max(axis=1)


def one_hot(actions: Int[np.ndarray, "*HS"], size: int) -> Float[np.ndarray, "*HS A"]:
    """The pure policy that plays `actions`."""
    return (actions[..., None] == np.arange(size)).astype(np.float64)


def midrange(values: Float[np.ndarray, " S"]) -> float:
    """What values are taken about, to round best: halfway between the smallest and the largest."""
    return float(values.min() + values.max()) / 2

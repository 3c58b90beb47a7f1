r"""What a Newton step of the interior point method comes to in a stationary game: one dense system in the values.

In the notation of `schur`, with $\bar p$ the rows of the chain under the weights $\Theta/\theta$, $R$ for
$(\theta^{-1}+\mathcal K)^{-1}$, and $u$ a law, a step solves $d\mu=R(\bar g-dV)$, $g=h+\gamma P\,dV$, and

$$(I-\bar P^\top+u1^\top)\,d\mu-\sum_{s,a}\Theta_a(p_a-\bar p)(g_a-\bar g)=\text{missing}.$$

One equation of a law at rest follows from the others, and makes place for the sum of all masses.
"""

import copy
from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
import scipy.sparse
from jaxtyping import Float, Int

from equinfer.solvers.mean_field.nodes import Crowding, Nodes
from equinfer.solvers.mean_field.schur import Move, closed, mates_of, opened, refined, responses_of

__all__ = ["RestSystem"]


_DENSE = 0.2
"""Part of a matrix that is not zero, above which it is taken as dense."""


class _AtRest(NamedTuple):
    """The system at one point, factorised."""

    masses: Float[np.ndarray, "N A"]
    slacks: Float[np.ndarray, "N A"]
    ratios: Float[np.ndarray, "N A"]
    weights: Float[np.ndarray, "N A"]
    chain: Float[np.ndarray, "N N"]
    centred: Any
    r"""Rows $p_a-\bar p$, (N A, N)."""
    responses: Float[np.ndarray, "N P"]
    matrix: Float[np.ndarray, "N N"]
    factors: tuple[Float[np.ndarray, "N N"], Int[np.ndarray, " N"]]


class RestSystem:
    """These systems, for one game."""

    def __init__(self, game: Any, nodes: Nodes):
        self.nodes, self.mates, self.discount = nodes, mates_of(game, nodes), float(game.discount)
        self._same = nodes.population[:, None] == nodes.population
        self._rows = self._matrix()

    @property
    def nbytes(self) -> float:
        return 8.0 * (5 * self.nodes.size**2 + self.nodes.chances.size)

    def with_chances(self, chances: Float[np.ndarray, "N A K"]) -> "RestSystem":
        """The same pattern, with other chances."""
        other = copy.copy(self)
        other.nodes = self.nodes._replace(chances=chances)
        other._rows = other._matrix()
        return other

    def expected(self, values: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N A"]:
        """What each action leads to, in the mean, discounted."""
        return self.discount * (self._rows @ values).reshape(self.nodes.legal.shape)

    def arriving(self, masses: Float[np.ndarray, "N A"]) -> Float[np.ndarray, " N"]:
        return self._rows.T @ masses.ravel()

    def missing(self, masses: Float[np.ndarray, "N A"]) -> Float[np.ndarray, " N"]:
        """What arrives at each node, less what is there, and less what there is too much of in all."""
        there = masses.sum(axis=1)
        return self.arriving(masses) - there - (self._same @ there - 1) * self.nodes.initial

    def settled(self, policy: Float[np.ndarray, "N A"]) -> Float[np.ndarray, " N"]:
        """The law at rest under a policy."""
        chain = self._chain(policy)
        return np.linalg.solve(self._flow(chain), self.nodes.initial)

    def linearised(
        self, masses: Float[np.ndarray, "N A"], slacks: Float[np.ndarray, "N A"], crowding: Crowding
    ) -> Generator[None, None, _AtRest]:
        """Yields now and then, and returns the factorised system."""
        nodes, size = self.nodes, self.nodes.size
        ratios = np.where(nodes.legal, masses / (slacks + masses * crowding.own), 0.0)
        weights = ratios / ratios.sum(axis=1, keepdims=True)
        chain = self._chain(weights)
        responses = responses_of(self.mates, nodes.population, 1 / ratios.sum(axis=1), crowding.shared)
        ahead = self.discount * chain - np.eye(size)
        answered = np.zeros((size, size))
        for q in range(self.mates.shape[1]):
            there = self.mates[:, q] < size
            answered[there] += responses[there, q, None] * ahead[self.mates[there, q]]
        yield
        means: Any = scipy.sparse.csr_array(chain)
        centred: Any = self._rows - means[np.repeat(np.arange(size), nodes.legal.shape[1])]
        if centred.nnz > _DENSE * centred.shape[0] * size:
            centred = centred.toarray()
        spread = centred.T @ (scipy.sparse.diags_array(ratios.ravel()) @ centred)
        yield
        spread = spread.toarray() if scipy.sparse.issparse(spread) else spread
        matrix = self._flow(chain) @ answered - self.discount * spread
        yield
        factors = scipy.linalg.lu_factor(matrix, check_finite=False)
        return _AtRest(masses, slacks, ratios, weights, chain, centred, responses, matrix, factors)

    def move(
        self,
        at: _AtRest,
        right: Float[np.ndarray, "N A"],
        off: Float[np.ndarray, "N A"],
        missing: Float[np.ndarray, " N"],
    ) -> Move:
        r"""The step with $z\,dd+d\,dz=$ `right`, that makes up for what the slacks are `off`, and masses `missing`.

        **Raises:** `FloatingPointError` where the system is singular to rounding: there is nothing more to gain.
        """
        level, above = opened(self.nodes, at, right, off)
        wanted = missing + at.centred.T @ (at.ratios * above).ravel() - self._sent(at, self._answered(at, level))
        values = refined(lambda right: scipy.linalg.lu_solve(at.factors, right, check_finite=False), at.matrix, wanted)
        mean = self.discount * (at.chain @ values)
        total = self._answered(at, level + mean - values)
        above += np.where(self.nodes.legal, self.discount * (at.centred @ values).reshape(above.shape), 0.0)
        return closed(self.nodes, at, right, above, total, values)

    def _matrix(self) -> Any:
        """Rows (N A, N) of the chances."""
        nodes = self.nodes
        count, width = nodes.chances[..., 0].size, nodes.chances.shape[2]
        columns = np.broadcast_to(nodes.successors[:, None], nodes.chances.shape).ravel()
        padded = scipy.sparse.csr_array(
            (nodes.chances.ravel(), columns, np.arange(count + 1) * width), shape=(count, nodes.size + 1)
        )
        return padded[:, : nodes.size].tocsr()

    def _chain(self, policy: Float[np.ndarray, "N A"]) -> Float[np.ndarray, "N N"]:
        size, actions = policy.shape
        mixing: Any = scipy.sparse.csr_array(
            (policy.ravel(), np.arange(policy.size), np.arange(size + 1) * actions), shape=(size, policy.size)
        )
        return (mixing @ self._rows).toarray()

    def _flow(self, chain: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N N"]:
        return np.eye(len(chain)) - chain.T + self._same * self.nodes.initial[:, None]

    def _sent(self, at: _AtRest, masses: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return masses - at.chain.T @ masses + (self._same @ masses) * self.nodes.initial

    def _answered(self, at: _AtRest, values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return (at.responses * np.append(values, 0.0)[self.mates]).sum(axis=1)

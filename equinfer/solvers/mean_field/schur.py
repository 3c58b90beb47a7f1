r"""What a Newton step of the interior point method comes to: one sparse system in the values.

Notation of `interior_point`. A step solves, with $\Theta=(z/d+C)^{-1}$, $h=\text{right}/d+\text{off}$ and $g=h+P\,dV'$,

$$dd=\Theta(g-dV-\mathcal K\,d\mu),\qquad d\mu=\sum_add,\qquad d\mu-P^\top dd=\text{missing}.$$

With $\theta=\sum_a\Theta$ and bars for means by the weights $\Theta/\theta$, the first two are
$d\mu=(\theta^{-1}+\mathcal K)^{-1}(\bar g-dV)$ and $dd_a=\Theta_a(g_a-\bar g)+\Theta_a d\mu/\theta$; the third is

$$\Bigl[\sum_{t,s}\sum_a\Theta_a(p_a-\bar p)(p_a-\bar p)^\top
+(e-\bar p)(\theta^{-1}+\mathcal K)^{-1}(e-\bar p)^\top\Bigr]dV=\dots$$

in which nothing cancels as actions become pure and $\theta$ grows without bound. Populations that are in one place meet
in $\mathcal K$, P x P there. C is by what rewards fall with the mass of those who do the same.
"""

import copy
from collections.abc import Callable, Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from equinfer.solvers.mean_field.fronts import Dissection, Factor
from equinfer.solvers.mean_field.nodes import Crowding, Nodes

__all__ = ["Linearised", "Move", "ValueSystem", "closed", "mates_of", "opened", "refined", "responses_of"]


class Move(NamedTuple):
    """By how much a Newton step changes masses, values and slacks."""

    masses: Float[np.ndarray, "N A"]
    values: Float[np.ndarray, " N"]
    slacks: Float[np.ndarray, "N A"]


class Linearised(NamedTuple):
    """The system at one point, factorised: see the head of the module."""

    masses: Float[np.ndarray, "N A"]
    slacks: Float[np.ndarray, "N A"]
    ratios: Float[np.ndarray, "N A"]
    r"""$\Theta$."""
    weights: Float[np.ndarray, "N A"]
    mean: Float[np.ndarray, "N K"]
    centred: Float[np.ndarray, "N A K"]
    responses: Float[np.ndarray, "N P"]
    r"""Of each node, its row of $(\theta^{-1}+\mathcal K)^{-1}$."""
    matrix: Any
    factors: Sequence[Factor]


class ValueSystem:
    """The pattern of these systems for one game."""

    def __init__(self, game: Any, nodes: Nodes):
        self.nodes = nodes
        self.mates = mates_of(game, nodes)
        size, width = nodes.size, nodes.successors.shape[1] + 1
        own = np.concatenate([np.arange(size)[:, None], nodes.successors], axis=1)
        theirs = np.concatenate([own, np.full((1, width), size)])[self.mates]
        keys = own[:, None, :, None].astype(np.int64) * (size + 1) + theirs[:, :, None, :]
        unique, self._place = np.unique(keys.ravel(), return_inverse=True)
        rows, columns = np.divmod(unique, size + 1)
        self._kept = np.flatnonzero((rows < size) & (columns < size))
        self._rows, self._columns = rows[self._kept], columns[self._kept]
        axes = np.unravel_index(nodes.state, game.grid or (game.num_states,))
        features = [np.asarray(axis, float) for axis in (nodes.time, *axes)]
        self.dissection = Dissection(self._rows, self._columns, size, features)

    def expected(self, values: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N A"]:
        """What each action leads to, in the mean."""
        return np.matmul(self.nodes.chances, self._ahead(values)[..., None])[..., 0]

    @property
    def nbytes(self) -> float:
        """Of the factors."""
        return self.dissection.nbytes

    def with_chances(self, chances: Float[np.ndarray, "N A K"]) -> "ValueSystem":
        """The same pattern, with other chances."""
        other = copy.copy(self)
        other.nodes = self.nodes._replace(chances=chances)
        return other

    def missing(self, masses: Float[np.ndarray, "N A"]) -> Float[np.ndarray, " N"]:
        """What arrives at each node, less what is there."""
        return self.nodes.initial + self.arriving(masses) - masses.sum(axis=1)

    def arriving(self, masses: Float[np.ndarray, "N A"]) -> Float[np.ndarray, " N"]:
        return self._gathered(np.matmul(masses[:, None], self.nodes.chances)[:, 0])

    def linearised(
        self, masses: Float[np.ndarray, "N A"], slacks: Float[np.ndarray, "N A"], crowding: Crowding
    ) -> Generator[None, None, Linearised]:
        """Yields now and then, and returns the factorised system."""
        nodes, here = self.nodes, np.arange(self.nodes.size)
        ratios = np.where(nodes.legal, masses / (slacks + masses * crowding.own), 0.0)
        weights = ratios / ratios.sum(axis=1, keepdims=True)
        mean = np.matmul(weights[:, None], nodes.chances)[:, 0]
        centred = np.where(nodes.legal[..., None], nodes.chances - mean[:, None], 0.0)
        responses = responses_of(self.mates, nodes.population, 1 / ratios.sum(axis=1), crowding.shared)
        differences = np.concatenate([np.ones((nodes.size, 1)), -mean], axis=1)
        theirs = np.concatenate([differences, np.zeros((1, differences.shape[1]))])[self.mates]
        entries = differences[:, None, :, None] * (responses[..., None] * theirs)[:, :, None, :]
        entries[here, nodes.population, 1:, 1:] += np.matmul((ratios[..., None] * centred).swapaxes(1, 2), centred)
        values = np.bincount(self._place, entries.ravel())[self._kept]
        matrix = scipy.sparse.csr_array((values, (self._rows, self._columns)), shape=(nodes.size, nodes.size))
        factors = []
        for factor in self.dissection.factors(values):
            factors.append(factor)
            yield
        return Linearised(masses, slacks, ratios, weights, mean, centred, responses, matrix, factors)

    def move(
        self,
        at: Linearised,
        right: Float[np.ndarray, "N A"],
        off: Float[np.ndarray, "N A"],
        missing: Float[np.ndarray, " N"],
    ) -> Move:
        r"""The step with $z\,dd+d\,dz=$ `right`, that makes up for what the slacks are `off`, and masses `missing`.

        **Raises:** `FloatingPointError` where the system is singular to rounding: there is nothing more to gain.
        """
        level, above = opened(self.nodes, at, right, off)
        going = self._answered(at, level)
        spread = np.matmul((at.ratios * above)[:, None], at.centred)[:, 0]
        wanted = going - self._gathered(at.mean * going[:, None] + spread) - missing
        values = refined(lambda right: self.dissection.solved(at.factors, right), at.matrix, wanted)
        ahead = self._ahead(values)
        total = self._answered(at, level + (at.mean * ahead).sum(axis=1) - values)
        above += np.matmul(at.centred, ahead[..., None])[..., 0]
        return closed(self.nodes, at, right, above, total, values)

    def _ahead(self, values: Float[np.ndarray, " N"]) -> Float[np.ndarray, "N K"]:
        return np.append(values, 0.0)[self.nodes.successors]

    def _gathered(self, sent: Float[np.ndarray, "N K"]) -> Float[np.ndarray, " N"]:
        """What arrives at each node, of what is sent to each successor."""
        return np.bincount(self.nodes.successors.ravel(), sent.ravel(), minlength=self.nodes.size + 1)[:-1]

    def _answered(self, at: Linearised, values: Float[np.ndarray, " N"]) -> Float[np.ndarray, " N"]:
        return (at.responses * np.append(values, 0.0)[self.mates]).sum(axis=1)


def opened(
    nodes: Nodes, at: Any, right: Float[np.ndarray, "N A"], off: Float[np.ndarray, "N A"]
) -> tuple[Float[np.ndarray, " N"], Float[np.ndarray, "N A"]]:
    """What a step asks of each node's value, and of each action above that."""
    h = np.where(nodes.legal, right / np.where(nodes.legal, at.masses, 1.0) + off, 0.0)
    level = (at.weights * h).sum(axis=1)
    return level, np.where(nodes.legal, h - level[:, None], 0.0)


def closed(
    nodes: Nodes,
    at: Any,
    right: Float[np.ndarray, "N A"],
    above: Float[np.ndarray, "N A"],
    total: Float[np.ndarray, " N"],
    values: Float[np.ndarray, " N"],
) -> Move:
    """The step of masses and slacks, once that of values is known: `total` is by what each node's mass changes."""
    masses = at.ratios * above + at.weights * total[:, None]
    inside = np.where(nodes.legal, at.masses, 1.0)
    return Move(masses, values, np.where(nodes.legal, (right - at.slacks * masses) / inside, 0.0))


def refined(
    solved: Callable[[Float[np.ndarray, " N"]], Float[np.ndarray, " N"]], matrix: Any, right: Float[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """What a factorised system has for an answer, refined once. **Raises:** `FloatingPointError` if it is singular to
    rounding.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        values = solved(right)
        values += solved(right - matrix @ values)
    if not np.isfinite(values).all():
        raise FloatingPointError("the Newton system is singular to rounding")
    return values


def responses_of(
    mates: Int[np.ndarray, "N P"],
    population: Int[np.ndarray, " N"],
    resistance: Float[np.ndarray, " N"],
    crowding: Float[np.ndarray, "N P"],
) -> Float[np.ndarray, "N P"]:
    r"""Of each node, its row of $(\theta^{-1}+\mathcal K)^{-1}$; `resistance` is $\theta^{-1}$."""
    size, populations = mates.shape
    both = (mates < size)[:, :, None] & (mates < size)[:, None]
    matrix = np.concatenate([crowding, np.zeros((1, populations))])[mates] * both
    matrix[:, np.arange(populations), np.arange(populations)] += np.append(resistance, 1.0)[mates]
    rows = np.linalg.inv(matrix)[np.arange(size), population]
    return np.where(mates < size, rows, 0.0)


def mates_of(game: Any, nodes: Nodes) -> Int[np.ndarray, "N P"]:
    """Who of the populations can be in the same place at the same time; N for nobody."""
    where = np.full((game.num_players, game.horizon or 1, game.num_states), nodes.size)
    where[nodes.population, nodes.time, nodes.state] = np.arange(nodes.size)
    return where[:, nodes.time, nodes.state].T

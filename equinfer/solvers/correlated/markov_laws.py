r"""Stationary correlated equilibria as the zeros of a function of the values.

At values V the stage games $Q^V_i(s,a)=r_i(s,a)+\gamma_iE[V_i(s')\mid s,a]$ have a law each that is best, among those
that are obeyed, by the objective c and by nearness to a given one:

$$\mu_t(V)=\arg\max_{\mu\text{ obeyed at }Q^V}\;t\,E_\mu[c]-\tfrac12|\mu-\mu_0|^2 .$$

If $F(V)=V-E_{\mu_t(V)}[Q^V]$ is zero, nobody gains by disobeying once, hence nobody gains by disobeying for ever: the
law is a stationary correlated equilibrium, whatever t. For entropy, $c$ is its second-order form around the uniform
law u, $-\frac12|\mu-u|^2$.
"""

from collections.abc import Generator
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
from jaxtyping import Bool, Float

from equinfer.games.chains import SparseChain
from equinfer.games.units import in_own_units
from equinfer.solvers.correlated.laws import rewards_for_ever
from equinfer.solvers.correlated.obedience import comparable, obedience_tables, pairs
from equinfer.solvers.correlated.objective import Objective
from equinfer.solvers.correlated.stage import nearest
from equinfer.solvers.correlated.stage_derivative import payoff_gradients, sensitivities
from equinfer.tables import joint_mask

__all__ = ["Linearisation", "MarkovLaws", "Point", "Work"]

T = TypeVar("T")
Work: TypeAlias = Generator[None, None, T]
"""Work that stops now and then, so that somebody can look at the clock, and returns what it found."""

_ENTRIES = 500_000
"""Of obedience matrices that are worked on at once: some tenths of a second."""
_FLAT = 1e-10
"""Of the sum of the weights: an objective that varies less is the rounding of a constant."""


class Point(NamedTuple):
    """Values, and the laws that are best at them."""

    value: Float[np.ndarray, "N S"]
    """In the players' own units, rewards centred."""
    log_weight: float
    r"""$\log t$."""
    joint: Float[np.ndarray, "S *A"]
    residual: Float[np.ndarray, "N S"]
    """F."""
    obedience: Float[np.ndarray, "S K"]
    nonnegativity: Float[np.ndarray, "S J"]
    """Multipliers."""

    @property
    def error(self) -> float:
        return float(np.abs(self.residual).max())


class Linearisation(NamedTuple):
    r"""$dF=M\,dV+b\,d\log t$, players' states one after the other."""

    matrix: Float[np.ndarray, "NS NS"]
    slope: Float[np.ndarray, " NS"]

    def solved(self, right: Float[np.ndarray, " NS"]) -> Float[np.ndarray, " NS"]:
        r"""The change of V at which $M\,dV$ is `right`. **Raises:** `LinAlgError` if there is none."""
        return np.linalg.solve(self.matrix, right)

    def bordered(
        self, row: Float[np.ndarray, " NS_1"], right: Float[np.ndarray, " NS_1"]
    ) -> Float[np.ndarray, " NS_1"]:
        r"""The change of $(V,\log t)$ with `row` as one more equation."""
        return np.linalg.solve(np.block([[self.matrix, self.slope[:, None]], [row[None]]]), right)


class MarkovLaws:
    r"""The function F of a discounted game, and its derivative.

    **Arguments:** `told` as in `obedience_tables`; `centre`, the law $\mu_0$ (S, *A), and `start`, the values at which
    the spread of the objective is taken for its unit, both in the units of the game.
    """

    def __init__(
        self,
        game: Any,
        objective: Objective,
        *,
        told: bool,
        centre: Float[np.ndarray, "S *A"],
        start: Float[np.ndarray, "N S"],
    ):
        self._kernel, self._discount = game.kernel, np.asarray(game.discount, np.float64)
        self._legal = [np.asarray(mask) for mask in game.legal]
        self._mask, self._told = joint_mask(self._legal), told
        given = np.asarray(game.reward, np.float64)
        self._reward, units = in_own_units(given, self._mask)
        first = tuple(np.argwhere(self._mask)[0])
        levels = given[(slice(None), *first)] - units * self._reward[(slice(None), *first)]
        self.start = (start - (levels / (1 - self._discount))[:, None]) / units[:, None]
        self._centre = centre.reshape(len(centre), -1)
        cells = self._mask.reshape(len(centre), -1)
        self._uniform = cells / cells.sum(axis=1, keepdims=True)
        self._weights = np.zeros(len(units))
        if objective.weights is not None:
            weights = np.array(objective.weights) * units
            worth = np.tensordot(weights, self._payoffs(self.start), axes=1).reshape(cells.shape)
            spread = np.where(cells, worth, -np.inf).max(axis=1) - np.where(cells, worth, np.inf).min(axis=1)
            if spread.max() > _FLAT * np.abs(weights).sum():
                self._weights = weights / spread.max()
        self._flattens = objective.is_entropy
        entries = len(pairs(self._mask.shape[1:], told)) * cells.shape[1]
        size = max(1, _ENTRIES // max(entries, cells.shape[1] ** 2))
        self._blocks = [slice(s, s + size) for s in range(0, len(centre), size)]

    def at(self, value: Float[np.ndarray, "N S"], log_weight: float) -> Work[Point]:
        """The best laws at these values."""
        q = np.moveaxis(self._payoffs(value), 0, 1)
        centre, regularisation, _ = self._pull(log_weight)
        parts = []
        for block in self._blocks:
            rows, senses, cells = self._inequalities(q[block], block)
            programme = rows, senses, cells, self._gain(q[block], block, log_weight), centre[block]
            *found, _ = nearest(*programme, regularisation)
            if not np.isfinite(found[0]).all():
                raise FloatingPointError("a law that is obeyed was not found")
            parts.append(found)
            yield
        laws, obedience, nonnegativity = (np.concatenate(each) for each in zip(*parts, strict=True))
        joint = laws.reshape(self._mask.shape)
        earned = (joint * np.moveaxis(q, 1, 0)).reshape(*value.shape, -1).sum(axis=-1)
        return Point(value, log_weight, joint, value - earned, obedience, nonnegativity)

    def linearised(self, point: Point) -> Work[Linearisation]:
        """F around a point."""
        q = np.moveaxis(self._payoffs(point.value), 0, 1)
        _, regularisation, drift = self._pull(point.log_weight)
        laws = point.joint.reshape(len(point.joint), -1)
        gradients, slopes = [], []
        for block in self._blocks:
            rows, senses, cells = self._inequalities(q[block], block)
            law, obedience = laws[block], point.obedience[block]
            # What everybody earns from the law; a constant earns nothing here, and would cost digits.
            earned = q[block].reshape(len(law), q.shape[1], -1)
            earned = earned - (law[:, None] * earned).sum(axis=2, keepdims=True)
            moved, pushed = sensitivities(
                rows,
                senses,
                cells,
                law,
                obedience,
                point.nonnegativity[block],
                earned,
                regularisation=regularisation,
            )
            legal = [mask[block] for mask in self._legal]
            gradient = payoff_gradients(q[block], legal, point.joint[block], obedience, moved, pushed, told=self._told)
            share = self._share(point.log_weight)
            by_gain = moved.reshape(*moved.shape[:2], *self._mask.shape[1:])[:, :, None]
            gradient += share * self._weights.reshape(-1, *[1] * (self._mask.ndim - 1)) * by_gain
            gradients.append(gradient)
            push = self._gain(q[block], block, point.log_weight) + drift[block]
            slopes.append((moved * push[:, None]).sum(axis=2))
            yield
        law = np.moveaxis(np.concatenate(gradients), 0, 2)
        players = np.arange(q.shape[1])
        law[players, players] += point.joint
        slope = -np.concatenate(slopes).T.ravel()
        return Linearisation(self._matrix(self._kernel.induced_by(law)), slope)

    def exact(self, joint: Float[np.ndarray, "S *A"]) -> Float[np.ndarray, "N S"]:
        """What it is worth to play by these laws for ever."""
        return rewards_for_ever(self._reward, self._kernel, joint, self._discount)

    def _payoffs(self, value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N S *A"]:
        return self._reward + np.asarray(self._kernel.expect(self._discount[:, None] * value))

    def _inequalities(
        self, q: Float[np.ndarray, "S N *A"], block: slice
    ) -> tuple[Float[np.ndarray, "S K J"], Bool[np.ndarray, "S K"], Bool[np.ndarray, "S J"]]:
        mask = self._mask[block]
        rows, senses = obedience_tables(comparable(q, mask), [own[block] for own in self._legal], self._told)
        return rows, senses, mask.reshape(len(mask), -1)

    def _share(self, log_weight: float) -> float:
        """t, over itself where it is large: the nearness is then taken off instead."""
        return float(np.exp(min(log_weight, 0.0)))

    def _gain(self, q: Float[np.ndarray, "S N *A"], block: slice, log_weight: float) -> Float[np.ndarray, "S J"]:
        """The linear part of the objective, around 0."""
        cells = self._mask[block].reshape(len(q), -1)
        worth = np.tensordot(q, self._weights, axes=(1, 0)).reshape(cells.shape)
        worth = worth - (worth * cells).sum(axis=1, keepdims=True) / cells.sum(axis=1, keepdims=True)
        return self._share(log_weight) * np.where(cells, worth, 0.0)

    def _pull(self, log_weight: float) -> tuple[Float[np.ndarray, "S J"], float, Float[np.ndarray, "S J"]]:
        r"""The centre, the weight of nearness to it, and how their product moves with $\log t$."""
        if not self._flattens:
            return self._centre, float(np.exp(-max(log_weight, 0.0))), np.zeros_like(self._centre)
        share = float(1 / (1 + np.exp(-log_weight)))
        away = self._uniform - self._centre
        return self._centre + share * away, 1.0, share * (1 - share) * away

    def _matrix(self, chains: Any) -> Float[np.ndarray, "NS NS"]:
        players = range(len(self._discount))
        if isinstance(chains, SparseChain):
            links = np.array([[chains.at((i, j)).matrix().toarray() for j in players] for i in players])
        else:
            links = np.asarray(chains.matrix)
        links = links * self._discount[:, None, None]
        size = len(self._discount) * links.shape[-1]
        return np.eye(size) - links.transpose(0, 2, 1, 3).reshape(size, size)

r"""Regularised equilibria as a system of equations, and its linearisation eliminated state by state.

A point is a vector $z=(\beta,V,\lambda)$: logits (S, n), values (S, N) and the inverse temperature. With
$\pi=\mathrm{softmax}(\beta)$ for each player and the advantages $D_i(s,a)=\bar Q^i(s,a;\pi,V)-V_i(s)$,

* E1: $\beta_i(s,a)=\log\tilde\pi_i(a\mid s)+\lambda D_i(s,a)$, the soft best response (Prop. 5.2, marginal form);
* E2: $\frac1\lambda\log\sum_a\tilde\pi_i(a\mid s)e^{\lambda D_i(s,a)}=0$, which makes $V_i$ the soft value.

Both are smooth at $\lambda=0$, where $\pi=\tilde\pi$ and $V$ is its plain value; $\beta$ stays finite as $\tau\to0$.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from scipy.linalg import get_lapack_funcs

from equinfer.solvers.tabular.scaled import ScaledGame

__all__ = ["BorderedSystem", "QRESystem", "SingularSystemError"]

_getrf, _getrs = get_lapack_funcs(("getrf", "getrs"), dtype=np.float64)

WORST_CONDITION = 1e9
"""A state whose block is worse than this is not eliminated but kept in the global system."""


class SingularSystemError(ArithmeticError):
    """The linearisation is singular to working precision: a branching point, or a step to be shortened."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The equations at one point."""

    policy: Float[np.ndarray, "S n"]
    tables: Float[np.ndarray, "N S *A"]
    action_values: Float[np.ndarray, "S n"]
    advantage: Float[np.ndarray, "S n"]
    response: Float[np.ndarray, "S n"]
    r"""The soft best response $\propto\tilde\pi e^{\lambda D}$."""
    response_error: Float[np.ndarray, "S n"]
    """E1."""
    value_error: Float[np.ndarray, "S N"]
    """E2."""

    @property
    def residual(self) -> float:
        """How far the policy is from the soft best response to itself, and the values from its soft values."""
        return float(max(np.abs(self.policy - self.response).max(), np.abs(self.value_error).max()))


@dataclass(frozen=True, eq=False)
class QRESystem:
    """The fixed-point equations of one game and one magnet."""

    game: ScaledGame
    log_magnet: Float[np.ndarray, "S n"]
    """Zero on illegal actions, which never enter."""

    @cached_property
    def sizes(self) -> tuple[int, int]:
        """How many logits and how many values a point has."""
        return self.game.num_states * self.game.owner.size, self.game.num_states * self.game.num_players

    def join(self, logits: np.ndarray, value: np.ndarray, rate: float) -> Float[np.ndarray, " size"]:
        return np.concatenate([logits.ravel(), value.ravel(), [rate]])

    def split(self, point: Float[np.ndarray, " size"]) -> tuple[np.ndarray, np.ndarray, float]:
        r"""Logits (S, n), values (S, N) and $\lambda$ of a point."""
        n, m = self.sizes
        logits, value = point[:n], point[n : n + m]
        return logits.reshape(self.game.num_states, -1), value.reshape(self.game.num_states, -1), float(point[-1])

    def start(self) -> Float[np.ndarray, " size"]:
        r"""The point at $\lambda=0$: everybody plays the magnet, and values are its plain values."""
        point = self.join(self.log_magnet, np.zeros((self.game.num_states, self.game.num_players)), 0.0)
        here = self.evaluate(point)
        return point + self.linearise(here, point, pure_rate(point)).solve(here.response_error, here.value_error, 0.0)

    def policy(self, point: Float[np.ndarray, " size"]) -> Float[np.ndarray, "S n"]:
        return self._gibbs(self.split(point)[0])[0]

    def normalised(self, point: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        """The same point with logits that are log-probabilities, as they are on the branch up to the tolerance."""
        logits, value, rate = self.split(point)
        excess = self._gibbs(logits)[1][:, self.game.owner]
        return self.join(np.where(self.game.legal, logits - excess, 0.0), value, rate)

    def centred(self, step: Float[np.ndarray, " size"], policy: Float[np.ndarray, "S n"]) -> Float[np.ndarray, " size"]:
        """The same direction without the part that adds a constant to a player's logits."""
        logits, value, rate = self.split(step)
        mean = self.game.totals(policy * logits)[:, self.game.owner]
        return self.join(np.where(self.game.legal, logits - mean, 0.0), value, rate)

    def _gibbs(self, logits: Float[np.ndarray, "S n"]) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "S N"]]:
        """Softmax and log-sum-exp over each player's legal actions."""
        game = self.game
        logits = np.where(game.legal, logits, -np.inf)
        top = np.maximum.reduceat(logits, game.starts, axis=1)
        weights = np.exp(logits - top[:, game.owner])
        total = game.totals(weights)
        return weights / total[:, game.owner], top + np.log(total)

    def evaluate(self, point: Float[np.ndarray, " size"]) -> Evaluation:
        game = self.game
        logits, value, rate = self.split(point)
        policy = self._gibbs(logits)[0]
        tables = game.action_tables(value)
        action_values = game.action_values(policy, tables)
        advantage = np.where(game.legal, action_values - value[:, game.owner], 0.0)
        target = self.log_magnet + rate * advantage
        response, log_total = self._gibbs(target)
        return Evaluation(
            policy=policy,
            tables=tables,
            action_values=action_values,
            advantage=advantage,
            response=response,
            response_error=logits - target,
            value_error=log_total / rate if rate else game.totals(response * advantage),
        )

    def linearise(
        self, here: Evaluation, point: Float[np.ndarray, " size"], border: Float[np.ndarray, " size"]
    ) -> "BorderedSystem":
        """The Jacobian at an evaluated point with one more row `border`, factored.

        **Raises:** `SingularSystemError`.
        """
        return BorderedSystem.factor(self, here, point, border)


def pure_rate(like: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
    r"""The border that prescribes $\delta\lambda$."""
    border = np.zeros_like(like)
    border[-1] = 1.0
    return border


@dataclass(frozen=True, eq=False)
class BorderedSystem:
    r"""The factored linear system $J\,\delta z=-(E_1,E_2)$, $\langle\text{border},\delta z\rangle=c$.

    With $G\,\delta V=\delta_V D$ and $MC$ the derivative of $\bar Q$ in the logits, the rows of a state are
    $B\,\delta\beta-\lambda G\,\delta V-D\,\delta\lambda=-E_1$, $B=I-\lambda MC$, which eliminates $\delta\beta$, and
    $p^\top(G\,\delta V+MC\,\delta\beta)+\kappa\,\delta\lambda=-E_2$. What remains has N·S + 1 unknowns. In a
    state whose $B$ is close to singular (its stage game at these values is close to a fold) $\delta\beta$ stays an
    unknown.
    """

    system: QRESystem
    rate: float
    advantage: Float[np.ndarray, "S n"]
    inverse: Float[np.ndarray, "S n n"]
    gain: Float[np.ndarray, "S n S"]
    """G, whose rows act on the values of their own player only."""
    gathered: Float[np.ndarray, "S N n"]
    """Z: how an error E1 of a state reaches its value equations once the logits are eliminated."""
    border_weight: Float[np.ndarray, "S n"]
    kept: np.ndarray
    """States that are not eliminated."""
    lower_upper: np.ndarray
    pivots: np.ndarray
    sign: float
    """Sign of the determinant of the whole bordered Jacobian, times a constant of the game: one along a branch."""

    @classmethod
    def factor(cls, system: QRESystem, here: Evaluation, point: np.ndarray, border: np.ndarray) -> "BorderedSystem":
        game, rate = system.game, system.split(point)[2]
        S, N, n = game.num_states, game.num_players, game.owner.size
        own = game.own

        pairs = game.pair_values(here.policy, here.tables)
        centred = np.where(game.same_owner, 0.0, pairs - here.action_values[:, :, None])
        response_slope = centred * here.policy[:, None, :]  # MC
        response_slope[~game.legal] = 0.0
        blocks = np.eye(n) - rate * response_slope
        signs, kept, inverse = _inverses(blocks)

        picks = own * here.response[:, None, :]  # p^T per player, (S, N, n)
        gathered = picks @ response_slope @ inverse
        gathered[kept] = 0.0
        reach = picks + rate * gathered  # Y = p^T B^{-1}

        gain = game.transitions(here.policy)
        states = np.arange(S)
        gain[states, :, states] -= 1.0
        gain[~game.legal] = 0.0

        border_logits, border_value, border_rate = system.split(border)
        border_weight = (border_logits[:, None] @ inverse)[:, 0]
        border_weight[kept] = 0.0

        m, k = S * N, len(kept) * n
        matrix = np.zeros((m + 1 + k, m + 1 + k), order="F")
        through_values = np.zeros((S, N, S, N))
        through_border = np.array(border_value)
        for i, columns in enumerate(game.columns):
            through_values[..., i] = reach[:, :, columns] @ gain[:, columns]
            through_border[:, i] += rate * np.tensordot(border_weight[:, columns], gain[:, columns])
        matrix[:m, :m] = through_values.reshape(m, m)
        matrix[:m, m] = (_curvature(system, here, rate) + _rowwise(gathered, here.advantage)).ravel()
        matrix[m, :m] = through_border.ravel()
        matrix[m, m] = border_rate + np.sum(border_weight * here.advantage)
        for place, s in enumerate(kept):
            rows = slice(m + 1 + place * n, m + 1 + (place + 1) * n)
            matrix[s * N : (s + 1) * N, rows] = picks[s] @ response_slope[s]
            matrix[rows, rows] = blocks[s]
            matrix[rows, :m] = -rate * (gain[s][:, :, None] * own.T[:, None]).reshape(n, m)
            matrix[rows, m] = -here.advantage[s]
            matrix[m, rows] = border_logits[s]
        lower_upper, pivots, info = _getrf(matrix, overwrite_a=1)
        diagonal = np.diagonal(lower_upper)
        if info != 0 or not np.all(np.isfinite(diagonal)):
            raise SingularSystemError("the bordered Jacobian is singular")
        swaps = np.count_nonzero(pivots != np.arange(pivots.size))
        sign = float(np.prod(np.sign(diagonal)) * (-1) ** (swaps + m) * np.prod(signs))
        return cls(
            system, rate, here.advantage, inverse, gain, gathered, border_weight, kept, lower_upper, pivots, sign
        )

    def solve(
        self, response_error: Float[np.ndarray, "S n"], value_error: Float[np.ndarray, "S N"], along: float
    ) -> Float[np.ndarray, " size"]:
        """The Newton step for these errors whose product with the border is `along`."""
        game = self.system.game
        n, m = game.owner.size, value_error.size
        right = np.empty(self.pivots.size)
        right[:m] = (_rowwise(self.gathered, response_error) - value_error).ravel()
        right[m] = along + np.sum(self.border_weight * response_error)
        right[m + 1 :] = -response_error[self.kept].ravel()
        solution, _ = _getrs(self.lower_upper, self.pivots, right)
        value, rate = solution[:m].reshape(value_error.shape), float(solution[m])
        change = self.rate * game.times_values(self.gain, value) + rate * self.advantage - response_error
        logits = _rowwise(self.inverse, change)
        logits[self.kept] = solution[m + 1 :].reshape(-1, n)
        return self.system.join(logits, value, rate)

    def tangent(self) -> Float[np.ndarray, " size"]:
        """The direction of the branch, whose product with the border is one."""
        S, N = self.system.game.num_states, self.system.game.num_players
        return self.solve(np.zeros_like(self.advantage), np.zeros((S, N)), 1.0)


def _rowwise(matrices: Float[np.ndarray, "S k n"], vectors: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "S k"]:
    """Each state's matrix times each state's vector."""
    return (matrices @ vectors[:, :, None])[:, :, 0]


def _inverses(blocks: Float[np.ndarray, "S n n"]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signs of the determinants of the eliminated blocks, the states that cannot be eliminated, and inverses."""
    signs = np.linalg.slogdet(blocks)[0]
    singular = signs == 0
    inverse = np.linalg.inv(np.where(singular[:, None, None], np.eye(blocks.shape[1]), blocks))
    condition = (np.abs(inverse) @ np.abs(blocks)).sum(axis=2).max(axis=1)  # Skeel's: blind to the scale of rows
    kept = np.flatnonzero(singular | ~(condition < WORST_CONDITION))
    return np.delete(signs, kept), kept, inverse


def _curvature(system: QRESystem, here: Evaluation, rate: float) -> Float[np.ndarray, "S N"]:
    r"""$\kappa=\partial E_2/\partial\lambda=\mathrm{KL}(p\|\tilde\pi)/\lambda^2$ (half $D$'s variance at 0)."""
    mean = system.game.totals(here.response * here.advantage)
    if rate:
        return (mean - here.value_error) / rate
    spread = here.advantage - mean[:, system.game.owner]
    return system.game.totals(here.response * spread**2) / 2

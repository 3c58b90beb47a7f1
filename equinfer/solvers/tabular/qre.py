r"""Regularised equilibria as a system of equations, and its derivatives state by state.

A point is a vector $z=(\beta,V,\lambda)$: logits (S, n), values (S, N) and the inverse temperature. With
$\pi=\mathrm{softmax}(\beta)$ for each player and the advantages $D_i(s,a)=\bar Q^i(s,a;\pi,V)-V_i(s)$,

* E1: $\beta_i(s,a)=\log\tilde\pi_i(a\mid s)+\lambda D_i(s,a)$, the soft best response (Prop. 5.2, marginal form);
* E2: $\frac1\lambda\log\sum_a\tilde\pi_i(a\mid s)e^{\lambda D_i(s,a)}=0$, which makes $V_i$ the soft value.

Both are smooth at $\lambda=0$, where $\pi=\tilde\pi$ and $V$ is its plain value; $\beta$ stays finite as $\tau\to0$.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from equinfer.solvers.tabular.bordered import BorderedSystem, StateBlocks
from equinfer.solvers.tabular.next_values import AbstractNextValues, Gain, continuation, next_values
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.solvers.tabular.soft_play import average_tables, gibbs, respond

__all__ = ["Change", "Evaluation", "QRESystem", "pure_rate"]


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
    def after(self) -> AbstractNextValues:
        """The transitions, as they are read fastest."""
        return next_values(self.game)

    @cached_property
    def ends(self) -> Int[np.ndarray, " bounds"]:
        """Where each player's actions begin among all, and where the last ones end."""
        return np.append(self.game.starts, self.game.owner.size)

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
        factored = self.linearise(here, point, pure_rate(point))
        return point + self.solve(factored, here.response_error, here.value_error, 0.0).step

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
        return gibbs(np.ascontiguousarray(logits), self.game.legal, self.ends)

    def evaluate(
        self, point: Float[np.ndarray, " size"], tables: Float[np.ndarray, "N S *A"] | None = None
    ) -> Evaluation:
        """The equations at `point`; with its action `tables` if known, since those take all transitions."""
        game = self.game
        logits, value, rate = self.split(point)
        policy = self._gibbs(logits)[0]
        if tables is None:
            tables = game.reward + continuation(game, self.after, value)
        action_values = average_tables(policy, tables.reshape(game.num_players, -1), self.ends)
        advantage, target, response, soft_value = respond(
            action_values, value, rate, self.log_magnet, game.legal, self.ends
        )
        return Evaluation(
            policy=policy,
            tables=tables,
            action_values=action_values,
            advantage=advantage,
            response=response,
            response_error=logits - target,
            value_error=soft_value,
        )

    def derivatives(self, here: Evaluation, rate: float) -> StateBlocks:
        r"""The rows of E1 and E2, state by state.

        The derivative of $\bar Q^i(a^i)$ in the logit of $(j,a^j)$ is $\pi_j(a^j)\,(E[Q^i\mid a^i,a^j]-\bar Q^i(a^i))$.
        """
        game = self.game
        centred = game.pair_values(here.policy, here.tables) - here.action_values[:, :, None]
        slope = np.where(game.same_owner, 0.0, centred) * here.policy[:, None, :]
        slope[~game.legal] = 0.0
        return StateBlocks(
            rate=rate,
            own=game.own,
            response=here.response,
            slope=slope,
            gain=Gain(game, self.after, here.policy),
            advantage=here.advantage,
            curvature=self._curvature(here, rate),
        )

    def _curvature(self, here: Evaluation, rate: float) -> Float[np.ndarray, "S N"]:
        r"""$\kappa=\partial E_2/\partial\lambda=\mathrm{KL}(p\|\tilde\pi)/\lambda^2$ (half $D$'s variance at 0)."""
        mean = self.game.totals(here.response * here.advantage)
        if rate:
            return (mean - here.value_error) / rate
        spread = here.advantage - mean[:, self.game.owner]
        return self.game.totals(here.response * spread**2) / 2

    def linearise(
        self, here: Evaluation, point: Float[np.ndarray, " size"], border: Float[np.ndarray, " size"]
    ) -> BorderedSystem:
        """The Jacobian at an evaluated point with one more row `border`, factored.

        **Raises:** `SingularSystemError`.
        """
        blocks = self.derivatives(here, self.split(point)[2])
        return BorderedSystem.factor(blocks, *self.split(border))

    def solve(
        self,
        factored: BorderedSystem,
        response_error: Float[np.ndarray, "S n"],
        value_error: Float[np.ndarray, "S N"],
        along: float,
    ) -> "Change":
        """The Newton step for these errors whose product with the border is `along`."""
        logits, value, rate, tables = factored.solve(response_error, value_error, along)
        return Change(self.join(logits, value, rate), tables)

    def tangent(self, factored: BorderedSystem) -> "Change":
        """The direction of the branch, whose product with the border is one."""
        logits, value, rate, tables = factored.tangent()
        return Change(self.join(logits, value, rate), tables)


class Change(NamedTuple):
    """A change of a point, and that of the action tables which goes with it; both are linear in each other."""

    step: Float[np.ndarray, " size"]
    tables: Float[np.ndarray, "N S *A"]

    def scaled(self, factor: float) -> "Change":
        return Change(factor * self.step, factor * self.tables)

    def plus(self, other: "Change", factor: float = 1.0) -> "Change":
        return Change(self.step + factor * other.step, self.tables + factor * other.tables)


def pure_rate(like: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
    r"""The border that prescribes $\delta\lambda$."""
    border = np.zeros_like(like)
    border[-1] = 1.0
    return border

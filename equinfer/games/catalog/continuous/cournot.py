"""Cournot competition: firms choose how much to sell, and one price clears the market."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.continuous import ContinuousGame
from equinfer.games.continuous_rules import Transition
from equinfer.games.spaces import Box
from equinfer.types import PRNGKey

__all__ = ["cournot", "cournot_capacity", "nash_quantities"]


def nash_quantities(
    costs: Float[np.ndarray, " N"], capacities: Float[np.ndarray, " N"], intercept: float, slope: float
) -> Float[np.ndarray, " N"]:
    r"""The equilibrium of $q_i(A-B\sum_jq_j-c_i)$, $0\le q_i\le K_i$.

    Firm i's first-order condition at the total $Q$ is $q_i=(A-c_i)/B-Q$, cut to $[0,K_i]$. The sum of these falls in
    $Q$, so it meets $Q$ once; it is linear between the places where a firm leaves the market or fills its capacity,
    and on the right piece $Q(1+n)=\sum_{\text{inside}}(A-c_i)/B+\sum_{\text{full}}K_i$ with $n$ firms inside.
    """
    wanted = (intercept - costs) / slope
    corners = np.unique(np.concatenate([[0.0], wanted, wanted - capacities]))
    corners = corners[corners >= 0]
    above = np.array([np.clip(wanted - total, 0, capacities).sum() - total for total in corners])
    last = int(np.flatnonzero(above >= 0)[-1])
    after = corners[last + 1] if last + 1 < len(corners) else corners[last] + 1.0
    middle = wanted - (corners[last] + after) / 2
    inside, full = (middle > 0) & (middle < capacities), middle >= capacities
    total = (wanted[inside].sum() + capacities[full].sum()) / (1 + inside.sum())
    return np.clip(wanted - total, 0, capacities)


def _nash(
    game: ContinuousGame, costs: tuple[float, ...], intercept: float, slope: float, capacity: float
) -> tuple[KnownEquilibrium, ...]:
    """The only one: rewards are strictly concave in the own quantity, so nobody mixes either."""
    quantities = nash_quantities(np.array(costs), np.full(len(costs), capacity), intercept, slope)
    profits = quantities * (intercept - slope * quantities.sum() - np.array(costs))
    note = "first-order conditions of those who sell, at the total that they add up to"
    return (KnownEquilibrium(tuple(quantities[:, None]), profits[:, None], note, complete=True),)


def _require_market(name: str, costs: tuple[float, ...], slope: float) -> None:
    require(len(costs) >= 1, f"{name} needs at least one firm.")
    require(slope > 0, f"{name} needs slope > 0; got {slope:g}.")


@entry("Cournot, Recherches sur les principes mathematiques de la theorie des richesses, 1838", _nash)
def cournot(
    *, costs: tuple[float, ...] = (1.0, 3.0), intercept: float = 10.0, slope: float = 1.0, capacity: float = 10.0
) -> ContinuousGame:
    r"""Cournot competition of N firms with unequal costs and linear demand.

    Firm i earns $q_i(A-B\sum_jq_j-c_i)$ by selling $0\le q_i\le$ capacity; the price may be negative.
    """
    _require_market("cournot", costs, slope)
    require(capacity > 0, f"cournot needs capacity > 0; got {capacity:g}.")
    number = len(costs)
    matrix = np.zeros((number, number, number))
    for i in range(number):
        matrix[i, i] = -slope
    linear = np.diag(intercept - np.array(costs))
    bounds = np.zeros((number, 1)), np.full((number, 1), capacity)
    return ContinuousGame.quadratic(matrix, linear, np.zeros(number), *bounds, name="cournot")


class WearingMarket(eqx.Module):
    """A plant that all firms share: it is in order (state 0) or worn (1), and wears the faster the more they sell."""

    costs: tuple[float, ...] = eqx.field(static=True)
    capacities: tuple[float, ...] = eqx.field(static=True)
    """What a firm can sell at most, by state."""
    intercept: float = eqx.field(static=True)
    slope: float = eqx.field(static=True)
    repair: float = eqx.field(static=True)
    wear: float = eqx.field(static=True)

    def reset(self, key: PRNGKey) -> Float[Array, "2"]:
        return jax.nn.one_hot(jax.random.bernoulli(key).astype(int), 2)

    def step(self, state: Float[Array, "2"], actions: Float[Array, "N 1"], *, key: PRNGKey) -> Transition:
        used = actions[:, 0]
        sold = used * jnp.sum(state.astype(used.dtype) * jnp.asarray(self.capacities, used.dtype))
        profits = sold * (self.intercept - self.slope * sold.sum() - jnp.asarray(self.costs, used.dtype))
        in_order = self.repair - self.wear * used.mean()
        worn = ~(jax.random.uniform(key, dtype=used.dtype) < in_order)
        after = jax.nn.one_hot(worn.astype(int), 2, dtype=state.dtype)
        return Transition(after, profits, jnp.asarray(False), jnp.asarray(False))

    def observe(self, state: Float[Array, "2"], i: int) -> Float[Array, "2"]:
        return state


def _wearing_nash(
    game: ContinuousGame,
    costs: tuple[float, ...],
    capacities: tuple[float, ...],
    intercept: float,
    slope: float,
    repair: float,
    wear: float,
    discount: float,
    **_: Any,
) -> tuple[KnownEquilibrium, ...]:
    r"""The fixed point of equilibria of the stage games.

    With continuation values $V_i$, what firm i maximises in its use $u_i$ of the plant is the profit less
    $\gamma\,(w/N)\,(V_i(0)-V_i(1))\,u_i$: Cournot competition with a higher cost,
    $c_i+\gamma w(V_i(0)-V_i(1))/(N K_s)$ a unit. Its equilibrium and the values that it is worth are iterated until
    they stay; nothing is listed where they do not.
    """
    number, limits = len(costs), np.array(capacities)

    def stages(values: Float[np.ndarray, "N 2"]) -> Float[np.ndarray, "2 N"]:
        """What everybody sells in each state, if that is what comes next."""
        scarcity = discount * wear * (values[:, 0] - values[:, 1]) / number
        whole = [nash_quantities(np.array(costs) + scarcity / k, np.full(number, k), intercept, slope) for k in limits]
        return np.array(whole)

    values = np.zeros((number, 2))
    for _round in range(10_000):
        sold = stages(values)
        in_order = repair - wear * (sold / limits[:, None]).mean(axis=1)
        kernel = np.stack([in_order, 1 - in_order], axis=1)
        profits = sold * (intercept - slope * sold.sum(axis=1, keepdims=True) - np.array(costs))
        before, values = values, np.linalg.solve(np.eye(2) - discount * kernel, profits).T
        if np.abs(values - before).max() <= 1e-13 * np.abs(values).max():
            used = (stages(values) / limits[:, None]).T[:, :, None]
            return (KnownEquilibrium(tuple(used), values, "stage equilibria at the values that they are worth"),)
    return ()


@entry(
    "ours: Cournot competition in the form of Shapley, Stochastic games, 1953, with a closed-form stage", _wearing_nash
)
def cournot_capacity(
    *,
    costs: tuple[float, ...] = (1.0, 2.0),
    capacities: tuple[float, ...] = (4.0, 0.5),
    intercept: float = 10.0,
    slope: float = 1.0,
    repair: float = 0.95,
    wear: float = 0.9,
    discount: float = 0.9,
    horizon: int = 25,
) -> ContinuousGame:
    r"""Cournot competition on a plant that wears: two states, and the more is used the likelier is the poor one.

    Each firm chooses which part $u_i\in[0,1]$ of the capacity $K_s$ to use in state s (0: in order, 1: worn), earns
    $q_i(A-B\sum_jq_j-c_i)$ with $q_i=u_iK_s$, and the plant is in order next with the probability
    repair - wear * mean(u). Episodes are truncated after `horizon` steps; both states begin equally often.
    """
    _require_market("cournot_capacity", costs, slope)
    require(len(capacities) == 2, f"cournot_capacity needs two capacities; got {len(capacities)}.")
    require(min(capacities) > 0, f"cournot_capacity needs capacities > 0; got {capacities}.")
    require(0 <= wear <= repair <= 1, f"cournot_capacity needs 0 <= wear <= repair <= 1; got {wear:g}, {repair:g}.")
    require(0 <= discount < 1, f"cournot_capacity needs a discount in [0, 1); got {discount:g}.")
    rules = WearingMarket(costs, capacities, intercept, slope, repair, wear)
    spaces = [Box(0.0, 1.0)] * len(costs)
    return ContinuousGame(rules.reset, rules.step, rules.observe, spaces, discount, horizon, name="cournot_capacity")

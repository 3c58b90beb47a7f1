"""Markets with states: demand that changes by itself, and a plant that wears by being used."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from equinfer.games.catalog.continuous.cournot import nash_quantities, require_market
from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.continuous import ContinuousGame
from equinfer.games.continuous_rules import Transition
from equinfer.games.spaces import Box
from equinfer.types import PRNGKey

__all__ = ["DemandRegimes", "WearingMarket", "cournot_capacity", "cournot_demand"]


class DemandRegimes(eqx.Module):
    """Cournot competition in which the intercept of demand follows a Markov chain that nobody moves."""

    costs: tuple[float, ...] = eqx.field(static=True)
    intercepts: tuple[float, ...] = eqx.field(static=True)
    slope: float = eqx.field(static=True)
    stay: float = eqx.field(static=True)

    def reset(self, key: PRNGKey) -> Int[Array, ""]:
        return jax.random.randint(key, (), 0, len(self.intercepts), dtype=int)

    def step(self, state: Int[Array, ""], actions: Float[Array, "N 1"], *, key: PRNGKey) -> Transition:
        sold = actions[:, 0]
        intercept = jnp.asarray(self.intercepts, sold.dtype)[state]
        profits = sold * (intercept - self.slope * sold.sum() - jnp.asarray(self.costs, sold.dtype))
        leaves, moves = jax.random.split(key)
        others = jax.random.randint(moves, (), 1, max(2, len(self.intercepts)), dtype=int)
        left = jax.random.uniform(leaves) >= self.stay
        after = jnp.where(left, (state + others) % len(self.intercepts), state)
        return Transition(after, profits, jnp.asarray(False), jnp.asarray(False))

    def observe(self, state: Int[Array, ""], i: int) -> Float[Array, " K"]:
        return jax.nn.one_hot(state, len(self.intercepts))


def _by_regime(
    game: ContinuousGame,
    costs: tuple[float, ...],
    intercepts: tuple[float, ...],
    slope: float,
    capacity: float,
    stay: float,
    discount: float,
    **_: Any,
) -> tuple[KnownEquilibrium, ...]:
    """Nothing that anybody does changes what comes, so each regime is played like a game of its own; the only one."""
    full = np.full(len(costs), capacity)
    sold = np.array([nash_quantities(np.array(costs), full, intercept, slope) for intercept in intercepts])
    profits = sold * (np.array(intercepts)[:, None] - slope * sold.sum(axis=1, keepdims=True) - np.array(costs))
    number = len(intercepts)
    kernel = np.full((number, number), (1 - stay) / max(1, number - 1))
    np.fill_diagonal(kernel, stay if number > 1 else 1.0)
    values = np.linalg.solve(np.eye(number) - discount * kernel, profits).T
    return (KnownEquilibrium(tuple(sold.T[:, :, None]), values, "Cournot's equilibrium in each regime", complete=True),)


@entry("ours: Cournot competition, 1838, in each state of a Markov chain that nobody moves", _by_regime)
def cournot_demand(
    *,
    costs: tuple[float, ...] = (1.0, 3.0),
    intercepts: tuple[float, ...] = (10.0, 6.0),
    slope: float = 1.0,
    capacity: float = 10.0,
    stay: float = 0.8,
    discount: float = 0.95,
    horizon: int = 25,
) -> ContinuousGame:
    r"""Cournot competition under demand that changes by itself: the states are declared exogenous.

    In regime k firm i earns $q_i(A_k-B\sum_jq_j-c_i)$. A regime stays with the probability `stay`, and gives way to
    each of the others equally often. Episodes are truncated after `horizon` steps; every regime begins equally often.
    """
    require_market("cournot_demand", costs, slope)
    require(capacity > 0, f"cournot_demand needs capacity > 0; got {capacity:g}.")
    require(len(intercepts) >= 1, "cournot_demand needs at least one intercept.")
    require(0 <= stay <= 1, f"cournot_demand needs stay in [0, 1]; got {stay:g}.")
    require(0 <= discount < 1, f"cournot_demand needs a discount in [0, 1); got {discount:g}.")
    rules = DemandRegimes(costs, intercepts, slope, stay)
    spaces = [Box(0.0, capacity)] * len(costs)
    return ContinuousGame(
        rules.reset, rules.step, rules.observe, spaces, discount, horizon, exogenous=True, name="cournot_demand"
    )


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
    require_market("cournot_capacity", costs, slope)
    require(len(capacities) == 2, f"cournot_capacity needs two capacities; got {len(capacities)}.")
    require(min(capacities) > 0, f"cournot_capacity needs capacities > 0; got {capacities}.")
    require(0 <= wear <= repair <= 1, f"cournot_capacity needs 0 <= wear <= repair <= 1; got {wear:g}, {repair:g}.")
    require(0 <= discount < 1, f"cournot_capacity needs a discount in [0, 1); got {discount:g}.")
    rules = WearingMarket(costs, capacities, intercept, slope, repair, wear)
    spaces = [Box(0.0, 1.0)] * len(costs)
    return ContinuousGame(rules.reset, rules.step, rules.observe, spaces, discount, horizon, name="cournot_capacity")

"""Cournot competition: firms choose how much to sell, and one price clears the market."""

import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.continuous import ContinuousGame

__all__ = ["cournot", "nash_quantities", "require_market"]


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


def require_market(name: str, costs: tuple[float, ...], slope: float) -> None:
    require(len(costs) >= 1, f"{name} needs at least one firm.")
    require(slope > 0, f"{name} needs slope > 0; got {slope:g}.")


@entry("Cournot, Recherches sur les principes mathematiques de la theorie des richesses, 1838", _nash)
def cournot(
    *, costs: tuple[float, ...] = (1.0, 3.0), intercept: float = 10.0, slope: float = 1.0, capacity: float = 10.0
) -> ContinuousGame:
    r"""Cournot competition of N firms with unequal costs and linear demand.

    Firm i earns $q_i(A-B\sum_jq_j-c_i)$ by selling $0\le q_i\le$ capacity; the price may be negative.
    """
    require_market("cournot", costs, slope)
    require(capacity > 0, f"cournot needs capacity > 0; got {capacity:g}.")
    number = len(costs)
    matrix = np.zeros((number, number, number))
    for i in range(number):
        matrix[i, i] = -slope
    linear = np.diag(intercept - np.array(costs))
    bounds = np.zeros((number, 1)), np.full((number, 1), capacity)
    return ContinuousGame.quadratic(matrix, linear, np.zeros(number), *bounds, name="cournot")

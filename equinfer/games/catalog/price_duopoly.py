"""Sequential price competition: the firms take turns, and a price stands for two periods."""

import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.kernels import listed, worth_listing
from equinfer.games.tabular import TabularGame
from equinfer.tables import refuse_unless_it_fits

__all__ = ["price_duopoly"]


def _profits(steps: int) -> Float[np.ndarray, "P P"]:
    """What a firm at the first price earns against the second: demand 1 - p goes to the cheaper one, or is shared."""
    price = np.arange(steps + 1) / steps
    monopoly = price * (1 - price)
    own, other = np.indices((steps + 1, steps + 1))
    return monopoly[:, None] * np.where(own < other, 1.0, np.where(own == other, 0.5, 0.0))


def _kinked_demand(game: TabularGame, steps: int, discount: float) -> tuple[KnownEquilibrium, ...]:
    r"""Maskin and Tirole's kinked-demand equilibrium on seven prices k/6 (in 36ths: profits 0, 5, 8, 9, 8, 5, 0).

    The mover answers 6, 5, 4, 3 and 0 by the monopoly price 3, 2 by 1, and 1 by a war of attrition: it raises the
    price to 3 with the chance $\beta$ that leaves both indifferent. With $v=\frac{9/2}{1-\gamma}$ the mover's value
    at 3, raising from 1 earns $\gamma v$; staying earns $\frac52+\gamma[\beta(5+\gamma v)+(1-\beta)(\frac52+\gamma^2
    v)]$. Hence $\beta=\frac{(1+\gamma)(9\gamma-5)}{\gamma(5+9\gamma)}$, a probability for $\gamma\ge5/9$. Of the other
    deviations the most tempting undercuts 3 by 2, $8+\gamma^3v\le\frac92+\gamma v$, and never pays above that either.
    """
    if steps != 6 or discount < 5 / 9:
        return ()
    raises = (1 + discount) * (9 * discount - 5) / (discount * (5 + 9 * discount))
    answer = np.zeros((7, 7))
    answer[[0, 3, 4, 5, 6], 3] = 1.0
    answer[2, 1] = 1.0
    answer[1, [1, 3]] = 1 - raises, raises
    profit = 36 * _profits(6)
    v = 4.5 / (1 - discount)
    low = 2.5 + discount * (raises * (5 + discount * v) + (1 - raises) * (2.5 + discount**2 * v))
    # What a committed firm will earn, while the other moves, at the two prices that are ever chosen.
    waiting = {3: v, 1: (low - 2.5) / discount}
    mover = np.array([max(profit[p, c] + discount * waiting[p] for p in (1, 3)) for c in range(7)])
    committed = np.einsum("cp,cp->c", answer, profit + discount * mover)
    values = np.array([np.concatenate([mover, committed]), np.concatenate([committed, mover])]) / 36
    idle = np.eye(7)
    profile = (np.concatenate([answer, idle]), np.concatenate([idle, answer]))
    note = "kinked demand: focal monopoly price, war of attrition at 1/6 by indifference"
    return (KnownEquilibrium(profile, values, note),)


@entry(
    "Maskin and Tirole, A theory of dynamic oligopoly II: price competition, kinked demand curves, and Edgeworth "
    "cycles, 1988",
    _kinked_demand,
)
def price_duopoly(*, steps: int = 6, discount: float = 0.95) -> TabularGame:
    """Sequential price duopoly: demand 1 - p, no cost, prices 0, 1/steps, ..., 1; only the mover's price is open."""
    require(steps >= 1, f"price_duopoly needs steps >= 1; got {steps}.")
    prices = steps + 1
    lists = 1 if worth_listing(2 * prices, 1) else None
    refuse_unless_it_fits(2, 2 * prices, (prices, prices), "price_duopoly", lists)
    profit = _profits(steps)
    reward = np.broadcast_to(np.stack([profit, profit.T])[:, None], (2, 2 * prices, prices, prices))
    open_, kept = np.ones((prices, prices), bool), np.eye(prices, dtype=bool)
    chosen, moved = np.indices((prices, prices)), np.arange(2 * prices) < prices
    # After player 0 has moved, player 1 is next and finds the price that was chosen, and the other way round.
    successors = np.where(moved[:, None, None], prices + chosen[0], chosen[1])
    labels = [f"{k}/{steps}" for k in range(prices)]
    return TabularGame(
        reward,
        listed(successors[..., None], np.ones(1)),
        discount=discount,
        legal=[np.concatenate([open_, kept]), np.concatenate([kept, open_])],
        state_labels=[f"firm {mover} moves, rival at {label}" for mover in (0, 1) for label in labels],
        action_labels=[labels] * 2,
        player_labels=("firm 0", "firm 1"),
        name="price_duopoly",
    )

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


def _equilibria(game: TabularGame, steps: int, discount: float) -> tuple[KnownEquilibrium, ...]:
    """The two symmetric equilibria that Maskin and Tirole print for the seven prices k/6, where they exist.

    There are others, in which the firms play different roles; no complete list is known. None is pure at the default
    discount, as one sees from all 7^7 reactions of a firm and every pure best response to each.
    """
    found = []
    if steps == 6 and discount >= 5 / 9:
        found.append(_kinked_demand(discount))
    if steps == 6 and 3 * discount**2 >= 1:
        found.append(_edgeworth_cycle(discount))
    return tuple(found)


def _kinked_demand(discount: float) -> KnownEquilibrium:
    r"""Kinked demand (in 36ths: profits 0, 5, 8, 9, 8, 5, 0), with the monopoly price 3 as the focal one.

    The mover answers 6, 5, 4, 3 and 0 by 3, 2 by 1, and 1 by a war of attrition: it raises the price to 3 with the
    chance $\beta$ that leaves both indifferent. With $v=\frac{9/2}{1-\gamma}$ the mover's value at 3, raising from 1
    earns $\gamma v$; staying earns $\frac52+\gamma[\beta(5+\gamma v)+(1-\beta)(\frac52+\gamma^2v)]$. Hence
    $\beta=\frac{(1+\gamma)(9\gamma-5)}{\gamma(5+9\gamma)}$, a probability for $\gamma\ge5/9$. Of the other deviations
    the most tempting undercuts 3 by 2, $8+\gamma^3v\le\frac92+\gamma v$, and never pays above that either.
    """
    raises = (1 + discount) * (9 * discount - 5) / (discount * (5 + 9 * discount))
    answer = np.zeros((7, 7))
    answer[[0, 3, 4, 5, 6], 3] = 1.0
    answer[2, 1] = 1.0
    answer[1, [1, 3]] = 1 - raises, raises
    v = 4.5 / (1 - discount)
    low = 2.5 + discount * (raises * (5 + discount * v) + (1 - raises) * (2.5 + discount**2 * v))
    waiting = {3: v, 1: (low - 2.5) / discount}
    return _symmetric(discount, answer, waiting, "kinked demand: focal monopoly price, war of attrition at 1/6")


def _edgeworth_cycle(discount: float) -> KnownEquilibrium:
    r"""Edgeworth cycle: the mover undercuts by a step down to 0, where each waits for the other to raise the price.

    It answers 6 and 5 by 4, then each price by the next lower one, and 0 by 5 with a chance $1-\alpha$ that leaves it
    indifferent. With g for $\gamma^2$ and w the mover's value at 0: the values at 1, ..., 5 are $w$, $5+gw$, $8+gw$,
    $9+5g+g^2w$ and $8+8g+g^2w$. Raising leaves the mover at 4 next, $w=g(9+5g+g^2w)$; staying earns
    $g(\alpha w+(1-\alpha)(8+8g+g^2w))$. Hence $w=\frac{g(9+5g)}{1-g^3}$ and
    $\alpha=\frac{(3g-1)(1+g+g^2)}{8+7g+2g^2+3g^3}$, a probability for $3g\ge1$; that is also where answering 5 by 4
    is as good as by 3, $8+8g\ge9+5g$, and the other deviations pay less.
    """
    g = discount**2
    stays = (3 * g - 1) * (1 + g + g**2) / (8 + 7 * g + 2 * g**2 + 3 * g**3)
    answer = np.zeros((7, 7))
    answer[[1, 2, 3, 4, 5, 6], [0, 1, 2, 3, 4, 4]] = 1.0
    answer[0, [0, 5]] = stays, 1 - stays
    w = g * (9 + 5 * g) / (1 - g**3)
    found_next = [w, w, 5 + g * w, 8 + g * w, 9 + 5 * g + g**2 * w]  # by a firm at 1, ..., 5, which has sold nothing
    waiting = {0: w / discount} | {k: discount * value for k, value in enumerate(found_next, 1)}
    return _symmetric(discount, answer, waiting, "Edgeworth cycle: undercutting by a step, war of attrition at 0")


def _symmetric(
    discount: float, answer: Float[np.ndarray, "7 7"], waiting: dict[int, float], note: str
) -> KnownEquilibrium:
    """Both firms `answer` alike; `waiting` is what a firm committed to a price will earn while the other moves.

    It holds all prices that are best answers to something.
    """
    profit = 36 * _profits(6)
    mover = np.array([max(profit[p, c] + discount * waiting[p] for p in waiting) for c in range(7)])
    committed = np.einsum("cp,cp->c", answer, profit + discount * mover)
    values = np.array([np.concatenate([mover, committed]), np.concatenate([committed, mover])]) / 36
    idle = np.eye(7)
    profile = (np.concatenate([answer, idle]), np.concatenate([idle, answer]))
    return KnownEquilibrium(profile, values, note)


@entry(
    "Maskin and Tirole, A theory of dynamic oligopoly II: price competition, kinked demand curves, and Edgeworth "
    "cycles, 1988",
    _equilibria,
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

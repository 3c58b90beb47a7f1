"""An Ericson-Pakes industry: firms invest to climb a quality ladder, while an outside good keeps improving."""

import itertools

import numpy as np
from jaxtyping import Float
from scipy.special import lambertw

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame
from equinfer.tables import refuse_unless_it_fits

__all__ = ["bertrand_profits", "quality_ladder"]


def bertrand_profits(quality: Float[np.ndarray, "S N"], market: float) -> Float[np.ndarray, "S N"]:
    r"""Profits of single-product firms that set prices under logit demand with an outside good.

    Firm i's share is $D_i=e^{q_i-m_i}/(1+\sum_je^{q_j-m_j})$, $m_i$ its markup. Against the others' prices the best
    markup solves $m_i=1/(1-D_i)$, that is $m_i=1+W(e^{q_i-1}/(1+\sum_{j\ne i}e^{q_j-m_j}))$, $W$ the Lambert
    function. Best responses increase in each other and start below the equilibrium at 1, so their iteration climbs to
    it; the equilibrium of logit demand is unique. At it, profits are market size times $m_iD_i=m_i-1$.
    """
    markup, rivals = np.ones_like(quality), 1.0 - np.eye(quality.shape[1])
    rounding = 4 * np.finfo(float).eps * (1 + np.abs(quality).max())  # of the exponents
    while True:
        others = 1.0 + np.exp(quality - markup) @ rivals
        better = 1.0 + lambertw(np.exp(quality - 1.0) / others).real
        if np.abs(better - markup).max() <= rounding * better.max():
            return market * (better - 1.0)
        markup = better


def _levels(firms: int, levels: int) -> np.ndarray:
    """The firms' levels in every state, (S, N)."""
    return np.array(list(itertools.product(range(levels), repeat=firms)))


def _profits(firms: int, levels: int, step: float, market: float) -> Float[np.ndarray, "S N"]:
    return bertrand_profits(step * _levels(firms, levels), market)


def _no_investment(
    game: TabularGame,
    firms: int,
    levels: int,
    investments: int,
    cost: float,
    efficacy: float,
    shock: float,
    step: float,
    market: float,
    discount: float,
) -> tuple[KnownEquilibrium, ...]:
    r"""If even all profits at stake, $\gamma\,\mathrm{osc}(\text{profit})/(1-\gamma)$, cost less than one investment.

    Then not investing is dominant, strictly, in every state, and each value is the profit stream of a sinking industry:
    $V(k)=\pi(k)+\gamma[(1-\delta)V(k)+\delta V(\max(k-1,0))]$, solved from the bottom of the ladder upwards.
    """
    profit = _profits(firms, levels, step, market)
    if cost <= discount * (profit.max() - profit.min()) / (1 - discount):
        return ()
    below = np.maximum(_levels(firms, levels) - 1, 0) @ levels ** np.arange(firms)[::-1]
    values = np.empty_like(profit)
    for s, lower in enumerate(below):  # the state below comes before its own
        if lower == s:
            values[s] = profit[s] / (1 - discount)
        else:
            values[s] = (profit[s] + discount * shock * values[lower]) / (1 - discount * (1 - shock))
    policy = np.zeros((len(profit), investments))
    policy[:, 0] = 1.0
    note = "investing costs more than all future profits can differ by: not investing is strictly dominant"
    return (KnownEquilibrium((policy,) * firms, values.T, note, complete=True),)


def _own_moves(levels: int, investments: int, efficacy: float, fall: int) -> Float[np.ndarray, "K A K"]:
    """One firm's next level: up by one if its investment succeeds, down by `fall`, cut off at the ends."""
    moves = np.zeros((levels, investments, levels))
    for level, x in itertools.product(range(levels), range(investments)):
        success = efficacy * x / (1 + efficacy * x)
        for rise, chance in ((1, success), (0, 1 - success)):
            moves[level, x, np.clip(level + rise - fall, 0, levels - 1)] += chance
    return moves


def _joint_moves(own: Float[np.ndarray, "K A K"], firms: int) -> Float[np.ndarray, "S *A S"]:
    """All firms' next levels, independent of each other given whether the shock comes."""
    levels, investments = own.shape[:2]
    n = firms
    operands = [part for i in range(n) for part in (own, [i, n + i, 2 * n + i])]
    joint = np.einsum(*operands, [*range(n), *range(n, 2 * n), *range(2 * n, 3 * n)])
    return joint.reshape(levels**n, *(investments,) * n, levels**n)


@entry(
    "Pakes and McGuire, Computing Markov-perfect Nash equilibria, 1994; Borkovsky, Doraszelski and Kryukov, A user's "
    "guide to solving dynamic stochastic games using the homotopy method, 2010",
    _no_investment,
)
def quality_ladder(
    *,
    firms: int = 2,
    levels: int = 5,
    investments: int = 3,
    cost: float = 1.0,
    efficacy: float = 3.0,
    shock: float = 0.7,
    step: float = 1.0,
    market: float = 5.0,
    discount: float = 0.925,
) -> TabularGame:
    r"""Quality ladder: firms sell under logit demand, and invest to climb against a common depreciation shock.

    A state is every firm's level k, of quality `step` k. A firm earns its Bertrand profit (`bertrand_profits`) less
    `cost` x for an investment x in 0, ..., `investments` - 1, which lifts it one level with probability
    $\alpha x/(1+\alpha x)$, $\alpha$ the `efficacy`; with probability `shock` the outside good improves and all firms
    fall one level.
    """
    for what, value, least in (("firms", firms, 1), ("levels", levels, 1), ("investments", investments, 1)):
        require(value >= least, f"quality_ladder needs {what} >= {least}; got {value}.")
    for what, value in (("cost", cost), ("efficacy", efficacy), ("step", step), ("market", market)):
        require(value >= 0, f"quality_ladder needs {what} >= 0; got {value:g}.")
    require(
        step * (levels - 1) <= 100,
        f"quality_ladder needs step * (levels - 1) <= 100, a best quality of e^100; got {step * (levels - 1):g}.",
    )
    require(0 <= shock <= 1, f"quality_ladder needs a shock in [0, 1]; got {shock:g}.")
    states = levels**firms
    refuse_unless_it_fits(firms, states, (investments,) * firms, "quality_ladder")
    profit = _profits(firms, levels, step, market).T.reshape(firms, states, *(1,) * firms)
    spent = cost * np.indices((investments,) * firms, dtype=float)[:, None]
    kernel = (1 - shock) * _joint_moves(_own_moves(levels, investments, efficacy, 0), firms)
    kernel += shock * _joint_moves(_own_moves(levels, investments, efficacy, 1), firms)
    labels = ["-".join(map(str, state)) for state in _levels(firms, levels)]
    return TabularGame(
        profit - spent,
        kernel,
        discount=discount,
        state_labels=labels,
        action_labels=[tuple(f"invest {x}" for x in range(investments))] * firms,
        player_labels=[f"firm {i}" for i in range(firms)],
        name="quality_ladder",
    )

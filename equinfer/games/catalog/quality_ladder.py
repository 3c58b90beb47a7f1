"""An Ericson-Pakes industry: firms invest to climb a quality ladder, while an outside good keeps improving."""

import itertools

import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp, wrightomega

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.kernels import listed, worth_listing
from equinfer.games.tabular import TabularGame
from equinfer.tables import refuse_unless_it_fits

__all__ = ["bertrand_profits", "quality_ladder"]


def bertrand_profits(quality: Float[np.ndarray, "S N"], market: float) -> Float[np.ndarray, "S N"]:
    r"""Profits of single-product firms that set prices under logit demand with an outside good.

    Firm i's share is $D_i=e^{q_i-m_i}/(1+\sum_je^{q_j-m_j})$, $m_i$ its markup. Against the others' prices the best
    markup solves $m_i=1/(1-D_i)$, that is $m_i=1+W(e^{q_i-1}/(1+\sum_{j\ne i}e^{q_j-m_j}))$, $W$ the Lambert
    function. Best responses increase in each other and start below the equilibrium at 1, so their iteration climbs to
    it; the equilibrium of logit demand is unique. At it, profits are market size times $m_iD_i=m_i-1$. Everything is
    in logarithms, $W(e^z)$ being Wright's omega function of z, so that no quality is too large.
    """
    markup = np.ones_like(quality)
    rounding = 4 * np.finfo(float).eps * (1 + np.abs(quality).max())  # of the exponents
    while True:
        better = 1.0 + wrightomega(quality - 1.0 - _log_rivals(quality - markup))
        if np.abs(better - markup).max() <= rounding * better.max():
            return market * (better - 1.0)
        markup = better


def _log_rivals(utility: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "S N"]:
    r"""$\log(1+\sum_{j\ne i}e^{u_j})$: the outside good has utility 0."""
    weighed = np.zeros_like(utility)
    for i in range(utility.shape[1]):
        against = utility.copy()
        against[:, i] = 0.0  # the outside good takes the firm's place
        weighed[:, i] = logsumexp(against, axis=1)
    return weighed


def _levels(firms: int, levels: int) -> np.ndarray:
    """The firms' levels in every state, (S, N)."""
    return np.indices((levels,) * firms).reshape(firms, -1).T


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


def _moves(firms: int, levels: int, investments: int, efficacy: float, shock: float) -> tuple[np.ndarray, np.ndarray]:
    """Successors (S, 1, ..., 1, M) and probabilities (1, A_1, ..., A_N, M): each firm rises or not, all fall or not.

    Where a firm may go depends on its level alone, with what chance on its investment alone; levels are cut off at the
    ends of the ladder. Outcomes that lead to the same state are listed apart.
    """
    invested = np.arange(investments)
    success = efficacy * invested / (1 + efficacy * invested)
    here, strides = _levels(firms, levels), levels ** np.arange(firms)[::-1]
    successors, probabilities = [], []
    for fall, *rises in itertools.product((0, 1), repeat=1 + firms):
        there = np.clip(here + np.array(rises) - fall, 0, levels - 1)
        successors.append((there @ strides).reshape(-1, *[1] * firms))
        chance = np.array(shock if fall else 1 - shock)
        for rise in rises:
            chance = chance[..., None] * (success if rise else 1 - success)
        probabilities.append(chance[None])
    return np.stack(successors, axis=-1), np.stack(probabilities, axis=-1)


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
    require(0 <= shock <= 1, f"quality_ladder needs a shock in [0, 1]; got {shock:g}.")
    states = levels**firms
    outcomes = 2 ** (firms + 1)
    lists = outcomes if worth_listing(states, outcomes) else None
    refuse_unless_it_fits(firms, states, (investments,) * firms, "quality_ladder", lists)
    profit = _profits(firms, levels, step, market).T.reshape(firms, states, *(1,) * firms)
    spent = cost * np.indices((investments,) * firms, dtype=float)[:, None]
    labels = ["-".join(map(str, state)) for state in itertools.product(range(levels), repeat=firms)]
    return TabularGame(
        profit - spent,
        listed(*_moves(firms, levels, investments, efficacy, shock)),
        discount=discount,
        state_labels=labels,
        action_labels=[tuple(f"invest {x}" for x in range(investments))] * firms,
        player_labels=[f"firm {i}" for i in range(firms)],
        name="quality_ladder",
    )

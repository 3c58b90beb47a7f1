r"""From a point close to an equilibrium to the equilibrium itself: guess the supports, solve on them, repair them.

On a support every action of a player is worth the same. The unknowns are the probabilities of all states' supports
but one reference action each, the values are eliminated exactly by policy evaluation, and Newton's method solves
$\bar Q^i(s,a)=\bar Q^i(s,a_0)$ for all states at once. Supports need not be square state by state: one agent can be
indifferent in $s$ because another mixes in $s'$.
"""

import contextlib
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Bool, Float, Int

from equinfer.solvers.tabular.factors import AbstractFactors, DenseFactors, SingularSystemError
from equinfer.solvers.tabular.moves import AbstractMoves
from equinfer.solvers.tabular.scaled import ScaledGame

__all__ = ["Equilibrium", "Values", "difference_jacobian", "exact_values", "indifferences", "polish"]

MOST_ITERATIONS = 12
MOST_REPAIRS = 25
SINGULAR = 1e-10
"""Reciprocal condition number below which a system is taken for singular."""
SMALL = 200
NEAR = 1e-2
"""Regret, in unit rewards, up to which a large singular system may be the sign of a continuum of equilibria."""


@dataclass(frozen=True, eq=False)
class Equilibrium:
    """A Nash equilibrium to rounding."""

    policy: Float[np.ndarray, "S n"]
    value: Float[np.ndarray, "S N"]
    regret: float
    """Largest one-shot gain, in the unit of the scaled game."""
    index: int
    """Sign of the determinant of the negative payoff-difference Jacobian on the support: +1, -1, or 0 if singular.

    A branch of regularised equilibria that comes from infinite temperature arrives, while it cools, at index +1.
    """


class Values(NamedTuple):
    """Exact policy evaluation and what it took."""

    moves: AbstractMoves
    resolvents: tuple[AbstractFactors, ...]
    r"""$I-\gamma_iP_\pi$, factored; the same for players who discount alike."""
    action_values: Float[np.ndarray, "S n"]
    value: Float[np.ndarray, "S N"]

    def visits(self, states: Int[np.ndarray, " K"]) -> tuple[Float[np.ndarray, "S K"], ...]:
        r"""Columns of each player's $(I-\gamma_iP_\pi)^{-1}$: discounted visits of `states` from everywhere."""
        starts = np.zeros((len(self.value), states.size), order="F")
        starts[states, np.arange(states.size)] = 1.0
        solved = {factors: factors.solve(starts) for factors in set(self.resolvents)}
        return tuple(solved[factors] for factors in self.resolvents)


def polish(
    game: ScaledGame, policy: Float[np.ndarray, "S n"], support: Bool[np.ndarray, "S n"], *, tolerance: float = 1e-12
) -> Equilibrium | None:
    r"""The equilibrium on the support of `policy`, repaired until it is one; None if the repair leads nowhere.

    **Arguments:** legal actions of `support`, and each player's likeliest by `policy`, are the first support;
    `tolerance` is the largest one-shot gain accepted, relative to the size of the values.
    """
    support = (support & game.legal) | _likeliest(game, policy)
    seen, instead = set(), None
    for _ in range(MOST_REPAIRS):
        if support.tobytes() in seen:
            return None
        seen.add(support.tobytes())
        solved = _on_support(game, support, policy)
        if solved is None:
            if instead is None:
                return None
            support, instead = instead, None
            continue
        policy, values, index = solved
        allowed = tolerance * (1.0 + float(np.abs(values.value).max()))
        regret = np.where(game.legal, values.action_values - values.value[:, game.owner], -np.inf)
        negative = policy < -1e-13
        better = ~support & (regret > allowed)
        if not negative.any() and not better.any():
            return _accepted(game, policy, index, allowed)
        best = better & _likeliest(game, np.where(better, regret, -np.inf))
        kept = support & ~negative
        support = kept | best
        # Where nobody is there to make the newcomer and the old ones worth the same, the newcomer takes their place.
        instead = np.where(np.logical_or.reduceat(best, game.starts, axis=1)[:, game.owner], best, kept)
        policy = _normalised(game, np.where(support, np.maximum(policy, 0.0), 0.0), support)
    return None


def exact_values(
    game: ScaledGame, policy: Float[np.ndarray, "S n"], bonus: Float[np.ndarray, "S n"] | None = None
) -> Values:
    """Values and action values of a flat profile, by one linear solve a player (one in all for equal discounts).

    **Arguments:** `bonus` is earned beside the reward where an action is taken, and is no part of its action value.
    """
    moves = game.moves(policy)
    rewards = game.action_values(policy, game.reward)
    earned = policy * (rewards if bonus is None else rewards + bonus)
    resolvents: dict[float, AbstractFactors] = {}
    value = np.empty((game.num_states, game.num_players))
    for i, (discount, columns) in enumerate(zip(game.discount.tolist(), game.columns, strict=True)):
        if discount not in resolvents:
            resolvents[discount] = moves.resolvent(i, policy)
        value[:, i] = resolvents[discount].solve(earned[:, columns].sum(axis=1))
    action_values = rewards + moves.times(value)
    return Values(moves, tuple(resolvents[g] for g in game.discount.tolist()), action_values, value)


def _on_support(
    game: ScaledGame, support: Bool[np.ndarray, "S n"], policy: Float[np.ndarray, "S n"]
) -> tuple[Float[np.ndarray, "S n"], Values, int] | None:
    """Newton's method on one support, from a profile; the profile found may have negative entries."""
    policy = _normalised(game, np.where(support, policy, 0.0), support)
    state, action, base = indifferences(game, policy, support)
    values, index, previous = exact_values(game, policy), 1, np.inf
    if not state.size:
        return policy, values, index
    for _ in range(MOST_ITERATIONS):
        error = values.action_values[state, action] - values.action_values[state, base]
        size = float(np.abs(error).max())
        floor = 1e-14 * (1.0 + float(np.abs(values.value).max()))
        jacobian = difference_jacobian(game, policy, values, state, action, base)
        if size < 1e-9 and (size <= floor or size > previous / 4):
            return policy, values, int(np.linalg.slogdet(-jacobian)[0])
        previous = size
        step = _least_squares(jacobian, -error)
        if not np.abs(step).max() < 3.0:
            return None
        policy = policy.copy()
        np.add.at(policy, (state, action), step)
        np.add.at(policy, (state, base), -step)
        values = exact_values(game, policy)
    return None


def indifferences(
    game: ScaledGame, policy: Float[np.ndarray, "S n"], support: Bool[np.ndarray, "S n"]
) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """The equations of a support: states, actions, and the player's likeliest action, to be worth the same."""
    reference = _likeliest(game, np.where(support, policy, -1.0))
    state, action = np.nonzero(support & ~reference)
    base = np.argmax(reference[state] & (game.owner[None] == game.owner[action, None]), axis=1)
    return state, action, base


def difference_jacobian(
    game: ScaledGame, policy: np.ndarray, values: Values, state: np.ndarray, action: np.ndarray, base: np.ndarray
) -> Float[np.ndarray, "k k"]:
    r"""Derivatives of $\bar Q^i(s,a)-\bar Q^i(s,a_0)$ in $\pi_j(s',b)$, the reference action of $(s',j)$ giving way.

    Through the others' play in the same state, and through $V_i$, whose derivative is the resolvent's column $s'$
    times what the change is worth to $i$ in $s'$.
    """
    pairs = game.pair_values(policy, game.action_tables(values.value))
    mover = game.owner[action]
    jacobian = np.zeros((state.size, state.size))
    touched, place = np.unique(state, return_inverse=True)
    visits = values.visits(touched)
    for i, columns in enumerate(game.columns):
        rows = np.flatnonzero(mover == i)
        if not rows.size:
            continue
        worth = np.einsum("sa,sab->sb", policy[:, columns], pairs[:, columns])  # of b to i; own actions below
        worth[:, columns] = values.action_values[:, columns]
        change = worth[state, action] - worth[state, base]
        moved = values.moves.rows(i, state[rows], action[rows]) - values.moves.rows(i, state[rows], base[rows])
        jacobian[rows] = (moved @ visits[i])[:, place] * change
        near, far = np.nonzero(state[rows, None] == state[None])
        row = rows[near]
        s, a, a0, b, b0 = state[row], action[row], base[row], action[far], base[far]
        jacobian[row, far] += pairs[s, a, b] - pairs[s, a, b0] - pairs[s, a0, b] + pairs[s, a0, b0]
    return jacobian


def _least_squares(matrix: Float[np.ndarray, "k k"], right: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """The solution, or the shortest least-squares solution of a singular system (ties, continua of equilibria).

    A large one that is singular far from an equilibrium only shows that the support is wrong: infinite.
    """
    with contextlib.suppress(SingularSystemError):
        factors = DenseFactors(matrix.copy())
        solution = factors.solve(right)
        if np.all(np.abs(solution) < 10.0) or factors.reciprocal_condition > SINGULAR:
            return solution
    if right.size > SMALL:
        if np.abs(right).max() > NEAR:
            return np.full_like(right, np.inf)
        return np.linalg.lstsq(matrix, right, rcond=SINGULAR)[0]  # slower, but other threads can go on meanwhile
    shortest: Any = scipy.linalg.lstsq(matrix, right, cond=SINGULAR, lapack_driver="gelsy", check_finite=False)
    return shortest[0]


def _accepted(game: ScaledGame, policy: Float[np.ndarray, "S n"], index: int, allowed: float) -> Equilibrium | None:
    """The profile with its rounding clipped, if it still is an equilibrium."""
    policy = np.maximum(policy, 0.0)
    policy /= game.totals(policy)[:, game.owner]
    values = exact_values(game, policy)
    regret = np.where(game.legal, values.action_values - values.value[:, game.owner], -np.inf)
    worst = float(regret.max())
    return Equilibrium(policy, values.value, worst, index) if worst <= 4 * allowed else None


def _likeliest(game: ScaledGame, score: Float[np.ndarray, "S n"]) -> Bool[np.ndarray, "S n"]:
    """Each player's legal action of the highest score, the first of equals."""
    score = np.where(game.legal, score, -np.inf)
    marks = np.zeros(score.shape, bool)
    for columns in game.columns:
        best = np.argmax(score[:, columns], axis=1) + columns.start
        marks[np.arange(len(score)), best] = True
    return marks


def _normalised(
    game: ScaledGame, policy: Float[np.ndarray, "S n"], support: Bool[np.ndarray, "S n"]
) -> Float[np.ndarray, "S n"]:
    """Rows that sum to one; a player who has lost all mass in a state plays its support uniformly."""
    total = game.totals(policy)[:, game.owner]
    count = game.totals(support.astype(float))[:, game.owner]
    return np.where(total > 0, policy, support / np.maximum(count, 1.0)) / np.where(total > 0, total, 1.0)

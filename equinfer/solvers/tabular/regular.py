r"""A regular equilibrium, and how it answers to small changes of the game.

At fixed values $V$, a change of the game is a change $\dot Q$ of the tables $Q^i(s,a)=r^i(s,a)+\gamma_iE[V^i(s')\mid
s,a]$. At fixed play it changes the values by $\dot V_i=(I-\gamma_iP_\pi)^{-1}E_\pi[\dot Q^i]$, and the worth of an
action by $\dot Q^i(s,a^i)+\gamma_iE[\dot V_i(s')\mid s,a^i]$, averaged over the others. Play answers so that every
action of the support stays worth the same: with $F(\pi)$ the differences of worth on the support,
$\dot\pi=-(\partial F/\partial\pi)^{-1}\dot F$ (implicit function theorem). That needs an equilibrium that is *regular*:
actions off the support are strictly worse, those on it have positive probability, and the Jacobian can be inverted.

Inside, every player's payoffs are centred and in units of their own range, so that no tolerance knows of units.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from equinfer.contraction import product_law
from equinfer.errors import BadInput
from equinfer.games.kernels import AbstractKernel
from equinfer.games.units import in_own_units
from equinfer.memory import refuse_beyond_half
from equinfer.solvers.tabular.factors import AbstractFactors, DenseFactors, SingularSystemError
from equinfer.solvers.tabular.polish import Values, difference_jacobian, exact_values, indifferences, polish
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.tables import joint_mask
from equinfer.types import Legal

__all__ = ["Naming", "RegularEquilibrium"]

Naming = Callable[[int, int], tuple[str, str]]
"""(state, column of a flat profile) to the names of the place (player and state) and of the action."""

LEAST_PROBABILITY = 1e-10
LEAST_MARGIN = 1e-10
"""By how much an unplayed action must be worse, relative to the values."""
LEAST_SLOPE = 1e-13
"""Derivatives of a difference of action values, relative to the values, that count as rounding when none is larger."""
FARTHEST = 1e-6
"""How far a profile may be from the equilibrium on its support, in probability."""
WORST_CONDITION = 1e12


@dataclass(frozen=True, eq=False)
class RegularEquilibrium:
    """A regular equilibrium of a discounted game with its linearised equations, factored."""

    game: ScaledGame
    units: Float[np.ndarray, " N"]
    """Each player's unit of reward in `game`."""
    policy: Float[np.ndarray, "S n"]
    values: Values
    pairs: Float[np.ndarray, "S n n"]
    r"""$\partial\bar Q/\partial\pi$ at fixed values, state by state."""
    support: tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"], Int[np.ndarray, " k"]]
    """States, actions and reference actions of the indifference equations, which are also the unknowns."""
    row_sizes: Float[np.ndarray, " k"]
    """By which the rows of the Jacobian were divided, so that small slopes weigh as much as large ones."""
    factors: DenseFactors | None
    """Of the Jacobian with rows of one size; None if nobody mixes."""
    condition: float
    """Its condition number in the maximum norm; 1 if nobody mixes."""

    @classmethod
    def of(
        cls,
        reward: Float[np.ndarray, "N S *A"],
        kernel: AbstractKernel,
        discount: Float[np.ndarray, " N"],
        legal: Legal,
        policy: Float[np.ndarray, "S n"],
        naming: Naming,
    ) -> "RegularEquilibrium":
        """The equilibrium of a discounted game on the support of `policy`, a flat profile close to it.

        **Raises:** `BadInput` with the reason, if there is none within rounding, it is not regular, or its Jacobian
        would not fit in memory.
        """
        normed, units = in_own_units(reward, joint_mask([np.asarray(mask) for mask in legal]))
        game = ScaledGame.of_arrays(normed, kernel, discount, legal)
        _refuse_unless_it_fits(game, policy)
        found = polish(game, policy, policy > LEAST_PROBABILITY)
        if found is None or np.abs(found.policy - policy).max() > FARTHEST:
            raise BadInput(
                "the profile is not an equilibrium to rounding, so it has no derivative; solve the game with an exact "
                "solver (stage-nash, homotopy) first."
            )
        policy, values = found.policy, exact_values(game, found.policy)
        units = units * game.unit
        _refuse_ties(game, policy, values, units, naming)
        support = indifferences(game, policy, policy > 0)
        jacobian = difference_jacobian(game, policy, values, *support)
        row_sizes = np.abs(jacobian).max(axis=1, initial=0.0)
        jacobian /= np.where(row_sizes > LEAST_SLOPE * _size_of(values), row_sizes, np.inf)[:, None]
        factors, condition = _factored(jacobian)
        if not condition < WORST_CONDITION:
            _refuse_singular(jacobian, condition, support, naming)
        pairs = game.pair_values(policy, game.action_tables(values.value))
        return cls(game, units, policy, values, pairs, support, row_sizes, factors, condition)

    def jvp(self, tables: Float[np.ndarray, "N S *A"]) -> tuple[Float[np.ndarray, "S n"], Float[np.ndarray, "S N"]]:
        r"""The derivative of the profile and of the values in the direction $\dot Q$, in units of reward."""
        game, (state, action, base) = self.game, self.support
        direct = game.action_values(self.policy, tables / self._unit_of_tables)
        value = self._evaluated(direct)
        worth = direct + self.values.moves.times(value)
        moves = -self._solved(worth[state, action] - worth[state, base])
        policy = np.zeros_like(self.policy)
        np.add.at(policy, (state, action), moves)
        np.add.at(policy, (state, base), -moves)
        value += self._evaluated((self.pairs @ policy[:, :, None])[:, :, 0])
        return policy, self.units * value

    def vjp(self, policy: Float[np.ndarray, "S n"], value: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "N S *A"]:
        r"""The transpose of `jvp`: the gradient in $Q$ of a function with these gradients in the profile and values."""
        game, (state, action, base) = self.game, self.support
        value = self.units * value
        visits = self._visited(value)
        policy = policy + (np.swapaxes(self.pairs, 1, 2) @ (self.policy * visits[:, game.owner])[:, :, None])[:, :, 0]
        moves = -self._solved(policy[state, action] - policy[state, base], transposed=True)
        worth = np.zeros_like(self.policy)
        np.add.at(worth, (state, action), moves)
        np.add.at(worth, (state, base), -moves)
        followed = self.values.moves.transposed_times(worth)
        direct = worth + self.policy * self._visited(value + followed)[:, game.owner]
        own, profile = game.split(direct), game.split(self.policy)
        laws = [product_law((*profile[:i], own[i], *profile[i + 1 :])) for i in range(game.num_players)]
        return np.stack(laws) / self._unit_of_tables

    @property
    def _unit_of_tables(self) -> Float[np.ndarray, "N 1 *A"]:
        return self.units.reshape(-1, *[1] * (self.game.reward.ndim - 1))

    def _evaluated(self, gains: Float[np.ndarray, "S n"]) -> Float[np.ndarray, "S N"]:
        """What a change of the worth of actions, once, is to the values: its discounted sum over the chain."""
        sums = self.game.totals(self.policy * gains).T
        return np.stack([factors.solve(each) for factors, each in self._resolvents_of(sums)], axis=1)

    def _visited(self, weight: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "S N"]:
        """Discounted visits from starts of these weights."""
        return np.stack(
            [factors.solve(each, transposed=True) for factors, each in self._resolvents_of(weight.T)], axis=1
        )

    def _resolvents_of(self, rows: Float[np.ndarray, "N S"]) -> Iterator[tuple[AbstractFactors, np.ndarray]]:
        return zip(self.values.resolvents, np.ascontiguousarray(rows), strict=True)

    def _solved(self, right: Float[np.ndarray, " k"], *, transposed: bool = False) -> Float[np.ndarray, " k"]:
        """The inverse of the Jacobian, or of its transpose, times a vector."""
        if self.factors is None:
            return right
        if transposed:
            return self.factors.solve(right, transposed=True) / self.row_sizes
        return self.factors.solve(right / self.row_sizes)


def _refuse_unless_it_fits(game: ScaledGame, policy: Float[np.ndarray, "S n"]) -> None:
    """**Raises:** `BadInput` with the estimate, if the Jacobian would not fit in half of this machine's memory."""
    played = game.totals((policy > LEAST_PROBABILITY).astype(float))
    mixing, touched = int(np.maximum(played - 1, 0).sum()), int((played > 1).any(axis=1).sum())
    # The Jacobian, its factors and what it is built from; visits of the states of which it speaks, from everywhere.
    needed = 8 * (4 * mixing**2 + game.num_players * game.num_states * touched)
    refuse_beyond_half(
        f"the equilibrium has {mixing} mixing probabilities in {touched} of {game.num_states} states: its Jacobian and "
        "what that is built from",
        needed,
    )


def _refuse_ties(
    game: ScaledGame,
    policy: Float[np.ndarray, "S n"],
    values: Values,
    units: Float[np.ndarray, " N"],
    naming: Naming,
) -> None:
    """Refuse an equilibrium in which an action enters or leaves a support at the least change of the game.

    **Raises:** `BadInput` that names the player, the state and the action.
    """
    margin = np.where(game.legal & (policy == 0), values.value[:, game.owner] - values.action_values, np.inf)
    s, column = _place_of_least(margin)
    if margin[s, column] <= LEAST_MARGIN * _size_of(values):
        where, action = naming(s, column)
        short = max(margin[s, column], 0.0) * units[game.owner[column]]
        raise BadInput(
            f"not regular: {where} does not play {action}, which is worth as much as what it plays (within "
            f"{short:.1g}); the smallest change of the game can bring it in."
        )
    played = np.where(policy > 0, policy, np.inf)
    s, column = _place_of_least(played)
    if played[s, column] < LEAST_PROBABILITY:
        where, action = naming(s, column)
        raise BadInput(
            f"not regular: {where} plays {action} with probability {played[s, column]:.1g} only; the smallest change "
            "of the game can drop it."
        )


def _refuse_singular(
    jacobian: Float[np.ndarray, "k k"], condition: float, support: tuple[np.ndarray, ...], naming: Naming
) -> None:
    """**Raises:** `BadInput` that names where play can move most without upsetting anybody's indifference."""
    weakest = int(np.argmax(np.abs(np.linalg.svd(jacobian)[2][-1])))
    s, column, base = (int(part[weakest]) for part in support)
    (where, action), (_, other) = naming(s, column), naming(s, base)
    raise BadInput(
        f"not regular: the indifference equations are singular (condition number {condition:.1g}). {where} can shift "
        f"weight between {other} and {action} while everybody stays indifferent: the equilibrium belongs to a "
        "continuum, or branches or folds here."
    )


def _size_of(values: Values) -> float:
    """Of action values in players' own units, in which rewards have a range of one."""
    return 1.0 + float(np.abs(values.value).max())


def _place_of_least(array: Float[np.ndarray, "S n"]) -> tuple[int, int]:
    row, column = np.unravel_index(np.argmin(array), array.shape)
    return int(row), int(column)


def _factored(matrix: Float[np.ndarray, "k k"]) -> tuple[DenseFactors | None, float]:
    """The factors, and the condition number in the maximum norm, estimated from them: infinite if it is singular."""
    if not matrix.size:
        return None, 1.0
    try:
        factors = DenseFactors(matrix.copy())
    except SingularSystemError:
        return None, np.inf
    return factors, 1.0 / max(factors.reciprocal_condition, 1e-300)

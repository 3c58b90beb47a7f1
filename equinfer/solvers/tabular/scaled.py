"""A tabular game as the path and the polish see it: unit payoffs, all players' actions side by side."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.contraction import expected_own, expected_pair
from equinfer.games.chains import SparseChain
from equinfer.games.kernels import AbstractKernel
from equinfer.solvers.tabular.moves import AbstractMoves, DenseMoves, SparseMoves, no_moves
from equinfer.tables import Sizes, joint_mask

__all__ = ["ScaledGame"]


@dataclass(frozen=True, eq=False)
class ScaledGame(Sizes):
    r"""A discounted game in a unit in which the widest reward range is one, every player's rewards centred.

    The unit is common to all players, so that one temperature $\tau$ = `unit` / $\lambda$ serves them all and the
    branch of regularised equilibria is the game's own. Players' actions stand side by side: a *flat* profile is
    (S, n) with $n=\sum_iA_i$, zero on illegal actions; values are (S, N). NumPy throughout.
    """

    reward: Float[np.ndarray, "N S *A"]
    kernel: AbstractKernel
    discount: Float[np.ndarray, " N"]
    legal: Bool[np.ndarray, "S n"]
    unit: float

    @classmethod
    def of(cls, game: Any) -> "ScaledGame":
        """The scaled form of a `TabularGame` with an infinite horizon."""
        return cls.of_arrays(game.reward, game.kernel, game.discount, game.legal)

    @classmethod
    def of_arrays(cls, reward: Any, kernel: AbstractKernel, discount: Any, legal: Any) -> "ScaledGame":
        reward, masks = np.asarray(reward, float), [np.asarray(mask) for mask in legal]
        joint = joint_mask(masks)
        low, high = reward[:, joint].min(axis=1), reward[:, joint].max(axis=1)
        unit = float(np.max(high - low)) or 1.0
        middle = ((low + high) / 2).reshape(-1, *[1] * (reward.ndim - 1))
        return cls(
            reward=np.where(joint, (reward - middle) / unit, 0.0),
            kernel=jax.tree.map(np.asarray, kernel),
            discount=np.asarray(discount, float),
            legal=np.concatenate(masks, axis=1),
            unit=unit,
        )

    @cached_property
    def starts(self) -> Int[np.ndarray, " N"]:
        """Where each player's actions begin in a flat profile."""
        return np.cumsum((0, *self.num_actions[:-1]))

    @cached_property
    def owner(self) -> Int[np.ndarray, " n"]:
        """The player to whom each column of a flat profile belongs."""
        return np.repeat(np.arange(self.num_players), self.num_actions)

    @cached_property
    def columns(self) -> tuple[slice, ...]:
        """The columns of each player in a flat profile."""
        return tuple(slice(a, a + k) for a, k in zip(self.starts, self.num_actions, strict=True))

    @cached_property
    def own(self) -> Float[np.ndarray, "N n"]:
        """One where the column is the player's."""
        return np.equal.outer(np.arange(self.num_players), self.owner).astype(float)

    @cached_property
    def same_owner(self) -> Bool[np.ndarray, "n n"]:
        return np.equal.outer(self.owner, self.owner)

    @cached_property
    def _expect(self) -> Callable[..., Any]:
        # A method looked up on an Equinox module is a new module each time, which costs more than a small average.
        return partial(type(self.kernel).expect, self.kernel)

    @cached_property
    def _induced_own(self) -> Callable[..., Any]:
        return partial(type(self.kernel).induced_own, self.kernel)

    def split(self, flat: Float[np.ndarray, "S n"]) -> tuple[Float[np.ndarray, "S _"], ...]:
        """One array (S, A_i) per player."""
        return tuple(flat[:, columns] for columns in self.columns)

    def totals(self, flat: Float[np.ndarray, "*batch n"]) -> Float[np.ndarray, "*batch N"]:
        """Sums over each player's own actions."""
        return np.add.reduceat(flat, self.starts, axis=-1)

    def action_tables(self, value: Float[np.ndarray, "S N"]) -> Float[np.ndarray, "N S *A"]:
        r"""$Q^i(s,a)=r^i(s,a)+\gamma_iE[V^i(s')\mid s,a]$ (Def. 5.1 without the term that no response can see)."""
        if not self.discount.any():
            return self.reward
        return self.reward + self._expect(np.ascontiguousarray((self.discount * value).T))

    def action_values(
        self, policy: Float[np.ndarray, "S n"], tables: Float[np.ndarray, "N S *A"]
    ) -> Float[np.ndarray, "S n"]:
        r"""$\bar Q^i(s,a^i)$, everybody's side by side."""
        profile = self.split(policy)
        return np.concatenate([expected_own(tables[i], profile, i) for i in range(self.num_players)], axis=1)

    def pair_values(
        self, policy: Float[np.ndarray, "S n"], tables: Float[np.ndarray, "N S *A"]
    ) -> Float[np.ndarray, "S n n"]:
        r"""$E[Q^i(s,a)\mid a^i,a^j]$ in row $(i,a^i)$ and column $(j,a^j)$: $\partial\bar Q^i(a^i)/\partial\pi_j(a^j)$.

        The blocks $j=i$ are zero.
        """
        profile, n = self.split(policy), self.owner.size
        pairs = np.zeros((self.num_states, n, n))
        for i in range(self.num_players):
            for j in range(self.num_players):
                if i != j:
                    block = expected_pair(tables[i], profile, i, j)
                    pairs[:, self.columns[i], self.columns[j]] = block if i < j else np.swapaxes(block, 1, 2)
        return pairs

    def moves(self, policy: Float[np.ndarray, "S n"]) -> AbstractMoves:
        r"""$\gamma_i P(s'\mid s,a^i)$ of the decision process that each player faces, side by side."""
        if not self.discount.any():
            return no_moves(self.num_states, self.columns)
        profile = self.split(policy)
        chains = [self._induced_own(i, profile) for i in range(self.num_players)]
        if all(isinstance(chain, SparseChain) for chain in chains):
            return SparseMoves(
                [g * chain.matrix() for g, chain in zip(self.discount, chains, strict=True)], self.columns
            )
        own = [g * chain.matrix for g, chain in zip(self.discount, chains, strict=True)]
        return DenseMoves(np.concatenate(own, axis=1), self.columns)

"""Transition kernels as objects: the questions that solvers ask, whatever the storage.

Dense today. A kernel with successor lists answers the same questions, so no solver needs to know which it holds.
"""

import abc
import math

import equinox as eqx
from jaxtyping import Float, Int

from equinfer.contraction import expected_own, product_law
from equinfer.types import AnyArray, Profile

__all__ = ["AbstractKernel", "DenseKernel"]


class AbstractKernel(eqx.Module):
    r"""$P(s'\mid s,a)$ of a finite stochastic game."""

    @property
    @abc.abstractmethod
    def num_states(self) -> int: ...

    @abc.abstractmethod
    def expect(self, value: Float[AnyArray, "*batch S"]) -> Float[AnyArray, "..."]:
        r"""$E[v(s')\mid s,a]$ for every state and joint action: (*batch, S) becomes (*batch, S, *A)."""

    @abc.abstractmethod
    def induced(self, profile: Profile) -> Float[AnyArray, "S S"]:
        r"""$\sum_a\prod_i\pi_i(a^i\mid s)P(s'\mid s,a)$: the Markov chain that everybody's play induces."""

    @abc.abstractmethod
    def induced_by(self, law: Float[AnyArray, "..."]) -> Float[AnyArray, "*batch S S"]:
        r"""$\sum_a\mathcal L(a\mid s)P(s'\mid s,a)$: the chains of laws (*batch, S, *A), correlated or not."""

    @abc.abstractmethod
    def induced_own(self, player: int, profile: Profile) -> Float[AnyArray, "S A_i S"]:
        r"""$\sum_{a^{-i}}\rho(a^{-i}\mid s)P(s'\mid s,a^i,a^{-i})$: the decision process that `player` faces."""

    @abc.abstractmethod
    def rows(self, states: Int[AnyArray, " K"], actions: Int[AnyArray, "K N"]) -> Float[AnyArray, "K S"]:
        r"""$P(\cdot\mid s_k,a_k)$ of K states and joint actions: what a simulator draws from."""

    @abc.abstractmethod
    def pushforward(self, law: Float[AnyArray, "S *A"]) -> Float[AnyArray, " S"]:
        r"""$\sum_{s,a}\mathcal L(s,a)P(s'\mid s,a)$: where a law over states and joint actions is one epoch later."""


class DenseKernel(AbstractKernel):
    """The kernel as one array (S, A_1, ..., A_N, S)."""

    probabilities: Float[AnyArray, "S *A S"]

    @property
    def num_states(self) -> int:
        return self.probabilities.shape[0]

    def expect(self, value: Float[AnyArray, "*batch S"]) -> Float[AnyArray, "..."]:
        rows = self.probabilities.reshape(-1, self.num_states)
        flat = value.reshape(-1, self.num_states) @ rows.T
        return flat.reshape(*value.shape[:-1], *self.probabilities.shape[:-1])

    def induced(self, profile: Profile) -> Float[AnyArray, "S S"]:
        return self.induced_by(product_law(profile))

    def induced_by(self, law: Float[AnyArray, "..."]) -> Float[AnyArray, "*batch S S"]:
        # One row-times-matrix product a state for all the laws at once: the table is read once, however many.
        num_states, num_joint = self.num_states, math.prod(self.probabilities.shape[1:-1])
        batch = law.shape[: law.ndim - self.probabilities.ndim + 1]
        laws = law.reshape(-1, num_states, num_joint).swapaxes(0, 1)
        chains = laws @ self.probabilities.reshape(num_states, num_joint, num_states)
        return chains.swapaxes(0, 1).reshape(*batch, num_states, num_states)

    def induced_own(self, player: int, profile: Profile) -> Float[AnyArray, "S A_i S"]:
        return expected_own(self.probabilities, profile, player)

    def rows(self, states: Int[AnyArray, " K"], actions: Int[AnyArray, "K N"]) -> Float[AnyArray, "K S"]:
        return self.probabilities[(states, *actions.T)]

    def pushforward(self, law: Float[AnyArray, "S *A"]) -> Float[AnyArray, " S"]:
        return law.reshape(math.prod(law.shape)) @ self.probabilities.reshape(-1, self.num_states)

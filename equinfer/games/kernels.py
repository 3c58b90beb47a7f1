"""Transition kernels as objects: the four questions that solvers ask, whatever the storage.

Dense today. A kernel with successor lists answers the same questions, so no solver needs to know which it holds.
"""

import abc
import math

import equinox as eqx
from jaxtyping import Float

from equinfer.contraction import expected, expected_own
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
    def induced_own(self, player: int, profile: Profile) -> Float[AnyArray, "S A_i S"]:
        r"""$\sum_{a^{-i}}\rho(a^{-i}\mid s)P(s'\mid s,a^i,a^{-i})$: the decision process that `player` faces."""

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
        return expected(self.probabilities, profile)

    def induced_own(self, player: int, profile: Profile) -> Float[AnyArray, "S A_i S"]:
        return expected_own(self.probabilities, profile, player)

    def pushforward(self, law: Float[AnyArray, "S *A"]) -> Float[AnyArray, " S"]:
        return law.reshape(math.prod(law.shape)) @ self.probabilities.reshape(-1, self.num_states)

"""What a policy family is: what a policy may look at (Table 1, column 2)."""

import abc
from typing import ClassVar

import equinox as eqx
from jaxtyping import Float

from equinfer.types import AnyArray

__all__ = ["AbstractPolicyFamily"]


class AbstractPolicyFamily(eqx.Module):
    r"""Policies as arrays (R, K, A): at a decision point, for each of the K contexts told apart, a law over actions.

    Every family takes the same step (★) on such arrays; they differ in `look` alone, by which K = 1 or K = C.
    Whatever the family, what is *executed* is `executed`, and that is what a certificate judges.
    """

    name: ClassVar[str]
    is_product: ClassVar[bool]
    """True if a player's action is drawn independently of the context, so that its plan is what it executes."""

    @abc.abstractmethod
    def look(self, table: Float[AnyArray, "R C A"], belief: Float[AnyArray, "R C"]) -> Float[AnyArray, "R K A"]:
        """What the policy sees of a table over contexts and own actions, under its belief about the context."""

    def law(self, policy: Float[AnyArray, "R K A"], belief: Float[AnyArray, "R C"]) -> Float[AnyArray, "R C A"]:
        r"""$\rho(c\mid s)\,\pi(a\mid s,c)$: the law of context and action on which the player plans."""
        return belief[:, :, None] * policy

    def executed(self, policy: Float[AnyArray, "R K A"], belief: Float[AnyArray, "R C"]) -> Float[AnyArray, "R A"]:
        r"""$\bar\pi(a\mid s)=\sum_c\rho(c\mid s)\,\pi(a\mid s,c)$, line 4 of Algorithm 1: a prediction is drawn, then
        a response to it.
        """
        played = self.law(policy, belief).sum(axis=1)
        return played / played.sum(axis=1, keepdims=True)

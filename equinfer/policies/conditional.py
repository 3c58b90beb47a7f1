"""Policies that see a prediction of what the others are about to do."""

from typing import ClassVar

from jaxtyping import Float

from equinfer.policies.protocol import AbstractPolicyFamily
from equinfer.types import AnyArray

__all__ = ["Conditional"]


class Conditional(AbstractPolicyFamily):
    r"""The paper's $\pi_i(a^i\mid s,a^{-i})$: a response to $Q^i(s,c,\cdot)$ for every context (Prop. 5.2).

    It is executed through a prediction that is drawn independently of what the others then do, so a fixed point
    answers *one sampled* action of theirs and need not be close to any Nash equilibrium: its gap has no bound in
    the temperature (Theorem B). Where the others' actions are seen before one's own, this is the right form.
    """

    name: ClassVar[str] = "conditional"
    is_product: ClassVar[bool] = False

    def look(self, table: Float[AnyArray, "R C A"], belief: Float[AnyArray, "R C"]) -> Float[AnyArray, "R K A"]:
        return table

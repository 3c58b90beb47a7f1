"""Policies that see the state."""

from typing import ClassVar

from jaxtyping import Float

from equinfer.policies.protocol import AbstractPolicyFamily
from equinfer.types import AnyArray

__all__ = ["Marginal"]


class Marginal(AbstractPolicyFamily):
    r"""$\pi_i(a^i\mid s)$: a response to $\bar Q^i(s,a^i)=\sum_c\rho(c\mid s)\,Q^i(s,c,a^i)$.

    With opponents known exactly the fixed points are the logit quantal response equilibria, and the gap of what is
    executed is bounded (Theorem A).
    """

    name: ClassVar[str] = "marginal"
    is_product: ClassVar[bool] = True

    def look(self, table: Float[AnyArray, "R C A"], belief: Float[AnyArray, "R C"]) -> Float[AnyArray, "R K A"]:
        return belief[:, None, :] @ table

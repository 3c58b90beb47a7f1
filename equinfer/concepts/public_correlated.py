"""Table 1, row 3, as the paper prints it: equilibria that a public signal coordinates."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, ClassVar

import equinox as eqx
import numpy as np

from equinfer.answer import Answer, PublicPlay
from equinfer.certificates.public import certify_public
from equinfer.concepts.protocol import AbstractConcept
from equinfer.drivers.protocol import Judge
from equinfer.games.signals import with_public_signal
from equinfer.opponents import AbstractOpponentModel, Oracle
from equinfer.policies import AbstractPolicyFamily, Marginal
from equinfer.tables import Tables

__all__ = ["PublicCorrelated"]


class PublicCorrelated(AbstractConcept):
    r"""Public-correlated equilibrium: Nash on states $(s,\omega)$, where all see the signal $\omega$.

    The paper calls it a correlated equilibrium (section 5.3). One-shot it reaches mixtures of Nash equilibria, never
    more (Theorem F); see `Correlated` for recommendations in private.
    """

    name: ClassVar[str] = "public-correlated"
    answers: ClassVar[str] = "signal"
    opponent: AbstractOpponentModel = eqx.field(default_factory=Oracle)
    policy: AbstractPolicyFamily = eqx.field(default_factory=Marginal)

    def lift(self, game: Any) -> Any:
        """With a fair coin in the state."""
        return with_public_signal(game, [0.5, 0.5])

    def judge(self, tables: Tables) -> Judge:
        return partial(certify_public, tables)

    def solvers(self, tables: Tables, options: Collection[str] = ()) -> tuple[str, ...]:
        return ("public-signals",)

    def recorded(self, tables: Tables, answer: Answer) -> Mapping[str, Any]:
        if isinstance(answer, PublicPlay):
            return {"profile": answer.profile, "signal": answer.signal}
        lead = answer[0].shape[:-1]
        return {"profile": tuple(policy[None] for policy in answer), "signal": np.ones((*lead, 1))}

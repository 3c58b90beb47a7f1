"""Table 1, row 3: correlated equilibrium of a general-sum stochastic game."""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any, ClassVar

import equinox as eqx

from equinfer.answer import Joint, Profile, marginals, product
from equinfer.certificates import certify_correlated
from equinfer.concepts.protocol import AbstractConcept
from equinfer.drivers.protocol import Judge
from equinfer.opponents import AbstractOpponentModel, Oracle
from equinfer.policies import AbstractPolicyFamily, Marginal
from equinfer.tables import Tables

__all__ = ["Correlated", "joint_fields", "joint_solvers"]


class Correlated(AbstractConcept):
    r"""Correlated equilibrium: a mediator draws m from $\mu(m\mid s)$; told $m^i$ alone, nobody gains from disobeying.

    The paper (section 5.3) has all players see one public signal, which reaches mixtures of Nash equilibria only, and
    averages the signal out of the policies, which leaves no correlation. Here player i sees $(s,m^i)$: its model of the
    others is $\mu(m^{-i}\mid s,m^i)$, exact, and its policy is to do as it is told.
    """

    name: ClassVar[str] = "correlated"
    answers: ClassVar[str] = "joint"
    told_first: ClassVar[bool] = True
    opponent: AbstractOpponentModel = eqx.field(default_factory=Oracle)
    policy: AbstractPolicyFamily = eqx.field(default_factory=Marginal)

    def lift(self, game: Any) -> Any:
        return game

    def judge(self, tables: Tables) -> Judge:
        return partial(certify_correlated, tables)

    def solvers(self, tables: Tables, options: Collection[str] = ()) -> tuple[str, ...]:
        return joint_solvers(tables)

    def recorded(self, tables: Tables, answer: Any) -> Mapping[str, Any]:
        return joint_fields(tables, answer)


def joint_solvers(tables: Tables) -> tuple[str, ...]:
    """One-shot: the linear programme, and what also takes entropy; by epochs: the latter; else the path from Nash."""
    if tables.is_one_shot:
        return "lp", "vce"
    return ("vce",) if tables.horizon is not None else ("nash-path",)


def joint_fields(tables: Tables, answer: Joint | Profile) -> Mapping[str, Any]:
    """The joint law, and what each player does, seen alone; of a profile, the law of independent choices."""
    joint = answer.joint if isinstance(answer, Joint) else product(answer)
    return {"joint": joint, "profile": marginals(joint, tables.num_players)}

"""What a run came to, as the record that is handed out."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from equinfer.answer import Answer, Joint, Profile, PublicPlay
from equinfer.concepts import AbstractConcept
from equinfer.drivers.protocol import Choice, Outcome
from equinfer.games.extensive import behaviour
from equinfer.games.tabular import TabularGame
from equinfer.mean_field_tables import AnyTables
from equinfer.opponents.judging import marginal_beliefs
from equinfer.records import GameLabels, Solution, Status
from equinfer.tables import Tables
from equinfer.targets import Game

__all__ = ["recorded"]

_OBEYED = {"entropy": 1e-8}
"""Of its payoff scale, what a player may gain by disobeying the best law by an objective. It is nothing but rounding
for linear ones: a law that is disobeyed for however little may be worth much more than any that all obey. A smooth one
is met from inside, and is the best among all laws that are obeyed as well."""


def recorded(
    row: AbstractConcept,
    game: Game,
    tables: AnyTables,
    outcome: Outcome,
    solver: str,
    eps: float,
    seconds: Mapping[str, float],
) -> Solution:
    """What a run came to, as the record that is handed out."""
    fields = row.recorded(tables, outcome.answer)
    choice = outcome.choice
    solution = Solution(
        game=GameLabels.of(tables),
        concept=row.name,
        solver=solver,
        values=outcome.certificate.values,
        certificate=outcome.certificate,
        eps=eps,
        status=outcome.ended,
        payoff_scale=row.stakes(tables),
        seconds=seconds,
        trace=outcome.trace,
        tables=tables if isinstance(tables, Tables) else None,
        behaviour=_behaviour(game, outcome.answer),
        beliefs=_beliefs(tables, outcome),
        attempts=outcome.attempts,
        **fields,
    )
    if choice is not None:
        solution = dataclasses.replace(
            solution,
            objective=choice.objective,
            objective_value=choice.value,
            objective_certified=outcome.certificate.settled(_OBEYED.get(choice.objective, 0.0))
            and _is_best(tables, choice),
            route=choice.route,
        )
    if solution.certified and solution.status is not Status.interrupted:
        return dataclasses.replace(solution, status=Status.certified)
    return solution


def _is_best(tables: Any, choice: Choice) -> bool:
    """The bound of the dual problem is met, to 1e-8 of what the objective can vary by: in nats, or weighted payoffs."""
    if choice.bound is None:
        return False
    with np.errstate(all="ignore"):  # of what is beyond float64 nothing is proven
        if choice.objective == "entropy":
            draws = np.count_nonzero(tables.legal_joint.reshape(tables.num_states, -1), axis=1)
            varies = np.log(max(draws.max(), 2))
        else:
            welfare = choice.objective == "welfare"
            weights = 1.0 if welfare else np.array([float(weight) for weight in choice.objective.split(",")])
            varies = np.abs(weights * tables.payoff_scales).sum()
        return bool(choice.value >= choice.bound - 1e-8 * varies - 1e-14 * abs(choice.bound))


def _beliefs(tables: AnyTables, outcome: Outcome) -> tuple[Profile, ...] | None:
    """By player the profile as it sees it: its own policy, and its model of each of the others."""
    if not outcome.beliefs:
        return None
    seen = []
    for player, belief in enumerate(outcome.beliefs):
        models = marginal_beliefs(belief, tables.num_actions, player)
        shaped = (model.reshape(own.shape) for model, own in zip(models, outcome.answer, strict=True))
        seen.append(
            tuple(own if i == player else m for i, (m, own) in enumerate(zip(shaped, outcome.answer, strict=True)))
        )
    return tuple(seen)


def _behaviour(game: Game, answer: Answer) -> Any:
    """Behaviour strategies, where the game came from a tree and the answer is a profile."""
    if not isinstance(game, TabularGame) or game.extensive is None or isinstance(answer, (Joint, PublicPlay)):
        return None
    return behaviour(game.extensive, answer)

"""Stationary correlated equilibria of discounted games: from a Nash equilibrium to better ones."""

import math
from collections.abc import Generator, Iterator
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Float

from equinfer.answer import Joint, product
from equinfer.concepts import CoarseCorrelated, Correlated
from equinfer.drivers.protocol import AbstractHostSolver, Choice, Iterate
from equinfer.errors import BadInput
from equinfer.solvers.correlated.arclength import follow, newton, sweep
from equinfer.solvers.correlated.first_nash import first_nash
from equinfer.solvers.correlated.laws import discounted_entropies, values_for_ever
from equinfer.solvers.correlated.markov_laws import MarkovLaws, Point
from equinfer.solvers.correlated.obedience import pairs
from equinfer.solvers.correlated.objective import Objective, checked_objective
from equinfer.solvers.tabular.settings import check_ranges

__all__ = ["NashPath"]

_FIRST, _LAST = 1e-3, 1e3
"""Weights of the objective between which the path is followed."""
_WEIGHTS = (1.0, 10.0, 100.0)
"""Of the objective, for sweeps."""
_MOST_VALUES = 1_500
"""Players by states: the values that are solved for together, with a dense matrix."""
_MOST_ENTRIES = 4_000_000
"""Of one state's obedience matrix, or its square of joint actions."""

Attempt = Generator[Point | None, None, None]


class NashPath(AbstractHostSolver):
    r"""A portfolio of attempts, of which the best certified answer wins; a Nash equilibrium is the first of them.

    Choosing a best law in every state and repeating that at its values need not settle: not on NoSDE, and not on
    many random games. But every zero of $F_t(V)=V-E_{\mu_t(V)}[Q^V]$, $\mu_t(V)$ the best law at V by t times the
    objective and by nearness to a Nash equilibrium (`markov_laws`), is a correlated equilibrium. At $t=0$ the Nash
    equilibrium itself is a zero. Attempts, as `Solution.route` names them:

    * `nash`: by stage-nash, or by the homotopy where that finds none;
    * `path`: the zeros that are connected with it, by pseudo-arclength in $(V,\log t)$;
    * `sweeps t=1`, `t=10`, `t=100`: best laws at values and values of laws in turn, finished by Newton's method.

    Each zero that is worth more than the Nash equilibrium is a candidate: the answer is never worth less. That it is
    the best of all is not claimed. Where the game is too large to solve for its values, the Nash equilibrium is the
    only attempt.

    Watched: `attempt` (0 nash, 1 path, then the sweeps), `weight` (t), `residual` of F in units of reward.
    """

    name: ClassVar[str] = "nash-path"
    answers: ClassVar[str] = "joint"
    concept: Correlated | CoarseCorrelated = eqx.field(default_factory=Correlated)
    objective: Any = "welfare"
    """`"welfare"`, `"entropy"`, or a weight for each player; of the discounted sum, from the initial law."""
    sweeps: int = 60
    """At each weight, at most."""

    def __check_init__(self) -> None:
        check_ranges(self, {"sweeps": "[0, inf)"})

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        objective = checked_objective(self.objective, game.num_players)
        if game.horizon is not None or game.is_one_shot:
            raise BadInput(
                "nash-path finds stationary correlated equilibria of discounted games; lp and vce take one-shot games, "
                "vce also a finite horizon."
            )
        worth = _Worth(game, objective)
        joint, least = None, -math.inf
        for iterate in first_nash(game, seed):
            joint = np.asarray(product(tuple(map(np.asarray, iterate.answer))))
            choice = worth.choice(joint, "nash")
            least = max(least, choice.value) if iterate.candidate else least
            yield Iterate(Joint(joint), _info(0, 0.0, math.nan), iterate.candidate, choice)
        if joint is None or not _affordable(game, told=self.concept.told_first):
            return
        system = MarkovLaws(
            game,
            objective,
            told=self.concept.told_first,
            centre=joint,
            start=values_for_ever(game, joint, game.discount),
        )
        for number, (route, weight, attempt) in enumerate(self._attempts(system, least > -math.inf), start=1):
            last = _info(number, weight, math.nan)
            try:
                for point in attempt:
                    if point is None:
                        yield Iterate(Joint(joint), last)
                        continue
                    last = _info(number, math.exp(point.log_weight), point.error)
                    choice = worth.choice(point.joint, route)
                    better = choice.value > least
                    yield Iterate(Joint(point.joint), last, better, choice if better else None)
            except (np.linalg.LinAlgError, FloatingPointError):
                continue  # this attempt is over; the others begin elsewhere

    def _attempts(self, system: MarkovLaws, found: bool) -> Iterator[tuple[str, float, Attempt]]:
        if found:
            yield "path", _FIRST, _path(system)
        for weight in _WEIGHTS:
            yield f"sweeps t={weight:g}", weight, sweep(system, system.start, math.log(weight), self.sweeps)


def _path(system: MarkovLaws) -> Attempt:
    start = yield from newton(system, system.start, math.log(_FIRST))
    if start is not None:
        yield start
        yield from follow(system, start, math.log(_LAST))


def _affordable(game: Any, *, told: bool) -> bool:
    joint = math.prod(game.num_actions)
    entries = joint * max(joint, len(pairs(game.num_actions, told)))
    return game.num_players * game.num_states <= _MOST_VALUES and entries <= _MOST_ENTRIES


class _Worth:
    """What the objective makes of a law that is played for ever."""

    def __init__(self, game: Any, objective: Objective):
        self._game, self._objective = game, objective

    def choice(self, joint: Float[np.ndarray, "S *A"], route: str) -> Choice:
        """From the initial law; an entropy is discounted as the players do on average."""
        if self._objective.is_entropy:
            worth = discounted_entropies(self._game, joint)
        else:
            worth = self._objective.payoff(values_for_ever(self._game, joint, self._game.discount))
        value = self._objective.unit * float(np.asarray(self._game.initial) @ worth)
        return Choice(self._objective.name, value, route=route)


def _info(attempt: int, weight: float, residual: float) -> dict[str, float]:
    return {"attempt": float(attempt), "weight": weight, "residual": residual}

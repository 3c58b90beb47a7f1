"""Many one-shot games in one call: solved together, certified together, failures one by one."""

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer.api import solve
from equinfer.arguments import checked_seed, nonnegative, nonnegative_each, shown
from equinfer.attempts import ENOUGH
from equinfer.batch_solution import BatchSolution
from equinfer.certificates.batch import BatchCertificate, certify_batch
from equinfer.certificates.batch_laws import certify_laws
from equinfer.drivers.batch import AbstractBatchSearch, Answers, run
from equinfer.errors import BadInput, UnknownName
from equinfer.games.batch import checked_games
from equinfer.games.tabular import TabularGame
from equinfer.records import Status
from equinfer.solvers.correlated.many_laws import LawOfEach
from equinfer.solvers.correlated.objective import Objective, checked_objective
from equinfer.solvers.tabular.many_games import NashOfEach

__all__ = ["solve_batch"]

_SECONDS_EACH = 5.0
"""Of wall clock that such a game may take, so that one does not hold up ten thousand."""


class _Concept(NamedTuple):
    """How the answers of a kind are found and judged."""

    search: Callable[[np.ndarray, int, Objective | None], AbstractBatchSearch]
    """Of payoffs (B, N, A_1, ..., A_N), a seed, and an objective for concepts that take one."""
    judge: Callable[[np.ndarray, Answers], BatchCertificate]
    one_by_one: Sequence[str]
    """Solvers for the games that the search leaves, in this order."""
    chooses: bool = False
    """An answer is chosen among many, by an objective."""


def _laws(told: bool) -> _Concept:
    """Of concepts whose answers are joint laws; the best one of each game."""

    def judge(payoffs: np.ndarray, answers: Answers) -> BatchCertificate:
        assert answers.joints is not None
        return certify_laws(payoffs, answers.joints, told=told)

    def search(payoffs: np.ndarray, _: int, objective: Objective | None) -> AbstractBatchSearch:
        assert objective is not None
        return LawOfEach(payoffs, told=told, objective=objective)

    return _Concept(search, judge, ("auto",), chooses=True)


_CONCEPTS = {
    "nash": _Concept(
        lambda payoffs, seed, _: NashOfEach(payoffs, seed),
        lambda payoffs, answers: certify_batch(payoffs, answers.profiles),
        ("auto", "support"),
    ),
    "correlated": _laws(told=True),
    "coarse-correlated": _laws(told=False),
}


def solve_batch(
    payoffs: ArrayLike,
    concept: str = "nash",
    *,
    eps: float | int | ArrayLike | None = None,
    time: float | int | None = None,
    seed: int = 0,
    objective: Any = None,
) -> BatchSolution:
    """Find an equilibrium of each of many one-shot games, and certify each.

    **Arguments:** `payoffs` (B, N, A_1, ..., A_N), any array-like; `concept`, `"nash"`, `"correlated"` or
    `"coarse-correlated"`: of the last two the equilibrium that is best by `objective`, `"welfare"` (default, the sum of
    all players' payoffs), `"entropy"`, or a weight for each player; `eps`, one number or one per game, in units of
    reward, default 1e-8 of each game's payoff scale, decides the verdicts and never the effort; `time` in seconds of
    wall clock for all games together; `seed`.

    **Returns:** a `BatchSolution`: `.profiles`, one array (B, A_i) per player, `.joints` (B, A_1, ..., A_N) where the
    answer is a law over joint actions (else None), `.gaps` and `.certified` (B,), `.statuses` and `.messages` game by
    game. Games that were not solved are marked, and have the best answer found: one game may cost the batch some
    seconds at most, whatever it is like.

    **Raises:** `BadInput` for payoffs that are no batch of games, with the game and the player; for a batch that would
    not fit in memory, before anything is allocated; for wrong values of the others. `UnknownName` for a concept that
    does not exist.
    """
    began = clock.perf_counter()
    row, games = _known(concept), checked_games(payoffs)
    given = None if eps is None else nonnegative_each("eps", eps, len(games))
    seconds = None if time is None else nonnegative("time", time)
    chosen_by = _objective(concept, row, objective, games.shape[1])
    search = row.search(games, checked_seed(seed), chosen_by)
    ended = run(search, seconds)
    answers = search.answers()
    certificate = row.judge(games, answers)
    statuses, reasons = np.full(len(games), ended, object), dict[int, str]()
    left = np.flatnonzero(~certificate.settled(ENOUGH))
    if len(left) and ended is Status.above_eps:
        deadline = None if seconds is None else began + seconds
        one_by_one = _OneByOne(concept, row, seed, deadline, {} if chosen_by is None else {"objective": chosen_by.name})
        for game in left.tolist():
            statuses[game] = one_by_one.improve(answers, game, games[game : game + 1])
        reasons = one_by_one.reasons
        certificate = row.judge(games, answers)
    solution = BatchSolution(
        concept=concept,
        profiles=answers.profiles,
        joints=answers.joints,
        values=certificate.values,
        per_player=certificate.per_player,
        gaps=certificate.gaps,
        numerical_errors=certificate.numerical_errors,
        payoff_scales=certificate.spreads,
        eps=1e-8 * certificate.scales if given is None else given,
        statuses=statuses,
        seconds=clock.perf_counter() - began,
        reasons=reasons,
        objective=None if chosen_by is None else chosen_by.name,
    )
    statuses[~solution.certified & (statuses == Status.certified)] = Status.above_eps  # it was, at another eps
    statuses[solution.certified] = Status.certified
    return solution


def _known(concept: Any) -> _Concept:
    if not isinstance(concept, str):
        raise BadInput(f"concept must be a name; got {shown(concept)}.")
    if concept not in _CONCEPTS:
        raise UnknownName.among("concept of solve_batch", concept, _CONCEPTS)
    return _CONCEPTS[concept]


def _objective(concept: str, row: _Concept, objective: Any, num_players: int) -> Objective | None:
    if row.chooses:
        return checked_objective("welfare" if objective is None else objective, num_players)
    if objective is not None:
        known = ", ".join(name for name, other in _CONCEPTS.items() if other.chooses)
        raise BadInput(f"objective: {concept} chooses nothing; it is for {known}.")
    return None


@dataclass
class _OneByOne:
    """The exact solvers, game by game, for what a search over all games left."""

    concept: str
    row: _Concept
    seed: int
    deadline: float | None
    """On the wall clock, for all games together."""
    options: dict[str, Any]
    """Of `solve`."""
    reasons: dict[int, str] = field(default_factory=dict)
    """Filled with what is to be said of a game beside its status."""
    interrupted: bool = False

    def improve(self, answers: Answers, game: int, payoffs: Float[np.ndarray, "1 N *A"]) -> Status:
        """Put something better in place than the answer to a game has, if it is found; returns how that ended."""
        if self.interrupted:
            return Status.interrupted
        if self.deadline is not None and clock.perf_counter() >= self.deadline:
            return Status.out_of_time
        until = clock.perf_counter() + _SECONDS_EACH
        until = until if self.deadline is None else min(until, self.deadline)
        best, ended = self._rank(payoffs, answers.only(game)), Status.stalled
        for others, solver in zip(reversed(range(len(self.row.one_by_one))), self.row.one_by_one, strict=True):
            seconds = (until - clock.perf_counter()) / (2 if others else 1)
            if seconds <= 0 or not best[0]:
                break
            try:
                game_alone = _multiplied_up(payoffs[0], together=self.row.chooses)
                solution = solve(game_alone, self.concept, solver, time=seconds, seed=self.seed, **self.options)
            except BadInput:  # a solver that does not take games like this one
                continue
            ended = solution.status
            found = Answers(solution.profile, solution.joint)
            rank = self._rank(payoffs, found)
            if rank < best:
                answers.adopt(game, found)
                best = rank
            if ended is Status.interrupted:
                self.interrupted = True
                return ended
        if ended is Status.out_of_time and until != self.deadline:
            self.reasons[game] = (
                f"No equilibrium was found in the {_SECONDS_EACH:g} s that one game may take here: hand it to `solve`, "
                "which may take longer."
            )
            return Status.stalled
        return ended

    def _rank(self, payoffs: Float[np.ndarray, "1 N *A"], answers: Answers) -> tuple[bool, float]:
        """Solved for every player comes before any gap of the others."""
        certificate = self.row.judge(payoffs, answers)
        return not certificate.settled(ENOUGH)[0], float(certificate.gaps[0])


def _multiplied_up(payoffs: Float[np.ndarray, "N *A"], *, together: bool) -> TabularGame:
    """A game with the same equilibria: each player's payoffs times a power of two, so that their spread is no less
    than about one, and nothing is rounded; one power for all of them where they are compared, `together`.
    """
    flat = payoffs.reshape(len(payoffs), -1)
    spreads = flat.max(axis=1) - flat.min(axis=1)
    largest = np.abs(flat).max(axis=1)
    room = 1000 - np.frexp(largest)[1]
    shift = np.where(spreads > 0, np.clip(-np.frexp(spreads)[1], 0, np.maximum(room, 0)), 0)
    if together:
        shift = np.full_like(shift, min(shift.max(), max(room.min(), 0)))
    return TabularGame.from_payoffs(np.ldexp(payoffs, shift.reshape(-1, *[1] * (payoffs.ndim - 1))))

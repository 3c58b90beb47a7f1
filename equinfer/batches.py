"""Many one-shot games in one call: solved together, certified together, failures one by one."""

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer.api import ENOUGH, solve
from equinfer.arguments import checked_seed, shown
from equinfer.batch_solution import BatchSolution
from equinfer.certificates.batch import BatchCertificate, certify_batch
from equinfer.drivers.batch import AbstractBatchSearch, Answers, run
from equinfer.errors import BadInput
from equinfer.games.batch import checked_games
from equinfer.games.tabular import TabularGame
from equinfer.records import Status
from equinfer.solvers.tabular.many_games import NashOfEach

__all__ = ["solve_batch"]


class _Concept(NamedTuple):
    """How the answers of a kind are found and judged."""

    search: Callable[[np.ndarray, int], AbstractBatchSearch]
    """Of payoffs (B, N, A_1, ..., A_N) and a seed."""
    judge: Callable[[np.ndarray, Answers], BatchCertificate]
    one_by_one: Sequence[str]
    """Solvers for the games that the search leaves, in this order."""


_CONCEPTS = {
    "nash": _Concept(
        NashOfEach, lambda payoffs, answers: certify_batch(payoffs, answers.profiles), ("auto", "support")
    ),
}


def solve_batch(
    payoffs: ArrayLike,
    concept: str = "nash",
    *,
    eps: float | int | ArrayLike | None = None,
    time: float | int | None = None,
    seed: int = 0,
) -> BatchSolution:
    """Find an equilibrium of each of many one-shot games, and certify each.

    **Arguments:** `payoffs` (B, N, A_1, ..., A_N), any array-like; `concept`, `"nash"`; `eps`, one number or one per
    game, in units of reward, default 1e-8 of each game's payoff scale, decides the verdicts and never the effort;
    `time` in seconds of wall clock for all games together; `seed`.

    **Returns:** a `BatchSolution`: `.profiles`, one array (B, A_i) per player, `.gaps` and `.certified` (B,),
    `.statuses` and `.messages` game by game. Games that were not solved are marked, and have the best profile found.

    **Raises:** `BadInput` for payoffs that are no batch of games, with the game and the player; for a batch that would
    not fit in memory, before anything is allocated; for a concept that does not exist.
    """
    began = clock.perf_counter()
    if concept not in _CONCEPTS:
        raise BadInput(f"solve_batch knows no concept {concept!r}; there is: {', '.join(_CONCEPTS)}.")
    row, games = _CONCEPTS[concept], checked_games(payoffs)
    given = None if eps is None else _nonnegative("eps", eps, games.shape[:1])
    seconds = None if time is None else float(_nonnegative("time", time, ()))
    search = row.search(games, checked_seed(seed))
    ended = run(search, seconds)
    answers = search.answers()
    certificate = row.judge(games, answers)
    statuses = np.full(len(games), ended, object)
    enough = np.maximum(ENOUGH * certificate.scales, certificate.numerical_errors)
    left = np.flatnonzero(certificate.gaps > enough)
    if len(left) and ended is Status.above_eps:
        one_by_one = _OneByOne(concept, row.one_by_one, seed, None if seconds is None else began + seconds)
        for game, gap in zip(left.tolist(), certificate.gaps[left].tolist(), strict=True):
            statuses[game] = one_by_one.improve(answers, game, gap, float(enough[game]), games[game])
        certificate = row.judge(games, answers)
    solution = BatchSolution(
        concept=concept,
        profiles=answers.profiles,
        joints=answers.joints,
        values=certificate.values,
        gaps=certificate.gaps,
        numerical_errors=certificate.numerical_errors,
        eps=1e-8 * certificate.scales if given is None else given,
        statuses=statuses,
        seconds=clock.perf_counter() - began,
    )
    statuses[~solution.certified & (statuses == Status.certified)] = Status.above_eps  # it was, at another eps
    statuses[solution.certified] = Status.certified
    return solution


@dataclass
class _OneByOne:
    """The exact solvers, game by game, for what a search over all games left."""

    concept: str
    solvers: Sequence[str]
    seed: int
    deadline: float | None
    """On the wall clock, for all games together."""
    interrupted: bool = False

    def improve(
        self, answers: Answers, game: int, gap: float, enough: float, payoffs: Float[np.ndarray, "N *A"]
    ) -> Status:
        """Put something better than `gap` in place if there is; returns how that ended."""
        ended = Status.stalled
        for solver in self.solvers:
            left = None if self.deadline is None else self.deadline - clock.perf_counter()
            if self.interrupted or gap <= enough:
                break
            if left is not None and left <= 0:
                return Status.out_of_time
            try:
                solution = solve(TabularGame.from_payoffs(payoffs), self.concept, solver, time=left, seed=self.seed)
            except BadInput:  # a solver that does not take games like this one
                continue
            ended = solution.status
            self.interrupted = ended is Status.interrupted
            if solution.gap < gap:
                answers.adopt(game, solution.profile)
                gap = solution.gap
        return Status.interrupted if self.interrupted else ended


def _nonnegative(name: str, value: Any, shape: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    """`value` as an array of `shape`, which one number fills."""
    try:
        array = np.broadcast_to(np.asarray(value, np.float64), shape).copy()
    except (TypeError, ValueError):
        array = np.array(np.nan)
    if not (np.isfinite(array).all() and (array >= 0).all()):
        entries = "a number" if shape == () else f"a number, or one for each of {shape[0]} games,"
        raise BadInput(f"{name} must be {entries} at least 0; got {shown(value)}.")
    return array

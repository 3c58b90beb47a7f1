"""A Nash equilibrium of each of many one-shot games of one shape."""

import math
from collections.abc import Iterator
from typing import NamedTuple, no_type_check

import numpy as np
from jaxtyping import Bool, Float

from equinfer.drivers.batch import AbstractBatchSearch, Answers
from equinfer.solvers.tabular.bimatrix import pivoted_equilibrium
from equinfer.solvers.tabular.small_supports import three_mix, two_mix
from equinfer.solvers.tabular.stage_games import kernel, normalise, pure_equilibrium, strides_of
from equinfer.solvers.tabular.stage_solver import StageSolver

__all__ = ["NashOfEach"]

_SUPPORTS_BEFORE_PIVOTS, _SUPPORTS_BEFORE_PATHS = 200, 1_000_000
"""Supports of two or three players with two actions each, up to which all are looked at before something more general
is tried: with two players Lemke-Howson, which is as quick as some hundred supports; with more a logit path, which
takes milliseconds.
"""
_WORK_PER_CALL = 1_000_000
"""Payoffs and supports between two looks at the clock: some tens of milliseconds."""
_ATTEMPTS = 2
"""How often what is left is handed to the stage solver, with its actions in another order."""


@kernel
@no_type_check
def solve_games(payoffs, sizes, pairs, triples, profile, solved):
    """An equilibrium of each of the games `payoffs` (B, N, J), written to `profile` (N, B, A) and `solved` (B,).

    Pure ones first, the one with the largest sum of normalised payoffs if there are several; if `pairs`, two players
    who mix over two actions; if `triples`, three; with two players, Lemke-Howson.
    """
    games, players, joint = payoffs.shape
    strides = strides_of(sizes)
    game, tolerance = np.empty((players, joint)), np.empty(players)
    policy = np.zeros((players, profile.shape[2]))
    for b in range(games):
        game[:] = payoffs[b]
        normalise(game, tolerance)
        found = pure_equilibrium(game, sizes, tolerance, True, policy)
        if not found and pairs:
            found = two_mix(game, sizes, strides, tolerance, policy)
        if not found and triples:
            found = three_mix(game, sizes, strides, tolerance, policy)
        if not found and players == 2:
            row_payoff = game[0].reshape(sizes[0], sizes[1])
            column_payoff = game[1].reshape(sizes[0], sizes[1]).T.copy()
            found = pivoted_equilibrium(game, sizes, tolerance, row_payoff, column_payoff, policy)
        solved[b] = found
        if found:
            profile[:, b] = policy


class _Stages(NamedTuple):
    """A batch in the eyes of the stage solver: one state per game, every action legal."""

    num_actions: tuple[int, ...]
    num_states: int

    @property
    def legal(self) -> tuple[Bool[np.ndarray, "S _"], ...]:
        return tuple(np.broadcast_to(True, (self.num_states, size)) for size in self.num_actions)


class NashOfEach(AbstractBatchSearch):
    """Solves a batch of games: closed forms on small supports and Lemke-Howson, compiled over all games at once.

    What they leave goes to the `StageSolver`, as the stage games of as many states: all small supports and
    Lemke-Howson in another order of actions with two players, logit paths with more.
    """

    solved: Bool[np.ndarray, " B"]
    """Where an equilibrium was found: to this code's tolerances, a certificate has still to say so."""

    def __init__(self, payoffs: Float[np.ndarray, "B N *A"], seed: int):
        self._payoffs, self._random = payoffs, np.random.default_rng(seed)
        self._num_actions = payoffs.shape[2:]
        games, players = payoffs.shape[:2]
        self._profile = np.zeros((players, games, max(self._num_actions)))
        self.solved = np.zeros(games, bool)
        for i, size in enumerate(self._num_actions):
            self._profile[i, :, :size] = 1 / size

    def answers(self) -> Answers:
        """Profiles, uniform where nothing was found."""
        sizes = zip(self._profile, self._num_actions, strict=True)
        return Answers(tuple(policy[:, :size].copy() for policy, size in sizes))

    def solve(self) -> Iterator[None]:
        """Yields whenever the clock may be read; what was found until then is there."""
        yield from self._compiled()
        for attempt in range(_ATTEMPTS):
            if self.solved.all():
                return
            yield from self._as_stages(first=attempt == 0)

    def _compiled(self) -> Iterator[None]:
        games, players = self._payoffs.shape[:2]
        flat = self._payoffs.reshape(games, players, math.prod(self._num_actions))
        sizes = np.array(self._num_actions, np.int64)
        enough = _SUPPORTS_BEFORE_PIVOTS if players == 2 else _SUPPORTS_BEFORE_PATHS
        pairs, triples = (_supports_of_two(self._num_actions, mixing) for mixing in (2, 3))
        supports = sum(count for count in (pairs, triples) if count <= enough)
        block = max(1, _WORK_PER_CALL // (players * flat.shape[2] * max(self._num_actions) + supports))
        for begin in range(0, games, block):
            part = slice(begin, begin + block)
            profile, solved = self._profile[:, part], self.solved[part]
            solve_games(flat[part], sizes, pairs <= enough, triples <= enough, profile, solved)
            yield

    def _as_stages(self, first: bool) -> Iterator[None]:
        left = np.flatnonzero(~self.solved)
        stages = StageSolver(_Stages(self._num_actions, len(left)), self._random, first)
        try:
            yield from stages.solve(np.moveaxis(self._payoffs[left], 1, 0))
        finally:
            found = stages.solved
            self._profile[:, left[found]] = stages.profile[:, found]
            self.solved[left] = found


def _supports_of_two(num_actions: tuple[int, ...], mixing: int) -> int:
    """How many supports there are in which `mixing` players have two actions and all others one."""
    ways = [1] + [0] * mixing  # by how many of the players seen so far mix
    for size in num_actions:
        ways = [
            size * ways[count] + (math.comb(size, 2) * ways[count - 1] if count else 0) for count in range(len(ways))
        ]
    return ways[mixing]

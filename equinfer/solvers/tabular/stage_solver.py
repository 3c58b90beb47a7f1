"""An equilibrium of every stage game of a stochastic game, by whichever method each one needs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.solvers.tabular.bimatrix import solve_bimatrix_states
from equinfer.solvers.tabular.dominance import expand, quick_equilibria, restricted, undominated
from equinfer.solvers.tabular.logit_path import advance_path, new_path
from equinfer.solvers.tabular.stage_games import is_equilibrium, load, retain_or_pure, store
from equinfer.types import Profile

__all__ = ["StageSolver"]

_WORK_PER_CALL = 2e7
"""Multiplications between two looks at the clock: some hundredths of a second."""
_PATIENCE = 1_000
"""Linear systems that the first path may take: most need some hundred. Each next magnet has twice as many."""
_MAGNETS = 6
"""Logit paths tried at a state before it is given up."""


class StageSolver:
    """Solves the one-shot games at all states, again and again as their payoffs change.

    The support of the last equilibrium is kept where it still gives one (hysteresis: the next sweep then changes as
    few states as it can). Elsewhere a pure equilibrium is taken, else small supports and Lemke-Howson with two players.
    With more, dominated actions are left out, and then it is a closed form on small supports or a logit path.

    **Arguments:** `random` decides the order in which actions are tried and the magnets of the paths. A `first` solver
    takes the actions as they stand, the pure equilibria with the largest sum of payoffs and uniform magnets.
    """

    profile: Float[np.ndarray, "N S A"]
    """What was found last, zero on illegal actions and padding; uniform at first."""
    solved: Bool[np.ndarray, " S"]
    """Where `profile` is an equilibrium of the stage games solved last."""

    def __init__(self, game: Any, random: np.random.Generator, first: bool):
        self._shape = np.array(game.num_actions, np.int64)
        self._random, self._first = random, first
        players, states, width = len(self._shape), game.num_states, int(self._shape.max())
        self._orders = np.zeros((players, states, width), np.int64)
        self._legal = np.zeros((players, states), np.int64)
        self.profile = np.zeros((players, states, width))
        self.solved = np.zeros(states, bool)
        for i, mask in enumerate(map(np.asarray, game.legal)):
            order = np.broadcast_to(np.arange(mask.shape[1]), mask.shape)
            order = order if first else random.permuted(order, axis=1)
            illegal = ~np.take_along_axis(mask, order, axis=1)
            legal_first = np.argsort(illegal, axis=1, kind="stable")
            self._orders[i, :, : mask.shape[1]] = np.take_along_axis(order, legal_first, axis=1)
            self._legal[i] = mask.sum(axis=1)
            self.profile[i, :, : mask.shape[1]] = mask / mask.sum(axis=1, keepdims=True)

    def policies(self) -> tuple[Float[np.ndarray, "S _"], ...]:
        """A copy of `profile`, one array (S, A_i) per player."""
        return tuple(policy[:, :size].copy() for policy, size in zip(self.profile, self._shape, strict=True))

    def supports(self) -> Bool[np.ndarray, "N S A"]:
        """Where `profile` is positive now."""
        return self.profile > 0

    def mixed(self) -> Bool[np.ndarray, " S"]:
        """The states where somebody mixes."""
        return np.any(self.supports().sum(axis=2) > 1, axis=0)

    def switched_since(self, before: Bool[np.ndarray, "N S A"]) -> Bool[np.ndarray, " S"]:
        """The states whose supports are no longer those of `before`."""
        return np.any(before != self.supports(), axis=(0, 2))

    def adopt(self, policies: Profile, states: Int[np.ndarray, " C"]) -> None:
        """Put policies (C, A_i) that were found elsewhere in place at `states`."""
        for whole, policy in zip(self.profile, policies, strict=True):
            whole[states, : policy.shape[1]] = policy

    def hold(self, policies: Profile, states: Bool[np.ndarray, " S"]) -> None:
        """Put half of `states`, drawn at random, back to what they had in `policies`."""
        held = np.flatnonzero(states & (self._random.random(states.size) < 0.5))
        self.adopt(tuple(policy[held] for policy in policies), held)

    def solve(self, table: Float[np.ndarray, "N S *A"]) -> Iterator[None]:
        """Solve the stage games with payoffs `table`, from `profile` on; yields whenever the clock may be read."""
        flat = np.ascontiguousarray(table).reshape(*table.shape[:2], -1)
        retain_or_pure(flat, self._shape, self._orders, self._legal, self._first, self.profile, self.solved)
        yield
        if len(self._shape) == 2:
            yield from self._by_pivoting(flat)
        for state in np.flatnonzero(~self.solved).tolist():
            yield from self._by_path(flat, state)

    def _by_pivoting(self, table: Float[np.ndarray, "N S J"]) -> Iterator[None]:
        rows, columns = self._shape
        block = max(1, int(_WORK_PER_CALL / (10 * rows * columns * (rows + columns))))
        states = np.flatnonzero(~self.solved)
        for begin in range(0, len(states), block):
            some = states[begin : begin + block]
            solve_bimatrix_states(table, self._shape, self._orders, self._legal, some, self.profile, self.solved)
            yield

    def _by_path(self, table: Float[np.ndarray, "N S J"], state: int) -> Iterator[None]:
        """What is left of one state's game without its dominated actions, by whatever solves it."""
        whole, all_sizes, tolerance = load(table, self._shape, self._orders, self._legal, state)
        items, sizes = undominated(whole, all_sizes, tolerance)
        payoffs, least = restricted(whole, all_sizes, tolerance, items, sizes)
        few, policy = np.zeros((2, len(sizes), self.profile.shape[2]))
        for found in self._candidates(payoffs, sizes, least, few):
            if found:
                expand(few, items, sizes, policy)
                if is_equilibrium(whole, all_sizes, policy, tolerance):
                    store(policy, self._orders, self._legal, state, self.profile)
                    self.solved[state] = True
                    return
            yield

    def _candidates(self, payoffs: Any, sizes: Any, tolerance: Any, policy: Any) -> Iterator[bool]:
        """True whenever `policy` has become an equilibrium, False whenever the clock may be read."""
        yield from quick_equilibria(payoffs, sizes, tolerance, policy)
        work = sizes.sum() ** 3 / 3 + 3 * len(sizes) ** 2 * payoffs.shape[1]
        budget = max(1, int(_WORK_PER_CALL / work))
        for attempt in range(_MAGNETS):
            weight = (
                np.ones_like(policy) if self._first and attempt == 0 else self._random.exponential(size=policy.shape)
            )
            weight *= np.arange(policy.shape[1]) < sizes[:, None]
            magnet = np.log(np.where(weight > 0, weight, 1.0) / weight.sum(axis=1, keepdims=True))
            path = new_path(magnet, sizes)
            ended, left = 0, _PATIENCE * 2**attempt
            while ended == 0 and left > 0:
                ended = advance_path(payoffs, sizes, tolerance, magnet, *path, policy, min(budget, left))
                left -= budget
                yield ended == 1

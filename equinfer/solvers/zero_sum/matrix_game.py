"""Zero-sum stochastic games to the end: all stage matrix games at once, and values that jump where they may."""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.certificates import refuse_unless_zero_sum
from equinfer.contraction import expected, expected_own
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.solvers.tabular.settings import check_ranges
from equinfer.solvers.zero_sum.matrix_games import solve_matrix_games
from equinfer.tables import SuccessorLists, Tables
from equinfer.types import Profile

__all__ = ["MatrixGame"]

_TINY = 1e-12
"""Of the payoff scale: a profile whose bound on the exploitability is below is offered as an equilibrium."""
_ROUNDING = 4e-16
"""Of the largest stage payoff: a Bellman residual below is rounding."""
_NEAR_ROUNDING = 1e-12
"""The same, below which only rounding keeps a residual from falling."""
_PATIENCE = 3
"""Sweeps for which it may do so."""
_STEPS = 3
"""Of Shapley's where a jump was refused: the next one is then more often a good one, and they cost less."""
_WORK_PER_CALL = 1e8
"""Multiplications between two looks at the clock, those of the kernel included: about a tenth of a second."""


class MatrixGame(AbstractHostSolver):
    r"""Pollatschek and Avi-Itzhak's iteration, made safe by Shapley's and by Hoffman and Karp's.

    With $Q^V(s,\cdot)=r(s,\cdot)+\gamma E[V(s')]$ the stage games at values V of player 0, and $(TV)(s)$ their values,
    the value of the game is the fixed point of T, a contraction by $\gamma$ (Shapley 1953). A sweep takes policies that
    are optimal in the stage games at V and jumps to their exact value (Pollatschek and Avi-Itzhak 1969). This is
    Newton's method for $TV=V$, which mostly ends after a few sweeps but may cycle (van der Wal 1978). So a jump counts
    only if it brings the residual $\max_s|TV-V|$ to at most $\gamma$ times the smallest so far; otherwise a few of
    Shapley's steps from V to TV are made, which do. If `patience` jumps in a row are refused, V becomes instead what
    player 0 can get against the other's policy (Hoffman and Karp 1966): such values fall to that of the game no slower
    than by $\gamma$ a sweep, and mostly in a few, whatever $\gamma$ is. The iteration therefore always converges.

    One-shot games and discount 0 take one sweep; games with a finite horizon one batch of matrix games per epoch,
    from the last one on.

    Watched: `bound` on the exploitability, from what the policies of a sweep guarantee in the stage games, in units of
    reward; `sweep` (in a finite-horizon game: epochs done); `jumped`, 1 if the policies' own value was taken.
    """

    name: ClassVar[str] = "matrix-game"

    patience: int = 8
    """Jumps refused in a row, after which Hoffman and Karp's steps take the place of Shapley's."""
    sweeps: int = 100_000
    """At most."""

    def __check_init__(self) -> None:
        check_ranges(self, {"patience": "[0, inf)", "sweeps": "[1, inf)"})

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        tables = game.tables()
        refuse_unless_zero_sum(tables)
        batch, reward = _Batch(tables), _opposed(tables)
        if game.horizon is not None:
            yield from self._backward_induction(game, reward, batch)
        elif tables.discount[0] == 0.0:
            stage = yield from _solved(batch, reward, _info(np.inf, 0, False))
            bound = float((stage.upper - stage.lower).max())
            yield Iterate(stage.profile, _info(bound, 1, False), candidate=True)
        else:
            yield from self._policy_iteration(game, reward, batch)

    def _policy_iteration(self, game: Any, reward: Float[np.ndarray, "S A B"], batch: "_Batch") -> Iterator[Iterate]:
        discount, scale = float(np.asarray(game.discount)[0]), game.tables().payoff_scale
        value, info = np.zeros(game.num_states), _info(np.inf, 0, False)
        stage = yield from _solved(batch, reward, info)
        least, stale, refused = np.inf, 0, 0
        for sweep in range(1, self.sweeps + 1):
            residual, rounding = stage.residual(value), _ROUNDING * stage.largest
            stale = stale + 1 if least <= residual <= _NEAR_ROUNDING * stage.largest else 0
            least = min(least, residual)
            over = residual <= rounding or stale >= _PATIENCE or sweep == self.sweeps
            bound = stage.exploitability(value) / (1 - discount)
            yield Iterate(stage.profile, info | {"bound": bound}, candidate=over or bound <= _TINY * scale)
            if over:
                return
            ahead = _value(game, reward, stage.profile)
            trial = yield from _solved(batch, _stage_payoffs(game, reward, ahead), info)
            jumped = trial.residual(ahead) <= max(discount * least, rounding)
            if jumped:
                value, stage, refused = ahead, trial, 0
            else:
                refused += 1
                if refused > self.patience:
                    value = yield from _responded(game, reward, stage.profile, ahead, info)
                    stage = yield from _solved(batch, _stage_payoffs(game, reward, value), info)
                else:
                    for _ in range(_STEPS):
                        value = stage.value
                        stage = yield from _solved(batch, _stage_payoffs(game, reward, value), info)
            info = _info(np.inf, sweep, jumped)

    def _backward_induction(self, game: Any, reward: Float[np.ndarray, "S A B"], batch: "_Batch") -> Iterator[Iterate]:
        discount = float(np.asarray(game.discount)[0])
        first, second = (np.repeat(policy[None], game.horizon, axis=0) for policy in batch.stage().profile)
        value, bound, table = np.zeros(game.num_states), 0.0, reward
        info = _info(np.inf, 0, False)
        for epoch in reversed(range(game.horizon)):
            for _ in batch.solve(table):
                yield Iterate((first.copy(), second.copy()), info)
            stage = batch.stage()
            first[epoch], second[epoch] = stage.profile
            value = np.asarray(expected(table, stage.profile))
            bound = stage.exploitability(value) + discount * bound
            done = game.horizon - epoch
            info = _info(bound if epoch == 0 else np.inf, done, False)
            table = _stage_payoffs(game, reward, value) if epoch else table
        yield Iterate((first, second), info, candidate=True)


class _Stage(NamedTuple):
    """What was found of the stage games: optimal policies and what they guarantee."""

    profile: Profile
    upper: Float[np.ndarray, " S"]
    """Player 0 gets no more against the policy of player 1."""
    lower: Float[np.ndarray, " S"]
    """Player 0 gets no less with its own."""
    largest: float
    """Absolute value of a stage payoff."""

    @property
    def value(self) -> Float[np.ndarray, " S"]:
        return self.lower + (self.upper - self.lower) / 2

    def residual(self, value: Float[np.ndarray, " S"]) -> float:
        """Of Shapley's equation, at the `value` that the stage games are made of."""
        return float(np.abs(self.value - value).max())

    def exploitability(self, value: Float[np.ndarray, " S"]) -> float:
        r"""What both players could gain in one step, at most: with the best response to player 1's policy worth $W$,
        $W\le V+\max_s(\mathrm{upper}-V)/(1-\gamma)$, and likewise for the other.
        """
        return float((self.upper - value).max() + (value - self.lower).max())


class _Batch:
    """Solves the matrix games of all states, a block at a time."""

    def __init__(self, tables: Tables):
        self._legal = tuple(_in_order(legal) for legal in tables.legal)
        self._found = tuple(legal / legal.sum(axis=1, keepdims=True) for legal in tables.legal)
        self._guarantees = np.zeros((2, tables.num_states))
        self._largest = 0.0
        rows, columns = tables.num_actions
        kernel = tables.kernel.successors if isinstance(tables.kernel, SuccessorLists) else tables.kernel
        terms = kernel.shape[-1]
        self._block = max(1, int(_WORK_PER_CALL / (rows * columns * (2 * (rows + columns) + terms))))
        self._left = self._block

    def solve(self, table: Float[np.ndarray, "S A B"]) -> Iterator[None]:
        """Solve the games of `table`; yields whenever the clock may be read, and not each time it is called."""
        (rows, num_rows), (columns, num_columns) = self._legal
        table, num_states = np.ascontiguousarray(table), len(table)
        self._largest = float(np.abs(table).max())
        begin = 0
        while begin < num_states:
            end = min(begin + self._left, num_states)
            solve_matrix_games(table, rows, columns, num_rows, num_columns, begin, end, *self._found, *self._guarantees)
            self._left -= end - begin
            begin = end
            if self._left == 0:
                self._left = self._block
                yield

    def stage(self) -> _Stage:
        """What the last `solve` found."""
        first, second = self._found
        upper, lower = self._guarantees
        return _Stage((first.copy(), second.copy()), upper.copy(), lower.copy(), self._largest)


def _solved(batch: _Batch, table: Float[np.ndarray, "S A B"], info: dict[str, float]) -> Any:
    """The stage games of `table`, solved; a generator that returns them, and lets the clock be read on the way."""
    for _ in batch.solve(table):
        yield Iterate(batch.stage().profile, info)
    return batch.stage()


def _responded(
    game: Any,
    reward: Float[np.ndarray, "S A B"],
    profile: Profile,
    value: Float[np.ndarray, " S"],
    info: dict[str, float],
) -> Any:
    """What player 0 can get against the policy of player 1, by policy iteration from the `value` of the profile; a
    generator that returns it.
    """
    first, second = profile
    states = np.arange(len(first))
    while True:
        table = _stage_payoffs(game, reward, value)
        own = np.where(game.legal[0], expected_own(table, profile, 0), -np.inf)
        actions = own.argmax(axis=1)
        pure = np.zeros(first.shape)
        pure[states, actions] = 1.0
        better = np.maximum(value, _value(game, reward, (pure, second)))
        gain = (better - value).max()
        value = better
        if gain <= _ROUNDING * np.abs(table).max():
            return value
        yield Iterate(profile, info)


def _stage_payoffs(
    game: Any, reward: Float[np.ndarray, "S A B"], value: Float[np.ndarray, " S"]
) -> Float[np.ndarray, "S A B"]:
    """$Q^V$, in the units of `reward`."""
    return reward + np.asarray(game.kernel.expect(np.asarray(game.discount)[:1, None] * value))[0]


def _value(game: Any, reward: Float[np.ndarray, "S A B"], profile: Profile) -> Float[np.ndarray, " S"]:
    """What the profile is worth to player 0, in the units of `reward`."""
    own = np.asarray(expected(reward, profile))
    return np.asarray(game.kernel.induced(profile).values(own[None], np.asarray(game.discount)[:1]))[0]


def _opposed(tables: Tables) -> Float[np.ndarray, "S A B"]:
    """What player 0 gets and player 1 pays, once the common constant is taken off: half the difference of rewards.

    Legal payoffs lie around zero, so that a level, which no gain depends on, costs no digits.
    """
    joint = tables.legal_joint
    reward = np.zeros(joint.shape)
    opposed = tables.reward[0][joint] / 2 - tables.reward[1][joint] / 2
    reward[joint] = opposed - (opposed.min() / 2 + opposed.max() / 2)
    return reward


def _in_order(legal: Bool[np.ndarray, "S A"]) -> tuple[Int[np.ndarray, "S A"], Int[np.ndarray, " S"]]:
    """Actions of each state, the legal ones first, and how many those are."""
    return np.argsort(~legal, axis=1, kind="stable"), legal.sum(axis=1)


def _info(bound: float, sweep: int, jumped: bool) -> dict[str, float]:
    return {"bound": float(bound), "sweep": float(sweep), "jumped": float(jumped)}

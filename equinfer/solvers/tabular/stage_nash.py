"""Nash equilibria by policy iteration whose greedy step is an equilibrium of every state's stage game."""

import itertools
from collections.abc import Iterator
from typing import Any, ClassVar

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.contraction import expected, expected_own
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.solvers.tabular.induced_game import exact_value, solve_induced, solve_on_supports
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.solvers.tabular.stage_solver import StageSolver
from equinfer.tables import discounted_length
from equinfer.types import Profile

__all__ = ["StageNash"]

_TINY = 1e-12
"""Of the payoff scale: a profile whose bound on the gap is below is offered as an equilibrium."""
_ROUNDING = 5e-15
"""Of the payoff scale: nothing is left to polish."""
_RECENT = 6
"""Sweeps within which a change of support counts as recent."""
_SLOW = 0.1
"""A sweep that leaves more of the bound than this, on the same supports, is slow."""
_PATIENCE = 3
"""Slow sweeps in a row before Newton's method is tried."""
_FIRST_REPAIR, _REPAIR_GROWTH = 6, 1.5
"""States that are solved together at first, at most, and by how much that grows from one repair to the next."""
_SETTLED = 2
"""Sweeps that do not halve the bound after which an equilibrium is as good as it gets."""


class StageNash(AbstractHostSolver):
    r"""Stage-Nash policy iteration with support hysteresis.

    At values V, an equilibrium $\pi(s)$ of the stage game $Q^V_i(s,\cdot)=r_i(s,\cdot)+\gamma_iE[V_i(s')]$ is taken
    in every state, with the last sweep's support where it still gives one; then V becomes the exact value of the joint
    policy. A profile that is an equilibrium of the stage games at its own values is a stationary Nash equilibrium, by
    the one-shot deviation principle. With two players, zero sum and no hysteresis this is the method of Pollatschek
    and Avi-Itzhak (1969).

    There is no proof of convergence. Of the states that would switch sweep after sweep only half do; if the same ones
    go on, the values move only part of the way in a sweep, which leaves but a few that switch; where these are few
    enough, their own stochastic game (all others keep to their policies and are eliminated) is solved by the homotopy;
    and failing that the iteration starts afresh with other stage equilibria, drawn at random. One-shot games take one
    sweep; games with a finite horizon are solved epoch by epoch, from the last one.

    Watched: `bound` on the Nash gap, from the regrets in the stage games, in units of reward; `sweep` (in a
    finite-horizon game: epochs done); `switched`, the number of states whose support changed; `attempt`.
    """

    name: ClassVar[str] = "stage-nash"
    unit_ratio: ClassVar[float] = 1.0

    restarts: int = 10
    """How many times the iteration may start afresh."""
    sweeps: int = 240
    """An attempt ends after so many sweeps in which no state switched that had not switched late before: a cycle. A
    front that moves through the states, one a sweep, is none."""
    hold_from: int = 8
    """The sweep from which only half of the states that would switch again do, drawn at random: states that answer
    each other in step then fall out of it."""
    damped_after: int = 6
    """Late sweeps without a new state after which the values move only part of the way to those of the profile."""
    damping: float = 0.3
    """That part."""
    repair_from: int = 12
    """The sweep at which states that keep switching are first solved together."""
    repair_every: int = 6
    """Sweeps until the next repair; then each time twice as many."""
    repair_size: int = 60
    """No more states than this are solved together, and fewer at first."""
    shuffled: bool = False
    """Draw the stage equilibria at random from the first attempt on: another `seed`, another selection."""

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        random, game = np.random.default_rng(seed), _centred(game)
        attempt_once = self._policy_iteration if game.horizon is None else self._backward_induction
        for attempt in range(self.restarts + 1):
            found = False
            for iterate in attempt_once(game, StageSolver(game, random, first=attempt == 0 and not self.shuffled)):
                found = found or iterate.candidate
                yield iterate._replace(info={**iterate.info, "attempt": float(attempt)})
            if found:
                return

    def _policy_iteration(self, game: Any, stages: StageSolver) -> Iterator[Iterate]:
        """One attempt, which ends when an equilibrium is as good as it gets, or after `sweeps`."""
        length = discounted_length(np.asarray(game.discount), None)
        table, ahead = np.asarray(game.reward), np.zeros((game.num_players, game.num_states))
        progress = _Progress(game.num_states, game.tables().payoff_scale, self.hold_from)
        info = _info(np.inf, 0, game.num_states)
        for sweep in itertools.count():
            before, last = stages.supports(), stages.policies()
            for _ in stages.solve(table):
                yield Iterate(stages.policies(), info)
            switched = stages.switched_since(before)
            if sweep >= self.hold_from:
                stages.hold(last, switched & progress.switched_last)
            progress.mark(sweep, switched)
            for _ in self._intervene(game, stages, progress):
                yield Iterate(stages.policies(), info)
            profile = stages.policies()
            value = exact_value(game, profile)
            table = stage_payoffs(game, value)
            bound = float((_stage_regrets(game, table, profile).max(axis=1) * length).max())
            info = _info(bound, sweep + 1, int(switched.sum()))
            yield Iterate(profile, info, candidate=progress.measure(bound))
            if progress.finished or progress.sweeps_without_news >= self.sweeps:
                return
            if progress.circling(self.damped_after):
                ahead = ahead + self.damping * (value - ahead)
                table = stage_payoffs(game, ahead)
            else:
                ahead = value

    def _intervene(self, game: Any, stages: StageSolver, progress: "_Progress") -> Iterator[None]:
        """What sweeps alone will not do: end a cycle, or a slow approach on supports that no longer change."""
        if progress.crawling:
            polished = solve_on_supports(game, stages.policies())
            if polished is not None:
                stages.adopt(polished, np.arange(game.num_states))
                progress.repaired = True
            yield
        together = self._to_repair(progress, stages.mixed())
        if len(together):
            for solved in solve_induced(game, stages.policies(), together):
                if solved is not None:
                    stages.adopt(solved, together)
                    progress.repaired = True
                yield

    def _to_repair(self, progress: "_Progress", mixed: Bool[np.ndarray, " S"]) -> Int[np.ndarray, " C"]:
        """The states to be solved together now: those that switched lately. If that was tried before, also those that
        mix, since they move with the values; at last all. Whatever of this is small enough: a path of many states
        takes as long as hundreds of sweeps, after which there may be fewer.
        """
        recent = progress.switched_lately
        periods, rest = divmod(progress.sweep - self.repair_from + self.repair_every, self.repair_every)
        if periods <= 0 or rest or periods.bit_count() > 1 or not recent.any():
            return np.zeros(0, int)
        repairs = periods.bit_length() - 1
        choices = [recent, recent | mixed, np.ones_like(recent)][: repairs + 1]
        limit = min(self.repair_size, int(_FIRST_REPAIR * _REPAIR_GROWTH**repairs))
        small = [choice for choice in choices if choice.sum() <= limit]
        return np.flatnonzero(small[-1]) if small else np.zeros(0, int)

    def _backward_induction(self, game: Any, stages: StageSolver) -> Iterator[Iterate]:
        """One attempt: every epoch's stage games given the values of the next; exact where all are solved."""
        profile = tuple(np.repeat(policy[None], game.horizon, axis=0) for policy in stages.policies())
        value, bound = np.zeros((game.num_players, game.num_states)), np.zeros(game.num_players)
        info = _info(np.inf, 0, game.num_states)
        for epoch in reversed(range(game.horizon)):
            before, table = stages.supports(), stage_payoffs(game, value)
            for _ in stages.solve(table):
                yield Iterate(_copied(profile), info)
            now = stages.policies()
            for whole, policy in zip(profile, now, strict=True):
                whole[epoch] = policy
            value = np.stack([expected(payoff, now) for payoff in table])
            bound = _stage_regrets(game, table, now).max(axis=1) + np.asarray(game.discount) * bound
            of_the_whole = bound.max() if epoch == 0 else np.inf
            info = _info(of_the_whole, game.horizon - epoch, int(stages.switched_since(before).sum()))
        yield Iterate(profile, info, candidate=bool(bound.max() <= _TINY * game.tables().payoff_scale))


class _Progress:
    """What one attempt has seen so far, and what it says about going on."""

    def __init__(self, num_states: int, scale: float, late: int):
        self._scale, self._late, self._news = scale, late, 0
        self._last_switch = np.full(num_states, -_RECENT)
        self._best, self._last, self._slow, self._stale = np.inf, np.inf, 0, 0
        self.sweep = 0
        self.repaired = False
        """Something else has changed the profile since the last sweep."""

    def mark(self, sweep: int, switched: Bool[np.ndarray, " S"]) -> None:
        """Note where supports changed in this sweep."""
        self.sweep, self.repaired = sweep, False
        if sweep >= self._late and np.any(self._last_switch[switched] < self._late):
            self._news = sweep
        self._last_switch[switched] = sweep

    @property
    def sweeps_without_news(self) -> int:
        """Sweeps since one in which a state switched that had not yet switched late."""
        return self.sweep + 1 - self._news

    def circling(self, patience: int) -> bool:
        """For more than `patience` late sweeps only the same states have switched, some of them lately."""
        late = self.sweep >= self._late and not self.repaired
        return bool(late and self.sweeps_without_news > patience and self.switched_lately.any())

    @property
    def switched_last(self) -> Bool[np.ndarray, " S"]:
        """Where supports changed in the last sweep that was noted."""
        return self._last_switch == self.sweep

    @property
    def switched_lately(self) -> Bool[np.ndarray, " S"]:
        return self._last_switch > self.sweep - _RECENT

    def measure(self, bound: float) -> bool:
        """Note the sweep's bound on the gap; True for a new best that is an equilibrium."""
        quiet = self._last_switch.max() < self.sweep
        self._slow = self._slow + 1 if quiet and bound > _SLOW * self._last else 0
        self._stale = 0 if bound < 0.5 * self._best else self._stale + 1
        better = bound < self._best
        self._best, self._last = min(bound, self._best), bound
        return better and bound <= _TINY * self._scale

    @property
    def crawling(self) -> bool:
        """Supports have stood still, but the bound falls slowly or not at all: Newton's method will do better."""
        return self._slow > 0 and self._slow % _PATIENCE == 0 and self._best > _TINY * self._scale

    @property
    def finished(self) -> bool:
        if self._best <= _ROUNDING * self._scale:
            return True
        return self._best <= _TINY * self._scale and self._stale >= _SETTLED


def _stage_regrets(game: Any, table: Float[np.ndarray, "N S *A"], profile: Profile) -> Float[np.ndarray, "N S"]:
    """What each player could gain by deviating once, in each stage game."""
    regrets = []
    for i, policy in enumerate(profile):
        q = expected_own(table[i], profile, i)
        best = np.where(game.legal[i], q, -np.inf).max(axis=1)
        regrets.append(best - (policy * q).sum(axis=1))
    return np.stack(regrets)


def _centred(game: Any) -> Any:
    """The game with every player's legal rewards around zero, which changes no gain: a level that is large beside their
    differences would drown these in the rounding of the values, and constant payoffs have none.
    """
    joint, reward = game.tables().legal_joint, np.zeros(game.reward.shape)
    for player, given in enumerate(np.asarray(game.reward, float)):
        legal = given[joint]
        reward[player, joint] = legal - (legal.min() + (legal.max() - legal.min()) / 2)
    return eqx.tree_at(lambda g: g.reward, game, reward)


def _info(bound: float, sweep: int, switched: int) -> dict[str, float]:
    return {"bound": float(bound), "sweep": float(sweep), "switched": float(switched)}


def _copied(profile: Profile) -> Profile:
    return tuple(policy.copy() for policy in profile)

"""Nash equilibria by policy iteration whose greedy step is an equilibrium of every state's stage game."""

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float

from equinfer.contraction import expected, expected_own
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.solvers.tabular.induced_game import exact_value, solve_induced
from equinfer.solvers.tabular.stage_solver import StageSolver
from equinfer.tables import discounted_length
from equinfer.types import Profile

__all__ = ["StageNash"]

_TINY = 1e-12
"""Of the payoff scale: a profile whose bound on the gap is below is offered as an equilibrium."""
_ROUNDING = 1e-15
"""Of the payoff scale: nothing is left to polish."""
_RECENT = 6
"""Sweeps within which a change of support counts as recent."""
_SETTLED = 3
"""Sweeps that do not halve the bound after which an equilibrium is as good as it gets."""


class StageNash(AbstractHostSolver):
    r"""Stage-Nash policy iteration with support hysteresis.

    At values V, an equilibrium $\pi(s)$ of the stage game $Q^V_i(s,\cdot)=r_i(s,\cdot)+\gamma_iE[V_i(s')]$ is taken
    in every state, with the last sweep's support where it still gives one; then V becomes the exact value of the joint
    policy. A profile that is an equilibrium of the stage games at its own values is a stationary Nash equilibrium, by
    the one-shot deviation principle. With two players, zero sum and no hysteresis this is the method of Pollatschek
    and Avi-Itzhak (1969).

    There is no proof of convergence: where supports keep switching in a few states, those states' own stochastic game
    (all others keep to their policies and are eliminated) is solved by the homotopy, and failing that the iteration
    starts afresh with other stage equilibria, drawn at random. One-shot games take one sweep; games with a finite
    horizon are solved epoch by epoch, from the last one.

    Watched: `bound` on the Nash gap, from the regrets in the stage games, in units of reward; `sweep` (in a
    finite-horizon game: epochs done); `switched`, the number of states whose support changed; `attempt`.
    """

    name: ClassVar[str] = "stage-nash"

    restarts: int = 10
    """How many times the iteration may start afresh."""
    sweeps: int = 60
    """Sweeps of one attempt."""
    repair_from: int = 12
    """The sweep at which states that keep switching are first solved together."""
    repair_every: int = 6
    repair_size: int = 60
    """No more states than this are solved together."""

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        random = np.random.default_rng(seed)
        attempt_once = self._policy_iteration if game.horizon is None else self._backward_induction
        for attempt in range(self.restarts + 1):
            found = False
            for iterate in attempt_once(game, StageSolver(game, random, first=attempt == 0)):
                found = found or iterate.candidate
                yield iterate._replace(info={**iterate.info, "attempt": float(attempt)})
            if found:
                return

    def _policy_iteration(self, game: Any, stages: StageSolver) -> Iterator[Iterate]:
        """One attempt, which ends when an equilibrium is as good as it gets, or after `sweeps`."""
        length, scale = discounted_length(np.asarray(game.discount), None), _payoff_scale(game)
        value = np.zeros((game.num_players, game.num_states))
        last_switch = np.full(game.num_states, -_RECENT)
        best, stale, info = np.inf, 0, _info(np.inf, 0, game.num_states)
        for sweep in range(self.sweeps):
            before = stages.supports()
            for _ in stages.solve(_stage_payoffs(game, value)):
                yield Iterate(stages.policies(), info)
            last_switch[stages.switched_since(before)] = sweep
            moving = np.flatnonzero(last_switch > sweep - _RECENT)
            if self._repairs_at(sweep) and 0 < len(moving) <= self.repair_size:
                for solved in solve_induced(game, stages.policies(), moving):
                    if solved is not None:
                        stages.adopt(solved, moving)
                    yield Iterate(stages.policies(), info)
            profile = stages.policies()
            value = exact_value(game, profile)
            regret = _stage_regrets(game, _stage_payoffs(game, value), profile)
            bound = float((regret.max(axis=1) * length).max())
            info = _info(bound, sweep + 1, int(stages.switched_since(before).sum()))
            yield Iterate(profile, info, candidate=bound < best and bound <= _TINY * scale)
            stale = 0 if bound < 0.5 * best else stale + 1
            best = min(best, bound)
            if best <= _ROUNDING * scale or (best <= _TINY * scale and stale >= _SETTLED):
                return

    def _repairs_at(self, sweep: int) -> bool:
        return sweep >= self.repair_from and (sweep - self.repair_from) % self.repair_every == 0

    def _backward_induction(self, game: Any, stages: StageSolver) -> Iterator[Iterate]:
        """One attempt: every epoch's stage games given the values of the next; exact where all are solved."""
        profile = tuple(np.repeat(policy[None], game.horizon, axis=0) for policy in stages.policies())
        value, bound = np.zeros((game.num_players, game.num_states)), np.zeros(game.num_players)
        info = _info(np.inf, 0, game.num_states)
        for epoch in reversed(range(game.horizon)):
            before, table = stages.supports(), _stage_payoffs(game, value)
            for _ in stages.solve(table):
                yield Iterate(_copied(profile), info)
            now = stages.policies()
            for whole, policy in zip(profile, now, strict=True):
                whole[epoch] = policy
            value = np.stack([expected(payoff, now) for payoff in table])
            bound = _stage_regrets(game, table, now).max(axis=1) + np.asarray(game.discount) * bound
            info = _info(bound.max(), game.horizon - epoch, int(stages.switched_since(before).sum()))
        yield Iterate(profile, info, candidate=bool(bound.max() <= _TINY * _payoff_scale(game)))


def _stage_payoffs(game: Any, value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N S *A"]:
    r"""$Q^V_i(s,a)=r_i(s,a)+\gamma_iE[V_i(s')\mid s,a]$."""
    return np.asarray(game.reward) + np.asarray(game.kernel.expect(np.asarray(game.discount)[:, None] * value))


def _stage_regrets(game: Any, table: Float[np.ndarray, "N S *A"], profile: Profile) -> Float[np.ndarray, "N S"]:
    """What each player could gain by deviating once, in each stage game."""
    regrets = []
    for i, policy in enumerate(profile):
        q = expected_own(table[i], profile, i)
        best = np.where(game.legal[i], q, -np.inf).max(axis=1)
        regrets.append(best - (policy * q).sum(axis=1))
    return np.stack(regrets)


def _payoff_scale(game: Any) -> float:
    """The widest range of rewards over legal joint actions, summed over the horizon: the unit of gaps."""
    joint = np.ones(game.reward.shape[1:], bool)
    for i, mask in enumerate(game.legal):
        axes = [1] * game.num_players
        axes[i] = -1
        joint &= np.asarray(mask).reshape(game.num_states, *axes)
    ranges = np.array([np.ptp(np.asarray(reward)[joint]) for reward in game.reward])
    return float((ranges * discounted_length(np.asarray(game.discount), game.horizon)).max())


def _info(bound: float, sweep: int, switched: int) -> dict[str, float]:
    return {"bound": float(bound), "sweep": float(sweep), "switched": float(switched)}


def _copied(profile: Profile) -> Profile:
    return tuple(policy.copy() for policy in profile)

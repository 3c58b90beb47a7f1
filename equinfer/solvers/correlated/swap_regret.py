"""Correlated equilibrium without a mediator: players who learn not to regret their own habits."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from jaxtyping import Float, Int

from equinfer.answer import Joint
from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.errors import BadInput
from equinfer.solvers.correlated.swap_play import play
from equinfer.solvers.tabular.settings import check_choices, check_ranges

__all__ = ["SwapRegret"]

_GROWTH = 1.2
"""Rounds at one judged average over rounds at the one before."""
_CHUNK_SECONDS = 0.1


class SwapRegret(AbstractHostSolver):
    r"""Every player answers its own record; nobody recommends anything. The answer is how all have played on average.

    After K rounds the gap of the average joint play is $\frac1K$ of the largest *swap regret*: what a player would have
    gained had it always done $\phi(a)$ where it did a. Swap regret is at most
    $\mathrm{osc}(u_i)\sqrt{n_i\log n_i\,K}$ (from a uniform start), whatever the others do, so that the average play of
    such learners approaches the set of correlated equilibria (Foster and Vohra 1997, Blum and Mansour 2007). Which
    one, if there are many, is not chosen by any objective.

    One-shot games. Watched: `round`, `regret` (the largest over players, per round), and the `bound` on it.
    """

    name: ClassVar[str] = "swap-regret"
    answers: ClassVar[str] = "joint"

    rounds: int = 100_000
    """Rounds of play."""
    start: str = "uniform"
    r"""The prior $\tilde\pi_i(\cdot\mid m)$ of what each action is swapped for: `uniform`, or drawn at `random`."""

    def __check_init__(self) -> None:
        check_choices(self, {"start": ("uniform", "random")})
        check_ranges(self, {"rounds": "[1, inf)"})

    def doubts(self, tables: Any) -> tuple[str, ...]:
        return (
            f"The average of {self.rounds:,} rounds of learning comes near an equilibrium, not to one: at worst its "
            "gap falls like one over the square root of their number. Allow more with `rounds`, or a larger gap with "
            "`eps`.",
        )

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        if not game.is_one_shot:
            raise BadInput(
                "swap-regret learns in one-shot games (one state and discount 0, or one epoch): where play moves the "
                "state, what a swap would have earned is not seen."
            )
        rng = np.random.default_rng(seed)
        reward, legal = np.asarray(game.reward), [np.asarray(mask) for mask in game.legal]
        tables = [
            _Table(reward[:, state], [np.flatnonzero(mask[state]) for mask in legal], self._priors(rng))
            for state in range(game.num_states)
        ]
        done, seconds = 0, np.inf
        for mark in _marks(self.rounds):
            while done < mark:
                last = min(mark, done + max(1, int(_CHUNK_SECONDS / seconds)))
                began, before = time.perf_counter(), done
                for table in tables:
                    table.play(done, last)
                done = last
                if before > 0:  # the first round may hold a compilation
                    seconds = min(seconds, (time.perf_counter() - began) / (done - before))
                joint = np.stack([table.average(done) for table in tables])
                info = {
                    "round": float(done),
                    "regret": max(table.regret(done) for table in tables),
                    "bound": max(table.bound(done) for table in tables),
                }
                answer = Joint(joint if game.horizon is None else joint[None])
                yield Iterate(answer, info, candidate=done == mark)

    def _priors(self, rng: np.random.Generator) -> Any:
        def weights(size: int) -> Float[np.ndarray, "A A"]:
            return np.ones((size, size)) if self.start == "uniform" else rng.exponential(size=(size, size))

        return weights


class _Table:
    """One decision, and what its players remember of it."""

    def __init__(self, reward: Float[np.ndarray, "N *A"], actions: Sequence[Int[np.ndarray, " _"]], weights: Any):
        self._cells, self._shape = np.ix_(*actions), reward.shape[1:]
        self._sizes = np.array([len(own) for own in actions])
        payoffs = reward[(slice(None), *self._cells)].reshape(len(reward), -1)
        lowest = payoffs.min(axis=1, keepdims=True)
        self._spreads = np.ptp(payoffs, axis=1)
        self._payoffs = (payoffs - lowest) / np.where(self._spreads > 0, self._spreads, 1.0)[:, None]
        largest = self._sizes.max()
        self._log_priors = np.zeros((len(reward), largest, largest))
        for i, size in enumerate(self._sizes):
            drawn = weights(int(size))
            self._log_priors[i, :size, :size] = np.log(drawn / drawn.sum(axis=1, keepdims=True))
        self._gains = np.zeros_like(self._log_priors)
        self._joint = np.zeros(payoffs.shape[1])

    def play(self, done: int, last: int) -> None:
        play(self._payoffs, self._sizes, self._log_priors, self._gains, self._joint, done + 1, last + 1)

    def average(self, rounds: int) -> Float[np.ndarray, "*A"]:
        """The law of all rounds, each as likely as any."""
        law = np.zeros(self._shape)
        law[self._cells] = (self._joint / rounds).reshape(tuple(self._sizes))
        return law

    def regret(self, rounds: int) -> float:
        """The largest gain per round from a swap, of any player, in its own units."""
        regrets = []
        for spread, size, gains in zip(self._spreads, self._sizes, self._gains, strict=True):
            own = gains[:size, :size]
            regrets.append(spread * float((own.max(axis=1) - np.diagonal(own)).sum()) / rounds)
        return max(regrets)

    def bound(self, rounds: int) -> float:
        r"""What no regret per round exceeds, whatever is played.

        The learner of action m is paid $p_k(m)u$. With falling rates its regret is at most
        $\log\frac1{\min\tilde\pi}/\eta_K+\sum_k\eta_kp_k(m)^2/8$ for payoffs in [0, 1]; sum over m.
        """
        bounds = []
        for spread, size, log_prior in zip(self._spreads, self._sizes, self._log_priors, strict=True):
            scale = np.sqrt(size * np.log(size))
            nats = float(-log_prior[:size, :size].min(axis=1).sum())
            ahead = nats / (2 * scale) if size > 1 else 0.0
            bounds.append(float(spread) * (ahead + scale / 2) / np.sqrt(rounds))
        return max(bounds)


def _marks(rounds: int) -> list[int]:
    """Rounds after which the average is judged: ever further apart, so that a trace reads well on logarithmic axes."""
    marks, mark = [], 1
    while mark < rounds:
        marks.append(mark)
        mark = max(mark + 1, int(mark * _GROWTH))
    return [*marks, rounds]

"""Drives solvers that are generators of iterates: path followers, pivots, compiled loops.

The clock, Ctrl-C and the judging of candidates live here, so that a solver is only its mathematics.
"""

import time
from collections.abc import Generator
from typing import Any

import numpy as np

from equinfer.drivers.protocol import AbstractHostSolver, Iterate, Judge, Outcome, Watch
from equinfer.records import Certificate, Status
from equinfer.types import Profile

__all__ = ["ROUNDING_LEVEL", "drive"]

ROUNDING_LEVEL = 1e-13
"""A gap of this many payoff scales is rounding: there is nothing left to polish."""
DRAWN_ENTRIES = 500
"""Probabilities of a profile up to which every iterate is certified and remembered, so that the way can be drawn."""
DRAWN_ITERATES = 4000


def drive(
    solver: AbstractHostSolver,
    game: Any,
    *,
    judge: Judge,
    start: Profile,
    payoff_scale: float,
    seed: int = 0,
    seconds: float | None = None,
    watch: Watch | None = None,
) -> Outcome:
    """Run `solver` until it has an equilibrium to rounding, nothing more to try, no more time, or is interrupted.

    Candidates are certified as they come and the best is kept; the last iterate is certified as well, and `start` if
    there was none. Nothing here depends on an eps.

    **Arguments:** `judge` makes the certificate; `start` is a profile to fall back on; `seconds` of wall-clock time,
    read between iterates; `watch` is called with each iterate's info, the seconds and the best certified gap so far.

    **Returns:** an `Outcome`; `trace` holds every watched number per iterate, `seconds`, and `gap` (not a number
    where nothing was certified), of small games also the profiles themselves: `profile_0` (iterates, [H,] S, A_0), ...
    A solver that fails numerically (a singular system, a policy that is not finite) ends
    as `stalled`, with its best so far.
    """
    run = _Run(judge, payoff_scale, watch)
    ended = Status.above_eps
    iterates = solver.iterates(game, seed=seed)
    try:
        for iterate in iterates:
            run.record(iterate)
            if run.solved:
                break
            if seconds is not None and run.elapsed >= seconds:
                ended = Status.out_of_time
                break
    except KeyboardInterrupt:
        ended = Status.interrupted
    except (np.linalg.LinAlgError, FloatingPointError, ZeroDivisionError):
        ended = Status.stalled
    finally:
        if isinstance(iterates, Generator):
            iterates.close()
    profile, certificate = run.conclude(start)
    return Outcome(profile, certificate, ended, run.trace(), run.elapsed)


class _Run:
    """What has been seen of one run: the best certified profile, the last iterate, the watched numbers."""

    def __init__(self, judge: Judge, payoff_scale: float, watch: Watch | None):
        self.best: tuple[Profile, Certificate] | None = None
        self._unjudged: Profile | None = None
        self._judge = judge
        self._watch = watch
        self._negligible = ROUNDING_LEVEL * payoff_scale
        self._began = time.perf_counter()
        self._rows: list[dict[str, float]] = []
        self._drawn: list[Profile] = []

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._began

    @property
    def solved(self) -> bool:
        """The best gap is at rounding level."""
        if self.best is None:
            return False
        certificate = self.best[1]
        return certificate.gap <= max(certificate.numerical_error, self._negligible)

    def record(self, iterate: Iterate) -> None:
        profile = tuple(np.asarray(policy, np.float64) for policy in iterate.profile)
        if not all(np.isfinite(policy).all() for policy in profile):
            raise FloatingPointError("a policy is not finite")
        self._unjudged = profile
        drawn = sum(policy.size for policy in profile) <= DRAWN_ENTRIES and len(self._rows) < DRAWN_ITERATES
        gap = np.nan
        if iterate.candidate:
            gap = self._keep_the_better(profile)
        elif drawn:  # only watched: a solver has its reasons (which equilibrium it is after) not to offer it
            gap = self._judge(profile).gap
        row = {**iterate.info, "seconds": self.elapsed, "gap": gap}
        self._rows.append(row)
        if drawn:
            self._drawn.append(profile)
        if self._watch is not None:
            self._watch(row if self.best is None else {**row, "best_gap": self.best[1].gap})

    def conclude(self, start: Profile) -> tuple[Profile, Certificate]:
        """The best profile, the last iterate included, or `start` if there was none."""
        if self._unjudged is not None:
            self._keep_the_better(self._unjudged)
        if self.best is None:
            return start, self._judge(start)
        return self.best

    def _keep_the_better(self, profile: Profile) -> float:
        certificate = self._judge(profile)
        self._unjudged = None
        if self.best is None or certificate.gap < self.best[1].gap:
            self.best = profile, certificate
        return certificate.gap

    def trace(self) -> dict[str, np.ndarray]:
        names = self._rows[0] if self._rows else ()
        numbers = {name: np.array([row[name] for row in self._rows], np.float64) for name in names}
        if len(self._drawn) < len(self._rows):
            return numbers
        drawn = {f"profile_{i}": np.stack(policies) for i, policies in enumerate(zip(*self._drawn, strict=True))}
        return numbers | drawn

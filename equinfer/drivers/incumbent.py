"""The best certified profile of a run so far, and its clock: what all drivers keep in the same way."""

import time
from collections.abc import Mapping

import numpy as np

from equinfer.drivers.protocol import Outcome, Task
from equinfer.records import Certificate, Status
from equinfer.types import Profile

__all__ = ["ROUNDING_LEVEL", "Incumbent"]

ROUNDING_LEVEL = 1e-13
"""A gap of this many payoff scales of the player is rounding: there is nothing left to polish."""


class Incumbent:
    """Judges what is offered, keeps the best, and knows how long that has taken."""

    def __init__(self, task: Task):
        self._task = task
        self._best: tuple[Profile, Certificate] | None = None
        self._began = time.perf_counter()

    def offer(self, profile: Profile) -> Certificate:
        """Have `profile` certified, and keep it if it is the best: solved, or of the smallest gap."""
        certificate = self._task.judge(profile)
        if self._best is None or _rank(certificate) < _rank(self._best[1]):
            self._best = profile, certificate
        return certificate

    @property
    def gap(self) -> float:
        """The best one, infinite before there is any."""
        return np.inf if self._best is None else self._best[1].gap

    @property
    def solved(self) -> bool:
        """The gap of every player is at rounding level."""
        return self._best is not None and self._best[1].settled(ROUNDING_LEVEL)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self._began

    @property
    def seconds_left(self) -> float:
        """Until time is up; infinite if there is no limit."""
        return np.inf if self._task.seconds is None else self._task.seconds - self.elapsed

    def tell(self, row: Mapping[str, float | int]) -> None:
        """Pass on what is watched, and the best gap if there is one."""
        if self._task.watch is not None:
            self._task.watch(row if self._best is None else {**row, "best_gap": self.gap})

    def outcome(self, ended: Status, trace: Mapping[str, np.ndarray]) -> Outcome:
        """What is handed back: the best, or the profile to fall back on."""
        profile, certificate = self._best or (self._task.start, self._task.judge(self._task.start))
        return Outcome(profile, certificate, ended, trace, self.elapsed)


def _rank(certificate: Certificate) -> tuple[bool, float]:
    # A player with little at stake may lose all of it within the rounding of the others' gaps.
    return not certificate.settled(ROUNDING_LEVEL), certificate.gap

"""The best certified answer of a run so far, and its clock: what all drivers keep in the same way."""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from equinfer.drivers.protocol import Choice, Outcome, Task
from equinfer.records import Certificate, Status

__all__ = ["ROUNDING_LEVEL", "Incumbent"]

ROUNDING_LEVEL = 1e-13
"""A gap of this many payoff scales of the player is rounding: there is nothing left to polish."""
CHOICE_LEVEL = 1e-9
"""The same for answers that are chosen among many: up to here the objective counts, and no longer the gap."""


class Incumbent:
    """Judges what is offered, keeps the best, and knows how long that has taken."""

    def __init__(self, task: Task):
        self._task = task
        self._best: tuple[Any, Certificate, Choice | None] | None = None
        self._began = time.perf_counter()

    def offer(self, answer: Any, choice: Choice | None = None) -> Certificate:
        """Have `answer` certified, and keep it if it is the best: solved, the best choice, or of the smallest gap."""
        certificate = self._task.judge(answer)
        if self._best is None or _rank(certificate, choice) < _rank(*self._best[1:]):
            self._best = answer, certificate, choice
        return certificate

    @property
    def answer(self) -> Any:
        """The best one, None before there is any."""
        return None if self._best is None else self._best[0]

    @property
    def gap(self) -> float:
        """The best one, infinite before there is any."""
        return np.inf if self._best is None else self._best[1].gap

    @property
    def solved(self) -> bool:
        """The gap of every player is at rounding level, and there is no better one to look for."""
        return self._best is not None and self._best[2] is None and self._best[1].settled(ROUNDING_LEVEL)

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
        """What is handed back: the best, or the answer to fall back on."""
        answer, certificate, choice = self._best or (self._task.start, self._task.judge(self._task.start), None)
        return Outcome(answer, certificate, ended, trace, self.elapsed, choice)


def _rank(certificate: Certificate, choice: Choice | None) -> tuple[bool, float, float]:
    # A player with little at stake may lose all of it within the rounding of the others' gaps.
    settled = certificate.settled(ROUNDING_LEVEL if choice is None else CHOICE_LEVEL)
    if not settled:
        return True, 0.0, certificate.gap
    # To as many digits as the gap leaves them; of two that are worth as much, the smaller gap decides. What was not
    # offered as a choice, a last look at what was tried, comes after all that was.
    return False, np.inf if choice is None else -float(f"{choice.value:.10g}"), certificate.gap

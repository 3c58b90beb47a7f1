"""Drives a solver that is asked for all the equilibria it can find, not for the first."""

import time
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from equinfer.drivers.host import run_through
from equinfer.drivers.protocol import AbstractHostSolver, Iterate, Task
from equinfer.records import Certificate, Status
from equinfer.types import Profile

__all__ = ["SAME", "Found", "Harvest", "distance", "harvest"]

SAME = 1e-6
"""Two equilibria none of whose probabilities differ by more are one."""
_MOST_REFUSED = 1_000


class Found(NamedTuple):
    """One equilibrium, certified."""

    profile: Profile
    certificate: Certificate
    seconds: float
    """Since the run began."""
    order: tuple[int, int] = (0, 0)
    """Which search found it, and at which of its iterates."""


class Harvest(NamedTuple):
    """What a solver found until it had nothing more to try, no more time, or was interrupted."""

    found: tuple[Found, ...]
    left_out: tuple[Found, ...]
    """Candidates, each far from all that were found, whose certificates were refused; of many the first thousand."""
    ended: Status
    """`above_eps` stands for "finished"."""
    info: dict[str, float]
    """What the solver watched last."""
    seconds: float


def harvest(solver: AbstractHostSolver, game: Any, task: Task, *, eps: float) -> Harvest:
    """Run `solver` to its end, and keep every candidate that is certified within `eps`, small beside each player's own
    stakes, and not there yet.

    Of two candidates closer than `SAME` the one with the smaller gap is kept; of two whose gaps are rounding, that of
    the earlier search, by its number, which solvers that make several at once watch as `search`: what is handed back,
    in the order of searches, does not depend on which of them was faster. `task.start` is not used. The task's `watch`
    is told, beside what the solver watches, how many were `found`.
    """
    began = time.perf_counter()
    found: list[Found] = []
    refused: list[Found] = []
    info: dict[str, float] = {}
    iterates: Counter[int] = Counter()

    def look(iterate: Iterate) -> Status | None:
        nonlocal info
        info = iterate.info
        search = int(info.get("search", 0))
        iterates[search] += 1
        if iterate.candidate:
            profile = tuple(np.asarray(policy, np.float64) for policy in iterate.answer)
            _take_in(found, refused, profile, (search, iterates[search]), task, eps, began)
        if task.watch is not None:
            elapsed = time.perf_counter() - began
            task.watch({**iterate.info, "found": float(len(found)), "seconds": elapsed})
        return Status.out_of_time if seconds_left() <= 0 else None

    def seconds_left() -> float:
        return np.inf if task.seconds is None else task.seconds - (time.perf_counter() - began)

    ended = run_through(solver, game, task.seed, look, seconds_left)
    found.sort(key=lambda one: one.order)
    left_out = tuple(one for one in refused if _near(found, one.profile) is None)
    return Harvest(tuple(found), left_out, ended, info, time.perf_counter() - began)


def distance(one: Profile, other: Profile) -> float:
    """The largest difference of a probability."""
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in zip(one, other, strict=True))


def _take_in(
    found: list[Found],
    refused: list[Found],
    profile: Profile,
    order: tuple[int, int],
    task: Task,
    eps: float,
    began: float,
) -> None:
    near = _near(found, profile)
    if near is not None and _rank(found[near].certificate, found[near].order) < (0.0, order):
        return
    certificate = task.judge(profile)
    one = Found(profile, certificate, time.perf_counter() - began, order)
    if not certificate.holds(eps) or certificate.warnings(eps):
        if len(refused) < _MOST_REFUSED and near is None and _near(refused, profile) is None:
            refused.append(one)
    elif near is None:
        found.append(one)
    elif _rank(certificate, order) < _rank(found[near].certificate, found[near].order):
        found[near] = one._replace(seconds=found[near].seconds)


def _near(known: Sequence[Found], profile: Profile) -> int | None:
    return next((place for place, one in enumerate(known) if distance(one.profile, profile) <= SAME), None)


def _rank(certificate: Certificate, order: tuple[int, int]) -> tuple[float, tuple[int, int]]:
    return (certificate.gap if certificate.gap > certificate.numerical_error else 0.0), order

"""Drives a solver that is asked for all the equilibria it can find, not for the first."""

import time
from typing import Any, NamedTuple

import numpy as np

from equinfer.drivers.host import run_through
from equinfer.drivers.protocol import AbstractHostSolver, Iterate, Task
from equinfer.records import Certificate, Status
from equinfer.types import Profile

__all__ = ["SAME", "Found", "Harvest", "distance", "harvest"]

SAME = 1e-6
"""Two equilibria none of whose probabilities differ by more are one."""


class Found(NamedTuple):
    """One equilibrium, certified."""

    profile: Profile
    certificate: Certificate
    seconds: float
    """Since the run began."""


class Harvest(NamedTuple):
    """What a solver found until it had nothing more to try, no more time, or was interrupted."""

    found: tuple[Found, ...]
    ended: Status
    """`above_eps` stands for "finished"."""
    info: dict[str, float]
    """What the solver watched last."""
    seconds: float


def harvest(solver: AbstractHostSolver, game: Any, task: Task, *, eps: float) -> Harvest:
    """Run `solver` to its end, and keep every candidate that is certified within `eps`, small beside each player's own
    stakes, and not there yet.

    Of two candidates closer than `SAME` the one with the smaller gap is kept. `task.start` is not used. The task's
    `watch` is told, beside what the solver watches, how many were `found`.
    """
    began = time.perf_counter()
    found: list[Found] = []
    info: dict[str, float] = {}

    def look(iterate: Iterate) -> Status | None:
        nonlocal info
        info = iterate.info
        if iterate.candidate:
            profile = tuple(np.asarray(policy, np.float64) for policy in iterate.answer)
            _take_in(found, profile, task, eps, began)
        elapsed = time.perf_counter() - began
        if task.watch is not None:
            task.watch({**iterate.info, "found": float(len(found)), "seconds": elapsed})
        return Status.out_of_time if task.seconds is not None and elapsed >= task.seconds else None

    ended = run_through(solver, game, task.seed, look)
    return Harvest(tuple(found), ended, info, time.perf_counter() - began)


def distance(one: Profile, other: Profile) -> float:
    """The largest difference of a probability."""
    return max(float(np.abs(np.asarray(a) - np.asarray(b)).max()) for a, b in zip(one, other, strict=True))


def _take_in(found: list[Found], profile: Profile, task: Task, eps: float, began: float) -> None:
    near = next((place for place, known in enumerate(found) if distance(known.profile, profile) <= SAME), None)
    if near is not None and found[near].certificate.gap <= found[near].certificate.numerical_error:
        return
    certificate = task.judge(profile)
    if near is None and certificate.holds(eps) and not certificate.warnings(eps):
        found.append(Found(profile, certificate, time.perf_counter() - began))
    elif near is not None and certificate.gap < found[near].certificate.gap:
        found[near] = found[near]._replace(profile=profile, certificate=certificate)

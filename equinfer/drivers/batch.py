"""Drives a search for the answers to many games at once: the clock and Ctrl-C, as for one game."""

import abc
import time
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.drivers.compilation import announced
from equinfer.records import Status

__all__ = ["AbstractBatchSearch", "Answers", "run"]


class Answers(NamedTuple):
    """One answer per game: profiles, or laws over joint actions with their marginals as profiles."""

    profiles: tuple[Float[np.ndarray, "B _"], ...]
    joints: Float[np.ndarray, "B *A"] | None = None

    def only(self, game: int) -> "Answers":
        """The answer to one game, as a batch of one."""
        joints = None if self.joints is None else self.joints[game : game + 1]
        return Answers(tuple(policy[game : game + 1] for policy in self.profiles), joints)

    def adopt(self, game: int, answer: "Answers") -> None:
        """Put the answer to one game, a batch of one, in place."""
        for policies, policy in zip(self.profiles, answer.profiles, strict=True):
            policies[game] = policy[0]
        if self.joints is not None and answer.joints is not None:
            self.joints[game] = answer.joints[0]


class AbstractBatchSearch(abc.ABC):
    """A solver of many games: `answers` may be asked for at any time, whatever `solve` has done until then."""

    @abc.abstractmethod
    def solve(self) -> Iterator[None]:
        """Yields at least every 0.2 s of work."""

    @abc.abstractmethod
    def answers(self) -> Answers: ...


def run(search: AbstractBatchSearch, seconds: float | None) -> Status:
    """Let `search` go on until it ends (`above_eps`, for want of a verdict), `seconds` are over, or Ctrl-C."""
    began = time.perf_counter()
    work = search.solve()
    try:
        with announced():
            for _ in work:
                if seconds is not None and time.perf_counter() - began >= seconds:
                    return Status.out_of_time
    except KeyboardInterrupt:
        return Status.interrupted
    return Status.above_eps

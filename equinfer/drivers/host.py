"""Drives solvers that are generators of iterates: path followers, pivots, compiled loops.

The clock, Ctrl-C and the judging of candidates live here, so that a solver is only its mathematics.
"""

from collections.abc import Callable, Generator
from typing import Any

import jax
import numpy as np

from equinfer.drivers.attended import attended
from equinfer.drivers.compilation import announced
from equinfer.drivers.incumbent import Incumbent
from equinfer.drivers.protocol import AbstractHostSolver, Choice, Iterate, Outcome, Task
from equinfer.games.units import in_comparable_units
from equinfer.records import Status
from equinfer.types import Profile

__all__ = ["drive", "run_through"]

DRAWN_ENTRIES = 500
"""Probabilities of a profile up to which every iterate is certified and remembered, so that the way can be drawn."""
DRAWN_ITERATES = 4000

WORTH_A_THREAD = 2**16
"""Bytes of tables from which a solver works in a thread of its own, for half a millisecond: what it does between two
iterates may outlast the time limit."""


def drive(solver: AbstractHostSolver, game: Any, task: Task) -> Outcome:
    """Do the `task`, with a look at the clock after each iterate, and while one takes its time.

    Candidates are certified as they come and the best is kept; the last iterate is certified as well.

    **Returns:** an `Outcome`; `trace` has a row per iterate, whose `gap` is not a number where nothing was certified;
    of small games it also holds the profiles themselves: `profile_0` (iterates, [H,] S, A_0), ...
    """
    run = _Run(task)

    def look(iterate: Iterate) -> Status | None:
        run.record(iterate)
        if run.incumbent.solved:
            return Status.above_eps
        return Status.out_of_time if run.incumbent.seconds_left <= 0 else None

    return run.outcome(run_through(solver, game, task.seed, look, lambda: run.incumbent.seconds_left))


def run_through(
    solver: AbstractHostSolver,
    game: Any,
    seed: int,
    look: Callable[[Iterate], Status | None],
    seconds_left: Callable[[], float],
) -> Status:
    """Hand each iterate to `look`, until that returns how the run ended, the solver has no more, or it breaks off; or
    no seconds are left.

    **Returns:** `above_eps` for a run that came to its end: what its answers are worth is for the judge to say.
    """
    iterates: Generator[Iterate | None] = _iterates(solver, game, seed)
    if getattr(game, "nbytes", 0) >= WORTH_A_THREAD:
        iterates = attended(iterates, seconds_left)
    try:
        with announced():
            for iterate in iterates:
                ended = Status.out_of_time if iterate is None else look(iterate)
                if ended is not None:
                    return ended
    except KeyboardInterrupt:
        return Status.interrupted
    except (np.linalg.LinAlgError, FloatingPointError, ZeroDivisionError):
        return Status.stalled
    finally:
        iterates.close()
    return Status.above_eps


def _iterates(solver: AbstractHostSolver, game: Any, seed: int) -> Generator[Iterate]:
    yield from solver.iterates(in_comparable_units(game, solver.unit_ratio), seed=seed)


class _Run:
    """What has been seen of one run: the best certified profile, the last iterate, the watched numbers."""

    def __init__(self, task: Task):
        self.incumbent = Incumbent(task)
        self._judge = task.judge
        self._unjudged: tuple[Any, Choice | None] | None = None
        self._rows: list[dict[str, float]] = []
        self._drawn: list[Profile] = []

    def record(self, iterate: Iterate) -> None:
        answer = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), iterate.answer)
        leaves = jax.tree.leaves(answer)
        if not all(np.isfinite(leaf).all() for leaf in leaves):
            raise FloatingPointError("a policy is not finite")
        self._unjudged = answer, iterate.choice
        drawn = sum(leaf.size for leaf in leaves) <= DRAWN_ENTRIES and len(self._rows) < DRAWN_ITERATES
        gap = np.nan
        if iterate.candidate:
            gap = self._offer()
        elif drawn:  # only watched: a solver has its reasons (which equilibrium it is after) not to offer it
            gap = self._judge(answer).gap
        row = {**iterate.info, "seconds": self.incumbent.elapsed, "gap": gap}
        self._rows.append(row)
        if drawn and type(answer) is tuple:
            self._drawn.append(answer)
        self.incumbent.tell(row)

    def outcome(self, ended: Status) -> Outcome:
        """The best answer, the last iterate included."""
        if self._unjudged is not None:
            self._offer()
        return self.incumbent.outcome(ended, self._trace())

    def _offer(self) -> float:
        assert self._unjudged is not None
        answer, choice = self._unjudged
        self._unjudged = None
        return self.incumbent.offer(answer, choice).gap

    def _trace(self) -> dict[str, np.ndarray]:
        names = self._rows[0] if self._rows else ()
        numbers = {name: np.array([row[name] for row in self._rows], np.float64) for name in names}
        if len(self._drawn) < len(self._rows):
            return numbers
        drawn = {f"profile_{i}": np.stack(policies) for i, policies in enumerate(zip(*self._drawn, strict=True))}
        return numbers | drawn

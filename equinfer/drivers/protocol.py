"""What a solver is: `init`, `step`, `profile` for what a scan can drive; a generator of iterates for what it cannot.

And what a driver is: `drive(solver, game, task) -> Outcome`, one contract for all of them, stated at `Task`.
"""

import abc
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar

import equinox as eqx
import numpy as np

from equinfer.records import Attempt, Certificate, Status
from equinfer.types import PRNGKey, Profile

__all__ = ["AbstractHostSolver", "AbstractSolver", "Iterate", "Judge", "Outcome", "Task", "Watch"]

Judge: TypeAlias = Callable[[Any], Certificate]
"""The certificate of an answer, of the kind that the concept has; drivers are handed it, solvers never see it."""
Watch: TypeAlias = Callable[[Mapping[str, float | int]], None]
"""Called each time the driver has control, with the trace's new row and the `best_gap` so far: a progress display."""


class Task(NamedTuple):
    """What a driver is asked to do with a solver and a game.

    It runs the solver until the certified gap of every player is rounding, the solver has nothing more to try, time
    is up, or Ctrl-C comes; the answer is the best certified one, or `start` if there was none. A solver that
    fails numerically (a singular system, a policy that is not finite) ends as `stalled`, with its best so far. No eps
    is known here.
    """

    judge: Judge
    start: Any
    """An answer to fall back on."""
    seed: int = 0
    seconds: float | None = None
    """Of wall clock, after which the run ends as `out_of_time`; read whenever the driver has control, which it has not
    while something is compiled."""
    watch: Watch | None = None


class Outcome(NamedTuple):
    """What a driver hands back to `api`: the best certified answer and how the run ended."""

    answer: Any
    certificate: Certificate
    ended: Status
    """`above_eps` stands for "finished"; `api` turns it into `certified` where the certificate says so."""
    trace: Mapping[str, np.ndarray]
    """A row each time the driver had control: `seconds`, `gap`, and what the solver watches."""
    seconds: float
    choice: "Choice | None" = None
    """Of the answer, where the solver chooses among equilibria."""
    beliefs: tuple[Any, ...] = ()
    """What each player believed of the others when the answer was played, where opponent models learn."""
    attempts: tuple[Attempt, ...] = ()
    """Where several solvers were tried: what each came to."""


class Choice(NamedTuple):
    """How an answer stands among the equilibria of its concept, to a solver that chooses one by an objective."""

    objective: str
    value: float
    """Of the objective; larger is better."""
    bound: float | None = None
    """No answer of the concept is worth more, as the dual problem shows; None if the solver has no such bound."""
    route: str | None = None
    """Which of several attempts this came from."""


State = TypeVar("State")
Info = dict[str, Any]


class AbstractSolver(eqx.Module, Generic[State]):
    """An algorithm of pure functions, driven by `drivers.scan` in jitted chunks.

    `step` returns a state of the same tree, shapes and dtypes. `State` holds what the next step needs; `Info` holds
    what is only watched: scalars, among them `converged`, true when further steps would change nothing that matters.
    The game is an argument, never a field.
    """

    name: ClassVar[str]
    answers: ClassVar[str] = "profile"
    """The kind of what it finds: `profile`, `joint` or `signal`."""
    games: ClassVar[str] = "tables"
    """The kind of games that it takes: `tables`, or `mean-field`."""
    columns: ClassVar[Mapping[str, str]] = {}
    """Columns of Table 1, by name, in which the solver's default is not the concept's."""
    steps: eqx.AbstractVar[int]
    """Steps of a solve, at most."""
    seeds: eqx.AbstractVar[int]
    """Independent runs side by side; the best certified profile is the answer."""

    @abc.abstractmethod
    def init(self, game: Any, *, key: PRNGKey) -> State: ...

    @abc.abstractmethod
    def step(self, game: Any, state: State, *, key: PRNGKey) -> tuple[State, Info]: ...

    @abc.abstractmethod
    def profile(self, game: Any, state: State) -> Profile:
        """The profile that is executed now."""

    def beliefs(self, game: Any, state: State) -> tuple[Any, ...]:
        """What each player believes now of the joint actions of the others, (R, C) each; nothing where that is known
        or where nobody believes anything.
        """
        return ()

    def doubts(self, tables: Any) -> tuple[str, ...]:
        """What in its settings does not fit a game, a sentence each: said of an answer that is not certified."""
        return ()


class Iterate(NamedTuple):
    """One moment of a host solver, at which the driver looks at the clock and at Ctrl-C."""

    answer: Any
    """Of the kind that the class says in `answers`: see `equinfer.answer`."""
    info: dict[str, float]
    """What is watched: the same keys throughout a solve."""
    candidate: bool = False
    """True when the solver believes this is an equilibrium, and asks for the certificate."""
    choice: Choice | None = None
    """Given by solvers that choose among equilibria: the run goes on to its end, and the best choice is kept."""


class AbstractHostSolver(eqx.Module):
    """Path followers, pivots and compiled loops: a generator of iterates, driven by `drivers.host`.

    Nash equilibria do not depend on the units in which players count their payoffs, but tolerances do: a class whose
    answers may be multiplied through sets `unit_ratio`, and is handed games whose players have comparable units.

    It yields at least every 0.2 s of work, a `candidate` whenever it believes to have an equilibrium, and ends when
    it has nothing more to try. The driver closes it once a candidate is certified at rounding level.
    """

    name: ClassVar[str]
    answers: ClassVar[str] = "profile"
    """The kind of what it finds: `profile`, `joint` or `signal`."""
    games: ClassVar[str] = "tables"
    """The kind of games that it takes: `tables`, or `mean-field`."""
    unit_ratio: ClassVar[float] = math.inf
    """How far apart the players' payoff scales may be before they are brought to one; infinity: the game as it is."""

    @classmethod
    def suits(cls, options: Mapping[str, Any]) -> bool:
        """False if what these options ask for is beyond the solver: `auto` then passes it by."""
        return True

    def doubts(self, tables: Any) -> tuple[str, ...]:
        """What stands between it and a certificate, a sentence each: said of an answer that is not certified."""
        return ()

    @abc.abstractmethod
    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]: ...

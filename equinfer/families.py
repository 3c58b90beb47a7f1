"""Many answers at once: the equilibria of one game, and one equilibrium each of the games along a parameter."""

import csv
import dataclasses
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np
from jaxtyping import Float

from equinfer.records import SCHEMA_VERSION, GameLabels, Solution, Status
from equinfer.writing import written_atomically

__all__ = ["Equilibria", "Fold", "Stability", "Sweep", "register_page"]


@dataclass(frozen=True)
class Stability:
    r"""Whether play that follows (★) comes back to an equilibrium from nearby, at a small temperature.

    At temperature $\tau$ the equilibrium has a soft equilibrium beside it, a fixed point of (★) with a uniform magnet.
    Let $\beta$ run over the eigenvalues of the joint soft best response there, as a map of logits. A simultaneous step
    of size $c$ has the eigenvalues $1-c(1-\beta)$: some small enough step size brings play back iff every
    $\mathrm{Re}\,\beta<1$. The equilibrium is *stable* if that holds at two small temperatures, a factor of ten apart,
    *unstable* if $\mathrm{Re}\,\beta>1$ for some $\beta$ at both, and *undetermined* otherwise: if no soft equilibrium
    is found beside it (equilibria that are not regular have none, or several), if the two temperatures disagree, or if
    too much mixes. Strict equilibria are stable: as the temperature falls, every $\beta$ goes to 0.

    A temperature $\tau$ is a part of each player's range of rewards, $\tau_i=\tau\,\mathrm{osc}(r_i)$, so that none of
    this depends on the units in which players count their payoffs.
    """

    stable: bool | None
    """None: undetermined."""
    temperature: float = float("nan")
    """The lower of the two temperatures, as a part of each player's range of rewards; the numbers below are at it."""
    growth: float = float("nan")
    r"""The largest $\mathrm{Re}\,\beta$."""
    radius: float = float("nan")
    r"""The largest $|\beta|$: the spectral radius of a step of size 1, the soft best response."""
    step_size: float = float("nan")
    r"""The $c^*$ below which (★) converges nearby, $\min_\beta2(1-\mathrm{Re}\,\beta)/|1-\beta|^2$; 0 if none does."""
    reason: str = ""
    """Why the stability is undetermined."""

    @property
    def word(self) -> str:
        """`stable`, `unstable` or `undetermined`."""
        return {True: "stable", False: "unstable", None: "undetermined"}[self.stable]


class _Solutions(Sequence[Solution]):
    """A sequence of `Solution`."""

    solutions: tuple[Solution, ...]

    def __len__(self) -> int:
        return len(self.solutions)

    @overload
    def __getitem__(self, index: int) -> Solution: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Solution, ...]: ...

    def __getitem__(self, index: int | slice) -> Solution | tuple[Solution, ...]:
        return self.solutions[index]


@dataclass(frozen=True, eq=False)
class Equilibria(_Solutions):
    """The equilibria of one game that were found, each certified: a sequence of `Solution`, best welfare first.

    Welfare is the sum of the players' values, averaged over the initial states.
    """

    game: GameLabels
    concept: str
    solver: str
    solutions: tuple[Solution, ...]
    stabilities: tuple[Stability, ...]
    components: tuple[int, ...]
    """Which equilibria are known to lie on one continuum: those with one number."""
    complete: bool
    """True if these are proven to be all equilibria of the game, to the tolerances of 64-bit arithmetic."""
    degenerate: bool | None
    """Of two-player one-shot games: a mixture has more best responses than actions, so that there may be continua, of
    which the extreme points are listed. None: not known."""
    status: Status
    message: str
    """One sentence: how many were found, and whether they are all."""
    seconds: Mapping[str, float]
    """`total` and `solve`."""

    @property
    def stable(self) -> tuple[bool | None, ...]:
        """Of every equilibrium, `Stability.stable`."""
        return tuple(stability.stable for stability in self.stabilities)

    @property
    def values(self) -> tuple[Float[np.ndarray, "N *HS"], ...]:
        """Of every equilibrium, the values (N, [H,] S)."""
        return tuple(solution.values for solution in self.solutions)

    @property
    def welfare(self) -> Float[np.ndarray, " K"]:
        """Of every equilibrium, the sum of the players' values at the start."""
        return np.array([start_values(solution).sum() for solution in self.solutions])

    def __repr__(self) -> str:
        return f"<Equilibria of {self.game.name!r}: {self.message}>"

    def to_json(self) -> dict[str, Any]:
        """The object that `equinfer solve --all --json` prints; `equilibria` has one object of `solve --json` each."""
        return {
            "schema_version": SCHEMA_VERSION,
            "game": self.game.to_json(),
            "concept": self.concept,
            "solver": self.solver,
            "status": self.status.value,
            "message": self.message,
            "found": len(self),
            "complete": self.complete,
            "degenerate": self.degenerate,
            "seconds": dict(self.seconds),
            "equilibria": [
                {
                    **solution.to_json(),
                    "number": number,
                    "welfare": float(start_values(solution).sum()),
                    "component": component,
                    "stable": stability.stable,
                    "stability": {
                        "temperature": stability.temperature,
                        "growth": stability.growth,
                        "radius": stability.radius,
                        "step_size": stability.step_size,
                        "reason": stability.reason,
                    },
                }
                for number, (solution, stability, component) in enumerate(
                    zip(self.solutions, self.stabilities, self.components, strict=True)
                )
            ],
        }

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained HTML page of all of them."""
        _page(self, path)


@dataclass(frozen=True, eq=False)
class Fold:
    """Where a branch of equilibria ends: between `low` and `high` no equilibrium was found close to the last one.

    `low` is the smaller of the two, in whichever direction the sweep went.
    """

    low: float
    high: float
    distance: float
    """The largest change of a probability from the last equilibrium of the old branch to where the sweep went on."""
    kind: str = "fold"
    """`switch` if the two are joined by a segment of equilibria along which one player passes from one action to
    another; else `fold`."""


class Waypoint(NamedTuple):
    """An equilibrium that a sweep passed, between its values or at one of them."""

    value: float
    """Of the parameter."""
    branch: int
    profile: tuple[Float[np.ndarray, "..."], ...]
    """Arrays ([H,] S, A_i)."""
    start_values: Float[np.ndarray, " N"]
    """Each player's value at the start, averaged over the initial states."""


@dataclass(frozen=True, eq=False)
class Sweep(_Solutions):
    """One equilibrium for each value of a parameter, followed from one value to the next: a sequence of `Solution`."""

    parameter: str
    parameter_values: Float[np.ndarray, " K"]
    """Those that were reached: all of them unless time ran out or somebody interrupted."""
    solutions: tuple[Solution, ...]
    branches: tuple[int, ...]
    """Of every solution, the number of the branch that it lies on: 0, then one more after each fold."""
    folds: tuple[Fold, ...]
    waypoints: tuple[Waypoint, ...]
    """Every certified equilibrium on the way, in order: what pictures draw between the values."""
    precision: float
    """To which folds are bracketed, in units of the parameter."""
    status: Status
    message: str
    seconds: float

    @property
    def certified(self) -> bool:
        """Every one of them is."""
        return bool(self.solutions) and all(solution.certified for solution in self.solutions)

    @property
    def game(self) -> GameLabels | None:
        """The game of the first value, and where it is from, but for the parameter that moves; None without values."""
        if not self.solutions:
            return None
        first = self.solutions[0].game
        if first.origin is None:
            return first
        fixed = tuple(each for each in first.origin.parameters if each[0] != self.parameter)
        return first._replace(origin=first.origin._replace(parameters=fixed))

    def __repr__(self) -> str:
        return f"<Sweep of {self.parameter}: {self.message}>"

    def to_json(self) -> dict[str, Any]:
        """The object that `equinfer sweep --json` prints; `solutions` holds one object of `solve --json` each."""
        return {
            "schema_version": SCHEMA_VERSION,
            "game": None if self.game is None else self.game.to_json(),
            "parameter": self.parameter,
            "values": self.parameter_values.tolist(),
            "status": self.status.value,
            "message": self.message,
            "certified": self.certified,
            "precision": self.precision,
            "seconds": self.seconds,
            "folds": [dataclasses.asdict(fold) for fold in self.folds],
            "solutions": [
                {"value": float(value), "branch": branch, **solution.to_json()}
                for value, branch, solution in zip(self.parameter_values, self.branches, self.solutions, strict=True)
            ],
        }

    def save_csv(self, path: str | os.PathLike[str]) -> None:
        """A table with one row per value: gap, the players' values at the start, and every probability that is positive
        somewhere along the sweep (columns `player:state:action`, with the epoch before the state if there is one).
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        columns = self._probabilities()
        names = [f"value of {player}" for player in self.solutions[0].game.players] if self.solutions else []
        writer.writerow([self.parameter, "branch", "certified", "gap", "numerical_error", *names, *columns])
        for k, solution in enumerate(self.solutions):
            writer.writerow(
                [
                    repr(float(self.parameter_values[k])),
                    self.branches[k],
                    solution.certified,
                    repr(solution.gap),
                    repr(solution.certificate.numerical_error),
                    *(repr(float(value)) for value in start_values(solution)),
                    *(repr(float(column[k])) for column in columns.values()),
                ]
            )
        with written_atomically(path) as file:
            file.write(text.getvalue().encode())

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained HTML page: values and probabilities against the parameter, folds marked."""
        _page(self, path)

    def _probabilities(self) -> dict[str, Float[np.ndarray, " K"]]:
        """Column name -> a probability along the sweep; of games whose shape stays the same."""
        shapes = {tuple(policy.shape for policy in solution.profile) for solution in self.solutions}
        columns: dict[str, Float[np.ndarray, " K"]] = {}
        if len(shapes) != 1:
            return columns
        for player, label in enumerate(self.solutions[0].game.players):
            stacked = np.stack([solution.profile[player] for solution in self.solutions])
            for place in map(tuple, np.argwhere(stacked.any(axis=0))):
                labels = self.solutions[0].game
                names = [*map(str, place[:-2]), labels.states[place[-2]], labels.actions[player][place[-1]]]
                columns[":".join([label, *names])] = stacked[(slice(None), *place)]
        return columns


def start_values(solution: Solution) -> Float[np.ndarray, " N"]:
    """Each player's value at the start, averaged over the initial states."""
    values = solution.values[:, 0] if solution.values.ndim == 3 else solution.values
    if solution.tables is None:
        return values.mean(axis=1)
    return values @ solution.tables.initial


_PAGES: dict[type, Callable[..., None]] = {}


def register_page(kind: type, write: Callable[..., None]) -> None:
    """Attach the page of a family: `write` (family, path). Done by the modules that make them."""
    _PAGES[kind] = write


def _page(family: Equilibria | Sweep, path: str | os.PathLike[str]) -> None:
    if type(family) not in _PAGES:
        raise RuntimeError("nothing draws a page yet; import equinfer.many or equinfer.continuation first.")
    _PAGES[type(family)](family, path)

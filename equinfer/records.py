"""What a solve hands back: plain data that saves and loads, and draws nothing."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.answer import Answer, Joint, Profile, PublicPlay
from equinfer.certificate import Certificate, Deviation, freeze
from equinfer.mean_field_tables import AnyTables
from equinfer.tables import Origin, Tables, kernel_arrays
from equinfer.writing import json_text, plain, written_atomically

__all__ = ["SCHEMA_VERSION", "Attempt", "Certificate", "Deviation", "GameLabels", "Solution", "Status", "register_view"]

SCHEMA_VERSION = 1
TABLES_LIMIT = 64 * 2**20
"""Bytes of raw tables up to which a saved solution carries its game."""


class Status(Enum):
    """How a solve ended. `message` says what to turn next."""

    certified = "certified"
    above_eps = "above_eps"
    out_of_time = "out_of_time"
    interrupted = "interrupted"
    stalled = "stalled"
    infeasible = "infeasible"

    @property
    def message(self) -> str:
        return _MESSAGES[self]


_MESSAGES = {
    Status.certified: "The gap, its rounding error included, is within eps.",
    Status.above_eps: "The solver finished, but its best answer is above eps: try another solver or another seed.",
    Status.out_of_time: "Time ran out; this is the best answer found: allow more with `time`.",
    Status.interrupted: "Interrupted; this is the best answer found until then.",
    Status.stalled: "The solver could make no more progress: try another seed, magnet or solver.",
    Status.infeasible: "There is no answer of this kind.",
}


class GameLabels(NamedTuple):
    """Of which game an answer is: names only, so that they stay with it when the tables are too large to."""

    name: str
    players: tuple[str, ...]
    states: tuple[str, ...]
    actions: tuple[tuple[str, ...], ...]
    origin: Origin | None = None
    grid: tuple[int, ...] | None = None
    """The shape of the grid that states are the cells of, in C order, if they are."""
    moves: tuple[tuple[tuple[int, ...], ...] | None, ...] | None = None
    """Of each population, the displacement on it that each action tries, if actions are that."""

    @classmethod
    def of(cls, tables: AnyTables) -> "GameLabels":
        names = tables.name, tables.player_labels, tables.state_labels, tables.action_labels
        return cls(*names, tables.origin, getattr(tables, "grid", None), getattr(tables, "moves", None))

    def to_json(self) -> dict[str, Any]:
        """The object `game` of everything that is written as JSON."""
        origin = self.origin
        where = None if origin is None else {"target": origin.target, "parameters": dict(origin.parameters)}
        record = {**self._asdict(), "origin": where}
        for name in ("grid", "moves"):
            if record[name] is None:
                del record[name]
        return plain(record)


class Attempt(NamedTuple):
    """What one solver came to, of those that were tried on a game."""

    solver: str
    gap: float
    """Of its best certified answer."""
    seconds: float
    ended: Status
    """`above_eps` stands for a solver that had nothing more to try."""

    def __str__(self) -> str:
        how = "done" if self.ended is Status.above_eps else self.ended.value.replace("_", " ")
        return f"{self.solver}: gap {self.gap:.3g} after {self.seconds:.3g} s, {how}"


@dataclass(frozen=True, eq=False)
class Solution:
    """An answer, its certificate, and how it was found."""

    game: GameLabels
    concept: str
    solver: str
    profile: Profile
    """One array per player, zero on illegal actions: ([H,] S, A_i). What the player does under each public signal,
    (W, [H,] S, A_i), where there is a `signal`; the marginals of `joint` where there is one."""
    values: Float[np.ndarray, "N *HS"]
    """Values of the profile, as the certificate computed them."""
    certificate: Certificate
    eps: float
    status: Status
    payoff_scale: float
    seconds: Mapping[str, float]
    """`total` and `solve`."""
    trace: Mapping[str, np.ndarray] = field(default_factory=dict)
    """What was watched on the way: arrays, one entry per watched step."""
    tables: Tables | None = None
    """The game, kept so that a saved solution can still be drawn; left out of files when it is large."""
    behaviour: Any = None
    """Of an extensive form: one dict per player, information set -> {action: probability}."""
    bound: float | None = None
    """The theory's bound on the gap, where the solver has one (Theorem A, A')."""
    recorded: bool = False
    """The certificate is what a file says, not what was computed here."""
    doubts: tuple[str, ...] = ()
    """What in the solver's settings does not fit the game, a sentence each."""
    joint: Float[np.ndarray, "*HS_A"] | None = None
    """The law over joint actions of a correlated equilibrium, ([H,] S, A_1, ..., A_N)."""
    signal: Float[np.ndarray, "*HS W"] | None = None
    """The law of the public signal, ([H,] S, W)."""
    objective: str | None = None
    """By what the answer was chosen among the equilibria of its concept: `welfare`, `entropy`, or weights."""
    objective_value: float | None = None
    objective_certified: bool | None = None
    """The objective is proven to be the best of all answers of the concept, by a bound from its dual problem."""
    route: str | None = None
    """Which of several attempts the answer came from."""
    attempts: tuple[Attempt, ...] = ()
    """What every solver that was tried came to, in order; the answer is the best one's."""
    beliefs: tuple[Profile, ...] | None = None
    """Where opponent models learn, by player the profile as it saw it when the answer was played: its own policy, and
    its model of each of the others."""
    flows: tuple[Float[np.ndarray, "..."], ...] | None = None
    """Of a mean-field equilibrium: the state-action law of every population, ([H,] S, A_p), made by `profile`."""

    def __post_init__(self) -> None:
        freeze(self, "profile", "values", "joint", "signal", "beliefs", "flows")

    @property
    def answer(self) -> Answer:
        """What was certified: the joint law, the signal with its profiles, or the profile."""
        if self.joint is not None:
            return Joint(self.joint)
        return self.profile if self.signal is None else PublicPlay(self.signal, self.profile)

    @property
    def value(self) -> Float[np.ndarray, "*HS"]:
        """The value of a zero-sum game, to player 0, or to a player of the only population: ([H,] S)."""
        if self.concept != "zero-sum" and (self.flows is None or len(self.profile) > 1):
            raise AttributeError("value: only a zero-sum or one-population equilibrium has one; see `values`.")
        return self.values[0]

    @property
    def policy(self) -> Float[np.ndarray, "*HS A"] | Profile:
        """Of a mean-field equilibrium: the policy of the only population, ([H,] S, A), or of each."""
        self._refuse_unless_mean_field("policy")
        return self.profile[0] if len(self.profile) == 1 else self.profile

    @property
    def flow(self) -> Float[np.ndarray, "*HS A"] | Profile:
        """Of a mean-field equilibrium: the state-action law of the only population, ([H,] S, A), or of each."""
        flows = self._refuse_unless_mean_field("flow")
        return flows[0] if len(flows) == 1 else flows

    def _refuse_unless_mean_field(self, what: str) -> Profile:
        if self.flows is None:
            raise AttributeError(f"{what}: only a mean-field equilibrium has one; see `profile`.")
        return self.flows

    @property
    def gap(self) -> float:
        return self.certificate.gap

    @property
    def certified(self) -> bool:
        """The certificate is a proof (exact or an upper bound) and says gap + rounding error <= eps."""
        return self.certificate.holds(self.eps)

    def rejudged(
        self, certificate: Certificate, tables: Tables | None, payoff_scale: float | None = None
    ) -> "Solution":
        """The same answer under a certificate that was computed here, of the game `tables`, whose payoff scale is kept
        unless another is given.
        """
        if payoff_scale is None:
            payoff_scale = self.payoff_scale if tables is None else tables.payoff_scale
        return replace(
            self,
            values=certificate.values,
            certificate=certificate,
            status=Status.certified if certificate.holds(self.eps) else Status.above_eps,
            payoff_scale=payoff_scale,
            tables=tables,
            recorded=False,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What one should know about an answer although it is certified, or why it may be none: a sentence each."""
        if self.certified:
            return self.certificate.warnings(self.eps, self.game.players)
        return (*self.certificate.warnings(self.eps, self.game.players), *self.doubts)

    @property
    def tried(self) -> tuple[Attempt, ...]:
        """What each solver came to where several were tried and none has solved it: what one would try next follows
        from that.
        """
        return self.attempts if len(self.attempts) > 1 and not self.certified else ()

    @property
    def verdict(self) -> str:
        """`certified`, or how the solve ended; `as recorded` if that is what a file says."""
        verdict = "certified" if self.certified else self.status.value
        return f"{verdict}, as recorded" if self.recorded else verdict

    def __repr__(self) -> str:
        warnings = "".join(f" Warning: {sentence}" for sentence in self.warnings)
        gap = f"gap {self.gap:.3g} ± {self.certificate.numerical_error:.1g} (eps {self.eps:.3g})"
        return (
            f"<Solution of {self.game.name!r}: {self.concept} by {self.solver} in {self.seconds['total']:.3g} s, "
            f"{gap}, {self.verdict}.{warnings}>"
        )

    def to_json(self) -> dict[str, Any]:
        """The object that `equinfer solve --json` prints: plain lists and numbers, `None` for what is not a number."""
        record = {
            "schema_version": SCHEMA_VERSION,
            "game": self.game.to_json(),
            "concept": self.concept,
            "solver": self.solver,
            "status": self.status.value,
            "certified": self.certified,
            "gap": self.gap,
            "gap_kind": self.certificate.kind,
            "gap_unit": self.certificate.unit,
            "per_player_gap": self.certificate.per_player,
            "per_player_error": self.certificate.per_player_error,
            "numerical_error": self.certificate.numerical_error,
            "eps": self.eps,
            "payoff_scale": self.payoff_scale,
            "payoff_scales": self.certificate.payoff_scales,
            "warnings": self.warnings,
            "bound": self.bound,
            "seconds": self.seconds,
            "attempts": [{**attempt._asdict(), "ended": attempt.ended.value} for attempt in self.attempts],
            "profile": self.profile,
            "values": self.values,
        }
        if self.concept == "zero-sum":
            record["value"] = self.value
        if self.flows is not None:
            record |= {
                "policy": self.policy,
                "flow": self.flow,
                "value": self.values[0] if len(self.flows) == 1 else None,
            }
        for name in (
            "behaviour",
            "beliefs",
            "joint",
            "signal",
            "objective",
            "objective_value",
            "objective_certified",
            "route",
        ):
            if getattr(self, name) is not None:
                record[name] = getattr(self, name)
        return plain(record)

    def save(self, path: str | os.PathLike[str]) -> None:
        """One `.npz` without pickle, written whole or not at all; `load_solution` reads it back.

        It holds `profile_0`, ..., `values`, `joint` or `signal` where there is one, the certificate's arrays, the
        trace, the game's tables up to 64 MB, and everything else as JSON text in `meta`.
        """
        arrays: dict[str, np.ndarray] = {f"profile_{i}": policy for i, policy in enumerate(self.profile)}
        arrays["values"] = self.values
        arrays |= {f"flow_{i}": flow for i, flow in enumerate(self.flows or ())}
        for i, seen in enumerate(self.beliefs or ()):
            arrays |= {f"belief_{i}_{j}": model for j, model in enumerate(seen) if j != i}
        arrays |= {name: array for name in ("joint", "signal") if (array := getattr(self, name)) is not None}
        arrays["per_player_gap"] = self.certificate.per_player
        arrays["per_player_error"] = self.certificate.per_player_error
        for i, deviation in enumerate(self.certificate.deviations):
            arrays[f"deviation_{i}"] = deviation.policy
            arrays[f"gain_{i}"] = deviation.gain
        arrays |= {f"trace_{name}": np.asarray(series) for name, series in self.trace.items()}
        meta = self.to_json()
        for in_arrays in (
            "profile",
            "values",
            "value",
            "policy",
            "flow",
            "joint",
            "signal",
            "beliefs",
            "per_player_gap",
            "per_player_error",
        ):
            meta.pop(in_arrays, None)
        if self.tables is not None and self.tables.reward.nbytes + self.tables.kernel.nbytes <= TABLES_LIMIT:
            meta["horizon"] = self.tables.horizon
            for name in ("reward", "discount", "initial"):
                arrays[f"game_{name}"] = getattr(self.tables, name)
            arrays |= {f"game_{name}": array for name, array in kernel_arrays(self.tables.kernel).items()}
            arrays |= {f"game_legal_{i}": legal for i, legal in enumerate(self.tables.legal)}
        with written_atomically(path) as file:
            np.savez_compressed(file, allow_pickle=False, meta=np.array(json_text(meta)), **arrays)

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained HTML page: the answer, its certificate and pictures of both."""
        _view("report")(self, path)

    def plot(self) -> Any:
        """A figure of the answer, which a notebook shows by itself."""
        return _view("plot")(self)

    def sensitivity(self, parameter: Any, *, game: Any = None) -> Any:
        """The derivative of a regular equilibrium, profile and values, with respect to a parameter of the game.

        **Arguments:** `parameter` is one of

        * `"discount"`, all players' together, or `("discount", i)`;
        * the name of a parameter of a game of the catalogue (`"cost"`), `(name, k)` for an entry of a list;
        * `("reward", (i, s, a_1, ..., a_N))`, one entry of the reward;
        * a direction: a dict of changes of the tables, any of `reward` (N, S, A_1, ..., A_N), `kernel` (rows that sum
          to zero) and `discount` (a number, or one per player); or another game of the same shape, for the derivative
          along the straight line from this game's tables to its tables;
        * `(build, value)`: a function of one number that builds the game, and the number;
        * `"reward"` or `"kernel"`: the linear map itself, `.jvp(direction)` and `.vjp(profile=, values=)`.

        `game`, or a target of `load`: the game, needed if this solution was saved without it.

        **Returns:** a `Sensitivity`: `.profile` and `.values`, shaped like the solution's; for the last, a map.

        **Raises:** `BadInput` if the equilibrium is not regular, with the reason: a player, state and action at a tie,
        or indifference equations that are singular.
        """
        return _view("sensitivity")(self, parameter, game)


_VIEWS: dict[str, Callable[..., Any]] = {}


def register_view(name: str, view: Callable[..., Any]) -> None:
    """Attach to every `Solution` what rooms above make of it: `report` (solution, path), `plot` (solution) and
    `sensitivity` (solution, parameter, game). Done by `equinfer.views`.
    """
    _VIEWS[name] = view


def _view(name: str) -> Callable[..., Any]:
    if name not in _VIEWS:
        raise RuntimeError(f"nothing makes a {name} yet; import equinfer.api first.")
    return _VIEWS[name]

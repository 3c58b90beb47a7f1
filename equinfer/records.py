"""What a solve hands back: plain data that saves and loads, and draws nothing."""

import contextlib
import json
import math
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.certificate import Certificate, Deviation, freeze
from equinfer.errors import BadInput
from equinfer.tables import Origin, SuccessorLists, Tables, kernel_arrays

__all__ = [
    "Certificate",
    "Deviation",
    "GameLabels",
    "Solution",
    "Status",
    "json_text",
    "load_solution",
    "register_view",
    "written_atomically",
]

SCHEMA_VERSION = 1
TABLES_LIMIT = 64 * 2**20
"""Bytes of raw tables up to which a saved solution carries its game."""

Profile = tuple[Float[np.ndarray, "..."], ...]


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

    @classmethod
    def of(cls, tables: Tables) -> "GameLabels":
        return cls(tables.name, tables.player_labels, tables.state_labels, tables.action_labels, tables.origin)


@dataclass(frozen=True, eq=False)
class Solution:
    """An answer, its certificate, and how it was found."""

    game: GameLabels
    concept: str
    solver: str
    profile: Profile
    """One array ([H,] S, A_i) per player, zero on illegal actions."""
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

    def __post_init__(self) -> None:
        freeze(self, "profile", "values")

    @property
    def gap(self) -> float:
        return self.certificate.gap

    @property
    def certified(self) -> bool:
        """The certificate is a proof (exact or an upper bound) and says gap + rounding error <= eps."""
        return self.certificate.holds(self.eps)

    def rejudged(self, certificate: Certificate, tables: Tables) -> "Solution":
        """The same answer under a certificate that was computed here, of the game `tables`."""
        return replace(
            self,
            values=certificate.values,
            certificate=certificate,
            status=Status.certified if certificate.holds(self.eps) else Status.above_eps,
            payoff_scale=tables.payoff_scale,
            tables=tables,
            recorded=False,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """What one should know about an answer although it is certified, or why it may be none: a sentence each."""
        return self.certificate.warnings(self.eps, self.game.players) if self.certified else self.doubts

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
            "game": {
                "name": self.game.name,
                "players": self.game.players,
                "states": self.game.states,
                "actions": self.game.actions,
                "origin": self.game.origin
                and {"target": self.game.origin.target, "parameters": dict(self.game.origin.parameters)},
            },
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
            "profile": self.profile,
            "values": self.values,
        }
        if self.behaviour is not None:
            record["behaviour"] = self.behaviour
        return _plain(record)

    def save(self, path: str | os.PathLike[str]) -> None:
        """One `.npz` without pickle, written whole or not at all; `load_solution` reads it back.

        It holds `profile_0`, ..., `values`, the certificate's arrays, the trace, the game's tables up to 64 MB, and
        everything else as JSON text in `meta`.
        """
        arrays: dict[str, np.ndarray] = {f"profile_{i}": policy for i, policy in enumerate(self.profile)}
        arrays["values"] = self.values
        arrays["per_player_gap"] = self.certificate.per_player
        arrays["per_player_error"] = self.certificate.per_player_error
        for i, deviation in enumerate(self.certificate.deviations):
            arrays[f"deviation_{i}"] = deviation.policy
            arrays[f"gain_{i}"] = deviation.gain
        arrays |= {f"trace_{name}": np.asarray(series) for name, series in self.trace.items()}
        meta = self.to_json()
        for in_arrays in ("profile", "values", "per_player_gap", "per_player_error"):
            del meta[in_arrays]
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


def load_solution(path: str | os.PathLike[str]) -> Solution:
    """Read back what `Solution.save` wrote, the verdict included: nothing is judged again, `recorded` says so.

    **Raises:** `BadInput` if the file is missing, damaged, or something else.
    """
    if not Path(path).is_file():
        raise BadInput(f"{path}: no such file.")
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return _assembled(arrays, json.loads(str(arrays["meta"])))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, NotImplementedError) as error:
        raise BadInput(f"{path} is not a solution that equinfer saved: {error}.") from None
    except (zipfile.BadZipFile, zlib.error, MemoryError) as error:
        raise BadInput(f"{path} is damaged: {error}.") from None


def _assembled(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> Solution:
    if meta["schema_version"] != SCHEMA_VERSION:
        raise ValueError(f"schema_version {meta['schema_version']}, this equinfer reads {SCHEMA_VERSION}")
    names = meta["game"]
    labels = GameLabels(
        str(names["name"]),
        tuple(names["players"]),
        tuple(names["states"]),
        tuple(map(tuple, names["actions"])),
        _origin(names.get("origin")),
    )
    players = range(len(labels.players))
    tables = None
    if "game_reward" in arrays:
        tables = Tables(
            reward=arrays["game_reward"],
            kernel=arrays["game_kernel"]
            if "game_kernel" in arrays
            else SuccessorLists(arrays["game_successors"], arrays["game_probabilities"]),
            discount=arrays["game_discount"],
            horizon=meta["horizon"],
            initial=arrays["game_initial"],
            legal=tuple(arrays[f"game_legal_{i}"] for i in players),
            name=labels.name,
            state_labels=labels.states,
            action_labels=labels.actions,
            player_labels=labels.players,
            origin=labels.origin,
        )
    certificate = Certificate(
        concept=meta["concept"],
        kind=meta["gap_kind"],
        gap=_number(meta["gap"]),
        per_player=arrays["per_player_gap"],
        numerical_error=_number(meta["numerical_error"]),
        per_player_error=arrays["per_player_error"],
        values=arrays["values"],
        deviations=tuple(
            Deviation(arrays[f"deviation_{i}"], arrays[f"gain_{i}"]) for i in players if f"gain_{i}" in arrays
        ),
        unit=meta["gap_unit"],
        payoff_scales=None if meta["payoff_scales"] is None else np.array(meta["payoff_scales"], np.float64),
    )
    return Solution(
        game=labels,
        concept=meta["concept"],
        solver=meta["solver"],
        profile=tuple(arrays[f"profile_{i}"] for i in players),
        values=arrays["values"],
        certificate=certificate,
        eps=_number(meta["eps"]),
        status=Status(meta["status"]),
        payoff_scale=_number(meta["payoff_scale"]),
        seconds=meta["seconds"],
        trace={name.removeprefix("trace_"): a for name, a in arrays.items() if name.startswith("trace_")},
        tables=tables,
        behaviour=meta.get("behaviour"),
        bound=meta["bound"],
        recorded=True,
        doubts=tuple(meta["warnings"]) if not meta["certified"] else (),
    )


def _origin(record: Mapping[str, Any] | None) -> Origin | None:
    if record is None:
        return None
    parameters = record["parameters"].items()
    return Origin(
        str(record["target"]),
        tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in parameters),
    )


_VIEWS: dict[str, Callable[..., Any]] = {}


def register_view(name: str, view: Callable[..., Any]) -> None:
    """Attach to every `Solution` what rooms above make of it: `report` (solution, path), `plot` (solution) and
    `sensitivity` (solution, parameter, game). Done by `equinfer.api`.
    """
    _VIEWS[name] = view


def _view(name: str) -> Callable[..., Any]:
    if name not in _VIEWS:
        raise RuntimeError(f"nothing makes a {name} yet; import equinfer.api first.")
    return _VIEWS[name]


@contextlib.contextmanager
def written_atomically(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file that appears under its name whole, once the block has ended well, or not at all."""
    path = Path(path)
    handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def json_text(record: Any, indent: int | None = None) -> str:
    """Strict JSON: arrays become lists, and what is no finite number becomes null."""
    return json.dumps(_plain(record), ensure_ascii=False, allow_nan=False, indent=indent)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)

"""What a training hands back, and the folder that it is kept in."""

import contextlib
import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from equinfer.data.arena import Arena
from equinfer.drivers.learning import EVERY, AbstractLearner, Phase
from equinfer.errors import BadInput
from equinfer.games.continuous import ContinuousGame
from equinfer.games.external import ExternalGame
from equinfer.records import Certificate, Status
from equinfer.writing import half_written, json_text, written_atomically

__all__ = ["RUN_SCHEMA", "Training", "emptied", "free_folder", "held", "read_config", "trim", "write_config"]

try:
    import fcntl
except ImportError:  # not a Unix
    fcntl = None

RUN_SCHEMA = 1
CONFIG, METRICS, CHECKPOINT, RESULT = "config.json", "metrics.jsonl", "checkpoint.npz", "result.npz"
PAGE = "report.html"


@dataclass(frozen=True, eq=False)
class Training:
    """A run of one algorithm on one game, over several seeds.

    Arrays have leading axes seeds and evaluations, one evaluation every 25 steps.
    """

    algorithm: str
    config: Mapping[str, Any]
    """As in `config.json`."""
    actions: Any
    """(seeds, N, d), in the game's units, what each agent deterministically does in the end at the initial state; of
    moves (seeds, N) whole numbers; a tuple of (seeds, d_i) where agents' actions differ in dimension."""
    steps: Float[np.ndarray, " evaluations"]
    returns: Float[np.ndarray, "seeds evaluations N"]
    """Sum of rewards of an episode of what is executed; of a one-shot game the mean over 25 of them."""
    deterministic_returns: Float[np.ndarray, "seeds evaluations N"]
    """The same without chance."""
    rewards: Float[np.ndarray, "seeds evaluations N"]
    """Mean over the 25 steps before, exploration included."""
    trace: Mapping[str, np.ndarray]
    """What the algorithm watches, (seeds, evaluations, ...)."""
    path: Float[np.ndarray, "seeds evaluations N D"]
    """How `actions` came about, in [-1, 1], or as unit vectors."""
    seconds: float
    status: Status
    """`interrupted`, or `above_eps`, which stands for finished: nothing is certified by training alone."""
    learner: AbstractLearner = field(repr=False)
    arena: Arena = field(repr=False)
    game: ContinuousGame | ExternalGame = field(repr=False)
    state: Any = field(repr=False)
    """The learners of all seeds."""
    judge: Callable[["Training", int], Certificate] = field(repr=False)
    draw: Callable[["Training", str | os.PathLike[str]], None] = field(repr=False)

    @property
    def is_finished(self) -> bool:
        return self.status is not Status.interrupted

    @functools.cached_property
    def certificate(self) -> tuple[Certificate, ...]:
        """Of each seed's final joint action, or of its policies where the game has several steps: `.gap`, `.kind`,
        and `.welfare` beside it, since a trap that nobody leaves alone is an equilibrium too.
        """
        return tuple(self.judge(self, seed) for seed in range(len(self.returns)))

    def report(self, path: str | os.PathLike[str]) -> None:
        """Write a self-contained HTML page: curves, paths, certificates, and how good opponent models are."""
        self.draw(self, path)

    def policy(self, seed: int) -> Callable[[Any, Any], Any]:
        """`(observations, key) -> actions`: what the agents of that seed execute; observations (N, O) or a list of
        rows, actions as `game.step` takes them.

        **Raises:** `BadInput` if there is no such seed.
        """
        if isinstance(seed, bool) or not 0 <= seed < len(self.returns):
            raise BadInput(f"there is no seed {seed!r}; the {len(self.returns)} of them are counted from 0.")
        state = jax.tree.map(lambda leaf: leaf[seed], self.state)
        phase = last_phase(self.learner, int(self.config["steps"]))

        @jax.jit
        def act(observations: Any, key: Any) -> Any:
            return self.learner.act(self.arena, state, observations, phase, key=key)

        def policy(observations: Any, key: Any) -> Any:
            with jax.enable_x64(False):
                seen = self.arena.padded([jax.numpy.asarray(row, jax.numpy.float32) for row in observations])
                return self.arena.game.joint(self.arena.actions.to_game(act(seen, key)))

        return policy


def last_known(rows: Float[np.ndarray, "K N"]) -> Float[np.ndarray, " N"]:
    """The last row that is finite: episodes of somebody else's environment end, and are judged, now and then."""
    known = np.flatnonzero(np.isfinite(rows).all(axis=1))
    return rows[known[-1]] if len(known) else np.full(rows.shape[1], np.nan)


def last_phase(learner: AbstractLearner, steps: int) -> Phase:
    return learner.phases(steps).at(steps - 1)


def free_folder(path: Path, force: bool) -> Path:
    """The folder of a new run, as it is.

    **Raises:** `BadInput` if something is in it, unless `force`; or if another process trains in it.
    """
    if path.exists() and not path.is_dir():
        raise BadInput(f"{path} is no folder.")
    if path.is_dir() and any(path.iterdir()):
        if not force:
            raise BadInput(f"{path} is not empty; choose another folder, or force.")
        with held(path):
            pass  # nobody else trains there
    return path


def emptied(path: Path) -> None:
    """Make the folder, and take away what another run left there. **Raises:** `BadInput` if it cannot be made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"{path} cannot be made: {error.strerror or error}.") from None
    for name in (CONFIG, METRICS, CHECKPOINT, RESULT, PAGE):
        (path / name).unlink(missing_ok=True)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """The folder of a run, for this process alone: its configuration is locked, until the block or the process ends.

    **Raises:** `BadInput` if another process trains there.
    """
    path = folder / CONFIG
    if fcntl is None or not path.is_file():
        yield
        return
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadInput(f"another process trains in {folder}.") from None
        except OSError:  # a file system without locks
            pass
        yield


def write_config(folder: Path, config: Mapping[str, Any]) -> None:
    with written_atomically(folder / CONFIG) as file:
        file.write((json_text(config, indent=2) + "\n").encode())


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """**Raises:** `BadInput` if the folder holds no run, or one of another schema."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise BadInput(f"{folder} holds no run: there is no {CONFIG} in it.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = config["schema_version"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise BadInput(f"{path} is damaged: {error}.") from None
    if version != RUN_SCHEMA:
        raise BadInput(f"{path} has schema_version {version}; this equinfer reads {RUN_SCHEMA}.")
    return config


def trim(folder: Path, steps: int) -> None:
    """Forget what a killed process left half written, and metrics after the checkpoint at `steps`: those steps will be
    made once more.
    """
    for name in (CONFIG, METRICS, CHECKPOINT, RESULT):
        for partial in half_written(folder / name):
            partial.unlink(missing_ok=True)
    path = folder / METRICS
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except ValueError:  # torn by a kill
            break
        if row["step"] > steps:
            break
        kept.append(line)
    with written_atomically(path) as file:
        file.write("".join(line + "\n" for line in kept).encode())


def append_metrics(folder: Path, first: int, seconds: float, rows: Sequence[Mapping[str, Any]]) -> None:
    """One line for each evaluation; `first` is the number of steps before the first of them."""
    with open(folder / METRICS, "a", encoding="utf-8") as file:
        for k, row in enumerate(rows):
            file.write(json_text({"step": first + EVERY * (k + 1), "seconds": seconds, **row}) + "\n")
        file.flush()
        os.fsync(file.fileno())

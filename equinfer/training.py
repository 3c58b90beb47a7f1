"""Train learners, watch them, save them, go on after anything: `train`, `resume`, `load_run`."""

import contextlib
import functools
import os
import time as clock
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np

from equinfer.algorithms import learner as learner_named
from equinfer.arguments import checked_seed, whole
from equinfer.checkpoints import load_tree, save_tree
from equinfer.data.arena import Arena
from equinfer.drivers.compilation import LOGGER
from equinfer.drivers.external import OutsideDriver
from equinfer.drivers.lanes import keys_of_seeds
from equinfer.drivers.learning import EVERY, AbstractLearner, fewest_steps
from equinfer.drivers.protocol import Watch
from equinfer.drivers.training import ROUNDS, Evaluation, InsideDriver
from equinfer.errors import BadInput, NotWritten
from equinfer.games.continuous import ContinuousGame
from equinfer.games.external import ExternalGame
from equinfer.memory import refuse_beyond_half
from equinfer.records import Status
from equinfer.run_games import playable, probed, same_game
from equinfer.run_pages import write_run_page
from equinfer.run_results import judged, write_result
from equinfer.run_settings import config_of, fingerprint, learner_of
from equinfer.runs import (
    CHECKPOINT,
    CONFIG,
    RESULT,
    Training,
    append_metrics,
    emptied,
    free_folder,
    held,
    read_config,
    trim,
    write_config,
)

__all__ = ["load_run", "resume", "train"]

CHUNK_SECONDS = 1.0
"""Aim of one dispatch, in wall-clock seconds."""
SAVE_SECONDS = 10.0
"""Between two checkpoints."""
_SEEN = ("returns", "deterministic", "actions", "rewards", "broken")
_WATCHED = "seen_info_"
"""By these names evaluations stand in a checkpoint."""
_LARGEST_MEMORY = 1_000_000
"""Steps that a replay keeps at most."""


def train(
    algo: Any,
    game: Any,
    steps: int = 5000,
    seeds: int = 32,
    preset: str = "default",
    *,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    force: bool = False,
    watch: Watch | None = None,
    **options: Any,
) -> Training:
    """Let agents learn to play `game`, over several seeds at once.

    **Arguments:** `algo`, `"mai"`, `"maddpg"`, `"iddpg"`, `"masql"` or `"rommeo"`, or a learner object; `game`, a
    `ContinuousGame`, a `TabularGame`, or a target of `load`; `preset`, `"default"` or `"published"`; `options`, fields
    of the learner such as `opponent="own"`, `policy="conditional"`, `actor="gibbs"`; `out`, a folder to keep the run
    in, from which `resume` goes on; `watch`, called between chunks with what is going on.

    **Returns:** a `Training`, also after Ctrl-C: its `status` is then `interrupted`.

    **Raises:** `UnknownName` for an algorithm, preset or option that does not exist; `BadInput` for fewer than 500
    steps, a game that learners cannot play, memories of more than half of this machine's, and rewards or observations
    that are no numbers, with the step;
    `NotWritten` where the disk is full, with the step up to which the run is kept.
    """
    name, learner = learner_named(algo, preset, options)
    steps, seeds, seed = whole("steps", steps, 1), whole("seeds", seeds, 1), checked_seed(seed)
    if steps < fewest_steps:
        raise BadInput(f"steps must be at least {fewest_steps}, of which a part is uniform play; got {steps}.")
    if steps % EVERY:
        raise BadInput(f"steps must be a multiple of {EVERY}, after which there is an evaluation; got {steps}.")
    game = playable(game)
    _refuse_unless_it_fits(Arena.of(game), min(steps, _LARGEST_MEMORY), seeds)
    named = None if isinstance(algo, AbstractLearner) else preset
    config = config_of(name, named, learner, game, steps, seeds, seed)
    folder = None if out is None else free_folder(Path(out), force)
    session = _Session(learner, game, config, folder, watch)
    if folder is None:
        return session.run()
    emptied(folder)  # not before: whoever cannot learn here leaves what is there
    session.write_config()
    with held(folder):
        return session.run()


def resume(
    folder: str | os.PathLike[str], *, game: Any = None, algo: Any = None, watch: Watch | None = None
) -> Training:
    """Go on with the run in `folder`, from its last checkpoint; a finished one is only read.

    **Arguments:** `game` and `algo`, of a run whose game or learner was an object: the same one.

    **Raises:** `BadInput` if there is no run, if another process is at it, or if its files are damaged or of another
    configuration.
    """
    with held(Path(folder)):
        session = _reopened(folder, game, algo, watch)
        return session.training() if session.is_over else session.run()


def load_run(folder: str | os.PathLike[str], *, game: Any = None, algo: Any = None) -> Training:
    """What was trained, as far as it was; `game` and `algo` as for `resume`, which raises the same."""
    return _reopened(folder, game, algo, None).training()


def _refuse_unless_it_fits(arena: Arena, capacity: int, seeds: int) -> None:
    step = 4 * arena.agents * (2 * arena.observation_size + arena.actions.size + 1)  # what is seen before it and after
    refuse_beyond_half(
        f"memories of {capacity} steps, in which each of {arena.agents} agents observes {arena.observation_size} "
        f"numbers, in {seeds} seed{'s' * (seeds > 1)}",
        step * capacity * seeds,
        "Fewer steps, or fewer seeds at a time, need less.",
    )


def _reopened(folder: str | os.PathLike[str], game: Any, algo: Any, watch: Watch | None) -> "_Session":
    config = read_config(folder)
    try:
        learner = learner_of(config, algo, folder)
        origin = config["game"]["origin"]
        for what in ("steps", "seeds"):
            whole(what, config[what], 1)
        checked_seed(config["seed"])
    except (LookupError, TypeError) as error:
        raise BadInput(f"the configuration in {folder} lacks something: {error}.") from None
    if game is None:
        if origin is None:
            raise BadInput(f"the game of {folder} came from no file or catalogue: give it as `game`.")
        game = playable(origin["target"], **origin["parameters"])
    session = _Session(learner, playable(game), config, Path(folder), watch)
    session.restore()
    return session


class _Progress(NamedTuple):
    """How far a run is. One assignment takes it on, so that Ctrl-C finds it before a dispatch or after it."""

    state: Any
    """As the driver has it."""
    done: int = 0
    """Steps."""
    seen: tuple[Evaluation, ...] = ()
    """In parts, along leading axes of evaluations and seeds."""


class _Session:
    """One run: its progress, its folder."""

    def __init__(
        self,
        learner: AbstractLearner,
        game: ContinuousGame | ExternalGame,
        config: Mapping[str, Any],
        folder: Path | None,
        watch: Watch | None,
    ):
        self._learner, self._game, self._config, self._folder, self._watch = learner, game, config, folder, watch
        self._arena = Arena.of(game)
        self._steps = int(config["steps"])
        self._phases = learner.phases(self._steps)
        self._kept = 0
        self._seconds = 0.0
        with jax.enable_x64(False):
            self._driver = self._chosen_driver()
            keys = keys_of_seeds(self._config["seed"], self._config["seeds"])
            self._now = _Progress(self._driver.begin(keys, min(self._steps, _LARGEST_MEMORY)))

    @functools.cached_property
    def _probe(self) -> np.ndarray:
        return probed(self._game)

    def _chosen_driver(self) -> Any:
        if isinstance(self._game, ExternalGame):
            seeds, first = int(self._config["seeds"]), int(self._config["seed"])
            return OutsideDriver(self._learner, self._arena, self._phases, self._game, seeds, first)
        return InsideDriver(self._learner, self._arena, self._phases)

    def restore(self) -> None:
        """Go back to the checkpoint."""
        assert self._folder is not None
        path = self._folder / CHECKPOINT
        if not path.is_file():
            return
        with jax.enable_x64(False):
            kept, beside = load_tree(path, self._driver.whole(self._now.state))
            state = self._driver.apart(kept)
        if not np.array_equal(beside.pop("config", ()), fingerprint(self._config)):
            raise BadInput(f"{path} is a checkpoint of another configuration than {CONFIG} beside it.")
        if not same_game(beside.pop("game", self._probe), self._probe):
            raise BadInput(f"{path} is of another game: {self._game.name} does not pay now what it paid then.")
        self._kept, self._seconds = int(beside["done"]), float(beside["seconds"])
        history = ()
        if self._kept:
            info: Any = {name[len(_WATCHED) :]: rows for name, rows in beside.items() if name.startswith(_WATCHED)}
            seen: list[Any] = [beside[f"seen_{name}"] for name in _SEEN]
            history = (Evaluation._make([*seen, info]),)
        self._now = _Progress(state, self._kept, history)

    @property
    def is_over(self) -> bool:
        """Whether all of it is in its folder already."""
        return self._folder is not None and self._kept >= self._steps and (self._folder / RESULT).is_file()

    def write_config(self) -> None:
        assert self._folder is not None
        with self._writing():
            write_config(self._folder, self._config)

    def run(self) -> Training:
        began, saved = clock.perf_counter() - self._seconds, clock.perf_counter()
        status = Status.above_eps
        if self._folder is not None:
            with self._writing():
                trim(self._folder, self._now.done)
        LOGGER.info("compiling")
        try:
            with jax.enable_x64(False):
                for end in self._phases.ends():
                    rounds = 1  # the first dispatch of a phase measures the next ones
                    while self._now.done < end:
                        start = clock.perf_counter()
                        rounds = min(rounds, ROUNDS, (end - self._now.done) // EVERY)
                        self._advance(rounds, began)
                        now = clock.perf_counter()
                        per_round = (now - start) / rounds
                        rounds = max(1, min(2 * rounds, int(CHUNK_SECONDS / per_round)))
                        if self._folder is not None and now - saved > SAVE_SECONDS:
                            self._save()
                            saved = now
        except KeyboardInterrupt:
            if not self._now.seen:
                raise
            status = Status.interrupted
        if self._folder is not None:
            self._save()
        training = self.training(status)
        self._warn_of_judging(training)
        if self._folder is not None and training.is_finished:
            with self._writing():
                write_result(self._folder, training)
        return training

    def training(self, status: Status | None = None) -> Training:
        if status is None:
            status = Status.above_eps if self._now.done >= self._steps else Status.interrupted
        history = self._joined()
        if history is None:
            raise BadInput(f"nothing was trained yet: the first {EVERY} steps are not done.")
        seeds_first = jax.tree.map(lambda rows: np.asarray(rows).swapaxes(0, 1), history)
        returns, deterministic, rewards = (
            np.asarray(rows, np.float64)
            for rows in (seeds_first.returns, seeds_first.deterministic, seeds_first.rewards)
        )
        path = np.asarray(seeds_first.actions)
        return Training(
            algorithm=self._config["algorithm"],
            config=self._config,
            actions=self._arena.in_game_units(path[:, -1]),
            steps=EVERY * np.arange(1.0, returns.shape[1] + 1),
            returns=returns,
            deterministic_returns=deterministic,
            rewards=rewards,
            trace={name: np.asarray(rows) for name, rows in seeds_first.info.items()},
            path=path,
            seconds=self._seconds,
            status=status,
            learner=self._learner,
            arena=self._arena,
            game=self._game,
            state=self._driver.learners(self._now.state),
            judge=judged,
            draw=write_run_page,
        )

    def _advance(self, rounds: int, began: float) -> None:
        """One dispatch; nothing of it stays if it is interrupted, or a number in it is none, but metrics of steps that
        will be made once more.
        """
        try:
            state, seen = self._driver.advance(self._now.state, self._now.done, rounds)
        except BadInput as error:  # of somebody else's environment
            self._stop(str(error).rstrip("."))
        for k, seed in np.argwhere(seen.broken[..., 0] >= 0).tolist():
            step, agent = seen.broken[k, seed].tolist()
            name = self._game.player_labels[agent]
            self._stop(f"a reward or an observation of agent {name} is no finite number at step {step}", seed)
        by = self._now.done + rounds * EVERY
        diverged = self._driver.diverged(state)
        if diverged is not None:
            self._stop(
                f"{self._config['algorithm']} has diverged by step {by}, and would again: try smaller rates, or "
                "observations nearer to 1",
                diverged,
                goes_on=False,
            )
        self._seconds = clock.perf_counter() - began
        rows = seen.means()
        if self._folder is not None:
            with self._writing():
                append_metrics(self._folder, self._now.done, self._seconds, rows)
        self._now = _Progress(state, by, (*self._now.seen, seen))
        self._tell(rows[-1])

    def _warn_of_judging(self, training: Training) -> None:
        """Of numbers that are none only where play of its own never came."""
        fine = np.isfinite(training.returns + training.deterministic_returns).all(axis=(0, 2))
        if isinstance(self._driver, InsideDriver) and not fine.all():
            first = int(training.steps[fine.argmin()])
            warnings.warn(
                f"{self._game.name} pays what is no finite number in episodes that are played to judge, at step "
                f"{first} for the first time; play of its own did not come so far.",
                stacklevel=4,
            )

    def _stop(self, why: str, seed: int | None = None, goes_on: bool = True) -> NoReturn:
        """**Raises:** `BadInput`, once what there is has been saved."""
        if self._folder is not None:
            self._save()
        where = "" if seed is None else f" (seed {seed})"
        raise BadInput(f"{why}{where}{'' if self._folder is None else f'; {self._in_words(goes_on)}'}.")

    def _tell(self, row: Mapping[str, Any]) -> None:
        if self._watch is not None:
            self._watch(
                {
                    "seconds": self._seconds,
                    "step": float(self._now.done),
                    "steps": float(self._steps),
                    "return": float(np.mean(row["returns"])),
                    "deterministic_return": float(np.mean(row["deterministic_returns"])),
                }
            )

    def _save(self) -> None:
        assert self._folder is not None
        history = self._joined()
        named = {} if history is None else {f"seen_{name}": getattr(history, name) for name in _SEEN}
        if history is not None:
            named |= {_WATCHED + name: rows for name, rows in history.info.items()}
        progress = {
            "config": fingerprint(self._config),
            "game": self._probe,
            "done": np.array(self._now.done),
            "seconds": np.array(self._seconds),
        }
        with self._writing():
            save_tree(
                self._folder / CHECKPOINT,
                self._driver.whole(self._now.state),
                {**progress, **jax.tree.map(np.asarray, named)},
            )
        self._kept = self._now.done

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """**Raises:** `NotWritten`, where a file cannot be written."""
        try:
            yield
        except OSError as error:
            where = self._folder if error.filename is None else error.filename
            raise NotWritten(f"{where}: {error.strerror or error}; {self._in_words()}.") from None

    def _in_words(self, goes_on: bool = True) -> str:
        if not self._kept:
            return "nothing was kept yet"
        kept = f"the run up to step {self._kept} is kept in {self._folder}"
        return f"{kept}, and resume goes on from there" if goes_on else kept

    def _joined(self) -> Evaluation | None:
        """All evaluations up to now."""
        if len(self._now.seen) > 1:
            self._now = self._now._replace(seen=(jax.tree.map(lambda *rows: np.concatenate(rows), *self._now.seen),))
        return self._now.seen[0] if self._now.seen else None

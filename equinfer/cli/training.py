"""The commands of learners: `train`, `resume` and `report`."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

import equinfer
from equinfer.cli.commands import Json, Options, Seed, Settings, _parameters, _whole, app
from equinfer.cli.usage import DONE, RESUMABLE
from equinfer.cli.words import assignments
from equinfer.errors import EquinferError

__all__: list[str] = []

Count = Annotated[int, Parameter(converter=_whole)]
TRAIN_ITSELF = (
    "algo",
    "game",
    "steps",
    "seeds",
    "preset",
    "seed",
    "out",
    "force",
    "watch",
    "opponent",
    "policy",
    "actor",
)
"""What is no option of an algorithm, but has a place of its own on the command line."""


@app.command
def train(
    target: str,
    /,
    *,
    algo: str,
    preset: str = "default",
    opponent: str | None = None,
    policy_form: str | None = None,
    actor: str | None = None,
    steps: Count = 5000,
    seeds: Count = 32,
    seed: Seed = 0,
    settings: Settings = None,
    options: Options = None,
    out: Path | None = None,
    force: bool = False,
    as_json: Json = False,
) -> int:
    """Let agents learn to play a game, several seeds at once, and judge what they end at.

    Exits with 0 when it is done; with 75 if it was interrupted and `equinfer resume DIR` goes on, 130 without --out.

    Parameters
    ----------
    target
        catalog:NAME, a file of a game in tables, or MODULE:NAME of your own: a game, or a function that makes one, or
        one that makes a PettingZoo ParallelEnv.
    algo
        mai, maddpg, iddpg, masql or rommeo.
    preset
        default, which is tuned, or published.
    opponent
        Of mai: inferred, inferred-flat, own, empirical or trajectory [inferred].
    policy_form
        Of mai: marginal or conditional [marginal].
    actor
        Of mai: forward_kl, gibbs or reparameterised [forward_kl].
    steps
        Steps of the environment, in each of which everything is improved once; a multiple of 25, at least 500.
    seeds
        Independent runs.
    seed
        Of everything that is random.
    settings
        Parameters of the game, as name=value.
    options
        Options of the algorithm, as name=value.
    out
        Folder for the run: config.json, metrics.jsonl, checkpoint.npz, and when it is done result.npz.
    force
        Write into a folder that is not empty.
    as_json
        Print one JSON object instead of the summary.
    """
    from equinfer.cli import progress
    from equinfer.run_games import playable

    chosen = {"opponent": opponent, "policy": policy_form, "actor": actor}
    chosen = {name: value for name, value in chosen.items() if value is not None}
    game = playable(target, **_parameters(settings))
    given = assignments(options, "--option", reserved=TRAIN_ITSELF)
    with _begun(out), progress.shown(f"{algo} learns {game.name}") as watch:
        training = equinfer.train(
            algo, game, steps, seeds, preset, seed=seed, out=out, force=force, watch=watch, **chosen, **given
        )
    return _ended(training, out, as_json)


@app.command
def resume(folder: Path, /, *, as_json: Json = False) -> int:
    """Go on with a run that was interrupted, killed, or ran out of disk; in our games bit by bit the same.

    Parameters
    ----------
    folder
        The folder of --out.
    as_json
        Print one JSON object instead of the summary.
    """
    with _begun(folder):
        from equinfer.cli import progress

        with progress.shown(f"{folder} goes on") as watch:
            training = equinfer.resume(folder, watch=watch)
    return _ended(training, folder, as_json)


@app.command
def report(folder: Path, /, *, out: Path | None = None) -> int:
    """Draw a run, finished or as far as it is: curves, where seeds end and what that is worth, what agents believe.

    Parameters
    ----------
    folder
        The folder of train --out.
    out
        The page to write [report.html in the folder].
    """
    from equinfer.cli import progress
    from equinfer.runs import PAGE

    page = folder / PAGE if out is None else out
    training = equinfer.load_run(folder)
    with progress.shown(f"judging and drawing {folder}"):
        training.report(page)
    print(page)
    return DONE


class NotBegun(EquinferError):
    """Interrupted before there was anything to keep."""

    exit_code = RESUMABLE


@contextlib.contextmanager
def _begun(folder: Path | None) -> Iterator[None]:
    """**Raises:** `NotBegun` for a Ctrl-C before anything was learnt here, if there is a folder to go on from."""
    try:
        yield
    except KeyboardInterrupt:
        from equinfer.runs import CHECKPOINT, CONFIG

        if folder is None or not (folder / CONFIG).is_file():
            raise
        on = "goes on" if (folder / CHECKPOINT).is_file() else "begins again"
        raise NotBegun(f"interrupted before there was anything new; `equinfer resume {folder}` {on}.") from None


def _ended(training: Any, folder: Path | None, as_json: bool) -> int:
    from equinfer.cli import display, learners

    if as_json:
        display.print_json(learners.training_record(training))
    else:
        learners.print_training(training, folder)
    return learners.exit_code(training, folder)

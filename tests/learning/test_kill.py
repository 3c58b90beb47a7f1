"""`kill -9` at random moments, again and again: the run ends as if nothing had happened."""

import json
import random
import subprocess
import sys
import time

import numpy as np
import pytest

from equinfer.runs import CHECKPOINT

SEEDS = 5
PROGRAM = """
import time
from equinfer import training
from equinfer.cli import main

advance = training.InsideDriver.advance

def slowly(*how):
    time.sleep({pause})
    return advance(*how)

training.InsideDriver.advance = slowly
training.CHUNK_SECONDS = 0.0
training.SAVE_SECONDS = {every}
main({words!r})
"""
"""One evaluation at a time, not too fast to be killed, whatever the machine, and each in a checkpoint."""


def begun(words, every=0.0, pause=0.02):
    program = PROGRAM.format(words=words, every=every, pause=pause)
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def ended(words):
    process = begun(words, every=10.0, pause=0.0)
    try:
        return process.wait(timeout=600)
    finally:
        process.kill()


def results(out):
    rows = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    with np.load(out / "result.npz") as result:
        return {"rows": np.array(rows), **{name: result[name] for name in result.files}}


def steps_kept(out):
    """Up to which step the run is in its checkpoint, which a kill must have left whole."""
    if not (out / CHECKPOINT).is_file():
        return 0
    with np.load(out / CHECKPOINT) as kept:
        return int(kept["done"])


def killed_at_random(out, begin, kills, rng):
    """The steps that were kept each time; the run is let end after that."""
    kept = []
    words = begin
    while len(kept) < kills:
        process, before = begun(words), steps_kept(out)
        try:
            # Any time after its first new checkpoint, of which there are many a second; sometimes earlier.
            patience = time.monotonic() + (rng.uniform(0.5, 8.0) if rng.random() < 0.2 else 120.0)
            while steps_kept(out) == before and time.monotonic() < patience and process.poll() is None:
                time.sleep(0.01)
            time.sleep(rng.uniform(0.0, 1.5))
            assert process.poll() is None, "it ended before it was killed"
        finally:
            process.kill()
            process.wait()
        kept.append(steps_kept(out))
        words = ["resume", str(out)] if (out / "config.json").is_file() else begin
    assert ended(words) == 0
    return kept


@pytest.mark.slow
@pytest.mark.parametrize(("algorithm", "steps", "runs"), [("maddpg", 20_000, 20), ("mai", 15_000, 4)])
def test_kills_change_nothing(tmp_path, algorithm, steps, runs):
    """Five times each run is killed, a hundred times in all with the quicker algorithm."""

    def command(out):
        words = ["train", "catalog:cournot", "--algo", algorithm, "--steps", str(steps), "--seeds", str(SEEDS)]
        return [*words, "--out", str(out), "--force"]

    assert ended(command(tmp_path / "whole")) == 0
    whole = results(tmp_path / "whole")
    kept = []
    for k in range(runs):
        out = tmp_path / str(k)
        kept += killed_at_random(out, command(out), 5, random.Random(k))
        found = results(out)
        assert found.keys() == whole.keys()
        for name, array in whole.items():
            assert np.array_equal(found[name], array, equal_nan=True), (k, name)
        assert {path.name for path in out.iterdir()} == {path.name for path in (tmp_path / "whole").iterdir()}
    assert len(kept) == 5 * runs
    assert sum(steps > 0 for steps in kept) > 0.8 * len(kept)  # those went on from a checkpoint
    assert len(set(kept)) > 0.3 * len(kept)  # and from many a moment

"""`kill -9` at random moments, again and again: the run ends as if nothing had happened."""

import random
import subprocess
import sys

import numpy as np
import pytest


def begun(*words):
    program = f"from equinfer.cli import main; main({list(words)!r})"
    return subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def ended(out, killed, rng):
    """Results of a run that is killed until it has been `killed` times."""
    process = begun(
        "train", "catalog:cournot", "--algo", "maddpg", "--steps", "20000", "--seeds", "2", "--out", str(out)
    )
    while killed:
        try:
            process.wait(timeout=rng.uniform(1.0, 12.0))
            break  # it was quicker
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed -= 1
        started = (out / "config.json").is_file()
        again = (
            ("resume", str(out)) if started else ("train", "catalog:cournot", "--algo", "maddpg", "--steps", "20000")
        )
        process = begun(*again, *(() if started else ("--seeds", "2", "--out", str(out), "--force")))
    assert process.wait(timeout=600) == 0
    with np.load(out / "result.npz") as result:
        return {name: result[name] for name in result.files}


@pytest.mark.slow
def test_a_hundred_kills(tmp_path):
    whole = ended(tmp_path / "whole", 0, random.Random(0))
    for k in range(20):
        found = ended(tmp_path / str(k), 5, random.Random(k + 1))
        assert found.keys() == whole.keys()
        for name, array in whole.items():
            assert np.array_equal(found[name], array, equal_nan=True), (k, name)

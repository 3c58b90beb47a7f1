"""Seeds go in lanes, side by side on the cores of a CPU: the same seeds in the same order, learning the same."""

import json
import os
import signal
import subprocess
import sys
import threading
from threading import Event

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.algorithms import learner
from equinfer.data.arena import Arena
from equinfer.drivers import lanes as lanes_module
from equinfer.drivers.lanes import Lanes, abreast, keys_of_seeds
from equinfer.drivers.training import InsideDriver

SMALL = {"hidden": 8, "batch": 16}


def numbers(keys):
    return np.asarray(jax.random.key_data(keys))


@pytest.mark.parametrize("seeds", [*range(1, 14), 31, 32, 97, 100])
def test_lanes_are_all_seeds_in_order_and_of_one_small_size(seeds):
    keys = keys_of_seeds(0, seeds)
    lanes = Lanes.of(keys)
    (size,) = {len(lane) for lane in lanes.each}
    assert size <= 4
    assert len(lanes.each) >= min(seeds, 2)
    assert 0 <= size * len(lanes.each) - seeds < size
    assert np.array_equal(numbers(lanes.whole()), numbers(keys))
    filled = np.concatenate([numbers(lane) for lane in lanes.each])[seeds:]
    assert (filled == numbers(keys)[-1]).all()


@pytest.mark.parametrize("seeds", [5, pytest.param(8, marks=pytest.mark.slow)])
def test_seeds_learn_in_lanes_what_they_learn_in_one_program(seeds):
    _, chosen = learner("maddpg", "default", {**SMALL, "uniform_steps": 25})
    arena = Arena.of(eq.load("catalog:cournot"))
    driver = InsideDriver(chosen, arena, chosen.phases(5500))
    lanes = driver.begin(keys_of_seeds(3, seeds), 100)
    together = Lanes((lanes.whole(),), seeds)
    (after, seen), (after_together, seen_together) = (driver.advance(each, 0, 2) for each in (lanes, together))
    assert (len(after.each), len(after_together.each)) == (2, 1)
    learnt = [(driver.learners(after), seen), (driver.learners(after_together), seen_together)]
    for apart, beside in zip(*map(jax.tree.leaves, learnt), strict=True):
        assert apart.shape[:2].count(seeds) >= 1
        np.testing.assert_allclose(apart, beside, rtol=1e-3, atol=1e-4)


def test_keys_are_of_seeds_whoever_learns_beside_them():
    assert np.array_equal(numbers(keys_of_seeds(1, 3, 4)), numbers(keys_of_seeds(1, 7))[4:])
    assert not np.array_equal(numbers(keys_of_seeds(1, 3, 4)), numbers(keys_of_seeds(1, 3)))


@pytest.mark.parametrize(("seeds", "broken"), [(1, 0), (3, 1), (5, 4), (7, 3), (9, 8), (9, None)])
def test_the_seed_that_diverged_is_found_in_its_lane(seeds, broken):
    _, chosen = learner("maddpg", "default", SMALL)
    driver = InsideDriver(chosen, Arena.of(eq.load("catalog:cournot")), chosen.phases(500))
    run = driver.begin(keys_of_seeds(0, seeds), 100).whole()
    leaves, tree = jax.tree.flatten(run.learner)
    at = next(k for k, leaf in enumerate(leaves) if jnp.issubdtype(leaf.dtype, jnp.floating))
    if broken is not None:
        leaves[at] = leaves[at].at[broken:].set(jnp.nan)
    run = run._replace(learner=jax.tree.unflatten(tree, leaves))
    assert driver.diverged(Lanes.of(run)) == driver.diverged(Lanes((run,), seeds)) == broken


def trained(out=None, seeds=6, **how):
    return eq.train("maddpg", "catalog:cournot", steps=500, seeds=seeds, out=out, **SMALL, **how)


def stop(row):
    if row["step"] >= 200:
        raise KeyboardInterrupt


def same(one, two):
    return all(np.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, (one, two)), strict=True))


@pytest.mark.parametrize("seeds", [6, 7])
def test_a_run_in_lanes_goes_on_bit_by_bit_the_same(tmp_path, seeds):
    whole = trained(seeds=seeds)
    trained(tmp_path / "run", seeds, watch=stop)
    done = eq.resume(tmp_path / "run")
    assert same((done.returns, done.state), (whole.returns, whole.state))


def test_a_run_is_read_whatever_the_lanes(tmp_path, monkeypatch):
    """A checkpoint knows seeds and no lanes: one of another machine, or of another day, is as good."""
    run = trained(tmp_path / "run")
    monkeypatch.setattr(lanes_module, "_SEEDS", 2)
    assert same(eq.load_run(tmp_path / "run").state, run.state)
    monkeypatch.setattr(lanes_module, "_SEEDS", 100)
    assert same(eq.load_run(tmp_path / "run").state, run.state)


def first_state(seed, key):
    """What a game that begins with a uniform number draws: by the first of three keys that a run makes of its own."""
    return float(jax.random.uniform(jax.random.split(keys_of_seeds(seed, 8)[key], 3)[0]))


def test_what_breaks_in_a_later_lane_is_said_of_its_seed():
    """Only the seed whose first state is the largest is paid no number, at step 69, and it is in the second lane."""
    drawn = {seed: [first_state(seed, key) for key in range(8)] for seed in range(20)}
    seed, states = next((seed, states) for seed, states in drawn.items() if np.argmax(states) > 3)
    second, largest = sorted(states)[-2:]

    def begin(key):
        return jax.random.uniform(key), 0

    def step(state, actions, *, key):
        first, number = state
        wrong = (first > (second + largest) / 2) & (number == 69)
        reward = jnp.where(wrong, jnp.nan, -(actions[:, 0] ** 2))
        return eq.Transition((first, number + 1), reward, jnp.asarray(False), jnp.asarray(False))

    spaces = [eq.Box(-1, 1), eq.Box(-1, 1)]
    game = eq.ContinuousGame(begin, step, lambda state, i: jnp.ones(1), spaces, 0.5)
    with pytest.raises(eq.BadInput, match=rf"agent 0 is no finite number at step 69 \(seed {np.argmax(states)}\)"):
        eq.train("iddpg", game, steps=500, seeds=8, seed=seed, **SMALL)


def test_what_a_lane_raises_is_raised_and_the_rest_is_not_begun(monkeypatch):
    """Of 100 lanes two begin at once; the first breaks, the second works on, and others may begin in that moment."""
    monkeypatch.setattr(lanes_module, "cores", lambda: 2)
    begun, over = [], Event()

    def work(lane):
        begun.append(lane)
        if lane == 0:
            raise KeyError(lane)
        over.wait(1.0)

    with pytest.raises(KeyError):
        abreast(work, range(100))
    assert len(begun) < 10


@pytest.mark.parametrize("doubles", [False, True])
def test_lanes_compute_as_whoever_asks(doubles):
    with jax.enable_x64(doubles), jax.default_device(jax.devices("cpu")[0]):
        kinds = abreast(lambda lane: jnp.asarray(np.float64(lane)).dtype, [1, 2, 3])
        devices = abreast(lambda lane: jax.config.jax_default_device, [1, 2])
    assert kinds == [np.float64 if doubles else np.float32] * 3
    assert devices == [jax.devices("cpu")[0]] * 2


def test_ctrl_c_while_lanes_are_under_way_loses_nothing(tmp_path, monkeypatch):
    """The signal comes while a lane of the third dispatch computes, and the main thread waits for it."""
    main, lane, calls = threading.main_thread().ident, InsideDriver._lane, []

    def interrupted(self, run, first, rounds):
        calls.append(threading.get_ident())
        if len(calls) == 6:  # two dispatches of two lanes, and one without rounds before them
            signal.pthread_kill(main, signal.SIGINT)
            Event().wait(0.2)
        return lane(self, run, first, rounds)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        monkeypatch.setattr(InsideDriver, "_lane", interrupted)
        stopped = trained(tmp_path / "run")
    finally:
        monkeypatch.undo()
        signal.signal(signal.SIGINT, before)
    assert calls[5] != main
    assert not stopped.is_finished
    ended, whole = eq.resume(tmp_path / "run"), trained()
    assert same((ended.returns, ended.state), (whole.returns, whole.state))
    rows = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows == whole.steps.tolist()


CORES = """
import os, sys
import numpy as np
import equinfer as eq
from equinfer import training

def stop(row):
    if row["step"] >= 200:
        raise KeyboardInterrupt

os.sched_setaffinity(0, {sorted(os.sched_getaffinity(0))[0]})
training.CHUNK_SECONDS = 0.01
eq.train(sys.argv[1], "catalog:cournot", steps=500, seeds=6, out=sys.argv[2], watch=stop)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are given by affinity")
@pytest.mark.parametrize("algorithm", ["maddpg", "mai"])
def test_a_run_goes_on_with_other_cores_bit_by_bit_the_same(tmp_path, algorithm):
    subprocess.run([sys.executable, "-c", CORES, algorithm, str(tmp_path / "run")], check=True, timeout=300)
    done = eq.resume(tmp_path / "run")
    whole = eq.train(algorithm, "catalog:cournot", steps=500, seeds=6)
    assert same((done.returns, done.state), (whole.returns, whole.state))

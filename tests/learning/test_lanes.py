"""Seeds go in lanes, side by side on the cores of a CPU: the same seeds in the same order, learning the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.algorithms import learner
from equinfer.data.arena import Arena
from equinfer.drivers import training
from equinfer.drivers.lanes import abreast, in_lanes, joined


@pytest.mark.parametrize("seeds", [1, 2, 5, 6, 31, 32, 100])
def test_lanes_are_all_seeds_in_order_and_of_one_size(seeds):
    keys = jax.random.split(jax.random.key(0), seeds)
    lanes = in_lanes(keys)
    assert len({len(lane) for lane in lanes}) == 1
    assert len(lanes) > 1 or seeds == 1
    assert np.array_equal(*(jax.random.key_data(each) for each in (joined(lanes), keys)))


def test_seeds_learn_in_lanes_what_they_learn_in_one_program(monkeypatch):
    _, chosen = learner("maddpg", "default", {"hidden": 8, "batch": 16, "uniform_steps": 25})
    chosen = jax.tree.map(lambda leaf: jnp.float32(leaf) if isinstance(leaf, float) else leaf, chosen)
    arena, keys = Arena.of(eq.load("catalog:cournot")), jax.random.split(jax.random.key(3), 8)

    def learnt():
        with jax.enable_x64(False):
            driver = training.InsideDriver(chosen, arena, chosen.phases(500))
            lanes, seen = driver.advance(driver.begin(keys, 100), 0, 2)
            return driver.learners(lanes), seen, len(lanes)

    learners, seen, lanes = learnt()
    monkeypatch.setattr(training, "in_lanes", lambda keys: (keys,))
    together, seen_together, one = learnt()
    assert (lanes, one) == (2, 1)
    for apart, beside in zip(*map(jax.tree.leaves, ((learners, seen), (together, seen_together))), strict=True):
        np.testing.assert_allclose(apart, beside, rtol=1e-3, atol=1e-4)


def test_what_a_lane_raises_is_raised_and_the_rest_is_not_begun():
    begun = []

    def work(lane):
        begun.append(lane)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        abreast(work, range(10_000))
    assert len(begun) < 10_000


@pytest.mark.parametrize("doubles", [False, True])
def test_lanes_compute_in_the_precision_of_who_asks(doubles):
    with jax.enable_x64(doubles):
        kinds = abreast(lambda lane: jnp.asarray(np.float64(lane)).dtype, [1, 2, 3])
    assert kinds == [np.float64 if doubles else np.float32] * 3

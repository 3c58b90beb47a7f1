"""Phases of a run are fixed before it begins."""

import jax.numpy as jnp
import numpy as np
import pytest

from equinfer.drivers.learning import Phases, decayed
from equinfer.solvers.neural.mai import MAI


def test_short_runs_have_the_same_fractions():
    assert Phases.of(5500, 3000, 500) == (3000, 3500, 5500)
    assert Phases.of(20_000, 3000, 500) == (3000, 3500, 20_000)
    assert Phases.of(2750, 3000, 500) == (1500, 1750, 2750)


def test_phases_cover_the_run_in_order():
    for steps in range(500, 6000, 25):
        phases = MAI().phases(steps)
        assert phases.ends() == tuple(phases)
        assert phases.steps == steps
        assert all(end % 25 == 0 for end in phases)


@pytest.mark.parametrize(
    ("phases", "kinds"), [(Phases(2, 3, 5), [0, 0, 1, 2, 2]), (Phases(0, 0, 2), [2, 2]), (Phases(1, 1, 3), [0, 2, 2])]
)
def test_every_step_is_in_its_phase(phases, kinds):
    assert [int(phases.at(step).kind) for step in range(phases.steps)] == kinds


def test_phases_without_a_step_are_left_out():
    assert Phases.of(1000, 0, 0).ends() == (1000,)


def test_rates_fall_evenly_in_full_play():
    phases = Phases.of(5500, 3000, 500)
    steps = np.array([0, 3499, 3500, 4000, 4500, 5500])
    found = [decayed(0.1, jnp.int32(step), phases.at(step)) for step in steps.tolist()]
    assert np.allclose(found, np.interp(steps, [3500, 5500], [1, 0.1]))
    assert float(decayed(1.0, jnp.int32(5000), phases.at(5000))) == 1

"""Phases of a run are fixed before it begins."""

import itertools

from equinfer.drivers.learning import Phases
from equinfer.solvers.neural.mai import MAI


def test_short_runs_have_the_same_fractions():
    assert Phases.of(5500, 3000, 500) == (3000, 3500, 5500)
    assert Phases.of(20_000, 3000, 500) == (3000, 3500, 20_000)
    assert Phases.of(2750, 3000, 500) == (1500, 1750, 2750)


def test_phases_cover_the_run_in_order():
    for steps in range(500, 6000, 25):
        phases = MAI().phases(steps).each()
        assert [phase.name for phase in phases] == ["uniform", "burn-in", "play"]
        assert phases[0].first == 0
        assert phases[-1].end == steps
        assert all(one.end == two.first for one, two in itertools.pairwise(phases))
        assert all((phase.end - phase.first) % 25 == 0 for phase in phases)


def test_phases_without_a_step_are_left_out():
    assert [phase.name for phase in Phases.of(1000, 0, 0).each()] == ["play"]

"""What cannot be judged of a potential is refused, and the command line says the rest."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.potential_stage import worst_stage_cycles
from equinfer.cli import run


def test_the_command_line_tells_of_a_potential(capsys):
    for name, told in (("congestion", True), ("matching_pennies", False), ("grid_game_1", False)):
        assert run(["info", f"catalog:{name}"]) == 0
        assert ("An exact potential game" in capsys.readouterr().out) == told


# What is refused.


def test_what_is_too_large_is_refused_with_the_estimate():
    rng = np.random.default_rng(0)
    states = 3000
    successors = rng.integers(states, size=(states, 4, 4, 2))
    kernel = eq.SparseKernel(successors, np.full(successors.shape, 0.5))
    game = eq.TabularGame(rng.random((2, states, 4, 4)), kernel, discount=0.9)
    with pytest.raises(eq.BadInput, match=r"3000 states with 4 x 4 joint actions needs a dense kernel of 1\.07 GiB"):
        eq.potential_defect(game)


def test_a_square_that_is_too_wide_to_compare_is_refused():
    rng = np.random.default_rng(0)
    wide = np.broadcast_to(rng.random((2, 1, 1, 1)), (2, 1, 20_000, 20_000))
    legal = (np.ones((1, 20_000), bool),) * 2
    with pytest.raises(eq.BadInput, match=r"20000 x 20000 joint actions takes about 4\.0e\+12 comparisons"):
        next(worst_stage_cycles(wide, legal))


@pytest.mark.parametrize("cycles", [0, 1, True])
def test_cycles_are_a_whole_number(cycles):
    with pytest.raises(eq.BadInput, match="cycles must be a whole number"):
        eq.potential_defect("catalog:chicken", cycles=cycles)

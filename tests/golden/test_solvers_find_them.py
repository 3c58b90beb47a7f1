"""Where all equilibria of a game are known, what a solver certifies is one of them."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.games import catalog

GAMES = {
    **{name: {} for name in ("prisoners_dilemma", "stag_hunt", "chicken", "battle_of_the_sexes", "matching_pennies")},
    **{name: {} for name in ("asymmetric_matching_pennies", "rock_paper_scissors", "shapley", "jordan")},
    **{name: {} for name in ("dynamic_rock_paper_scissors", "climbing", "penalty", "copycat", "no_sde")},
    **{name: {} for name in ("near_tied_coordination", "biased_matching_pennies", "belief_multiplicity")},
    "quality_ladder": {"cost": 150.0},
    "cliff": {},
    "public_signal": {},
}


@pytest.mark.parametrize("solver", ["auto", pytest.param("homotopy", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", GAMES)
def test_a_solver_finds_a_listed_equilibrium(name, solver):
    game = catalog.load(name, **GAMES[name])
    known = catalog.equilibria(name, **GAMES[name])
    scale = game.tables().payoff_scale
    assert known
    assert all(each.complete for each in known)
    found = eq.solve(game, solver=solver)
    assert found.gap <= 1e-10 * scale
    assert min(np.abs(each.values - found.values).max() for each in known) <= 1e-8 * scale

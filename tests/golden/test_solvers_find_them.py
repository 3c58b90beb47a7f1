"""What a solver certifies in a game of the catalogue is one of the listed equilibria, or proven to be another one."""

from fractions import Fraction

import numpy as np
import pytest
from duopoly_proof import proven_values
from judge import values_and_gap

import equinfer as eq
from equinfer.games import catalog

GAMES = [
    *((name, {}) for name in catalog.names() if name != "soccer"),
    ("quality_ladder", {"cost": 150.0}),
    ("price_duopoly", {"discount": 0.8}),
    ("dummy_opponent", {"M": 1.0}),
    ("random_potential", {"players": 3, "actions": 2, "seed": 1}),
]


def distance(game, known, found):
    """From the values of a known equilibrium to those found."""
    values = known.values_near(found.profile)
    if values is None:
        values = values_and_gap(game, known.profile)[0]
    return np.abs(values - found.values).max()


def is_proven(name, found):
    """Whether exact arithmetic shows that there is an equilibrium with the supports and the values found."""
    if name != "price_duopoly":
        return False
    discount = Fraction(float(found.tables.discount[0])).limit_denominator(1000)
    exact = proven_values(found.profile, discount)
    return exact is not None and np.abs(exact / 36 - found.values).max() <= 1e-8 * found.payoff_scale


@pytest.mark.parametrize("solver", ["auto", pytest.param("homotopy", marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "parameters"), GAMES, ids=str)
def test_a_solver_finds_a_listed_equilibrium(name, parameters, solver):
    game, known = catalog.load(name, **parameters), catalog.equilibria(name, **parameters)
    found = eq.solve(game, solver=solver)
    scale = game.tables().payoff_scale
    assert found.gap <= 1e-10 * scale
    if known and min(distance(game, each, found) for each in known) > 1e-8 * scale:
        assert not known[0].complete
        assert is_proven(name, found)


def test_the_proof_accepts_the_listed_duopolies_and_nothing_near_them():
    for each in catalog.equilibria("price_duopoly"):
        exact = proven_values(each.profile, Fraction(19, 20))
        np.testing.assert_allclose(exact / 36, each.values, rtol=0, atol=1e-13)
        other = tuple(policy.copy() for policy in each.profile)
        other[0][3] = np.eye(7)[4]  # at the rival's 3/6, the price that sells nothing
        assert proven_values(other, Fraction(19, 20)) is None

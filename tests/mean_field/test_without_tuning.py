"""What `solve` makes of games with a mean field without being told anything."""

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.concepts import concept
from equinfer.games.mean_field import MeanFieldGame
from equinfer.solvers.mean_field.temperature_grid import TemperatureGrid


@pytest.mark.parametrize(
    ("name", "solvers"),
    [
        ("crowd_motion", ("interior-point", "temperature-grid")),
        ("rock_paper_scissors", ("temperature-grid", "complementarity")),
        ("susceptible_infected", ("temperature-grid", "complementarity")),
        ("ring_crowd", ("complementarity", "temperature-grid")),
    ],
)
def test_auto_goes_by_the_game(name, solvers):
    tables = eq.load(f"catalog:mean_field/{name}").tables()
    row = concept("mean-field")
    assert row.solvers(tables) == solvers
    assert row.solvers(tables, ("temperature",)) == ("bayesian-q",)


def test_a_cyclic_game_reaches_its_interior_equilibrium():
    solution = eq.solve(eq.load("catalog:mean_field/rock_paper_scissors"), "mean-field")
    np.testing.assert_allclose(solution.policy[0, 0], np.array([26, 20, 31]) / 77, rtol=0, atol=1e-13)


def test_an_epidemic_ends_on_a_pure_equilibrium_about_the_turnpike():
    """Rounded policies of the damped iteration; no regularised iterate comes close."""
    solution = eq.solve(eq.load("catalog:mean_field/susceptible_infected"), "mean-field")
    assert solution.solver == "temperature-grid"
    assert solution.gap < 1e-12
    assert np.minimum(solution.policy, 1 - solution.policy).max() < 1e-12
    ill = solution.flow[..., 1, :].sum(axis=-1)
    # It switches on and off about 10/27.
    assert 0.2 < ill[5:45].min() < 10 / 27 < ill[5:45].max() < 0.45


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("random_linear", {}),
        ("equilibrium_price", {"d": 10.0}),
        ("conservative_treasure_hunting", {}),
    ],
)
def test_games_whose_dynamics_move_end_at_rounding(name, options):
    solution = eq.solve(eq.load(f"catalog:mean_field/{name}", **options), "mean-field")
    assert solution.certified
    assert solution.gap <= 1e-10


def test_a_game_without_a_certifiable_equilibrium_says_so():
    """Who is with the majority pays, by however little it is one: at the tie itself it still does."""
    kernel = np.zeros((3, 2, 3))
    kernel[:, 0, 1] = kernel[:, 1, 2] = 1

    def reward(t, law):
        crowded = law[1].sum() >= law[2].sum()
        costs = jnp.where(jnp.stack([False, crowded, ~crowded]), 1.0, 0.0)
        return -costs[:, None] * jnp.ones((1, 2))

    solution = eq.solve(MeanFieldGame(reward, kernel, [1, 0, 0], horizon=2), "mean-field")
    assert not solution.certified
    assert solution.status is not eq.Status.certified
    # All tie policies with as many in 1 as in 2 or more lose p, their share there: p >= 1/2; others lose 1 - p > 1/2.
    assert solution.gap == pytest.approx(0.5, abs=1e-2)


def test_the_grid_starts_from_the_magnet():
    """At an equilibrium, nothing better is met."""
    game = eq.load("catalog:mean_field/rock_paper_scissors")
    policy = np.broadcast_to(np.array([26, 20, 31]) / 77, (2, 4, 3)).copy()
    solution = eq.solve(game, "mean-field", TemperatureGrid(magnet=(policy,), steps=10))
    assert solution.gap < 1e-15

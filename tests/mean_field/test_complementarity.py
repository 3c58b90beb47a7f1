"""Newton's method on the complementarity problem: its linear algebra, and equilibria that are known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.errors import BadInput
from equinfer.games.mean_field import MeanFieldGame
from equinfer.solvers.mean_field.complementarity import Complementarity, newton_direction


@pytest.mark.parametrize("horizon", [1, 2, 7])
def test_block_elimination_is_newtons_step(horizon):
    """Of a random nonlinear system in which each epoch meets its neighbours."""
    rng = np.random.default_rng(horizon)
    own, before, after = (jnp.asarray(rng.normal(size=(horizon, 4, 4))) for _ in range(3))

    def f(x):
        zero = jnp.zeros_like(x[:1])
        past, coming = jnp.concatenate([zero, x[:-1]]), jnp.concatenate([x[1:], zero])
        mixed = jnp.einsum("tij,tj->ti", own + 5 * jnp.eye(4)[None], x) + jnp.einsum("tij,tj->ti", before, past)
        return mixed + jnp.einsum("tij,tj->ti", after, jnp.sin(coming)) + x**2

    with jax.enable_x64(True):
        x = jnp.asarray(rng.normal(size=(horizon, 4)) / 3)
        here = f(x)
        dense = jax.jacfwd(lambda flat: f(flat.reshape(horizon, 4)).ravel())(x.ravel())
        expected = np.linalg.solve(np.asarray(dense), -np.asarray(here).ravel()).reshape(horizon, 4)
        found = jax.jit(lambda x: newton_direction(f, x, f(x)))(x)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


def test_cyclic_prizes_are_shared_out():
    solution = eq.solve(eq.load("catalog:mean_field/rock_paper_scissors"), "mean-field", "complementarity")
    np.testing.assert_allclose(solution.policy[0, 0], np.array([26, 20, 31]) / 77, rtol=0, atol=1e-12)


def test_two_populations_one_of_which_moves_the_other():
    """Hunters chase game between two places; game hides where they are not: matching pennies, as crowds."""
    kernel = np.zeros((3, 2, 3))
    kernel[:, 0, 1] = kernel[:, 1, 2] = 1
    worth = jnp.array([0.0, 1.0, 3.0])

    def hunting(t, laws):
        return (worth * laws[1].sum(axis=1))[:, None] * jnp.ones((1, 2))

    def hiding(t, laws):
        return (-worth * laws[0].sum(axis=1))[:, None] * jnp.ones((1, 2))

    game = MeanFieldGame([hunting, hiding], [kernel, kernel], [[1, 0, 0]] * 2, horizon=2)
    solution = eq.solve(game, "mean-field", Complementarity())
    # Both are indifferent where the other has 3/4 in the poor place.
    for policy in solution.profile:
        np.testing.assert_allclose(policy[0, 0], [3 / 4, 1 / 4], rtol=0, atol=1e-11)


@pytest.mark.slow
def test_a_market_over_many_epochs():
    """Prices that clear: what `auto` finds first is no better than what Newton finds."""
    game = eq.load("catalog:mean_field/equilibrium_price", d=10.0, T=12)
    solution = eq.solve(game, "mean-field", "complementarity")
    assert solution.certified
    assert solution.gap < 1e-8


def test_games_that_are_too_large_are_refused():
    with pytest.raises(BadInput, match="2800 unknowns in each of 4 epochs"):
        eq.solve(eq.load("catalog:mean_field/crowd_motion"), "mean-field", "complementarity")

"""A step of Algorithm 4 in single precision: what a game pays and where it leads come in the precision of the law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.games import catalog
from equinfer.solvers.mean_field.bayesian_q import BayesianQ

NAMES = catalog.mean_field_names()


QUICK = (
    "mean_field/beach_bar",
    "mean_field/random_linear",
    "mean_field/linear_quadratic",
    "mean_field/building_evacuation",
)
"""Those whose functions hold constants; the others take a minute together."""


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in NAMES])
def test_a_step_stays_in_the_precision_of_the_game(name):
    game = eq.load(f"catalog:{name}")
    with jax.enable_x64(True):
        double = jax.tree.map(jnp.asarray, game.unlabelled())
        single = jax.tree.map(
            lambda leaf: leaf.astype(jnp.float32) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, double
        )
        solver, key = BayesianQ(temperature=10.0), jax.random.key(0)
        step = jax.jit(lambda game, state: solver.step(game, state, key=key)[0])
        exact = solver.init(double, key=key)
        state = jax.tree.map(
            lambda leaf: leaf.astype(jnp.float32) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf, exact
        )
        for _ in range(2):
            exact, state = step(double, exact), step(single, state)
    assert {leaf.dtype for leaf in (*state.log_policies, *state.flow)} == {np.dtype(np.float32)}
    for near, far in zip(state.flow, exact.flow, strict=True):
        np.testing.assert_allclose(near, far, rtol=0, atol=2e-5)

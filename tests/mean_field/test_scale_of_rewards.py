"""Small and large payoffs: what a verdict says of them."""

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.api import default_eps
from equinfer.concepts.mean_field import MeanField


def fork(scale=1.0, level=0.0):
    steps = np.zeros((3, 2, 3))
    steps[:, 0, 1] = steps[:, 1, 2] = 1

    def reward(t, law):
        mass = law.sum(axis=1)
        return scale * jnp.stack([0 * mass[0], -mass[1], -2 * mass[2]])[:, None] * jnp.ones((3, 2)) + level

    return eq.MeanFieldGame(reward, steps, [1, 0, 0], 2)


def test_a_gap_counts_beside_what_small_payoffs_have_at_stake():
    small, policy = fork(1e-12), np.full((2, 3, 2), 0.5)
    policy[0, 0] = 0.6, 0.4
    eps = default_eps(small.tables(), "mean-field")
    assert eps < 1e-19
    certificate = eq.certify(small, policy)
    assert certificate.gap == pytest.approx(1e-12 * eq.certify(fork(), policy).gap, rel=1e-9)
    assert not certificate.holds(eps)


def test_stakes_of_ordinary_payoffs_are_at_least_one():
    assert MeanField().stakes(fork().tables()) == 1.0
    assert MeanField().stakes(fork(100.0).tables()) == pytest.approx(25.0)


def test_constant_payoffs_leave_nothing_to_gain_however_large():
    paid = eq.MeanFieldGame(lambda t, law: 1e9 / 3 + 0 * law, np.ones((2, 3, 2)) / 2, [0.5, 0.5], 5)
    certificate = eq.certify(paid, paid.uniform_profile()[0])
    assert (certificate.gap, certificate.numerical_error) == (0.0, 0.0)
    assert certificate.holds(default_eps(paid.tables(), "mean-field"))
    np.testing.assert_allclose(certificate.values[0][0], 5e9 / 3, rtol=1e-15)


def test_a_gap_below_the_rounding_of_large_payoffs_is_said_to_be():
    large, policy = fork(level=1e9 / 3), np.full((2, 3, 2), 0.5)
    policy[0, 0] = 2 / 3, 1 / 3
    certificate = eq.certify(large, policy)
    assert certificate.numerical_error > 1e-8
    assert any("Rounding alone" in sentence for sentence in certificate.warnings(1e-8))
    assert not certificate.holds(1e-8)


@pytest.mark.parametrize("pays", [lambda t, law: 0 * law, lambda t, law: 3 - law.sum(axis=1, keepdims=True) + 0 * law])
def test_where_all_are_paid_alike_there_is_an_eps_all_the_same(pays):
    """Of crowds that repel and begin spread out evenly, which they stay: rewards differ elsewhere."""
    game = eq.MeanFieldGame(pays, np.ones((4, 2, 4)) / 4, [0.25] * 4, 5)
    assert default_eps(game.tables(), "mean-field") == 1e-8
    assert eq.solve(game).certified

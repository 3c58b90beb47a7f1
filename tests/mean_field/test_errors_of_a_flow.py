"""What a certificate says that masses may be wrong by, where every mass makes the next moves: against decimals."""

from decimal import Decimal, localcontext

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field, exact_flow
from equinfer.games.mean_field import MeanFieldGame

INITIAL = [0.3, 0.7]


def logistic(slope, horizon):
    """The mass of state 0 goes by x -> slope x (1 - x); action 1 pays how much it is above a half."""

    def kernel(t, law):
        mass = law[0].sum()
        share = slope * mass * (1 - mass)
        return jnp.broadcast_to(jnp.stack([share, 1 - share]), (2, 2, 2))

    def reward(t, law):
        return (law[0].sum() - 0.5) * jnp.array([[0.0, 1], [0, 1]])

    return MeanFieldGame(reward, kernel, INITIAL, horizon)


def by_decimals(slope, policy):
    with localcontext() as context:
        context.prec = 150
        first, second = map(Decimal, INITIAL)
        mass, gap = first / (first + second), Decimal(0)
        for now in policy[:, 0]:
            pays = mass - Decimal("0.5")
            weights = [Decimal(weight) for weight in now.tolist()]
            gap += max(pays, Decimal(0)) - pays * weights[1] / sum(weights)
            mass = Decimal(slope) * mass * (1 - mass)
        return gap


def missed(slope, policy):
    """The certificate, and what it is off by."""
    certificate = certify_mean_field(logistic(slope, len(policy)).tables(), policy)
    return certificate, abs(float(Decimal(certificate.gap) - by_decimals(slope, policy)))


def chasing(slope, horizon):
    """Plays what is the best response in float64."""
    tables = logistic(slope, horizon).tables()
    mass = exact_flow(tables, (np.full((horizon, 2, 2), 0.5),))[0].sum(axis=-1)[:, 0]
    policy = np.zeros((horizon, 2, 2))
    policy[np.arange(horizon), :, (mass > 0.5).astype(int)] = 1
    return policy


@pytest.mark.slow
def test_nothing_is_certain_of_chaos_in_the_long_run():
    certificate, off = missed(3.9, chasing(3.9, 100))
    assert off > 1  # it is not the equilibrium that it seems to be
    assert certificate.gap < 1e-12
    assert certificate.kind == "estimate"
    assert not certificate.holds(1e-8)
    assert not certificate.holds(1e3)
    assert not certificate.settled(1e3)
    assert "rounding errors of the masses grow" in certificate.doubt


@pytest.mark.parametrize(
    ("slope", "horizon", "bound"),
    [(3.9, 5, 1e-13), (3.9, 20, 1e-8), pytest.param(3.0, 60, 1e-10, marks=pytest.mark.slow)],
)
def test_errors_are_small_where_they_have_not_grown(slope, horizon, bound):
    certificate, off = missed(slope, chasing(slope, horizon))
    assert certificate.kind == "exact"
    assert off <= certificate.numerical_error < bound


@pytest.mark.slow
@settings(max_examples=15)
@given(st.floats(0.5, 4.0), st.integers(1, 6).map(lambda tens: 8 * tens), st.integers(0, 2**32 - 1))
def test_an_exact_certificate_holds_against_decimals(slope, horizon, seed):
    policy = np.random.default_rng(seed).dirichlet([0.5, 0.5], (horizon, 2))
    policy[:, 1] = policy[:, 0]
    certificate, off = missed(slope, policy)
    assert certificate.kind == "estimate" or off <= certificate.numerical_error


def test_a_difference_of_masses_that_is_nothing_may_be_something():
    """At masses of .5 each, as they seem to be: .3 and .7 are no such floats."""
    moves = np.array([[[0.7, 0.3], [0.4, 0.6]], [[0.3, 0.7], [0.6, 0.4]]])

    def reward(t, law):
        mass = law.sum(axis=1)
        return 1e10 * (mass[0] - mass[1]) * jnp.array([[1.0, 2.0], [0, 1]])

    policy = np.full((2, 2, 2), [0.3, 0.7])
    certificate = certify_mean_field(MeanFieldGame(reward, moves, [0.5, 0.5], 2).tables(), policy)
    assert certificate.gap + certificate.numerical_error > 2.5e-10
    assert certificate.numerical_error < 1e-3


def test_a_reward_that_jumps_where_the_policy_leads_is_doubted():
    moves = np.zeros((3, 2, 3))
    moves[:2, :, 2] = moves[2, :, 0] = 1

    def game(limit):
        def reward(t, law):
            return jnp.where(law[2].sum() > limit, 1.0, 0.0) * jnp.array([[0.0, 0], [0, 0], [0, 1]])

        return MeanFieldGame(reward, moves, [0.1, 0.2, 0.7], 2)

    policy = np.full((2, 3, 2), 0.5)
    assert certify_mean_field(game(0.3).tables(), policy).kind == "estimate"
    assert certify_mean_field(game(0.29).tables(), policy).kind == "exact"


@pytest.mark.parametrize("horizon", [40, pytest.param(100, marks=pytest.mark.slow)])
def test_kernels_may_count_on_masses_that_sum_to_one(horizon):
    """Imitation: with probability .8 one goes where others are. What a sum lacks of one would grow 1.8-fold."""
    own = np.random.default_rng(3).dirichlet(np.ones(6), (6, 3))
    game = MeanFieldGame(
        lambda t, law: -law,
        lambda t, law: 0.2 * jnp.asarray(own) + 0.8 * law.sum(axis=1)[None, None],
        [1, 0, 0, 0, 0, 0],
        horizon,
        action_labels="abc",
    )
    certificate = eq.certify(game, game.uniform_profile()[0])
    assert certificate.kind == "exact"
    assert certificate.numerical_error < 1e-10

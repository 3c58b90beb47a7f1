"""Where populations settle: stationary laws against closed forms, and what cannot be told."""

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.chains import limit_law
from equinfer.certificates.mean_field import certify_mean_field, exact_flow
from equinfer.games.mean_field import MeanFieldGame

ALONE = np.ones((2, 1))


def nothing(t, law):
    return 0 * law


def moving(chain):
    """The same chain, as a function of the law that happens not to depend on it."""
    return lambda t, law: jnp.asarray(chain)[:, None] + 0 * law.sum()


def masses(game, policy=ALONE):
    return exact_flow(game.tables(), (policy,))[0].sum(axis=-1)


def infection(initial, spread, recovery=0.3):
    """A share `spread(m)` of the healthy fall ill where m are."""

    def kernel(t, law):
        caught = spread(law[1].sum())
        return jnp.stack([jnp.stack([1 - caught, caught]), jnp.array([recovery, 1 - recovery])])[:, None]

    return MeanFieldGame(nothing, kernel, initial, discount=0.9, action_labels=["live"])


def in_company(m):
    """Only with two others who are ill."""
    return jnp.minimum(1.6 * m**2, 1.0)


@pytest.mark.parametrize("size", [2, 7, 40])
def test_a_chain_of_births_and_deaths(size):
    """Detailed balance: the odds of neighbours are those of the steps between them, over 40 orders of magnitude."""
    up, down = np.random.default_rng(size).uniform(0.01, 0.4, (2, size - 1))
    up *= 10.0 ** -np.arange(0, 2 * (size - 1), 2).clip(max=40)
    chain = np.diag(up, 1) + np.diag(down, -1)
    chain += np.diag(1 - chain.sum(axis=1))
    law = limit_law(chain, np.ones(size) / size, 2 * size)
    expected = np.append(1.0, np.cumprod(up / down))
    expected /= expected.sum()
    np.testing.assert_allclose(law.mass, expected, rtol=1e-13, atol=0)
    assert (np.abs(law.mass - expected) <= law.error + 4e-16 * expected * size).all()
    assert (law.error <= 1e-10 * np.maximum(law.mass, 1e-3)).all()


def test_rare_moves_count_in_full():
    """Once in 1e17 steps: rows of the table round to the identity, and systems of equations are singular."""
    game = MeanFieldGame(nothing, np.array([[[1, 1e-17]], [[2e-17, 1]]]), [1, 0], discount=0.9)
    np.testing.assert_allclose(masses(game), [2 / 3, 1 / 3], rtol=1e-14)
    assert certify_mean_field(game.tables(), ALONE).kind == "exact"


def test_rare_moves_that_depend_on_the_population_are_not_judged():
    chain = np.array([[1, 1e-17], [2e-17, 1]])
    game = MeanFieldGame(nothing, moving(chain), [1, 0], discount=0.9, action_labels=["live"])
    certificate = certify_mean_field(game.tables(), ALONE)
    assert (certificate.kind, certificate.gap) == ("estimate", np.inf)
    assert not certificate.holds(1e300)
    assert not certificate.settled(1.0)
    assert "has not come to rest" in repr(certificate)


def test_moves_that_float64_loses_are_not_judged():
    """1e-200 of an action that moves with 1e-200 is more than never, by which the law would be another."""
    kernel = np.zeros((2, 2, 2))
    kernel[0, 0, 0] = kernel[1, 0, 1] = 1
    kernel[0, 1], kernel[1, 1] = [1, 1e-200], [2e-200, 1]
    policy = np.array([[1, 1e-200]] * 2)
    game = MeanFieldGame(nothing, kernel, [1, 0], discount=0.9)
    assert certify_mean_field(game.tables(), policy).kind == "estimate"


@pytest.mark.parametrize("fixed", [True, False])
def test_who_goes_round_is_everywhere_equally(fixed):
    turn = np.roll(np.eye(3), 1, axis=1)
    kernel = turn[:, None] if fixed else moving(turn)
    game = MeanFieldGame(nothing, kernel, [1, 0, 0], discount=0.9, action_labels=["go"])
    np.testing.assert_allclose(masses(game, np.ones((3, 1))), np.ones(3) / 3, rtol=1e-14)


def test_classes_are_weighted_by_how_likely_each_is_from_the_start():
    """Gambler's ruin between 0 and 4 with odds 2 : 1 of going up: from 1, (1 - 1/2) / (1 - 1/16) = 8/15 to reach 4."""
    chain = np.zeros((5, 1, 5))
    chain[[0, 4], 0, [0, 4]] = 1
    for k in (1, 2, 3):
        chain[k, 0, [k - 1, k + 1]] = 1 / 3, 2 / 3
    game = MeanFieldGame(nothing, chain, [0, 1, 0, 0, 0], discount=0.9)
    np.testing.assert_allclose(masses(game, np.ones((5, 1))), [7 / 15, 0, 0, 0, 8 / 15], rtol=1e-14)
    lasting = MeanFieldGame(nothing, chain, [0.25, 0, 0, 0, 0.75], discount=0.9)
    np.testing.assert_allclose(masses(lasting, np.ones((5, 1))), [0.25, 0, 0, 0, 0.75], rtol=1e-14)


@pytest.mark.parametrize(("ill", "expected"), [(0.6, 1 - 0.3 / 0.8), (1e-9, 1 - 0.3 / 0.8), (0.0, 0.0)])
def test_an_epidemic_that_is_there_stays(ill, expected):
    """Who is not ill at all stays healthy; any other start ends with 1 - recovery / infection."""
    game = infection([1 - ill, ill], lambda m: 0.8 * m)
    np.testing.assert_allclose(masses(game), [1 - expected, expected], rtol=1e-13)


def test_of_two_laws_the_one_on_this_side_of_the_threshold():
    """Two contacts are needed: rest points solve m (1 - m) = 3/16, so 1/4, which repels, and 3/4, and nobody."""
    for ill, expected in ((0.24, 0.0), (0.26, 0.75), (0.9, 0.75)):
        game = infection([1 - ill, ill], in_company)
        np.testing.assert_allclose(masses(game)[1], expected, rtol=1e-12, atol=1e-12)


def test_a_law_that_repels_is_where_nobody_settles():
    """The population that begins just there is at rest to rounding, and that does not count."""
    game = infection([0.75, 0.25], in_company)
    certificate = certify_mean_field(game.tables(), ALONE)
    assert certificate.kind == "estimate" or abs(masses(game)[1] - 0.25) > 0.2


@pytest.mark.parametrize(
    "spread",
    [
        lambda m: jnp.where(m < 0.4, 0.9, 0.0),  # it goes back and forth about .4
        lambda m: jnp.where(m < 0.5, 0.3, 0.3 + 1e-9),  # at rest at 1/2, or not, by the last digit
        lambda m: 1 / (1 + jnp.exp(200 * (m - 0.4))),  # overshoots, moves of half the population notwithstanding
    ],
)
def test_populations_that_do_not_settle_are_not_judged(spread):
    certificate = certify_mean_field(infection([0.9, 0.1], spread).tables(), ALONE)
    assert (certificate.kind, certificate.gap) == ("estimate", np.inf)
    assert certificate.doubt is not None


def test_kernels_that_break_at_another_law_are_refused():
    def kernel(t, law):
        rest = jnp.where(law[1].sum() > 0.55, 0.5, 1.0)
        return jnp.stack([jnp.stack([rest * 0.2, rest * 0.8]), jnp.array([0.3, 0.7])])[:, None]

    game = MeanFieldGame(
        nothing, kernel, [0.9, 0.1], discount=0.9, state_labels=["well", "ill"], action_labels=["live"]
    )
    with pytest.raises(eq.BadInput, match="state well, action live: not probabilities that sum to one"):
        certify_mean_field(game.tables(), ALONE)


def test_two_populations_settle_together():
    """Each falls ill by the other's: m / (1 - m) = (b / r) n, n / (1 - n) = (b / r) m: both as if alone."""

    def caught_from(other):
        def kernel(t, laws):
            caught = 0.8 * laws[other][1].sum()
            return jnp.stack([jnp.stack([1 - caught, caught]), jnp.array([0.3, 0.7])])[:, None]

        return kernel

    game = MeanFieldGame(
        [lambda t, laws: 0 * laws[0]] * 2,
        [caught_from(1), caught_from(0)],
        [[0.9, 0.1], [0.2, 0.8]],
        discount=0.9,
        action_labels=[["live"]] * 2,
    )
    for law in exact_flow(game.tables(), (ALONE, ALONE)):
        np.testing.assert_allclose(law[:, 0], [3 / 8, 5 / 8], rtol=1e-13)


def test_games_that_are_too_large_are_refused():
    ring = eq.Stencil((5001,), [[0]])
    game = MeanFieldGame(nothing, ring, np.full(5001, 1 / 5001), discount=0.9)
    with pytest.raises(eq.BadInput, match="of up to 5000 states; game has 5001"):
        eq.solve(game)


@pytest.mark.parametrize("m0", [0.49954472, 0.4996344, 0.49950763])
def test_the_first_rest_point_on_the_way_is_the_one(m0):
    """Rest points .001 apart, of which the population comes to the first; Newton's method may jump over it."""
    waves = 2 * np.pi / 0.001

    def kernel(t, law):
        m = law[0].sum()
        up = (0.1 * m - 2e-5 * jnp.sin(waves * (m - 0.5))) / (1 - m)
        return jnp.stack([jnp.array([0.9, 0.1]), jnp.stack([up, 1 - up])])[:, None]

    game, m = MeanFieldGame(nothing, kernel, [m0, 1 - m0], discount=0.9, action_labels=["live"]), m0
    for _ in range(20_000):
        m -= 1e-5 * np.sin(waves * (m - 0.5))
    assert certify_mean_field(game.tables(), ALONE).kind == "exact"
    assert masses(game)[0] == pytest.approx(m, abs=1e-9)

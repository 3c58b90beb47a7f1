"""Networks, and the laws over actions that they put out."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from equinfer.nn.laws import Categorical, SquashedGaussian, lattice, resampled, uniform_index
from equinfer.nn.networks import Critic, Network


def test_pairs_cost_a_sum_and_say_the_same():
    """The first layer is linear, so what each agent adds to it can be added up in any shape."""
    critic = Critic(2, 3, 1, 16, key=jax.random.key(0))
    seen = jnp.array([0.3, -1.0])
    own, others = jnp.linspace(-1, 1, 5)[:, None], jax.random.normal(jax.random.key(1), (4, 2, 1))
    first = critic.seen(seen[None])[:, None] + critic.done(0, own)[:, None]
    first = first + critic.done(1, others[:, 0])[None] + critic.done(2, others[:, 1])[None]
    pairs = critic.worth(first)
    for k in range(5):
        for n in range(4):
            joint = jnp.concatenate([own[k][None], others[n]])
            assert pairs[k, n] == pytest.approx(float(critic(seen, joint)), abs=1e-5)


def test_a_network_learns_where_observations_are_zeros():
    network = Network(1, 1, 8, key=jax.random.key(0))
    gradient = jax.grad(lambda net: net(jnp.zeros(1))[0])(network)
    assert any(np.abs(bias).max() > 0 for bias in gradient.biases[:2])


@pytest.mark.parametrize(("mean", "log_std"), [(0.0, 0.0), (0.8, -1.0), (-1.0, 0.0)])
def test_squashed_density_integrates_to_one(mean, log_std):
    law = SquashedGaussian(jnp.array([mean]), jnp.array([log_std]), jnp.array([True]))
    edges = np.linspace(-0.99999, 0.99999, 200_001)
    middles = (edges[1:] + edges[:-1]) / 2
    density = np.exp(np.asarray(law.log_prob(jnp.asarray(middles[:, None], jnp.float32)), float))
    assert density.sum() * (edges[1] - edges[0]) == pytest.approx(1.0, abs=2e-3)


def test_draws_have_the_density():
    """Kolmogorov and Smirnov's distance of 4,000 draws; 2.0 / sqrt(n) is exceeded once in 1,500 times."""
    law = SquashedGaussian(jnp.array([0.5]), jnp.array([-0.3]), jnp.array([True]))
    draws = np.sort(np.asarray(law.sample(jax.random.key(0), 4000))[:, 0])
    grid = np.linspace(-0.9999, 0.9999, 4001)
    density = np.exp(np.asarray(law.log_prob(jnp.asarray(grid[:, None], jnp.float32))))
    below = np.cumsum(density) * (grid[1] - grid[0])
    distance = np.abs(np.interp(draws, grid, below) - (np.arange(4000) + 0.5) / 4000).max()
    assert distance < 2.0 / np.sqrt(4000)


def test_padded_numbers_are_nothing():
    law = SquashedGaussian(jnp.array([0.2, 3.0]), jnp.array([0.1, -2.0]), jnp.array([True, False]))
    alone = SquashedGaussian(jnp.array([0.2]), jnp.array([0.1]), jnp.array([True]))
    assert float(law.log_prob(jnp.array([0.4, 0.0]))) == pytest.approx(
        float(alone.log_prob(jnp.array([0.4]))), rel=1e-6
    )
    assert (np.asarray(law.sample(jax.random.key(0), 5))[:, 1] == 0).all()
    assert law.mode()[1] == 0


def test_moves_off_the_mask_are_never_made():
    law = Categorical.of(jnp.array([0.0, 1.0, 9.0]), jnp.array([True, True, False]))
    draws = np.asarray(law.sample(jax.random.key(0), 500))
    assert draws[:, 2].sum() == 0
    assert float(law.log_prob(jnp.array([0.0, 1.0, 0.0]))) == pytest.approx(-np.log1p(np.exp(-1.0)), rel=1e-5)
    assert law.mode().tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("dimensions", [1, 2, 4])
def test_a_lattice_fills_the_box_more_evenly_than_chance(dimensions):
    """The mean of the squares is 1/3; 256 random points miss it by .0186 in the root mean square of each dimension."""
    errors = [
        np.abs((np.asarray(lattice(jax.random.key(k), 256, dimensions)) ** 2).mean(axis=0) - 1 / 3).max()
        for k in range(20)
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 0.0186 / 2


def test_systematic_resampling_keeps_counts_to_within_one():
    weights = np.array([0.5, 0.3, 0.15, 0.05])
    points = jnp.arange(4.0)[:, None]
    for seed in range(20):
        drawn = np.asarray(resampled(jax.random.key(seed), points, jnp.log(jnp.asarray(weights, jnp.float32)), 40))[
            :, 0
        ]
        counts = np.array([(drawn == k).sum() for k in range(4)])
        assert np.abs(counts - 40 * weights).max() < 1 + 1e-4


def test_resampled_points_come_in_every_order():
    """Contexts pair the draws of several others by their place: an order of their own would tie them together."""
    keys = jax.random.split(jax.random.key(4), 600)
    points, weights = jnp.arange(3.0)[:, None], jnp.zeros(3)
    orders = jax.vmap(lambda key: resampled(key, points, weights, 3))(keys)[..., 0]
    _, counts = np.unique(np.asarray(orders), axis=0, return_counts=True)
    assert len(counts) == 6
    assert counts.min() > 60


def test_indices_are_even():
    """Along the places of one draw, at one place from key to key, and in pairs of places and of successive keys."""
    bound, cells = 121, 11
    keys = jax.random.split(jax.random.key(6), 20_000)
    many = np.asarray(jax.vmap(lambda key: uniform_index(key, (64,), jnp.int32(bound)))(keys))
    one = np.asarray(uniform_index(jax.random.key(5), (200_000,), bound))
    coarse = many // cells
    for drawn in (
        one,
        many[:, 0],
        many[:, 63],
        one[:-1] // cells * cells + one[1:] // cells,
        coarse[:, 0] * cells + coarse[:, 1],
        coarse[:, 7] * cells + coarse[:, 40],
        coarse[:-1, 5] * cells + coarse[1:, 5],
    ):
        counts = np.bincount(drawn, minlength=bound)
        assert len(counts) == bound
        assert scipy.stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(("spread", "target"), [(30.0, 0.05), (-30.0, 0.9)])
def test_a_law_at_the_end_of_its_range_finds_back(spread, target):
    """The deviation that explains draws is found by descent from beyond either end, where it is cut."""
    mask = jnp.ones(1, bool)
    drawn = jnp.tanh(target * jax.random.normal(jax.random.key(6), (256, 1)))

    def loss(outputs):
        return -SquashedGaussian.of(outputs, mask).log_prob(drawn).mean()

    start = jnp.array([0.0, spread])
    sure = start
    for _ in range(3):  # outwards it does not move
        sure = sure - 0.1 * jax.grad(lambda x: jnp.sign(spread) * -SquashedGaussian.of(x, mask).log_std.sum())(sure)
    assert np.array_equal(sure, start)
    assert jax.grad(loss)(start)[1] * spread > 0
    found, slope = jnp.array([0.0, np.sign(spread) * 2.1]), jax.jit(jax.grad(loss))
    for _ in range(2000):
        gradient = slope(found)
        found = found - 0.003 * gradient / (1 + jnp.abs(gradient))
    assert np.exp(SquashedGaussian.of(found, mask).log_std[0]) == pytest.approx(target, rel=0.15)


@pytest.mark.parametrize("start", [(0.0, 0.0), (20.0, 0.0), (-9.0, 2.0), (8.0, -3.0)])
def test_entropy_that_is_sought_by_own_draws_is_that_of_the_box(start):
    """Whatever the start, beyond the edge too: nearly uniform, and no farther than .02 nats from it."""
    real = jnp.ones(1, bool)

    def surprise(outputs, key):
        law = SquashedGaussian.of(outputs, real)
        return law.log_prob(law.sample(key, 256)).mean() + jnp.log(2.0)

    def step(outputs, key):
        return outputs - 0.02 * jax.grad(surprise)(outputs, key), None

    end = jax.lax.scan(step, jnp.array(start, jnp.float32), jax.random.split(jax.random.key(0), 4000))[0]
    assert abs(float(end[0])) < 0.02
    assert 0 < float(surprise(end, jax.random.key(1))) < 0.02


def test_units_that_are_off_learn():
    """Where all units of a hidden layer are below zero, gradients still reach the layers before it."""
    network = Network(1, 1, 8, key=jax.random.key(7))
    off = eqx.tree_at(
        lambda net: net.biases, network, (network.biases[0] - 50, network.biases[1] - 50, network.biases[2])
    )
    gradient = jax.grad(lambda net: net(jnp.zeros(1))[0])(off)
    assert float(jnp.abs(gradient.biases[0]).min()) > 0

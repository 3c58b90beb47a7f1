"""What Algorithm 4 does by itself: contraction, mirror descent, cycles, and averages that converge (Theorem G)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field
from equinfer.games.catalog.mean_field.classics import fork
from equinfer.games.mean_field import MeanFieldGame
from equinfer.solvers.mean_field.bayesian_q import BayesianQ
from equinfer.solvers.mean_field.mirror_descent import OnlineMirrorDescent

KEY = jax.random.key(0)
SKEW = np.array([[0, 0, 0, 0], [0, 0, -1, 2], [0, 1, 0, -1], [0, -2, 1, 0]], float)
EQUILIBRIUM = np.array([1, 2, 1]) / 4


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def skew():
    """Zero-sum against the population: monotone, but not strictly."""
    return MeanFieldGame(
        lambda t, law: (jnp.asarray(SKEW) @ law.sum(axis=1))[:, None] * jnp.ones((1, 3)), fork(3), [1, 0, 0, 0], 2
    )


def path(solver, game, steps):
    """The profiles after each number of steps."""
    game = jax.tree.map(jnp.asarray, game.unlabelled())
    state, done, found = solver.init(game, key=KEY), 0, []

    @jax.jit
    def advance(state, count):
        return jax.lax.fori_loop(0, count, lambda _, now: solver.step(game, now, key=KEY)[0], state)

    for step in steps:
        state, done = advance(state, step - done), step
        found.append(tuple(map(np.asarray, solver.profile(game, state))))
    return found


@pytest.mark.parametrize(("name", "temperature"), [("left_right", 3.0), ("beach_bar", 3.0), ("random_linear", 300.0)])
def test_a_fixed_prior_contracts_when_hot(name, temperature):
    """From two starts to one limit, geometrically; its exploitability is at most tau times the entropy at stake."""
    game = eq.load(f"catalog:mean_field/{name}")
    tables = game.tables()
    cold = [BayesianQ(temperature=temperature, magnet_every=0, start=start) for start in ("magnet", "random")]
    steps = (0, 5, 10, 60)
    paths = [[policies[0] for policies in path(solver, game, steps)] for solver in cold]
    apart = [np.abs(one - other).max() for one, other in zip(*paths, strict=True)]
    assert apart[1] < 0.3 * apart[0]
    assert apart[2] < 0.3 * apart[1]
    assert apart[3] < 1e-12
    bias = temperature * tables.horizon * np.log(tables.num_actions[0])
    assert 0 < certify_mean_field(tables, paths[0][-1]).gap <= bias


def test_a_fixed_prior_oscillates_when_cold():
    policies = [each[0] for each in path(BayesianQ(temperature=0.3, magnet_every=0), skew(), (100, 101, 102))]
    assert np.abs(policies[1] - policies[0]).max() > 0.5
    assert np.abs(policies[2] - policies[1]).max() > 0.5


def test_with_the_previous_policy_as_prior_it_is_mirror_descent():
    """Of one decision, to rounding."""
    game = eq.load("catalog:mean_field/congestion")
    for ours, theirs in zip(
        path(BayesianQ(temperature=2.0, magnet_every=1), game, (1, 4, 9)),
        path(OnlineMirrorDescent(learning_rate=0.5), game, (1, 4, 9)),
        strict=True,
    ):
        np.testing.assert_allclose(ours[0][0, 0], theirs[0][0, 0], rtol=0, atol=1e-14)


def beside():
    """Policies near the equilibrium, which does not hold them."""
    start = np.full((2, 4, 3), 1 / 3)
    start[0, 0] = 0.3, 0.5, 0.2
    return start


def test_where_crowds_only_chase_each_other_the_last_iterate_spirals_out():
    """KL(equilibrium || policy) never falls: a step adds log E exp(r / tau) - E* r / tau >= 0, as both means are 0."""
    found = path(BayesianQ(temperature=3.0, magnet=(beside(),)), skew(), range(0, 400, 40))
    distances = [np.sum(EQUILIBRIUM * np.log(EQUILIBRIUM / policies[0][0, 0])) for policies in found]
    assert (np.diff(distances) > 0).all()
    assert distances[-1] > 5 * distances[0]


@pytest.mark.parametrize("steps", [100, 400, 1600])
def test_the_average_flow_converges_like_the_square_root(steps):
    """Its exploitability is the average regret: at most tau KL / K + osc^2 / (8 tau), here with tau = sqrt K."""
    temperature = np.sqrt(steps)
    ((policies,),) = path(BayesianQ(temperature=temperature, magnet=(beside(),), play="average"), skew(), (steps,))
    gap = certify_mean_field(skew().tables(), policies).gap
    assert 0 < gap * np.sqrt(steps) <= np.log(1 / 0.2) + 3**2 / 8 + 0.05
    ((last,),) = path(BayesianQ(temperature=temperature, magnet=(beside(),)), skew(), (steps,))
    assert gap < 0.5 * certify_mean_field(skew().tables(), last).gap


def test_fictitious_answers_to_averages():
    """Cold, with a fixed prior, it is fictitious play: both end where left and right cost the same."""
    solver = BayesianQ(temperature=0.01, magnet_every=0, play="fictitious")
    ((policies,),) = path(solver, eq.load("catalog:mean_field/left_right"), (3000,))
    assert policies[0, 0, 0] == pytest.approx(2 / 3, abs=5e-3)

"""Equilibria at rest: closed forms, long horizons, and what every solver makes of them."""

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field
from equinfer.games import catalog
from equinfer.games.mean_field import MeanFieldGame


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("endemic", {}),
        ("endemic", {"discount": 0.6, "infection": 0.9, "illness": 3.0, "ill": 0.01}),
        ("endemic", {"ill": 0.0}),
        ("endemic", {"discount": 0.9999}),
        ("daily_congestion", {}),
        ("daily_congestion", {"discount": 0.5, "slopes": (1.0, 1.0, 1.0), "offsets": (5.0, 0.0, 0.2)}),
        ("ring_crowd", {"pull": 0.0}),
        ("ring_crowd", {"pull": 0.0, "size": 50, "noise": 1.0}),
    ],
)
def test_listed_equilibria_are_equilibria(name, given):
    tables = catalog.load(f"mean_field/{name}", **given).tables()
    (known,) = catalog.equilibria(f"mean_field/{name}", **given)
    certificate = certify_mean_field(tables, known.profile)
    assert certificate.kind == "exact"
    assert certificate.gap <= certificate.numerical_error < 1e-8
    assert certify_mean_field(tables, catalog.load(f"mean_field/{name}", **given).uniform_profile()).gap > 0.1


def test_an_endemic_illness_is_found_to_the_last_digits():
    """m = d (1 - g (1 - r)) / (g b (c - d)) are ill."""
    solution = eq.solve("catalog:mean_field/endemic")
    (known,) = catalog.equilibria("mean_field/endemic")
    assert solution.certified
    assert solution.gap < 1e-10
    np.testing.assert_allclose(solution.policy, known.profile[0], atol=1e-10)
    ill = 0.5 * (1 - 0.95 * 0.7) / (0.95 * 0.81 * 0.5)
    np.testing.assert_allclose(solution.flow.sum(axis=1), [1 - ill, ill], atol=1e-11)
    np.testing.assert_allclose(solution.value[0], -0.5 / 0.05, rtol=1e-10)  # as good as keeping away for ever


def test_nobody_ill_is_another_equilibrium_from_another_start():
    healthy = eq.solve(eq.load("catalog:mean_field/endemic", ill=0.0))
    assert healthy.certified
    np.testing.assert_allclose(healthy.flow, [[1, 0], [0, 0]], atol=1e-12)


def test_roads_carry_what_wardrop_says():
    """Water stands at 5/7: shares 5/7, 13/56 and 3/56."""
    solution = eq.solve("catalog:mean_field/daily_congestion")
    np.testing.assert_allclose(solution.flow.sum(axis=1), [5 / 7, 13 / 56, 3 / 56], atol=1e-10)
    np.testing.assert_allclose(solution.value, -(5 / 7) / 0.1, rtol=1e-9)


@pytest.mark.parametrize("pull", [0.0, 1.0])
def test_a_ring_looks_the_same_from_both_sides(pull):
    solution = eq.solve(eq.load("catalog:mean_field/ring_crowd", size=8, pull=pull))
    assert solution.certified
    mirrored = -np.arange(8) % 8
    mass = solution.flow.sum(axis=1)
    np.testing.assert_allclose(mass, mass[mirrored], atol=1e-9)
    if pull:
        assert mass[0] > 2 * mass[4]
    else:
        np.testing.assert_allclose(mass, 1 / 8, atol=1e-10)
        np.testing.assert_allclose(solution.policy[:, 1], 1, atol=1e-10)


@pytest.mark.slow
def test_in_the_middle_of_a_long_horizon_play_is_at_rest():
    """From the stationary law on, what is played in the middle of a hundred epochs is the stationary policy."""
    game = eq.load("catalog:mean_field/malware_spread", levels=6)
    at_rest = eq.solve(game)
    assert at_rest.certified
    mass = at_rest.flow.sum(axis=1)
    long = MeanFieldGame(game.reward[0], game.transitions[0].kernel, mass, horizon=100, discount=0.9)
    solution = eq.solve(long)
    assert solution.certified
    np.testing.assert_allclose(solution.flow[30:50], np.broadcast_to(at_rest.flow, (20, 6, 2)), atol=1e-4)
    seen = mass > 1e-9
    np.testing.assert_allclose(
        solution.policy[30:50][:, seen], np.broadcast_to(at_rest.policy[seen], (20, seen.sum(), 2)), atol=1e-3
    )


@pytest.mark.parametrize(
    ("solver", "options", "reached"),
    [
        ("complementarity", {}, 1e-10),
        ("interior-point", {}, 1e-10),
        ("temperature-grid", {}, 1e-10),
        ("bayesian-q", {}, 1e-10),
        ("online-mirror-descent", {}, 1e-10),
        ("fictitious-play", {"steps": 2000}, 1e-2),
        ("prior-descent", {"temperature": 0.3, "magnet_every": 20, "steps": 2000}, 1e-2),
    ],
)
def test_solvers_that_take_games_at_rest(solver, options, reached):
    solution = eq.solve("catalog:mean_field/daily_congestion", solver=solver, **options)
    assert solution.gap <= reached
    assert solution.policy.shape == (3, 3)


@pytest.mark.parametrize("solver", ["mf-omo", "bayesian-q-sampled"])
def test_solvers_that_need_a_horizon_say_so(solver):
    with pytest.raises(eq.BadInput, match=f"{solver} is for games with a horizon; this one is stationary"):
        eq.solve("catalog:mean_field/endemic", solver=solver)


@pytest.mark.slow
def test_names_of_states_and_order_do_not_matter():
    """The ring, numbered at random."""
    order = np.random.default_rng(0).permutation(8)
    game = eq.load("catalog:mean_field/ring_crowd", size=8)
    rows = np.zeros((8, 3, 8))
    for s in range(8):
        for a in range(3):
            for e, p in ((-1, 0.1), (0, 0.8), (1, 0.1)):
                rows[s, a, (s + a - 1 + e) % 8] += p
    back = np.argsort(order)

    def reward(t, law):
        return game.rewards_at(0, (law[jnp.asarray(back)],))[0][jnp.asarray(order)]

    shuffled = MeanFieldGame(reward, rows[order][:, :, order], np.eye(8)[back[0]], discount=0.9)
    one, other = eq.solve(game), eq.solve(shuffled)
    assert one.certified
    assert other.certified
    np.testing.assert_allclose(one.flow.sum(axis=1)[order], other.flow.sum(axis=1), atol=1e-9)


def test_two_populations_at_rest():
    """Each minds the other's crowd twice as much on the second road: a third of the others there makes it all one."""

    def minding(other):
        return lambda t, laws: -(jnp.array([1.0, 2.0]) * laws[other].sum(axis=1))[:, None] * jnp.ones((1, 2))

    roads = np.broadcast_to(np.eye(2), (2, 2, 2))
    game = MeanFieldGame([minding(1), minding(0)], [roads, roads], [[1, 0], [1, 0]], discount=0.8)
    solution = eq.solve(game)
    assert solution.certified
    assert len(solution.flow) == 2
    for flow in solution.flow:
        np.testing.assert_allclose(flow.sum(axis=1), [2 / 3, 1 / 3], atol=1e-9)


def test_illegal_actions_are_not_played():
    """The dearest road may not be left, nor taken: nobody begins there."""
    legal = np.array([[True, True, False], [True, True, False], [False, False, True]])
    costs = np.array([1.0, 2.0, 9.0])
    game = MeanFieldGame(
        lambda t, law: -(jnp.asarray(costs) * law.sum(axis=1))[:, None] * jnp.ones((1, 3)),
        np.broadcast_to(np.eye(3), (3, 3, 3)),
        [1, 0, 0],
        discount=0.9,
        legal=legal,
    )
    solution = eq.solve(game)
    assert solution.certified
    assert (solution.policy[~legal] == 0).all()
    np.testing.assert_allclose(solution.flow.sum(axis=1), [2 / 3, 1 / 3, 0], atol=1e-9)


def test_a_game_without_an_equilibrium_at_rest_ends_with_the_best():
    """Who is with the majority pays, by however little it is one, as in the game with a horizon."""

    def reward(t, law):
        crowded = law[0].sum() >= law[1].sum()
        return -jnp.where(jnp.stack([crowded, ~crowded]), 1.0, 0.0)[:, None] * jnp.ones((1, 2))

    game = MeanFieldGame(reward, np.broadcast_to(np.eye(2), (2, 2, 2)), [1, 0], discount=0.5)
    solution = eq.solve(game, time=5)
    assert not solution.certified
    assert solution.status is not eq.Status.certified
    assert solution.gap > 0.1


def test_a_population_that_nobody_can_foresee_is_no_success():
    """Moves jump about a threshold that no policy of anybody changes."""

    def kernel(t, law):
        up = jnp.where(law[1].sum() < 0.4, 0.9, 0.0)
        return jnp.stack([jnp.stack([1 - up, up]), jnp.array([0.3, 0.7])])[:, None]

    game = MeanFieldGame(lambda t, law: -law, kernel, [1, 0], discount=0.9, action_labels=["live"])
    solution = eq.solve(game, solver="bayesian-q", steps=2)
    assert not solution.certified
    assert solution.gap == np.inf
    assert "In which law the population settles is not certain" in repr(solution)

"""The catalogue of continuous actions against published numbers, other methods, and its own listed equilibria."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.games import catalog
from equinfer.games.catalog.continuous.cournot import nash_quantities


def rewards_on(game, *sides):
    """Rewards of agent 0 on a grid of everybody's numbers."""
    grid = np.stack(np.meshgrid(*sides, indexing="ij"), axis=-1)
    return game.tables().rewards_at(grid.reshape(-1, grid.shape[-1]))[:, 0].reshape(grid.shape[:-1])


def middles(count):
    """Of so many equal parts of [-10, 10]: a sum over them is an integral."""
    return -10 + 20 * (np.arange(count) + 0.5) / count


FACTS = {
    # r(0,0), where the high hill begins on the diagonal, its share of the square, the mean, the least reward,
    # and the best answer to uniform play with its reward and those of 5 and -5: measured from the published code.
    "rommeo": (-13.33, 1.126, 0.298, -17.62, -66.67, 3.02, -10.77, -12.99, -15.56),
    "printed": (-4.44, 1.951, 0.208, -6.91, -40.0, 4.09, -3.53, -3.95, -5.19),
}


@pytest.mark.parametrize("variant", FACTS)
def test_the_differential_game_is_the_published_one(variant):
    origin, begins, share, mean, least, best, at_best, at_five, at_trap = FACTS[variant]
    game = eq.load("catalog:differential", variant=variant)
    side = middles(1000)
    rewards = rewards_on(game, side, side)
    assert rewards_on(game, np.zeros(1), np.zeros(1)).item() == pytest.approx(origin, abs=0.005)
    diagonal = np.linspace(0, 3, 3001)
    along = game.tables().rewards_at(np.stack([diagonal] * 2, axis=1))[:, 0]
    high = 10 - 2 * (diagonal - 5) ** 2
    assert diagonal[np.argmax(along <= high + 1e-12)] == pytest.approx(begins, abs=0.0015)
    hill = 10 - ((side[:, None] - 5) ** 2 + (side[None] - 5) ** 2)
    # The share was measured to three digits, and a grid of 1000 finds it within one column.
    assert (rewards <= hill + 1e-12).mean() == pytest.approx(share, abs=0.001)
    assert rewards.mean() == pytest.approx(mean, abs=0.02)
    edges = np.array([-10.0, 10.0])
    assert rewards_on(game, edges, edges).min() == pytest.approx(least, abs=0.005)
    own = np.linspace(-10, 10, 2001)
    answers = rewards_on(game, own, side).mean(axis=1)
    assert own[answers.argmax()] == pytest.approx(best, abs=0.025)
    assert answers.max() == pytest.approx(at_best, abs=0.01)
    assert answers[1500] == pytest.approx(at_five, abs=0.01)
    assert answers[500] == pytest.approx(at_trap, abs=0.01)


@pytest.mark.parametrize(
    ("variant", "parameters", "share"),
    [
        ("printed", {"agents": 3}, 0.106),
        ("rommeo", {"agents": 3}, 0.209),
        ("printed", {"dimensions": 2}, 0.056),
        ("rommeo", {"dimensions": 2}, 0.153),
    ],
)
def test_more_agents_and_dimensions_shrink_the_high_hill(variant, parameters, share):
    game = eq.load("catalog:differential", variant=variant, **parameters)
    size = 3 if "agents" in parameters else 4
    actions = np.random.default_rng(0).uniform(-10, 10, (200_000, size))
    reward = game.tables().rewards_at(actions)[:, 0]
    on_top = reward <= 10 - ((actions - 5) ** 2).sum(axis=1) + 1e-9
    # Six standard deviations of the frequency, and the last digit of the share.
    assert on_top.mean() == pytest.approx(share, abs=6 * 0.5 / 200_000**0.5 * 0.8 + 5e-4)


STATES = ("cournot_capacity", "cournot_demand")
ENTRIES = [
    *((name, {}) for name in catalog.continuous_names() if name not in STATES),
    ("differential", {"variant": "rommeo", "agents": 3}),
    ("differential", {"variant": "rommeo", "dimensions": 2}),
    ("differential", {"peaks": (-3.0, 6.0)}),
    ("differential", {"peaks": ((-6.0, 2.0), (4.0, -7.0))}),
    ("differential", {"peaks": (-12.0, 5.0)}),
    ("differential", {"peaks": (1.0, 3.0), "agents": 3}),
    ("cournot", {"costs": (1.0, 2.0, 3.0)}),
    ("cournot", {"costs": (1.0, 1.5, 8.0, 9.0)}),
    ("cournot", {"costs": (0.0, 2.0), "capacity": 2.5}),
    ("quadratic_zero_sum", {"saddle": (-0.9, 0.5), "coupling": 4.0}),
    ("quadratic", {"agents": 3, "dimensions": 3, "seed": 5}),
    ("quadratic", {"agents": 1, "dimensions": 2}),
]


def best_gain(game, actions, i):
    """The most that agent i gains, on a fine grid around its action and all over its box: a plain twin."""
    tables = game.tables()
    low, high = tables.low[i], tables.high[i]
    random = np.random.default_rng(1)
    wide = low + random.random((20_000, len(low))) * (high - low)
    near = np.clip(actions[i] + random.normal(size=(20_000, len(low))) * 1e-3 * (high - low), low, high)
    rows = np.tile(np.concatenate(actions), (40_000, 1))
    rows[:, tables.columns[i]] = np.vstack([wide, near])
    return (tables.rewards_at(rows)[:, i] - tables.rewards_at(np.concatenate(actions)[None])[0, i]).max()


@pytest.mark.parametrize(("name", "parameters"), ENTRIES, ids=str)
def test_listed_joint_actions_are_equilibria(name, parameters):
    game, known = catalog.load(name, **parameters), catalog.equilibria(name, **parameters)
    assert known
    for each in known:
        assert each.note
        certificate = eq.certify(game, each.profile)
        assert certificate.kind == "exact"
        assert certificate.gap <= certificate.numerical_error + 1e-13
        assert certificate.numerical_error <= 1e-10
        np.testing.assert_allclose(certificate.values, each.values, rtol=0, atol=1e-12)
        assert certificate.welfare == pytest.approx(each.values.sum(), abs=1e-11)
        assert max(best_gain(game, each.profile, i) for i in range(game.num_players)) <= 1e-12


def test_moved_peaks_may_leave_no_trap():
    """Near each other, the low peak is left by one agent alone: f2 = 10 - 4 * 2 > 0 with one of three at 3."""
    known = catalog.equilibria("differential", peaks=(1.0, 3.0), agents=3)
    assert [each.values[0, 0] for each in known] == [10.0]
    assert len(catalog.equilibria("differential", peaks=(-3.0, 6.0))) == 2


@pytest.mark.parametrize("number", range(12))
def test_cournot_is_where_best_responses_settle(number):
    """Sequential best responses converge in Cournot's potential game; some firms stay out, some are full."""
    random = np.random.default_rng(number)
    count = int(random.integers(1, 7))
    costs, caps = random.uniform(0, 12, count), random.uniform(0.3, 6, count)
    intercept, slope = random.uniform(5, 12), random.uniform(0.3, 2)
    quantities = np.zeros(count)
    for _ in range(3000):
        for i in range(count):
            others = quantities.sum() - quantities[i]
            quantities[i] = np.clip((intercept - costs[i] - slope * others) / (2 * slope), 0, caps[i])
    np.testing.assert_allclose(nash_quantities(costs, caps, intercept, slope), quantities, rtol=0, atol=1e-9)


def test_cournot_of_the_examples():
    np.testing.assert_allclose(np.ravel(catalog.equilibria("cournot")[0].profile), [11 / 3, 5 / 3], rtol=0, atol=1e-14)
    three = catalog.equilibria("cournot", costs=(1.0, 2.0, 3.0))[0]
    np.testing.assert_allclose(np.ravel(three.profile), [3, 2, 1], rtol=0, atol=1e-14)
    saddle = eq.load("catalog:quadratic_zero_sum").tables().rewards_at(np.array([[0.2, 0.7]]))[0]
    x, y = 0.2, 0.7
    expected = 10 * (-(x**2) + 1.5 * x * y + y**2 + 1.2 * x + 0.35 * y)
    np.testing.assert_allclose(saddle, [expected, -expected], rtol=0, atol=1e-14)


def test_the_quadratic_game_is_general_sum_and_not_symmetric():
    game = eq.load("catalog:quadratic")
    matrix = game.tables().quadratic.matrix[0]
    assert np.abs(matrix.sum(axis=0)).max() > 1
    assert np.abs(matrix[0][:2, 2:] - matrix[1][:2, 2:]).max() > 1
    pulled = np.vstack([2 * matrix[0][:2], 2 * matrix[1][2:]])
    assert np.linalg.eigvalsh(pulled + pulled.T)[-1] < 0  # diagonally strictly concave: one equilibrium


@pytest.mark.parametrize("parameters", [{}, {"costs": (1.0, 2.0, 2.5)}, {"wear": 0.4, "discount": 0.8}], ids=str)
def test_worn_plants_satisfy_bellmans_equation(parameters):
    """What a firm can best do against the others' listed play, by 4001 uses, is worth the listed values."""
    game = catalog.load("cournot_capacity", **parameters)
    (known,) = catalog.equilibria("cournot_capacity", **parameters)
    assert not game.exogenous
    given = game.rules.step.__self__
    discount, number = game.discount[0], game.num_players
    uses = np.linspace(0, 1, 4001)
    for i in range(number):
        for s, capacity in enumerate(given.capacities):
            others = sum(known.profile[j][s, 0] for j in range(number) if j != i)
            price = given.intercept - given.slope * capacity * (others + uses)
            in_order = given.repair - given.wear * (others + uses) / number
            follows = in_order * known.values[i, 0] + (1 - in_order) * known.values[i, 1]
            worth = uses * capacity * (price - given.costs[i]) + discount * follows
            # A grid misses a parabola's top by at most its curvature times half a step, squared.
            missed = given.slope * capacity**2 * (0.5 / 4000) ** 2
            assert -missed - 1e-11 <= worth.max() - known.values[i, s] <= 1e-11
            assert abs(uses[worth.argmax()] - known.profile[i][s, 0]) <= 0.5 / 4000 + 1e-9


def test_the_worn_plant_steps_as_it_says():
    game = eq.load("catalog:cournot_capacity")
    actions = jnp.array([[0.5], [0.25]])
    keys = jax.random.split(jax.random.key(1), 20_000)
    after = jax.vmap(lambda key: game.step(game.reset(jax.random.key(0)), actions, key=key))(keys)
    state = int(np.asarray(game.observe(game.reset(jax.random.key(0)), 0)).argmax())
    capacity = (4.0, 0.5)[state]
    sold = capacity * np.array([0.5, 0.25])
    np.testing.assert_allclose(after.rewards[0], sold * (10 - sold.sum() - np.array([1, 2])), rtol=0, atol=1e-13)
    in_order = np.asarray(after.state.state)[:, 0].mean()
    assert in_order == pytest.approx(0.95 - 0.9 * 0.375, abs=3 / 20_000**0.5)  # six standard deviations


@pytest.mark.parametrize("parameters", [{}, {"intercepts": (4.0, 9.0, 14.0), "costs": (1.0, 2.0, 6.0)}], ids=str)
def test_demand_by_regime(parameters):
    """The listed play is Cournot's in each regime, and worth what 60 discounted steps of the chain bring."""
    game = catalog.load("cournot_demand", **parameters)
    (known,) = catalog.equilibria("cournot_demand", **parameters)
    rules = game.rules.step.__self__
    assert game.exogenous
    number, stay = len(rules.intercepts), rules.stay
    kernel = np.array([[stay if k == m else (1 - stay) / (number - 1) for m in range(number)] for k in range(number)])
    for k, intercept in enumerate(rules.intercepts):
        once = catalog.equilibria("cournot", costs=rules.costs, intercept=intercept)[0]
        np.testing.assert_allclose([each[k, 0] for each in known.profile], np.ravel(once.profile), rtol=0, atol=1e-14)
    profits = np.array(
        [np.ravel(catalog.equilibria("cournot", costs=rules.costs, intercept=a)[0].values) for a in rules.intercepts]
    )
    discount = game.discount[0]
    worth = sum(discount**t * np.linalg.matrix_power(kernel, t) @ profits for t in range(1000))
    np.testing.assert_allclose(known.values, worth.T, rtol=1e-12, atol=0)


def test_demand_moves_as_it_says():
    game = eq.load("catalog:cournot_demand", intercepts=(4.0, 9.0, 14.0))
    keys = jax.random.split(jax.random.key(1), 20_000)
    state = game.reset(jax.random.key(0))
    here = int(state.state)
    after = jax.vmap(lambda key: game.step(state, jnp.array([[1.0], [0.5]]), key=key))(keys)
    intercept = (4.0, 9.0, 14.0)[here]
    np.testing.assert_allclose(after.rewards[0], [intercept - 1.5 - 1, 0.5 * (intercept - 1.5 - 3)], rtol=0, atol=1e-14)
    seen = np.bincount(np.asarray(after.state.state), minlength=3) / 20_000
    expected = np.where(np.arange(3) == here, 0.8, 0.1)
    np.testing.assert_allclose(seen, expected, rtol=0, atol=3 / 20_000**0.5)  # six standard deviations


def test_repeated_dilemma_remembers_the_last_moves():
    game = eq.load("catalog:iterated_prisoners_dilemma")
    for a, b in itertools.product(range(2), repeat=2):
        assert (game.kernel.dense()[:, a, b].argmax(axis=1) == 1 + 2 * a + b).all()
    grim = catalog.equilibria("iterated_prisoners_dilemma")[1]
    assert grim.values[0, 0] == pytest.approx(-1 / (1 - 0.95))
    assert len(catalog.equilibria("iterated_prisoners_dilemma", memory=0)) == 1
    # Impatient players betray: -1 / (1 - g) < 0 - 2 g / (1 - g) for g < 1/2.
    assert len(catalog.equilibria("iterated_prisoners_dilemma", discount=0.4)) == 1

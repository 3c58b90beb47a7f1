"""The interior point method, and the sparse systems that it solves, against closed forms and dense linear algebra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field, exact_flow
from equinfer.games.catalog.mean_field.classics import water_level
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.stencil import Stencil
from equinfer.solvers.mean_field.fronts import Dissection
from equinfer.solvers.mean_field.nodes import nodes_of


def grid_system(rng, side, epochs):
    """A matrix that ties each cell to those two steps away, and to its neighbours' next epoch."""
    x, y = np.indices((side, side)).reshape(2, -1)
    apart = np.abs(x[:, None] - x) + np.abs(y[:, None] - y)
    cells, blocks = side * side, []
    for t in range(epochs):
        for s in range(max(0, t - 1), min(epochs, t + 2)):
            row, column = np.nonzero(apart <= (2 if s == t else 1))
            blocks.append((t * cells + row, s * cells + column))
    rows, columns = map(np.concatenate, zip(*blocks, strict=True))
    values = rng.normal(size=rows.size)
    values[rows == columns] += 30
    features = [np.repeat(np.arange(epochs), cells), np.tile(x, epochs), np.tile(y, epochs)]
    return rows, columns, values, [feature.astype(float) for feature in features]


def test_nested_dissection_solves_what_dense_elimination_solves():
    rng = np.random.default_rng(0)
    rows, columns, values, features = grid_system(rng, 12, 5)
    dissection = Dissection(rows, columns, 720, features)
    dense = np.zeros((720, 720))
    dense[rows, columns] = values
    right = rng.normal(size=720)
    found = dissection.solved(list(dissection.factors(values)), right)
    np.testing.assert_allclose(found, np.linalg.solve(dense, right), rtol=0, atol=1e-13)
    # Cutting is worth it: dense elimination takes 2/3 n^3 operations.
    assert dissection.operations < 2 / 3 * 720**3 / 4


def test_parts_that_hang_together_nowhere():
    """Two blocks of 100 unknowns: what is between them is empty."""
    rng = np.random.default_rng(2)
    place = np.arange(100)
    row, column = (each.ravel() for each in np.meshgrid(place, place))
    rows, columns = np.concatenate([row, row + 100]), np.concatenate([column, column + 100])
    values = rng.normal(size=rows.size) + 20 * (rows == columns)
    dissection = Dissection(rows, columns, 200, [np.repeat([0.0, 1.0], 100)])
    dense, right = np.zeros((200, 200)), rng.normal(size=200)
    dense[rows, columns] = values
    found = dissection.solved(list(dissection.factors(values)), right)
    np.testing.assert_allclose(found, np.linalg.solve(dense, right), rtol=0, atol=1e-13)


def test_singular_systems_are_said_to_be_so():
    dissection = Dissection(np.arange(3), np.arange(3), 3, [np.arange(3.0)])
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        list(dissection.factors(np.array([1.0, 0.0, 2.0])))


def test_a_crowd_that_attracts_itself():
    """Not monotone: with p in place 2, which is worth twice as much, equilibria are p = 0, 1/3 and 1."""
    kernel = np.zeros((3, 2, 3))
    kernel[:, 0, 1] = kernel[:, 1, 2] = 1
    worth = jnp.array([0.0, 1.0, 2.0])
    game = MeanFieldGame(
        lambda t, law: (worth * law.sum(axis=1))[:, None] * jnp.ones((1, 2)), kernel, [1, 0, 0], horizon=2
    )
    solution = eq.solve(game)
    assert solution.certified
    assert np.abs(solution.policy[0, 0, 1] - np.array([0, 1 / 3, 1])).min() < 1e-9


def test_a_long_chain_is_cut_along_time():
    """Where only the clock ties states together, fronts are as small as epochs."""
    rng = np.random.default_rng(1)
    rows, columns, values, features = grid_system(rng, 3, 200)
    dissection = Dissection(rows, columns, 1800, features)
    assert dissection.nbytes < 8 * 1800 * 9 * 60
    right = rng.normal(size=1800)
    found = dissection.solved(list(dissection.factors(values)), right)
    product = np.zeros(1800)
    np.add.at(product, rows, values * found[columns])
    np.testing.assert_allclose(product, right, rtol=0, atol=1e-13)


def test_nodes_are_what_can_be_reached():
    """From one corner, one step a day, without noise."""
    walk = Stencil((4, 4), [(1, 0), (0, 1), (0, 0)])
    start = np.eye(16)[0]
    game = MeanFieldGame(lambda t, law: jnp.zeros((16, 3)), walk, start, horizon=3)
    nodes = nodes_of(game)
    assert np.bincount(nodes.time).tolist() == [1, 3, 6]
    np.testing.assert_array_equal(nodes.chances[nodes.time < 2].sum(axis=2), 1)
    assert nodes.initial.tolist() == [1] + [0] * 9
    ahead = np.append(nodes.state, -1)[nodes.successors[0]]
    assert sorted(ahead[ahead >= 0]) == [0, 1, 4]


@pytest.mark.parametrize(
    ("slopes", "offsets"), [((1.0, 2.0, 4.0), (0.0, 0.25, 0.5)), ((1.0, 1.0, 3.0, 2.0), (0.0, 2.0, 0.1, 0.2))]
)
def test_traffic_flows_as_wardrop_says(slopes, offsets):
    game = eq.load("catalog:mean_field/congestion", slopes=slopes, offsets=offsets)
    solution = eq.solve(game, "mean-field", "interior-point")
    law = np.maximum(water_level(slopes, offsets) - np.array(offsets), 0) / slopes
    np.testing.assert_allclose(solution.policy[0, 0], law, rtol=0, atol=1e-12)
    assert solution.gap < 1e-13


def two_crowds(own, other, horizon=2):
    """Each population chooses between two places, minds its own crowd, and the other's (which may attract it)."""
    kernel = np.zeros((3, 2, 3))
    kernel[:, 0, 1] = kernel[:, 1, 2] = 1

    def minding(p):
        def reward(t, laws):
            mine, theirs = laws[p].sum(axis=1), laws[1 - p].sum(axis=1)
            taste = jnp.array([0.0, 0.2, 0.0]) * (1 - 2 * p)
            return ((taste - own * mine - other[p] * theirs) * jnp.array([0.0, 1, 1]))[:, None] * jnp.ones((1, 2))

        return reward

    return MeanFieldGame([minding(0), minding(1)], [kernel, kernel], [[1, 0, 0]] * 2, horizon=horizon)


@pytest.mark.parametrize("other", [(0.5, -0.5), (0.3, 0.3)])
def test_two_populations_meet_in_one_place(other):
    # With x, y the shares in place 1: 0.2 - x - b y = -(1 - x) - b (1 - y), and -0.2 - y - c x = -(1 - y) - c (1 - x).
    b, c = other
    x, y = np.linalg.solve([[2, 2 * b], [2 * c, 2]], [1.2 + b, 0.8 + c])
    solution = eq.solve(two_crowds(1.0, other), "mean-field", "interior-point")
    np.testing.assert_allclose([each[0, 0, 0] for each in solution.profile], [x, y], rtol=0, atol=1e-12)


def test_discounts_and_illegal_actions():
    """Place 1 cannot be left; place 2 costs .1 more today and .3 more, discounted, tomorrow."""
    kernel = np.zeros((3, 2, 3))
    kernel[0, 0, 1] = kernel[0, 1, 2] = 1
    kernel[1:, :, 1:] = np.eye(2)
    legal = np.array([[True, True], [True, False], [True, True]])

    def reward(t, law):
        mass = law.sum(axis=1)
        dear = jnp.where(t == 1, 0.1, 0.3)
        return jnp.stack([0 * mass[0], -mass[1], -mass[2] - dear])[:, None] * jnp.ones((1, 2))

    game = MeanFieldGame(reward, kernel, [1, 0, 0], horizon=3, discount=0.5, legal=legal)
    solution = eq.solve(game, "mean-field", "interior-point")
    policy = solution.policy
    # Tomorrow place 1 holds .65 and place 2 .35, which cost the same; so must x and 1 - x + .1 today.
    assert policy[0, 0, 0] == pytest.approx(0.55, abs=1e-11)
    assert policy[1, 2, 0] == pytest.approx(0.1 / 0.45, abs=1e-11)
    assert policy[1, 1].tolist() == [1, 0]
    # -(.55 / 2 + .65 / 4) for everybody.
    assert solution.certificate.values[0, 0, 0] == pytest.approx(-0.4375, abs=1e-12)


def test_both_second_order_methods_find_the_one_flow_of_a_monotone_game():
    game = eq.load("catalog:mean_field/beach_bar")
    tables = game.tables()
    flows = [
        exact_flow(tables, eq.solve(game, "mean-field", solver).profile)[0].sum(axis=-1)
        for solver in ("interior-point", "complementarity")
    ]
    np.testing.assert_allclose(flows[0], flows[1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", ["crowd_motion", "four_rooms", "predator_prey"])
def test_grids_reach_machine_precision(name):
    options = {"crowd_motion": {"torus_l": 8, "torus_w": 9}, "four_rooms": {"horizon": 12}, "predator_prey": {}}[name]
    game = eq.load(f"catalog:mean_field/{name}", **options)
    solution = eq.solve(game, "mean-field")
    assert solution.solver == "interior-point"
    assert solution.certified
    again = certify_mean_field(game.tables(), solution.profile)
    assert again.gap + again.numerical_error < 1e-10 * solution.certificate.payoff_scales[0]


def test_time_is_respected():
    """One Newton step on this grid takes a good part of a second."""
    game = eq.load("catalog:mean_field/crowd_motion", T=12)
    solution = eq.solve(game, "mean-field", "interior-point", time=1.0)
    assert solution.status is eq.Status.out_of_time
    assert solution.seconds["solve"] < 4.0
    assert jax.tree.all(jax.tree.map(lambda policy: bool(np.isfinite(policy).all()), solution.profile))


@pytest.mark.parametrize(
    ("crowd", "own"), [(2.0, 0.0), pytest.param(0.0, 1.0, marks=pytest.mark.slow), (2.0, 5.0)], ids=str
)
def test_a_crowd_gets_through_a_door_that_opens_late(crowd, own):
    """It begins in a corner of what is possible: the first steps are short, and that is no end.

    `own`: by what one minds those in the same place who do the same.
    """
    side, epochs = 12, 10
    walls = np.zeros((epochs, side, side), bool)
    walls[:, side // 2] = True
    walls[epochs // 2 :, side // 2, side // 3] = False
    moves, noise = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)], {(0, 0): 0.8, (1, 0): 0.2}
    goal = np.zeros(side**2)
    goal[-4] = 4
    game = MeanFieldGame(
        lambda t, law: goal[:, None] - crowd * law.sum(axis=1, keepdims=True) - own * law,
        Stencil((side, side), moves, noise, walls),
        np.where(np.arange(side**2) < 2 * side, 1 / (2 * side), 0.0),
        epochs,
    )
    found = eq.solve(game, solver="interior-point")
    assert found.certified
    assert found.gap <= 1e-12

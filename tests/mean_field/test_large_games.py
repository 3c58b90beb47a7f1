"""The interior point method beyond congestion: dynamics that depend on the crowd, distant crowds, games at rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.mean_field import exact_flow
from equinfer.concepts import concept
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.stencil import Stencil
from equinfer.solvers.mean_field.coupling import Coupling, MovingChances
from equinfer.solvers.mean_field.nodes import crowding, flat_rewards, flow_at, nodes_at_rest, nodes_of
from equinfer.solvers.mean_field.rest import RestSystem
from equinfer.solvers.mean_field.schur import ValueSystem

MOVES = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)])


def pushed_about(side, horizon=None, discount=None, noise=0.5):
    """A crowd on a torus that likes one cell and not each other: the more are in a cell, the likelier one is pushed out
    of the way that one goes.
    """
    cells = np.array(list(np.ndindex(side, side)))
    there = (cells[:, None] + MOVES)[:, :, None] + MOVES  # (S, A, 5, 2): last comes where one wanted to go
    successors = there[..., 0] % side * side + there[..., 1] % side
    near = 10 - 10 * np.abs(cells - side // 2).sum(axis=1) / side
    effort = 0.1 * np.abs(MOVES).sum(axis=1)[None]

    def kernel(t, law):
        density = law.sum(axis=1) * side**2
        pushed = noise * density / (1 + density)
        chances = jnp.stack([*[pushed / 4] * 4, 1 - pushed], axis=-1)
        return eq.SparseKernel(jnp.asarray(successors), jnp.broadcast_to(chances[:, None], successors.shape))

    def reward(t, law):
        return (jnp.asarray(near) - jnp.log(law.sum(axis=1) + 1e-10))[:, None] - jnp.asarray(effort)

    start = np.full(side**2, 1 / side**2)
    return MeanFieldGame(
        reward,
        kernel,
        start,
        horizon,
        discount,
        grid=(side, side),
        action_labels=["down", "up", "right", "left", "stay"],
    )


def at_rest(side, discount=0.9):
    """A crowd on a torus that likes one cell and not each other, for ever."""
    cells = np.array(list(np.ndindex(side, side)))
    near = 10 - 10 * np.abs(cells - side // 2).sum(axis=1) / side
    effort = 0.1 * np.abs(MOVES).sum(axis=1)[None]

    def reward(t, law):
        return (jnp.asarray(near) - jnp.log(law.sum(axis=1) + 1e-10))[:, None] - jnp.asarray(effort)

    steps = Stencil((side, side), MOVES, [0.05] * 4 + [0.8], boundary="torus")
    return MeanFieldGame(reward, steps, np.eye(side**2)[0], discount=discount)


def distant(discount=None):
    """Rewards by what is done elsewhere, dynamics by the law of actions: nothing is as the preconditioner has it."""
    draws = np.random.default_rng(3)
    base, far = draws.normal(size=(4, 3)), 0.3 * draws.normal(size=(4, 3, 4, 3))
    first, pulled = draws.normal(size=(4, 3, 4)), draws.normal(size=(4, 3, 4, 4, 3))
    return MeanFieldGame(
        lambda t, law: jnp.asarray(base) - jnp.tensordot(jnp.asarray(far), law, 2),
        lambda t, law: jax.nn.softmax(jnp.asarray(first) + jnp.tensordot(jnp.asarray(pulled), law, 2), axis=-1),
        [0.1, 0.2, 0.3, 0.4],
        horizon=None if discount else 3,
        discount=discount,
        action_labels="abc",
    )


@pytest.mark.parametrize(
    "make",
    [
        distant,
        pytest.param(lambda: distant(discount=0.8), marks=pytest.mark.slow),
        lambda: pushed_about(3, horizon=3),
        pytest.param(lambda: pushed_about(3, discount=0.8), marks=pytest.mark.slow),
        lambda: at_rest(3),
        pytest.param(
            lambda: eq.load("catalog:mean_field/crowd_avoidance", horizon=3, coef_congestion=1.0),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_step_is_newtons(make):
    """Along it, what equations are off shrinks by as much as is gone, to first order; and products change as told."""
    game = make()
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        nodes = nodes_of(game) if game.horizon else nodes_at_rest(game)
        pattern = ValueSystem(game, nodes) if game.horizon else RestSystem(game, nodes)
        moving = None if game.has_fixed_dynamics else MovingChances(game, nodes)

        def off(masses, values, slacks):
            system = pattern if moving is None else pattern.with_chances(moving(flow_at(game, nodes, masses)))
            rewards = flat_rewards(game, nodes, masses)
            dual = slacks - (values[:, None] - rewards - system.expected(values))
            return system, np.where(nodes.legal, dual, 0.0), system.missing(masses)

        legal = nodes.legal
        masses = np.where(legal, rng.uniform(0.1, 1, legal.shape), 0.0) / nodes.size
        slacks, values = np.where(legal, rng.uniform(0.5, 2, legal.shape), 1.0), rng.normal(size=nodes.size)
        system, dual, missing = off(masses, values, slacks)
        crowds = crowding(game, nodes, masses)
        work = system.linearised(masses, slacks, crowds)
        while True:
            try:
                next(work)
            except StopIteration as end:
                at = end.value
                break
        right = np.where(legal, rng.normal(size=legal.shape), 0.0) / nodes.size
        coupling = Coupling.at(game, nodes, masses, values, crowds, system.mates)
        move = coupling.move(system, at, right, dual, missing, 1.0)
        part = 1e-6
        _, dual_then, missing_then = off(*(x + part * dx for x, dx in zip((masses, values, slacks), move, strict=True)))
    size = max(1.0, np.abs(move.values).max(), np.abs(move.masses).max())
    np.testing.assert_allclose((dual_then - dual) / part, -dual, rtol=0, atol=1e-4 * size)
    np.testing.assert_allclose((missing_then - missing) / part, -missing, rtol=0, atol=1e-4 * size)
    products = np.where(legal, slacks * move.masses + masses * move.slacks, 0.0)
    np.testing.assert_allclose(products, right, rtol=0, atol=1e-9)


def test_cyclic_prizes_of_other_places():
    """Not monotone, and each place minds the crowd in another one."""
    solution = eq.solve("catalog:mean_field/rock_paper_scissors", solver="interior-point")
    np.testing.assert_allclose(solution.policy[0, 0], np.array([26, 20, 31]) / 77, rtol=0, atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"horizon": 3}, {"discount": 0.8}])
def test_where_a_crowd_pushes_about_both_second_order_methods_end_at_one_flow(options):
    game = pushed_about(3, **options)
    solutions = [eq.solve(game, solver=solver) for solver in ("interior-point", "complementarity")]
    assert all(solution.gap < 1e-9 for solution in solutions)
    flows = [exact_flow(game.tables(), solution.profile)[0].sum(axis=-1) for solution in solutions]
    np.testing.assert_allclose(flows[0], flows[1], rtol=0, atol=1e-8)
    # The torus looks the same by rows and by columns, and so does the crowd.
    grid = flows[0].reshape(-1, 3, 3)
    np.testing.assert_allclose(grid, grid.swapaxes(1, 2), rtol=0, atol=1e-8)


def test_a_crowd_at_rest_is_as_symmetric_as_its_grid():
    solution = eq.solve(at_rest(5), solver="interior-point")
    assert solution.certified
    mass = solution.flow.sum(axis=-1).reshape(5, 5)
    np.testing.assert_allclose(mass, mass.T, rtol=0, atol=1e-9)
    np.testing.assert_allclose(mass, mass[::-1, ::-1], rtol=0, atol=1e-9)
    assert mass[2, 2] == mass.max()


def test_large_games_begin_with_the_interior_point_method():
    row = concept("mean-field")
    assert row.solvers(pushed_about(20, horizon=10).tables()) == ("interior-point", "temperature-grid")
    assert row.solvers(at_rest(20).tables()) == ("interior-point", "bayesian-q")
    assert row.solvers(at_rest(60).tables()) == ("bayesian-q",)


def test_populations_that_end_by_chance_are_said_to():
    """Two rooms without a door, and a hall between them."""
    rooms = np.zeros((3, 1, 3))
    rooms[0, 0] = 0, 0.5, 0.5
    rooms[1:, 0, 1:] = np.eye(2)
    game = MeanFieldGame(lambda t, law: -law, rooms, [1, 0, 0], discount=0.5)
    assert nodes_at_rest(game) is None
    solution = eq.solve(game, solver="interior-point")
    assert solution.gap == 0  # there is nothing to choose
    two = MeanFieldGame(
        lambda t, law: -law * jnp.array([[1.0, 2.0]]), np.repeat(rooms, 2, axis=1), [1, 0, 0], discount=0.5
    )
    assert "depends on chance" in repr(eq.solve(two, solver="interior-point"))


@pytest.mark.slow
def test_a_large_crowd_at_rest_reaches_machine_precision():
    solution = eq.solve(at_rest(20))
    assert solution.certified
    assert solution.solver == "interior-point"
    assert solution.gap < 1e-8
    mass = solution.flow.sum(axis=-1).reshape(20, 20)
    np.testing.assert_allclose(mass, mass.T, rtol=0, atol=1e-9)


@pytest.mark.slow
def test_a_large_crowd_that_pushes_about_reaches_machine_precision():
    solution = eq.solve(pushed_about(14, horizon=6))
    assert solution.certified
    assert solution.solver == "interior-point"
    assert solution.gap < 1e-10

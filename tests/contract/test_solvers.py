"""What every solver of pure steps promises: the same tree out, one trace, true policies, jit and vmap at no price."""

from importlib.util import find_spec

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equinfer.concepts import CONCEPTS, concept, table_one
from equinfer.drivers.protocol import AbstractSolver
from equinfer.errors import BadInput, UnknownName
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.tabular import TabularGame
from equinfer.opponents import OPPONENTS
from equinfer.policies import POLICIES
from equinfer.solvers import SOLVERS, solver_class

NAMES = [
    name
    for name, home in SOLVERS.items()
    if find_spec(home.partition(":")[0]) and issubclass(solver_class(name), AbstractSolver)
]
KEY = jax.random.key(0)


def game(horizon=None):
    """Two states, 2 and 3 actions of which some are illegal, unequal discounts."""
    rng = np.random.default_rng(1)
    legal = (np.array([[True, True], [True, False]]), np.array([[True, True, True], [False, True, True]]))
    kernel = rng.dirichlet(np.ones(2), (2, 2, 3))
    drawn = TabularGame(rng.random((2, 2, 2, 3)), kernel, discount=[0.9, 0.5], horizon=horizon, legal=legal)
    return jax.tree.map(jnp.asarray, drawn.unlabelled())


def crowded():
    """Three places to go to, one of which is out of reach at first; all of them worse the more are there."""
    legal = np.array([[True, True, False], [True, True, True], [True, True, True]])
    moves = np.broadcast_to(np.eye(3), (3, 3, 3))
    drawn = MeanFieldGame(lambda t, law: -law.sum(axis=1)[:, None] - law, moves, [0.5, 0.5, 0], horizon=3, legal=legal)
    return jax.tree.map(jnp.asarray, drawn.unlabelled())


GAMES = {"discounted": game(), "finite horizon": game(horizon=3), "mean field": crowded()}
TABULAR = [name for name in NAMES if solver_class(name).games == "tables"]


def played_by(name):
    """A game that the solver takes."""
    return next(each for each in GAMES.values() if each.kind == solver_class(name).games)


def at_temperature(solver, temperature):
    """Those that know no temperature, such as fictitious play, as they are."""
    if not hasattr(solver, "temperature"):
        return solver
    return eqx.tree_at(lambda s: s.temperature, solver, jnp.asarray(temperature))


CASES = [(name, kind) for name in NAMES for kind, each in GAMES.items() if each.kind == solver_class(name).games]


@pytest.fixture(scope="module", params=CASES, ids=" ".join)
def case(request):
    name, kind = request.param
    solver, played = solver_class(name)(), GAMES[kind]
    traces = []

    @jax.jit
    def step(temperature, state, key):
        traces.append(1)
        return at_temperature(solver, temperature).step(played, state, key=key)

    return solver, played, jax.jit(lambda: solver.init(played, key=KEY))(), step, traces


def test_a_step_returns_the_same_tree_shapes_and_types(case):
    solver, played, state, _, _ = case
    after, info = jax.eval_shape(lambda s: solver.step(played, s, key=KEY), state)
    before = jax.eval_shape(lambda s: s, state)
    assert jax.tree.structure(before) == jax.tree.structure(after)
    assert [(a.shape, a.dtype) for a in jax.tree.leaves(before)] == [(a.shape, a.dtype) for a in jax.tree.leaves(after)]
    assert all(leaf.shape == () for leaf in jax.tree.leaves(info))
    assert info["converged"].dtype == bool


def test_every_temperature_and_every_step_share_one_trace(case):
    _, _, state, step, traces = case
    for k, temperature in enumerate((0.1, 1.0, 10.0)):
        state, _ = step(jnp.asarray(temperature), state, jax.random.key(k))
    assert len(traces) == 1


def test_policies_are_probabilities_on_legal_actions(case):
    solver, played, state, step, _ = case
    for k in range(5):
        state, _ = step(jnp.asarray(0.2), state, jax.random.key(k))
    profile = solver.profile(played, state)
    for policy, legal in zip(profile, played.legal, strict=True):
        assert policy.shape == (*([] if played.horizon is None else [played.horizon]), *legal.shape)
        np.testing.assert_allclose(policy.sum(axis=-1), 1.0, rtol=0, atol=4e-16)
        assert (policy >= 0).all()
        assert (np.asarray(policy)[np.broadcast_to(~legal, policy.shape)] == 0).all()


def assert_close(first, second):
    # Another order of operations rounds differently: equal to 1e-12 where numbers are of order one.
    for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True):
        np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_jit_and_vmap_change_nothing(name):
    solver, played = solver_class(name)(), played_by(name)
    temperatures, keys = jnp.array([0.1, 0.5, 2.0]), jax.random.split(KEY, 3)
    state = jax.jit(lambda: solver.init(played, key=KEY))()

    def step(temperature, key):
        return at_temperature(solver, temperature).step(played, state, key=key)

    alone = [jax.jit(step)(*each) for each in zip(temperatures, keys, strict=True)]
    together = jax.jit(jax.vmap(step))(temperatures, keys)
    for k, each in enumerate(alone):
        assert_close(each, jax.tree.map(lambda leaf, k=k: leaf[k], together))
    assert_close(alone[0], step(temperatures[0], keys[0]))


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("opponent", OPPONENTS)
@pytest.mark.parametrize("name", TABULAR)
def test_the_columns_of_table_1_are_swapped_by_name(name, opponent, policy):
    row = concept("nash", opponent=opponent, policy=policy)
    if name == "kernel" and not row.plans_as_executed:
        with pytest.raises(BadInput, match="exact opponents and marginal policies"):
            solver_class(name)(concept=row)
        return
    solver, played = solver_class(name)(concept=row), GAMES["discounted"]

    def after_one(state):
        state, info = solver.step(played, state, key=KEY)
        return state, info, solver.profile(played, state)

    state = jax.eval_shape(lambda: solver.init(played, key=KEY))
    after, _, profile = jax.eval_shape(after_one, state)
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert [policy.shape for policy in profile] == [(2, 2), (2, 3)]


def test_unknown_columns_and_concepts_are_named():
    assert {row.concept for row in table_one()} == set(CONCEPTS)
    with pytest.raises(
        UnknownName, match=r"unknown opponent 'orcle'; did you mean 'oracle'\? known: oracle, empirical"
    ):
        concept("nash", opponent="orcle")
    with pytest.raises(UnknownName, match="unknown policy"):
        concept("nash", policy="joint")
    with pytest.raises(UnknownName, match="unknown concept"):
        concept("nosh")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("field", "value"), [("temperature", 0.0), ("step_size", 1.5), ("play", "first")])
def test_senseless_fields_are_refused(name, field, value):
    kind = solver_class(name)
    if not hasattr(kind(), field):
        return
    with pytest.raises(BadInput, match=field):
        kind(**{field: value})

"""The compiled arithmetic of the path against slow readable twins, and its sparse form against its dense one."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import coo_array, csc_array, eye_array

from equinfer.contraction import expected_own
from equinfer.games.kernels import DenseKernel
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular import factors as factors_module
from equinfer.solvers.tabular.factors import DenseFactors, SingularSystemError, SparseFactors, elimination_order
from equinfer.solvers.tabular.homotopy import flat_magnet, log_of
from equinfer.solvers.tabular.next_values import DenseNextValues, SparseNextValues, next_values
from equinfer.solvers.tabular.qre import QRESystem
from equinfer.solvers.tabular.scaled import ScaledGame
from equinfer.solvers.tabular.soft_play import average_tables, fisher_dual, fisher_squares, gibbs


def ring_game(num_states, num_actions, seed):
    """Every state leads to itself and to its two neighbours, with random probabilities."""
    rng = np.random.default_rng(seed)
    shape = (num_states, *num_actions)
    kernel = np.zeros((*shape, num_states))
    for s in range(num_states):
        kernel[s][..., [s, (s + 1) % num_states, s - 1]] = rng.dirichlet(np.ones(3), size=num_actions)
    return TabularGame(rng.random((len(num_actions), *shape)), kernel, discount=0.9)


@pytest.fixture(scope="module")
def both():
    """The system of one game with few successors, as it is stored and densely; a point off the branch and a border."""
    rng = np.random.default_rng(1)
    ring = ring_game(40, (2, 3), 0)
    game = ScaledGame.of(ring)
    sparse, dense = (QRESystem(game, log_of(np.full(game.legal.shape, 0.4), game)) for _ in range(2))
    assert isinstance(ring.kernel, DenseKernel)
    rows = np.asarray(ring.kernel.probabilities).reshape(-1, 40)
    dense.__dict__["after"] = DenseNextValues(40, rows)
    assert isinstance(sparse.after, SparseNextValues)
    point = sparse.join(rng.normal(size=game.legal.shape), rng.normal(size=(40, 2)), 1.3)
    return sparse, dense, point, rng.normal(size=point.size)


def test_sparse_expectations_and_chains_are_the_dense_ones(both):
    sparse, dense, *_ = both
    rng = np.random.default_rng(2)
    value, laws = rng.normal(size=(3, 40)), rng.normal(size=(40, 4, 6))
    rows = dense.after.probabilities
    for after in (sparse.after, dense.after):
        np.testing.assert_allclose(after.expect(value), value @ rows.T, atol=1e-14)
    chains = np.zeros((40, 4, 40))
    origin, successor = sparse.after.pattern
    chains[origin, :, successor] = sparse.after.chains(laws).T
    np.testing.assert_allclose(dense.after.chains(laws), np.einsum("ska,sat->skt", laws, rows.reshape(40, 6, 40)))
    np.testing.assert_allclose(chains, dense.after.chains(laws), atol=1e-14)


def test_sparse_and_dense_systems_have_one_solution_and_one_sign(both):
    sparse, dense, point, border = both
    found = []
    for system in (sparse, dense):
        here = system.evaluate(point)
        factored = system.linearise(here, point, border)
        change = system.solve(factored, here.response_error, here.value_error, 0.2)
        found.append((factored, change.step, change.tables, system.tangent(factored).step))
    assert isinstance(found[0][0].factors, SparseFactors)
    assert isinstance(found[1][0].factors, DenseFactors)
    assert found[0][0].sign == found[1][0].sign
    for one, other in zip(found[0][1:], found[1][1:], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-10)


def test_tables_of_a_change_are_those_of_its_values(both):
    sparse, _, point, border = both
    here = sparse.evaluate(point)
    change = sparse.solve(sparse.linearise(here, point, border), here.response_error, here.value_error, 0.0)
    moved = sparse.evaluate(point + change.step)
    np.testing.assert_allclose(here.tables + change.tables, moved.tables, atol=1e-11)


@pytest.mark.parametrize("seed", range(6))
def test_signs_of_factors_are_those_of_the_determinant(seed):
    matrix = np.random.default_rng(seed).normal(size=(7, 7))
    expected = np.linalg.slogdet(matrix)[0]
    right = np.arange(7.0)
    order = np.random.default_rng(seed).permutation(7)
    sparse = csc_array(matrix)
    for factors in (SparseFactors(sparse), SparseFactors(sparse, order), DenseFactors(matrix.copy())):
        assert factors.sign == expected
        np.testing.assert_allclose(matrix @ factors.solve(right), right, atol=1e-11)
        np.testing.assert_allclose(matrix.T @ factors.solve(right, transposed=True), right, atol=1e-11)


@pytest.mark.parametrize("where", ["a path", "anywhere"])
def test_little_fills_up_in_the_order_of_elimination(where, monkeypatch):
    """A path whose states were shuffled fills nothing; where successors are anywhere, any order is a permutation."""
    size, rng = 300, np.random.default_rng(0)
    monkeypatch.setattr(factors_module, "_LARGE", 100)
    shuffled = rng.permutation(size)
    one = shuffled[:-1] if where == "a path" else rng.integers(0, size, 900)
    other = shuffled[1:] if where == "a path" else rng.integers(0, size, 900)
    links = coo_array((np.ones(one.size), (one, other)), shape=(size, size)).tocsc()
    order = elimination_order(links)
    assert sorted(order) == list(range(size))
    if where == "a path":
        matrix = (eye_array(size) * 3.0 - links - links.T).tocsc()
        filled = SparseFactors(matrix, order)._factors
        assert filled.L.nnz + filled.U.nnz == matrix.nnz + size


def test_singular_matrices_are_refused():
    matrix = np.diag([1.0, 0.0, 2.0])
    with pytest.raises(SingularSystemError):
        DenseFactors(matrix.copy())
    with pytest.raises(SingularSystemError):
        SparseFactors(csc_array(matrix))


@pytest.mark.parametrize("sizes", [(3,), (2, 4), (3, 2, 2)])
def test_compiled_averages_and_softmax(sizes):
    rng = np.random.default_rng(0)
    ends = np.cumsum((0, *sizes))
    legal = np.ones((5, ends[-1]), bool)
    legal[2, 0] = False
    logits = 50 * rng.normal(size=legal.shape)
    policy, log_total = gibbs(logits, legal, ends)
    profile = tuple(policy[:, a:b] for a, b in pairwise(ends))
    weights = np.where(legal, np.exp(logits), 0.0)
    totals = np.add.reduceat(weights, ends[:-1], axis=1)
    np.testing.assert_allclose(log_total, np.log(totals), rtol=1e-13)
    np.testing.assert_allclose(policy, weights / np.repeat(totals, sizes, axis=1), rtol=1e-12)
    tables = rng.random((len(sizes), 5, *sizes))
    own = [expected_own(tables[i], profile, i) for i in range(len(sizes))]
    np.testing.assert_allclose(average_tables(policy, tables.reshape(len(sizes), -1), ends), np.hstack(own), rtol=1e-13)


def test_fisher_metric_ignores_constants_and_measures_log_changes():
    rng = np.random.default_rng(3)
    policy = rng.dirichlet(np.ones(4), size=3)
    step, ends = rng.normal(size=(3, 4)), np.array([0, 4])
    variance = (policy * step**2).sum(axis=1) - (policy * step).sum(axis=1) ** 2
    np.testing.assert_allclose((fisher_dual(step, policy, ends) * step).sum(axis=1), variance, rtol=1e-12)
    np.testing.assert_allclose(fisher_squares(step, policy, ends)[:, 0], variance, rtol=1e-12)
    np.testing.assert_allclose(fisher_dual(step + 7.0, policy, ends), fisher_dual(step, policy, ends), atol=1e-14)


def test_games_without_a_future_ask_no_transitions():
    game = ScaledGame.of(TabularGame.from_payoffs(np.random.default_rng(0).random((2, 3, 3))))
    assert not next_values(game).expect(np.ones((2, 1))).any()
    assert flat_magnet(TabularGame.from_payoffs(np.zeros((2, 3, 3))), None).shape == (1, 6)

"""Solvers on kernels by lists: the same iterates as on the table, and games whose table would not fit."""

import equinox as eqx
import numpy as np
import pytest

import equinfer as eq
from equinfer.games.kernels import DenseKernel, SparseKernel
from equinfer.solvers.tabular import bordered
from equinfer.solvers.tabular.evaluation import evaluate
from equinfer.solvers.tabular.homotopy import log_of
from equinfer.solvers.tabular.induced_game import exact_value, induced_game
from equinfer.solvers.tabular.parameters import sensitivity
from equinfer.solvers.tabular.polish import exact_values, polish
from equinfer.solvers.tabular.qre import QRESystem, pure_rate
from equinfer.solvers.tabular.scaled import ScaledGame


def two_forms(seed, num_states=6, num_actions=(2, 3), length=3, discount=0.9, legal=None, horizon=None):
    """One random game, its kernel as lists and as a table."""
    rng = np.random.default_rng(seed)
    shape = (num_states, *num_actions)
    kernel = SparseKernel(rng.integers(num_states, size=(*shape, length)), rng.dirichlet(np.ones(length), size=shape))
    reward = rng.normal(size=(len(num_actions), *shape))
    sparse = eq.TabularGame(reward, kernel, discount=discount, legal=legal, horizon=horizon)
    dense = eq.TabularGame(reward, sparse.kernel.dense(), discount=discount, legal=legal, horizon=horizon)
    assert isinstance(sparse.kernel, SparseKernel)
    assert isinstance(dense.kernel, DenseKernel)
    profile = tuple(rng.dirichlet(np.ones(size), size=num_states) for size in num_actions)
    return sparse, dense, profile


LEGAL = (np.ones((6, 2), bool), np.arange(3) < np.array([1, 2, 3, 3, 2, 3])[:, None])


@pytest.mark.parametrize("discount", [0.9, [0.9, 0.5]])
def test_exact_values_and_induced_games_agree(discount):
    sparse, dense, profile = two_forms(0, discount=discount)
    np.testing.assert_allclose(exact_value(sparse, profile), exact_value(dense, profile), rtol=0, atol=1e-13)
    states = np.array([1, 4])
    small, other = (induced_game(game, profile, states) for game in (sparse, dense))
    np.testing.assert_allclose(small.reward, other.reward, rtol=0, atol=1e-13)
    np.testing.assert_allclose(small.kernel.dense(), other.kernel.dense(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("worst_condition", [bordered.WORST_CONDITION, 1.5])
@pytest.mark.parametrize(("discount", "legal"), [(0.9, None), ([0.9, 0.5], LEGAL)])
def test_the_path_solves_the_same_linear_systems(discount, legal, worst_condition, monkeypatch):
    """The bordered systems at a point off the path, with determinants of one sign, all unknowns compared; also where
    some states are not eliminated, which must change nothing.
    """
    whole = _systems(discount, legal)
    monkeypatch.setattr(bordered, "WORST_CONDITION", worst_condition)
    kept = _systems(discount, legal)
    assert (len(kept[0][0].kept) > 0) == (worst_condition == 1.5)
    for factored, *changes in (*kept, whole[1]):
        assert factored.sign == whole[0][0].sign
        for change, expected in zip(changes, whole[0][1:], strict=True):
            np.testing.assert_allclose(change.step, expected.step, rtol=0, atol=1e-11)
            np.testing.assert_allclose(change.tables, expected.tables, rtol=0, atol=1e-11)


def _systems(discount, legal):
    """Of the two forms of a game: the factors, a Newton step, and the tangent."""
    forms = []
    for game in two_forms(1, discount=discount, legal=legal)[:2]:
        scaled = ScaledGame.of(game)
        system = QRESystem(scaled, log_of(np.concatenate(game.uniform_profile(), axis=1), scaled))
        rng = np.random.default_rng(2)
        point = system.start() + 0.1 * rng.normal(size=sum(system.sizes) + 1)
        point[-1] = 1.5
        here = system.evaluate(point)
        border = pure_rate(point) + 0.1 * rng.normal(size=point.size)
        factored = system.linearise(here, point, border)
        step = system.solve(factored, here.response_error, here.value_error, 0.3)
        forms.append((factored, step, system.tangent(factored)))
    return forms


@pytest.mark.parametrize("seed", range(4))
def test_the_polish_lands_on_the_same_equilibrium(seed):
    landed = []
    for game in two_forms(seed, discount=[0.9, 0.8])[:2]:
        scaled = ScaledGame.of(game)
        start = np.concatenate(game.uniform_profile(), axis=1)
        landed.append((exact_values(scaled, start), polish(scaled, start, start > 0)))
    (values, found), (other_values, other) = landed
    np.testing.assert_allclose(values.action_values, other_values.action_values, rtol=0, atol=1e-12)
    assert (found is None) == (other is None)
    if found is not None:
        np.testing.assert_allclose(found.policy, other.policy, rtol=0, atol=1e-9)
        assert found.index == other.index


@pytest.mark.parametrize(("solver", "horizon"), [("stage-nash", None), ("stage-nash", 3), ("homotopy", None)])
def test_host_solvers_find_the_same_equilibrium(solver, horizon):
    sparse, dense, _ = two_forms(3, horizon=horizon)
    found, expected = (eq.solve(game, solver=solver) for game in (sparse, dense))
    assert found.certified
    assert expected.certified
    for policy, other in zip(found.profile, expected.profile, strict=True):
        np.testing.assert_allclose(policy, other, rtol=0, atol=1e-8)


@pytest.mark.parametrize(("num_laws", "horizon"), [(1, None), (2, None), (2, 3)])
def test_soft_evaluations_agree(num_laws, horizon):
    """Of one law that all plan on, and of one each; the traced sparse solve keeps all its digits."""
    forms = two_forms(6, horizon=horizon, discount=[0.9, 0.8])
    rng = np.random.default_rng(0)
    rows = 6 * (horizon or 1)
    laws = rng.dirichlet(np.ones(6), size=(num_laws, rows)).reshape(num_laws, rows, 2, 3)
    bonus = rng.random((2, rows))
    found, expected = (eqx.filter_jit(evaluate)(game.unlabelled(), laws, bonus) for game in forms[:2])
    np.testing.assert_allclose(found.q, expected.q, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.bonus_to_go, expected.bonus_to_go, rtol=0, atol=1e-12)


def test_vpg_makes_the_same_sweeps():
    options = {"steps": 20, "temperature": 0.5, "seeds": 2, "start": "random"}
    found, expected = (eq.solve(game, solver="vpg", **options) for game in two_forms(6)[:2])
    for policy, other in zip(found.profile, expected.profile, strict=True):
        np.testing.assert_allclose(policy, other, rtol=0, atol=1e-10)
    assert found.gap == pytest.approx(expected.gap, abs=1e-10)


def test_sampled_vpg_plays_a_sparse_game():
    sparse, _, _ = two_forms(7)
    found = eq.solve(sparse, solver="vpg-sampled", steps=2000, seeds=1, temperature=0.3)
    uniform = eq.certify(sparse, sparse.uniform_profile())
    assert found.gap < 0.7 * uniform.gap


def test_a_ladder_of_ten_thousand_states_is_certified():
    """Two firms, 100 levels: the table would have 9 * 10^8 entries. Symmetric firms, so values may be exchanged."""
    game = eq.load("catalog:quality_ladder", levels=100)
    assert game.num_states == 10_000
    assert isinstance(game.kernel, SparseKernel)
    solution = eq.solve(game, solver="stage-nash")
    assert solution.certified
    assert solution.gap + solution.certificate.numerical_error < 1e-8


def test_a_sparse_game_and_its_answer_survive_files(tmp_path):
    game = eq.load("catalog:quality_ladder", levels=23)
    for suffix in (".npz", ".csv"):
        eq.save(game, tmp_path / f"ladder{suffix}")
        again = eq.load(tmp_path / f"ladder{suffix}")
        assert again.state_labels == game.state_labels
        np.testing.assert_array_equal(again.reward, game.reward)
        for array, other in zip(again.tables().kernel, game.tables().kernel, strict=True):
            np.testing.assert_array_equal(array, other)
    solution = eq.solve(game, solver="stage-nash")
    solution.save(tmp_path / "solution.npz")
    loaded = eq.load_solution(tmp_path / "solution.npz")
    for array, other in zip(loaded.tables.kernel, game.tables().kernel, strict=True):
        np.testing.assert_array_equal(array, other)
    assert eq.certify(game, loaded).gap == solution.gap


def test_a_sparse_game_is_differentiated_without_a_table():
    # 10,000 states: the table would take 29 GB.
    game = eq.load("catalog:quality_ladder", levels=100)
    solution = eq.solve(game)
    map_ = sensitivity(game, solution.profile, "kernel")
    weights = np.zeros_like(solution.values)
    weights[0, 0] = 1.0
    gradient = map_.vjp(values=weights)
    kernel = game.tables().kernel
    changes = kernel.probabilities * np.cos(np.arange(kernel.probabilities.size)).reshape(kernel.probabilities.shape)
    changes -= kernel.probabilities * changes.sum(axis=-1, keepdims=True)
    found = map_.jvp(eq.SparseKernel(kernel.successors, changes)).values[0, 0]
    assert np.sum(gradient.probabilities * changes) == pytest.approx(found, rel=1e-9)

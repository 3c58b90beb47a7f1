"""Zero-sum games to rounding: closed forms, linear programmes, value iteration, and the game on which jumps cycle."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_zero_sum import jumps, matrix_solution, shapley

import equinfer as eq
from benchmarks.zero_sum import nasty_game
from equinfer.certificates import certify_nash
from equinfer.errors import BadInput
from equinfer.games.kernels import SparseKernel
from equinfer.solvers.zero_sum.matrix_game import MatrixGame
from equinfer.solvers.zero_sum.matrix_games import solve_matrix_games

PENNIES = np.array([[1.0, -1.0], [-1.0, 1.0]])


def solve(game, **options):
    solution = eq.solve(game, "zero-sum", "matrix-game", **options)
    assert solution.certified
    assert solution.gap <= 1e-10 * solution.payoff_scale
    return solution


def zero_sum(reward, kernel, constant=0.0, **options):
    return eq.TabularGame(np.stack([reward, constant - reward]), kernel, **options)


def matrix(payoff, constant=0.0):
    return eq.TabularGame.from_payoffs(np.stack([payoff, constant - payoff]))


def random_parts(seed, states=4, actions=(3, 2)):
    rng = np.random.default_rng(seed)
    kernel = rng.exponential(size=(states, *actions, states))
    return rng.normal(size=(states, *actions)), kernel / kernel.sum(axis=-1, keepdims=True)


def van_der_wal():
    """State 0 goes on to itself, but only with probability 1/3 under (0, 1); state 1 is absorbing and pays nothing."""
    reward = np.array([[[3.0, 6.0], [2.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    kernel = np.zeros((2, 2, 2, 2))
    kernel[0, ..., 0], kernel[1, ..., 1] = 1.0, 1.0
    kernel[0, 0, 1] = [1 / 3, 2 / 3]
    return reward, kernel, 0.75


def many(table):
    """Mixtures and guarantees of the games of `table` (S, A, B)."""
    num, rows, columns = table.shape
    first, second, (upper, lower) = np.zeros((num, rows)), np.zeros((num, columns)), np.zeros((2, num))
    orders = (np.tile(np.arange(size), (num, 1)) for size in (rows, columns))
    counts = (np.full(num, size) for size in (rows, columns))
    solve_matrix_games(np.ascontiguousarray(table), *orders, *counts, 0, num, first, second, upper, lower)
    return first, second, upper, lower


# One-shot games


def test_rock_paper_scissors():
    solution = solve(eq.load("catalog:rock_paper_scissors"))
    for policy in solution.profile:
        np.testing.assert_allclose(policy, np.full((1, 3), 1 / 3), rtol=0, atol=1e-15)
    assert abs(solution.value[0]) <= 1e-15


@pytest.mark.parametrize("size", [0.1, 1.0, 3.0, 1e5])
def test_biased_matching_pennies(size):
    # Rows (M, -1) and (-1, 1): both play the first action with p such that p M - (1 - p) = (1 - p) - p.
    solution = solve(matrix(np.array([[size, -1.0], [-1.0, 1.0]])))
    share = 2 / (size + 3)
    for policy in solution.profile:
        np.testing.assert_allclose(policy, [[share, 1 - share]], rtol=1e-10)
    np.testing.assert_allclose(solution.value, [1 - 2 * share], rtol=0, atol=1e-11 * (size + 1))


def test_a_constant_sum_goes_to_the_players_by_the_value():
    # Of a pie of 10, the row player gets 6 or 4 in pennies: half each.
    solution = solve(matrix(5 + PENNIES, constant=10.0))
    np.testing.assert_allclose(solution.values, [[5.0], [5.0]], rtol=1e-14)
    np.testing.assert_allclose(solution.value, [5.0], rtol=1e-14)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 3), (4, 7), (9, 2), (12, 12)])
def test_values_of_random_games_are_those_of_linear_programmes(shape):
    table = np.random.default_rng(sum(shape)).normal(size=(20, *shape))
    first, second, upper, lower = many(table)
    for policies in (first, second):
        assert (policies >= 0).all()
        np.testing.assert_allclose(policies.sum(axis=1), 1.0, rtol=1e-15)
    values = [matrix_solution(payoff)[0] for payoff in table]
    np.testing.assert_allclose(upper, values, rtol=0, atol=1e-8)
    np.testing.assert_array_less(upper - lower, 1e-14)


@pytest.mark.parametrize("kind", ["ties", "wide", "symmetric", "mostly zero", "low rank", "duplicates"])
@pytest.mark.parametrize("shape", [(6, 6), (3, 8), (25, 25)])
def test_awkward_matrix_games_are_solved_to_rounding(kind, shape):
    rng = np.random.default_rng(7)
    table = rng.normal(size=(100, *shape))
    if kind == "ties":
        table = np.round(table)
    elif kind == "wide":
        table *= np.exp(3 * rng.normal(size=table.shape))
    elif kind == "symmetric":  # value zero
        table = table[:, : shape[0], : shape[0]]
        table = table - table.swapaxes(1, 2)
    elif kind == "mostly zero":
        table *= rng.random(table.shape) < 0.15
    elif kind == "low rank":
        table = rng.normal(size=(100, shape[0], 2)) @ rng.normal(size=(100, 2, shape[1]))
    else:
        table[:, 1], table[:, :, 2] = table[:, 0], table[:, :, 0] * (1 + 1e-14)
    _, _, upper, lower = many(table)
    spread = np.ptp(table.reshape(100, -1), axis=1)
    assert (upper - lower <= 1e-14 * spread + 1e-300).all()
    if kind == "symmetric":
        assert (np.abs(upper) <= 1e-14 * spread).all()


def test_a_game_on_which_simplex_pivots_may_cycle():
    # Beale's degenerate programme as a matrix: with ties broken carelessly the largest coefficient cycles.
    beale = np.array([[0.25, -60.0, -0.04, 9.0], [0.5, -90.0, -0.02, 3.0], [0.0, 0.0, 1.0, 0.0]])
    for payoff in (beale, -beale.T):
        _, _, upper, lower = many(payoff[None])
        assert upper[0] - lower[0] <= 1e-14 * np.ptp(payoff)
        assert upper[0] == pytest.approx(matrix_solution(payoff)[0], abs=1e-9)


def test_constant_payoffs_leave_nothing_to_decide():
    solution = eq.solve(matrix(np.full((3, 2), 0.1), constant=0.7), "zero-sum")
    assert solution.certified
    assert solution.gap == 0.0


# Stochastic games


def test_unsafeguarded_jumps_cycle_on_van_der_wals_game_and_ours_do_not():
    reward, kernel, discount = van_der_wal()
    cycle = [value[0] for value in jumps(reward, kernel, discount, 6)]
    np.testing.assert_allclose(cycle, [12.0, 4.0] * 3, rtol=1e-12)
    solution = solve(zero_sum(reward, kernel, discount=discount))
    # Between 6 and 10 the saddle is (0, 1): V = 6 + V / 4.
    np.testing.assert_allclose(solution.value, [8.0, 0.0], rtol=0, atol=1e-14)
    np.testing.assert_array_equal(solution.profile[0][0], [1.0, 0.0])
    np.testing.assert_array_equal(solution.profile[1][0], [0.0, 1.0])
    assert not solution.trace["jumped"].all()
    assert len(solution.trace["sweep"]) <= 6


@pytest.mark.parametrize("patience", [0, 1, 8, 1000])
def test_every_safeguard_ends_the_cycle(patience):
    reward, kernel, discount = van_der_wal()
    solution = solve(zero_sum(reward, kernel, discount=discount), patience=patience)
    np.testing.assert_allclose(solution.value, [8.0, 0.0], rtol=0, atol=1e-13)


def test_a_game_that_refuses_every_jump_takes_few_sweeps_at_any_discount():
    # Against the first column it pays 3 to stay, against the second the first row earns `prize` and ends the game, and
    # the second row loses 1 and stays. The value is the prize: whoever is sure of less takes the first column, of more
    # the second. Jumps go to 3 / (1 - gamma) and -1 / (1 - gamma), and Shapley's steps go by 3.
    prize, discount = 1e4, 0.9999
    reward = np.array([[[3.0, prize], [2.0, -1.0]], [[0.0, 0.0], [0.0, 0.0]]])
    kernel = np.zeros((2, 2, 2, 2))
    kernel[0, ..., 0], kernel[1, ..., 1] = 1.0, 1.0
    kernel[0, 0, 1] = [0.0, 1.0]
    game = zero_sum(reward, kernel, discount=discount)
    slow = eq.solve(game, "zero-sum", "matrix-game", patience=10**6, sweeps=200)
    assert slow.gap > 1e3
    solution = solve(game)
    np.testing.assert_allclose(solution.value, [prize, 0.0], rtol=1e-12, atol=1e-7)
    assert len(solution.trace["sweep"]) <= 15


@pytest.mark.parametrize("seed", range(3))
def test_values_are_those_of_shapleys_iteration(seed):
    reward, kernel = random_parts(seed)
    value = np.zeros(4)
    for _ in range(45):  # 0.6^45 < 2e-10
        value = shapley(reward, kernel, 0.6, value)
    np.testing.assert_allclose(solve(zero_sum(reward, kernel, discount=0.6)).value, value, rtol=0, atol=1e-8)


def test_the_profile_is_an_equilibrium_of_the_general_sum_game():
    reward, kernel = random_parts(5, 6, (3, 4))
    game = zero_sum(reward, kernel, constant=2.0, discount=0.99)
    assert certify_nash(game.tables(), solve(game).profile).gap <= 1e-10
    general = eq.solve(game, solver="stage-nash")  # equilibria of a zero-sum game all have one value
    np.testing.assert_allclose(general.values, solve(game).values, rtol=0, atol=1e-8)


def test_finite_horizons_go_backwards():
    reward, kernel = random_parts(2)
    solution = solve(zero_sum(reward, kernel, constant=1.0, discount=0.9, horizon=5))
    assert [policy.shape for policy in solution.profile] == [(5, 4, 3), (5, 4, 2)]
    assert solution.value.shape == (5, 4)
    value = np.zeros(4)
    for epoch in reversed(range(5)):
        value = shapley(reward, kernel, 0.9, value)
        np.testing.assert_allclose(solution.value[epoch], value, rtol=0, atol=1e-8)


def test_undiscounted_finite_horizon():
    reward, kernel = random_parts(3)
    solution = solve(zero_sum(reward, kernel, horizon=3))
    value = np.zeros(4)
    for _ in range(3):
        value = shapley(reward, kernel, 1.0, value)
    np.testing.assert_allclose(solution.value[0], value, rtol=0, atol=1e-8)


def test_a_discount_of_zero_leaves_one_matrix_game_per_state():
    reward, kernel = random_parts(4)
    solution = solve(zero_sum(reward, kernel, discount=0.0))
    values = [matrix_solution(payoff)[0] for payoff in reward]
    np.testing.assert_allclose(solution.value, values, rtol=0, atol=1e-8)
    assert len(solution.trace["sweep"]) == 1


@pytest.mark.parametrize("horizon", [None, 3])
def test_illegal_actions_are_never_played(horizon):
    rng = np.random.default_rng(6)
    reward, kernel = random_parts(6, 5, (4, 3))
    legal = [rng.random((5, size)) < 0.6 for size in (4, 3)]
    for mask in legal:
        mask[:, 1] = True
    game = zero_sum(reward, kernel, discount=0.7, horizon=horizon, legal=legal)
    solution = solve(game)
    for policy, mask in zip(solution.profile, legal, strict=True):
        assert (policy[..., ~mask] == 0).all()
    value = np.zeros(5)
    for _ in range(horizon or 60):  # 0.7^60 < 1e-9
        value = shapley(reward, kernel, 0.7, value, legal)
    np.testing.assert_allclose(solution.value[0] if horizon else solution.value, value, rtol=0, atol=1e-8)


def test_lists_of_successors_change_nothing():
    rng = np.random.default_rng(0)
    kernel = SparseKernel(rng.integers(30, size=(30, 3, 3, 3)), rng.dirichlet(np.ones(3), size=(30, 3, 3)))
    reward = rng.normal(size=(30, 3, 3))
    for options in ({"discount": 0.95}, {"horizon": 4}):
        sparse = zero_sum(reward, kernel, **options)
        dense = zero_sum(reward, sparse.kernel.dense(), **options)
        np.testing.assert_allclose(solve(sparse).value, solve(dense).value, rtol=0, atol=1e-12)


def test_soccer():
    game = eq.load("catalog:soccer")
    assert isinstance(game.kernel, SparseKernel)
    solution = solve(game)
    # The pitch can be turned round, so the kick-off, after a toss, is worth nothing.
    assert abs(np.asarray(game.initial) @ solution.value) <= 1e-14
    # What is a fixed point of Shapley's step is the value; a programme for every twelfth state.
    states = np.arange(0, 760, 12)
    stages = np.asarray(game.reward)[0] + 0.9 * np.asarray(game.kernel.expect(solution.value))
    values = [matrix_solution(stage)[0] for stage in stages[states]]
    np.testing.assert_allclose(solution.value[states], values, rtol=0, atol=1e-9)


@settings(max_examples=15)
@given(
    seed=st.integers(0, 2**32 - 1),
    factor=st.sampled_from([1e-6, 0.3, 7.0, 1e6]),
    shift=st.sampled_from([0.0, -1.0, 1e3]),
    discount=st.sampled_from([0.3, 0.9, 0.999]),
)
def test_positive_affine_payoffs_move_the_value_with_them(seed, factor, shift, discount):
    reward, kernel = random_parts(seed, 3, (3, 3))
    plain = solve(zero_sum(reward, kernel, discount=discount))
    moved = solve(zero_sum(factor * (reward + shift), kernel, constant=factor, discount=discount))
    expected = factor * (plain.value + shift / (1 - discount))
    tolerance = 1e-10 * factor * (np.ptp(reward) + abs(shift)) / (1 - discount)
    np.testing.assert_allclose(moved.value, expected, rtol=0, atol=tolerance)


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), horizon=st.sampled_from([None, 2]), constant=st.sampled_from([0.0, 3.0]))
def test_swapping_the_players_turns_the_value_round(seed, horizon, constant):
    reward, kernel = random_parts(seed, 3, (2, 4))
    options = {"discount": 0.9, "horizon": horizon, "constant": constant}
    one = solve(zero_sum(reward, kernel, **options))
    other = solve(zero_sum(constant - reward.swapaxes(1, 2), kernel.swapaxes(1, 2), **options))
    np.testing.assert_allclose(one.values, other.values[::-1], rtol=0, atol=1e-11)


def nasty_failures(seeds):
    """Of the difficult games of the benchmark: those that are not solved to 1e-10, or not within 60 sweeps."""
    failed = []
    for seed in seeds:
        solution = eq.solve(nasty_game(seed), "zero-sum", "matrix-game")
        fine = solution.certified and solution.gap <= 1e-10 * solution.payoff_scale
        if not (fine and len(solution.trace["sweep"]) <= 60):
            failed.append(seed)
    return failed


def test_nasty_games():
    assert nasty_failures(range(40)) == []


@pytest.mark.slow
def test_many_nasty_games():
    assert nasty_failures(range(40, 1000)) == []


# The whole way


def test_auto_takes_it_and_the_solution_has_one_value(tmp_path):
    reward, kernel = random_parts(1)
    game = zero_sum(reward, kernel, discount=0.9)
    solution = eq.solve(game, "zero-sum")
    assert (solution.concept, solution.solver) == ("zero-sum", "matrix-game")
    np.testing.assert_array_equal(solution.value, solution.values[0])
    assert solution.to_json()["value"] == solution.value.tolist()
    solution.save(tmp_path / "solution.npz")
    loaded = eq.load_solution(tmp_path / "solution.npz", game=game)
    np.testing.assert_array_equal(loaded.value, solution.value)
    assert eq.certify(game, loaded).concept == "zero-sum"
    assert eq.certify(game, loaded).gap == pytest.approx(solution.gap, abs=solution.certificate.numerical_error)


def test_the_bound_holds_on_the_way():
    reward, kernel = random_parts(9, 8, (3, 3))
    trace = solve(zero_sum(reward, kernel, discount=0.9)).trace
    known = ~np.isnan(trace["gap"])
    assert known.sum() >= 3
    assert (trace["gap"][known] <= trace["bound"][known] * (1 + 1e-12) + 1e-12).all()
    assert trace["gap"][0] > 1e-3


@pytest.mark.parametrize("solver", ["auto", "matrix-game", "vpg"])
def test_a_game_of_common_interests_is_refused(solver):
    with pytest.raises(BadInput, match=r"joint action \(defect, defect\)"):
        eq.solve("catalog:prisoners_dilemma", "zero-sum", solver)


def test_the_solver_refuses_it_for_nash_too():
    with pytest.raises(BadInput, match="must have one sum everywhere"):
        eq.solve("catalog:prisoners_dilemma", solver="matrix-game")
    with pytest.raises(BadInput, match="3 players, not two"):
        eq.solve("catalog:jordan", solver="matrix-game")


def test_it_finds_nash_equilibria_of_zero_sum_games():
    solution = eq.solve("catalog:rock_paper_scissors", solver="matrix-game")
    assert solution.concept == "nash"
    assert solution.certified
    with pytest.raises(AttributeError, match="only a zero-sum or one-population equilibrium"):
        _ = solution.value


def test_other_solvers_of_profiles_serve_the_concept():
    reward, kernel = random_parts(1)
    game = zero_sum(reward, kernel, discount=0.9)
    for solver in ("stage-nash", "homotopy"):
        solution = eq.solve(game, "zero-sum", solver)
        assert solution.certified
        np.testing.assert_allclose(solution.value, solve(game).value, rtol=0, atol=1e-7)


def test_the_clock_is_looked_at_between_blocks_of_states(monkeypatch):
    from equinfer.solvers.zero_sum import matrix_game

    reward, kernel = random_parts(1, 10, (3, 3))
    game = zero_sum(reward, kernel, discount=0.9)
    whole = list(MatrixGame().iterates(game, seed=0))
    monkeypatch.setattr(matrix_game, "_WORK_PER_CALL", 1.0)
    blocks = list(MatrixGame().iterates(game, seed=0))
    assert len(blocks) > 10 * len(whole)
    np.testing.assert_array_equal(blocks[-1].answer[0], whole[-1].answer[0])
    late = eq.solve(game, "zero-sum", time=0.0)
    assert late.status is eq.Status.out_of_time
    assert dataclasses.replace(late, eps=1e9).certified

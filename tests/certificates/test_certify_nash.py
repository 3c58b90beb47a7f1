"""The Nash certificate against closed forms, brute force in rational arithmetic, a linear programme and symmetries."""

import dataclasses

import numpy as np
import pytest
from exact_games import one_shot, random_profile, random_tables, tables_of, true_gains
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from equinfer.certificates import certify_nash

PRISONERS = [[[3, 0], [5, 1]], [[3, 5], [0, 1]]]
PENNIES = [[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]]

discounts = st.sampled_from([0.0, 0.5, 0.9, 0.99, 0.999])
sizes = st.lists(st.integers(1, 3), min_size=1, max_size=3)


def within(certificate, truth):
    """The exact gains lie within the certificate's own error of the computed ones, state by state."""
    for player, gains in enumerate(truth):
        computed = certificate.deviation(player).gain
        exact = np.array(gains)
        errors = [abs(type(e)(float(c)) - e) for c, e in zip(computed.ravel(), exact.ravel(), strict=True)]
        assert max(errors) <= certificate.numerical_error
        assert (computed >= 0).all()
        assert certificate.per_player[player] == computed.max()
    assert certificate.gap == certificate.per_player.max()


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.integers(1, 3), sizes, st.lists(discounts, min_size=3, max_size=3))
def test_gap_is_brute_force_over_all_pure_policies(seed, num_states, num_actions, discount):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, num_states, num_actions, discount=discount[: len(num_actions)], illegal=0.3)
    profile = random_profile(rng, tables)
    gains, values = true_gains(tables, profile)
    certificate = certify_nash(tables, profile)
    within(certificate, gains)
    np.testing.assert_allclose(certificate.values, np.array(values, float), rtol=1e-11, atol=1e-11)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 2), sizes, st.integers(1, 2), st.sampled_from([0.0, 0.7, 1.0]))
def test_finite_horizon_gap_is_brute_force_over_all_plans(seed, num_states, num_actions, horizon, discount):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, num_states, num_actions, discount=discount, horizon=horizon, illegal=0.3)
    profile = random_profile(rng, tables)
    gains, values = true_gains(tables, profile)
    certificate = certify_nash(tables, profile)
    within(certificate, gains)
    assert certificate.values.shape == (len(num_actions), horizon, num_states)
    assert certificate.deviation(0).policy.shape == (horizon, num_states, num_actions[0])
    np.testing.assert_allclose(certificate.values, np.array(values, float), rtol=1e-12, atol=1e-12)


def test_prisoners_dilemma():
    tables = one_shot(PRISONERS)
    defect = certify_nash(tables, ([0, 1], [0, 1]))
    assert defect.gap == 0
    assert defect.numerical_error < 1e-13
    np.testing.assert_array_equal(defect.values, [[1.0], [1.0]])
    # Against a cooperator defection pays 5 instead of 3; from (C, D) only the row player gains, 1 - 0.
    np.testing.assert_allclose(certify_nash(tables, ([1, 0], [1, 0])).per_player, [2, 2], rtol=1e-15)
    mixed = certify_nash(tables, ([1, 0], [0, 1]))
    np.testing.assert_allclose(mixed.per_player, [1, 0], rtol=1e-15)
    np.testing.assert_array_equal(mixed.deviation(0).policy, [[0, 1]])


@pytest.mark.parametrize("epsilon", [0.25, 1e-3, 1e-9, 1e-13])
def test_pennies_off_balance(epsilon):
    # Row plays heads with 1/2 + e: column wins 2e by always tails, row's own payoff stays 0.
    certificate = certify_nash(one_shot(PENNIES), ([0.5 + epsilon, 0.5 - epsilon], [0.5, 0.5]))
    exact = 2 * ((0.5 + epsilon) - 0.5)  # what float64 holds of it
    assert abs(certificate.gap - exact) <= certificate.numerical_error
    assert certificate.numerical_error < 2 * 21 * 2.0**-53 * 3  # 2 values, 21 roundings, terms of at most 1 + 1 + 1
    np.testing.assert_array_equal(certificate.deviation(1).policy, [[0, 1]])


@pytest.mark.parametrize("discount", [0.5, 0.95, 0.999, 0.99999])
def test_repeated_prisoners_dilemma(discount):
    """Unconditional cooperation, one state: defecting for ever gains 2 / (1 - discount)."""
    reward = np.array(PRISONERS, float)[:, None]
    tables = tables_of(reward, np.ones((1, 2, 2, 1)), discount)
    certificate = certify_nash(tables, ([1, 0], [1, 0]))
    assert certificate.gap == pytest.approx(2 / (1 - discount), rel=1e-11)
    np.testing.assert_allclose(certificate.values, 3 / (1 - discount), rtol=1e-11)
    assert certificate.numerical_error < 1e-13 / (1 - discount) ** 2
    assert certify_nash(tables, ([0, 1], [0, 1])).gap == 0


def test_absorbing_states_at_long_horizons():
    """Work (reward 0, then 1 for ever) or quit (reward 0.5, then 0 for ever): quitting loses g / (1 - g) - 0.5."""
    gamma = 0.999
    reward = np.array([[[0, 0.5], [1, 1], [0, 0]]], float)
    kernel = np.zeros((3, 2, 3))
    kernel[0, 0, 1] = kernel[0, 1, 2] = 1
    kernel[1, :, 1] = kernel[2, :, 2] = 1
    certificate = certify_nash(tables_of(reward, kernel, gamma), [[[0, 1], [1, 0], [1, 0]]])
    np.testing.assert_allclose(certificate.deviation(0).gain, [gamma / (1 - gamma) - 0.5, 0, 0], rtol=1e-12)
    np.testing.assert_array_equal(certificate.deviation(0).policy[0], [1, 0])
    assert certify_nash(tables_of(reward, kernel, gamma), [[[1, 0], [1, 0], [0, 1]]]).gap == 0


def test_a_state_that_is_never_reached_counts():
    reward = np.zeros((2, 2, 2, 2))
    reward[:, 0] = reward[:, 1] = np.array(PRISONERS)
    kernel = np.zeros((2, 2, 2, 2))
    kernel[..., 0] = 1  # state 1 is left at once and never entered
    tables = dataclasses.replace(tables_of(reward, kernel, 0.9), initial=np.array([1.0, 0.0]))
    defect, cooperate = [0, 1], [1, 0]
    assert certify_nash(tables, ([defect, defect], [defect, defect])).gap == 0
    certificate = certify_nash(tables, ([defect, cooperate], [defect, defect]))
    np.testing.assert_allclose(certificate.deviation(0).gain, [0, 1], rtol=1e-14, atol=1e-14)
    assert certificate.gap == pytest.approx(1)


def test_an_epoch_that_is_wrong_is_found():
    tables = tables_of(np.array(PRISONERS, float)[:, None], np.ones((1, 2, 2, 1)), 1.0, horizon=4)
    row = np.tile([[[0.0, 1.0]]], (4, 1, 1))
    assert certify_nash(tables, (row, row)).gap == 0
    slip = row.copy()
    slip[2] = [[1, 0]]
    certificate = certify_nash(tables, (slip, row))
    np.testing.assert_allclose(certificate.deviation(0).gain[:, 0], [1, 1, 1, 0], rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(certificate.values[0, :, 0], [3, 2, 1, 1], rtol=1e-14)


def test_gap_grows_to_first_order_with_the_perturbation():
    """Mass e moved off a strict equilibrium in state 2 loses e times the advantage there, at every visit."""
    rng = np.random.default_rng(3)
    tables = random_tables(rng, 4, (3, 2), discount=0.8)
    tables.reward[0, :, 0, :] += 5
    tables.reward[1, :, :, 0] += 5
    base = [np.tile([1.0, 0, 0], (4, 1)), np.tile([1.0, 0], (4, 1))]
    certificate = certify_nash(tables, base)
    assert certificate.gap == 0
    values = certificate.values[1]
    loss = values[2] - (tables.reward[1, 2, 0, 1] + 0.8 * tables.kernel[2, 0, 1] @ values)
    visits = np.linalg.inv(np.eye(4) - 0.8 * tables.kernel[:, 0, 0])[:, 2]
    assert loss > 1
    for epsilon in (1e-3, 1e-5):
        moved = base[1].copy()
        moved[2] = [1 - epsilon, epsilon]
        gain = certify_nash(tables, [base[0], moved]).deviation(1).gain
        # The rest of the series: visits change by a factor within e * visits <= 5e of one.
        np.testing.assert_allclose(gain, epsilon * loss * visits, rtol=5 * epsilon, atol=1e-13)


def test_deviations_achieve_their_gains_when_played():
    rng = np.random.default_rng(5)
    tables = random_tables(rng, 6, (3, 2, 4), discount=[0.9, 0.99, 0.0], illegal=0.2)
    profile = random_profile(rng, tables)
    certificate = certify_nash(tables, profile)
    assert certificate.gap > 0.1
    for player in range(3):
        played = list(profile)
        played[player] = certificate.deviation(player).policy
        gain = independent_values(tables, played, player) - independent_values(tables, profile, player)
        np.testing.assert_allclose(certificate.deviation(player).gain, gain, atol=1e-11)
        assert (played[player][~tables.legal[player]] == 0).all()


def independent_values(tables, profile, player):
    """Plain einsum over the joint action and a plain solve."""
    reward = np.einsum("sabc,sa,sb,sc->s", tables.reward[player], *profile)
    chain = np.einsum("sabcz,sa,sb,sc->sz", tables.kernel, *profile)
    return np.linalg.solve(np.eye(len(chain)) - tables.discount[player] * chain, reward)


@pytest.mark.parametrize("seed", range(4))
def test_best_response_agrees_with_a_linear_programme(seed):
    """min sum(v) s.t. v >= r_a + g P_a v has the optimal values as its only solution."""
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 8, (3, 2, 3), discount=0.95)
    profile = random_profile(rng, tables)
    certificate = certify_nash(tables, profile)
    for player, own in enumerate(["a", "b", "c"]):
        others = [(f"s{axis}", policy) for axis, policy in zip("abc", profile, strict=True) if axis != own]
        axes, laws = ",".join(axis for axis, _ in others), [law for _, law in others]
        reward = np.einsum(f"sabc,{axes}->s{own}", tables.reward[player], *laws)
        kernel = np.einsum(f"sabcz,{axes}->s{own}z", tables.kernel, *laws)
        constraint = 0.95 * kernel - np.eye(8)[:, None, :]
        answer = linprog(
            np.ones(8), A_ub=constraint.reshape(-1, 8), b_ub=-reward.ravel(), bounds=(None, None), method="highs"
        )
        best = certificate.values[player] + certificate.deviation(player).gain
        np.testing.assert_allclose(best, answer.x, atol=1e-6)  # HiGHS is feasible to 1e-7, amplified by 1 / 0.05


@pytest.mark.parametrize("seed", range(10))
def test_no_gain_is_negative(seed):
    """Three copies of one action, mixed, but for one state with a better one: elsewhere the gain is 0 or a rounding."""
    rng = np.random.default_rng(seed)
    reward = np.repeat(rng.normal(size=(1, 8, 1)), 3, axis=2)
    kernel = np.repeat(rng.dirichlet(np.ones(7), size=(8, 1)), 3, axis=1)
    kernel = np.concatenate([kernel, np.zeros((8, 3, 1))], axis=2)  # nobody comes to the last state
    reward[0, 7, 2] += 1
    certificate = certify_nash(tables_of(reward, kernel, 0.99), [rng.dirichlet(np.ones(3), size=8)])
    gain = certificate.deviation(0).gain
    assert gain[7] > 0.1
    assert (gain[:7] >= 0).all()
    assert (gain[:7] <= certificate.numerical_error).all()


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.sampled_from([None, 3]))
def test_names_do_not_matter(seed, horizon):
    """Permuting players, states and actions permutes the certificate."""
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 4, (2, 3, 2), discount=[0.9, 0.5, 0.95], horizon=horizon, illegal=0.2)
    profile = random_profile(rng, tables)
    before = certify_nash(tables, profile)
    players, states = rng.permutation(3), rng.permutation(4)
    actions = [rng.permutation(size) for size in tables.num_actions]
    reward = tables.reward[np.ix_(range(3), states, *actions)]
    kernel = tables.kernel[np.ix_(states, *actions, states)]
    reward = reward.transpose(0, 1, *(2 + players))[players]
    kernel = kernel.transpose(0, *(1 + players), 4)
    legal = tuple(tables.legal[i][np.ix_(states, actions[i])] for i in players)
    renamed = tables_of(reward, kernel, tables.discount[players], horizon, legal)
    after = certify_nash(renamed, tuple(profile[i][..., states, :][..., actions[i]] for i in players))
    tolerance = before.numerical_error + after.numerical_error
    assert abs(before.gap - after.gap) <= tolerance
    for new, old in enumerate(players.tolist()):
        moved = before.deviation(old).gain[..., states]
        np.testing.assert_allclose(after.deviation(new).gain, moved, rtol=0, atol=tolerance)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(-40, 40), st.sampled_from([None, 2]))
def test_units_and_levels_do_not_matter(seed, power, horizon):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 3, (2, 3), discount=[0.9, 0.97], horizon=horizon)
    profile = random_profile(rng, tables)
    before = certify_nash(tables, profile)
    scaled = certify_nash(dataclasses.replace(tables, reward=tables.reward * 2.0**power), profile)
    assert scaled.gap == before.gap * 2.0**power  # to the bit
    assert scaled.numerical_error == pytest.approx(before.numerical_error * 2.0**power, rel=1e-12)
    # Sixteenths plus a million are exact, so only the level of the game changes, not its payoffs.
    sixteenths = np.round(16 * tables.reward) / 16
    low = certify_nash(dataclasses.replace(tables, reward=sixteenths), profile)
    high = certify_nash(dataclasses.replace(tables, reward=sixteenths + 1e6), profile)
    assert high.gap == low.gap
    assert high.numerical_error == low.numerical_error


@pytest.mark.parametrize("horizon", [None, 5])
@pytest.mark.parametrize("constant", [0.0, 1 / 3, -1e12, 5e-324])
def test_constant_payoffs_are_certain(horizon, constant):
    """With payoff scale 0 every profile is an equilibrium, and eps = 0 must be reachable."""
    rng = np.random.default_rng(0)
    tables = random_tables(rng, 4, (3, 2), discount=0.9, horizon=horizon, illegal=0.3)
    reward = np.where(tables.legal_joint, constant, 0.0) * np.ones((2, 1, 1, 1))
    certificate = certify_nash(dataclasses.replace(tables, reward=reward), random_profile(rng, tables))
    assert certificate.gap == 0
    assert certificate.numerical_error == 0
    length = 10.0 if horizon is None else sum(0.9**t for t in range(5))
    first = certificate.values if horizon is None else certificate.values[:, 0]
    np.testing.assert_allclose(first, constant * length, rtol=1e-14)


def test_nobody_has_a_choice():
    certificate = certify_nash(tables_of(np.full((1, 1, 1), 7.0), np.ones((1, 1, 1)), 0.5), [[1.0]])
    assert (certificate.gap, certificate.numerical_error) == (0, 0)
    np.testing.assert_allclose(certificate.values, [[14]])


def test_one_epoch_ignores_what_would_follow():
    rng = np.random.default_rng(2)
    tables = random_tables(rng, 4, (2, 3), discount=0.9, horizon=1)
    profile = random_profile(rng, tables)
    once = certify_nash(tables, profile)
    myopic = dataclasses.replace(tables, horizon=None, discount=np.zeros(2))
    certificate = certify_nash(myopic, [policy[0] for policy in profile])
    assert certificate.gap == once.gap
    np.testing.assert_array_equal(certificate.values, once.values[:, 0])
    assert certificate.deviation(1).policy.shape == (4, 3)


@pytest.mark.peers
def test_best_response_agrees_with_quantecon():
    from quantecon.markov import DiscreteDP

    rng = np.random.default_rng(11)
    tables = random_tables(rng, 30, (4, 3), discount=0.97)
    profile = random_profile(rng, tables)
    certificate = certify_nash(tables, profile)
    reward = np.einsum("sab,sb->sa", tables.reward[0], profile[1])
    kernel = np.einsum("sabz,sb->saz", tables.kernel, profile[1])
    answer = DiscreteDP(reward, kernel, 0.97).solve(method="policy_iteration")
    np.testing.assert_allclose(certificate.values[0] + certificate.deviation(0).gain, answer.v, rtol=1e-11)

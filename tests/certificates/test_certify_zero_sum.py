"""The exploitability of a profile: against rational arithmetic, and of which games it is refused."""

import dataclasses

import numpy as np
import pytest
from exact_games import one_shot, random_profile, random_tables, tables_of, true_gains

import equinfer as eq
from equinfer.certificates import certify_nash, certify_zero_sum
from equinfer.errors import BadInput

PENNIES = np.array([[1.0, -1.0], [-1.0, 1.0]])


def opposed(tables, constant=0.0):
    """The same game, player 1 with what is left of the constant by player 0."""
    reward = np.stack([tables.reward[0], constant - tables.reward[0]])
    reward[1, ~tables.legal_joint] = 0.0
    return dataclasses.replace(tables, reward=reward)


@pytest.mark.parametrize("horizon", [None, 2])
@pytest.mark.parametrize("seed", range(5))
def test_the_gap_is_the_largest_sum_of_gains_in_rational_arithmetic(seed, horizon):
    rng = np.random.default_rng(seed)
    drawn = random_tables(rng, 3, (2, 3), discount=0.75, horizon=horizon, level=rng.choice([0.0, 100.0]), illegal=0.2)
    tables = opposed(drawn)
    profile = random_profile(rng, tables)
    gains, _ = true_gains(tables, profile)
    sums = [one + other for one, other in zip(np.ravel(gains[0]), np.ravel(gains[1]), strict=True)]
    certificate = certify_zero_sum(tables, profile)
    assert certificate.kind == "exact"
    assert abs(max(sums) - certificate.gap) <= certificate.numerical_error <= 1e-10
    for player in range(2):
        assert abs(np.max(gains[player]) - certificate.per_player[player]) <= certificate.per_player_error[player]


def test_gains_in_different_states_do_not_add_up():
    # Two games of pennies; in the first only player 0 has something to gain, in the second only player 1.
    reward = np.stack([[PENNIES, PENNIES], [-PENNIES, -PENNIES]])
    kernel = np.broadcast_to(np.eye(2)[:, None, None], (2, 2, 2, 2))
    tables = tables_of(reward, kernel, discount=0.5)
    mixed, first = [0.5, 0.5], [1.0, 0.0]
    certificate = certify_zero_sum(tables, ([mixed, first], [first, mixed]))
    np.testing.assert_allclose(certificate.per_player, [2.0, 2.0], rtol=1e-14)  # one a step, from then on
    assert certificate.gap == pytest.approx(2.0, rel=1e-14)
    # Both gain where one mixes badly against a pure one: 1 - 1/2 and 1/2 + 1/2 a step.
    together = certify_zero_sum(tables, ([[0.75, 0.25], mixed], [first, mixed]))
    np.testing.assert_allclose(together.per_player, [1.0, 2.0], rtol=1e-14)
    assert together.gap == pytest.approx(3.0, rel=1e-14)


def test_a_constant_sum_changes_no_gain():
    rng = np.random.default_rng(3)
    drawn = random_tables(rng, 4, (3, 2), discount=0.9)
    profile = random_profile(rng, drawn)
    plain, shifted = (certify_zero_sum(opposed(drawn, constant), profile) for constant in (0.0, 0.7))
    np.testing.assert_allclose(shifted.per_player, plain.per_player, rtol=0, atol=1e-12)
    np.testing.assert_allclose(shifted.values.sum(axis=0), 0.7 / (1 - 0.9), rtol=1e-13)
    assert shifted.gap == pytest.approx(plain.gap, abs=1e-12)


def test_values_and_deviations_are_those_of_the_nash_certificate():
    rng = np.random.default_rng(1)
    tables = opposed(random_tables(rng, 3, (2, 2)))
    profile = random_profile(rng, tables)
    nash, zero_sum = certify_nash(tables, profile), certify_zero_sum(tables, profile)
    assert zero_sum.concept == "zero-sum"
    np.testing.assert_array_equal(zero_sum.values, nash.values)
    np.testing.assert_array_equal(zero_sum.deviation(1).policy, nash.deviation(1).policy)


def test_the_witness_is_named_by_its_labels():
    with pytest.raises(BadInput, match=r"they sum to 2 at state 0, joint action \(defect, defect\), and to 5 at state"):
        eq.certify("catalog:prisoners_dilemma", ([1, 0], [1, 0]), concept="zero-sum")


def test_the_one_cell_that_is_off_is_the_witness():
    rng = np.random.default_rng(2)
    tables = opposed(random_tables(rng, 4, (3, 3)))
    tables.reward[1, 2, 1, 0] += 1e-9
    with pytest.raises(BadInput, match=r"at state s2, joint action \(a1, a0\), and to"):
        certify_zero_sum(tables, random_profile(rng, tables))


def test_a_sum_for_each_state_is_not_one_sum():
    # Both want to be in the second state, where each gets 1: nothing about that is opposed.
    reward = np.stack([[PENNIES, 1 + PENNIES], [-PENNIES, 1 - PENNIES]])
    tables = tables_of(reward, np.full((2, 2, 2, 2), 0.5), discount=0.5)
    with pytest.raises(BadInput, match=r"sum to 2 at state s1.*, and to 0 at state s0|sum to 0 at state s0.*to 2"):
        certify_zero_sum(tables, ([[1, 0]] * 2, [[1, 0]] * 2))


def test_rounding_is_no_witness():
    reward = np.random.default_rng(0).random((50, 7, 7))
    kernel = np.full((50, 7, 7, 50), 1 / 50)
    uniform = tuple(np.full((50, 7), 1 / 7) for _ in range(2))
    tables = tables_of(np.stack([reward, 0.3 - reward]), kernel, discount=0.5)
    assert np.ptp(tables.reward.sum(axis=0)) > 0
    assert certify_zero_sum(tables, uniform).gap > 0
    printed = dataclasses.replace(tables, reward=np.round(tables.reward, 13))  # as a file has them
    assert certify_zero_sum(printed, uniform).gap > 0


@pytest.mark.parametrize("level", [1e6, 2e9, 2e12, 1e16])
def test_no_level_hides_an_interest_in_common(level):
    """Both want to meet, and to meet at the second place more: equilibria worth 1 and 2 to each, above the level."""
    together = np.diag([2.0, 4.0])
    tables = one_shot(np.stack([level + together, together - level]))
    np.testing.assert_array_equal(tables.reward.sum(axis=0)[0], 2 * together)  # exact, whatever the level
    with pytest.raises(BadInput, match="must have one sum everywhere"):
        certify_zero_sum(tables, ([[1, 0]], [[1, 0]]))


@pytest.mark.parametrize("level", [1e3, 1e6, 2e9, 2e12])
def test_a_level_that_leaves_digits_of_the_spread_is_no_witness(level):
    """Each payoff rounded to float64 once: sums off by up to 2.4e-4 at 2e12, in a game that is one of opposition."""
    rng = np.random.default_rng(4)
    payoff = rng.uniform(-1, 1, (5, 6))
    tables = one_shot(np.stack([level + payoff, (0.3 - payoff) - level]))
    assert np.ptp(tables.reward.sum(axis=0)) > 0
    profile = random_profile(rng, tables)
    judged, plain = (certify_zero_sum(each, profile) for each in (tables, one_shot(np.stack([payoff, -payoff]))))
    assert judged.gap == pytest.approx(plain.gap, abs=8 * np.spacing(level))


@pytest.mark.parametrize("level", [0.0, 10.0, 1e3, 1e6])
def test_fifteen_printed_digits_are_no_witness(level):
    payoff = level + np.random.default_rng(5).uniform(-1, 1, (5, 6))
    printed = np.vectorize(lambda number: float(f"{number:.15g}"))(np.stack([payoff, 1 / 3 - payoff]))
    tables = one_shot(printed)
    certify_zero_sum(tables, random_profile(np.random.default_rng(0), tables))


@pytest.mark.parametrize("level", [1e3, 1e6, 2e9])
def test_what_no_rounding_explains_is_a_witness_at_any_level(level):
    """A common stake of a few hundred units in the last place, in one cell of thirty."""
    payoff = np.random.default_rng(6).uniform(-1, 1, (5, 6))
    reward = np.stack([level + payoff, -level - payoff])
    reward[1, 2, 3] += 400 * np.spacing(level + 1)
    with pytest.raises(BadInput, match=r"joint action \(a2, a3\), and to"):
        certify_zero_sum(one_shot(reward), (np.eye(5)[:1], np.eye(6)[:1]))


def test_constant_payoffs_are_zero_sum():
    tables = one_shot(np.stack([np.full((2, 2), 0.1), np.full((2, 2), 0.2)]))
    assert certify_zero_sum(tables, ([[1, 0]], [[1, 0]])).gap == 0


def test_payoffs_of_illegal_actions_do_not_count():
    tables = one_shot(np.stack([PENNIES, -PENNIES]))
    reward = tables.reward.copy()
    reward[1, 0, 1] = 7.0
    legal = (np.array([[True, False]]), np.ones((1, 2), bool))
    certificate = certify_zero_sum(dataclasses.replace(tables, reward=reward, legal=legal), ([[1, 0]], [[1, 0]]))
    np.testing.assert_allclose(certificate.per_player, [0.0, 2.0], atol=1e-15)


@pytest.mark.parametrize(
    ("payoffs", "says"), [(np.zeros((3, 2, 2, 2)), "3 players, not two"), (np.zeros((1, 2)), "1 player, not two")]
)
def test_other_numbers_of_players_are_refused(payoffs, says):
    tables = one_shot(payoffs)
    with pytest.raises(BadInput, match=says):
        certify_zero_sum(tables, random_profile(np.random.default_rng(0), tables))


def test_unequal_discounts_are_refused():
    tables = opposed(random_tables(np.random.default_rng(0), 2, (2, 2), discount=[0.9, 0.8]))
    with pytest.raises(BadInput, match=r"player P0 discounts by 0\.9 and player P1 by 0\.8"):
        certify_zero_sum(tables, random_profile(np.random.default_rng(0), tables))


def test_sums_beyond_float64_are_refused_all_the_same():
    tables = one_shot(np.array([[[1.5e308, 1.0], [1.0, 1.0]], [[1.5e308, -1.0], [-1.0, -1.0]]]))
    with pytest.raises(BadInput, match=r"sum to inf at state s0, joint action \(a0, a0\), and to 0"):
        certify_zero_sum(tables, ([[1, 0]], [[1, 0]]))


def test_payoffs_that_are_no_numbers_are_refused_by_name():
    tables = one_shot(np.stack([PENNIES, -PENNIES]))
    tables.reward[0, 0, 0, 0] = np.nan
    with pytest.raises(BadInput, match="rewards of player P0"):
        certify_zero_sum(tables, ([[1, 0]], [[1, 0]]))

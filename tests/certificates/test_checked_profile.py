"""What a certificate accepts, and what it refuses: each refusal names the place."""

import dataclasses
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
from exact_games import one_shot, random_profile, random_tables, tables_of

from equinfer.certificates import certify_nash, checked_profile
from equinfer.errors import BadInput
from equinfer.games.tabular import TabularGame
from equinfer.records import GameLabels, Solution, Status

PENNIES = one_shot([[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]])


def market():
    """Two states, players with 3 and 2 actions; action a2 of player P0 is illegal in state s1."""
    legal = (np.array([[True, True, True], [True, True, False]]), np.ones((2, 2), bool))
    reward = np.arange(24.0).reshape(2, 2, 3, 2)
    kernel = np.full((2, 3, 2, 2), 0.5)
    return tables_of(reward, kernel, 0.9, legal=legal)


def policies(first_row=(0.2, 0.3, 0.5), second_row=(0.5, 0.5, 0.0), other=((1.0, 0.0), (0.25, 0.75))):
    return [[list(first_row), list(second_row)], [list(row) for row in other]]


def test_array_likes_of_every_kind():
    expected = checked_profile(market(), policies())
    single = np.float32(expected[0])
    for given in (
        policies(),
        tuple(np.array(p) for p in policies()),
        [jnp.asarray(p) for p in policies()],
        [
            np.array([[Fraction(1, 5), Fraction(3, 10), Fraction(1, 2)], [Fraction(1, 2), Fraction(1, 2), 0]]),
            policies()[1],
        ],
        [np.asfortranarray(policies()[0]), np.array(policies()[1])[::-1][::-1]],
        [single, policies()[1]],
        [np.float16([[0.25, 0.25, 0.5], [0.5, 0.5, 0]]), policies()[1]],
    ):
        for policy, reference in zip(checked_profile(market(), given), expected, strict=True):
            assert type(policy) is np.ndarray
            assert policy.dtype == np.float64
            assert policy.shape == reference.shape
            np.testing.assert_allclose(policy.sum(axis=1), 1, rtol=4e-16)
            np.testing.assert_allclose(policy, reference, atol=0.06)
    pure = [np.array([[0, 1, 0], [1, 0, 0]]), np.array([[True, False], [False, True]])]
    np.testing.assert_array_equal(checked_profile(market(), pure)[0], pure[0])


def test_a_solution_is_judged_by_its_profile():
    certificate = certify_nash(PENNIES, [[0.5, 0.5], [0.5, 0.5]])
    profile = checked_profile(PENNIES, [[0.5, 0.5], [1, 0]])
    solution = Solution(
        game=GameLabels.of(PENNIES),
        concept="nash",
        solver="nobody",
        profile=profile,
        values=certificate.values,
        certificate=certificate,
        eps=1.0,
        status=Status.certified,
        payoff_scale=2.0,
        seconds={},
    )
    assert solution.gap == 0
    assert certify_nash(PENNIES, solution).gap == 1


def test_one_state_needs_no_state_axis():
    flat = checked_profile(PENNIES, ([0.5, 0.5], [[0.25, 0.75]]))
    assert [policy.shape for policy in flat] == [(1, 2), (1, 2)]
    both = checked_profile(PENNIES, np.full((2, 1, 2), 0.5))
    assert [policy.shape for policy in both] == [(1, 2), (1, 2)]


def test_a_stationary_profile_is_played_in_every_epoch():
    tables = dataclasses.replace(market(), horizon=3)
    every = checked_profile(tables, policies())
    assert [policy.shape for policy in every] == [(3, 2, 3), (3, 2, 2)]
    assert certify_nash(tables, policies()).gap == certify_nash(tables, every).gap


def test_rows_are_renormalised_within_the_tolerance_only():
    off = checked_profile(market(), policies(first_row=(0.2, 0.3, 0.5 + 9e-9)))
    assert off[0][0].sum() == pytest.approx(1, abs=2e-16)
    with pytest.raises(BadInput, match=r"player P0, state s0: probabilities sum to 1\.00000002, not to one"):
        checked_profile(market(), policies(first_row=(0.2, 0.3, 0.5 + 2e-8)))
    with pytest.raises(BadInput, match=r"sum to 1\.0000009"):
        checked_profile(market(), [np.float32([[0.2, 0.3, 0.500001 - 1e-7], [0.5, 0.5, 0]]), policies()[1]])


def test_half_precision_is_allowed_no_more_than_single():
    """0.1 + 0.2 + 0.7 in half precision is 1 + 1.2e-4, its own resolution 9.8e-4."""
    half = np.float16([[0.1, 0.2, 0.7], [0.5, 0.5, 0]])
    with pytest.raises(BadInput, match=r"player P0, state s0: probabilities sum to 1\.0001"):
        checked_profile(market(), [half, policies()[1]])


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        (policies()[:1], "1 policies; the game has 2 players"),
        ([*policies(), [[1.0], [1.0]]], "3 policies; the game has 2 players"),
        (policies()[::-1], r"player P0 must have shape \(S, A\) = \(2, 3\); got \(2, 2\)"),
        ([policies()[0], [[1.0, 0.0]]], r"player P1 must have shape .*\(2, 2\); got \(1, 2\)"),
        ([policies()[0], [1.0, 0.0]], r"got \(2,\)"),
        ([policies()[0], 1.0], r"got \(\)"),
        ([policies()[0], [policies()[1]]], r"got \(1, 2, 2\)"),
        ([[[0.2, 0.8], [1.0]], policies()[1]], "P0 is not a rectangular array"),
        ([[["0.2", "0.3", "0.5"], ["0.5", "0.5", "0"]], policies()[1]], "entries are <U3"),
        ([np.array(policies()[0]) + 0j, policies()[1]], "entries are complex128"),
        ([[[None, 0.5, 0.5], [0.5, 0.5, 0]], policies()[1]], "player P0"),
        (policies(second_row=(np.nan, 0.5, 0.0)), "player P0, state s1: the probability of action a0 is nan"),
        (policies(second_row=(0.5, 0.5, np.nan)), "state s1: the probability of action a2 is nan"),
        (policies(other=((np.inf, 0.0), (1, 0))), "player P1, state s0: the probability of action a0 is inf"),
        (policies(first_row=(1.2, -0.2, 0.0)), "state s0: the probability of action a1 is -0.2, which is negative"),
        (policies(first_row=(1.0, -1e-12, 1e-12)), "negative"),
        (policies(second_row=(0.5, 0.25, 0.25)), "state s1: the probability of action a2 is 0.25, but .* illegal"),
        (policies(second_row=(0.5, 0.5, 1e-30)), "illegal"),
        (policies(first_row=(0.0, 0.0, 0.0)), "sum to 0, not to one"),
        ("uniform", "got str"),
        ({"profile": policies()}, "got dict"),
        (None, "got NoneType"),
        (3.0, "got float"),
        (np.array(0.5), "got ndarray"),
        ((policy for policy in policies()), "got generator"),
    ],
)
def test_refusals(profile, says):
    with pytest.raises(BadInput, match=says):
        certify_nash(market(), profile)


def test_refusals_name_the_epoch():
    tables = dataclasses.replace(market(), horizon=2)
    profile = [np.array([policy, policy]) for policy in policies()]
    profile[1][1, 0] = [0.5, 0.6]
    with pytest.raises(BadInput, match=r"player P1, epoch 1, state s0: probabilities sum to 1\.1"):
        certify_nash(tables, profile)
    with pytest.raises(BadInput, match=r"\(H, S, A\) = \(2, 2, 3\); got \(3, 2, 3\)"):
        certify_nash(tables, [np.repeat(policy[:1], 3, axis=0) for policy in profile])


def test_the_profile_is_copied_and_left_alone():
    rng = np.random.default_rng(0)
    tables = random_tables(rng, 3, (2, 2), discount=0.9)
    profile = random_profile(rng, tables)
    before = [policy.copy() for policy in profile]
    for policy in profile:
        policy.flags.writeable = False
    for field in (tables.reward, tables.kernel, tables.discount):
        field.flags.writeable = False
    checked = checked_profile(tables, profile)
    assert not any(np.shares_memory(a, b) for a, b in zip(checked, profile, strict=True))
    certificate = certify_nash(tables, profile)
    for policy, old in zip(profile, before, strict=True):
        np.testing.assert_array_equal(policy, old)
    assert not np.shares_memory(certificate.values, tables.reward)


class Chameleon:
    """An array-like that is the equilibrium when it is checked and something else when it is looked at again."""

    def __init__(self):
        self.looks = 0

    def __array__(self, dtype=None, copy=None):
        self.looks += 1
        return np.array([[0.5, 0.5]] if self.looks == 1 else [[1.0, 0.0]], dtype=dtype)


def test_a_policy_is_read_once():
    chameleon = Chameleon()
    assert certify_nash(PENNIES, [chameleon, [0.5, 0.5]]).gap == 0
    assert chameleon.looks == 1


def altered(field, value):
    """Tables that were changed after the game was checked, past the type checks of the test suite too."""
    tables = market()
    if callable(value):
        value(getattr(tables, field))
    else:
        object.__setattr__(tables, field, value)
    return tables


def poke(index, value):
    def change(array):
        array[index] = value

    return change


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("kernel", poke((1, 2, 0), [0.6, 0.6]), r"kernel at state s1, joint action \(a2, a0\)"),
        ("kernel", poke((0, 1, 1), [1.5, -0.5]), r"kernel at state s0, joint action \(a1, a1\)"),
        ("kernel", poke((0, 0, 0), np.nan), r"kernel at state s0, joint action \(a0, a0\)"),
        ("kernel", poke((0, 0, 0), [np.inf, -np.inf]), r"kernel at state s0"),
        ("kernel", np.full((2, 3, 2, 1), 1.0), r"kernel must have shape \(2, 3, 2, 2\)"),
        ("reward", poke((1, 0, 0, 0), np.nan), "rewards of player P1 run from nan"),
        ("reward", poke((0, 0, 0, 0), np.inf), "rewards of player P0 run from .* to inf"),
        ("reward", poke((0, 0, 0), [-1.7e308, 1.7e308]), "rewards of player P0"),
        ("reward", np.zeros((2, 2, 3)), "reward must have shape"),
        ("discount", np.array([0.9, 1.0]), "discount of player P1 is 1"),
        ("discount", np.array([np.nan, 0.9]), "discount of player P0 is nan"),
        ("discount", np.array([0.9]), "a discount"),
        ("horizon", 0, "horizon"),
        ("legal", (np.zeros((2, 3), bool), np.ones((2, 2), bool)), r"legal\[0\]"),
        ("legal", (np.ones((2, 3), bool), np.ones((2, 3), bool)), r"legal\[1\]"),
    ],
)
def test_tables_are_not_taken_on_trust(field, value, says):
    with pytest.raises(BadInput, match=says):
        certify_nash(altered(field, value), policies())


def test_values_beyond_float64_are_refused():
    reward = np.array([[[0.0, 1e300]]])
    tables = tables_of(reward, np.ones((1, 2, 1)), 1 - 1e-12)
    with pytest.raises(BadInput, match="beyond float64"):
        certify_nash(tables, [[1.0, 0.0]])


def test_whole_numbers_and_single_precision_tables_do_not_wrap_round():
    """int8 payoffs of 127 and -127 have a spread of 254, which int8 has not."""
    reward = np.array([[[[127, -127], [-127, 127]]], [[[-127, 127], [127, -127]]]])
    for dtype in (np.int8, np.float32, object):
        tables = dataclasses.replace(PENNIES)
        object.__setattr__(tables, "reward", reward.astype(dtype))
        assert certify_nash(tables, ([1, 0], [1, 0])).gap == 254


def test_a_game_hands_out_tables_that_certify():
    game = TabularGame.from_payoffs(
        [[[1, -1], [-1, 1]], [[-1, 1], [1, -1]]], player_labels=["even", "odd"], action_labels=[["h", "t"]] * 2
    )
    assert certify_nash(game.tables(), game.uniform_profile()).gap == 0
    with pytest.raises(BadInput, match="player odd, state 0: the probability of action t is nan"):
        certify_nash(game.tables(), ([0.5, 0.5], [0.5, np.nan]))

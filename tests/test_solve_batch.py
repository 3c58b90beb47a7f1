"""Many one-shot games in one call."""

import re
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
from batched_games import exact_gains, random_games
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import equinfer as eq
from equinfer import batches
from equinfer.batches import solve_batch
from equinfer.drivers.batch import AbstractBatchSearch, Answers

SHAPES = [(3, 3), (2, 2, 2), (1, 4), (4,), (2, 3, 4), (7, 5), (12, 12), (2, 2, 2, 2)]

PENNIES = np.array([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])
DILEMMA = np.array([[[3.0, 0.0], [5.0, 1.0]], [[3.0, 5.0], [0.0, 1.0]]])
BIASED_PENNIES = np.array([[[9.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])


def assert_nothing_false(many, payoffs):
    """Every verdict "certified" holds in exact arithmetic, and everything else is marked."""
    for b, payoff in enumerate(payoffs):
        if many.certified[b]:
            gap = max(exact_gains(payoff, [policy[b] for policy in many.profiles]))
            # The sum gap + error is rounded once when it is compared with eps.
            assert gap <= Fraction(float(many.eps[b])) * (1 + Fraction(1, 2**50))
        assert (many.statuses[b] is eq.Status.certified) == many.certified[b]


def test_known_games_in_one_batch():
    many = eq.solve_batch(np.stack([PENNIES, DILEMMA, BIASED_PENNIES] * 4))
    np.testing.assert_allclose(many.profiles[0], [[0.5, 0.5], [0, 1], [0.5, 0.5]] * 4, atol=1e-15)
    # Row is indifferent where 10 q = 2 (1 - q).
    np.testing.assert_allclose(many.profiles[1], [[0.5, 0.5], [0, 1], [1 / 6, 5 / 6]] * 4, atol=1e-15)
    np.testing.assert_allclose(many.values, [[0, 0], [1, 1], [2 / 3, 0]] * 4, atol=1e-15)
    assert many.joints is None
    assert many.certified.all()
    assert not len(many.failures)
    assert len(many) == 12
    assert set(many.messages) == {eq.Status.certified.message}
    assert "12 games, 2 x 2: nash" in repr(many)
    assert "12 certified" in repr(many)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_random_games_are_all_certified_to_rounding(shape):
    payoffs = random_games(shape, 2_000 if np.prod(shape) < 20 else 100)
    many = solve_batch(payoffs)
    assert many.certified.all()
    assert many.gaps.max() < 1e-10
    np.testing.assert_allclose(many.eps, 1e-8 * np.ptp(payoffs.reshape(*payoffs.shape[:2], -1), axis=2).max(axis=1))
    for policy, size in zip(many.profiles, shape, strict=True):
        assert policy.shape == (len(payoffs), size)
        assert policy.min() >= 0
        np.testing.assert_allclose(policy.sum(axis=1), 1, atol=1e-14)


@pytest.mark.parametrize("shape", [(3, 3), (2, 3, 4)], ids=str)
def test_certify_agrees_game_by_game(shape):
    payoffs = random_games(shape, 30, seed=1)
    many = solve_batch(payoffs)
    for b, payoff in enumerate(payoffs):
        one = eq.certify(eq.TabularGame.from_payoffs(payoff), [policy[b] for policy in many.profiles])
        assert abs(one.gap - many.gaps[b]) <= one.numerical_error + many.numerical_errors[b]
        assert one.holds(many.eps[b])


@pytest.mark.parametrize("shape", [(3, 3), (12, 12), (2, 2, 2)], ids=str)
def test_games_do_not_hear_of_each_other(shape):
    payoffs = random_games(shape, 100, seed=2)
    order = np.random.default_rng(3).permutation(100)
    many, shuffled = solve_batch(payoffs), solve_batch(payoffs[order])
    for policy, moved in zip(many.profiles, shuffled.profiles, strict=True):
        np.testing.assert_array_equal(policy[order], moved)
    np.testing.assert_array_equal(many.gaps[order], shuffled.gaps)


def test_units_and_levels_of_payoffs_change_no_answer():
    rng = np.random.default_rng(4)
    payoffs = random_games((3, 3), 300, seed=5)
    # Powers of two, and a level that is one too: the normalised games are the same up to rounding.
    unit, level = 2.0 ** rng.integers(-20, 20, size=(2, 300, 2, 1, 1))
    many, other = solve_batch(payoffs), solve_batch(unit * (payoffs + level / level.max()))
    assert many.certified.all()
    assert other.certified.all()
    for policy, same in zip(many.profiles, other.profiles, strict=True):
        np.testing.assert_allclose(policy, same, atol=1e-9)


@settings(max_examples=60)
@given(
    st.sampled_from([(3, 3), (2, 4), (2, 2, 2), (2, 3, 2)]).flatmap(
        lambda shape: arrays.arrays(np.int64, (4, len(shape), *shape), elements=st.integers(-2, 2))
    )
)
def test_ties_are_solved_and_never_falsely_certified(payoffs):
    many = solve_batch(payoffs)
    assert_nothing_false(many, payoffs)
    assert many.certified.all()


@settings(max_examples=60)
@given(
    st.sampled_from([(3, 3), (2, 2, 2)]).flatmap(
        lambda shape: st.tuples(
            arrays.arrays(np.float64, (3, len(shape), *shape), elements=st.floats(-1, 1)),
            arrays.arrays(np.float64, (3, len(shape), *shape), elements=st.floats(-3, 3)),
        )
    )
)
def test_payoffs_over_six_orders_of_magnitude_are_solved_or_marked(mantissa_and_exponent):
    mantissa, exponent = mantissa_and_exponent
    payoffs = mantissa * 10**exponent
    assert_nothing_false(solve_batch(payoffs), payoffs)


def test_dominated_actions_are_not_played():
    payoffs = random_games((3, 4), 500, seed=6)
    payoffs[:, 0, 1] = payoffs[:, 0, 0] - 0.5
    payoffs[:, 1, :, 3] = payoffs[:, 1, :, 2] - 0.5
    many = solve_batch(payoffs)
    assert many.certified.all()
    # An action that loses half a unit is played with probability 2 * gap at most.
    assert np.all(0.5 * many.profiles[0][:, 1] <= many.gaps + many.numerical_errors)
    assert np.all(0.5 * many.profiles[1][:, 3] <= many.gaps + many.numerical_errors)


def test_constant_payoffs_are_certified_with_no_tolerance_at_all():
    many = solve_batch(np.full((3, 3, 2, 2, 2), 7.0))
    assert many.certified.all()
    assert not many.eps.any()
    assert not many.gaps.any()


def test_a_game_of_three_pairs_of_matching_pennies():
    # Jordan's game: each cares for the next one only; the closed form divides by zero, the path does not.
    match = np.eye(2)
    cases = match[:, :, None], match, 1 - match[:, None]
    many = solve_batch([np.stack([np.broadcast_to(case, (2, 2, 2)) for case in cases])])
    np.testing.assert_allclose(np.stack(many.profiles), 0.5, atol=1e-14)


class Nothing(AbstractBatchSearch):
    """Finds nothing, and leaves everything as it was."""

    def __init__(self, payoffs, seed):
        self._shape = payoffs.shape

    def solve(self) -> Iterator[None]:
        yield from ()

    def answers(self):
        games, _, *sizes = self._shape
        return Answers(tuple(np.full((games, size), 1 / size) for size in sizes))


class Interrupted(Nothing):
    """The user presses Ctrl-C."""

    def solve(self):
        yield
        raise KeyboardInterrupt


def with_search(monkeypatch, search, solvers=("auto", "support")):
    row = batches._CONCEPTS["nash"]._replace(search=lambda payoffs, seed, _: search(payoffs, seed), one_by_one=solvers)
    monkeypatch.setitem(batches._CONCEPTS, "nash", row)


@pytest.mark.parametrize("solvers", [("auto",), ("support", "lemke-howson", "auto")], ids=str)
def test_what_the_search_leaves_is_solved_one_by_one(monkeypatch, solvers):
    with_search(monkeypatch, Nothing, solvers)
    for shape in ((3, 2), (2, 2, 2)):
        payoffs = random_games(shape, 4, seed=7)
        many = solve_batch(payoffs)
        assert many.certified.all()
        assert many.gaps.max() < 1e-10
        assert_nothing_false(many, payoffs)


def test_what_nobody_solves_is_marked(monkeypatch):
    with_search(monkeypatch, Nothing, ())
    many = solve_batch(np.stack([DILEMMA, PENNIES, DILEMMA]))
    np.testing.assert_array_equal(many.certified, [False, True, False])
    np.testing.assert_array_equal(many.gaps, [0.75, 0, 0.75])  # uniform play earns 9/4, the second action 3
    np.testing.assert_array_equal(many.failures, [0, 2])
    assert many.statuses[0] is eq.Status.stalled
    assert many.messages[2] == eq.Status.stalled.message
    assert "2 stalled: 0, 2" in repr(many)


def test_no_time_marks_what_is_left(monkeypatch):
    with_search(monkeypatch, Nothing)
    many = solve_batch(np.stack([DILEMMA, PENNIES]), time=0)
    assert many.statuses.tolist() == [eq.Status.out_of_time, eq.Status.certified]
    monkeypatch.undo()
    many = solve_batch(random_games((20, 20), 3_000), time=0)
    assert 0 < many.certified.sum() < 3_000
    assert set(many.statuses[many.failures]) == {eq.Status.out_of_time}
    np.testing.assert_array_equal(many.profiles[0][many.failures], 0.05)


def test_ctrl_c_hands_back_what_there_is(monkeypatch):
    with_search(monkeypatch, Interrupted)
    many = solve_batch(np.stack([DILEMMA, PENNIES]))
    assert many.statuses.tolist() == [eq.Status.interrupted, eq.Status.certified]


def cyclic(size):
    """Generalised rock, paper, scissors: for odd sizes the only equilibrium is uniform play."""
    ahead = (np.arange(size)[:, None] - np.arange(size)) % size
    win = np.where(ahead == 0, 0.0, np.where(ahead <= size // 2, 1.0, -1.0))
    return np.stack([win, -win])


def test_one_nasty_game_does_not_hold_up_the_others(monkeypatch):
    # Support enumeration would have to look at millions of supports before it comes to the full one.
    with_search(monkeypatch, Nothing, ("support",))
    monkeypatch.setattr(batches, "_SECONDS_EACH", 0.5)
    skewed = cyclic(13) * np.linspace(1, 2, 13)[:, None] * np.linspace(1, 3, 13)
    dominant = np.stack([np.tile(np.arange(13.0)[:, None], 13), np.tile(np.arange(13.0), (13, 1))])
    eq.solve(eq.TabularGame.from_payoffs(dominant), solver="support")  # compiled
    many = solve_batch(np.stack([skewed, dominant, skewed]))
    assert many.statuses.tolist() == [eq.Status.stalled, eq.Status.certified, eq.Status.stalled]
    assert "0.5 s that one game may take" in many.messages[0]
    assert many.messages[1] == eq.Status.certified.message
    assert many.seconds < 20


def test_eps_decides_the_verdict_only():
    payoffs = np.stack([PENNIES, BIASED_PENNIES])
    many = solve_batch(payoffs, eps=0)
    assert not many.certified.any()
    assert many.statuses.tolist() == [eq.Status.above_eps] * 2
    assert "float64 cannot prove more" in many.messages[0]
    np.testing.assert_array_equal(many.profiles[1], solve_batch(payoffs).profiles[1])
    np.testing.assert_array_equal(solve_batch(payoffs, eps=[0, 1e-9]).certified, [False, True])


def test_no_status_says_more_than_the_verdict(monkeypatch):
    with_search(monkeypatch, Nothing)
    many = solve_batch(random_games((2, 2, 2), 8, seed=8) + np.pi, eps=0)
    assert not many.certified.any()
    assert eq.Status.certified not in many.statuses.tolist()


def test_any_array_like_and_an_empty_batch():
    many = solve_batch(DILEMMA.astype(np.int8)[None].tolist())
    assert many.profiles[0].dtype == np.float64
    empty = solve_batch(np.empty((0, 2, 3, 4)))
    assert len(empty) == 0
    assert [policy.shape for policy in empty.profiles] == [(0, 3), (0, 4)]
    assert "0 games" in repr(empty)


def test_payoffs_of_different_games_may_be_as_far_apart_as_float64_allows():
    many = solve_batch(np.stack([8e307 * PENNIES, 5e307 * (PENNIES - 1), 1e-300 * PENNIES]))
    assert many.certified.all()
    np.testing.assert_allclose(np.stack(many.profiles), 0.5, atol=1e-14)


@pytest.mark.parametrize("exponent", [-1072, -1060, -1030, -900, 900])
@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (6, 7), (2, 3, 4)], ids=str)
def test_a_power_of_two_changes_no_answer_not_even_into_subnormal_numbers(shape, exponent):
    # Small whole numbers, so that nothing is rounded at either end.
    payoffs = np.random.default_rng(10).integers(-2, 3, size=(60, len(shape), *shape)).astype(float)
    many, other = solve_batch(payoffs), solve_batch(np.ldexp(payoffs, exponent))
    assert other.seconds < 20  # each is solved as quickly as an ordinary game, not handed to slow solvers
    for policy, same in zip(many.profiles, other.profiles, strict=True):
        np.testing.assert_array_equal(policy, same)
    assert other.certified.all() == (exponent > -1040)  # below, 1e-8 of the payoffs is no number
    assert_nothing_false(other, np.ldexp(payoffs, exponent))
    for message in other.messages:
        assert message == eq.Status.certified.message or "float64 cannot prove more" in message


def test_players_of_one_game_may_count_in_very_different_units():
    payoffs = random_games((3, 3), 500, seed=11) * np.array([1e6, 1e-6])[:, None, None]
    many = solve_batch(payoffs)
    assert many.certified.all()
    # Each player's gap is small beside its own stakes, so that there is nothing to warn of.
    assert np.all(many.per_player <= 1e-12 * many.payoff_scales)
    assert not many.warnings
    assert not many.small_stakes.any()


def test_a_gap_that_is_small_only_beside_the_stakes_of_others_is_warned_of(monkeypatch):
    with_search(monkeypatch, Nothing, ())
    payoffs = np.stack([np.stack([PENNIES[0], 1e-9 * DILEMMA[1]]), PENNIES, np.stack([1e3 * PENNIES[0], DILEMMA[1]])])
    many = solve_batch(payoffs, eps=[1e-8, 1e-8, 1e-8])
    one = eq.certify(eq.TabularGame.from_payoffs(payoffs[0]), [policy[0] for policy in many.profiles])
    assert many.certified.tolist() == [True, True, False]
    assert many.warnings == {0: one.warnings(1e-8)} != {0: ()}
    assert many.small_stakes.tolist() == [[False, True], [False, False], [False, False]]
    assert "1 with a warning" in repr(many)


@pytest.mark.parametrize("shape", [(1,), (1, 1), (1, 1, 1, 1), (1, 20), (20, 1), (1, 2, 9), (4, 1, 3)], ids=str)
def test_players_without_a_choice(shape):
    payoffs = random_games(shape, 50, seed=12)
    many = solve_batch(payoffs)
    assert many.certified.all()
    assert_nothing_false(many, payoffs)
    if max(shape) == np.prod(shape):  # one player has a choice, or none
        assert not many.gaps.any()


@pytest.mark.parametrize("as_given", [np.asfortranarray, lambda p: p[::2], lambda p: p.astype(np.float32), list])
def test_the_answers_do_not_depend_on_how_payoffs_are_stored(as_given):
    payoffs = np.random.default_rng(13).integers(-9, 9, size=(40, 2, 3, 4))
    given = as_given(payoffs)
    many, plain = solve_batch(given), solve_batch(np.array(given, np.float64))
    for policy, same in zip(many.profiles, plain.profiles, strict=True):
        np.testing.assert_array_equal(policy, same)


def spoilt(value, player=1, cell=(0, 1)):
    payoffs = np.stack([PENNIES] * 3)
    payoffs[(2, player, *cell)] = value
    return payoffs


@pytest.mark.parametrize(
    ("payoffs", "says"),
    [
        (spoilt(np.nan), r"game 2, player 1, joint action \(0, 1\): the payoff is nan"),
        (spoilt(np.inf, player=0), r"game 2, player 0, joint action \(0, 1\): the payoff is inf"),
        ([PENNIES, np.zeros((2, 2, 3))], r"game 1, player 0: payoffs of shape \(2, 3\)"),
        ([[[[1, 2], [3, 4]], [[1, 2], [3]]]], "game 0, player 1: the payoffs are not a rectangular array"),
        ([PENNIES, PENNIES[:1]], "game 1"),
        ([PENNIES, [["a", "b"], ["c", "d"]]], r"game 1, player 0: payoffs of shape \(2,\)"),
        (PENNIES, "got 2 players but 1 action axes, "),
        (np.zeros((4, 3, 2, 2)), "got 3 players but 2 action axes"),
        (np.zeros(3), r"shape \(B, N, A_1, ..., A_N\); got \(3,\)"),
        (np.zeros((3, 2, 2, 0)), "empty axis"),
        (np.ones((3, 2, 2, 2), complex), "real numbers; got complex128"),
        ([[["a", "b"]]], "real numbers"),
        (np.stack([PENNIES, 1.7e308 * PENNIES]), "game 1, player 0: the spread of the payoffs is beyond float64"),
        (np.broadcast_to(0.0, (10**12, 2, 3, 3)), "GiB"),
    ],
)
def test_bad_payoffs_are_refused_in_one_sentence(payoffs, says):
    with pytest.raises(eq.BadInput, match=says) as refusal:
        solve_batch(payoffs)
    assert refusal.value.exit_code == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"eps": -1}, "eps must be a finite number, at least 0; got -1"),
        ({"eps": True}, "eps must be a finite number, at least 0; got True"),
        ({"eps": "1"}, "eps must be a finite number, at least 0; got '1'"),
        ({"eps": [1, 2]}, "eps must be a number, or one for each of 1 games; got [1, 2]"),
        ({"eps": [[1], [1, 2]]}, "eps must be a number, or one for each of 1 games"),
        ({"eps": [True]}, "eps must be a number, or one for each of 1 games"),
        ({"eps": [np.nan]}, "eps of game 0 must be a finite number, at least 0; got nan"),
        ({"time": np.nan}, "time must be a finite number, at least 0; got nan"),
        ({"time": True}, "time must be a finite number, at least 0; got True"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_bad_arguments_are_refused(arguments, says):
    with pytest.raises(eq.BadInput, match=re.escape(says)):
        solve_batch(PENNIES[None], **arguments)


def test_a_concept_that_is_no_name_is_refused():
    # Behind the signature, since type checks are on here.
    with pytest.raises(eq.BadInput, match=r"concept must be a name; got \['nash'\]"):
        batches._known(["nash"])


def test_an_unknown_concept_is_an_unknown_name():
    with pytest.raises(eq.UnknownName, match="unknown concept of solve_batch 'nahs'; did you mean 'nash'") as refusal:
        solve_batch(PENNIES[None], "nahs")
    assert refusal.value.exit_code == 2


def test_the_name_alone_loads_no_jax():
    code = "import sys, equinfer as eq; assert 'solve_batch' in dir(eq) and 'jax' not in sys.modules"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr

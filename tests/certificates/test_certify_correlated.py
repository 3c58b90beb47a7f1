"""Swap and fixed gains against brute force, linear programmes, and what must not change them."""

import dataclasses
import itertools

import numpy as np
import pytest
from exact_games import one_shot, random_profile, random_tables, tables_of
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from equinfer.answer import Joint, product
from equinfer.certificates import certify_nash
from equinfer.certificates.correlated import certify_coarse_correlated, certify_correlated
from equinfer.errors import BadInput
from equinfer.tables import SuccessorLists

CHICKEN = one_shot([[[6, 2], [7, 0]], [[6, 7], [2, 0]]])


def random_joint(rng, tables, *lead):
    joint = rng.random((*lead, *tables.legal_joint.shape)) ** 4 * tables.legal_joint
    return joint / joint.sum(axis=tuple(range(-tables.num_players, 0)), keepdims=True)


def moved(joint, swap, player):
    """The law (S, *A) after `swap` (S, A_i) has been done to the player's part."""
    out = np.zeros_like(joint)
    for index in np.ndindex(joint.shape):
        target = list(index)
        target[1 + player] = swap[index[0], index[1 + player]]
        out[tuple(target)] += joint[index]
    return out


def fixed(joint, choice, player):
    """The law after the player has done `choice` (S,) whatever it was told."""
    return moved(joint, np.repeat(choice[:, None], joint.shape[1 + player], axis=1), player)


def value(tables, joint, player):
    """Of a stationary law, by a linear solve written out."""
    num_states = len(joint)
    weights = joint.reshape(num_states, -1)
    chain = np.einsum("sj,sjt->st", weights, tables.kernel.reshape(num_states, -1, num_states))
    reward = (weights * tables.reward[player].reshape(num_states, -1)).sum(axis=1)
    return np.linalg.solve(np.eye(num_states) - tables.discount[player] * chain, reward)


def pure_rules(tables, player, size):
    """Every map from (state, one of `size` things told) to a legal action."""
    allowed = [np.flatnonzero(row) for row in tables.legal[player] for _ in range(size)]
    for choice in itertools.product(*allowed):
        yield np.array(choice).reshape(tables.num_states, size)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("discount", [0.5, 0.9])
def test_swaps_against_every_stationary_deviation(seed, discount):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 2, (2, 3), discount=[discount, 0.8], illegal=0.2)
    joint = random_joint(rng, tables)
    certificate = certify_correlated(tables, Joint(joint))
    coarse = certify_coarse_correlated(tables, Joint(joint))
    for player in range(2):
        obeying = value(tables, joint, player)
        size = tables.num_actions[player]
        swaps = [value(tables, moved(joint, s, player), player) for s in pure_rules(tables, player, size)]
        constant = [value(tables, fixed(joint, s[:, 0], player), player) for s in pure_rules(tables, player, 1)]
        np.testing.assert_allclose(certificate.values[player], obeying, atol=1e-12)
        # The best deviation is the best in every state at once.
        np.testing.assert_allclose(certificate.deviation(player).gain, np.max(swaps, axis=0) - obeying, atol=1e-12)
        gain = np.maximum(np.max(constant, axis=0) - obeying, 0)
        np.testing.assert_allclose(coarse.deviation(player).gain, gain, atol=1e-12)
        assert np.all(coarse.deviation(player).gain <= certificate.deviation(player).gain + 1e-12)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("horizon", [None, 3])
def test_the_deviation_does_what_it_says(told, horizon):
    """Play the deviation that the certificate names, and find the gain that it states."""
    rng = np.random.default_rng(11)
    tables = random_tables(rng, 3, (3, 2, 2), discount=0.9, horizon=horizon, illegal=0.2)
    joint = random_joint(rng, tables, *(() if horizon is None else (horizon,)))
    certificate = (certify_correlated if told else certify_coarse_correlated)(tables, Joint(joint))
    assert certificate.gap > 0.1
    for player in range(3):
        policy = certificate.deviation(player).policy
        size = tables.num_actions[player]
        lead = joint.shape[:-3]
        assert policy.shape == ((*lead, size, size) if told else (*lead, size))
        mass = np.moveaxis(joint, -3 + player, -1).sum(axis=(-3, -2))
        played = policy * (mass[..., None] > 0) if told else policy
        legal = tables.legal[player][:, None] if told else tables.legal[player]
        assert not (played * ~legal).any()
        rule = policy.argmax(axis=-1)
        change = moved if told else fixed
        if horizon is None:
            gained = value(tables, change(joint, rule, player), player) - value(tables, joint, player)
        else:
            obeying = deviating = np.zeros(3)
            gained = np.empty((3, 3))
            for t in reversed(range(3)):
                rows = [joint[t].reshape(3, -1), change(joint[t], rule[t], player).reshape(3, -1)]
                both = []
                for row, ahead in zip(rows, (obeying, deviating), strict=True):
                    q = tables.reward[player] + tables.discount[player] * tables.kernel @ ahead
                    both.append((row * q.reshape(3, -1)).sum(axis=1))
                obeying, deviating = both
                gained[t] = deviating - obeying
        np.testing.assert_allclose(certificate.deviation(player).gain, np.maximum(gained, 0), atol=1e-12)


def programme(tables, joint, player, *, told):
    """The gain of the best deviation of one player in a one-shot game, as a linear programme over what it does."""
    own = np.moveaxis(joint[0], player, 0).reshape(joint.shape[1 + player], -1)
    payoff = np.moveaxis(tables.reward[player, 0], player, 0).reshape(own.shape)
    worth = own @ payoff.T  # (told, done)
    size = len(worth)
    if not told:
        worth = worth.sum(axis=0, keepdims=True)
    rows = np.kron(np.eye(len(worth)), np.ones(size))
    best = linprog(-worth.ravel(), A_eq=rows, b_eq=np.ones(len(worth)), method="highs")
    return -best.fun - (own * payoff).sum()


@pytest.mark.parametrize("num_actions", [(60, 60), (8, 8, 8, 8), (2, 3, 4), (5,)])
def test_one_shot_gains_against_linear_programmes(num_actions):
    rng = np.random.default_rng(3)
    tables = one_shot(rng.normal(size=(len(num_actions), *num_actions)))
    joint = random_joint(rng, tables)
    for certify, told in ((certify_correlated, True), (certify_coarse_correlated, False)):
        certificate = certify(tables, Joint(joint))
        expected = [max(programme(tables, joint, i, told=told), 0) for i in range(len(num_actions))]
        np.testing.assert_allclose(certificate.per_player, expected, atol=1e-9)
        assert certificate.numerical_error < 1e-10
        assert certificate.gap == certificate.per_player.max()


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=60)
@given(seeds, st.lists(st.integers(1, 3), min_size=1, max_size=3))
def test_of_a_product_law_the_three_gaps_of_a_one_shot_game_are_one(seed, num_actions):
    """What a player is told then says nothing about the others."""
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 1, num_actions, discount=0.0, illegal=0.2)
    profile = random_profile(rng, tables)
    nash = certify_nash(tables, profile)
    for certify in (certify_correlated, certify_coarse_correlated):
        certificate = certify(tables, profile)
        slack = nash.numerical_error + certificate.numerical_error
        np.testing.assert_allclose(certificate.per_player, nash.per_player, atol=slack)
        np.testing.assert_allclose(certificate.values, nash.values, atol=slack)


@settings(max_examples=40)
@given(seeds, st.sampled_from([0.0, 0.9, 0.999]), st.sampled_from([None, 3]))
def test_a_fixed_deviation_is_a_swap_and_a_nash_deviation_of_a_product_is_fixed(seed, discount, horizon):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 2, (3, 2), discount=discount, horizon=horizon, illegal=0.2)
    profile = random_profile(rng, tables)
    nash, swap, coarse = (f(tables, profile) for f in (certify_nash, certify_correlated, certify_coarse_correlated))
    slack = nash.numerical_error + swap.numerical_error + coarse.numerical_error
    assert np.all(coarse.per_player <= swap.per_player + slack)
    np.testing.assert_allclose(swap.per_player, nash.per_player, atol=slack)
    np.testing.assert_allclose(coarse.per_player, nash.per_player, atol=slack)


@settings(max_examples=40)
@given(seeds, st.sampled_from([0.0, 0.9]), st.sampled_from([1e-6, 1.0, 1e6]), st.sampled_from([0.0, 1e4]))
def test_levels_and_units_and_orders_change_nothing(seed, discount, unit, level):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 2, (2, 3), discount=discount)
    joint = random_joint(rng, tables)
    other = tables_of(unit * (tables.reward + level), tables.kernel, discount)
    order = rng.permutation(3)
    turned = tables_of(tables.reward[:, :, :, order], tables.kernel[:, :, order], discount)
    for certify in (certify_correlated, certify_coarse_correlated):
        plain, scaled = certify(tables, Joint(joint)), certify(other, Joint(joint))
        slack = plain.numerical_error + scaled.numerical_error / unit + 1e-15 * (1 + level) / (1 - discount)
        np.testing.assert_allclose(scaled.per_player / unit, plain.per_player, atol=slack)
        permuted = certify(turned, Joint(joint[:, :, order]))
        np.testing.assert_allclose(permuted.per_player, plain.per_player, atol=2 * plain.numerical_error)


def test_lists_of_successors_are_judged_like_the_table():
    rng = np.random.default_rng(5)
    tables = random_tables(rng, 4, (2, 3), discount=0.9)
    joint = random_joint(rng, tables)
    successors = np.broadcast_to(np.arange(4), tables.kernel.shape).copy()
    listed = dataclasses.replace(tables, kernel=SuccessorLists(successors, tables.kernel))
    for certify in (certify_correlated, certify_coarse_correlated):
        dense, sparse = certify(tables, Joint(joint)), certify(listed, Joint(joint))
        np.testing.assert_allclose(sparse.per_player, dense.per_player, atol=2 * dense.numerical_error)


def test_chicken():
    """Swerve-swerve and the two where one dares, a third each: obedience is exact, and welfare 28/3."""
    thirds = np.array([[1, 1], [1, 0]]) / 3
    assert certify_correlated(CHICKEN, Joint(thirds[None])).gap == 0
    best = np.array([[0.5, 0.25], [0.25, 0.0]])
    certificate = certify_correlated(CHICKEN, Joint(best[None]))
    assert certificate.gap <= certificate.numerical_error
    assert certificate.values.sum() == pytest.approx(10.5, abs=1e-14)
    # Told to swerve when the other surely swerves, each would rather dare.
    wrong = certify_correlated(CHICKEN, Joint(np.array([[[1.0, 0], [0, 0]]])))
    assert wrong.gap == 1
    np.testing.assert_array_equal(wrong.deviation(0).policy[0, 0], [0, 1])


@pytest.mark.parametrize(
    ("joint", "says"),
    [
        ([[[0.5, 0.6], [-0.1, 0]]], r"state s0: the probability of joint action \(a1, a0\) is -0.1, which is negative"),
        ([[[0.5, 0.6], [0.1, 0]]], "joint law, state s0: the probabilities sum to 1.2, not to one"),
        ([[[np.nan, 0.6], [0.1, 0]]], r"joint action \(a0, a0\) is nan, which is not a finite number"),
        ([[0.5, 0.5, 0], [0, 0, 0]], r"must have shape \(S, A_1, ..., A_N\) = \(1, 2, 2\); got \(2, 3\)"),
        ([[["a", 0.5], [0, 0]]], "the joint law is not a rectangular array of real numbers"),
    ],
)
def test_what_is_no_joint_law_is_refused(joint, says):
    for certify in (certify_correlated, certify_coarse_correlated):
        with pytest.raises(BadInput, match=says):
            certify(CHICKEN, Joint(np.array(joint)))


def test_mass_on_illegal_joint_actions_is_refused():
    tables = tables_of(
        np.zeros((2, 1, 2, 2)), np.ones((1, 2, 2, 1)), legal=(np.array([[True, False]]), np.ones((1, 2), bool))
    )
    with pytest.raises(
        BadInput, match=r"state s0: the probability of joint action \(a1, a0\) is 0.5, but it is illegal"
    ):
        certify_correlated(tables, Joint(np.array([[[0.5, 0], [0.5, 0]]])))


def test_epochs_and_shapes_without_a_state():
    rng = np.random.default_rng(2)
    tables = random_tables(rng, 2, (2, 2), discount=1.0, horizon=2)
    joint = random_joint(rng, tables)
    every = certify_correlated(tables, Joint(np.stack([joint, joint])))
    np.testing.assert_array_equal(certify_correlated(tables, Joint(joint)).values, every.values)
    bad = np.stack([joint, joint])
    bad[1, 0] *= 1.1
    with pytest.raises(BadInput, match=r"joint law, epoch 1, state s0: the probabilities sum to 1\.1"):
        certify_correlated(tables, Joint(bad))
    thirds = np.array([[1, 1], [1, 0]]) / 3
    assert certify_correlated(CHICKEN, Joint(thirds)).gap == certify_correlated(CHICKEN, thirds).gap == 0
    product_law = product((np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])))
    assert certify_correlated(CHICKEN, Joint(product_law)).gap == pytest.approx(
        certify_correlated(CHICKEN, ([0.5, 0.5], [0.25, 0.75])).gap, abs=1e-15
    )

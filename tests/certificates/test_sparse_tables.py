"""Certificates of kernels by lists: the gap of the table, the bound covers the truth, and no table is built."""

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from exact_games import random_profile, random_tables, true_gains
from hypothesis import given, settings
from hypothesis import strategies as st

from equinfer.certificates import certify_nash
from equinfer.certificates.decision import MarkovChain
from equinfer.certificates.lists import matrix_of
from equinfer.errors import BadInput
from equinfer.tables import SuccessorLists


def as_lists(tables, rng):
    """The same game by lists: shuffled, each split in two parts, padded."""
    num_states = tables.num_states
    shape = tables.kernel.shape[:-1]
    order = rng.permuted(np.broadcast_to(np.arange(num_states), tables.kernel.shape), axis=-1)
    whole = np.take_along_axis(tables.kernel, order, axis=-1)
    successors = np.concatenate([order, order, np.zeros((*shape, 1), int)], axis=-1)
    probabilities = np.concatenate([whole / 4, whole * 0.75, np.zeros((*shape, 1))], axis=-1)
    return dataclasses.replace(tables, kernel=SuccessorLists(successors.astype(np.int32), probabilities))


def as_table(tables):
    """The game of the lists as a table, in exact arithmetic where halves and quarters make it so."""
    lists, table = tables.kernel, np.zeros((*tables.kernel.successors.shape[:-1], tables.num_states))
    for index in np.ndindex(lists.successors.shape):
        table[(*index[:-1], lists.successors[index])] += lists.probabilities[index]
    return dataclasses.replace(tables, kernel=table)


@settings(max_examples=80)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.sampled_from([(0.0, None), (0.9, None), (0.9999, None), (1.0, 3), (0.7, 1)]),
    st.integers(-6, 6),
)
def test_lists_and_table_have_one_gap(seed, num_actions, duration, power):
    rng = np.random.default_rng(seed)
    discount, horizon = duration
    tables = random_tables(
        rng, 4, num_actions, discount=discount, horizon=horizon, scale=10.0**power, level=3.0, illegal=0.2
    )
    profile = random_profile(rng, tables)
    sparse, dense = certify_nash(as_lists(tables, rng), profile), certify_nash(tables, profile)
    assert abs(sparse.gap - dense.gap) <= sparse.numerical_error + dense.numerical_error
    np.testing.assert_allclose(
        sparse.per_player, dense.per_player, rtol=0, atol=sparse.numerical_error + dense.numerical_error
    )
    assert sparse.numerical_error <= 10 * dense.numerical_error  # lists of 9 entries for rows of 4


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 3), min_size=1, max_size=3),
    st.sampled_from([0.0, 0.9, 0.999999]),
    st.sampled_from([None, 2]),
)
def test_the_bound_covers_the_truth(seed, num_actions, discount, horizon):
    """Against rational arithmetic on the table that the lists add up to, exactly: their entries are dyadic."""
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 2, num_actions, discount=discount, horizon=horizon, illegal=0.2)
    first = np.round(tables.kernel[..., :1] * 2**20) / 2**20
    tables = as_lists(dataclasses.replace(tables, kernel=np.concatenate([first, 1 - first], axis=-1)), rng)
    profile = random_profile(rng, tables)
    certificate = certify_nash(tables, profile)
    gains, _ = true_gains(as_table(tables), profile)
    exact = max(np.array(gain).max() for gain in gains)
    assert abs(Fraction(certificate.gap) - exact) <= certificate.numerical_error


def ring(num_states, rng):
    """A walk around a ring: two players push either way, one of three successors follows."""
    here = np.arange(num_states)[:, None, None, None]
    push = np.array([-1, 1])
    drift = push[:, None] + push[None, :]
    successors = (here + drift[..., None] + np.array([-1, 0, 1])) % num_states
    probabilities = rng.dirichlet(np.ones(3), size=(num_states, 2, 2))
    return SuccessorLists(successors.astype(np.int32), probabilities)


def test_a_game_whose_table_would_not_fit_is_judged():
    """20,000 states: a table would take 13 GB. Nobody's reward depends on anything, so that the gap is 0, and a
    player who is paid for one action alone gains exactly that by playing it: 1 / (1 - 0.9).
    """
    rng = np.random.default_rng(0)
    small = random_tables(rng, 1, (2, 2))
    num_states = 20_000
    reward = np.zeros((2, num_states, 2, 2))
    reward[0, :, 1] = 1.0
    tables = dataclasses.replace(
        small,
        reward=reward,
        kernel=ring(num_states, rng),
        discount=np.array([0.9, 0.99]),
        initial=np.full(num_states, 1 / num_states),
        legal=(np.ones((num_states, 2), bool),) * 2,
        state_labels=tuple(map(str, range(num_states))),
    )
    profile = [np.broadcast_to([1.0, 0.0], (num_states, 2)), np.full((num_states, 2), 0.5)]
    certificate = certify_nash(tables, profile)
    assert certificate.gap == pytest.approx(10.0, abs=certificate.numerical_error + 1e-14)
    assert certificate.numerical_error < 1e-10
    assert certificate.per_player[1] == pytest.approx(0.0, abs=certificate.numerical_error)
    best = certify_nash(tables, [profile[0][:, ::-1], profile[1]])
    assert best.gap <= best.numerical_error


@pytest.mark.parametrize("discount", [0.0, 0.9, 0.99999])
def test_sparse_values_solve_their_equation(discount):
    rng = np.random.default_rng(1)
    lists = ring(900, rng)
    chain = matrix_of(SuccessorLists(lists.successors[:, 0, 0], lists.probabilities[:, 0, 0]), 900)
    reward = rng.normal(size=900)
    values = MarkovChain(chain, discount).values(reward)
    np.testing.assert_allclose(reward + discount * (chain @ values), values, rtol=0, atol=4e-15 * np.abs(values).max())
    dense = MarkovChain(chain.toarray(), discount).values(reward)
    np.testing.assert_allclose(values, dense, rtol=0, atol=1e-14 * np.abs(values).max() / (1 - discount))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda s, p: (s + 1, p), "successors must be whole numbers from 0 to 2"),
        (lambda s, p: (-s, p), "successors must be whole numbers from 0 to 2"),
        (lambda s, p: (s.astype(float), p), "successors must be whole numbers"),
        (lambda s, p: (s[..., :2], p), "lists of successors must have shape"),
        (lambda s, p: (s, p * 1.01), "not probabilities that sum to one"),
        (lambda s, p: (s, np.where(p == 0, np.nan, p)), "not probabilities that sum to one"),
        (lambda s, p: (s, np.where(p == p.max(), -p, p)), "not probabilities that sum to one"),
    ],
)
def test_lists_that_are_no_kernel_are_refused(change, says):
    rng = np.random.default_rng(2)
    tables = as_lists(random_tables(rng, 3, (2, 2)), rng)
    changed = dataclasses.replace(tables, kernel=SuccessorLists(*change(*tables.kernel)))
    with pytest.raises(BadInput) as caught:
        certify_nash(changed, random_profile(rng, tables))
    assert says in str(caught.value)

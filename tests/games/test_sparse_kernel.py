"""Kernels by lists of successors: every question answered as the table answers it, and hostile lists refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import equinfer as eq
from equinfer.contraction import product_law
from equinfer.errors import BadInput
from equinfer.games import structure
from equinfer.games.chains import DenseChain, SparseChain
from equinfer.games.kernels import DenseKernel, SparseKernel
from equinfer.tables import refuse_unless_it_fits

fixed = settings(max_examples=40)
seeds = st.integers(0, 2**32 - 1)
shapes = st.lists(st.integers(1, 3), min_size=1, max_size=3)


def random_lists(rng, num_states, num_actions, length):
    """Lists with repetitions, padding in the middle, and padding that names no state."""
    shape = (num_states, *num_actions, length)
    successors = rng.integers(num_states, size=shape)
    weights = np.where(rng.random(shape) < 0.3, 0.0, rng.random(shape))
    weights[..., 0] += 0.1
    successors = np.where((weights == 0) & (rng.random(shape) < 0.5), -7, successors)
    return successors, weights / weights.sum(axis=-1, keepdims=True)


def table_of(successors, probabilities):
    """The dense table, entry by entry."""
    table = np.zeros((*successors.shape[:-1], len(successors)))
    for index in np.ndindex(successors.shape):
        if probabilities[index] > 0:
            table[(*index[:-1], successors[index])] += probabilities[index]
    return table


def pair(seed, num_actions, num_states=5, length=3):
    """The same kernel, as lists and as a table, as a game holds them."""
    rng = np.random.default_rng(seed)
    successors, probabilities = random_lists(rng, num_states, num_actions, length)
    reward = rng.normal(size=(len(num_actions), num_states, *num_actions))
    sparse = eq.TabularGame(reward, SparseKernel(successors, probabilities), discount=0.9)
    dense = eq.TabularGame(reward, table_of(successors, probabilities), discount=0.9)
    assert isinstance(sparse.kernel, SparseKernel)
    assert isinstance(dense.kernel, DenseKernel)
    profile = tuple(rng.dirichlet(np.ones(size), size=num_states) for size in num_actions)
    return sparse.kernel, dense.kernel, profile, rng


@fixed
@given(seeds, shapes)
def test_lists_answer_as_the_table_does(seed, num_actions):
    sparse, dense, profile, rng = pair(seed, num_actions)
    close = {"rtol": 0, "atol": 1e-14}
    np.testing.assert_allclose(sparse.dense(), dense.dense(), **close)
    value, states = rng.normal(size=(2, 3, 5)), np.array([3, 0, 3])
    for given_states in (None, states):
        found, expected = (k.expect(value, given_states) for k in (sparse, dense))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
        np.testing.assert_allclose(sparse.expect(jnp.asarray(value), given_states), expected, rtol=0, atol=1e-14)
    law = product_law(profile)
    np.testing.assert_allclose(sparse.pushforward(law), dense.pushforward(law), **close)
    np.testing.assert_allclose(sparse.pushforward(jnp.asarray(law)), dense.pushforward(law), **close)
    for player in range(len(num_actions)):
        own = [kernel.induced_own(player, profile) for kernel in (sparse, dense)]
        np.testing.assert_allclose(own[0].matrix().toarray(), own[1].matrix.reshape(-1, 5), **close)
        np.testing.assert_allclose(own[0].expect(value[0]), own[1].expect(value[0]), **close)


@fixed
@given(seeds, shapes, st.sampled_from([0.0, 0.5, 0.99]), st.booleans())
def test_chains_by_lists_are_worth_as_much(seed, num_actions, discount, alike):
    sparse, dense, profile, rng = pair(seed, num_actions)
    rates = np.full(2, discount) if alike else np.array([discount, 0.3])
    reward = rng.normal(size=(3, 2, 5))
    chain, other = sparse.induced(profile), dense.induced(profile)
    expected = np.stack(
        [np.linalg.solve(np.eye(5) - g * other.matrix, reward[:, i].T).T for i, g in enumerate(rates)], 1
    )
    size = 1 / (1 - discount)
    for found in (chain.values(reward, rates), other.values(reward, rates)):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12 * size)
    stopped = [each.stopped(np.array([1, 4])).values(reward, rates) for each in (chain, other)]
    np.testing.assert_allclose(*stopped, rtol=0, atol=1e-12 * size)
    np.testing.assert_allclose(stopped[0][..., [1, 4]], reward[..., [1, 4]], rtol=1e-14)


def test_traced_chains_keep_64_bits_and_serve_every_seed():
    sparse, dense, profile, rng = pair(3, (2, 2))
    reward, rates = rng.normal(size=(4, 2, 5)), np.array([0.9, 0.99])
    traced = jax.jit(jax.vmap(lambda r: sparse.induced(tuple(map(jnp.asarray, profile))).values(r, jnp.asarray(rates))))
    expected = dense.induced(profile).values(reward, rates)
    np.testing.assert_allclose(traced(reward), expected, rtol=0, atol=1e-12)


def test_laws_in_batches_are_chains_one_by_one():
    sparse, dense, _, rng = pair(4, (2, 3))
    laws = rng.dirichlet(np.ones(6), size=(2, 3, 5)).reshape(2, 3, 5, 2, 3)
    value = rng.normal(size=5)
    for index in np.ndindex(2, 3):
        expected = dense.induced_by(laws).at(index).expect(value)
        np.testing.assert_allclose(sparse.induced_by(laws).at(index).expect(value), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("discount", [0.9, 0.9999])
@pytest.mark.parametrize("shape", ["cycle", "random", "line"])
def test_large_chains_are_solved_to_rounding(discount, shape):
    """One that mixes at once, and two that a Krylov method alone would crawl along; the residual is the proof."""
    rng = np.random.default_rng(0)
    size = 1500
    here = np.arange(size)
    if shape == "random":
        successors, weights = rng.integers(size, size=(size, 4)), rng.dirichlet(np.ones(4), size=size)
    elif shape == "cycle":
        successors, weights = (here[:, None] + 1) % size, np.ones((size, 1))
    else:
        successors = np.clip(here[:, None] + [-1, 1], 0, size - 1)
        weights = rng.dirichlet(np.ones(2), size=size)
    chain = SparseChain(successors, weights, size)
    reward = rng.normal(size=(1, size))
    value = chain.values(reward, np.array([discount]))
    residual = reward + discount * chain.expect(value) - value
    assert np.abs(residual).max() <= 2e-14 * np.abs(value).max()


def test_draws_follow_the_lists():
    """20,000 draws of three rows: each frequency within 5 standard deviations, false alarm below 1e-5."""
    sparse, dense, _, _ = pair(5, (2, 2))
    states, actions = np.array([0, 2, 4]), np.array([[0, 1], [1, 1], [0, 0]])
    keys = jax.random.split(jax.random.key(0), 20_000)
    drawn = np.asarray(jax.vmap(lambda key: sparse.draw(states, jnp.asarray(actions), key))(keys))
    for k, (state, action) in enumerate(zip(states, actions, strict=True)):
        law = dense.dense()[(state, *action)]
        frequency = np.bincount(drawn[:, k], minlength=5) / len(drawn)
        assert np.all(np.abs(frequency - law) <= 5 * np.sqrt(law * (1 - law) / len(drawn)))


def test_lists_are_kept_in_order_without_repetitions():
    kernel = SparseKernel(
        [[[2, 0, 2, 9]], [[1, 1, 0, 0]], [[2, 2, 2, 2]]], [[[0.25, 0.5, 0.25, 0]], [[0.5, 0.5, 0, 0]], [[0.25] * 4]]
    )
    kept = eq.TabularGame(np.zeros((1, 3, 1)), kernel, discount=0.5).kernel
    np.testing.assert_array_equal(kept.successors, [[[0, 2]], [[1, 1]], [[2, 2]]])
    np.testing.assert_array_equal(kept.probabilities, [[[0.5, 0.5]], [[1, 0]], [[1, 0]]])


def test_illegal_joint_actions_stay_whatever_is_listed():
    successors = np.array([[[5], [0]], [[0], [1]]])
    probabilities = np.array([[[np.nan], [1.0]], [[1.0], [1.0]]])
    legal = [np.array([[False, True], [True, True]])]
    game = eq.TabularGame(np.zeros((1, 2, 2)), SparseKernel(successors, probabilities), discount=0.5, legal=legal)
    np.testing.assert_array_equal(game.kernel.dense()[0, 0], [1, 0])


def test_large_tables_with_few_successors_are_kept_as_lists():
    size = 600
    table = np.zeros((size, 2, size))
    table[np.arange(size), 0, (np.arange(size) + 1) % size] = 1.0
    table[np.arange(size), 1, :3] = [0.5, 0.25, 0.25]
    kernel = eq.TabularGame(np.zeros((1, size, 2)), table, discount=0.5).kernel
    assert isinstance(kernel, SparseKernel)
    assert kernel.successors.shape == (size, 2, 3)
    np.testing.assert_array_equal(kernel.dense(), table)
    full = np.full((size, 1, size), 1 / size)
    assert isinstance(eq.TabularGame(np.zeros((1, size, 1)), full, discount=0.5).kernel, DenseKernel)


@pytest.mark.parametrize(
    ("successors", "probabilities", "says"),
    [
        ([[[0], [1]], [[2], [0]]], np.ones((2, 2, 1)), "state low, joint action (stay): successor 2 is no state"),
        ([[[0], [1]], [[-1], [0]]], np.ones((2, 2, 1)), "state low, joint action (stay): successor -1 is no state"),
        (np.tile([0, 1], (2, 2, 1)), np.full((2, 2, 2), 0.4), "high, joint action (stay): probabilities sum"),
        ([[[0], [1]], [[0], [1]]], [[[1], [np.nan]], [[1], [1]]], "(go): probability nan of successor 1"),
        (np.tile([0, 1], (2, 2, 1)), [[[1, 0], [1.5, -0.5]], [[1, 0], [1, 0]]], "probability -0.5 of successor 1"),
        (np.zeros((2, 2, 1)), np.ones((2, 2, 1)), "successors of a sparse kernel must be whole numbers; got float64"),
        ([[[0], [1]], [[0], [1]]], np.ones((2, 2, 2)), "successors and probabilities of one shape"),
        (np.zeros((2, 3, 1), int), np.ones((2, 3, 1)), "a sparse kernel must have shape (2, 2, 'M')"),
        (np.zeros((2, 2, 0), int), np.ones((2, 2, 0)), "with M >= 1"),
        ([[[0], [1]], [[0]]], np.ones((2, 2, 1)), "successors of a sparse kernel is not a rectangular array"),
        ([[[2**40], [1]], [[0], [1]]], np.ones((2, 2, 1)), "beyond any state"),
    ],
)  # fmt: skip
def test_hostile_lists_are_refused_in_one_sentence(successors, probabilities, says):
    with pytest.raises(BadInput) as caught:
        eq.TabularGame(
            np.zeros((1, 2, 2)),
            SparseKernel(successors, probabilities),
            discount=0.5,
            state_labels=("high", "low"),
            action_labels=[("stay", "go")],
        )
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_estimate_counts_the_lists():
    refuse_unless_it_fits(2, 100_000, (3, 3), "game", 7)
    with pytest.raises(BadInput, match=r"100000 states with 3 x 3 joint actions, in .* need about .* GiB"):
        refuse_unless_it_fits(2, 100_000, (3, 3), "game")
    with pytest.raises(BadInput, match=r"the lists of 100000 successors, need about .* GiB"):
        refuse_unless_it_fits(2, 100_000, (3, 3), "game", 100_000)


@fixed
@given(seeds, shapes)
def test_structure_is_seen_in_lists_as_in_tables(seed, num_actions):
    rng = np.random.default_rng(seed)
    successors = rng.integers(4, size=(4, *num_actions, 2))
    successors[rng.integers(4)] = successors[0, ..., :1]
    probabilities = np.broadcast_to([1.0, 0.0] if seed % 2 else [0.5, 0.5], successors.shape)
    reward, initial = rng.integers(2, size=(len(num_actions), 4, *num_actions)).astype(float), np.eye(4)[0]
    kernels = SparseKernel(successors, probabilities), table_of(successors, probabilities)
    sparse, dense = (eq.TabularGame(reward, kernel, discount=0.5, initial=initial).tables() for kernel in kernels)
    assert structure.findings(sparse) == structure.findings(dense)
    assert structure.doubts(sparse) == structure.doubts(dense)
    np.testing.assert_array_equal(structure.reachable_states(sparse), structure.reachable_states(dense))


def test_a_matrix_is_a_chain():
    matrix = np.array([[0.0, 1.0], [0.0, 1.0]])
    np.testing.assert_allclose(DenseChain(matrix).values(np.array([[1.0, 2.0]]), np.array([0.9])), [[19.0, 20.0]])


@pytest.mark.parametrize("successors", [0.7, np.nan])
def test_successors_that_are_no_whole_numbers_are_refused_from_jax_too(successors):
    with pytest.raises(eq.BadInput, match="whole numbers"):
        SparseKernel(jnp.full((2, 2, 1), successors), jnp.ones((2, 2, 1)))

"""Inverses of many small matrices, against LAPACK's."""

import numpy as np
import pytest

from equinfer.solvers.tabular.small_inverses import inverses


@pytest.mark.parametrize("size", [1, 2, 3, 8, 24])
def test_agrees_with_lapack_whatever_rows_are_swapped_and_scaled(size):
    rng = np.random.default_rng(size)
    matrices = rng.standard_normal((40, size, size)) * 10.0 ** rng.integers(-6, 7, size=(40, size, 1))
    inverse, signs, condition = inverses(matrices)
    np.testing.assert_array_equal(signs, np.linalg.slogdet(matrices)[0])
    expected = np.linalg.inv(matrices)
    skeel = (np.abs(expected) @ np.abs(matrices)).sum(axis=2).max(axis=1)
    assert np.all(condition >= 1.0 - 1e-15)
    # The bound of Gaussian elimination, row by row: n u times Skeel's number, with some growth of the pivots.
    rounding = 8 * size**2 * np.finfo(float).eps * skeel
    largest = np.abs(expected).max(axis=(1, 2))
    assert np.all(np.abs(inverse - expected).max(axis=(1, 2)) <= rounding * largest * size)
    np.testing.assert_allclose(condition, skeel, rtol=1e-6)


def test_permutations_have_their_parity_and_are_inverted_exactly():
    swap, cycle = np.eye(3)[[1, 0, 2]], np.eye(3)[[1, 2, 0]]
    inverse, signs, condition = inverses(np.stack([swap, cycle, -np.eye(3)]))
    np.testing.assert_array_equal(signs, [-1.0, 1.0, -1.0])
    np.testing.assert_array_equal(inverse, np.stack([swap.T, cycle.T, -np.eye(3)]))
    np.testing.assert_array_equal(condition, 1.0)


@pytest.mark.parametrize("matrix", [np.zeros((2, 2)), np.ones((2, 2)), np.array([[0.0, 1.0], [0.0, 2.0]])])
def test_singular_matrices_are_told_apart_from_their_neighbours(matrix):
    _, signs, condition = inverses(np.stack([np.eye(2), matrix, 2 * np.eye(2)]))
    np.testing.assert_array_equal(signs, [1.0, 0.0, 1.0])
    np.testing.assert_array_equal(condition, [1.0, np.inf, 1.0])


def test_what_is_not_a_number_is_singular():
    _, signs, condition = inverses(np.full((1, 2, 2), np.nan))
    np.testing.assert_array_equal(signs, 0.0)
    np.testing.assert_array_equal(condition, np.inf)

"""Long horizons: their discounted length in closed form, and a refusal where no answer would fit in memory."""

import math
from fractions import Fraction

import numpy as np
import pytest

from equinfer import TabularGame
from equinfer.errors import BadInput
from equinfer.tables import discounted_length


@pytest.mark.parametrize("discount", [0.0, 1e-300, 2.0**-60, 0.1, 0.5, 0.9, 1 - 1e-9, 1 - 2.0**-53, 1.0])
@pytest.mark.parametrize("horizon", [1, 2, 3, 50])
def test_the_discounted_length_is_the_sum_of_the_powers(discount, horizon):
    exact = sum(Fraction(discount) ** t for t in range(horizon))
    assert abs(Fraction(float(discounted_length(np.array([discount]), horizon)[0])) - exact) <= exact * 2**-51


def test_a_long_horizon_takes_no_longer():
    discount = np.array([0.0, 0.5, 1 - 1e-12, 1.0])
    np.testing.assert_allclose(discounted_length(discount, 10**12), [1, 2, 1e12 * (1 - math.exp(-1)), 1e12], rtol=1e-4)
    np.testing.assert_array_equal(discounted_length(np.array([0.5]), None), [2])


@pytest.mark.parametrize("horizon", [10**12, 2**62, 10**30])
def test_a_horizon_whose_answer_would_not_fit_is_refused(horizon):
    with pytest.raises(BadInput, match="horizon"):
        TabularGame(np.zeros((2, 1, 2, 2)), np.ones((1, 2, 2, 1)), horizon=horizon)

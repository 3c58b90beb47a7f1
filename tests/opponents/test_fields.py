"""Opponent models that cannot learn are refused when they are made, by the setting that is wrong."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equinfer.arguments import check_ranges
from equinfer.errors import BadInput
from equinfer.opponents import OPPONENTS, Empirical, Inferred, InferredFlat, Own, Trajectory


@pytest.mark.parametrize("model", [Empirical, Inferred, InferredFlat, Own, Trajectory])
@pytest.mark.parametrize("share", ["forgetting", "renewal"])
@pytest.mark.parametrize("value", [-0.1, 1.0, 2.0, float("nan"), np.float64(1.5)])
def test_a_share_that_is_forgotten_lies_below_one(model, share, value):
    with pytest.raises(BadInput, match=rf"^{share} must lie in \[0, 1\); got [-\dn.a]+\.$"):
        model(**{share: value})


@pytest.mark.parametrize(
    ("model", "field", "interval", "values"),
    [
        (Empirical, "concentration", r"\(0, inf\)", (0.0, -1.0, float("inf"))),
        (Inferred, "ridge", r"\(0, inf\)", (0.0, -1.0)),
        (InferredFlat, "ridge", r"\(0, inf\)", (-1.0,)),
        (Own, "temperature", r"\(0, inf\)", (0.0, -0.1)),
        (Trajectory, "trajectories", r"\[1, inf\)", (0, -3)),
        (Trajectory, "length", r"\[1, inf\)", (0,)),
        (Trajectory, "rate", r"\(0, inf\)", (0.0, -1.0)),
    ],
)
def test_what_no_model_can_work_with_is_refused(model, field, interval, values):
    for value in values:
        with pytest.raises(BadInput, match=rf"^{field} must lie in {interval}; got .*\.$"):
            model(**{field: value})


def test_the_settings_that_models_come_with_are_none_of_it():
    for model in OPPONENTS.values():
        model()


@pytest.mark.parametrize("value", [np.int64(0), np.float32(0.5), -1])
def test_numbers_of_numpy_are_numbers(value):
    with pytest.raises(BadInput, match=r"^length must lie in \[1, inf\); got [-\d.]+\.$"):
        check_ranges(SimpleNamespace(length=value), {"length": "[1, inf)"})


def test_of_what_is_not_known_yet_nothing_is_refused():
    @jax.jit
    def twice(length):
        check_ranges(SimpleNamespace(length=length), {"length": "[1, inf)"})
        return 2 * length

    assert twice(jnp.asarray(0.25)) == 0.5

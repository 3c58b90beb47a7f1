"""Learners compute in single precision, as `train` has them do."""

import jax
import pytest


@pytest.fixture(autouse=True)
def single_precision():
    with jax.enable_x64(False):
        yield

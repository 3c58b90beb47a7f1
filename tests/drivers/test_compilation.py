"""A compilation is announced when it happens, and only then; Ctrl-C around a kernel is heard."""

import logging

import numba
import pytest

from equinfer.drivers.compilation import announced, interruptible


def test_a_kernel_is_announced_while_it_compiles(caplog):
    @numba.njit
    def double(x):
        return 2 * x

    caplog.set_level(logging.INFO, "equinfer")
    with announced():
        assert double(2) == 4
    assert caplog.messages == ["compiling (first run only)"]
    with announced():
        assert double(3) == 6
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("around", [announced, interruptible])
def test_a_ctrl_c_that_comes_out_of_a_kernel_is_one(around):
    with pytest.raises(KeyboardInterrupt), around():
        raise SystemError("returned a result with an exception set") from KeyboardInterrupt()
    with pytest.raises(SystemError), around():
        raise SystemError("something else")

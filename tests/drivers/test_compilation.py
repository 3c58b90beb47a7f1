"""A compilation is announced when it happens, and only then."""

import logging

import numba

from equinfer.drivers.compilation import announced


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

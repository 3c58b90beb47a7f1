"""What is said on stderr while a solver works."""

import logging
import math

from equinfer.cli import progress
from equinfer.drivers.compilation import LOGGER


def test_lines_become_rarer_and_hold_no_infinities(capsys):
    with progress.shown("solving x") as watch:
        for seconds in (0.5, 2.5, 3.0, 4.5, 7.0, 9.0):
            watch({"bound": math.inf, "sweep": 1.0, "gap": math.nan, "seconds": seconds})
    assert capsys.readouterr().err.splitlines() == [f"solving x: sweep 1, {s} s" for s in (2.5, 4.5, 9.0)]


def test_waiting_for_a_compiler_is_said_and_the_logger_is_left_as_it_was(capsys, monkeypatch):
    monkeypatch.setattr(progress, "FIRST_LINE", 0.0)
    before = LOGGER.level, list(LOGGER.handlers)
    with progress.shown("solving x"):
        LOGGER.info("compiling (first run only)")
    assert capsys.readouterr().err.startswith("solving x: compiling (first run only), 0.0 s\n")
    assert (LOGGER.level, LOGGER.handlers) == before
    assert not LOGGER.isEnabledFor(logging.INFO)


def test_whole_numbers_are_shown_to_the_last_figure(capsys):
    with progress.shown("solving x") as watch:
        watch({"checked": 4940.0, "step": 12345, "sweep": 1e9, "residual": 0.00012345, "seconds": 2.5})
    assert capsys.readouterr().err == ("solving x: checked 4940, step 12345, sweep 1e+09, residual 0.000123, 2.5 s\n")

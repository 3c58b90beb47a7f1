"""A generator in a thread of its own: heard in step, left behind when its time is up, closed when it is at rest."""

import math
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import jax.numpy as jnp
import numpy as np
import pytest

from equinfer.drivers import host
from equinfer.drivers.attended import attended
from equinfer.drivers.protocol import AbstractHostSolver, Iterate, Task
from equinfer.records import Certificate, Status


def forever():
    return math.inf


def test_items_come_in_step():
    """The next one is not begun before the last has been dealt with."""
    begun = []

    def items():
        for number in range(5):
            begun.append(number)
            yield number

    for number in attended(items(), forever):
        assert begun == list(range(number + 1))
    assert begun == [0, 1, 2, 3, 4]


def test_an_exception_is_raised_where_items_are_asked_for():
    def items():
        yield 1
        raise ArithmeticError("no more")

    heard = attended(items(), forever)
    assert next(heard) == 1
    with pytest.raises(ArithmeticError, match="no more"):
        next(heard)


def test_precision_is_double_there_too():
    (dtype,) = attended((jnp.ones(1).dtype for _ in range(1)), forever)
    assert dtype == np.float64


def test_closing_ends_the_generator():
    closed = threading.Event()

    def items():
        try:
            yield 1
            yield 2
        finally:
            closed.set()

    heard = attended(items(), forever)
    assert next(heard) == 1
    heard.close()
    assert closed.wait(10)


def test_nobody_waits_longer_than_there_is_time():
    release, closed = threading.Event(), threading.Event()

    def items():
        yield "first"
        try:
            release.wait(60)
            yield "too late"
        finally:
            closed.set()

    end = time.perf_counter() + 0.3
    assert list(attended(items(), lambda: end - time.perf_counter())) == ["first", None]
    assert not closed.is_set()
    release.set()
    assert closed.wait(10)


class Stuck(AbstractHostSolver):
    """One iterate, and then work that nothing can break off."""

    name = "stuck"
    release: threading.Event

    def iterates(self, game, *, seed):
        yield Iterate((np.array([[0.25, 0.75]]),), {}, candidate=True)
        self.release.wait(60)
        yield Iterate((np.array([[1.0, 0.0]]),), {}, candidate=True)


def test_a_solver_that_is_stuck_ends_in_time_with_its_best():
    release = threading.Event()

    def judge(profile):
        gap = float(profile[0][0, 1])
        return Certificate("nash", "exact", gap, np.array([gap]), 1e-16, np.array([1e-16]), np.array([[1 - gap]]), ())

    outcome = host.drive(
        Stuck(release), SimpleNamespace(nbytes=host.WORTH_A_THREAD), Task(judge, (np.array([[0.0, 1.0]]),), seconds=0.2)
    )
    release.set()
    assert outcome.ended is Status.out_of_time
    assert outcome.certificate.gap == 0.75
    assert outcome.seconds < 5


SCATTERED = """
import time, numpy as np, equinfer as eq
states = 4_500
rng = np.random.default_rng(0)
after = rng.integers(0, states, (states, 2, 2, 3))
kernel = eq.SparseKernel(after, rng.dirichlet(np.ones(3), (states, 2, 2)))
game = eq.TabularGame(rng.standard_normal((2, states, 2, 2)), kernel=kernel, discount=0.9)
eq.save(game, {path!r})
"""


@pytest.mark.slow
def test_the_command_line_does_not_wait_for_a_factorisation(tmp_path):
    """Whose fill takes more than a minute: successors are anywhere, so that no order of elimination helps."""
    path = str(tmp_path / "scattered.npz")
    subprocess.run([sys.executable, "-c", SCATTERED.format(path=path)], check=True)
    command = ["-c", "from equinfer.cli import main; main()", "solve", path, "--solver", "homotopy", "--time", "3"]
    began = time.perf_counter()
    ended = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
    assert ended.returncode == 3, ended.stderr
    assert "OUT OF TIME" in ended.stdout
    assert time.perf_counter() - began < 20

"""Runs in threads: what each may build on, whose errors are heard, and that they end when nobody listens."""

import threading

import jax
import jax.numpy as jnp
import pytest

from equinfer.drivers.side_by_side import side_by_side


def passed_on(runs, **settings):
    return [(number, each) for number, each in side_by_side(runs, **settings) if each is not None]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_every_run_is_heard_in_its_own_order(workers):
    runs = (iter(range(10 * number, 10 * number + number)) for number in range(6))
    said = passed_on(runs, workers=workers, window=3)
    for number in range(6):
        assert [each for which, each in said if which == number] == list(range(10 * number, 11 * number))


def test_a_run_begins_when_those_a_window_before_it_have_ended():
    ended, ready = set(), threading.Event()

    def run(number):
        if number == 0:
            ready.wait(10)  # the first one is the last to end of the first three
        yield number
        ended.add(number)

    def runs():
        for number in range(7):
            assert set(range(number - 2)) <= ended  # window 3: all up to number - 3
            yield run(number)

    begun = side_by_side(runs(), workers=4, window=3)
    heard = []
    for number, each in begun:
        if each is not None:
            heard.append(number)
        if {1, 2} <= set(heard):
            assert 3 not in heard or ready.is_set()
            ready.set()
    assert sorted(heard) == list(range(7))
    assert heard.index(0) > heard.index(1)


def test_while_nothing_comes_there_is_time_to_look_at_the_clock():
    done = threading.Event()

    def slow():
        done.wait(10)
        yield "at last"

    said = []
    for _, each in side_by_side(iter([slow(), iter(())]), workers=2, window=2):
        said.append(each)
        if each is None:
            done.set()
    assert said[0] is None
    assert said[-1] == "at last"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_run_is_raised_where_the_runs_are_heard(workers):
    def wrong():
        yield 1
        raise ZeroDivisionError("in a thread")

    with pytest.raises(ZeroDivisionError, match="in a thread"):
        passed_on(iter([wrong(), iter([2])]), workers=workers, window=2)


def test_runs_end_when_nobody_listens():
    stopped = threading.Event()

    def endless():
        try:
            while True:
                yield 0
        finally:
            stopped.set()

    runs = side_by_side(iter([endless(), endless()]), workers=2, window=2)
    next(runs)
    runs.close()
    assert stopped.wait(10)


def test_threads_calculate_with_64_bits():
    """Also where 64 bits are not the default, as in users' processes."""

    def precise():
        yield str(jnp.zeros(1).dtype)

    jax.config.update("jax_enable_x64", False)
    try:
        said = passed_on(iter([precise(), precise()]), workers=2, window=2)
    finally:
        jax.config.update("jax_enable_x64", True)
    assert sorted(said) == [(0, "float64"), (1, "float64")]

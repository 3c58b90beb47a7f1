"""The host driver, with toy solvers whose every move is known."""

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from equinfer.drivers import host
from equinfer.drivers.protocol import AbstractHostSolver, Iterate, Outcome, Task
from equinfer.records import Certificate, Status


class Scripted(AbstractHostSolver):
    """Yields what its script yields."""

    name = "scripted"
    script: Callable[[], Iterator[Iterate]]

    def iterates(self, game, *, seed):
        yield from self.script()


def policy(p: float) -> tuple[np.ndarray, ...]:
    return (np.array([[p, 1 - p]]),)


def judge(profile) -> Certificate:
    """One player with payoffs (1, 0): the gap of (p, 1 - p) is 1 - p, in exact arithmetic."""
    gap = float(profile[0][0, 1])
    return Certificate("nash", "exact", gap, np.array([gap]), 1e-16, np.array([1e-16]), np.array([[1 - gap]]), ())


def drive(script, **settings) -> Outcome:
    return host.drive(Scripted(script), None, Task(judge, policy(0.5), **settings))


def test_the_best_candidate_is_kept_and_a_solved_game_stops_the_solver():
    closed = []

    def script():
        try:
            yield Iterate(policy(0.75), {"lambda": 1.0}, candidate=True)
            yield Iterate(policy(0.25), {"lambda": 2.0}, candidate=True)
            yield Iterate(policy(1.0), {"lambda": 3.0}, candidate=True)
            pytest.fail("the driver asked for more after an exact equilibrium")
        finally:
            closed.append(True)

    outcome = drive(script)
    assert outcome.certificate.gap == 0
    assert outcome.ended is Status.above_eps
    np.testing.assert_array_equal(outcome.answer[0], [[1.0, 0.0]])
    np.testing.assert_array_equal(outcome.trace["lambda"], [1, 2, 3])
    np.testing.assert_array_equal(outcome.trace["gap"], [0.25, 0.75, 0])
    assert (np.diff(outcome.trace["seconds"]) >= 0).all()
    assert closed == [True]


@pytest.mark.parametrize(
    ("unjudged", "expected"),
    [(0.9, 0.9), (0.1, 0.75)],
    ids=["better than the candidate", "worse than the candidate"],
)
def test_the_last_iterate_is_certified_too(unjudged, expected):
    def script():
        yield Iterate(policy(0.75), {}, candidate=True)
        yield Iterate(policy(unjudged), {})

    assert drive(script).answer[0][0, 0] == expected


def test_without_any_iterate_the_start_is_certified():
    outcome = drive(lambda: iter(()))
    assert outcome.certificate.gap == 0.5
    assert dict(outcome.trace) == {}


def test_the_deadline_is_read_between_iterates():
    def script():
        while True:
            time.sleep(0.01)
            yield Iterate(policy(0.75), {})

    outcome = drive(script, seconds=0.05)
    assert outcome.ended is Status.out_of_time
    assert outcome.certificate.gap == 0.25
    assert 0.05 <= outcome.seconds < 1


@pytest.mark.parametrize(
    ("failure", "ended"),
    [
        (KeyboardInterrupt, Status.interrupted),
        (np.linalg.LinAlgError, Status.stalled),
        (FloatingPointError, Status.stalled),
    ],
)
def test_what_stops_a_solver_leaves_its_best(failure, ended):
    def script():
        yield Iterate(policy(0.75), {}, candidate=True)
        raise failure

    outcome = drive(script)
    assert outcome.ended is ended
    assert outcome.certificate.gap == 0.25


def test_a_policy_that_is_not_finite_never_becomes_the_answer():
    def script():
        yield Iterate(policy(0.75), {})
        yield Iterate(policy(np.nan), {}, candidate=True)

    outcome = drive(script)
    assert outcome.ended is Status.stalled
    assert outcome.certificate.gap == 0.25


def test_a_mistake_in_a_solver_is_not_hidden():
    def script():
        yield Iterate(policy(0.75), {})
        raise KeyError("a bug")

    with pytest.raises(KeyError):
        drive(script)


def test_watch_sees_every_iterate_and_the_best_gap():
    seen = []

    def script():
        yield Iterate(policy(0.2), {"sweep": 0})
        yield Iterate(policy(0.75), {"sweep": 1}, candidate=True)
        yield Iterate(policy(0.3), {"sweep": 2})

    drive(script, watch=seen.append)
    assert [row["sweep"] for row in seen] == [0, 1, 2]
    assert [row.get("best_gap") for row in seen] == [None, 0.25, 0.25]


def test_the_way_of_a_small_game_is_remembered_but_only_candidates_are_answers():
    def script():
        yield Iterate(policy(0.5), {"sweep": 0})
        yield Iterate(policy(0.75), {"sweep": 1}, candidate=True)

    outcome = drive(script)
    np.testing.assert_array_equal(outcome.trace["profile_0"][:, 0], [policy(0.5)[0][0], policy(0.75)[0][0]])
    assert np.isfinite(outcome.trace["gap"]).all()
    np.testing.assert_array_equal(outcome.answer[0], policy(0.75)[0])


def test_nobody_is_solved_whose_own_stakes_are_lost_and_a_solved_profile_wins():
    """The second player has a millionth of a millionth at stake: all of it is rounding beside the first."""
    stakes = np.array([1.0, 1e-12])
    gaps = {0.2: np.array([0.0, 1e-12]), 0.4: np.array([1e-17, 1e-12]), 0.6: np.array([9e-14, 9e-26])}

    def judge(profile) -> Certificate:
        per_player = gaps[float(profile[0][0, 0])]
        return Certificate(
            "nash",
            "exact",
            float(per_player.max()),
            per_player,
            1e-16,
            1e-16 * stakes,
            np.zeros((2, 1)),
            (),
            payoff_scales=stakes,
        )

    def script():
        for p in (0.2, 0.4, 0.6):
            yield Iterate(policy(p), {}, candidate=True)
        pytest.fail("the driver asked for more after everybody was solved")

    outcome = host.drive(Scripted(script), None, Task(judge, policy(0.5)))
    assert outcome.answer[0][0, 0] == 0.6
    gaps[0.6] = np.array([2e-12, 1e-12])  # nobody is solved: the smallest gap is the answer

    def unsolved():
        for p in (0.4, 0.6, 0.2):
            yield Iterate(policy(p), {}, candidate=True)

    outcome = host.drive(Scripted(unsolved), None, Task(judge, policy(0.4)))
    assert outcome.answer[0][0, 0] == 0.4

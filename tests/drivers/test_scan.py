"""The scan driver, on a solver whose path is known: the distance from uniform halves at every step."""

from functools import partial
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equinfer.certificates.nash import certify_nash
from equinfer.drivers import scan
from equinfer.drivers.protocol import AbstractSolver, Task
from equinfer.games.tabular import TabularGame
from equinfer.records import Status

PENNIES = TabularGame.from_payoffs([[[1.0, -1], [-1, 1]], [[-1.0, 1], [1, -1]]])
TRACES = []


class Halving(AbstractSolver):
    """In matching pennies the gap of the first player at (1/2 + d, 1/2 - d) against itself is known: 2 d + ... > 0."""

    name: ClassVar[str] = "halving"
    factor: float = 0.5
    steps: int = 40
    seeds: int = 1
    spread: float = 0.0
    stop_below: float = 0.0

    def init(self, game, *, key):
        return 0.5 - self.spread * jax.random.uniform(key, dtype=float)

    def step(self, game, state, *, key):
        TRACES.append(1)
        state = self.factor * state
        return state, {"distance": state, "converged": state < self.stop_below}

    def profile(self, game, state):
        policy = jnp.stack([0.5 + state, 0.5 - state])[None]
        return policy, policy


def run(solver, game=PENNIES, chunk=None, **settings):
    task = Task(partial(certify_nash, game.tables()), game.uniform_profile(), **settings)
    return scan.drive(solver, game, task, chunk=chunk)


def test_the_answer_does_not_depend_on_how_the_steps_are_cut():
    whole, cut = run(Halving(steps=20), chunk=20), run(Halving(steps=20), chunk=3)
    grown = run(Halving(steps=20))
    assert list(cut.trace["step"]) == [3, 6, 9, 12, 15, 18, 20]
    for other in (cut, grown):
        assert all((a == b).all() for a, b in zip(whole.answer, other.answer, strict=True))
    np.testing.assert_array_equal(grown.trace["distance"], 0.5 ** (grown.trace["step"] + 1.0))
    assert whole.ended is Status.above_eps


def test_the_trace_holds_what_the_judge_said():
    outcome = run(Halving(steps=20))
    # Each player gains 2 d from the pure answer to (1/2 + d, 1/2 - d) and 4 d^2 is won or lost by staying.
    d = outcome.trace["distance"]
    np.testing.assert_allclose(outcome.trace["gap"], 2 * d + 4 * d**2, rtol=1e-12)
    assert outcome.certificate.gap == outcome.trace["gap"].min()


def test_it_stops_where_the_solver_converged_and_at_rounding():
    assert run(Halving(stop_below=0.01), chunk=40).trace["step"][-1] == 6  # 0.5**7 < 0.01
    assert run(Halving(steps=100), chunk=10).trace["step"][-1] == 50  # 2 * 0.5**51 < 1e-13 * 2


def test_floats_and_labels_do_not_compile_anew():
    run(Halving(steps=4))
    TRACES.clear()
    labelled = TabularGame.from_payoffs(PENNIES.reward[:, 0], action_labels=[["h", "t"], ["h", "t"]])
    run(Halving(factor=0.25, steps=9), game=labelled)
    assert not TRACES


def test_many_seeds_side_by_side_and_the_best_is_kept():
    outcome = run(Halving(steps=5, seeds=4, spread=0.4))
    assert outcome.trace["gaps"].shape == (len(outcome.trace["step"]), 4)
    np.testing.assert_array_equal(outcome.trace["gaps"].min(axis=1), outcome.trace["gap"])
    assert len(np.unique(outcome.trace["gaps"][0])) == 4
    assert outcome.answer[0].shape == (1, 2)


def test_an_interrupt_keeps_the_best_and_a_limit_of_time_ends():
    def interrupt(row):
        if row["step"] >= 6:
            raise KeyboardInterrupt

    outcome = run(Halving(steps=40), chunk=3, watch=interrupt)
    assert outcome.ended is Status.interrupted
    assert outcome.trace["step"][-1] == 6
    np.testing.assert_allclose(outcome.answer[0][0], [0.5 + 0.5**7, 0.5 - 0.5**7])

    outcome = run(Halving(steps=40), seconds=0.0)
    assert outcome.ended is Status.out_of_time
    assert (outcome.answer[0] == 0.5).all()


def test_a_profile_that_is_not_finite_stalls():
    outcome = run(Halving(factor=float("nan")))
    assert outcome.ended is Status.stalled
    assert np.isfinite(outcome.answer[0]).all()


@pytest.mark.parametrize("seed", [0, 1])
def test_a_seed_gives_the_same_answer_twice(seed):
    first, second = (run(Halving(steps=3, seeds=2, spread=0.4), seed=seed) for _ in range(2))
    assert (first.trace["gaps"] == second.trace["gaps"]).all()
    other = run(Halving(steps=3, seeds=2, spread=0.4), seed=seed + 10)
    assert (first.trace["gaps"] != other.trace["gaps"]).all()


def test_the_time_of_the_verdict_is_set_aside(monkeypatch):
    """By a clock that only steps (0.1 s each) and verdicts (3 s) move: nothing is begun that would end too late."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    advance = scan.advance

    def slow_advance(solver, game, state, keys, first, last):
        now[0] += 0.1 * int(last - first)
        return advance(solver, game, state, keys, first, last)

    def slow_judge(profile):
        now[0] += 3.0
        return certify_nash(PENNIES.tables(), profile)

    monkeypatch.setattr(scan, "advance", slow_advance)
    task = Task(slow_judge, PENNIES.uniform_profile(), seconds=20.0)
    outcome = scan.drive(Halving(factor=1.0, steps=10**6), PENNIES, task)
    assert outcome.ended is Status.out_of_time
    assert 17 < outcome.seconds <= 20
    assert outcome.seconds == pytest.approx(3 * len(outcome.trace["step"]) + 0.1 * outcome.trace["step"][-1])

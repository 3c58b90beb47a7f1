"""Theorem E: the step size below which simultaneous (★) converges, predicted and simulated."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import logit_equilibrium, random_law

from equinfer.equations.information import entropy
from equinfer.equations.response import magnet_step
from equinfer.equations.stability import response_eigenvalues, stability_threshold

fixed = settings(max_examples=40)
seeds = st.integers(0, 2**32 - 1)
RPS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
ROCK_PAPER_SCISSORS = np.array([RPS, -RPS])
UNIFORM = np.full(3, 1 / 3)


def simultaneous_step(payoffs, profile, temperature, step_size):
    q = (payoffs[0] @ profile[1], profile[0] @ payoffs[1])
    return tuple(
        magnet_step(
            policy, values, np.full_like(policy, 1 / policy.size), temperature, step_size, np.ones_like(policy, bool)
        )
        for policy, values in zip(profile, q, strict=True)
    )


def distance(profile, target):
    return max(abs(policy - law).max() for policy, law in zip(profile, target, strict=True))


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
def test_threshold_of_rock_paper_scissors(temperature):
    predicted = 2 / (1 + 1 / (3 * temperature**2))
    found = stability_threshold(ROCK_PAPER_SCISSORS, (UNIFORM, UNIFORM), temperature)
    assert found == pytest.approx(predicted, rel=1e-12)


@pytest.mark.parametrize(("factor", "converges"), [(0.95, True), (1.05, False)])
def test_simulation_changes_sides_at_the_threshold(factor, converges):
    temperature = 0.2
    step_size = factor * stability_threshold(ROCK_PAPER_SCISSORS, (UNIFORM, UNIFORM), temperature)
    assert 0 < step_size < 1
    start = (np.array([0.34, 0.33, 0.33]), np.array([0.33, 0.34, 0.33]))
    profile = start
    for _ in range(1200):
        profile = simultaneous_step(ROCK_PAPER_SCISSORS, profile, temperature, step_size)
    if converges:
        assert distance(profile, (UNIFORM, UNIFORM)) < 1e-6
    else:
        assert distance(profile, (UNIFORM, UNIFORM)) > 0.05


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("factor", "converges"), [(0.95, True), (1.05, False)])
def test_simulation_agrees_in_random_games(seed, factor, converges):
    rng = np.random.default_rng(seed)
    payoffs, temperature = rng.normal(size=(2, 3, 4)), 0.5
    equilibrium = logit_equilibrium(payoffs, temperature, (np.full(3, 1 / 3), np.full(4, 1 / 4)))
    threshold = stability_threshold(payoffs, equilibrium, temperature)
    start = tuple(0.999999 * law + 0.000001 / law.size for law in equilibrium)
    profile = start
    for _ in range(400):
        profile = simultaneous_step(payoffs, profile, temperature, factor * threshold)
    assert (distance(profile, equilibrium) < distance(start, equilibrium)) == converges


@fixed
@given(seeds)
def test_eigenvalues_tell_the_class_of_the_game(seed):
    rng = np.random.default_rng(seed)
    matrix, profile = rng.normal(size=(3, 4)), (random_law(rng, 3), random_law(rng, 4))
    own = rng.normal(size=(2, 3, 4))
    strategic = np.array([matrix + own[0, :1], matrix + own[1, :, :1]])  # a potential and what one cannot change
    assert abs(response_eigenvalues(strategic, profile, 0.3).imag).max() < 1e-6
    assert abs(response_eigenvalues(np.array([matrix, -matrix]), profile, 0.3).real).max() < 1e-6


@fixed
@given(seeds)
def test_eigenvalues_by_finite_differences_with_three_players(seed):
    rng = np.random.default_rng(seed)
    sizes, temperature = (2, 3, 2), 0.4
    payoffs, logits = rng.normal(size=(3, *sizes)), [rng.normal(size=n) for n in sizes]

    def targets(flat):
        laws = [np.exp(part) / np.exp(part).sum() for part in np.split(flat, [2, 5])]
        values = (
            np.einsum("abc,b,c->a", payoffs[0], laws[1], laws[2]),
            np.einsum("abc,a,c->b", payoffs[1], laws[0], laws[2]),
            np.einsum("abc,a,b->c", payoffs[2], laws[0], laws[1]),
        )
        return np.concatenate(values) / temperature

    at, step = np.concatenate(logits), 1e-5
    columns = [(targets(at + step * e) - targets(at - step * e)) / (2 * step) for e in np.eye(7)]
    profile = tuple(np.exp(part) / np.exp(part).sum() for part in logits)
    characteristic = np.poly(response_eigenvalues(payoffs, profile, temperature))
    np.testing.assert_allclose(characteristic, np.poly(np.stack(columns, axis=1)), atol=1e-5)


def test_no_step_size_helps_at_an_unstable_equilibrium():
    coordination = np.array([np.eye(2), np.eye(2)])
    half = (np.full(2, 0.5), np.full(2, 0.5))  # beta = 1 / (2 tau) against itself
    assert stability_threshold(coordination, half, 0.4) == 0.0
    assert stability_threshold(coordination, half, 0.6) == pytest.approx(2 / (1 + 1 / 1.2))


@fixed
@given(seeds, st.floats(0.02, 2.0), st.floats(0.01, 1.0))
def test_one_agent_at_a_time_climbs_the_potential_whatever_the_step(seed, temperature, step_size):
    rng = np.random.default_rng(seed)
    potential, row, column = rng.normal(size=(3, 4)), random_law(rng, 3), random_law(rng, 4)

    def height():
        return row @ potential @ column + temperature * (entropy(row[None])[0] + entropy(column[None])[0])

    for _ in range(10):
        before = height()
        row = magnet_step(row, potential @ column, np.full(3, 1 / 3), temperature, step_size, np.ones(3, bool))
        column = magnet_step(column, row @ potential, np.full(4, 0.25), temperature, step_size, np.ones(4, bool))
        assert height() >= before - 1e-12

"""Algorithm 4 for a crowd in one epoch: what its open prior decides (E18). The crowd's law is d, its reward r(d)."""

import numpy as np
import pytest

from equinfer.equations.bounds import sharp_gap
from equinfer.equations.information import kl_divergence
from equinfer.equations.response import magnet_step

SCISSORS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
"""Rock, paper, scissors against the crowd: monotone, but not strictly."""
DOORS = np.array([0.5, 0.0])
"""Two doors, each worth less by the share of the crowd that takes it; the first is the better one by a half."""


def avoiding(law):
    return DOORS - law


def rock_paper_scissors(law):
    return SCISSORS @ law


def exploitability(reward, law):
    return reward(law).max() - law @ reward(law)


def path(reward, start, temperature, sweeps, *, step_size=1.0, prior="fixed"):
    law = np.array(start)
    uniform, legal = np.full_like(law, 1 / law.size), np.ones(law.size, bool)
    for _ in range(sweeps):
        yield law
        law = magnet_step(law, reward(law), uniform if prior == "fixed" else law, temperature, step_size, legal)


def test_a_fixed_prior_converges_when_hot_to_what_is_no_equilibrium():
    *_, before, last = path(avoiding, (0.9, 0.1), 1.0, 200)
    np.testing.assert_allclose(before, last, atol=1e-14)
    assert 0.05 < exploitability(avoiding, last) <= sharp_gap(1.0, np.log(2))


def test_a_fixed_prior_oscillates_when_cold_and_smaller_steps_help():
    *_, before, last = path(avoiding, (0.9, 0.1), 0.05, 200)
    assert abs(before - last).max() > 0.5
    *_, before, last = path(avoiding, (0.9, 0.1), 0.05, 1000, step_size=0.05)
    np.testing.assert_allclose(before, last, atol=1e-12)
    assert exploitability(avoiding, last) <= sharp_gap(0.05, np.log(2))
    colder = np.array(list(path(avoiding, (0.9, 0.1), 0.001, 1000, step_size=0.05)))  # but not at any temperature
    assert np.ptp(colder[-100:, 0]) > 0.5


def test_the_previous_law_as_prior_leads_to_the_equilibrium():
    *_, last = path(avoiding, (0.2, 0.8), 2.0, 500, prior="previous")
    np.testing.assert_allclose(last, [0.75, 0.25], atol=1e-12)


@pytest.mark.parametrize("sweeps", [100, 3000])
def test_where_rewards_are_skew_it_spirals_away_and_its_average_converges(sweeps):
    """Theorem G: the exploitability of the average is at most the regret, tau KL / K + osc^2 / (8 tau)."""
    farthest = np.log(1 / 0.3)  # the divergence of a pure law from the start
    temperature = 2 * np.sqrt(sweeps / (8 * farthest))
    laws = np.array(list(path(rock_paper_scissors, (0.4, 0.3, 0.3), temperature, sweeps, prior="previous")))
    regret = temperature * farthest / sweeps + 4 / (8 * temperature)
    assert exploitability(rock_paper_scissors, laws.mean(axis=0)) <= regret
    away = kl_divergence(np.full_like(laws, 1 / 3), laws)
    assert (np.diff(away) > 0).all()


def test_where_rewards_are_skew_the_last_law_ends_at_the_border():
    laws = np.array(list(path(rock_paper_scissors, (0.4, 0.3, 0.3), 2.0, 500, prior="previous")))
    assert laws[-100:].min() < 1e-3
    assert exploitability(rock_paper_scissors, laws[-1]) > 0.3

"""What a trained deviation gains is a lower bound of the gap."""

import pytest

import equinfer as eq


@pytest.fixture(scope="module")
def run():
    return eq.train("maddpg", "catalog:cournot", steps=500, seeds=1, hidden=8, batch=16)


@pytest.mark.slow
def test_no_deviation_gains_more_than_the_best(run):
    """Of a one-shot game, where the gap is exact: the agents play without chance once their noise is nothing."""
    quiet = eq.train(
        "maddpg", "catalog:cournot", steps=500, seeds=1, hidden=8, batch=16, noise_start=0.0, noise_end=0.0
    )
    exact = quiet.certificate[0]
    for agent in range(2):
        found = eq.best_response(quiet, agent, steps=1500, restarts=2, episodes=100)
        assert found.low <= found.gain <= exact.per_player[agent] + 1e-4
        assert found.gain >= 0.8 * exact.per_player[agent] - 0.02
        assert found.curve.shape == (2, 60)
        assert found.kind == "lower_bound"


def test_who_is_not_there(run):
    with pytest.raises(eq.BadInput, match="no agent 2"):
        eq.best_response(run, 2)
    with pytest.raises(eq.BadInput, match="no seed 3"):
        eq.best_response(run, 0, 3)

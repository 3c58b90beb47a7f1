"""Pictures of populations at rest: a bar for every state, and what is played there."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.games.mean_field import MeanFieldGame
from equinfer.report.policies import policy_maps
from equinfer.report.population import actions_over_time, flow_maps


@pytest.fixture(scope="module")
def solution():
    return eq.solve("catalog:mean_field/malware_spread", "mean-field")


def test_bars_are_the_law_by_action(solution):
    bars = flow_maps(solution).data
    assert [bar.name for bar in bars] == ["wait", "repair"]
    np.testing.assert_allclose(np.stack([bar.y for bar in bars], axis=1), solution.flow, atol=1e-15)
    assert list(bars[0].x) == list(solution.game.states)
    assert actions_over_time(solution) is None  # there is no time


def test_policies_are_drawn_state_by_state(solution):
    (heat,) = policy_maps(solution).data
    np.testing.assert_allclose(np.array(heat.z, float)[::-1], solution.policy)


def test_the_page_speaks_of_rest_and_not_of_time(solution, tmp_path):
    solution.report(tmp_path / "page.html")
    text = re.sub(r"<script.*?</script>", "", (tmp_path / "page.html").read_text(), flags=re.DOTALL)
    assert "none: the population is at rest" in text
    assert "The law that leaves itself as it is" in text
    assert "where the game begins" not in text


def test_a_plane_is_drawn_once(solution):
    plane = eq.Stencil((3, 3), ((0, 0), (1, 0), (0, 1)), [0.6, 0.2, 0.2], boundary="torus")
    game = MeanFieldGame(
        lambda t, law: -law.sum(axis=1)[:, None] - jnp.array([[0, 1.0, 1.0]]), plane, np.eye(9)[0], discount=0.5
    )
    answer = eq.solve(game, solver="bayesian-q", steps=20)
    heat, _ = flow_maps(answer).data
    np.testing.assert_allclose(np.array(heat.z), answer.flow.sum(axis=1).reshape(3, 3))


@pytest.mark.slow
def test_who_does_not_settle_is_not_said_to_be_at_rest(tmp_path):
    def kernel(t, law):
        up = jnp.where(law[1].sum() < 0.4, 0.9, 0.0)
        return jnp.stack([jnp.stack([1 - up, up]), jnp.array([0.3, 0.7])])[:, None]

    game = MeanFieldGame(lambda t, law: -law, kernel, [1, 0], discount=0.9, action_labels=["live"])
    answer = eq.solve(game, solver="bayesian-q", steps=1)
    answer.report(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "it had not settled" in text
    assert "The law that leaves itself" not in text
    answer.save(tmp_path / "answer.npz")
    assert not eq.load_solution(tmp_path / "answer.npz").certified

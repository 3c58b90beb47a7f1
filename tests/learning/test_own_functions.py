"""Functions of one's own: what they close over, and what they read."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq

BOX = [[-1.0]] * 2, [[1.0]] * 2


def wanting(goals):
    """Each agent wants its own number of an array of NumPy, in double precision."""
    return eq.ContinuousGame.one_shot(lambda actions: -((actions[:, 0] - goals) ** 2), *BOX)


@pytest.mark.parametrize("first", ["judged", "learnt"])
def test_constants_of_numpy_serve_both_precisions(first):
    """Certificates are in double precision and learners in single, by turns, in one process."""
    goals = np.array([0.3, 0.1])
    gaps, games = [], []
    for what in (first, "judged", "learnt", "judged"):
        games.append(wanting(goals))
        if what == "judged":
            gaps.append(eq.certify(games[0], np.array([[0.5], [0.1]])).gap)
            gaps.append(eq.certify(games[-1], np.array([[0.5], [0.1]])).gap)
        else:
            eq.train("iddpg", games[0], steps=500, seeds=1, hidden=8, batch=16)
            assert games[-1].step((), jnp.zeros((2, 1)), key=jax.random.key(0)).rewards.dtype == jnp.float32
    assert gaps == pytest.approx([0.04] * len(gaps), abs=1e-12)


def test_a_game_made_again_reads_its_names_again():
    """As when a cell of a notebook is run again: JAX keeps what it compiled by the function, which is the same."""
    goal = 1.0

    def reward(actions):
        return jnp.stack([-jnp.abs(actions[0, 0] - goal), 0 * actions[1, 0]])

    def gap():
        return eq.certify(eq.ContinuousGame.one_shot(reward, *BOX, lipschitz=1), np.array([[1.0], [0.0]])).gap

    assert gap() < 1e-4
    goal = -1.0
    assert gap() == pytest.approx(2, abs=1e-4)


def test_a_population_made_again_does_too():
    price = 1.0
    kernel = np.zeros((2, 2, 2))
    kernel[0, 0, 0] = kernel[0, 1, 1] = kernel[1, :, 1] = 1

    def reward(t, law):
        return jnp.stack([jnp.zeros(2), jnp.full(2, -price)])

    def move(t, law):
        return jnp.where(price > 0, 1, 0.5) * jnp.asarray(kernel) + jnp.where(price > 0, 0, 0.5) * jnp.eye(2)[:, None]

    def worth(by):
        game = eq.MeanFieldGame(reward, by, initial=[1, 0], horizon=3)
        return float(np.asarray(eq.solve(game, "mean-field").values)[0, 0, 0])

    assert worth(kernel) == pytest.approx(0, abs=1e-9)
    assert worth(move) == pytest.approx(0, abs=1e-9)
    price = -1.0
    assert worth(kernel) == pytest.approx(2, abs=1e-9)
    assert worth(move) == pytest.approx(1.25, abs=1e-9)

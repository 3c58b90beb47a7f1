"""What is no mean-field game, or is asked of one in vain, is one sentence."""

import json
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq

BEFORE = """
import json
import jax.numpy as jnp, numpy as np, equinfer as eq

TABLE = np.full((3, 2, 3), 1 / 3)

def made(reward=lambda t, law: -law, kernel=TABLE, initial=[0.5, 0.25, 0.25], horizon=3, **options):
    return eq.MeanFieldGame(reward, kernel, initial, horizon, **options)

game = made()
said = []
"""
MISUSES = {
    "made(None)": "reward must be a function of (t, law), or a list of one for each population; got NoneType.",
    "eq.MeanFieldGame([], [], [], 3)": "reward is an empty list: a game has at least one population.",
    "made(lambda t, law: None)": "the reward of population 0 must return an array of numbers; it returns NoneType.",
    "made(lambda t, law: law * 1j)": "the reward of population 0 returns complex numbers; they must be real.",
    "made(kernel=TABLE * 1j)": (
        "kernel is neither a function of (t, law) nor a table of numbers: its numbers are complex."
    ),
    "made(kernel=None)": (
        "kernel has shape (); expected (S, A, S), or a function of (t, law) if it changes with time."
    ),
    "made(kernel=np.stack([TABLE] * 3))": (
        "kernel has shape (3, 3, 2, 3); expected (S, A, S), or a function of (t, law) if it changes with time."
    ),
    "made(kernel=lambda t, law: None, action_labels='ab')": (
        "the kernel of population 0 must return an array of numbers; it returns NoneType."
    ),
    "made(kernel=lambda t, law: jnp.asarray(TABLE) * 1j, action_labels='ab')": (
        "the kernel of population 0 returns complex numbers; they must be real."
    ),
    "made(grid=3)": "grid must be a list of whole numbers, the cells along each axis; got 3.",
    "made(grid='ab')": "grid must be a list of whole numbers, the cells along each axis; got 'ab'.",
    "made(grid=[1.5, 2])": "a side of grid must be a whole number, at least 1; got 1.5.",
    "made(grid=[2, 2])": "a grid of shape (2, 2) has not 3 cells, one for each state.",
    "made(action_labels=3)": "action_labels of population 0 must be a list of labels; got 3.",
    "made(legal=np.ones((3, 2), int))": "legal of population 0 must be booleans of shape (3, 2); got (3, 2) of int64.",
    "game.with_players(1.5)": "the number of players must be a whole number, at least 1; got 1.5.",
    "game.with_players('3')": "the number of players must be a whole number, at least 1; got '3'.",
    "eq.solve(game, policy='conditional')": (
        "mean-field knows no other policy than 'marginal': the others are their law, which an agent cannot move; got "
        "'conditional'."
    ),
    "eq.solve(game, opponent='empirical')": (
        "mean-field knows no other opponent than 'oracle': the others are their law, which an agent cannot move; got "
        "'empirical'."
    ),
    "eq.save(game, 'game.npz')": "a file is for games in tables; game is a mean-field game.",
}


def test_misuses_are_one_sentence_each():
    """As users have it, without the checks of types that these tests run under."""
    code = BEFORE
    for call in MISUSES:
        code += f"try: {call}\nexcept eq.BadInput as error: said.append(str(error))\nelse: said.append('taken')\n"
    process = subprocess.run([sys.executable, "-c", code + "print(json.dumps(said))"], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert json.loads(process.stdout) == list(MISUSES.values())


def crowded(t, law):
    return -law


def test_successors_that_are_no_states_are_named():
    def kernel(t, law):
        return eq.SparseKernel(jnp.full((3, 2, 1), 3), jnp.ones((3, 2, 1)))

    with pytest.raises(eq.BadInput, match=r"state 0, action 0 leads out of the states at the uniform policy\.$"):
        eq.MeanFieldGame(crowded, kernel, [1, 0, 0], 3)


def test_a_magnet_may_be_the_array_that_certificates_take():
    game = eq.MeanFieldGame(crowded, np.full((3, 2, 3), 1 / 3), [0.5, 0.25, 0.25], 3)
    uniform = game.uniform_profile()
    alone, listed = (
        eq.solve(game, solver="bayesian-q", magnet=each, magnet_every=0, steps=50) for each in (uniform[0], uniform)
    )
    assert np.array_equal(alone.profile[0], listed.profile[0])

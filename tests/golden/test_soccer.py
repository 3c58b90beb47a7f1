"""Littman's soccer: the rules, the 760 states, and the symmetry that makes the kick-off fair."""

import numpy as np
import pytest

from equinfer.games import catalog

NORTH, SOUTH, EAST, WEST, STAND = range(5)


@pytest.fixture(scope="module")
def game():
    return catalog.load("soccer")


@pytest.fixture(scope="module")
def after(game):
    kernel, reward = game.kernel.dense(), np.asarray(game.reward)

    def look(state, first, second):
        s = game.state_labels.index(state)
        row = kernel[s, first, second]
        return reward[0, s, first, second], {game.state_labels[t]: row[t] for t in np.flatnonzero(row)}

    return look


KICK_OFF = {"A d3, B b2, ball A": 0.5, "A d3, B b2, ball B": 0.5}


def test_every_pair_of_cells_with_either_player_in_possession(game):
    assert game.num_states == 20 * 19 * 2 == 760
    assert game.num_actions == (5, 5)
    assert np.asarray(game.discount).tolist() == [0.9, 0.9]
    start = np.asarray(game.initial)
    assert {game.state_labels[s]: start[s] for s in np.flatnonzero(start)} == KICK_OFF


def test_zero_sum(game):
    reward = np.asarray(game.reward)
    np.testing.assert_array_equal(reward[0], -reward[1])
    assert reward[0].max() == 1.0
    assert reward[0].min() == -1.0


def test_a_goal_pays_and_restarts(after):
    assert after("A a3, B e1, ball A", WEST, STAND) == (1.0, KICK_OFF)
    assert after("A a1, B e2, ball B", STAND, EAST) == (-1.0, KICK_OFF)
    assert after("A a4, B e1, ball A", WEST, STAND) == (0.0, {"A a4, B e1, ball A": 1.0})  # beside the goal
    assert after("A a3, B e1, ball B", WEST, STAND) == (0.0, {"A a3, B e1, ball B": 1.0})  # without the ball
    assert after("A e3, B a1, ball A", EAST, STAND) == (0.0, {"A e3, B a1, ball A": 1.0})  # no own goals


def test_running_into_the_other_loses_the_ball(after):
    assert after("A c3, B b3, ball A", WEST, STAND) == (0.0, {"A c3, B b3, ball B": 1.0})
    assert after("A c3, B b3, ball A", STAND, EAST) == (0.0, {"A c3, B b3, ball A": 1.0})  # the stationary one has it


def test_the_order_of_the_moves_is_random(after):
    # If A goes first it runs into B; if B goes first, it makes room.
    expected = {"A c3, B b4, ball B": 0.5, "A b3, B b4, ball A": 0.5}
    assert after("A c3, B b3, ball A", WEST, NORTH) == (0.0, expected)
    # A scores before or after B steps away, and B's second move is void once the goal has fallen.
    assert after("A a3, B b3, ball A", WEST, NORTH) == (1.0, KICK_OFF)
    # A shoots first and scores, or loses nothing by B's running into it: the ball stays with the one who stands.
    assert after("A a3, B b3, ball A", WEST, WEST) == (1.0, KICK_OFF)
    # With the ball, B runs into A and gives it away before A scores; or A first cannot score.
    expected = (0.5, {"A a3, B b3, ball A": 0.5, "A d3, B b2, ball A": 0.25, "A d3, B b2, ball B": 0.25})
    assert after("A a3, B b3, ball B", WEST, WEST) == expected


def test_turning_the_pitch_swaps_the_players(game):
    labels = list(game.state_labels)

    def turned(label):
        first, second, ball = (part.split(" ")[1] for part in label.split(", "))
        first, second = (f"{'edcba'['abcde'.index(cell[0])]}{5 - int(cell[1])}" for cell in (first, second))
        return f"A {second}, B {first}, ball {'BA'['AB'.index(ball)]}"

    order = [labels.index(turned(label)) for label in labels]
    moves = [SOUTH, NORTH, WEST, EAST, STAND]
    reward, kernel = np.asarray(game.reward)[0], game.kernel.dense()
    np.testing.assert_array_equal(-reward[order][:, moves][:, :, moves].swapaxes(1, 2), reward)
    rng = np.random.default_rng(0)
    value = rng.random(len(labels))
    # P v after the turn is the turn of P v: a random v tells two kernels apart with probability one.
    expected = (kernel @ value)[order][:, moves][:, :, moves].swapaxes(1, 2)
    np.testing.assert_allclose(kernel @ value[order], expected, rtol=0, atol=1e-15)

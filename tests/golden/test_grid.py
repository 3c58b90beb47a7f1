"""Hu and Wellman's grid games: the rules of the paper, and the values of the race."""

import numpy as np
import pytest

from equinfer.games import catalog

LEFT, RIGHT, DOWN, UP = range(4)
CELLS = [f"{column}{row}" for row in (1, 2, 3) for column in "ABC"]


@pytest.fixture(scope="module", params=["grid_game_1", "grid_game_2"])
def game(request):
    return catalog.load(request.param)


def successors(game, state, first, second):
    rows = np.asarray(game.kernel.probabilities)[game.state_labels.index(state), first, second]
    return {game.state_labels[t]: rows[t] for t in np.flatnonzero(rows)}


def pay(game, state, first, second):
    return tuple(np.asarray(game.reward)[:, game.state_labels.index(state), first, second])


def test_states_are_the_positions_before_the_end():
    """Ordered pairs of different cells, 72; less those with an agent at its goal, 8 + 8 of them, of which game 1 has
    counted the pair of both goals twice; and one end."""
    assert catalog.load("grid_game_1").num_states == 72 - (8 + 8 - 1) + 1
    assert catalog.load("grid_game_2").num_states == 72 - (8 + 8) + 1


def test_doors_of_the_second_game_open_half_the_time():
    game = catalog.load("grid_game_2")
    assert successors(game, "A1-C1", UP, UP) == {"A1-C1": 0.25, "A2-C1": 0.25, "A1-C2": 0.25, "A2-C2": 0.25}
    assert successors(game, "A1-C1", UP, LEFT) == {"A1-B1": 0.5, "A2-B1": 0.5}
    assert successors(game, "A1-C1", RIGHT, UP) == {"B1-C1": 0.5, "B1-C2": 0.5}
    # A closed door leaves agent 0 where agent 1 wants to be.
    assert successors(game, "A1-A2", UP, DOWN) == {"A1-A2": 0.5, "A2-A1": 0.5}
    assert pay(game, "A1-A2", UP, DOWN) == (-0.5, -0.5)


def test_collisions_walls_and_goals(game):
    assert successors(game, "A1-C1", RIGHT, LEFT) == {"A1-C1": 1.0}
    assert pay(game, "A1-C1", RIGHT, LEFT) == (-1.0, -1.0)
    assert successors(game, "A1-C1", DOWN, RIGHT) == {"A1-C1": 1.0}
    assert pay(game, "A1-C1", DOWN, RIGHT) == (0.0, 0.0)
    assert successors(game, "A1-B1", RIGHT, LEFT) == {"B1-A1": 1.0}  # changing places is no collision
    assert successors(game, "A1-B1", RIGHT, DOWN) == {"A1-B1": 1.0}  # running into somebody is
    assert pay(game, "A1-B1", RIGHT, DOWN) == (-1.0, -1.0)
    assert successors(game, "end", UP, UP) == {"end": 1.0}
    assert pay(game, "end", UP, UP) == (0.0, 0.0)
    assert game.state_labels[int(np.argmax(np.asarray(game.initial)))] == "A1-C1"


def test_reaching_a_goal_pays_and_ends():
    first, second = catalog.load("grid_game_1"), catalog.load("grid_game_2")
    assert pay(first, "C2-A2", UP, UP) == (100.0, 100.0)
    assert pay(first, "C2-A2", UP, RIGHT) == (100.0, 0.0)
    assert successors(first, "C2-A2", UP, RIGHT) == {"end": 1.0}
    assert pay(second, "A3-C3", RIGHT, LEFT) == (100.0, 100.0)  # both may enter the goal
    assert pay(second, "B2-C1", UP, UP) == (100.0, 0.0)
    assert successors(second, "B2-C1", UP, UP) == {"end": 1.0}


def test_reflecting_the_board_swaps_the_agents(game):
    def reflected(label):
        first, second = label.split("-")
        mirror = {"A": "C", "B": "B", "C": "A"}
        return f"{mirror[second[0]]}{second[1]}-{mirror[first[0]]}{first[1]}"

    labels = game.state_labels
    order = [labels.index(reflected(label)) if label != "end" else labels.index("end") for label in labels]
    moves = [RIGHT, LEFT, DOWN, UP]
    reward, kernel = np.asarray(game.reward), np.asarray(game.kernel.probabilities)
    swapped = reward[::-1][:, order][:, :, moves][:, :, :, moves].swapaxes(2, 3)
    np.testing.assert_array_equal(swapped, reward)
    moved = kernel[order][:, moves][:, :, moves].swapaxes(1, 2)[..., order]
    np.testing.assert_array_equal(moved, kernel)


@pytest.mark.parametrize("discount", [0.8, 0.99])
def test_values_at_the_start_are_those_of_the_paper(discount):
    """Four steps in game 1 (97.0 at 0.99); in game 2 the free way and the door (98.0 and 49.0), or mixed."""
    game = catalog.load("grid_game_1", discount=discount)
    start = game.state_labels.index("A1-C1")
    for each in catalog.equilibria("grid_game_1", discount=discount):
        np.testing.assert_allclose(each.values[:, start], 100 * discount**3, rtol=1e-14)
    start = catalog.load("grid_game_2", discount=discount).state_labels.index("A1-C1")
    known = catalog.equilibria("grid_game_2", discount=discount)
    assert len(known) == 36
    first, second, mixed = (known[6 * opening].values[:, start] for opening in range(3))
    np.testing.assert_allclose(first, [100 * discount**2, 50 * discount**2], rtol=1e-14)
    np.testing.assert_array_equal(second, first[::-1])
    assert mixed[0] == mixed[1]
    assert 50 * discount**2 < mixed[0] < 60 * discount**2

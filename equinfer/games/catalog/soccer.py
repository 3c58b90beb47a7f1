"""Littman's soccer: two players, one ball, a pitch of four rows and five columns."""

import itertools

import numpy as np

from equinfer.games.catalog.entry import entry
from equinfer.games.kernels import listed
from equinfer.games.tabular import TabularGame

__all__ = ["soccer"]

_COLUMNS, _ROWS = 5, 4
_GOAL_ROWS = (1, 2)
_MOVES = ((0, 1), (0, -1), (1, 0), (-1, 0), (0, 0))
_KICK_OFF = ((3, 2), (1, 1))  # (column, row) of A and of B, from the bottom left
_GOAL_COLUMN = (-1, _COLUMNS)  # A scores on the left, B on the right

_Cell = tuple[int, int]
_State = tuple[_Cell, _Cell, int]


def _moved(state: _State, player: int, move: int) -> _State | None:
    """The state after one player's move, or None if it scores."""
    *cells, ball = state
    column, row = (here + step for here, step in zip(cells[player], _MOVES[move], strict=True))
    if ball == player and column == _GOAL_COLUMN[player] and row in _GOAL_ROWS:
        return None
    if not (0 <= column < _COLUMNS and 0 <= row < _ROWS):
        return state
    if (column, row) == cells[1 - player]:
        return cells[0], cells[1], 1 - player  # the one who stands there gets the ball, and nobody moves
    cells[player] = (column, row)
    return cells[0], cells[1], ball


def _named(state: _State) -> str:
    cells = [f"{'abcde'[column]}{row + 1}" for column, row in state[:2]]
    return f"A {cells[0]}, B {cells[1]}, ball {'AB'[state[2]]}"


@entry("Littman, Markov games as a framework for multi-agent reinforcement learning, 1994")
def soccer(*, discount: float = 0.9) -> TabularGame:
    """Soccer: the two moves are carried out in random order, running into the other loses the ball; zero-sum.

    The 760 states are all pairs of cells with either player in possession. A goal pays 1 and starts the next kick-off,
    with possession by a fair coin, so there is no final state.
    """
    pitch = list(itertools.product(range(_COLUMNS), range(_ROWS)))
    states: list[_State] = [(a, b, ball) for a, b in itertools.permutations(pitch, 2) for ball in (0, 1)]
    index = {state: s for s, state in enumerate(states)}
    kick_off = [index[*_KICK_OFF, 0], index[*_KICK_OFF, 1]]
    # Two successors for either order of the moves: both of a kick-off, or twice the same.
    reward, successors = np.zeros((len(states), 5, 5)), np.empty((len(states), 5, 5, 2, 2), int)
    for s, state in enumerate(states):
        for a, b, order in itertools.product(range(5), range(5), (0, 1)):
            now: _State | None = state
            for player in (order, 1 - order):
                now = _moved(now, player, (a, b)[player])
                if now is None:
                    reward[s, a, b] += 0.5 * (1.0, -1.0)[player]
                    break
            successors[s, a, b, order] = kick_off if now is None else index[now]
    return TabularGame(
        [reward, -reward],
        listed(successors.reshape(len(states), 5, 5, 4), np.full(4, 0.25)),
        discount=discount,
        initial=np.isin(np.arange(len(states)), kick_off) / 2,
        state_labels=tuple(map(_named, states)),
        action_labels=[("north", "south", "east", "west", "stand")] * 2,
        player_labels=("A", "B"),
        name="soccer",
    )

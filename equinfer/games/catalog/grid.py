"""The two grid games of Hu and Wellman: a race of two agents on a board of three by three.

Cells are numbered from the bottom left, row by row, and called A1 to C3. Both agents move at once, left, right, down
or up; off the board means staying. If both would be in the same cell, other than a goal, both stay and pay 1; changing
places is no collision. An agent in its goal earns 100 and ends the game.
"""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame

__all__ = ["grid_game_1", "grid_game_2"]

_SOURCE = "Hu and Wellman, Nash Q-learning for general-sum stochastic games, 2003"
_MOVES = ((-1, 0), (1, 0), (0, -1), (0, 1))
_LEFT, _RIGHT, _UP = 0, 1, 3
_CELLS = tuple(f"{column}{row}" for row in (1, 2, 3) for column in "ABC")
_PRIZE, _COLLISION = 100.0, -1.0


def _states(goals: tuple[int, int]) -> list[tuple[int, int]]:
    """Both agents' cells, in different cells and neither in its goal; the end comes after them."""
    return [(p, q) for p, q in itertools.permutations(range(9), 2) if p != goals[0] and q != goals[1]]


def _landings(cell: int, move: int, doors: bool) -> list[tuple[float, int]]:
    """Where a move leads, with probabilities: a door, above the two bottom corners, is open half the time."""
    column, row = cell % 3 + _MOVES[move][0], cell // 3 + _MOVES[move][1]
    target = column + 3 * row if 0 <= column < 3 and 0 <= row < 3 else cell
    if doors and cell in (0, 2) and move == _UP:
        return [(0.5, target), (0.5, cell)]
    return [(1.0, target)]


def _grid_game(name: str, goals: tuple[int, int], doors: bool, discount: float) -> TabularGame:
    states = _states(goals)
    end, index = len(states), {state: s for s, state in enumerate(states)}
    reward, kernel = np.zeros((2, end + 1, 4, 4)), np.zeros((end + 1, 4, 4, end + 1))
    kernel[end, ..., end] = 1.0
    for (s, here), a, b in itertools.product(enumerate(states), range(4), range(4)):
        outcomes = itertools.product(_landings(here[0], a, doors), _landings(here[1], b, doors))
        for (first_chance, p), (second_chance, q) in outcomes:
            chance = first_chance * second_chance
            if p == q and p not in goals:
                reward[:, s, a, b] += chance * _COLLISION
                kernel[s, a, b, s] += chance
            else:
                home = np.array([p == goals[0], q == goals[1]])
                reward[:, s, a, b] += chance * _PRIZE * home
                kernel[s, a, b, end if home.any() else index[p, q]] += chance
    return TabularGame(
        reward,
        kernel,
        discount=discount,
        initial=np.eye(end + 1)[index[0, 2]],
        state_labels=[f"{_CELLS[p]}-{_CELLS[q]}" for p, q in states] + ["end"],
        action_labels=[("left", "right", "down", "up")] * 2,
        name=name,
    )


def _race(goals: tuple[int, int], discount: float) -> Float[np.ndarray, "2 S"]:
    r"""The values of a race without detours: whoever is at most as far as the other earns $100\gamma^{d-1}$.

    Blocking costs 1 and leaves the loser a loser, so nobody blocks; where both are equally far, both can take a
    shortest path without meeting, but for the states that the callers treat.
    """
    states = _states(goals)
    far = np.array(
        [
            [abs(p % 3 - g % 3) + abs(p // 3 - g // 3) for p in cells]
            for cells, g in zip(zip(*states, strict=True), goals, strict=True)
        ]
    )
    values = np.where(far <= far[::-1], _PRIZE * discount ** (far - 1.0), 0.0)
    return np.concatenate([values, np.zeros((2, 1))], axis=1)


def _known(
    game: TabularGame, values: Float[np.ndarray, "2 S"], note: str, mixed: dict[int, list[Float[np.ndarray, "4"]]]
) -> KnownEquilibrium:
    """The equilibrium with `values`: in each state the first pure equilibrium of the stage game that attains them.

    `mixed` holds the policies of the states where it is not pure.
    """
    continuation = np.asarray(game.kernel.expect(values))
    q = np.asarray(game.reward) + np.asarray(game.discount)[:, None, None, None] * continuation
    tolerance = 1e-10 * _PRIZE
    stable = (q[0] >= q[0].max(axis=1, keepdims=True) - tolerance) & (
        q[1] >= q[1].max(axis=2, keepdims=True) - tolerance
    )
    attained: Bool[np.ndarray, "S 4 4"] = stable & (np.abs(q - values[:, :, None, None]) < tolerance).all(axis=0)
    first = attained.reshape(-1, 16).argmax(axis=1)
    profile = (np.eye(4)[first // 4], np.eye(4)[first % 4])
    for state, policies in mixed.items():
        for policy, own in zip(profile, policies, strict=True):
            policy[state] = own
    return KnownEquilibrium(profile, values, note)


def _first_equilibria(game: TabularGame, discount: float) -> tuple[KnownEquilibrium, ...]:
    """Both walk shortest paths that do not cross; at A3-C3 both need B3 next, and either one may have it."""
    states = _states((8, 6))
    face_to_face = states.index((6, 8))
    found = []
    for player in (0, 1):
        values = _race((8, 6), discount)
        values[1 - player, face_to_face] = 0.0
        found.append(_known(game, values, f"shortest paths; at A3-C3 agent {player} goes first", {}))
    return tuple(found)


@entry(_SOURCE, _first_equilibria)
def grid_game_1(*, discount: float = 0.99) -> TabularGame:
    """Grid game 1: each agent races to the opposite upper corner, and nobody's winning hurts the other."""
    require(0 < discount < 1, f"grid_game_1 needs a discount in (0, 1); got {discount:g}.")
    return _grid_game("grid_game_1", (8, 6), doors=False, discount=discount)


class _Opening(NamedTuple):
    """How the second game is played from the start, or from the start with places swapped."""

    yields: tuple[bool, bool]
    """Whether an agent in B1 gives way to the other one beside B2."""
    values: tuple[float, float]
    up: float | None
    """The chance of trying the door, if both mix."""
    note: str


def _openings(discount: float) -> list[_Opening]:
    r"""Six ways to open. The free way through B1 is worth $100\gamma^2$, a door $50\gamma^2$, if nobody gives way.

    An agent in A2 or C2 is in time whether it goes up or to B2; heading for B2 with certainty, it makes the other
    one in B1 give way and lose. Whoever would have to give way prefers its door; if both would, both try their doors,
    $V=\frac\gamma4(V+200\gamma)$. If nobody gives way, both may also mix, going up with chance q: the indifference
    of the door, $V=50\gamma^2+\frac\gamma4qV$, and of the free way, $V=(1-q)(\gamma V-1)+100\gamma^2q$, give a
    quadratic in q.
    """
    free, door = _PRIZE * discount**2, _PRIZE / 2 * discount**2
    up = _chance_of_the_door(discount)
    mixed, both = door / (1 - discount * up / 4), door / (1 - discount / 4)
    return [
        _Opening((False, False), (free, door), None, "agent 0 goes round"),
        _Opening((False, False), (door, free), None, "agent 1 goes round"),
        _Opening((False, False), (mixed, mixed), up, "both mix between the free way and the door"),
        _Opening((False, True), (free, door), None, "agent 0 goes round, agent 1 would give way"),
        _Opening((True, False), (door, free), None, "agent 1 goes round, agent 0 would give way"),
        _Opening((True, True), (both, both), None, "both try their doors, since both would give way"),
    ]


def _second_equilibria(game: TabularGame, discount: float) -> tuple[KnownEquilibrium, ...]:
    """Any opening from the start, of Hu and Wellman the first three, with any opening from the swapped start."""
    states = _states((7, 7))
    # Each opening: where it starts, the way round of agent 0, and where an agent in B1 may give way to the other one.
    sides = [((0, 2), _RIGHT, ((1, 5), (3, 1))), ((2, 0), _LEFT, ((1, 3), (5, 1)))]
    found = []
    for chosen in itertools.product(_openings(discount), repeat=2):
        values, mixed = _race((7, 7), discount), {}
        for opening, (start, around, meetings) in zip(chosen, sides, strict=True):
            values[:, states.index(start)] = opening.values
            for player, meeting in enumerate(meetings):
                if opening.yields[player]:
                    values[player, states.index(meeting)] = 0.0
            if opening.up is not None:
                policies = np.zeros((2, 4))
                policies[[0, 1], [around, _LEFT + _RIGHT - around]] = 1 - opening.up
                policies[:, _UP] = opening.up
                mixed[states.index(start)] = list(policies)
        note = f"from the start: {chosen[0].note}; with places swapped: {chosen[1].note}"
        found.append(_known(game, values, note, mixed))
    return tuple(found)


def _chance_of_the_door(discount: float) -> float:
    """The smaller root q of a q^2 - b q + c = 0, the two indifferences of `_openings` combined."""
    outer = _PRIZE * discount**2 - _COLLISION
    a = outer * discount / 4
    b = outer + discount / 4 - _PRIZE / 2 * discount**3
    c = _PRIZE / 2 * discount**2 * (1 - discount) - _COLLISION
    return 2 * c / (b + (b * b - 4 * a * c) ** 0.5)


@entry(_SOURCE, _second_equilibria)
def grid_game_2(*, discount: float = 0.99) -> TabularGame:
    """Grid game 2: one goal for both, and doors above the starts that open half the time."""
    require(0 < discount < 1, f"grid_game_2 needs a discount in (0, 1); got {discount:g}.")
    return _grid_game("grid_game_2", (7, 7), doors=True, discount=discount)

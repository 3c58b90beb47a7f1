"""A zero-sum stochastic game as a game of OpenSpiel, and its values by OpenSpiel's own value iteration.

That method knows neither discounts nor rewards on the way, only what is paid at the end. So after every move the game
ends with probability 1 - gamma and then pays r / (1 - gamma), which is worth the same.
"""

import importlib
import sys
from typing import Any

import numpy as np

from equinfer.tables import SuccessorLists, Tables

_DEEP = 100_000
"""OpenSpiel looks for the states by recursion."""


def open_spiel_values(tables: Tables, threshold: float) -> np.ndarray:
    """The values to player 0 (S,), each within about `threshold` / (1 - gamma); not a number where play, begun in the
    first state, cannot come.
    """
    sys.setrecursionlimit(_DEEP)
    iteration = importlib.import_module("open_spiel.python.algorithms.value_iteration")
    found = iteration.value_iteration(_spiel_game(tables), -1, threshold, cyclic_game=True)
    return np.array([found.get(f"state {s}", np.nan) for s in range(tables.num_states)])


def _spiel_game(tables: Tables) -> Any:
    spiel = importlib.import_module("pyspiel")
    discount = float(tables.discount[0])
    reward = tables.reward[0] / (1 - discount)
    most = float(np.abs(reward).max())
    kind = spiel.GameType(
        short_name="stochastic_game",
        long_name="stochastic game",
        dynamics=spiel.GameType.Dynamics.SIMULTANEOUS,
        chance_mode=spiel.GameType.ChanceMode.EXPLICIT_STOCHASTIC,
        information=spiel.GameType.Information.PERFECT_INFORMATION,
        utility=spiel.GameType.Utility.ZERO_SUM,
        reward_model=spiel.GameType.RewardModel.TERMINAL,
        max_num_players=2,
        min_num_players=2,
        provides_information_state_string=False,
        provides_information_state_tensor=False,
        provides_observation_string=False,
        provides_observation_tensor=False,
        provides_factored_observation_string=False,
    )

    class Game(spiel.Game):
        def __init__(self, params: Any = None):
            info = spiel.GameInfo(
                num_distinct_actions=max(tables.num_actions),
                max_chance_outcomes=tables.num_states + 1,
                num_players=2,
                min_utility=-most,
                max_utility=most,
                utility_sum=0.0,
                max_game_length=_DEEP,
            )
            super().__init__(kind, info, params or {})

        def new_initial_state(self) -> Any:
            return State(self)

    class State(spiel.State):
        def __init__(self, game: Any):
            super().__init__(game)
            self.here, self.over = 0, False
            self.moves: tuple[int, ...] = ()

        def current_player(self) -> Any:
            if self.over:
                return spiel.PlayerId.TERMINAL
            return spiel.PlayerId.SIMULTANEOUS if not self.moves else spiel.PlayerId.CHANCE

        def _legal_actions(self, player: int) -> list[int]:
            return np.flatnonzero(tables.legal[player][self.here]).tolist()

        def chance_outcomes(self) -> list[tuple[int, float]]:
            ahead = [(1 + s, discount * p) for s, p in _successors(tables, (self.here, *self.moves)).items()]
            return [(0, 1 - discount), *ahead]

        def _apply_actions(self, actions: list[int]) -> None:
            self.moves = tuple(actions)

        def _apply_action(self, outcome: int) -> None:
            if outcome == 0:
                self.over = True
            else:
                self.here, self.moves = outcome - 1, ()

        def is_terminal(self) -> bool:
            return self.over

        def returns(self) -> list[float]:
            paid = float(reward[(self.here, *self.moves)]) if self.over else 0.0
            return [paid, -paid]

        def __str__(self) -> str:
            moves = "" if not self.moves else f", moves {self.moves}{', the end' * self.over}"
            return f"state {self.here}{moves}"

    return Game()


def _successors(tables: Tables, index: tuple[int, ...]) -> dict[int, float]:
    if isinstance(tables.kernel, SuccessorLists):
        return tables.kernel.row(index)
    row = tables.kernel[index]
    return {s: float(row[s]) for s in np.flatnonzero(row).tolist()}

"""Our games as environments of PettingZoo, for learners that were written for those."""

import secrets
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from equinfer.errors import BadInput, MissingExtra
from equinfer.games.continuous import ContinuousGame
from equinfer.games.spaces import Box, Space
from equinfer.games.tabular import TabularGame

__all__ = ["to_pettingzoo"]


def to_pettingzoo(game: Any) -> Any:
    """`game`, a `ContinuousGame` or one in tables, as a PettingZoo `ParallelEnv`.

    Agents are called by the labels of the game, observations and boxes are float32, and discrete moves whole numbers.
    Everybody leaves when an episode is terminated or truncated. `reset(seed=...)` makes an episode, and those after it,
    reproducible; without a seed the first one is drawn afresh. Terry et al., "PettingZoo: gym for multi-agent
    reinforcement learning", NeurIPS 2021.

    **Raises:** `MissingExtra` if PettingZoo is not installed; `BadInput` for another kind of game.
    """
    try:
        from gymnasium import spaces  # pyright: ignore[reportMissingImports]
        from pettingzoo import ParallelEnv  # pyright: ignore[reportMissingImports, reportAttributeAccessIssue]
    except ImportError:
        raise MissingExtra("PettingZoo is not installed: pip install 'equinfer[pettingzoo]'") from None
    if isinstance(game, TabularGame):
        game = ContinuousGame.from_table(game)
    if not isinstance(game, ContinuousGame):
        raise BadInput(f"only games of learners and games in tables become environments; got {type(game).__name__}.")
    begin, go_on = eqx.filter_jit(_begun), eqx.filter_jit(_gone_on)

    def action_space(space: Space) -> Any:
        if isinstance(space, Box):
            return spaces.Box(np.array(space.low, np.float32), np.array(space.high, np.float32), dtype=np.float32)
        return spaces.Discrete(space.n)

    class Environment(ParallelEnv):
        metadata = {"name": game.name, "render_modes": []}  # noqa: RUF012, the base class has it so

        def __init__(self) -> None:
            self.possible_agents = list(game.player_labels)
            self.agents: list[str] = []
            self.render_mode = None
            seen = [spaces.Box(-np.inf, np.inf, (size,), np.float32) for size in game.observation_sizes]
            self.observation_spaces = dict(zip(self.possible_agents, seen, strict=True))
            self.action_spaces = dict(zip(self.possible_agents, map(action_space, game.spaces), strict=True))
            self._key: Any = None
            self._state: Any = None

        def observation_space(self, agent: str) -> Any:
            return self.observation_spaces[agent]

        def action_space(self, agent: str) -> Any:
            return self.action_spaces[agent]

        def reset(self, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
            if seed is not None or self._key is None:
                self._key = jax.random.key(secrets.randbits(31) if seed is None else seed)
            self.agents = list(self.possible_agents)
            self._state, seen, self._key = begin(game, self._key)
            return self._by_agent(_arrays(seen)), self._by_agent([{} for _ in seen])

        def step(self, actions: dict) -> tuple[dict, dict, dict, dict, dict]:
            if not self.agents:
                raise BadInput(f"{game.name}: the episode is over; call reset first.")
            parts = [_as_action(space, actions[agent]) for space, agent in zip(game.spaces, self.agents, strict=True)]
            self._state, seen, rewards, terminated, truncated, self._key = go_on(game, self._state, parts, self._key)
            if terminated or truncated:
                self.agents = []
            return (
                self._by_agent(_arrays(seen)),
                self._by_agent(np.asarray(rewards, float).tolist()),
                self._by_agent([bool(terminated)] * len(seen)),
                self._by_agent([bool(truncated)] * len(seen)),
                self._by_agent([{} for _ in seen]),
            )

        def _by_agent(self, values: Any) -> dict:
            return dict(zip(self.possible_agents, values, strict=True))

        def render(self) -> None:
            return None

        def close(self) -> None:
            return None

        def __str__(self) -> str:
            return game.name

    return Environment()


def _begun(game: ContinuousGame, key: Any) -> Any:
    own, rest = jax.random.split(key)
    state = game.reset(own)
    return state, _observed(game, state), rest


def _gone_on(game: ContinuousGame, state: Any, actions: list[Any], key: Any) -> Any:
    own, rest = jax.random.split(key)
    after = game.step(state, actions, key=own)
    return after.state, _observed(game, after.state), after.rewards, after.terminated, after.truncated, rest


def _observed(game: ContinuousGame, state: Any) -> list[Any]:
    return [game.observe(state, i) for i in range(game.num_players)]


def _arrays(seen: list[Any]) -> list[np.ndarray]:
    return [np.asarray(each, np.float32) for each in seen]


def _as_action(space: Space, action: Any) -> Any:
    if isinstance(space, Box):
        return jnp.asarray(np.asarray(action, np.float32))
    return jnp.asarray(int(action))

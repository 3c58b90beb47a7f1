"""Somebody else's environment, as learners meet it: a PettingZoo `ParallelEnv` with boxes or discrete moves."""

import contextlib
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float

from equinfer.errors import BadInput, blamed
from equinfer.games.continuous import GameNames
from equinfer.games.continuous_checks import checked_discounts
from equinfer.games.importable import is_importable
from equinfer.games.spaces import Box, Discrete, Space, alike
from equinfer.tables import Origin

__all__ = ["ExternalGame", "Table"]


class ExternalGame(eqx.Module):
    """What is known about an environment without stepping it. `make()` is a fresh one.

    Observations are boxes of any shape, flattened, or discrete, one-hot. Everybody's spaces stay what they are; there
    are no action masks. An agent that dies before the others sees zeros and is paid nothing from then on.
    """

    make: Callable[[], Any] = eqx.field(static=True)
    spaces: tuple[Space, ...] = eqx.field(static=True)
    observation_sizes: tuple[int, ...] = eqx.field(static=True)
    discount: tuple[float, ...] = eqx.field(static=True)
    labels: GameNames = eqx.field(static=True)
    horizon: int | None = eqx.field(static=True, default=None)
    exogenous: bool = eqx.field(static=True, default=False)
    is_one_shot: bool = eqx.field(static=True, default=False)

    @classmethod
    def of(cls, make: Callable[..., Any], name: str, discount: float = 0.95, **parameters: Any) -> "ExternalGame":
        """**Arguments:** `make`, which makes the environment, given the `parameters`; `discount`, of learners.

        **Raises:** `BadInput` for what is no parallel environment, and for spaces that learners cannot handle.
        """
        if not callable(make):
            raise BadInput(f"{name} is no function that makes an environment, and no game.")
        make = functools.partial(make, **parameters)
        env = _made(make, name)
        try:
            with blamed(f"{name} fails in its spaces"):
                agents = list(env.possible_agents)
                if not agents:
                    raise BadInput(f"{name} names no agents in possible_agents.")
                spaces = tuple(_action_space(name, agent, env.action_space(agent)) for agent in agents)
                sizes = tuple(_observation_size(name, agent, env.observation_space(agent)) for agent in agents)
            settings = (("discount", discount), *parameters.items())
            origin = Origin(name, settings) if is_importable(name) else None
            labels = GameNames(name, tuple(map(str, agents)), origin)
            game = cls(make, spaces, sizes, checked_discounts(discount, len(agents)), labels)
            Table(game, env, 0)  # what is wrong with the first observations is said before anything is trained
        finally:
            with contextlib.suppress(Exception):
                env.close()
        return game

    @property
    def name(self) -> str:
        return self.labels.name

    @property
    def num_players(self) -> int:
        return len(self.spaces)

    @property
    def player_labels(self) -> tuple[str, ...]:
        return self.labels.players or ()

    def joint(self, parts: Any) -> Any:
        """Actions of all agents as one array where they are alike, else a tuple."""
        return np.stack([np.asarray(part) for part in parts]) if alike(self.spaces) else tuple(parts)

    def unlabelled(self) -> "ExternalGame":
        return self

    def table(self, seed: int) -> "Table":
        """A fresh environment, at the beginning of an episode."""
        return Table(self, _made(self.make, self.name), seed)


class Told(NamedTuple):
    """One step."""

    observation: Float[np.ndarray, "N O"]
    reward: Float[np.ndarray, " N"]
    terminated: bool
    """Of all: nothing follows."""
    ended: bool


class Table:
    """One copy of an environment, and where it is."""

    def __init__(self, game: ExternalGame, env: Any, seed: int):
        self._game, self._env = game, env
        self._agents = list(env.possible_agents)
        self._width = max(game.observation_sizes)
        self.observation = self.reset(seed)

    def reset(self, seed: int | None = None) -> Float[np.ndarray, "N O"]:
        """Begin an episode. Seeds are given to the environment once; later episodes go on from there."""
        with blamed(f"{self._game.name} fails in its reset"):
            seen, infos = self._env.reset(seed=seed)
            self._refuse_masks(infos)
            self.observation = self._rows(seen)
        return self.observation

    def step(self, parts: tuple[Any, ...]) -> Told:
        """`parts`, in the environment's units, one for each agent. The next episode is not begun here."""
        named = dict(zip(self._agents, parts, strict=True))
        with blamed(f"{self._game.name} fails in its step"):
            living = set(self._env.agents)
            actions = {
                agent: _as_action(self._env.action_space(agent), named[agent])
                for agent in self._agents
                if agent in living
            }
            seen, rewards, terminations, truncations, infos = self._env.step(actions)
            self._refuse_masks(infos)
            self.observation = self._rows(seen)
            for agent in sorted(living - set(rewards), key=str):
                raise BadInput(f"{self._game.name} tells agent {agent} no reward of its step.")
            reward = np.array([np.asarray(rewards.get(agent, 0.0), float).item() for agent in self._agents], np.float32)
            done = [agent for agent in living if terminations.get(agent) or truncations.get(agent)]
            ended = not self._env.agents or len(done) == len(living)
            terminated = ended and not any(truncations.values()) and any(terminations.values())
        return Told(self.observation, reward, terminated, ended)

    def close(self) -> None:
        with blamed(f"{self._game.name} fails in its close"):
            self._env.close()

    def _refuse_masks(self, infos: Any) -> None:
        for agent in self._agents:
            if "action_mask" in infos.get(agent, {}):
                raise _masked(self._game.name, agent)

    def _rows(self, seen: Any) -> Float[np.ndarray, "N O"]:
        rows = np.zeros((len(self._agents), self._width), np.float32)
        for i, agent in enumerate(self._agents):
            if agent in seen:
                row = _as_row(seen[agent], self._env.observation_space(agent))
                if len(row) != self._game.observation_sizes[i]:
                    size = self._game.observation_sizes[i]
                    raise BadInput(
                        f"{self._game.name}: agent {agent} observes {len(row)} numbers; its space has {size}."
                    )
                rows[i, : len(row)] = row
        return rows


def _made(make: Callable[[], Any], name: str) -> Any:
    with blamed(f"{name} could not be made"):
        env = make()
    if hasattr(env, "agent_iter") or hasattr(env, "agent_selection"):
        raise BadInput(
            f"{name} is an AEC environment, in which agents act in turn; convert it by "
            "pettingzoo.utils.conversions.aec_to_parallel, and give that."
        )
    if not all(
        hasattr(env, part) for part in ("possible_agents", "action_space", "observation_space", "step", "reset")
    ):
        raise BadInput(f"{name} makes a {type(env).__name__}, which is no game and no PettingZoo ParallelEnv.")
    return env


def _action_space(name: str, agent: Any, space: Any) -> Space:
    if type(space).__name__ == "Discrete":
        if int(getattr(space, "start", 0)) != 0:
            raise BadInput(f"{name}: moves of agent {agent} are counted from {space.start}; learners count from 0.")
        return Discrete(int(space.n))
    if type(space).__name__ == "Box":
        if not np.issubdtype(getattr(space, "dtype", np.float32), np.floating):
            raise BadInput(
                f"{name}: agent {agent} acts in a box of {space.dtype}; learners act in boxes of real numbers."
            )
        if len(space.shape) != 1:
            raise BadInput(f"{name}: actions of agent {agent} have shape {space.shape}; learners act in boxes (d,).")
        try:
            return Box(np.asarray(space.low, float), np.asarray(space.high, float))
        except BadInput as error:
            raise BadInput(f"{name}: the actions of agent {agent}: {error}") from None
    raise BadInput(f"{name}: agent {agent} acts in a {type(space).__name__}; learners take Box and Discrete.")


def _observation_size(name: str, agent: Any, space: Any) -> int:
    kind = type(space).__name__
    if kind == "Discrete":
        return int(space.n)
    if kind == "Box":
        return int(np.prod(space.shape))
    if kind == "Dict" and "action_mask" in space.spaces:
        raise _masked(name, agent)
    raise BadInput(f"{name}: agent {agent} observes a {kind}; learners take Box and Discrete.")


def _as_row(value: Any, space: Any) -> Float[np.ndarray, " O"]:
    if type(space).__name__ == "Discrete":
        return np.eye(int(space.n), dtype=np.float32)[int(value) - int(getattr(space, "start", 0))]
    return np.asarray(value, np.float32).ravel()


def _as_action(space: Any, part: Any) -> Any:
    """In the space itself: single precision may round out of a box."""
    if type(space).__name__ == "Discrete":
        return int(part)
    kind = getattr(space, "dtype", np.float32)
    return np.clip(np.asarray(part, kind), np.asarray(space.low, kind), np.asarray(space.high, kind))


def _masked(name: str, agent: Any) -> BadInput:
    return BadInput(f"{name}: agent {agent} is given action masks, which learners do not read.")

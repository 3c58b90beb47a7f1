"""Games of learners: agents with real numbers, or moves, to choose, in a world that goes on by pure functions."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equinfer.continuous_tables import ContinuousTables
from equinfer.errors import BadInput
from equinfer.games.changed import changed
from equinfer.games.continuous_checks import (
    checked_boxes,
    checked_discounts,
    checked_function,
    checked_lipschitz,
    checked_quadratic,
    checked_spaces,
    observation_sizes,
    refuse_rewards,
    refuse_steps,
    refuse_untraceable,
)
from equinfer.games.continuous_rules import (
    AbstractPieces,
    OneShot,
    QuadraticReward,
    Rules,
    TablePlay,
    Transition,
    as_rewards,
    as_transition,
    from_row,
)
from equinfer.games.functions import as_new
from equinfer.games.spaces import Box, Discrete, Space, alike
from equinfer.games.tabular import TabularGame
from equinfer.games.validation import checked_horizon, checked_labels
from equinfer.tables import Origin
from equinfer.types import PRNGKey

__all__ = ["ContinuousGame", "GameNames"]


class GameNames(NamedTuple):
    """As a static part of a game: names never change a computation."""

    name: str = ""
    players: tuple[str, ...] | None = None
    origin: Origin | None = None


class Clocked(NamedTuple):
    """The state of a game with a horizon: its own, and how many steps were made."""

    state: Any
    steps: Any


class ContinuousGame(eqx.Module):
    """A game that learners play, step by step; agents act in boxes of real numbers or among finitely many moves.

    **Arguments:** three pure functions that JAX can trace, and what is known about the game:

    * `reset(key) -> state`, any tree of arrays; `step(state, actions, *, key) -> Transition(state, rewards (N,),
      terminated, truncated)`, or a tuple of these four; `observe(state, i) -> (O_i,)`, what agent i sees.
    * `spaces`, a `Box(low, high)` or `Discrete(n)` for each agent. If all are boxes of one dimension d, `actions` are
      one array (N, d), if all are discrete (N,); otherwise a tuple with an array (d_i,), or a number, for each agent.
    * `discount` in [0, 1], a number or one for each agent. There is no other in any solver.
    * `horizon`: after so many steps an episode is *truncated*, which learners bootstrap through. A game that is over
      says `terminated` by itself.
    * `exogenous=True` declares that the law of the states does not depend on actions.

    No function resets by itself. What comes back is in the precision of the actions that came in. Functions are
    compiled for the game: whoever changes what they read outside themselves makes the game again.

    **Raises:** `BadInput` for functions that JAX cannot trace, or that return other shapes; and for rewards and
    observations that are not finite along a few episodes of uniform play, with the agent and the step.
    """

    kind: ClassVar[str] = "continuous"
    rules: Any
    """`Rules`, `OneShot` or `TablePlay`: whatever has the three functions."""
    spaces: tuple[Space, ...] = eqx.field(static=True)
    discount: tuple[float, ...] = eqx.field(static=True)
    """Of each agent."""
    horizon: int | None = eqx.field(static=True)
    exogenous: bool = eqx.field(static=True)
    lipschitz: tuple[float, ...] | None = eqx.field(static=True)
    observation_sizes: tuple[int, ...] = eqx.field(static=True)
    """O_i of each agent."""
    labels: GameNames = eqx.field(static=True)

    def __init__(
        self,
        reset: Any,
        step: Any,
        observe: Any,
        spaces: Any,
        discount: Any,
        horizon: Any = None,
        exogenous: bool = False,
        *,
        name: str = "",
        player_labels: Sequence[Any] | None = None,
    ):
        self._fill(
            Rules(as_new(reset), as_new(step), as_new(observe)),
            checked_spaces(spaces),
            discount,
            horizon,
            bool(exogenous),
            name,
            player_labels,
        )
        refuse_untraceable(self)
        object.__setattr__(self, "observation_sizes", observation_sizes(self))
        refuse_steps(self)

    @classmethod
    def one_shot(
        cls,
        reward: Any,
        low: Any,
        high: Any,
        lipschitz: Any = None,
        *,
        name: str = "",
        player_labels: Sequence[Any] | None = None,
    ) -> "ContinuousGame":
        r"""A single decision: `reward(actions) -> (N,)`, a function that JAX can trace.

        **Arguments:** `low` and `high` (N, d), or tuples of (d_i,), the box of each agent; `actions` come as in the
        class, one array (N, d) where all d_i are the same. `lipschitz`, a number or one for each agent, declares that
        $|r_i(a_i,a_{-i})-r_i(b_i,a_{-i})|\le L_i\|a_i-b_i\|_2$ in the boxes, in the game's own units, and allows an
        upper bound of every gap.

        **Raises:** `BadInput` for bounds that are not finite and in order, with the agent; for a reward that JAX cannot
        trace, of another shape, or not finite somewhere in the boxes, with the agent and the actions.
        """
        boxes = checked_boxes(low, high)
        game = cls._unchecked(
            OneShot(as_new(checked_function("reward", reward))), boxes, 0.0, 1, True, name, player_labels
        )
        refuse_rewards(game)
        return changed(game, observation_sizes=(1,) * len(boxes), lipschitz=checked_lipschitz(lipschitz, len(boxes)))

    @classmethod
    def quadratic(
        cls,
        matrix: Any,
        linear: Any,
        constant: Any,
        low: Any,
        high: Any,
        *,
        name: str = "",
        player_labels: Sequence[Any] | None = None,
    ) -> "ContinuousGame":
        r"""The one-shot game $r_i(a)=a^\top M_i a+b_i^\top a+c_i$, with all actions in one row $a$ of D numbers.

        **Arguments:** `matrix` (N, D, D), of which only the symmetric part counts, `linear` (N, D), `constant` (N,);
        `low` and `high` as in `one_shot`. Certificates use the coefficients: every gap is exact, or an upper bound.

        **Raises:** `BadInput` for coefficients that are not finite, or of another shape.
        """
        boxes = checked_boxes(low, high)
        reward = QuadraticReward(*checked_quadratic(matrix, linear, constant, boxes))
        game = cls._unchecked(OneShot(reward), boxes, 0.0, 1, True, name, player_labels)
        return changed(game, observation_sizes=(1,) * len(boxes))

    @classmethod
    def from_table(cls, game: TabularGame, horizon: Any = None) -> "ContinuousGame":
        """A game in tables, as learners play it: moves are discrete, states drawn from the kernel and seen one-hot.

        Each step of a one-shot game is a whole game. One with a horizon terminates after it; its agents see the epoch
        as well. **Arguments:** `horizon`, of a game without one: episodes are truncated after so many steps.

        **Raises:** `BadInput` if some actions are illegal somewhere, since nothing here can forbid one; or if the game
        has a horizon already.
        """
        if not all(np.asarray(legal).all() for legal in game.legal):
            raise BadInput(f"{game.name} has illegal actions in some states, which learners cannot be forbidden.")
        if horizon is not None and (game.horizon is not None or game.is_one_shot):
            raise BadInput(f"{game.name} has a horizon already; leave `horizon` out.")
        cut = 1 if game.is_one_shot else game.horizon if horizon is None else horizon
        moves = tuple(map(Discrete, game.num_actions))
        exogenous = game.num_states == 1
        rules = TablePlay(game.unlabelled(), game.is_one_shot)
        played = cls._unchecked(rules, moves, np.asarray(game.discount), cut, exogenous, game.name, game.player_labels)
        played = changed(played, observation_sizes=observation_sizes(played))
        return played if game.labels.origin is None else played.made_from(game.labels.origin)

    @classmethod
    def _unchecked(cls, *fields: Any) -> "ContinuousGame":
        game = object.__new__(cls)
        game._fill(*fields)
        return game

    def _fill(
        self, rules: Any, spaces: Any, discount: Any, horizon: Any, exogenous: bool, name: str, players: Any
    ) -> None:
        """Every field but the sizes of observations, which are seen by calling."""
        fields = {
            "rules": rules,
            "spaces": spaces,
            "discount": checked_discounts(discount, len(spaces)),
            "horizon": checked_horizon(horizon),
            "exogenous": exogenous,
            "lipschitz": None,
            "observation_sizes": (),
            "labels": GameNames(name, checked_labels(players, len(spaces), "player_labels")),
        }
        for field, value in fields.items():
            object.__setattr__(self, field, value)

    @property
    def name(self) -> str:
        return self.labels.name or "game"

    @property
    def num_players(self) -> int:
        return len(self.spaces)

    @property
    def player_labels(self) -> tuple[str, ...]:
        return self.labels.players or tuple(map(str, range(self.num_players)))

    @property
    def is_one_shot(self) -> bool:
        """Every step is a whole game."""
        return isinstance(self.rules, OneShot) or (isinstance(self.rules, TablePlay) and self.rules.is_one_shot)

    @property
    def is_quadratic(self) -> bool:
        """Rewards are quadratic, or the largest of several quadratic functions, with known coefficients."""
        return isinstance(self.rules, OneShot) and isinstance(self.rules.reward, AbstractPieces)

    @property
    def is_alike(self) -> bool:
        """Actions are one array for all agents."""
        return alike(self.spaces)

    def joint(self, parts: Sequence[Any]) -> Any:
        """Everybody's actions as `step` takes them, from one array (d_i,), or a move, for each agent."""
        return jnp.stack([jnp.asarray(part) for part in parts]) if self.is_alike else tuple(parts)

    def reset(self, key: PRNGKey) -> Any:
        """A state to begin in."""
        state = self.rules.reset(key)
        return Clocked(state, jnp.zeros((), int)) if self._is_cut else state

    def step(self, state: Any, actions: Any, *, key: PRNGKey) -> Transition:
        """One step. `actions` are one array where agents are alike, else a tuple; a tuple will always do."""
        if isinstance(actions, (tuple, list)):
            actions = self.joint(actions)
        actions = jax.tree.map(jnp.asarray, actions)
        if not self._is_cut:
            return as_transition(self.rules.step(state, actions, key=key))
        after = as_transition(self.rules.step(state.state, actions, key=key))
        steps = (state.steps + 1).astype(state.steps.dtype)
        cut = (steps >= self.horizon) & ~after.terminated
        return after._replace(state=Clocked(after.state, steps), truncated=after.truncated | cut)

    def observe(self, state: Any, i: int) -> Float[Array, " O"]:
        """What agent i sees."""
        return jnp.asarray(self.rules.observe(state.state if self._is_cut else state, i))

    def sample_actions(self, key: PRNGKey) -> Any:
        """Uniform, as `step` takes them."""
        keys = jax.random.split(key, self.num_players)
        return self.joint([space.sample(each) for space, each in zip(self.spaces, keys, strict=True)])

    @property
    def _is_cut(self) -> bool:
        """Somebody counts the steps who does not end the game: the clock of this class."""
        if self.horizon is None or isinstance(self.rules, OneShot):
            return False
        return not isinstance(self.rules, TablePlay) or (self.rules.game.horizon is None and not self.rules.is_one_shot)

    def made_from(self, origin: Origin) -> "ContinuousGame":
        """The same game, which remembers its origin."""
        return changed(self, labels=self.labels._replace(origin=origin))

    def unlabelled(self) -> "ContinuousGame":
        """The same game without names."""
        return changed(self, labels=GameNames())

    def tables(self) -> ContinuousTables:
        """The one-shot game for certificates: NumPy in, NumPy out, float64.

        **Raises:** `BadInput` for a game of several steps, or of discrete moves.
        """
        boxes = tuple(space for space in self.spaces if isinstance(space, Box))
        if not isinstance(self.rules, OneShot) or len(boxes) < len(self.spaces):
            raise BadInput(f"{self.name} is no one-shot game of continuous actions, whose joint actions can be judged.")
        reward, size = self.rules.reward, sum(box.dimension for box in boxes)
        with jax.enable_x64(True):
            some = jax.ShapeDtypeStruct((1, size), np.float64)
            dtype = eqx.filter_eval_shape(_rewards, reward, self.spaces, some).dtype

        def rewards_at(actions: Float[np.ndarray, "K D"]) -> Float[np.ndarray, "K N"]:
            count = len(actions)
            padded = np.resize(actions, (_next_size(count), actions.shape[1]))  # few shapes, so few compilations
            with jax.enable_x64(True):
                rewards = _rewards(reward, self.spaces, jnp.asarray(padded, np.float64))
            return np.asarray(rewards, np.float64)[:count]

        return ContinuousTables(
            rewards_at=rewards_at,
            low=tuple(np.array(box.low) for box in boxes),
            high=tuple(np.array(box.high) for box in boxes),
            lipschitz=None if self.lipschitz is None else np.array(self.lipschitz),
            quadratic=reward.pieces() if isinstance(reward, AbstractPieces) else None,
            roundoff=float(jnp.finfo(dtype).eps) / 2,
            name=self.name,
            player_labels=self.player_labels,
            origin=self.labels.origin,
        )


def _next_size(count: int) -> int:
    """At least 64, and a power of 4."""
    size = 64
    while size < count:
        size *= 4
    return size


@eqx.filter_jit
def _rewards(
    reward: Callable[..., Any], spaces: tuple[Space, ...], actions: Float[Array, "K D"]
) -> Float[Array, "K N"]:
    return jax.vmap(lambda row: as_rewards(reward(from_row(spaces, row))))(actions)

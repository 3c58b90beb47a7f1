"""The checks that a game of learners passes once, on construction: spaces, shapes, and finite numbers in a few episodes
of uniform play.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Float

from equinfer.arguments import shown
from equinfer.errors import BadInput, cause
from equinfer.games.continuous_rules import as_rewards, as_transition, from_row
from equinfer.games.spaces import Box, Discrete, Space

__all__ = [
    "checked_boxes",
    "checked_discounts",
    "checked_function",
    "checked_lipschitz",
    "checked_quadratic",
    "checked_spaces",
    "observation_sizes",
    "refuse_rewards",
    "refuse_steps",
    "refuse_untraceable",
]

_POINTS = 64
"""Joint actions at which a reward is looked at."""
_EPISODES, _STEPS = 8, 12
"""Of uniform play that are looked at."""
_QUICKLY = {"xla_backend_optimization_level": 0}
"""What runs once need not run fast."""


def checked_boxes(low: Any, high: Any) -> tuple[Box, ...]:
    """One box for each agent. **Raises:** `BadInput` with the agent whose bounds are wrong."""
    try:
        low, high = list(low), list(high)
    except TypeError:
        raise BadInput("low and high must be (N, d), or hold (d_i,) for each agent; got a number.") from None
    if len(low) != len(high) or not low:
        raise BadInput(f"low is for {len(low)} agents and high for {len(high)}; both are (N, d), or N times (d_i,).")
    boxes = []
    for i, bounds in enumerate(zip(low, high, strict=True)):
        try:
            boxes.append(Box(*bounds))
        except BadInput as error:
            raise BadInput(f"the box of agent {i}: {error}") from None
    return tuple(boxes)


def checked_function(what: str, value: Any) -> Any:
    if not callable(value):
        raise BadInput(f"{what} must be a function; got {shown(value)}.")
    return value


def checked_spaces(spaces: Any) -> tuple[Space, ...]:
    given = tuple(spaces) if isinstance(spaces, (tuple, list)) else (spaces,)
    for i, space in enumerate(given):
        if not isinstance(space, (Box, Discrete)):
            raise BadInput(f"the space of agent {i} must be a Box or Discrete; got {shown(space)}.")
    if not given:
        raise BadInput("spaces is empty; a game has at least one agent.")
    return given


def checked_discounts(discount: Any, number: int) -> tuple[float, ...]:
    """One for each agent."""
    each = _each(discount, number, "discount")
    for i, value in enumerate(each):
        if not 0 <= value <= 1:
            raise BadInput(f"discount of agent {i} must lie in [0, 1]; got {value:g}.")
    return each


def checked_lipschitz(lipschitz: Any, number: int) -> tuple[float, ...] | None:
    """One for each agent, or None."""
    if lipschitz is None:
        return None
    each = _each(lipschitz, number, "lipschitz")
    for i, value in enumerate(each):
        if not (math.isfinite(value) and value >= 0):
            raise BadInput(f"lipschitz of agent {i} must be a finite number, at least 0; got {value:g}.")
    return each


def checked_quadratic(
    matrix: Any, linear: Any, constant: Any, boxes: tuple[Box, ...]
) -> tuple[Float[np.ndarray, "N D D"], Float[np.ndarray, "N D"], Float[np.ndarray, " N"]]:
    """Coefficients, the matrices made symmetric."""
    number, size = len(boxes), sum(box.dimension for box in boxes)
    checked = []
    for what, value, shape in (
        ("matrix", matrix, (number, size, size)),
        ("linear", linear, (number, size)),
        ("constant", constant, (number,)),
    ):
        try:
            array = np.array(value, np.float64)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{what} is no array of numbers: {cause(error)}.") from None
        if array.shape != shape:
            raise BadInput(f"{what} has shape {array.shape}; expected {shape} for {number} agents of {size} numbers.")
        off = np.argwhere(~np.isfinite(array))
        if len(off):
            raise BadInput(f"{what} of agent {off[0][0]} has an entry that is not finite, at {tuple(off[0].tolist())}.")
        checked.append(array)
    return (checked[0] + checked[0].swapaxes(1, 2)) / 2, checked[1], checked[2]


def refuse_untraceable(game: Any) -> None:
    """**Raises:** `BadInput` if one of the three functions is none, or JAX cannot trace it."""
    for what in ("reset", "step", "observe"):
        checked_function(what, getattr(game.rules, what))
    state = _traced(game, "reset", lambda: game.rules.reset(jax.random.key(0)))
    actions = jax.eval_shape(lambda: game.sample_actions(jax.random.key(0)))
    _traced(game, "observe", lambda s: game.rules.observe(s, 0), state)
    after = _traced(game, "step", lambda s, a: game.rules.step(s, a, key=jax.random.key(0)), state, actions)
    if not isinstance(after, tuple) or len(after) != 4:
        raise BadInput(f"{game.name}: step must return Transition(state, rewards, terminated, truncated).")
    after = _traced(
        game, "step", lambda s, a: as_transition(game.rules.step(s, a, key=jax.random.key(0))), state, actions
    )
    _refuse_reward_form(game, after.rewards)
    for what in ("terminated", "truncated"):
        if getattr(after, what).shape:
            raise BadInput(
                f"{game.name}: {what} has shape {getattr(after, what).shape}; it is one flag for all agents."
            )
    before, now = (jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (state, after.state))
    if before != now:
        raise BadInput(
            f"{game.name}: the state that step returns is not shaped like that of reset: {now} and {before}."
        )


def observation_sizes(game: Any) -> tuple[int, ...]:
    """O_i of each agent. **Raises:** `BadInput` with the agent whose observation is no vector of floats."""
    state = jax.eval_shape(lambda: game.reset(jax.random.key(0)))
    sizes = []
    for i in range(game.num_players):
        seen = _traced(game, "observe", lambda s, i=i: jnp.asarray(game.rules.observe(s, i)), _inner(game, state))
        if len(seen.shape) != 1 or not jnp.issubdtype(seen.dtype, jnp.floating):
            raise BadInput(
                f"{game.name}: agent {i} observes {seen.dtype} of shape {seen.shape}; expected floats of shape (O,)."
            )
        sizes.append(seen.shape[0])
    return tuple(sizes)


def refuse_rewards(game: Any) -> None:
    """Of a one-shot game. **Raises:** `BadInput` as `ContinuousGame.one_shot` says."""
    reward = game.rules.reward
    rows = jnp.asarray(_points(game.spaces), float)

    def at(row: Any) -> Any:
        return as_rewards(reward(from_row(game.spaces, row)))

    told = _traced(game, "reward", at, jax.ShapeDtypeStruct(rows.shape[1:], rows.dtype))
    _refuse_reward_form(game, told)
    rewards = jax.jit(jax.vmap(at))(rows)
    if not isinstance(rewards, Tracer):
        off = np.argwhere(~np.isfinite(np.asarray(rewards)))
        if len(off):
            k, i = off[0].tolist()
            actions = [part.tolist() for part in np.split(np.asarray(rows[k], np.float64), _cuts(game.spaces))]
            raise BadInput(f"{game.name}: the reward of agent {i} is {rewards[k, i]:g} at the actions {actions}.")


def refuse_steps(game: Any) -> None:
    """**Raises:** `BadInput` with the step and the agent whose reward or observation is not finite in uniform play."""

    def played(state: Any, key: Any) -> Any:
        own, moves = jax.random.split(key)
        after = game.step(state, game.sample_actions(moves), key=own)
        seen = tuple(game.observe(state, i) for i in range(game.num_players))
        return after.state, (seen, after.rewards, after.terminated | after.truncated)

    def episode(key: Any) -> Any:
        begin, rest = jax.random.split(key)
        return jax.lax.scan(played, game.reset(begin), jax.random.split(rest, _STEPS))[1]

    seen, rewards, ended = jax.jit(jax.vmap(episode), compiler_options=_QUICKLY)(
        jax.random.split(jax.random.key(0), _EPISODES)
    )
    if isinstance(ended, Tracer):
        return  # made inside of a computation, where no number is known
    over = np.cumsum(np.asarray(ended), axis=1) - np.asarray(ended) > 0
    for t in range(_STEPS):
        for i in range(game.num_players):
            for does, values in (("observes", seen[i][:, t]), ("earns", rewards[:, t, i])):
                array = np.asarray(values, np.float64).reshape(_EPISODES, -1)[~over[:, t]]
                off = array[~np.isfinite(array)]
                if off.size:
                    raise BadInput(f"{game.name}: at step {t} of uniform play agent {i} {does} {off[0]:g}.")


def _refuse_reward_form(game: Any, told: Any) -> None:
    shape = told.shape
    if jnp.issubdtype(told.dtype, jnp.complexfloating):
        raise BadInput(f"{game.name}: rewards are {told.dtype}; expected real numbers.")
    if shape != (game.num_players,):
        raise BadInput(
            f"{game.name}: rewards have shape {shape}; expected (N,) = ({game.num_players},), one for each agent."
        )


def _traced(game: Any, what: str, function: Any, *arguments: Any) -> Any:
    """The shapes of what a function returns."""
    try:
        return jax.eval_shape(function, *arguments)
    except Exception as error:  # somebody else's function may raise anything
        says = str(error).strip().splitlines() or [type(error).__name__]
        raise BadInput(f"{game.name}: {what} is no function that JAX can trace: {says[0].rstrip('.:')}.") from error


def _points(spaces: tuple[Box, ...]) -> Float[np.ndarray, "K D"]:
    """The middle, two corners, and points in between."""
    low, high = (np.concatenate([np.array(getattr(box, end)) for box in spaces]) for end in ("low", "high"))
    part = np.random.default_rng(0).random((_POINTS, len(low)))
    part[:3] = np.array([[0.5], [0.0], [1.0]])
    return low + part * (high - low)


def _cuts(spaces: tuple[Box, ...]) -> list[int]:
    return np.cumsum([box.dimension for box in spaces])[:-1].tolist()


def _inner(game: Any, state: Any) -> Any:
    return state.state if game._is_cut else state


def _each(value: Any, number: int, what: str) -> tuple[float, ...]:
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{what} is no number: {cause(error)}.") from None
    if array.ndim == 0:
        array = np.full(number, array)
    if array.shape != (number,):
        raise BadInput(f"{what} has shape {array.shape}; expected a number, or one for each of {number} agents.")
    return tuple(array.tolist())

"""How good the opponent models of learners are: of what each agent thinks of the others, against what they really do,
and of what believing it costs. Inferred rewards are not judged: on data they are right only up to what they explain.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equinfer.arguments import whole
from equinfer.certificates.continuous import best_against
from equinfer.data import leaves
from equinfer.data.arena import Arena, Place
from equinfer.drivers.compilation import quick_to_compile
from equinfer.drivers.learning import AbstractLearner, Phase
from equinfer.errors import BadInput
from equinfer.games.continuous import ContinuousGame
from equinfer.games.continuous_rules import TablePlay
from equinfer.games.spaces import Box
from equinfer.nn.actions import Cloud
from equinfer.opponents.judging import best_response_regret
from equinfer.run_results import played_in_table
from equinfer.runs import Training, last_phase
from equinfer.types import AnyArray, PRNGKey

__all__ = ["OpponentJudgement", "judged_opponents"]

_ANSWERED = 256
"""Draws of the others that a best response in a box answers."""


class OpponentJudgement(NamedTuple):
    """Of every seed, of what agent i thinks of agent j; nan where i is j. Logarithms are natural, per action; in boxes
    they are of densities in the units [-1, 1].
    """

    log_loss: Float[np.ndarray, "seeds N N"]
    """Of i's predictions, on fresh draws of j's executed policy."""
    truth: Float[np.ndarray, "seeds N"]
    """Of the law that j really draws from, on the same draws."""
    error: Float[np.ndarray, "seeds N N"]
    """Standard error of `excess`, from the draws."""
    regret: Float[np.ndarray, "seeds N"]
    """What i's best response to its beliefs earns less than the best response to what the others really do, in units
    of reward: exact where the game has tables, by a search in one-shot games of boxes, else nan."""

    @property
    def excess(self) -> Float[np.ndarray, "seeds N N"]:
        """Log-loss over that of the truth: an estimate of a Kullback-Leibler divergence, zero for a perfect model."""
        return self.log_loss - self.truth[:, None, :]


def judged_opponents(run: Training, draws: int = 1000, seed: int = 0) -> OpponentJudgement:
    """Judge the opponent models of all seeds of a run, by `draws` actions that no model has seen.

    Of games with several steps these are the actions along episodes, at the observations that they were drawn at.

    **Raises:** `BadInput` for an algorithm whose agents model nobody, for somebody else's environment, and for fewer
    than 2 draws.
    """
    game = run.game
    if not isinstance(game, ContinuousGame):
        raise BadInput(f"{game.name} is somebody else's environment, in which nothing can be drawn anew.")
    if not run.learner.predicts:
        raise BadInput(f"agents of {run.algorithm} model nobody: there is nothing to judge.")
    draws = whole("draws", draws, 2)
    step, phase = _when(run)
    with jax.enable_x64(False):
        learner, found = leaves.with_float_arrays(run.learner, jnp.float32), []
        for k in range(len(run.returns)):
            key = jax.random.fold_in(jax.random.key(seed), k)
            found.append(_compiled(_told)(learner, run.arena, _mind(run, k), step, phase, draws, key))
    log_loss, truth, error = zip(*(_losses(each) for each in found), strict=True)
    return OpponentJudgement(*map(np.stack, (log_loss, truth, error, _regrets(run, found))))


class _Told(NamedTuple):
    """What is known of one seed."""

    executed: Float[AnyArray, "N R"]
    """Log-probabilities of the draws, by the laws that they are from."""
    believed: Float[AnyArray, "N J R"]
    clouds: Cloud | None
    """Beliefs, where they are the same at all draws."""
    done: Float[AnyArray, "R N D"]


def _told(
    learner: AbstractLearner, arena: Arena, state: Any, step: Any, phase: Phase, draws: int, key: PRNGKey
) -> _Told:
    begin, play, think = jax.random.split(key, 3)
    there = arena.reset(begin)
    keys = jax.random.split(play, draws)

    def act(place: Place, key: PRNGKey) -> Float[Array, "N D"]:
        return learner.act(arena, state, place.observation, phase, key=key)

    if arena.is_still:
        done = jax.vmap(act, in_axes=(None, 0))(there, keys)
        found = learner.predictions(arena, state, there.observation, done, step, phase, key=think)
        return _Told(found.executed, found.believed, found.clouds, done)

    def move(place: Place, key: PRNGKey) -> tuple[Place, tuple]:
        draw, on = jax.random.split(key)
        actions = act(place, draw)
        return arena.step(place, actions, on)[0], (place.observation, actions)

    def thought(row: tuple) -> tuple:
        seen, done, key = row
        found = learner.predictions(arena, state, seen, done[None], step, phase, key=key)
        return found.executed[..., 0], found.believed[..., 0]

    _, (seen, done) = jax.lax.scan(move, there, keys)
    laws = jax.lax.map(thought, (seen, done, jax.random.split(think, draws)))
    executed, believed = (jnp.moveaxis(law, 0, -1) for law in laws)
    return _Told(executed, believed, None, done)


def _chances(
    learner: AbstractLearner, arena: Arena, state: Any, step: Any, phase: Phase, seen: Float[AnyArray, "N O"]
) -> Float[Array, "N J D"]:
    """Of moves: what agents think of each other at an observation."""
    nothing = jnp.zeros((1, arena.agents, arena.actions.size), jnp.float32)
    found = learner.predictions(arena, state, jnp.asarray(seen), nothing, step, phase, key=jax.random.key(0))
    return jax.nn.softmax(found.clouds.log_weights, axis=-1)


@functools.cache
def _compiled(work: Callable[..., Any]) -> Callable[..., Any]:
    return cast(Any, eqx.filter_jit)(work, compiler_options=quick_to_compile(True))


def _mind(run: Training, seed: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[seed], run.state)


def _when(run: Training) -> tuple[Any, Phase]:
    return jnp.int32(run.steps[-1]), last_phase(run.learner, int(run.config["steps"]))


def _losses(found: _Told) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, N), (N,), (N, N): log-losses, those of the truth, standard errors of their differences."""
    executed, believed = np.asarray(found.executed, np.float64), np.asarray(found.believed, np.float64)
    agents, draws = executed.shape
    log_loss, error = np.full((2, agents, agents), np.nan)
    for i in range(agents):
        for k, j in enumerate(j for j in range(agents) if j != i):
            log_loss[i, j] = -believed[i, k].mean()
            error[i, j] = (executed[j] - believed[i, k]).std(ddof=1) / np.sqrt(draws)
    return log_loss, -executed.mean(axis=1), error


def _regrets(run: Training, found: list[_Told]) -> list[np.ndarray]:
    """(N,) of each seed; nan where nothing tells what a response is worth."""
    game: Any = run.game
    if isinstance(game.rules, TablePlay) and game.rules.game.horizon in (None, 1):
        return [_regret_in_table(run, seed) for seed in range(len(found))]
    if game.is_one_shot and all(isinstance(space, Box) for space in game.spaces):
        return [_regret_in_boxes(run, each) for each in found]
    return [np.full(game.num_players, np.nan) for _ in found]


def _regret_in_boxes(run: Training, found: _Told) -> np.ndarray:
    """(N,)"""
    game: Any = run.game
    arena, tables = run.arena, game.tables()
    agents = arena.agents

    def rows(units: Any) -> Float[np.ndarray, "K D"]:
        parts = jax.vmap(arena.actions.to_game)(units)
        return np.concatenate([np.asarray(part, np.float64) for part in parts], axis=1)

    with jax.enable_x64(False):
        truth, thought = rows(found.done[:_ANSWERED]), []
        for i in range(agents):
            clouds = _sorted(jax.tree.map(lambda leaf, i=i: leaf[i], found.clouds))
            points = arena.actions.contexts(jax.random.key(i), clouds, len(truth)).points
            own = jnp.zeros((len(points), 1, points.shape[2]), points.dtype)
            thought.append(rows(jnp.concatenate([points[:, :i], own, points[:, i:]], axis=1)))
    regret = np.zeros(agents)
    for i in range(agents):
        earned = []
        for answered in (thought[i], truth):
            moved = truth.copy()
            moved[:, tables.columns[i]] = best_against(tables, i, answered)
            earned.append(tables.rewards_at(moved)[:, i].mean())
        regret[i] = max(0.0, earned[1] - earned[0])
    return regret


def _sorted(clouds: Cloud) -> Cloud:
    """(J, K, D) candidates by their first number: draws at even levels are then even in it."""
    order = jnp.argsort(clouds.points[..., 0], axis=1)
    points = jnp.take_along_axis(clouds.points, order[..., None], axis=1)
    return Cloud(points, jnp.take_along_axis(clouds.log_weights, order, axis=1))


def _regret_in_table(run: Training, seed: int) -> np.ndarray:
    """(N,), against the laws that are executed, as certificates count them."""
    game: Any = run.game
    arena, tables, when = run.arena, game.rules.game.tables(), _when(run)
    with jax.enable_x64(False):
        learner, laws = leaves.with_float_arrays(run.learner, jnp.float32), []
        for seen in np.eye(arena.observation_size, dtype=np.float32):
            rows = np.tile(seen, (arena.agents, 1))
            laws.append(np.asarray(_compiled(_chances)(learner, arena, _mind(run, seed), *when, rows)))
    law = np.stack(laws).astype(np.float64)  # (S, N, J, D)
    law /= law.sum(axis=3, keepdims=True)  # single precision rounds them
    truth = played_in_table(run, seed)
    regret = np.zeros(arena.agents)
    for i in range(arena.agents):
        others = [j for j in range(arena.agents) if j != i]
        belief = [law[:, i, k, : truth[j].shape[1]] for k, j in enumerate(others)]
        belief.insert(i, truth[i])
        regret[i] = best_response_regret(tables, i, tuple(belief), truth)
    return regret

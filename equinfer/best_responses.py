"""What one agent can learn to gain while all others stay what they are: a lower bound on the Nash gap.

For games of several steps, where no gap is known: whatever a trained deviation gains, the best one gains at least.
Truncation is a convenience of learners and no end of a game: what is compared goes on through it.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from equinfer.arguments import shown
from equinfer.errors import BadInput
from equinfer.games.continuous import ContinuousGame
from equinfer.runs import Training, last_phase
from equinfer.training import train

__all__ = ["BestResponse", "best_response"]

_LEFT = 1e-4
"""Of the discounted weight, after an episode."""


class BestResponse(NamedTuple):
    """Of one agent of one seed, against the others as they are executed."""

    agent: int
    gain: float
    """Estimated, of discounted returns from the initial state; at least zero, since nobody has to deviate."""
    low: float
    """With the confidence asked for the best deviation gains no less: by Student's t, on episodes that the deviation
    was not chosen on, less what may come after them."""
    tail: float
    """What may come after the steps that were played, if rewards stay within those that were seen; 0 where all episodes
    ended by themselves."""
    curve: Float[np.ndarray, "restarts evaluations"]
    """Returns without chance while the deviations were learnt."""
    kind: str = "lower_bound"


class Played(NamedTuple):
    """Episodes of the agent, by each of some deviations."""

    returns: Float[np.ndarray, "restarts episodes"]
    """Discounted."""
    going: Bool[np.ndarray, "restarts episodes"]
    """Whether the game would have gone on."""
    least: Float[np.ndarray, "restarts episodes"]
    most: Float[np.ndarray, "restarts episodes"]
    """Of the rewards of a step."""


def best_response(
    run: Training,
    agent: int,
    seed: int = 0,
    *,
    algo: str = "iddpg",
    steps: int = 3000,
    restarts: int = 4,
    episodes: int = 400,
    confidence: float = 0.95,
    **options: Any,
) -> BestResponse:
    """Train `agent` anew, from `restarts` beginnings, against the others of that seed.

    Episodes are played until a ten-thousandth of the discounted weight is left, at most 10,000 steps, and through
    truncation. Without a discount there is no such step: the game is then its first `horizon`, or 2,000, steps.

    **Raises:** `BadInput` if there is no such agent or seed, or the game is somebody else's environment.
    """
    game = run.game
    if not isinstance(game, ContinuousGame):
        raise BadInput(f"{game.name} is somebody else's environment, in which no agent can be trained alone.")
    if isinstance(agent, bool) or not isinstance(agent, int) or not 0 <= agent < game.num_players:
        raise BadInput(f"there is no agent {shown(agent)}; the {game.num_players} of them are counted from 0.")
    run.policy(seed)  # which says if there is no such seed
    alone = _alone(run, agent, seed)
    learnt = train(algo, alone, steps, restarts, **options)
    chosen = int(_played(run, agent, seed, episodes, learnt, range(restarts), 0).returns.mean(axis=1).argmax())
    after = _played(run, agent, seed, episodes, learnt, [chosen], 1)
    before = _played(run, agent, seed, episodes, None, [0], 1)
    gains = (after.returns - before.returns)[0]
    mean, error = float(gains.mean()), float(stats.sem(gains))
    tail = _tail(game, agent, after, before)
    low = mean - float(stats.t.ppf(confidence, episodes - 1)) * error - tail
    return BestResponse(agent, max(mean, 0.0), max(low, 0.0), tail, learnt.deterministic_returns[:, :, 0])


def _others(run: Training, seed: int) -> Any:
    """`(state, key) -> actions` of everybody, in the units of networks."""
    learner, arena = run.learner, run.arena
    state = jax.tree.map(lambda leaf: leaf[seed], run.state)
    phase = last_phase(learner, int(run.config["steps"]))

    def act(there: Any, key: Any) -> Any:
        seen = arena.padded([jnp.asarray(arena.game.observe(there, j), jnp.float32) for j in range(arena.agents)])
        return list(arena.actions.to_game(learner.act(arena, state, seen, phase, key=key)))

    return act


def _alone(run: Training, agent: int, seed: int) -> ContinuousGame:
    """The game of one agent in which the others are part of the world."""
    game: Any = run.game
    act = _others(run, seed)

    def step(state: Any, actions: Any, *, key: Any) -> Any:
        play, move = jax.random.split(key)
        everybody = act(state, play)
        everybody[agent] = jnp.asarray(actions)[0]
        moved = game.step(state, tuple(everybody), key=move)
        return moved._replace(rewards=moved.rewards[agent][None])

    return ContinuousGame(
        game.reset,
        step,
        lambda state, _: game.observe(state, agent),
        [game.spaces[agent]],
        game.discount[agent],
        exogenous=game.exogenous,
        name=f"{game.name}, agent {game.player_labels[agent]} alone",
    )


def _played(
    run: Training, agent: int, seed: int, episodes: int, learnt: Training | None, restarts: Any, part: int
) -> Played:
    """What the agent gets by each of the deviations, without chance, or as it is executed, if there are none. The same
    keys each time: what chance has in common falls out of the differences.
    """
    game: Any = run.game
    act = _others(run, seed)
    length = _length(game, agent)

    def one(deviation: Any, key: Any) -> Any:
        begin, rest = jax.random.split(key)

        def body(k: Any, carry: tuple) -> tuple:
            state, total, going, least, most = carry
            play, move = jax.random.split(jax.random.fold_in(rest, k))
            everybody = act(state, play)
            if learnt is not None:
                seen = jnp.asarray(game.observe(state, agent), jnp.float32)[None]
                best = learnt.learner.mode(
                    learnt.arena, deviation, seen, last_phase(learnt.learner, int(learnt.config["steps"])), key=play
                )
                everybody[agent] = learnt.arena.actions.to_game(best)[0]
            moved = game.step(state, tuple(everybody), key=move)
            weight = jnp.asarray(game.discount[agent] ** k.astype(jnp.float32), jnp.float32)
            reward = jnp.asarray(moved.rewards[agent], jnp.float32)
            seen = (
                jnp.where(going, jnp.minimum(least, reward), least),
                jnp.where(going, jnp.maximum(most, reward), most),
            )
            return moved.state, total + jnp.where(going, weight * reward, 0), going & ~moved.terminated, *seen

        never = jnp.float32(jnp.inf)
        start = (game.reset(begin), jnp.float32(0), jnp.ones((), bool), never, -never)
        return Played(*jax.lax.fori_loop(0, length, body, start)[1:])

    with jax.enable_x64(False):
        keys = jax.random.split(jax.random.key(part), episodes)
        played = jax.jit(jax.vmap(one, in_axes=(None, 0)))
        states = [None if learnt is None else jax.tree.map(lambda leaf, k=k: leaf[k], learnt.state) for k in restarts]
        rows = [jax.tree.map(np.asarray, played(state, keys)) for state in states]
    found = jax.tree.map(lambda *each: np.stack(each), *rows)
    return found._replace(returns=found.returns.astype(np.float64))


def _length(game: ContinuousGame, agent: int) -> int:
    """Steps of an episode."""
    discount = game.discount[agent]
    if game.is_one_shot:
        return 1
    if discount >= 1:
        return game.horizon or 2000
    return int(min(10_000, np.ceil(np.log(_LEFT) / np.log(max(discount, _LEFT)))))


def _tail(game: ContinuousGame, agent: int, *plays: Played) -> float:
    """Most that the difference of two returns can change after the last step."""
    discount = game.discount[agent]
    if discount >= 1 or not any(play.going.any() for play in plays):
        return 0.0
    wide = max(play.most.max() for play in plays) - min(play.least.min() for play in plays)
    return float(discount ** _length(game, agent) / (1 - discount) * wide)

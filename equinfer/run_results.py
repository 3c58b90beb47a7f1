"""What a finished run is worth: certificates of what was learnt, and the file that keeps it."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from equinfer.certificates.continuous import certify_actions
from equinfer.certificates.nash import certify_nash
from equinfer.errors import BadInput
from equinfer.games.continuous_rules import TablePlay, TableState
from equinfer.games.external import ExternalGame
from equinfer.games.spaces import Box
from equinfer.records import Certificate
from equinfer.runs import RESULT, Training, last_phase
from equinfer.writing import written_atomically

__all__ = ["judged", "write_result"]


_DRAWS = 2000
_BOUND = "What an agent can gain at least, best_response(run, agent) tells."


def judged(training: Training, seed: int) -> Certificate:
    """The certificate of one seed: of the joint action of a one-shot game of boxes, of the policies in tables.

    **Raises:** `BadInput` for other games, of which nothing is known but what is tried.
    """
    game = training.game
    if isinstance(game, ExternalGame):
        raise BadInput(f"{game.name} is somebody else's environment: its gap is not known.")
    if all(isinstance(space, Box) for space in game.spaces) and game.is_one_shot:
        actions = training.actions
        parts = tuple(part[seed] for part in actions) if isinstance(actions, tuple) else actions[seed]
        return certify_actions(game.tables(), parts)
    if not isinstance(game.rules, TablePlay):
        raise BadInput(f"{game.name} has several steps and no tables: its gap is not known. {_BOUND}")
    found = certify_nash(game.rules.game.tables(), played_in_table(training, seed))
    if training.learner.knows_exactly(training.arena):
        return found
    has = (
        "answers draws of what the others do, too much to be summed over: this is the gap of means over such draws"
        if training.learner.knows_laws
        else f"only draws its moves: this is the gap of frequencies in {_DRAWS:,} draws"
    )
    doubt = f"{training.algorithm} {has}, and that of the policies themselves may be another."
    return dataclasses.replace(found, kind="estimate", doubt=doubt)


def played_in_table(training: Training, seed: int, draws: int = _DRAWS) -> tuple[np.ndarray, ...]:
    """(S, A_i) of each agent, or (H, S, A_i): the law of what it executes in each state; of an algorithm that only
    draws, its frequencies in so many draws.
    """
    arena, learner = training.arena, training.learner
    state = jax.tree.map(lambda leaf: leaf[seed], training.state)
    phase = last_phase(learner, int(training.config["steps"]))
    game: Any = arena.game
    played = game.rules.game
    states, epochs = range(played.num_states), range(played.horizon or 1)
    with jax.enable_x64(False):
        places = [TableState(jnp.int32(s), jnp.int32(h)) for h in epochs for s in states]
        sights: Any = jnp.stack([game.rules.observe(place, 0) for place in places]).astype(jnp.float32)
        keys = jax.random.split(jax.random.key(0), draws)

        @jax.jit
        def chances(seen: Any) -> Any:
            if learner.knows_laws:
                return learner.laws(arena, state, seen, phase, key=keys[0])
            return jax.vmap(lambda key: learner.act(arena, state, seen, phase, key=key))(keys).mean(axis=0)

        laws = np.stack([np.asarray(chances(np.tile(seen, (arena.agents, 1))), np.float64) for seen in sights])
    laws /= laws.sum(axis=2, keepdims=True)  # single precision rounds them
    shape = (played.num_states,) if played.horizon in (None, 1) else (played.horizon, played.num_states)
    return tuple(laws[:, i, : arena.game.spaces[i].n].reshape(*shape, -1) for i in range(arena.agents))


def write_result(folder: Path, training: Training) -> None:
    """`actions`, the returns, and the arrays of the learners under the names that they have in them."""
    actions = training.actions
    named: dict[str, Any] = (
        {f"actions_{i}": part for i, part in enumerate(actions)} if isinstance(actions, tuple) else {"actions": actions}
    )
    named |= {
        "steps": training.steps,
        "returns": training.returns,
        "deterministic_returns": training.deterministic_returns,
        "rewards": training.rewards,
        "path": training.path,
    }
    for path, leaf in jax.tree_util.tree_leaves_with_path(training.state):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            continue
        named["learner" + jax.tree_util.keystr(path)] = np.asarray(leaf)
    with written_atomically(folder / RESULT) as file:
        np.savez(file, **named)

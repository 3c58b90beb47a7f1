"""Games whose dynamics do not depend on the population, by the masses that can be somewhere: sparse and flat.

A node is a population, an epoch and a state where that population can be; nodes are numbered one after the other.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.mean_field_tables import RawTransition, Staged
from equinfer.tables import SuccessorLists
from equinfer.types import Profile

__all__ = ["Nodes", "crowding", "flat_rewards", "nodes_of", "profile_of"]


class Nodes(NamedTuple):
    """N nodes, A actions (of the population that has most), at most K different successors of a node."""

    population: Int[np.ndarray, " N"]
    time: Int[np.ndarray, " N"]
    state: Int[np.ndarray, " N"]
    legal: Bool[np.ndarray, "N A"]
    successors: Int[np.ndarray, "N K"]
    """Nodes of the next epoch; N where there are no more."""
    chances: Float[np.ndarray, "N A K"]
    initial: Float[np.ndarray, " N"]
    """Masses of the first epoch; 0 later."""

    @property
    def size(self) -> int:
        return len(self.time)


def nodes_of(game: Any) -> Nodes:
    """The nodes that anybody can reach by legal actions."""
    legal = tuple(np.asarray(mask) for mask in game.legal)
    here = [np.asarray(law) > 0 for law in game.initial]
    numbered, steps = [], []
    count = 0
    for t in range(game.horizon):
        numbers = np.full((game.num_players, game.num_states), -1)
        for p, places in enumerate(here):
            numbers[p, places] = count + np.arange(places.sum())
            count += int(places.sum())
        numbered.append(numbers)
        # Kernels that do not depend on the population are the same at any laws.
        steps.append([_lists(each.raw(t, tuple(mask.astype(float) for mask in legal))) for each in game.transitions])
        here = [_reached(*step, places, mask) for step, places, mask in zip(steps[-1], here, legal, strict=True)]
    parts = [
        _part(game, legal[p], p, t, numbered, steps[t][p]) for t in range(game.horizon) for p in range(game.num_players)
    ]
    width, most = max(part.successors.shape[1] for part in parts), max(game.num_actions)
    widened = [
        part._replace(
            legal=_widened(part.legal, (most,), False),
            successors=_widened(np.where(part.successors < 0, count, part.successors), (width,), count),
            chances=_widened(part.chances, (most, width), 0.0),
        )
        for part in parts
    ]
    return Nodes(*map(np.concatenate, zip(*widened, strict=True)))


def profile_of(game: Any, nodes: Nodes, masses: Float[np.ndarray, "N A"]) -> Profile:
    """The policies that lead to these masses; uniform where nobody can be."""
    policies = tuple(np.array(policy) for policy in game.uniform_profile())
    shares = masses / masses.sum(axis=1, keepdims=True)
    for p, policy in enumerate(policies):
        own = nodes.population == p
        policy[nodes.time[own], nodes.state[own]] = shares[own, : policy.shape[-1]]
    return policies


def flat_rewards(game: Any, nodes: Nodes, masses: Float[np.ndarray, "N A"]) -> Float[np.ndarray, "N A"]:
    """Of every node and action, discounted to the first epoch."""
    found = _rewards(game, _flow(game, nodes, masses))
    return _flat(game, nodes, tuple(map(np.asarray, found)))


def crowding(game: Any, nodes: Nodes, masses: Float[np.ndarray, "N A"]) -> Float[np.ndarray, "N P"]:
    r"""$-\partial r_p(s)/\partial\mu_q(s)$ of every node, by population q; discounted to the first epoch.

    One directional derivative per population tells all of them, where rewards depend on the masses of the same place
    alone.
    """
    flow = _flow(game, nodes, masses)
    columns = [_flat(game, nodes, tuple(map(np.asarray, _derivative(game, flow, q)))) for q in range(game.num_players)]
    first = np.argmax(nodes.legal, axis=1)
    return -np.stack([column[np.arange(nodes.size), first] for column in columns], axis=-1)


@eqx.filter_jit
def _rewards(game: Any, flow: Profile) -> Profile:
    return game.rewards(flow)


@eqx.filter_jit
def _derivative(game: Any, flow: Profile, q: int) -> Profile:
    """Along more mass of population q, everywhere at once."""
    more = tuple(
        (jnp.ones(law.shape) if p == q else jnp.zeros(law.shape)) / law.shape[-1] for p, law in enumerate(flow)
    )
    return jax.jvp(game.rewards, (flow,), (more,))[1]


def _flow(game: Any, nodes: Nodes, masses: Float[np.ndarray, "N A"]) -> Profile:
    flow = []
    for p, size in enumerate(game.num_actions):
        law, own = np.zeros((game.horizon, game.num_states, size)), nodes.population == p
        law[nodes.time[own], nodes.state[own]] = masses[own, :size]
        flow.append(jnp.asarray(law))
    return tuple(flow)


def _flat(game: Any, nodes: Nodes, found: Profile) -> Float[np.ndarray, "N A"]:
    flat = np.zeros(nodes.legal.shape)
    for p, values in enumerate(found):
        own = nodes.population == p
        flat[own, : values.shape[-1]] = values[nodes.time[own], nodes.state[own]]
    return np.where(nodes.legal, flat * game.discount ** nodes.time[:, None], 0.0)


def _part(game: Any, legal: np.ndarray, p: int, t: int, numbered: list[np.ndarray], step: tuple) -> Nodes:
    """The nodes of one population at one time; -1 for no successor."""
    states = np.flatnonzero(numbered[t][p] >= 0)
    successors, chances = (each[states] for each in step)
    if t + 1 < game.horizon:
        counted = (chances > 0) & legal[states][..., None]
        ahead = np.where(counted, numbered[t + 1][p][successors], -1)
        columns, weights = _gathered(ahead, np.where(counted, chances, 0.0))
    else:
        columns, weights = np.zeros((len(states), 0), int), np.zeros((len(states), legal.shape[1], 0))
    initial = np.asarray(game.initial[p])[states] if t == 0 else np.zeros(len(states))
    return Nodes(np.full(len(states), p), np.full(len(states), t), states, legal[states], columns, weights, initial)


def _widened(array: np.ndarray, sizes: tuple[int, ...], filling: Any) -> np.ndarray:
    """With the last axes of these sizes."""
    missing = [(0, size - now) for size, now in zip(sizes, array.shape[-len(sizes) :], strict=True)]
    return np.pad(array, [(0, 0)] * (array.ndim - len(sizes)) + missing, constant_values=filling)


def _lists(kernel: RawTransition) -> tuple[Int[np.ndarray, "S A E"], Float[np.ndarray, "S A E"]]:
    match kernel:
        case Staged():
            return kernel.successors[kernel.moves], kernel.probabilities[kernel.moves]
        case SuccessorLists():
            return kernel.successors, kernel.probabilities
    return np.broadcast_to(np.arange(kernel.shape[-1]), kernel.shape), kernel


def _reached(successors: np.ndarray, chances: np.ndarray, here: np.ndarray, legal: np.ndarray) -> np.ndarray:
    there = np.zeros(len(here), bool)
    there[successors[(chances > 0) & (here[:, None] & legal)[..., None]]] = True
    return there


def _gathered(
    ahead: Int[np.ndarray, "n A E"], chances: Float[np.ndarray, "n A E"]
) -> tuple[Int[np.ndarray, "n K"], Float[np.ndarray, "n A K"]]:
    """The different successors of each node, -1 where there are no more, and the chances of each."""
    count, actions, _ = ahead.shape
    flat = ahead.reshape(count, -1)
    ordered = np.sort(flat, axis=1)
    new = (ordered >= 0) & np.concatenate([np.ones((count, 1), bool), ordered[:, 1:] != ordered[:, :-1]], axis=1)
    place = np.cumsum(new, axis=1) - 1
    widest = int(new.sum(axis=1).max(initial=0))
    columns = np.full((count, widest), -1)
    rows = np.broadcast_to(np.arange(count)[:, None], ordered.shape)
    columns[rows[new], place[new]] = ordered[new]
    by_column = np.argsort(np.argsort(flat, axis=1, kind="stable"), axis=1)
    column = np.take_along_axis(place, by_column, axis=1).reshape(ahead.shape)
    weights = np.zeros((count, actions, widest))
    where = np.nonzero(ahead >= 0)
    np.add.at(weights, (where[0], where[1], column[where]), chances[where])
    return columns, weights

"""Mean-field games by the masses that can be somewhere: sparse and flat.

A node is a population, an epoch and a state where that population can be; nodes are numbered one after the other. A
stationary game has one epoch, which follows itself.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jaxtyping import Array, Bool, Float, Int
from scipy.sparse import csgraph

from equinfer.mean_field_tables import MeanFieldTables, RawTransition, Staged
from equinfer.tables import SuccessorLists
from equinfer.types import Profile

__all__ = [
    "Crowding",
    "Nodes",
    "crowding",
    "discounts",
    "ends_by_chance",
    "flat",
    "flat_rewards",
    "flow_at",
    "lists_of",
    "nodes_at_rest",
    "nodes_of",
    "profile_of",
    "rewards_in",
]


_ROUNDING = 1e-12
"""Of derivatives, whose differences are none if they are no more."""


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
    """The nodes that anybody can reach by legal actions, at some of a few populations if dynamics depend on that."""
    legal = tuple(np.asarray(mask) for mask in game.legal)
    here = [np.asarray(law) > 0 for law in game.initial]
    looks = _looks(game, legal)
    masses = [tuple(map(np.asarray, game.initial))] * len(looks)
    numbered, steps = [], []
    count = 0
    for t in range(game.horizon):
        numbers = np.full((game.num_players, game.num_states), -1)
        for p, places in enumerate(here):
            numbers[p, places] = count + np.arange(places.sum())
            count += int(places.sum())
        numbered.append(numbers)
        laws = [_laws(mass, look) for mass, look in zip(masses, looks, strict=True)]
        steps.append([_seen_at(each, t, laws) for each in game.transitions])
        here = [_reached(*step, places, mask) for step, places, mask in zip(steps[-1], here, legal, strict=True)]
        if len(looks) > 1:
            masses = [
                tuple(np.asarray(each.push(t, law, law[p])) for p, each in enumerate(game.transitions)) for law in laws
            ]
    parts = [
        _part(game, legal[p], p, t, numbered, steps[t][p]) for t in range(game.horizon) for p in range(game.num_players)
    ]
    return _joined(parts, count, max(game.num_actions))


def nodes_at_rest(game: Any) -> Nodes | None:
    """Of a stationary game: the states that populations which try everything for ever come back to, again and again;
    None if where they end depends on chance.
    """
    legal = tuple(np.asarray(mask) for mask in game.legal)
    everywhere = (np.full(game.num_states, 1 / game.num_states),) * game.num_players
    laws = [_laws(everywhere, look) for look in _looks(game, legal)]
    steps = [_seen_at(each, 0, laws) for each in game.transitions]
    numbers = np.full((1, game.num_players, game.num_states), -1)
    count = 0
    for p, step in enumerate(steps):
        places = _recurrent(*step, np.asarray(game.initial[p]) > 0, legal[p])
        if places is None:
            return None
        numbers[0, p, places] = count + np.arange(places.sum())
        count += int(places.sum())
    parts = []
    for p, step in enumerate(steps):
        part = _part(game, legal[p], p, 0, [numbers[0], numbers[0]], step, last=False)
        parts.append(part._replace(initial=np.full(part.size, 1 / part.size)))
    return _joined(parts, count, max(game.num_actions))


def ends_by_chance(tables: MeanFieldTables) -> bool:
    """Of a stationary game: players who try everything may end in one class of states or in another."""
    laws = tuple(mask / mask.sum() for mask in tables.legal)
    return any(
        _recurrent(*lists_of(kernel), law > 0, mask) is None
        for kernel, law, mask in zip(tables.transitions(0, laws), tables.initial, tables.legal, strict=True)
    )


def _joined(parts: list[Nodes], count: int, most: int) -> Nodes:
    width = max(part.successors.shape[1] for part in parts)
    widened = [
        part._replace(
            legal=_widened(part.legal, (most,), False),
            successors=_widened(np.where(part.successors < 0, count, part.successors), (width,), count),
            chances=_widened(part.chances, (most, width), 0.0),
        )
        for part in parts
    ]
    return Nodes(*map(np.concatenate, zip(*widened, strict=True)))


def _looks(game: Any, legal: tuple[Bool[np.ndarray, "S A"], ...]) -> list[Profile]:
    """Policies at whose populations kernels are looked at: one, if they are the same everywhere."""
    if game.has_fixed_dynamics:
        return [tuple(mask.astype(float) for mask in legal)]
    random = np.random.default_rng(0)
    weights = [legal, *(tuple(mask * random.exponential(size=mask.shape) for mask in legal) for _ in range(2))]
    return [tuple(weight / weight.sum(axis=1, keepdims=True) for weight in each) for each in weights]


def _laws(masses: tuple[np.ndarray, ...], policies: Profile) -> tuple[np.ndarray, ...]:
    return tuple(mass[:, None] * policy for mass, policy in zip(masses, policies, strict=True))


def _seen_at(transition: Any, t: int, laws: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray]:
    """Successors and chances, in the mean over populations."""
    lists = [lists_of(transition.raw(t, tuple(map(jnp.asarray, each)))) for each in laws]
    if len(lists) == 1:
        return lists[0]
    if all(np.array_equal(successors, lists[0][0]) for successors, _ in lists):
        return lists[0][0], np.mean([chances for _, chances in lists], axis=0)
    successors, chances = (np.concatenate(each, axis=-1) for each in zip(*lists, strict=True))
    return successors, chances / len(lists)


def _recurrent(
    successors: np.ndarray, chances: np.ndarray, here: Bool[np.ndarray, " S"], legal: Bool[np.ndarray, "S A"]
) -> Bool[np.ndarray, " S"] | None:
    """The one class of states that is not left again, of those that lead from `here`; None if there are several."""
    size = len(here)
    counted = (chances > 0) & legal[..., None]
    rows = np.broadcast_to(np.arange(size)[:, None, None], successors.shape)[counted]
    leads = scipy.sparse.csr_array((np.ones(rows.size), (rows, successors[counted])), shape=(size, size))
    order = np.concatenate(
        [csgraph.breadth_first_order(leads, start, return_predecessors=False) for start in np.flatnonzero(here)]
    )
    reached = np.zeros(size, bool)
    reached[order] = True
    _, label = csgraph.connected_components(leads, connection="strong")
    entries = leads.tocoo()
    left = np.unique(label[entries.coords[0][label[entries.coords[0]] != label[entries.coords[1]]]])
    ends = np.setdiff1d(np.unique(label[reached]), left)
    return label == ends[0] if len(ends) == 1 else None


def profile_of(game: Any, nodes: Nodes, masses: Float[np.ndarray, "N A"]) -> Profile:
    """The policies that lead to these masses; uniform where nobody can be."""
    policies = tuple(np.array(policy) for policy in game.uniform_profile())
    shares = masses / masses.sum(axis=1, keepdims=True)
    for p, policy in enumerate(policies):
        own = nodes.population == p
        by_epoch = policy if game.horizon else policy[None]
        by_epoch[nodes.time[own], nodes.state[own]] = shares[own, : policy.shape[-1]]
    return policies


def flat_rewards(game: Any, nodes: Nodes, masses: Float[np.ndarray, "N A"]) -> Float[np.ndarray, "N A"]:
    """Of every node and action, discounted to the first epoch."""
    found = _rewards(game, flow_at(game, nodes, masses))
    return flat(game, nodes, tuple(map(np.asarray, found))) * discounts(game, nodes)


class Crowding(NamedTuple):
    r"""How rewards fall with masses: $-\partial r_p(s,a)/\partial d_q(s,b)=\mathcal K_{pq}(s)+C(s,a)[p=q,a=b]$."""

    shared: Float[np.ndarray, "N P"]
    r"""$\mathcal K$ of every node, by the population whose mass it is."""
    own: Float[np.ndarray, "N A"]
    """C, of those who do the same in the same place; not negative."""


def crowding(game: Any, nodes: Nodes, masses: Float[np.ndarray, "N A"]) -> Crowding:
    """Discounted to the first epoch. Of other rewards than these it is a part.

    Two directional derivatives per population tell all: along more mass of everybody, and of those who take the first
    legal action.
    """
    flow = flow_at(game, nodes, masses)
    rows, discounted = np.arange(nodes.size), discounts(game, nodes)
    first = np.argmax(nodes.legal, axis=1)
    others = nodes.legal.copy()
    others[rows, first] = False
    second = np.where(others.any(axis=1), np.argmax(others, axis=1), first)
    count = nodes.legal.sum(axis=1, keepdims=True)
    shared, own = np.zeros((nodes.size, game.num_players)), np.zeros(nodes.legal.shape)
    for q in range(game.num_players):
        of_q = nodes.population == q
        some, whole = (flat(game, nodes, tuple(map(np.asarray, each))) for each in _derivatives(game, flow, q))
        shared[:, q] = -some[rows, np.where(of_q, second, first)]
        by_all = count * shared[:, q, None]
        rest = -whole - by_all
        noise = _ROUNDING * (np.abs(whole) + np.abs(by_all))
        own += np.where(nodes.legal & of_q[:, None] & (count > 1) & (rest > noise), rest, 0.0)
    return Crowding(shared * discounted, own * discounted)


def rewards_in(game: Any, flow: Profile) -> Profile:
    """Of laws by epoch, (H, S, A_p) with H = 1 of a stationary game."""
    if game.horizon is None:
        return tuple(reward[None] for reward in game.rewards(tuple(law[0] for law in flow)))
    return game.rewards(flow)


@eqx.filter_jit
def _rewards(game: Any, flow: Profile) -> Profile:
    return rewards_in(game, flow)


@eqx.filter_jit
def _derivatives(game: Any, flow: Profile, q: int) -> tuple[Profile, Profile]:
    """Along more mass of population q, of the first legal action and of all of them, everywhere at once."""
    mask = jnp.asarray(game.legal[q])
    first = jax.nn.one_hot(jnp.argmax(mask, axis=-1), mask.shape[-1], dtype=float)
    along = jax.linearize(lambda each: rewards_in(game, each), flow)[1]

    def more(weights: Float[Array, "S A"]) -> Profile:
        return tuple(
            jnp.broadcast_to(weights, law.shape) if p == q else jnp.zeros(law.shape) for p, law in enumerate(flow)
        )

    return along(more(first)), along(more(mask.astype(float)))


def flow_at(game: Any, nodes: Nodes, masses: Float[np.ndarray, "N A"]) -> Profile:
    """The laws (H, S, A_p) with these masses."""
    flow = []
    for p, size in enumerate(game.num_actions):
        law, own = np.zeros((game.horizon or 1, game.num_states, size)), nodes.population == p
        law[nodes.time[own], nodes.state[own]] = masses[own, :size]
        flow.append(jnp.asarray(law))
    return tuple(flow)


def flat(game: Any, nodes: Nodes, found: Profile) -> Float[np.ndarray, "N A"]:
    """Of arrays (H, S, A_p), what is at the nodes; 0 of illegal actions."""
    there = np.zeros(nodes.legal.shape)
    for p, values in enumerate(found):
        own = nodes.population == p
        there[own, : values.shape[-1]] = values[nodes.time[own], nodes.state[own]]
    return np.where(nodes.legal, there, 0.0)


def discounts(game: Any, nodes: Nodes) -> Float[np.ndarray, "N 1"]:
    """Of each node's epoch to the first."""
    return game.discount ** nodes.time[:, None]


def _part(
    game: Any, legal: np.ndarray, p: int, t: int, numbered: Any, step: tuple, *, last: bool | None = None
) -> Nodes:
    """The nodes of one population at one time; -1 for no successor."""
    last = t + 1 == game.horizon if last is None else last
    states = np.flatnonzero(numbered[t][p] >= 0)
    successors, chances = (each[states] for each in step)
    if not last:
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


def lists_of(kernel: RawTransition) -> tuple[Int[np.ndarray, "S A E"], Float[np.ndarray, "S A E"]]:
    """Successors of every state and action, and the chances of each."""
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

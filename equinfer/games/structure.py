"""What can be seen in the tables of a game before it is solved: structure that a method could use, and doubts."""

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from equinfer.tables import SuccessorLists, Tables

__all__ = [
    "absorbing_states",
    "controllers",
    "doubts",
    "findings",
    "has_identical_interests",
    "is_constant_sum",
    "is_deterministic",
    "is_symmetric",
    "is_turn_based",
    "reachable_states",
]


def findings(tables: Tables) -> tuple[str, ...]:
    """Every structure that was found, one phrase each."""
    found = []
    if tables.is_one_shot:
        found.append("one-shot")
    if is_constant_sum(tables):
        found.append("zero-sum or constant-sum")
    if has_identical_interests(tables):
        found.append("identical interests")
    if is_symmetric(tables):
        found.append("symmetric under any exchange of players")
    if tables.num_states > 1:
        moving = controllers(tables)
        if not moving:
            found.append("no action influences the transitions")
        elif len(moving) == 1 < tables.num_players:
            found.append(f"single controller: only player {tables.player_labels[moving[0]]} moves the state")
        if is_turn_based(tables):
            found.append("turn-based (perfect information): at most one player chooses in any state")
        if is_deterministic(tables):
            found.append("deterministic transitions")
        absorbing = absorbing_states(tables)
        if absorbing.any():
            found.append(f"absorbing states: {_listed(tables, absorbing)}")
    return tuple(found)


def doubts(tables: Tables) -> tuple[str, ...]:
    """What looks like a slip in the input, one sentence each; none of it stops a solver."""
    doubtful = []
    reachable = reachable_states(tables)
    if not reachable.all():
        doubtful.append(f"no play reaches {_listed(tables, ~reachable)} from the initial states.")
    legal = tables.legal_joint
    ranges = np.array([np.ptp(reward[legal]) for reward in tables.reward])
    doubtful += [
        f"the reward of player {tables.player_labels[i]} never varies: every policy is a best response."
        for i in np.flatnonzero(ranges == 0)
    ]
    if ranges.all() and ranges.max() > 1e6 * ranges.min():
        doubtful.append("payoffs of different players differ by more than a factor of a million: check the units.")
    doubtful += _first_few(_duplicates(tables), "duplicate actions")
    doubtful += _first_few(_dominated(tables), "dominated actions")
    return tuple(doubtful)


def is_constant_sum(tables: Tables) -> bool:
    """The rewards of all players add up to one constant, and they discount alike."""
    total = tables.reward.sum(axis=0)[tables.legal_joint]
    tolerance = 1e-12 * np.abs(tables.reward).sum(axis=0).max()
    return bool(np.ptp(total) <= tolerance and np.ptp(tables.discount) == 0 and tables.num_players > 1)


def has_identical_interests(tables: Tables) -> bool:
    same = (tables.reward == tables.reward[0]).all()
    return bool(same and np.ptp(tables.discount) == 0 and tables.num_players > 1)


def is_symmetric(tables: Tables) -> bool:
    """Exchanging any two players, with their actions by number and the states as they are, gives the same game."""
    if tables.num_players < 2 or len(set(tables.num_actions)) > 1 or np.ptp(tables.discount) > 0:
        return False
    for i in range(tables.num_players - 1):  # neighbours generate all permutations
        j = i + 1
        reward = tables.reward.swapaxes(2 + i, 2 + j)
        order = list(range(tables.num_players))
        order[i], order[j] = j, i
        same = (
            np.array_equal(tables.legal[i], tables.legal[j])
            and np.array_equal(reward[order], tables.reward)
            and all(np.array_equal(rows.swapaxes(1 + i, 1 + j), rows) for rows in _rows(tables))
        )
        if not same:
            return False
    return True


def controllers(tables: Tables) -> tuple[int, ...]:
    """The players whose action has any influence on where the game goes."""
    legal = tables.legal_joint[..., None]
    moving = []
    for i, mask in enumerate(tables.legal):
        shape = [tables.num_states, *[1] * (tables.num_players + 1)]
        chosen = mask.argmax(axis=1).reshape(shape)
        same = (rows == np.take_along_axis(rows, chosen, axis=1 + i) for rows in _rows(tables))
        if not all(np.all(equal | ~legal) for equal in same):
            moving.append(i)
    return tuple(moving)


def is_turn_based(tables: Tables) -> bool:
    choosing = np.sum([mask.sum(axis=1) > 1 for mask in tables.legal], axis=0)
    return bool(np.all(choosing <= 1))


def is_deterministic(tables: Tables) -> bool:
    return bool(np.isin(_rows(tables)[-1], (0.0, 1.0)).all())


def absorbing_states(tables: Tables) -> Bool[np.ndarray, " S"]:
    """True for states that no legal joint action leaves."""
    own = np.arange(tables.num_states)
    if isinstance(tables.kernel, SuccessorLists):
        home = own.reshape(-1, *[1] * (tables.num_players + 1))
        stays = np.where(tables.kernel.successors == home, tables.kernel.probabilities, 0.0).sum(axis=-1)
    else:
        stays = tables.kernel[own, ..., own]
    return np.where(tables.legal_joint, stays, 1.0).reshape(tables.num_states, -1).min(axis=1) == 1.0


def reachable_states(tables: Tables) -> Bool[np.ndarray, " S"]:
    """True for states that some play reaches from the initial distribution."""
    follows = np.asarray(_rows(tables)[-1] > 0) & tables.legal_joint[..., None]
    if isinstance(tables.kernel, SuccessorLists):
        state, successor = np.nonzero(follows)[0], tables.kernel.successors[follows]
    else:
        state, successor = np.nonzero(follows.reshape(tables.num_states, -1, tables.num_states).any(axis=1))
    links = sparse.csr_array((np.ones(len(state), bool), (state, successor)), shape=(tables.num_states,) * 2)
    reached = new = np.asarray(tables.initial > 0)
    while new.any():
        after = np.zeros(tables.num_states, bool)
        after[links[np.flatnonzero(new)].indices] = True
        new = after & ~reached
        reached = reached | new
    return reached


def _rows(tables: Tables) -> tuple[np.ndarray, ...]:
    """Arrays (S, *A, _) that agree in a row where the laws of the next state do; the last one holds probabilities."""
    return tables.kernel if isinstance(tables.kernel, SuccessorLists) else (tables.kernel,)


class _Pair(NamedTuple):
    """Two actions of one player, in the K states where both are legal and lead to the same states."""

    player: int
    actions: tuple[int, int]
    states: Int[np.ndarray, " K"]
    rewards: tuple[Float[np.ndarray, "N K C"], Float[np.ndarray, "N K C"]]
    """Of everybody, against what the others may do."""
    legal: Bool[np.ndarray, "K C"]
    """Which of that they may."""


def _pairs(tables: Tables) -> Iterator[_Pair]:
    num_players, num_states = tables.num_players, tables.num_states
    for i, mask in enumerate(tables.legal):
        joint = np.moveaxis(tables.legal_joint, 1 + i, 0)
        reward = np.moveaxis(tables.reward, 2 + i, 0).reshape(mask.shape[1], num_players, num_states, -1)
        laws = [np.moveaxis(rows, 1 + i, 0) for rows in _rows(tables)]
        for a, b in itertools.combinations(range(mask.shape[1]), 2):
            alike = mask[:, a] & mask[:, b]
            for law in laws:
                same = (law[a] == law[b]).all(axis=-1) | ~joint[a]
                alike &= same.reshape(num_states, -1).all(axis=1)
            states = np.flatnonzero(alike)
            legal = joint[a].reshape(num_states, -1)[states]
            yield _Pair(i, (a, b), states, (reward[a][:, states], reward[b][:, states]), legal)


def _duplicates(tables: Tables) -> Iterator[str]:
    """Pairs of legal actions that differ in name only: every reward and every transition agree."""
    for pair in _pairs(tables):
        same = ((pair.rewards[0] == pair.rewards[1]) | ~pair.legal).all(axis=(0, 2))
        a, b = pair.actions
        for s in pair.states[same].tolist():
            yield f"{_choice(tables, pair.player, s, a)} and {tables.action_labels[pair.player][b]}"


def _dominated(tables: Tables) -> Iterator[str]:
    """Actions that pay strictly less than another whatever the others do, and lead to the same states."""
    for pair in _pairs(tables):
        own = tuple(rewards[pair.player] for rewards in pair.rewards)
        for worse, better in ((0, 1), (1, 0)):
            less = ((own[worse] < own[better]) | ~pair.legal).all(axis=1)
            names = tables.action_labels[pair.player]
            for s in pair.states[less].tolist():
                yield f"{_choice(tables, pair.player, s, pair.actions[worse])} by {names[pair.actions[better]]}"


def _choice(tables: Tables, player: int, state: int, action: int) -> str:
    where = f" in state {tables.state_labels[state]}" if tables.num_states > 1 else ""
    return f"player {tables.player_labels[player]}{where}: {tables.action_labels[player][action]}"


def _first_few(found: Iterator[str], what: str, shown: int = 3) -> list[str]:
    listed = list(found)
    if not listed:
        return []
    rest = f"; and {len(listed) - shown} more" if len(listed) > shown else ""
    return [f"{what}: {'; '.join(listed[:shown])}{rest}."]


def _listed(tables: Tables, chosen: Bool[np.ndarray, " S"], shown: int = 8) -> str:
    names = [tables.state_labels[s] for s in np.flatnonzero(chosen)]
    rest = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{'state' if len(names) == 1 else 'states'} {', '.join(names[:shown])}{rest}"

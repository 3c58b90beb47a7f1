"""Games and their Nash gaps in rational arithmetic, by brute force: the truth that certificates are held against."""

import itertools
from fractions import Fraction

import numpy as np

from equinfer.tables import Tables

Rational = Fraction


def tables_of(reward, kernel, discount=0.0, horizon=None, legal=None, name="game") -> Tables:
    """Tables as a game would hand them out, without going through `TabularGame`."""
    reward, kernel = np.array(reward, float), np.array(kernel, float)
    num_players, num_states, *num_actions = reward.shape
    if legal is None:
        legal = tuple(np.ones((num_states, size), bool) for size in num_actions)
    return Tables(
        reward=reward,
        kernel=kernel,
        discount=np.broadcast_to(np.array(discount, float), num_players).copy(),
        horizon=horizon,
        initial=np.full(num_states, 1 / num_states),
        legal=legal,
        name=name,
        state_labels=tuple(f"s{s}" for s in range(num_states)),
        action_labels=tuple(tuple(f"a{a}" for a in range(size)) for size in num_actions),
        player_labels=tuple(f"P{i}" for i in range(num_players)),
    )


def one_shot(payoffs) -> Tables:
    reward = np.array(payoffs, float)[:, None]
    return tables_of(reward, np.ones((*reward.shape[1:], 1)))


def random_tables(rng, num_states, num_actions, *, discount=0.9, horizon=None, scale=1.0, level=0.0, illegal=0.0):
    """A random game: a third of the transitions are sure, a third of the payoffs tie."""
    shape = (num_states, *num_actions)
    reward = rng.normal(size=(len(num_actions), *shape))
    reward = level + scale * np.where(rng.random(reward.shape) < 1 / 3, np.round(reward), reward)
    kernel = rng.random((*shape, num_states)) ** 3
    sure = np.eye(num_states)[rng.integers(num_states, size=shape)]
    kernel = np.where(rng.random((*shape, 1)) < 1 / 3, sure, kernel / kernel.sum(axis=-1, keepdims=True))
    legal = []
    for size in num_actions:
        mask = rng.random((num_states, size)) >= illegal
        mask[np.arange(num_states), rng.integers(size, size=num_states)] = True
        legal.append(mask)
    tables = tables_of(reward, kernel, discount, horizon, tuple(legal))
    banned = ~tables.legal_joint
    tables.reward[:, banned] = 0.0
    tables.kernel[banned] = np.eye(num_states)[np.argwhere(banned)[:, 0]]
    return tables


def random_profile(rng, tables, pure=0.3):
    """Random policies on legal actions; some rows are pure."""
    lead = () if tables.horizon is None else (tables.horizon,)
    profile = []
    for legal in tables.legal:
        policy = rng.random((*lead, *legal.shape)) * legal
        best = np.where(legal, policy, -1).argmax(axis=-1)
        chosen = (best[..., None] == np.arange(legal.shape[1])).astype(float)
        policy = np.where(rng.random((*policy.shape[:-1], 1)) < pure, chosen, policy)
        profile.append(policy / policy.sum(axis=-1, keepdims=True))
    return tuple(profile)


def true_gains(tables, profile):
    """Gain of each player at each state (and epoch), by brute force over pure policies, and the values: Fractions.

    The game is the tables, read as rationals, with every row of probabilities divided by its sum.
    """
    policies = [_laws(policy) for policy in profile]
    results = (
        [_stationary(tables, policies, i) for i in range(len(policies))]
        if tables.horizon is None
        else [_by_epochs(tables, policies, i) for i in range(len(policies))]
    )
    return [gain for gain, _ in results], [values for _, values in results]


def _laws(table):
    """Nested lists of Fractions, the last axis normalised."""
    if np.ndim(table) == 1:
        row = [Rational(float(x)) for x in table]
        return [x / sum(row) for x in row]
    return [_laws(part) for part in table]


def _facing(tables, policies, player):
    """Reward (S, A_i) and transition (S, A_i, S) that the player faces, in Fractions."""
    num_states, size = tables.num_states, tables.num_actions[player]
    reward = [[Rational(0)] * size for _ in range(num_states)]
    kernel = [[[Rational(0)] * num_states for _ in range(size)] for _ in range(num_states)]
    for state in range(num_states):
        for joint in itertools.product(*map(range, tables.num_actions)):
            weight = Rational(1)
            for j, action in enumerate(joint):
                if j != player:
                    weight *= policies[j][state][action]
            if weight == 0:
                continue
            own = joint[player]
            reward[state][own] += weight * Rational(float(tables.reward[(player, state, *joint)]))
            for successor, probability in enumerate(_laws(tables.kernel[(state, *joint)])):
                kernel[state][own][successor] += weight * probability
    return reward, kernel


def _averaged(policy, reward, kernel):
    states, actions = range(len(policy)), range(len(policy[0]))
    r = [sum(policy[s][a] * reward[s][a] for a in actions) for s in states]
    p = [[sum(policy[s][a] * kernel[s][a][z] for a in actions) for z in states] for s in states]
    return r, p


def solve_exactly(matrix, right):
    """Gauss-Jordan elimination in Fractions."""
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for k in range(len(rows)):
        pivot = next(r for r in range(k, len(rows)) if rows[r][k] != 0)
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for r in range(len(rows)):
            if r != k and rows[r][k] != 0:
                rows[r] = [x - rows[r][k] * y for x, y in zip(rows[r], rows[k], strict=True)]
    return [row[-1] for row in rows]


def _value(policy, reward, kernel, discount):
    r, p = _averaged(policy, reward, kernel)
    size = len(r)
    matrix = [[Rational(int(s == z)) - discount * p[s][z] for z in range(size)] for s in range(size)]
    return solve_exactly(matrix, r)


def _pure_policies(legal):
    choices = [np.flatnonzero(row) for row in legal]
    for chosen in itertools.product(*choices):
        yield [[Rational(int(a == c)) for a in range(legal.shape[1])] for c in chosen]


def _stationary(tables, policies, player):
    reward, kernel = _facing(tables, policies, player)
    discount = Rational(float(tables.discount[player]))
    own = _value(policies[player], reward, kernel, discount)
    others = [_value(pure, reward, kernel, discount) for pure in _pure_policies(tables.legal[player])]
    gain = [max(values[s] for values in others) - own[s] for s in range(len(own))]
    return gain, own


def _by_epochs(tables, policies, player):
    """Brute force over the pure policies of all epochs at once, each evaluated forwards along every state."""
    discount = Rational(float(tables.discount[player]))
    stages = [_facing(tables, [policy[t] for policy in policies], player) for t in range(tables.horizon)]
    own = _rollback(policies[player], stages, discount)
    everything = itertools.product(list(_pure_policies(tables.legal[player])), repeat=tables.horizon)
    others = [_rollback(plan, stages, discount) for plan in everything]
    gain = [
        [max(values[t][s] for values in others) - own[t][s] for s in range(tables.num_states)]
        for t in range(tables.horizon)
    ]
    return gain, own


def _rollback(plan, stages, discount):
    ahead = [Rational(0)] * len(plan[0])
    values = []
    for policy, (reward, kernel) in zip(reversed(plan), reversed(stages), strict=True):
        r, p = _averaged(policy, reward, kernel)
        ahead = [r[s] + discount * sum(x * v for x, v in zip(p[s], ahead, strict=True)) for s in range(len(r))]
        values.append(ahead)
    return values[::-1]

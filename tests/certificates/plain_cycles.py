"""Values and four-cycles by plain linear algebra and by enumeration: what the defect of a potential is held against."""

import itertools

import numpy as np


def plain_values(tables, profile, reward=None):
    """(N, S) values of rewards (N, S, *A), by default those of the game, under stationary policies."""
    kernel = np.asarray(tables.kernel)
    reward = np.asarray(tables.reward) if reward is None else reward
    for policy in profile:  # the first action axis is always the next to go
        shape = (len(policy), -1, *(1,) * (reward.ndim - 3))
        reward = (policy.reshape(shape) * reward).sum(axis=2)
        kernel = (policy.reshape(*shape, 1) * kernel).sum(axis=1)
    systems = [np.eye(len(kernel)) - discount * kernel for discount in tables.discount]
    return np.array([np.linalg.solve(system, own) for system, own in zip(systems, reward, strict=True)])


def plain_sum(tables, players, square):
    """Of the four gains around a square of profiles, from every state on."""
    values = [plain_values(tables, profile) for profile in square]
    return sum(values[(k + 1) % 4][players[k % 2]] - values[k][players[k % 2]] for k in range(4))


def pure_policies(legal):
    """All of one player."""
    size = legal.shape[1]
    for choice in itertools.product(*(np.flatnonzero(row) for row in legal)):
        yield np.eye(size)[list(choice)]


def worst_pure_sum(tables):
    """The largest sum over all pairs of players, pure policies and states, by enumeration."""
    num_players = tables.num_players
    policies = [list(pure_policies(legal)) for legal in tables.legal]
    values = {
        choice: plain_values(tables, [policies[i][k] for i, k in enumerate(choice)])
        for choice in itertools.product(*(range(len(own)) for own in policies))
    }
    worst = 0.0
    for i, j in itertools.combinations(range(num_players), 2):
        for choice in values:
            for far in itertools.product(range(len(policies[i])), range(len(policies[j]))):
                turned = [list(choice) for _ in range(4)]
                turned[1][i] = turned[2][i] = far[0]
                turned[2][j] = turned[3][j] = far[1]
                v = [values[tuple(c)] for c in turned]
                total = v[1][i] - v[0][i] + v[2][j] - v[1][j] + v[3][i] - v[2][i] + v[0][j] - v[3][j]
                worst = max(worst, float(np.abs(total).max()))
    return worst


def random_policies(rng, tables):
    """One of every player, with full support."""
    drawn = [np.where(legal, rng.exponential(size=legal.shape), 0.0) for legal in tables.legal]
    return [weights / weights.sum(axis=1, keepdims=True) for weights in drawn]

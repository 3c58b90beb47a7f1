"""An independent judge in plain NumPy: what a policy is worth, and what the best response to it is worth."""

import itertools

import numpy as np


def own_view(tables, player, others, own):
    """Sum a table (S, *A) or (S, *A, S) over the others' policies: (S, A_i) or (S, A_i, S)."""
    view = np.moveaxis(tables, 1 + player, 1)
    rest = [policy for j, policy in enumerate(others) if j != player]
    for policy in rest:
        weight = policy.reshape(policy.shape[0], 1, policy.shape[1], *(1,) * (view.ndim - 3))
        view = (view * weight).sum(axis=2)
    assert view.shape[1] == own
    return view


def values_and_gap(game, profile):
    """Values (N, [H,] S), and the largest unilateral gain over players, states and epochs."""
    tables = game.tables()
    if tables.horizon is None:
        judged = [_stationary(tables, i, profile) for i in range(tables.num_players)]
    else:
        judged = [_backward(tables, i, profile) for i in range(tables.num_players)]
    values, best = (np.array(part) for part in zip(*judged, strict=True))
    return values, float((best - values).max())


def _stationary(tables, player, profile):
    own, legal, discount = tables.num_actions[player], tables.legal[player], tables.discount[player]
    reward = own_view(tables.reward[player], player, profile, own)
    kernel = own_view(tables.kernel, player, profile, own)

    def worth(policy):
        chain = np.einsum("sa,sat->st", policy, kernel)
        return np.linalg.solve(np.eye(len(chain)) - discount * chain, (policy * reward).sum(axis=1))

    value = best = worth(profile[player])
    for _ in range(1000):
        q = np.where(legal, reward + discount * kernel @ best, -np.inf)
        improved = worth(np.eye(own)[q.argmax(axis=1)])
        if (improved <= best + 1e-14 * (1 + np.abs(best).max())).all():
            return value, np.maximum(improved, best)
        best = np.maximum(improved, best)
    raise AssertionError("policy iteration did not end")


def _backward(tables, player, profile):
    own, legal, discount = tables.num_actions[player], tables.legal[player], tables.discount[player]
    value = best = np.zeros(tables.num_states)
    values, bests = [], []
    for epoch in reversed(range(tables.horizon)):
        now = [policy[epoch] for policy in profile]
        reward = own_view(tables.reward[player], player, now, own)
        kernel = own_view(tables.kernel, player, now, own)
        value = (now[player] * (reward + discount * kernel @ value)).sum(axis=1)
        best = np.where(legal, reward + discount * kernel @ best, -np.inf).max(axis=1)
        values.append(value)
        bests.append(best)
    return values[::-1], bests[::-1]


def all_bimatrix_equilibria(row, column):
    """Every equilibrium of a non-degenerate two-player game: all pairs of supports of equal size."""
    found = []
    for size in range(1, min(row.shape) + 1):
        for rows in itertools.combinations(range(row.shape[0]), size):
            for columns in itertools.combinations(range(row.shape[1]), size):
                y = _indifferent(row[np.ix_(rows, columns)])
                x = _indifferent(column[np.ix_(rows, columns)].T)
                if x is None or y is None or x.min() <= 1e-12 or y.min() <= 1e-12:
                    continue
                first, second = np.zeros(row.shape[0]), np.zeros(row.shape[1])
                first[list(rows)], second[list(columns)] = x, y
                if (row @ second).max() - first @ row @ second > 1e-9:
                    continue
                if (first @ column).max() - first @ column @ second > 1e-9:
                    continue
                found.append((first, second))
    return found


def _indifferent(payoff):
    """The mixture over columns that makes all rows pay the same, if there is exactly one."""
    size = len(payoff)
    system = np.block([[payoff, -np.ones((size, 1))], [np.ones((1, size)), np.zeros((1, 1))]])
    if np.linalg.matrix_rank(system) <= size:
        return None
    return np.linalg.solve(system, np.append(np.zeros(size), 1.0))[:size]

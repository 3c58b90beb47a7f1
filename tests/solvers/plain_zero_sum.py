"""Zero-sum games the plain way: a linear programme per player and stage game, and Shapley's value iteration."""

import numpy as np
from scipy.optimize import linprog


def matrix_solution(payoff):
    """Value of a matrix game to the row player, and optimal mixtures of both, by one linear programme each."""
    value, rows = _by_programme(payoff)
    _, columns = _by_programme(-payoff.T)
    return value, rows, columns


def _by_programme(payoff):
    rows, columns = payoff.shape
    level = np.abs(payoff).max() or 1.0  # HiGHS has absolute tolerances
    result = linprog(
        np.append(np.zeros(rows), -1.0),
        A_ub=np.hstack([-payoff.T / level, np.ones((columns, 1))]),
        b_ub=np.zeros(columns),
        A_eq=[np.append(np.ones(rows), 0.0)],
        b_eq=[1.0],
        bounds=[(0, None)] * rows + [(None, None)],
    )
    assert result.success
    return -result.fun * level, result.x[:rows]


def shapley(reward, kernel, discount, value, legal=None):
    """One step of value iteration: the value of every stage game at `value`."""
    stages = reward + discount * kernel @ value
    if legal is None:
        return np.array([matrix_solution(stage)[0] for stage in stages])
    return np.array([matrix_solution(q[np.ix_(a, b)])[0] for q, a, b in zip(stages, *legal, strict=True)])


def jumps(reward, kernel, discount, count):
    """Values of Pollatschek and Avi-Itzhak's iteration without any safeguard, from 0 on."""
    num_states = len(reward)
    value, found = np.zeros(num_states), []
    for _ in range(count):
        plays = [matrix_solution(stage)[1:] for stage in reward + discount * kernel @ value]
        own = np.array([x @ r @ y for r, (x, y) in zip(reward, plays, strict=True)])
        chain = np.array([np.einsum("a,b,abz->z", x, y, p) for p, (x, y) in zip(kernel, plays, strict=True)])
        value = np.linalg.solve(np.eye(num_states) - discount * chain, own)
        found.append(value)
    return found

"""Compiled: what soft best responses are made of, all states in one pass. Players' actions stand side by side.

`ends` (N + 1,) says where each player's actions begin, and the last ones end; joint actions are in C order.
"""

from typing import no_type_check

import numba
import numpy as np

__all__ = ["average_tables", "fisher_dual", "fisher_squares", "gibbs", "respond"]

_kernel = numba.njit(cache=True, nogil=True, error_model="numpy")


@_kernel
@no_type_check
def gibbs(logits, legal, ends):
    """Softmax (S, n) and log-sum-exp (S, N) of logits (S, n) over each player's legal actions."""
    policy, log_total = np.zeros(logits.shape), np.empty((len(logits), len(ends) - 1))
    for s in range(len(logits)):
        for i in range(len(ends) - 1):
            log_total[s, i] = _gibbs_of(logits[s], legal[s], ends[i], ends[i + 1], policy[s])
    return policy, log_total


@_kernel
@no_type_check
def _gibbs_of(logits, legal, begin, end, policy):
    """Fill one player's `policy` in one state; returns its log-sum-exp."""
    top, total = -np.inf, 0.0
    for a in range(begin, end):
        if legal[a]:
            top = max(top, logits[a])
    for a in range(begin, end):
        if legal[a]:
            policy[a] = np.exp(logits[a] - top)
            total += policy[a]
    for a in range(begin, end):
        policy[a] /= total
    return top + np.log(total)


@_kernel
@no_type_check
def average_tables(policy, tables, ends):
    r"""$\bar Q^i(s,a^i)$ (S, n) of tables (N, S J): the others' play averaged out."""
    num_states, num_players = len(policy), len(ends) - 1
    num_joint = tables.shape[1] // num_states
    values = np.zeros(policy.shape)
    action, before = np.empty(num_players, np.int64), np.empty(num_players + 1)
    for s in range(num_states):
        action[:] = ends[:-1]
        before[0] = 1.0
        changed = 0
        for cell in range(s * num_joint, (s + 1) * num_joint):
            for i in range(changed, num_players):
                before[i + 1] = before[i] * policy[s, action[i]]
            behind = 1.0
            for i in range(num_players - 1, -1, -1):
                values[s, action[i]] += before[i] * behind * tables[i, cell]
                behind *= policy[s, action[i]]
            for changed in range(num_players - 1, -1, -1):  # the next joint action
                action[changed] += 1
                if action[changed] < ends[changed + 1]:
                    break
                action[changed] = ends[changed]
    return values


@_kernel
@no_type_check
def respond(action_values, value, rate, log_magnet, legal, ends):
    r"""Advantages (S, n), soft best responses to them (S, n) and their soft values (S, N) at $\lambda$ = `rate`."""
    advantage, target = np.zeros(action_values.shape), np.empty(action_values.shape)
    for s in range(len(value)):
        for i in range(len(ends) - 1):
            for a in range(ends[i], ends[i + 1]):
                if legal[s, a]:
                    advantage[s, a] = action_values[s, a] - value[s, i]
                target[s, a] = log_magnet[s, a] + rate * advantage[s, a]
    response, soft_value = gibbs(target, legal, ends)
    for s in range(len(value)):
        for i in range(len(ends) - 1):
            if rate != 0.0:
                soft_value[s, i] /= rate
            else:
                soft_value[s, i] = 0.0
                for a in range(ends[i], ends[i + 1]):
                    soft_value[s, i] += response[s, a] * advantage[s, a]
    return advantage, target, response, soft_value


@_kernel
@no_type_check
def fisher_dual(logits, policy, ends):
    r"""$\pi(\delta\beta-E_\pi[\delta\beta])$ of changes of logits (S, n): Fisher's metric applied to them."""
    dual = np.empty(logits.shape)
    for s in range(len(logits)):
        for i in range(len(ends) - 1):
            mean = 0.0
            for a in range(ends[i], ends[i + 1]):
                mean += policy[s, a] * logits[s, a]
            for a in range(ends[i], ends[i + 1]):
                dual[s, a] = policy[s, a] * (logits[s, a] - mean)
    return dual


@_kernel
@no_type_check
def fisher_squares(logits, policy, ends):
    """Variances (S, N) of changes of logits (S, n) under each player's policy: Fisher's squared lengths of them."""
    squares = np.zeros((len(logits), len(ends) - 1))
    for s in range(len(logits)):
        for i in range(len(ends) - 1):
            mean = 0.0
            for a in range(ends[i], ends[i + 1]):
                mean += policy[s, a] * logits[s, a]
            for a in range(ends[i], ends[i + 1]):
                squares[s, i] += policy[s, a] * (logits[s, a] - mean) ** 2
    return squares

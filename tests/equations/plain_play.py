"""Slow, readable twins in plain NumPy: what playing a policy is worth, and the best that one can do instead.

One agent's decision problem: reward (S, A), kernel (S, A, S). Shares nothing with the library.
"""

import numpy as np
from scipy.optimize import root
from scipy.special import softmax


def play_value(reward, kernel, policy, discount):
    chain = np.einsum("sa,sat->st", policy, kernel)
    return np.linalg.solve(np.eye(len(reward)) - discount * chain, (policy * reward).sum(1))


def best_value(reward, kernel, discount):
    """Policy iteration: it ends, since each policy is better than the last and there are finitely many."""
    choice = np.zeros(len(reward), int)
    while True:
        value = play_value(reward, kernel, np.eye(reward.shape[1])[choice], discount)
        q = reward + discount * kernel @ value
        better = q.argmax(1)
        states = np.arange(len(choice))
        if (q[states, better] <= q[states, choice] + 1e-12).all():
            return value
        choice = np.where(q[states, better] > q[states, choice] + 1e-12, better, choice)


def epoch_values(reward, kernel, policies):
    """(H, S) values-to-go of time-dependent policies (H, S, A), and of the best ones."""
    played, best = [np.zeros(reward.shape[1])], [np.zeros(reward.shape[1])]
    for stage_reward, stage_kernel, policy in zip(reward[::-1], kernel[::-1], policies[::-1], strict=True):
        played.append((policy * (stage_reward + stage_kernel @ played[-1])).sum(1))
        best.append((stage_reward + stage_kernel @ best[-1]).max(1))
    return np.stack(played[:0:-1]), np.stack(best[:0:-1])


def one_shot_gaps(payoffs, profile):
    """What each of two players could gain alone; payoffs are two matrices, player 0 on the rows."""
    row, column = profile
    return np.array(
        [
            (payoffs[0] @ column).max() - row @ payoffs[0] @ column,
            (row @ payoffs[1]).max() - row @ payoffs[1] @ column,
        ]
    )


def logit_equilibrium(payoffs, temperature, start):
    """A quantal response equilibrium of two players, logits = values / temperature: followed down from `start`.

    Roots at falling temperatures, each from the last, in units where nothing grows: x = temperature * logits.
    """
    rows = len(start[0])
    x = np.log(np.concatenate(start))
    for now in temperature * np.geomspace(1.0 + 7.0 * (np.ptp(x) == 0), 1.0, 30):

        def residual(x, now=now):
            row, column = softmax(x[:rows] / now), softmax(x[rows:] / now)
            return np.concatenate([payoffs[0] @ column, row @ payoffs[1]]) - x

        x = root(residual, x, method="hybr", options={"xtol": 1e-14}).x
    assert abs(residual(x)).max() < 1e-10 * temperature * (1 + abs(payoffs).max())
    return softmax(x[:rows] / temperature), softmax(x[rows:] / temperature)


def random_law(rng, *shape):
    return rng.dirichlet(np.ones(shape[-1]), size=shape[:-1])

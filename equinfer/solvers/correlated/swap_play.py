r"""Compiled: rounds of play in which every player learns not to regret any swap of its actions.

Blum and Mansour (2007), in the variational form: player i keeps a law $\pi_i(\cdot\mid m)$ for each of its actions m,
what it would rather do than m, and plays the law that these leave as it is:

$$\pi_i(b\mid m)\propto\tilde\pi_i(b\mid m)\exp\Big(\eta_k\sum_{l<k}p_{i,l}(m)\,u_i(b,p_{-i,l})\Big),
\qquad p_i=p_i\Pi_i.$$
"""

from typing import no_type_check

import numpy as np

from equinfer.solvers.tabular.stage_games import kernel, strides_of

__all__ = ["play", "stationary_law"]


@kernel
@no_type_check
def _log_add(first, second):
    r"""$\log(e^x+e^y)$."""
    top, low = max(first, second), min(first, second)
    return top if low == -np.inf else top + np.log1p(np.exp(low - top))


@kernel
@no_type_check
def stationary_law(log_rows):
    """The law p = p P of a chain (n, n), by the logarithms of its rows, which are overwritten.

    State reduction (Grassmann, Taksar and Heyman 1985) subtracts nothing, so that every probability is right to nearly
    all its digits however rarely the chain moves. On logarithms, for rows that learning makes as small as e^-1000.
    """
    n = len(log_rows)
    for k in range(n - 1, 0, -1):
        leaves = -np.inf
        for j in range(k):
            leaves = _log_add(leaves, log_rows[k, j])
        for i in range(k):
            log_rows[i, k] -= leaves
            for j in range(k):
                log_rows[i, j] = _log_add(log_rows[i, j], log_rows[i, k] + log_rows[k, j])
    law = np.zeros(n)
    top = 0.0
    for k in range(1, n):
        law[k] = -np.inf
        for i in range(k):
            law[k] = _log_add(law[k], law[i] + log_rows[i, k])
        top = max(top, law[k])
    law = np.exp(law - top)
    return law / law.sum()


@kernel
@no_type_check
def _answered(log_prior, gains, rate):
    """The law that one player plays: stationary under the softmax of what each action could have been swapped for."""
    n = len(gains)
    log_rows = np.empty((n, n))
    for m in range(n):
        total = -np.inf
        for b in range(n):
            log_rows[m, b] = log_prior[m, b] + rate * gains[m, b]
            total = _log_add(total, log_rows[m, b])
        for b in range(n):
            log_rows[m, b] -= total
    return stationary_law(log_rows)


@kernel
@no_type_check
def play(payoffs, sizes, log_priors, gains, joint, first, last):
    r"""Rounds `first`, ..., `last` - 1 (counted from 1), at the rates $\eta_k=2\sqrt{n_i\log n_i/k}$.

    `payoffs` (N, J) over joint actions in C order, spread over one; `log_priors` (N, A, A), padded. To `gains`
    (N, A, A), $\sum_kp_{i,k}(m)u_i(b,p_{-i,k})$, and `joint` (J,), the sum of the laws played, these rounds are added.
    """
    players, cells = payoffs.shape
    strides = strides_of(sizes)
    laws, earned = np.zeros((players, sizes.max())), np.empty((players, sizes.max()))
    actions = np.empty(players, np.int64)
    for k in range(first, last):
        for i in range(players):
            n = sizes[i]
            rate = 2.0 * np.sqrt(n * np.log(n) / k)
            laws[i, :n] = _answered(log_priors[i, :n, :n], gains[i, :n, :n], rate)
        earned[:] = 0.0
        for cell in range(cells):
            for i in range(players):
                actions[i] = cell // strides[i] % sizes[i]
            chance = 1.0
            for i in range(players):
                others = 1.0
                for j in range(players):
                    if j != i:
                        others *= laws[j, actions[j]]
                earned[i, actions[i]] += others * payoffs[i, cell]
                chance *= laws[i, actions[i]]
            joint[cell] += chance
        for i in range(players):
            for m in range(sizes[i]):
                for b in range(sizes[i]):
                    gains[i, m, b] += laws[i, m] * earned[i, b]

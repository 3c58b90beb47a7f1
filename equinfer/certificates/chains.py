r"""Where a Markov chain settles: its law in the long run, in the mean over time, with a bound on the error.

States are eliminated one by one without ever subtracting (Grassmann, Taksar and Heyman 1985), so that each probability
has relative accuracy however rarely the chain changes its mind: entries of the chain that are off by a relative
$\varepsilon$ move a law on $n$ states by at most about $2n\varepsilon$ of each mass, and each elimination does no more
than that (O'Cinneide, Entrywise perturbation theory and error analysis for Markov chains, 1993). A second bound, from
the residual $\rho=m-mK$ and the computed inverse of $I-K+\mathbf1m$, is the sharper one where the chain mixes; the
smaller of both is taken, state by state.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.sparse import csgraph, csr_array

from equinfer.certificates.rounding import UNDERFLOW, gamma

__all__ = ["LimitLaw", "limit_law", "reached_from", "residual_bound"]

_MOST_ELIMINATED = 400
"""States of a class up to which they are eliminated one by one; of larger ones linear systems are solved."""
_SOLVED = 0.1
"""How far the product of a matrix and its computed inverse may be from one."""


class LimitLaw(NamedTuple):
    """Masses, and what each of them may be wrong by; infinite where nothing can be said."""

    mass: Float[np.ndarray, " S"]
    error: Float[np.ndarray, " S"]


def limit_law(chain: Float[np.ndarray, "S S"], initial: Float[np.ndarray, " S"], roundings: int) -> LimitLaw:
    r"""$\lim_n\frac1n\sum_{t<n}\mu_0K^t$: in each class of states that is not left again, its stationary law.

    **Arguments:** `chain`, with rows that sum to one up to rounding; each entry went through `roundings` of them.
    """
    members, shares, share_error = _classes(chain, initial, roundings)
    mass, error = np.zeros(len(chain)), np.zeros(len(chain))
    for states, share in zip(members, shares, strict=True):
        law = _stationary(chain[np.ix_(states, states)], roundings)
        mass[states] = share * law.mass
        # Products of a share and a law; all of them are divided by their sum below.
        error[states] = share * law.error * (1 + share_error) + (share_error + gamma(3)) * mass[states]
    total = mass.sum()
    return LimitLaw(mass / total, error / total + gamma(2 * len(chain)) * mass)


def residual_bound(
    residual: Float[np.ndarray, " n"], matrix: Float[np.ndarray, "n n"], slack: float = 0.0
) -> Float[np.ndarray, " n"]:
    r"""Bounds on the entries of $\rho M^{-1}$ for every $\rho$ with $|\rho|\le$ `residual`; infinite if M is singular
    to rounding, or to within `slack`, a bound on the largest error of a row of M, summed.
    """
    try:
        inverse = np.linalg.inv(matrix)
    except np.linalg.LinAlgError:
        return np.full(len(matrix), np.inf)
    sizes = np.abs(inverse)
    norm = float(sizes.sum(axis=1).max())
    off = np.abs(np.eye(len(matrix)) - inverse @ matrix).sum(axis=1).max()
    off += gamma(2 * len(matrix) + 4) * norm * float(np.abs(matrix).sum(axis=1).max()) + norm * slack
    if not off <= _SOLVED:
        return np.full(len(matrix), np.inf)
    first = residual @ sizes
    # (I - E) M^-1 = X, E = I - X M: what is left out is E M^-1 = (E + E^2 + ...) X.
    return (first + float(residual.sum()) * norm * off / (1 - off)) * (1 + gamma(4 * len(matrix) + 8))


def reached_from(leads: Bool[np.ndarray, "S S"], here: Bool[np.ndarray, " S"]) -> Bool[np.ndarray, " S"]:
    """States that those in `here` lead to sooner or later, and they themselves."""
    while True:
        further = here | leads[here].any(axis=0)
        if (further == here).all():
            return here
        here = further


def _classes(
    chain: Float[np.ndarray, "S S"], initial: Float[np.ndarray, " S"], roundings: int
) -> tuple[list[Int[np.ndarray, " n"]], list[float], float]:
    """The closed classes that the chain ends in, the probability of each, and the relative error of these."""
    number, label = csgraph.connected_components(csr_array(chain > 0), connection="strong")
    leaves = np.zeros(number, bool)
    rows, columns = np.nonzero(chain)
    leaves[label[rows[label[rows] != label[columns]]]] = True
    here = reached_from(chain > 0, initial > 0)
    ends = [c for c in range(number) if not leaves[c] and here[label == c].any()]
    members = [np.flatnonzero(label == c) for c in ends]
    if len(ends) == 1:
        return members, [1.0], 0.0
    weights, moving = chain.copy(), initial.copy()
    left = here.copy()
    for state in np.flatnonzero(here & leaves[label]):
        left[state] = False
        row = np.where(left, weights[state], 0.0)
        row /= row.sum()
        moving += moving[state] * row
        moving[state] = 0.0
        weights += np.outer(weights[:, state], row)
    shares = [float(moving[states].sum()) for states in members]
    kept = [k for k, share in enumerate(shares) if share > 0]
    return [members[k] for k in kept], [shares[k] for k in kept], _relative_error(int(here.sum()) + 1, roundings)


def _stationary(chain: Float[np.ndarray, "n n"], roundings: int) -> LimitLaw:
    """Of a class whose states all lead to each other."""
    size = len(chain)
    if size == 1:
        return LimitLaw(np.ones(1), np.zeros(1))
    if size <= _MOST_ELIMINATED:
        mass = _eliminated(chain)
        entrywise = _relative_error(size, roundings) * mass
    else:
        system = np.eye(size) - chain + 1 / size
        mass = np.maximum(np.linalg.solve(system.T, np.full(size, 1 / size)), 0.0)
        mass /= mass.sum()
        entrywise = np.full(size, np.inf)
    following = mass @ chain
    residual = np.abs(mass - following) + gamma(roundings + 2 * size + 4) * (mass + following) + UNDERFLOW
    error = residual_bound(residual, np.eye(size) - chain + mass, gamma(roundings + size + 4) * 4)
    return LimitLaw(mass, np.minimum(entrywise, error))


def _eliminated(chain: Float[np.ndarray, "n n"]) -> Float[np.ndarray, " n"]:
    weights = chain.copy()
    size = len(weights)
    for last in range(size - 1, 0, -1):
        weights[:last, last] /= weights[last, :last].sum()
        weights[:last, :last] += np.outer(weights[:last, last], weights[last, :last])
    mass = np.ones(size)
    for state in range(1, size):
        mass[state] = mass[:state] @ weights[:state, state]
        if mass[state] > 1:  # keeps what follows from overflowing
            mass[: state + 1] /= mass[state]
    return mass / mass.sum()


def _relative_error(size: int, roundings: int) -> float:
    """Of n eliminations, each of n + 6 roundings on entries that had `roundings`."""
    return gamma(2 * size * (size * (size + 6) + roundings) + 2 * size)

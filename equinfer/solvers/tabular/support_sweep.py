"""All supports of a small one-shot game of any number of players, each tried from several profiles.

With more than two players the indifference equations are polynomials: Newton's method from a few random profiles finds
their solutions, but proves nothing about those that it does not find.
"""

from typing import no_type_check

import numpy as np

from equinfer.solvers.tabular.stage_games import find_supports, is_equilibrium, kernel, polish

__all__ = ["sweep_supports"]


@kernel
@no_type_check
def sweep_supports(payoffs, sizes, tolerance, draws, masks, found, same):
    """The equilibria on the next profiles of supports, written to `found` (K, N, A).

    `masks` (N,) is the profile of supports to begin with, each a set of actions in binary, from 1 to 2^size - 1; it is
    advanced in place. Every profile of supports is tried from each of `draws` (D, N, A), positive numbers that are
    normalised on it. Two equilibria on the same supports are one if no probability differs by `same`, or if points
    between them are equilibria as well: a continuum is then represented by its first point.

    Returns how many were found, and whether there are more supports to come. The call ends early when `found` cannot
    hold what one more profile of supports may bring.
    """
    players, width = payoffs.shape[0], draws.shape[2]
    policy, between = np.zeros((players, width)), np.zeros((players, width))
    items, counts = np.empty((players, width), np.int64), np.empty(players, np.int64)
    number = 0
    while number + len(draws) <= len(found):
        first = number
        for draw in range(len(draws)):
            pure = True
            for i in range(players):
                total = 0.0
                for a in range(width):
                    policy[i, a] = draws[draw, i, a] if a < sizes[i] and (masks[i] >> a) & 1 else 0.0
                    total += policy[i, a]
                for a in range(width):
                    policy[i, a] /= total
                pure = pure and masks[i] & (masks[i] - 1) == 0
            find_supports(policy, sizes, items, counts)
            if polish(payoffs, sizes, policy, items, counts, tolerance):
                known = False
                for k in range(first, number):
                    apart = 0.0
                    for i in range(players):
                        for a in range(width):
                            apart = max(apart, abs(policy[i, a] - found[k, i, a]))
                    joined = True
                    for share in (0.37, 0.21):  # isolated equilibria of symmetric games can lie halfway between others
                        for i in range(players):
                            for a in range(width):
                                between[i, a] = share * policy[i, a] + (1 - share) * found[k, i, a]
                        joined = joined and is_equilibrium(payoffs, sizes, between, tolerance)
                    known = known or apart <= same or joined
                if not known:
                    found[number] = policy
                    number += 1
            if pure:
                break
        place = players - 1
        while place >= 0 and masks[place] == (1 << sizes[place]) - 1:
            masks[place] = 1
            place -= 1
        if place < 0:
            return number, False
        masks[place] += 1
    return number, True

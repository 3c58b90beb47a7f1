"""Many one-shot games for the tests of batches, and their gaps in rational arithmetic."""

from fractions import Fraction

import numpy as np


def random_games(shape, count, seed=0, units=False):
    """(B, N, *A), normal; with `units`, each player of each game counts in a unit and from a level of its own."""
    rng = np.random.default_rng(seed)
    payoffs = rng.normal(size=(count, len(shape), *shape))
    if not units:
        return payoffs
    unit, level = 10.0 ** rng.integers(-4, 7, size=(2, count, len(shape), *[1] * len(shape)))
    return unit * payoffs + level


def random_profiles(shape, count, seed=0):
    """One array (B, A_i) per player; about a third of the actions is not played."""
    rng = np.random.default_rng(seed)
    profiles = []
    for size in shape:
        policy = rng.random((count, size)) * (rng.random((count, size)) < 0.7)
        policy[:, 0] += 0.1
        profiles.append(policy / policy.sum(axis=1, keepdims=True))
    return tuple(profiles)


def exact_gains(payoff, profile):
    """What each player gains by its best deviation, for the profile with rows divided by their exact sums."""
    mixtures = [[Fraction(float(p)) for p in policy] for policy in profile]
    mixtures = [[p / sum(mixture) for p in mixture] for mixture in mixtures]
    gains = []
    for player, table in enumerate(payoff):
        own = [Fraction(0)] * table.shape[player]
        for cell in np.ndindex(table.shape):
            weight = Fraction(1)
            for other, action in enumerate(cell):
                if other != player:
                    weight *= mixtures[other][action]
            own[cell[player]] += weight * Fraction(float(table[cell]))
        gains.append(max(own) - sum(p * value for p, value in zip(mixtures[player], own, strict=True)))
    return gains

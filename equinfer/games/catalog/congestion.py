"""Congestion games: players share resources whose delay grows with the load."""

import itertools

import numpy as np
from jaxtyping import Float, Int

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame
from equinfer.tables import refuse_unless_it_fits

__all__ = ["congestion"]


def _loads(players: int, resources: int) -> Int[np.ndarray, "R *A"]:
    """How many players use each resource, for every joint action."""
    choices = np.indices((resources,) * players)
    return np.stack([(choices == r).sum(axis=0) for r in range(resources)])


def _delays(players: int, slopes: tuple[float, ...], offsets: tuple[float, ...]) -> Float[np.ndarray, "R loads"]:
    """The delay of each resource at each load 0, ..., players."""
    return np.outer(slopes, np.arange(players + 1)) + np.array(offsets)[:, None]


def _rosenthal(
    game: TabularGame, players: int, slopes: tuple[float, ...], offsets: tuple[float, ...]
) -> Float[np.ndarray, "1 *A"]:
    r"""Rosenthal's potential $-\sum_r\sum_{k=1}^{n_r(a)}d_r(k)$, in the game's only state."""
    summed = np.cumsum(_delays(players, slopes, offsets), axis=1)
    summed -= summed[:, :1]
    loads = _loads(players, len(slopes))
    return -sum((summed[r][loads[r]] for r in range(len(slopes))), np.zeros(loads.shape[1:]))[None]


def _equilibria(
    game: TabularGame, players: int, slopes: tuple[float, ...], offsets: tuple[float, ...]
) -> tuple[KnownEquilibrium, ...]:
    """The symmetric one and all pure ones: no used resource is slower than another one with one more player."""
    resources, delays = len(slopes), _delays(players, slopes, offsets)
    found = []
    for choice in itertools.product(range(resources), repeat=players):
        loads = np.bincount(choice, minlength=resources)
        now, after = delays[np.arange(resources), loads], delays[np.arange(resources), np.minimum(loads + 1, players)]
        if all(now[r] <= min(np.delete(after, r), default=np.inf) for r in set(choice)):
            profile = tuple(np.eye(resources)[[r]] for r in choice)
            values = -now[list(choice)][:, None]
            found.append(KnownEquilibrium(profile, values, "pure: no resource is faster with one more player on it"))
    if players > 1 and min(slopes) > 0:
        found.append(_symmetric_equilibrium(players, np.array(slopes), np.array(offsets)))
    return tuple(found)


def _symmetric_equilibrium(
    players: int, slopes: Float[np.ndarray, " R"], offsets: Float[np.ndarray, " R"]
) -> KnownEquilibrium:
    r"""The one equilibrium in which all players mix alike: used resources have one expected delay c.

    Others load a resource by $(n-1)x_r$ on average, so $c=s_r(1+(n-1)x_r)+o_r$ where $x_r>0$, and an unused resource
    costs at least c, which is $s_r+o_r$ there: resources fill in the order of $s_r+o_r$.
    """
    alone = slopes + offsets
    order = np.argsort(alone)
    rate = np.cumsum(1 / slopes[order])
    delay = (players - 1 + np.cumsum(alone[order] / slopes[order])) / rate  # c if the first 1, 2, ... are used
    used = 1 + int(np.sum(delay[:-1] > alone[order][1:]))
    c = delay[used - 1]
    mixture = np.maximum((c - alone) / slopes, 0.0) / (players - 1)
    policy = (mixture / mixture.sum())[None]
    return KnownEquilibrium((policy,) * players, np.full((players, 1), -c), "all mix alike, at one expected delay")


@entry("Rosenthal, A class of games possessing pure-strategy Nash equilibria, 1973", _equilibria, _rosenthal)
def congestion(
    *,
    players: int = 4,
    slopes: tuple[float, ...] = (1.0, 2.0, 4.0),
    offsets: tuple[float, ...] = (1.0, 0.5, 0.0),
) -> TabularGame:
    """Congestion game: each player picks one resource, of delay slope x load + offset, and pays its delay."""
    require(players >= 1, f"congestion needs players >= 1; got {players}.")
    require(
        len(slopes) == len(offsets) >= 1,
        f"congestion needs one slope and one offset per resource; got {len(slopes)} and {len(offsets)}.",
    )
    require(min(slopes) >= 0, f"congestion needs slopes >= 0; got {min(slopes):g}.")
    resources = len(slopes)
    refuse_unless_it_fits(players, 1, (resources,) * players, "congestion")
    loads, delays = _loads(players, resources), _delays(players, slopes, offsets)
    delay = np.stack([delays[r][loads[r]] for r in range(resources)])  # (R, *A)
    choices = np.indices((resources,) * players)
    payoffs = -np.take_along_axis(delay, choices, axis=0)
    labels = [tuple(f"resource {r}" for r in range(resources))] * players
    return TabularGame.from_payoffs(payoffs, action_labels=labels, name="congestion")

r"""What two players can get together: the payoffs of all correlated equilibria of a one-shot game, as polygons.

The set of correlated equilibria is a polytope, and so is its image in the plane of the two payoffs. Its furthest point
in a direction d is a linear programme, `lp.best_law` with the objective $d\cdot(u_1,u_2)$. Two known corners are
neighbours when nothing lies beyond the line through them; else what lies furthest beyond is a new corner.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.games.tabular import TabularGame
from equinfer.solvers.correlated.lp import best_law
from equinfer.solvers.tabular.support import SupportEnumeration
from equinfer.tables import Tables

__all__ = ["ReachablePayoffs", "reachable_payoffs"]

_LARGEST = 8
"""Legal actions of a player up to which all supports are examined and the programmes take milliseconds."""
_SAME = 1e-7
"""Of the spread of a player's payoffs: corners nearer to each other than this are one."""
_AROUND = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])

Furthest = Callable[[Float[np.ndarray, " 2"]], Float[np.ndarray, " 2"]]


class ReachablePayoffs(NamedTuple):
    """Payoffs of both players, in units of reward. Polygons list their corners anticlockwise; a flat one has two, a
    point one.
    """

    feasible: Float[np.ndarray, "k 2"]
    """Of all laws over joint actions."""
    coarse: Float[np.ndarray, "l 2"]
    """Of coarse correlated equilibria."""
    correlated: Float[np.ndarray, "m 2"]
    """Of correlated equilibria."""
    public: Float[np.ndarray, "j 2"]
    """Of what a public signal coordinates: mixtures of Nash equilibria (Theorem F)."""
    nash: Float[np.ndarray, "n 2"]
    """Of the Nash equilibria; of a degenerate game, of the extreme ones."""


def reachable_payoffs(tables: Tables) -> ReachablePayoffs | None:
    """The payoffs of the equilibria of a two-player one-shot game of one state and at most 8 legal actions a player.

    None for any other game, and where HiGHS fails.
    """
    if tables.num_players != 2 or tables.num_states != 1 or not tables.is_one_shot:
        return None
    actions = [np.flatnonzero(mask[0]) for mask in tables.legal]
    if max(map(len, actions)) > _LARGEST:
        return None
    payoffs = tables.reward[:, 0][np.ix_(np.arange(2), *actions)]
    low = payoffs.min(axis=(1, 2))
    spread = np.where(np.ptp(payoffs, axis=(1, 2)) > 0, np.ptp(payoffs, axis=(1, 2)), 1.0)
    scaled = (payoffs - low[:, None, None]) / spread[:, None, None]
    try:
        coarse, correlated = (_corners(_obeyed(scaled, told)) for told in (False, True))
    except np.linalg.LinAlgError:
        return None
    nash = _of_nash(scaled)
    feasible, public = (_corners(_among(points)) for points in (scaled.reshape(2, -1).T, nash))
    return ReachablePayoffs(*(low + spread * points for points in (feasible, coarse, correlated, public, nash)))


def _among(points: Float[np.ndarray, "k 2"]) -> Furthest:
    return lambda direction: points[int((points @ direction).argmax())]


def _obeyed(payoffs: Float[np.ndarray, "2 m n"], told: bool) -> Furthest:
    actions = [np.arange(size) for size in payoffs.shape[1:]]

    def furthest(direction: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " 2"]:
        law = best_law(payoffs, actions, np.tensordot(direction, payoffs, axes=1), told=told).law
        return (payoffs * law).sum(axis=(1, 2))

    return furthest


def _corners(furthest: Furthest) -> Float[np.ndarray, "k 2"]:
    """The corners of a convex polygon that is known by its furthest points."""
    known = [furthest(direction) for direction in _AROUND]
    corners = [
        point
        for one, next_one in zip(known, [*known[1:], known[0]], strict=True)
        for point in (one, *_between(one, next_one, furthest))
    ]
    # The furthest point along an edge may be any of it: what its neighbours have between them is no corner.
    k = 0
    while k < len(corners) and len(corners) > 1:
        before, after = corners[k - 1], corners[(k + 1) % len(corners)]
        if _aside(corners[k], before, after) <= _SAME:
            del corners[k]
            k = 0
        else:
            k += 1
    return np.array(corners)


def _aside(point: Float[np.ndarray, " 2"], one: Float[np.ndarray, " 2"], other: Float[np.ndarray, " 2"]) -> float:
    """How far a point lies from the line segment between two others."""
    line = other - one
    share = float(np.clip((point - one) @ line / max(float(line @ line), _SAME**2), 0.0, 1.0))
    return float(np.hypot(*(point - one - share * line)))


def _between(
    one: Float[np.ndarray, " 2"], other: Float[np.ndarray, " 2"], furthest: Furthest
) -> list[Float[np.ndarray, " 2"]]:
    """The corners that lie beyond the line from `one` to `other`, which goes round anticlockwise."""
    line = other - one
    length = float(np.hypot(*line))
    if length <= _SAME:
        return []
    outward = np.array([line[1], -line[0]]) / length
    beyond = furthest(outward)
    if float((beyond - one) @ outward) <= _SAME:
        return []
    return [*_between(one, beyond, furthest), beyond, *_between(beyond, other, furthest)]


def _of_nash(payoffs: Float[np.ndarray, "2 m n"]) -> Float[np.ndarray, "k 2"]:
    game = TabularGame.from_payoffs(payoffs)
    found = [
        np.einsum("imn,m,n->i", payoffs, iterate.answer[0][0], iterate.answer[1][0])
        for iterate in SupportEnumeration().iterates(game, seed=0)
        if iterate.candidate
    ]
    places = np.array(found).reshape(-1, 2)
    return places[np.unique(np.round(places / _SAME), axis=0, return_index=True)[1]]

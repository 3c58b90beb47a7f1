"""Nash equilibria of one state's game, as many as can be found: shortest ways first."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Int

from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.equilibrium_search import EquilibriumSearch
from equinfer.solvers.tabular.support import SupportEnumeration
from equinfer.types import Profile

__all__ = ["stage_equilibria"]

_ENUMERABLE = 8
"""Actions of each of two players up to which all supports are examined."""
_ROUNDING = 1e-14
"""Of a player's largest payoff."""


def stage_equilibria(
    q: Float[np.ndarray, "N *A"], actions: Sequence[Int[np.ndarray, " _"]], *, searches: int, seed: int
) -> Iterator[Profile | None]:
    """Each player's mixed actions (A_i,) in one equilibrium after another; None whenever the clock may be read.

    Actions that another one strictly dominates are taken out first, repeatedly: no equilibrium uses them. If at most
    one player is left with a choice, the equilibria are its best actions; two with few actions are enumerated; all
    others are searched for, `searches` times at random. `actions` are the legal ones.
    """
    kept = _undominated(q, actions)
    left = q[np.ix_(np.arange(len(q)), *kept)]
    movers = [player for player, own in enumerate(kept) if len(own) > 1]
    if len(movers) < 2:
        mover = movers[0] if movers else 0
        own = left[mover].ravel()
        for best in np.flatnonzero(own >= own.max() - _ROUNDING * np.abs(own).max()):
            chosen = [mine[best if player == mover else 0] for player, mine in enumerate(kept)]
            yield _spread([np.ones(1)] * len(q), [np.array([action]) for action in chosen], q.shape[1:])
        return
    game = TabularGame.from_payoffs(left[movers].reshape(len(movers), *(len(kept[player]) for player in movers)))
    enumerable = len(movers) == 2 and max(game.num_actions) <= _ENUMERABLE
    solver = SupportEnumeration() if enumerable else EquilibriumSearch(searches=searches)
    for iterate in solver.iterates(game, seed=seed):
        if not iterate.candidate:
            yield None
            continue
        mixed = [np.ones(1)] * len(q)
        for player, policy in zip(movers, iterate.answer, strict=True):
            mixed[player] = np.asarray(policy[0])
        yield _spread(mixed, kept, q.shape[1:])


def _undominated(q: Float[np.ndarray, "N *A"], actions: Sequence[Int[np.ndarray, " _"]]) -> list[Int[np.ndarray, " _"]]:
    """The actions that are left when those that a pure one beats everywhere, by more than rounding, are taken out."""
    kept, changed = list(actions), True
    margins = _ROUNDING * np.abs(q[np.ix_(np.arange(len(q)), *actions)]).reshape(len(q), -1).max(axis=1)
    while changed:
        changed = False
        for player, own in enumerate(kept):
            table = np.moveaxis(q[player][np.ix_(*kept)], player, 0).reshape(len(own), -1)
            beaten = np.array([bool((table > row + margins[player]).all(axis=1).any()) for row in table])
            kept[player] = own[~beaten]
            changed = changed or bool(beaten.any())
    return kept


def _spread(
    mixed: Sequence[Float[np.ndarray, " _"]], actions: Sequence[Int[np.ndarray, " _"]], sizes: Sequence[int]
) -> Profile:
    """Laws over some actions as laws over all."""
    whole = tuple(np.zeros(size) for size in sizes)
    for law, own, place in zip(mixed, actions, whole, strict=True):
        place[own] = law
    return whole

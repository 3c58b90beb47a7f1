"""Exact values of profiles, each with a bound on its error, and the four-cycles that are made of them."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import sparse

from equinfer.certificates.averages import average_first
from equinfer.certificates.decision import Backup, MarkovChain
from equinfer.certificates.lists import facing_each_sparse
from equinfer.certificates.raw import RawGame
from equinfer.certificates.rounding import gamma, outward
from equinfer.four_cycles import FourCycle
from equinfer.tables import Tables

__all__ = ["cycle_in_words", "four_cycle", "largest"]

_MOST_ACTIONS = 3
"""Of one mixed action that are spelled out."""
_TURNED = 0.5
"""Difference between two laws of actions from which on they are told apart in words."""


def four_cycle(
    game: RawGame,
    profiles: Sequence[Sequence[Float[np.ndarray, "..."]]],
    players: tuple[int, int],
) -> tuple[Float[np.ndarray, "4 *HS"], float]:
    """What each step around `profiles` gains its mover, from every state (and epoch) on, and the error of their sum.

    **Arguments:** four profiles, of which each differs from the one before in the policy of one of the `players`, who
    take turns, the first of `players` beginning.

    **Returns:** gains and error in units of reward.
    """
    values, errors = zip(*(_values(game, profile, players) for profile in profiles), strict=True)
    gains = np.stack([values[(step + 1) % 4][step % 2] - values[step][step % 2] for step in range(4)])
    # Of each mover's four values each one enters the sum once, and seven additions round.
    size = 8 * float(np.abs(values).max())
    return gains, outward(float(np.sum(errors)) + gamma(8) * size)


def largest(
    gains: Float[np.ndarray, "4 *HS"],
    profiles: Sequence[Sequence[Float[np.ndarray, "..."]]],
    players: tuple[int, int],
) -> FourCycle:
    """The cycle from where its gains have the largest sum, positive or negative, walked so that it is positive."""
    sums = gains.sum(axis=0)
    place = np.unravel_index(np.abs(sums).argmax(), sums.shape)
    here = gains[(slice(None), *place)]
    walked = [tuple(profile) for profile in profiles]
    if sums[place] < 0:  # the same square the other way round: the first mover turns first again from its far end
        walked = [walked[1], walked[0], walked[3], walked[2]]
        here = -here[[0, 3, 2, 1]]
    return FourCycle(
        players=players,
        state=int(place[-1]),
        epoch=int(place[0]) if len(place) > 1 and sums.shape[0] > 1 else None,
        profiles=tuple(walked),
        gains=here,
    )


def cycle_in_words(tables: Tables, cycle: FourCycle, total: float) -> str:
    """A clause that names who moves, from which state on, and the joint actions that this goes round."""
    first, second = (tables.player_labels[player] for player in cycle.players)
    alone = tables.num_states == 1 and cycle.epoch is None
    rounds = []
    for place in _turning(cycle):
        corners = ", ".join(_played(tables, profile, place) for profile in cycle.profiles)
        rounds.append(f"{'' if alone else _where(tables, place)}round {corners}")
    gained = f"having gained {total:.6g} in all"
    if alone:
        return f"players {first} and {second} go {rounds[0]} and come back, {gained}"
    when = "" if cycle.epoch is None else f"epoch {cycle.epoch}, "
    return (
        f"from {when}state {tables.state_labels[cycle.state]} on, players {first} and {second} change their policies "
        f"in turn, {' and '.join(rounds)}, and come back, {gained}"
    )


def _turning(cycle: FourCycle) -> list[tuple[int, ...]]:
    """([epoch,] state): where the play begins, if both movers change there what they do; else where they do that most;
    or a place for each of them, if they do it nowhere together.
    """
    start, far = cycle.profiles[0], cycle.profiles[2]
    turns = [np.abs(start[k] - far[k]).sum(axis=-1) for k in cycle.players]
    begins = (cycle.state,) if turns[0].ndim == 1 else (cycle.epoch or 0, cycle.state)
    both = np.minimum(*turns)
    if both[begins] > _TURNED:
        return [begins]
    most = [both] if both.max() > _TURNED else turns
    return [tuple(map(int, np.unravel_index(each.argmax(), each.shape))) for each in most]


def _where(tables: Tables, place: tuple[int, ...]) -> str:
    *epoch, state = place
    return f"in {f'epoch {epoch[0]}, ' if epoch else ''}state {tables.state_labels[state]} "


def _played(tables: Tables, profile: Sequence[Float[np.ndarray, "..."]], place: tuple[int, ...]) -> str:
    mixed = (_mixed(policy[place], names) for policy, names in zip(profile, tables.action_labels, strict=True))
    return f"({', '.join(mixed)})"


def _mixed(policy: Float[np.ndarray, " A"], names: Sequence[str]) -> str:
    likeliest = np.argsort(-policy, kind="stable")[: int((policy > 5e-4).sum())].tolist()
    if len(likeliest) == 1:
        return str(names[likeliest[0]])
    words = " + ".join(f"{policy[action]:.3g} {names[action]}" for action in likeliest[:_MOST_ACTIONS])
    return f"{words} + ..." if len(likeliest) > _MOST_ACTIONS else words


def _values(
    game: RawGame, policies: Sequence[Float[np.ndarray, "..."]], players: tuple[int, int]
) -> tuple[list[Float[np.ndarray, "*HS"]], list[float]]:
    """Of both players, in units of reward, less what a constant is worth to them; and bounds on the errors."""
    chain = _Chain(game)
    values, errors = [], []
    for player in players:
        found, error = chain.of(policies, player)
        values.append(game.unit[player] * found)
        errors.append(float(game.unit[player]) * error)
    return values, errors


class _Chain:
    """The Markov chain of a profile, averaged once for the players of one discount."""

    def __init__(self, game: RawGame):
        self.game = game
        self._solver: Any = None

    def of(self, policies: Sequence[Float[np.ndarray, "..."]], player: int) -> tuple[Float[np.ndarray, "*HS"], float]:
        """Values of `player` in the units of the raw game, and a bound on their error."""
        game = self.game
        if game.horizon is not None:
            return self._by_epochs(policies, player, game.horizon)
        reward = functools.reduce(average_first, policies, game.reward[player])
        discount, size = float(game.discount[player]), float(game.size[player])
        if not discount:
            once = Backup(game.averaging_roundings + 8, size, 0.0)
            return reward, once.rounding(np.zeros(1), reward)
        if self._solver is None or self._solver.discount != discount:
            chain, terms = self._averaged(policies)
            self._terms, self._solver = terms, MarkovChain(chain, discount)
        roundings = game.averaging_roundings + game.kernel_roundings + self._terms + 8
        values = self._solver.values(reward)
        return values, Backup(roundings, size, discount).error(values, self._solver.backup(reward, values))

    def _averaged(self, policies: Sequence[Float[np.ndarray, "S _"]]) -> tuple[Any, int]:
        if sparse.issparse(self.game.kernel):
            return facing_each_sparse(self.game.kernel, self.game.row_terms, policies)[1:]
        return functools.reduce(average_first, policies, self.game.kernel), self.game.row_terms

    def _by_epochs(
        self, policies: Sequence[Float[np.ndarray, "H S _"]], player: int, horizon: int
    ) -> tuple[Float[np.ndarray, "H S"], float]:
        game, table = self.game, self.game.reward[player]
        rows = game.kernel if sparse.issparse(game.kernel) else game.kernel.reshape(-1, game.kernel.shape[-1])
        discount = float(game.discount[player])
        roundings = game.averaging_roundings + game.kernel_roundings + game.row_terms + 8
        backup = Backup(roundings, float(game.size[player]), discount)
        ahead, error = np.zeros(table.shape[0]), 0.0
        values = np.empty((horizon, len(ahead)))
        for epoch in reversed(range(horizon)):
            looking = table + discount * (rows @ ahead).reshape(table.shape)
            now = functools.reduce(average_first, [policy[epoch] for policy in policies], looking)
            error = discount * error + backup.rounding(ahead, now)
            values[epoch] = ahead = now
        return values, outward(error)

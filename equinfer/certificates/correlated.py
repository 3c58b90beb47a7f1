r"""The gaps of a law over joint actions: what a player gains who does not do what the mediator tells it.

A swap deviation of player i replaces each recommendation $m^i$ by an action $b$, in every state (and epoch) as it
likes; the best one solves

$$W(s)=\sum_{m^i}\max_b\sum_{m^{-i}}\mu(m\mid s)\,\bigl[r^i+\gamma PW\bigr](s,b,m^{-i}).$$

A fixed deviation ignores the recommendations altogether, $\max_b$ stands before both sums: the best response to what
the others do, seen without one's own part. What a player gains is $W-V$, $V$ the value of obeying; and 0 if nothing it
may do is worth as much as obeying.

Errors are bounded as in the Nash certificate: by the residuals of both Bellman equations, and the roundings of
computing them from the raw tables on.
"""

import functools
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse

from equinfer.certificates.decision import Backup, MarkovChain, best_response, midrange, one_hot
from equinfer.certificates.joint import Law, checked_joint
from equinfer.certificates.raw import RawGame, raw_game
from equinfer.certificates.rounding import outward
from equinfer.certificates.verdicts import Verdict, assembled
from equinfer.records import Certificate
from equinfer.tables import Tables

__all__ = ["certify_coarse_correlated", "certify_correlated"]


def certify_correlated(tables: Tables, answer: Any) -> Certificate:
    """The exact certificate of a correlated equilibrium: largest gains over swap deviations, errors bounded.

    **Arguments:** `answer` as in `checked_joint`, by which it is copied and checked first.

    **Returns:** `gap` is the largest gain over players, states (and epochs), reachable or not. `deviation(i).policy`
    ([H,] S, A_i, A_i) has a row for each recommendation, and in it a 1 at what is done instead. `values` (N, [H,] S)
    are those of obeying. `kind` is "exact": the gap to within `numerical_error`.

    **Raises:** `BadInput` if `answer` is no law over the game's joint actions, or the tables are no game.
    """
    return _certified("correlated", tables, answer, told=True)


def certify_coarse_correlated(tables: Tables, answer: Any) -> Certificate:
    """The exact certificate of a coarse correlated equilibrium: largest gains over fixed deviations, errors bounded.

    Like `certify_correlated`, for players who decide whether to deviate before they are told anything and then never
    listen: `deviation(i).policy` is ([H,] S, A_i).
    """
    return _certified("coarse-correlated", tables, answer, told=False)


def _certified(concept: str, tables: Tables, answer: Any, *, told: bool) -> Certificate:
    game = raw_game(tables)
    law = checked_joint(tables, answer)
    with np.errstate(all="ignore"):  # what is not finite in the end is refused
        if game.horizon is not None:
            verdicts = _by_epochs(game, law, told=told)
        elif game.discount.any():
            verdicts = _stationary(game, law, told=told)
        else:  # nothing follows the first decision: one epoch, whose axis is then dropped
            once = _by_epochs(game, law._replace(joint=law.joint[None]), told=told)
            verdicts = [Verdict(v.values[0], v.deviation[0], v.gain[0], v.error, v.length[0]) for v in once]
        return assembled(concept, game, verdicts, tables.payoff_scales)


class _Deviator(NamedTuple):
    """One player's choice of an action for each thing that it is told: a recommendation, or nothing."""

    player: int
    told: Float[np.ndarray, "S M C"]
    """The law of what it is told and what the others do; M is the number of its actions, or 1."""
    reward: Float[np.ndarray, "S A C"]
    kernel: Any
    num_actions: tuple[int, ...]
    legal: Bool[np.ndarray, "S A"]
    backup: Backup

    def action_values(self, values: Float[np.ndarray, " S"]) -> Float[np.ndarray, "S M A"]:
        ahead = _expected(self.kernel, values[:, None], (len(values), *self.num_actions))[..., 0]
        return self.told @ (self.reward + self.backup.discount * _seen_by(ahead, self.player)).swapaxes(1, 2)

    def greatest(
        self, action_values: Float[np.ndarray, "S M A"]
    ) -> tuple[Int[np.ndarray, "S M"], Float[np.ndarray, " S"]]:
        return _best_instead(action_values, self.legal)

    def chosen(
        self, action_values: Float[np.ndarray, "S M A"], actions: Int[np.ndarray, "S M"]
    ) -> Float[np.ndarray, " S"]:
        return np.take_along_axis(action_values, actions[..., None], axis=2).sum(axis=(1, 2))

    def values(self, actions: Int[np.ndarray, "S M"]) -> Float[np.ndarray, " S"]:
        """Of doing `actions` instead of what is told."""
        done = one_hot(actions, self.reward.shape[1]).swapaxes(1, 2) @ self.told
        reward = (done * self.reward).sum(axis=(1, 2))
        others = [size for other, size in enumerate(self.num_actions) if other != self.player]
        joint = np.moveaxis(done.reshape(len(done), -1, *others), 1, 1 + self.player)
        return MarkovChain(_chain(self.kernel, joint), self.backup.discount).values(reward)


def _stationary(game: RawGame, law: Law, *, told: bool) -> list[Verdict]:
    """Infinite horizon: obedience by linear solves on its chain, each best deviation by policy iteration."""
    solver = functools.cache(functools.partial(MarkovChain, _chain(game.kernel, law.joint)))
    verdicts = []
    for player, discount in enumerate(game.discount.tolist()):
        reward = _average(law.joint, game.reward[player])
        # Values around zero round best: a constant c taken off every reward takes c / (1 - gamma) off both values.
        level = midrange(solver(discount).values(reward))
        constant = (1 - discount) * level
        values = solver(discount).values(reward - constant)
        view, backup = _facing(game, law, player, law.joint, told, constant)
        error = backup.error(values, solver(discount).backup(reward - constant, values))
        own = _seen_by(game.reward[player], player) - constant
        deviator = _Deviator(player, view, own, game.kernel, game.reward.shape[2:], game.legal[player], backup)
        # Obeying is a swap deviation; it is no fixed one.
        start = values if told else deviator.values(deviator.greatest(deviator.action_values(values))[0])
        actions, best, best_error = best_response(deviator, start)
        length = np.array([1 / (1 - discount)])
        deviation = _policy(actions, own.shape[1], told)
        verdicts.append(Verdict(values + level, deviation, np.maximum(best - values, 0.0), error + best_error, length))
    return verdicts


def _by_epochs(game: RawGame, law: Law, *, told: bool) -> list[Verdict]:
    """Finite horizon: both values by backward induction."""
    num_players, num_states, *num_actions = game.reward.shape
    horizon = len(law.joint)
    values, gain = np.empty((2, num_players, horizon, num_states))
    instead = [np.empty((horizon, num_states, size if told else 1), int) for size in num_actions]
    length = np.empty((num_players, horizon, 1))
    ahead = np.zeros((num_players, 2, num_states))  # values of obeying and of deviating best, less `level`
    level, epochs, error, largest_error = np.zeros((4, num_players))
    for epoch in reversed(range(horizon)):
        joint, last = law.joint[epoch], epoch == horizon - 1
        expected = None if last else _expected(game.kernel, ahead.reshape(-1, num_states).T, joint.shape)
        for player, discount in enumerate(game.discount.tolist()):
            following = np.zeros(2) if expected is None else expected[..., 2 * player : 2 * player + 2]
            table = game.reward[player][..., None] + discount * following
            obeying = _average(joint, table[..., 0])
            constant = midrange(obeying)
            view, backup = _facing(game, law, player, joint, told, constant)
            action_values = view @ _seen_by(table[..., 1], player).swapaxes(1, 2)
            instead[player][epoch], deviating = _best_instead(action_values, game.legal[player])
            both = np.stack([obeying - constant, deviating - constant])
            error[player] = discount * error[player] + 2 * backup.rounding(ahead[player], both)
            ahead[player] = both
            level[player] = discount * level[player] + constant
            epochs[player] = discount * epochs[player] + 1
            values[player, epoch] = both[0] + level[player]
            gain[player, epoch] = np.maximum(both[1] - both[0], 0.0)
            length[player, epoch] = epochs[player]
        largest_error = np.maximum(largest_error, error)
    deviations = [_policy(actions, size, told) for actions, size in zip(instead, num_actions, strict=True)]
    bounds = [outward(bound) for bound in largest_error.tolist()]
    return [Verdict(*fields) for fields in zip(values, deviations, gain, bounds, length, strict=True)]


def _facing(
    game: RawGame, law: Law, player: int, joint: Float[np.ndarray, "S *A"], told: bool, constant: float
) -> tuple[Float[np.ndarray, "S M C"], Backup]:
    """The law of what the player is told and what the others do, and how its backups round."""
    view = _seen_by(joint, player)
    view = view if told else view.sum(axis=1, keepdims=True)
    # An average has a term for each joint action that may be drawn, and then one for each recommendation.
    roundings = law.roundings + law.support + game.reward.shape[2 + player] + 8
    if game.discount.any() and game.horizon != 1:
        roundings += game.kernel_roundings + game.row_terms
    return view, Backup(roundings, float(game.size[player]) + abs(constant), float(game.discount[player]))


def _best_instead(
    action_values: Float[np.ndarray, "S M A"], legal: Bool[np.ndarray, "S A"]
) -> tuple[Int[np.ndarray, "S M"], Float[np.ndarray, " S"]]:
    """The best legal action for each thing that is told, and what they are worth; obedience where nothing is better."""
    allowed = np.where(legal[:, None], action_values, -np.inf)
    actions, best = allowed.argmax(axis=2), allowed.max(axis=2)
    if actions.shape[1] == legal.shape[1]:
        obeying = np.diagonal(allowed, axis1=1, axis2=2)
        actions = np.where(obeying >= best, np.arange(actions.shape[1]), actions)
    return actions, best.sum(axis=1)


def _policy(actions: Int[np.ndarray, "*HS M"], size: int, told: bool) -> Float[np.ndarray, "..."]:
    return one_hot(actions if told else actions[..., 0], size)


def _seen_by(table: Float[np.ndarray, "S *A"], player: int) -> Float[np.ndarray, "S A C"]:
    """The player's own action first, the others' flattened behind it."""
    own_first = np.moveaxis(table, 1 + player, 1)
    return own_first.reshape(*own_first.shape[:2], -1)


def _average(joint: Float[np.ndarray, "S *A"], table: Float[np.ndarray, "S *A"]) -> Float[np.ndarray, " S"]:
    return (joint * table).reshape(len(joint), -1).sum(axis=1)


def _expected(kernel: Any, values: Float[np.ndarray, "S R"], shape: tuple[int, ...]) -> Float[np.ndarray, "S *A R"]:
    """Each of the `values` expected in the next state."""
    rows = kernel if sparse.issparse(kernel) else kernel.reshape(-1, len(values))
    return (rows @ values).reshape(*shape, -1)


def _chain(kernel: Any, joint: Float[np.ndarray, "S *A"]) -> Any:
    """Where play leads, (S, S): an array, or a sparse matrix where the kernel is one."""
    num_states = len(joint)
    rows = joint.reshape(num_states, -1)
    if not sparse.issparse(kernel):
        return (rows[:, None, :] @ kernel.reshape(num_states, -1, num_states))[:, 0]
    played = rows > 0
    ends = np.append(0, np.cumsum(played.sum(axis=1)))
    law = sparse.csr_array((rows[played], np.flatnonzero(played), ends), shape=(num_states, rows.size))
    return law @ kernel

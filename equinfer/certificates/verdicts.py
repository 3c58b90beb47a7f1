"""What is found out about each player, and the certificate that is made of it."""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy import sparse

from equinfer.certificates.averages import facing
from equinfer.certificates.decision import (
    Backup,
    DecisionProcess,
    MarkovChain,
    best_response,
    greatest,
    midrange,
    one_hot,
)
from equinfer.certificates.raw import RawGame
from equinfer.certificates.rounding import UNIT_ROUNDOFF, outward
from equinfer.errors import BadInput
from equinfer.records import Certificate, Deviation

__all__ = ["Faced", "Verdict", "assembled", "epoch_verdicts", "stationary_verdicts"]


class Verdict(NamedTuple):
    """On one player, in the units of the raw game; axes ([H,] S), after a signal W where there is one."""

    values: Float[np.ndarray, "*HS"]
    """Of the play, the signal averaged out."""
    deviation: Float[np.ndarray, "*WHS A"]
    """A best response: a pure policy."""
    gain: Float[np.ndarray, "*WHS"]
    error: float
    """Bound on the rounding error of every gain."""
    length: Float[np.ndarray, "*H1"]
    """Discounted number of epochs ahead: what a constant reward of one is worth."""


class Faced(NamedTuple):
    """What one player faces, the play of the others averaged out, on S states (or states and signals)."""

    reward: Float[np.ndarray, "S A"]
    kernel: Any
    """An array (S, A, S), or a sparse matrix (S A, S)."""
    legal: Bool[np.ndarray, "S A"]
    policy: Float[np.ndarray, "S A"]
    """Its own."""


def stationary_verdicts(game: RawGame, faced: Sequence[Faced], chain: Any, roundings: int) -> list[Verdict]:
    """Infinite horizon: values of the play by linear solves on its `chain`, each best response by policy iteration."""
    solver = functools.cache(functools.partial(MarkovChain, chain))  # players of one discount share a factorisation
    verdicts = []
    for player, (own, discount) in enumerate(zip(faced, game.discount.tolist(), strict=True)):
        reward = (own.policy * own.reward).sum(axis=1)
        # Values around zero round best: a constant c taken off every reward takes c / (1 - gamma) off both values.
        level = midrange(solver(discount).values(reward))
        constant = (1 - discount) * level
        values = solver(discount).values(reward - constant)
        backup = Backup(roundings, float(game.size[player]) + abs(constant), discount)
        error = backup.error(values, solver(discount).backup(reward - constant, values))
        process = DecisionProcess(own.reward - constant, own.kernel, own.legal, backup)
        actions, best, best_error = best_response(process, values)
        gain = np.maximum(best - values, 0.0)
        deviation = one_hot(actions, own.legal.shape[1])
        verdicts.append(Verdict(values + level, deviation, gain, error + best_error, np.array([1 / (1 - discount)])))
    return verdicts


def epoch_verdicts(
    game: RawGame, plays: Sequence[Sequence[Float[np.ndarray, "H S _"]]], signal: Float[np.ndarray, "H S W"]
) -> list[Verdict]:
    """Finite horizon: both values by backward induction, in one pass over the kernel per epoch for all players.

    **Arguments:** `plays`, a profile for each value of the public `signal`; a profile alone is one with W = 1.
    """
    num_players, num_states = game.reward.shape[:2]
    horizon, _, num_signals = signal.shape
    values = np.empty((num_players, horizon, num_states))
    gain = np.empty((num_players, num_signals, horizon, num_states))
    actions = np.empty(gain.shape, int)
    length = np.empty((num_players, horizon, 1))
    roundings = game.averaging_roundings + 8 + (game.kernel_roundings + game.row_terms if horizon > 1 else 0)
    roundings += 3 * num_signals if num_signals > 1 else 0  # the law of the signal, normalised, and an average by it
    ahead = np.zeros((num_players, 2, num_states))  # values of the play and of the best response, less `level`
    level, epochs, error, largest_error = np.zeros((4, num_players))
    for epoch in reversed(range(horizon)):
        profiles = [[policy[epoch] for policy in play] for play in plays]
        weight = signal[epoch].T
        for player, table in enumerate(_looking_ahead(game, None if epoch == horizon - 1 else ahead)):
            discount = float(game.discount[player])
            own = [facing(table, profile, player) for profile in profiles]
            of_play = np.stack([(p[player] * q[..., 0]).sum(axis=1) for p, q in zip(profiles, own, strict=True)])
            best = np.empty_like(of_play)
            for w, each in enumerate(own):
                actions[player, w, epoch], best[w] = greatest(each[..., -1], game.legal[player])
            constant = midrange((weight * of_play).sum(axis=0))
            under_signal = np.stack([of_play - constant, best - constant])
            backup = Backup(roundings, float(game.size[player]) + abs(constant), discount)
            error[player] = discount * error[player] + 2 * backup.rounding(ahead[player], under_signal)
            gain[player, :, epoch] = np.where(weight > 0, np.maximum(under_signal[1] - under_signal[0], 0.0), 0.0)
            ahead[player] = (weight * under_signal).sum(axis=1)
            level[player] = discount * level[player] + constant
            epochs[player] = discount * epochs[player] + 1
            values[player, epoch] = ahead[player, 0] + level[player]
            length[player, epoch] = epochs[player]
        largest_error = np.maximum(largest_error, error)
    return [
        Verdict(v, one_hot(a, legal.shape[1]), g, outward(bound), n)
        for v, a, g, bound, n, legal in zip(
            values, actions, gain, largest_error.tolist(), length, game.legal, strict=True
        )
    ]


def _looking_ahead(game: RawGame, ahead: Float[np.ndarray, "N 2 S"] | None) -> Iterator[np.ndarray]:
    r"""Per player, $r_i+\gamma_iE[v]$ for its two values `ahead`, (S, *A, 2); (S, *A, 1) if nothing follows."""
    if ahead is None:
        yield from game.reward[..., None]
        return
    rows = game.kernel if sparse.issparse(game.kernel) else game.kernel.reshape(-1, ahead.shape[-1])
    expected = (rows @ ahead.reshape(-1, ahead.shape[-1]).T).reshape(*game.reward.shape[1:], *ahead.shape[:2])
    for player, discount in enumerate(game.discount):
        yield game.reward[player][..., None] + discount * expected[..., player, :]


def assembled(
    concept: str, game: RawGame, verdicts: Sequence[Verdict], payoff_scales: Float[np.ndarray, " N"]
) -> Certificate:
    """The certificate in units of reward. **Raises:** `BadInput` if its numbers are beyond float64."""
    gaps = np.array([verdict.gain.max() for verdict in verdicts])
    errors = np.array([verdict.error for verdict in verdicts]) + UNIT_ROUNDOFF * gaps
    per_player = game.unit * gaps
    per_player_error = np.array(
        [_in_rewards(u, error) for u, error in zip(game.unit.tolist(), errors.tolist(), strict=True)]
    )
    if not np.isfinite([*per_player, *per_player_error]).all():
        raise BadInput(
            "the values of this game are beyond float64: a discount is too close to one, or payoffs too far."
        )
    return Certificate(
        concept=concept,
        kind="exact",
        gap=float(per_player.max()),
        per_player=per_player,
        numerical_error=float(per_player_error.max()),
        per_player_error=per_player_error,
        values=np.stack(
            [u * v.values + c * v.length for u, c, v in zip(game.unit, game.centre, verdicts, strict=True)]
        ),
        deviations=tuple(
            Deviation(policy=v.deviation, gain=unit * v.gain) for v, unit in zip(verdicts, game.unit, strict=True)
        ),
        payoff_scales=payoff_scales,
    )


def _in_rewards(unit: float, error: float) -> float:
    """An error bound in units of reward: 0 for constant payoffs only, whatever underflows."""
    return math.nextafter(outward(unit * error), math.inf) if unit else 0.0

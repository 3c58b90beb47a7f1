r"""Nash gaps of the profiles of many one-shot games at once.

Game by game this is the certificate of `certify_nash`, in the same units and with the same bound on its rounding:
nothing follows the only decision, so that no Bellman residual enters, only $2\gamma_n\Sigma|\mathrm{terms}|$.
"""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from equinfer.arguments import ROW_SUM_TOLERANCE
from equinfer.certificates.rounding import UNDERFLOW, UNIT_ROUNDOFF, averaging_roundings, gamma, outward
from equinfer.errors import BadInput

__all__ = ["BatchCertificate", "blocks", "centred", "certify_batch", "power_of_two"]

_ENTRIES = 32_000
"""Payoffs judged at once: they stay in the cache, and what is made of them is small however many games there are."""


class BatchCertificate(NamedTuple):
    """How far each profile is from equilibrium of its game, in units of reward."""

    per_player: Float[np.ndarray, "B N"]
    """Largest gain of each player who deviates alone."""
    per_player_errors: Float[np.ndarray, "B N"]
    """Bounds on the rounding errors of these."""
    values: Float[np.ndarray, "B N"]
    """Expected payoffs of the profiles."""
    spreads: Float[np.ndarray, "B N"]
    """Of each player's payoffs."""

    @property
    def gaps(self) -> Float[np.ndarray, " B"]:
        return self.per_player.max(axis=1)

    @property
    def numerical_errors(self) -> Float[np.ndarray, " B"]:
        """Bound on the rounding error of each gap."""
        return self.per_player_errors.max(axis=1)

    @property
    def scales(self) -> Float[np.ndarray, " B"]:
        r"""Payoff scale of each game, $\max_i\mathrm{osc}(r_i)$."""
        return self.spreads.max(axis=1)

    def settled(self, level: float) -> Bool[np.ndarray, " B"]:
        """Where every player's gap is rounding, or at most `level` of what that player has at stake."""
        return np.all(self.per_player <= np.maximum(self.per_player_errors, level * self.spreads), axis=1)


def certify_batch(
    payoffs: Float[np.ndarray, "B N *A"], profiles: Sequence[Float[np.ndarray, "B _"]]
) -> BatchCertificate:
    """The exact Nash certificate of each profile, errors bounded.

    **Arguments:** `payoffs` (B, N, A_1, ..., A_N), finite and with finite spreads; `profiles`, one array (B, A_i) per
    player. Rows that sum to one within `ROW_SUM_TOLERANCE` are renormalised; nothing is ever clipped or filled.

    **Raises:** `BadInput` that names the game and the player, if a profile is none.
    """
    games, players, *num_actions = payoffs.shape
    if len(profiles) != players:
        raise BadInput(f"the profiles are of {len(profiles)} players; the games have {players}.")
    policies = [_checked(policy, (games, num_actions[player]), player) for player, policy in enumerate(profiles)]
    certificate = BatchCertificate(*np.empty((4, games, players)))
    for part in blocks(games, players * math.prod(num_actions)):
        # The axis of the games last: every operation below then runs along it.
        tables = np.ascontiguousarray(np.moveaxis(payoffs[part], 0, -1))
        mixtures = [np.ascontiguousarray(policy[part].T) for policy in policies]
        _judge(tables, mixtures, *(field[part].T for field in certificate))
    return certificate


def _judge(
    payoffs: Float[np.ndarray, "N *A b"],
    policies: Sequence[Float[np.ndarray, "_ b"]],
    gains: Float[np.ndarray, "N b"],
    bounds: Float[np.ndarray, "N b"],
    values: Float[np.ndarray, "N b"],
    spreads: Float[np.ndarray, "N b"],
) -> None:
    """Fill the fields of the certificate, for some of the games."""
    relative = outward(gamma(averaging_roundings(payoffs.shape[1:-1]) + 8))
    with np.errstate(under="ignore"):
        for player, policy in enumerate(policies):
            table, size, centre, spreads[player] = centred(payoffs[player])
            unit = np.where(spreads[player] > 0, power_of_two(spreads[player]), 0.0)
            own = _facing(table, policies, player)
            of_profile = (policy * own).sum(axis=0)
            gain = np.maximum(own.max(axis=0) - of_profile, 0.0)
            terms = size + np.abs(of_profile) + gain
            error = 2 * (relative * terms + UNDERFLOW) + UNIT_ROUNDOFF * gain
            gains[player] = unit * gain
            values[player] = unit * of_profile + centre
            bounds[player] = np.where(unit > 0, np.nextafter(outward(1.0) * (unit * error), np.inf), 0.0)


def centred(
    payoff: Float[np.ndarray, "*A b"],
) -> tuple[Float[np.ndarray, "*A b"], Float[np.ndarray, " b"], Float[np.ndarray, " b"], Float[np.ndarray, " b"]]:
    """One player's payoffs about their midrange, in powers of two near their spread; their largest absolute value in
    this unit, the midrange, and the spread.
    """
    cells = payoff.reshape(-1, payoff.shape[-1])
    low, high = cells.min(axis=0), cells.max(axis=0)
    spread = high - low
    centre, unit = low + spread / 2, power_of_two(spread)
    return (payoff - centre) / unit, np.maximum(high - centre, centre - low) / unit, centre, spread


def power_of_two(spread: Float[np.ndarray, " b"]) -> Float[np.ndarray, " b"]:
    """The largest one up to `spread`; of no spread, any."""
    return np.ldexp(1.0, np.frexp(spread)[1] - 1)


def _facing(
    table: Float[np.ndarray, "*A b"], policies: Sequence[Float[np.ndarray, "_ b"]], player: int
) -> Float[np.ndarray, "_ b"]:
    """What `player` faces, everybody else averaged out."""
    for other in reversed(range(len(policies))):
        if other != player:
            mixture = np.expand_dims(policies[other], tuple(range(1, table.ndim - 1 - other)))
            table = (mixture * table).sum(axis=other)
    return table


def _checked(policy: Float[np.ndarray, "B A"], shape: tuple[int, int], player: int) -> Float[np.ndarray, "B A"]:
    policy = np.asarray(policy, np.float64)
    if policy.shape != shape:
        raise BadInput(f"the profiles of player {player} must have shape (B, A) = {shape}; got {policy.shape}.")
    with np.errstate(invalid="ignore", over="ignore"):
        sums = np.einsum("ba->b", policy)
        if not (policy.min(initial=0.0) >= 0 and np.abs(sums - 1).max(initial=0.0) <= ROW_SUM_TOLERANCE):
            game = int(np.argmin((policy >= 0).all(axis=1) & (np.abs(sums - 1) <= ROW_SUM_TOLERANCE)))
            raise BadInput(
                f"game {game}, player {player}: {policy[game].tolist()} are no probabilities that sum to one."
            )
    return np.abs(policy / sums[:, None])  # of -0.0 too


def blocks(games: int, entries: int) -> Iterator[slice]:
    """The games that are judged together, each with so many `entries`."""
    size = max(1, _ENTRIES // entries)
    return (slice(begin, begin + size) for begin in range(0, games, size))

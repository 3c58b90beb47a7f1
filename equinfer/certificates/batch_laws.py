r"""Correlated and coarse correlated gaps of the joint laws of many one-shot games at once.

Game by game this is the certificate of `certify_correlated` and `certify_coarse_correlated`: exact gains, and a bound
on their rounding, $2\gamma_n\Sigma|\mathrm{terms}|$ since nothing follows the only decision.
"""

import math

import numpy as np
from jaxtyping import Float

from equinfer.arguments import ROW_SUM_TOLERANCE
from equinfer.certificates.batch import BatchCertificate, blocks, centred, power_of_two
from equinfer.certificates.rounding import UNDERFLOW, UNIT_ROUNDOFF, gamma, outward
from equinfer.errors import BadInput

__all__ = ["certify_laws"]


def certify_laws(
    payoffs: Float[np.ndarray, "B N *A"], joints: Float[np.ndarray, "B *A"], *, told: bool
) -> BatchCertificate:
    """The exact certificate of each law, errors bounded.

    **Arguments:** `payoffs` (B, N, A_1, ..., A_N), finite and with finite spreads; `joints` (B, A_1, ..., A_N), laws
    over joint actions: those that sum to one within `ROW_SUM_TOLERANCE` are divided by their sum, nothing is clipped;
    `told`, whether players hear what they are to do before they decide (swap deviations) or not (fixed ones).

    **Raises:** `BadInput` that names the game, if a law is none.
    """
    games, players, *num_actions = payoffs.shape
    laws = _checked(joints)
    certificate = BatchCertificate(*np.empty((4, games, players)))
    for part in blocks(games, players * math.prod(num_actions)):
        tables = np.ascontiguousarray(np.moveaxis(payoffs[part], 0, -1))
        with np.errstate(under="ignore"):
            for player in range(players):
                judged = _judge(tables[player], laws[part], player, told=told)
                for field, found in zip(certificate, judged, strict=True):
                    field[part, player] = found
    return certificate


def _judge(
    payoff: Float[np.ndarray, "*A b"], laws: Float[np.ndarray, "b *A"], player: int, *, told: bool
) -> tuple[Float[np.ndarray, " b"], ...]:
    """The fields of the certificate for one player: gain, bound on its error, value, spread."""
    table, size, centre, spread = centred(payoff)
    own = _own_first(np.moveaxis(table, -1, 0), player)
    view = _own_first(laws, player)
    obeying = np.einsum("bac,bac->b", view, own)
    seen = view if told else view.sum(axis=1, keepdims=True)
    instead = (seen @ own.swapaxes(1, 2)).max(axis=2).sum(axis=1)
    gain = np.maximum(instead - obeying, 0.0)
    # A probability carries the sum that it is divided by, an average a term for each joint action, then one for each
    # recommendation; and the payoffs were centred.
    roundings = 2 * math.prod(laws.shape[1:]) + laws.shape[1 + player] + 8
    terms = size + np.abs(obeying) + gain
    error = 2 * (outward(gamma(roundings)) * terms + UNDERFLOW) + UNIT_ROUNDOFF * gain
    unit = np.where(spread > 0, power_of_two(spread), 0.0)
    bound = np.where(unit > 0, np.nextafter(outward(1.0) * (unit * error), np.inf), 0.0)
    return unit * gain, bound, unit * obeying + centre, spread


def _own_first(table: Float[np.ndarray, "b *A"], player: int) -> Float[np.ndarray, "b A C"]:
    moved = np.moveaxis(table, 1 + player, 1)
    return moved.reshape(*moved.shape[:2], math.prod(moved.shape[2:]))


def _checked(joints: Float[np.ndarray, "B *A"]) -> Float[np.ndarray, "B *A"]:
    flat = joints.reshape(len(joints), math.prod(joints.shape[1:]))
    with np.errstate(invalid="ignore", over="ignore"):
        sums = flat.sum(axis=1)
        good = (flat >= 0).all(axis=1) & (np.abs(sums - 1) <= ROW_SUM_TOLERANCE)
    if not good.all():
        game = int(np.argmin(good))
        raise BadInput(f"game {game}: {joints[game].tolist()} is no law over joint actions that sums to one.")
    return np.abs(flat / sums[:, None]).reshape(joints.shape)  # of -0.0 too

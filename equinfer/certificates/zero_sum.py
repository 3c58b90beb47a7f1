r"""The exploitability of a profile in a zero-sum game: what both players could gain, each alone, added up.

With payoffs $r$ and $c-r$, $c$ the same number everywhere, the sum of both gains at a state is
$\max_{\pi_1'}V(s;\pi_1',\pi_2)-\min_{\pi_2'}V(s;\pi_1,\pi_2')$, the distance between what each player is sure of. It is
zero exactly at an equilibrium, and the value of the game lies between the two.
"""

import dataclasses
from typing import Any

import numpy as np

from equinfer.certificates.nash import certify_nash
from equinfer.certificates.rounding import UNIT_ROUNDOFF, outward
from equinfer.errors import BadInput
from equinfer.records import Certificate
from equinfer.tables import Tables

__all__ = ["certify_zero_sum", "refuse_unless_zero_sum"]

_SPREAD = 1e-12
"""Of the spread of the payoffs, by which their sums may differ: expected rewards were averaged by somebody."""
_DIGITS = 1e-14
"""Of the size of the payoffs: fifteen digits of each, and so any rounding to float64, move a sum by half of it."""
_MOST = 1e-3
"""Of the spread, the most of both: where a level of the payoffs leaves fewer than three digits of what play decides, or
none, one sum cannot be told from interests in common, and is not taken for granted. Payoffs of common interest are off
by twice their spread. The gains are those of the payoffs as they are.
"""


def certify_zero_sum(tables: Tables, profile: Any) -> Certificate:
    """The exact certificate of `profile` in a zero- or constant-sum game.

    **Arguments:** `profile` as in `checked_profile`.

    **Returns:** `gap` is the largest sum of both players' gains over states (and epochs), `per_player` each one's
    largest gain; the rest is as in `certify_nash`, by which the gains are computed.

    **Raises:** `BadInput` if the game is not of this kind (`refuse_unless_zero_sum`), or `profile` is none of it.
    """
    nash = certify_nash(tables, profile)  # which takes nothing of the tables on trust
    refuse_unless_zero_sum(tables)
    gap = float((nash.deviations[0].gain + nash.deviations[1].gain).max())
    error = float(nash.per_player_error.sum())
    if error:  # the gains themselves are rounded when they are brought to units of reward, and added
        error = outward(error + 4 * UNIT_ROUNDOFF * gap)
    return dataclasses.replace(nash, concept="zero-sum", gap=gap, numerical_error=error)


def refuse_unless_zero_sum(tables: Tables) -> None:
    """Refuse a game that is not one of two players with opposite interests.

    The payoffs of both must have one sum over all states and legal joint actions, up to rounding that is small beside
    what the payoffs differ by, and the discounts be equal. A sum that differs from state to state is refused as well:
    where play decides which states are visited, both players then have an interest in common.

    **Raises:** `BadInput` with two states and joint actions whose sums differ.
    """
    if tables.num_players != 2:
        raise BadInput(f"zero-sum: the game has {tables.num_players} player{'s' * (tables.num_players != 1)}, not two.")
    one, other = tables.player_labels
    first_rate, second_rate = tables.discount.tolist()
    if first_rate != second_rate:
        raise BadInput(
            f"zero-sum: player {one} discounts by {first_rate:g} and player {other} by {second_rate:g}; with unequal "
            "discounts the interests are not opposite."
        )
    joint = tables.legal_joint
    first, second = (np.asarray(tables.reward[player], float)[joint] / 2 for player in range(2))  # sums may overflow
    sums = first + second
    middle = int(np.argpartition(sums, len(sums) // 2)[len(sums) // 2])
    off = np.abs(sums - sums[middle])
    worst = int(off.argmax())
    spread = max(np.ptp(first), np.ptp(second))
    rounding = _SPREAD * spread + _DIGITS * (np.abs(first) + np.abs(second)).max()
    if off[worst] <= min(rounding, _MOST * spread):
        return
    places = np.argwhere(joint)
    here, there = (_said(tables, places[cell], 2 * float(sums[cell])) for cell in (worst, middle))
    raise BadInput(
        f"zero-sum: the payoffs of players {one} and {other} must have one sum everywhere; they sum to {here}, and to "
        f"{there}."
    )


def _said(tables: Tables, place: np.ndarray, total: float) -> str:
    state, *actions = place.tolist()
    chosen = ", ".join(tables.action_labels[player][action] for player, action in enumerate(actions))
    return f"{total:.15g} at state {tables.state_labels[state]}, joint action ({chosen})"

r"""The Nash gap of a profile: the largest gain of one player who deviates alone, from any state (and epoch) on.

The game that is judged is the one whose rows of probabilities, of the kernel and of the profile, are those of the
tables divided by their exact sums. Its gap lies within `numerical_error` of the computed `gap`:

$$|\widehat{\mathrm{gap}}-\mathrm{gap}|\le\max_i\sum_t\gamma_i^t\,\bigl(\rho_\pi+\rho_*+2\gamma_n\Sigma\bigr),$$

$\rho_\pi,\rho_*$ the largest computed residuals of the Bellman equations of the profile and of the best response,
$\gamma_n\Sigma$ the rounding errors of computing them, from the raw tables on. In a finite horizon the values are
those backups themselves, and only the rounding errors remain.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from equinfer.certificates.averages import average_first, facing, facing_each
from equinfer.certificates.lists import facing_each_sparse
from equinfer.certificates.profile import checked_profile
from equinfer.certificates.raw import RawGame, raw_game
from equinfer.certificates.verdicts import Faced, Verdict, assembled, epoch_verdicts, stationary_verdicts
from equinfer.records import Certificate
from equinfer.tables import Tables

__all__ = ["certify_nash"]


def certify_nash(tables: Tables, profile: Any) -> Certificate:
    """The exact Nash certificate of `profile`: best responses by dynamic programming in float64, errors bounded.

    **Arguments:** `profile` as in `checked_profile`, by which it is copied and checked first.

    **Returns:** `gap` is the largest of `per_player`, the largest gain over states (and epochs), reachable or not;
    a gain is never negative, since keeping to the profile is one of the responses. `values` (N, [H,] S) of the
    profile; `deviation(i).policy` is a pure best response. `kind` is "exact": the gap to within `numerical_error`.

    **Raises:** `BadInput` if `profile` is no profile of the game, or the tables are no game.
    """
    game = raw_game(tables)
    policies = checked_profile(tables, profile)
    with np.errstate(all="ignore"):  # what is not finite in the end is refused
        return assembled("nash", game, _verdicts(game, policies), tables.payoff_scales)


def _verdicts(game: RawGame, policies: Sequence[np.ndarray]) -> list[Verdict]:
    if game.horizon is None and game.discount.any():
        return _stationary(game, policies)
    # Without discount nothing follows the first decision: one epoch, whose axis is then dropped.
    horizon, at = (1, (0, 0)) if game.horizon is None else (game.horizon, (0,))
    play = [policy.reshape(horizon, *policy.shape[-2:]) for policy in policies]
    verdicts = epoch_verdicts(game, [play], np.ones((horizon, len(game.legal[0]), 1)))
    return [
        v._replace(values=v.values[at[1:]], deviation=v.deviation[at], gain=v.gain[at], length=v.length[at[1:]])
        for v in verdicts
    ]


def _stationary(game: RawGame, policies: Sequence[np.ndarray]) -> list[Verdict]:
    """Infinite horizon: the profile by linear solves on its chain, each best response by policy iteration."""
    if sparse.issparse(game.kernel):
        kernels, chain, terms = facing_each_sparse(game.kernel, game.row_terms, policies)
    else:
        kernels = facing_each(game.kernel, policies)
        chain, terms = average_first(kernels[0], policies[0]), game.row_terms
    roundings = game.averaging_roundings + game.kernel_roundings + terms + 8
    faced = [
        Faced(facing(reward[..., None], policies, player)[..., 0], kernel, game.legal[player], policies[player])
        for player, (reward, kernel) in enumerate(zip(game.reward, kernels, strict=True))
    ]
    return stationary_verdicts(game, faced, chain, roundings)

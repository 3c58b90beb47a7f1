r"""The Nash gap of a profile: the largest gain of one player who deviates alone, from any state (and epoch) on.

The game that is judged is the one whose rows of probabilities, of the kernel and of the profile, are those of the
tables divided by their exact sums. Its gap lies within `numerical_error` of the computed `gap`:

$$|\widehat{\mathrm{gap}}-\mathrm{gap}|\le\max_i\sum_t\gamma_i^t\,\bigl(\rho_\pi+\rho_*+2\gamma_n\Sigma\bigr),$$

$\rho_\pi,\rho_*$ the largest computed residuals of the Bellman equations of the profile and of the best response,
$\gamma_n\Sigma$ the rounding errors of computing them, from the raw tables on. In a finite horizon the values are
those backups themselves, and only the rounding errors remain.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy import sparse

from equinfer.certificates.averages import average_first, facing, facing_each
from equinfer.certificates.decision import Backup, DecisionProcess, MarkovChain, best_response, greatest, one_hot
from equinfer.certificates.lists import facing_each_sparse
from equinfer.certificates.profile import checked_profile
from equinfer.certificates.raw import RawGame, raw_game
from equinfer.certificates.rounding import UNIT_ROUNDOFF, outward
from equinfer.errors import BadInput
from equinfer.records import Certificate, Deviation
from equinfer.tables import Tables

__all__ = ["certify_nash"]


class _Verdict(NamedTuple):
    """On one player, in the units of the raw game; axes ([H,] S)."""

    values: Float[np.ndarray, "*HS"]
    """Of the profile."""
    actions: Int[np.ndarray, "*HS"]
    """Of a best response."""
    gain: Float[np.ndarray, "*HS"]
    error: float
    """Bound on the rounding error of every gain."""
    length: Float[np.ndarray, "*H1"]
    """Discounted number of epochs ahead: what a constant reward of one is worth."""


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
        return _certificate(game, _verdicts(game, policies), tables.payoff_scales)


def _verdicts(game: RawGame, policies: Sequence[np.ndarray]) -> list[_Verdict]:
    if game.horizon is not None:
        return _by_epochs(game, policies, game.horizon)
    if game.discount.any():
        return _stationary(game, policies)
    # Nothing follows the first decision: one epoch, whose axis is then dropped.
    once = _by_epochs(game, [policy[None] for policy in policies], 1)
    return [_Verdict(v.values[0], v.actions[0], v.gain[0], v.error, v.length[0]) for v in once]


def _stationary(game: RawGame, policies: Sequence[np.ndarray]) -> list[_Verdict]:
    """Infinite horizon: the profile by linear solves on its chain, each best response by policy iteration."""
    if sparse.issparse(game.kernel):
        kernels, chain, terms = facing_each_sparse(game.kernel, game.row_terms, policies)
    else:
        kernels = facing_each(game.kernel, policies)
        chain, terms = average_first(kernels[0], policies[0]), game.row_terms
    solver = functools.cache(functools.partial(MarkovChain, chain))  # players of one discount share a factorisation
    roundings = game.averaging_roundings + game.kernel_roundings + terms + 8
    verdicts = []
    for player, discount in enumerate(game.discount.tolist()):
        own = facing(game.reward[player][..., None], policies, player)[..., 0]
        reward = (policies[player] * own).sum(axis=1)
        # Values around zero round best: a constant c taken off every reward takes c / (1 - gamma) off both values.
        level = _midrange(solver(discount).values(reward))
        constant = (1 - discount) * level
        values = solver(discount).values(reward - constant)
        backup = Backup(roundings, float(game.size[player]) + abs(constant), discount)
        error = backup.error(values, solver(discount).backup(reward - constant, values))
        process = DecisionProcess(own - constant, kernels[player], game.legal[player], backup)
        actions, best, best_error = best_response(process, values)
        gain = np.maximum(best - values, 0.0)
        verdicts.append(_Verdict(values + level, actions, gain, error + best_error, np.array([1 / (1 - discount)])))
    return verdicts


def _by_epochs(game: RawGame, policies: Sequence[np.ndarray], horizon: int) -> list[_Verdict]:
    """Finite horizon: both values by backward induction, in one pass over the kernel per epoch for all players."""
    num_players, num_states = game.reward.shape[:2]
    values, gain = np.empty((2, num_players, horizon, num_states))
    actions = np.empty(values.shape, int)
    length = np.empty((num_players, horizon, 1))
    roundings = game.averaging_roundings + 8 + (game.kernel_roundings + game.row_terms if horizon > 1 else 0)
    ahead = np.zeros((num_players, 2, num_states))  # values of the profile and of the best response, less `level`
    level, epochs, error, largest_error = np.zeros((4, num_players))
    for epoch in reversed(range(horizon)):
        profile = [policy[epoch] for policy in policies]
        for player, table in enumerate(_looking_ahead(game, None if epoch == horizon - 1 else ahead)):
            discount = float(game.discount[player])
            own = facing(table, profile, player)
            of_profile = (profile[player] * own[..., 0]).sum(axis=1)
            actions[player, epoch], best = greatest(own[..., -1], game.legal[player])
            constant = _midrange(of_profile)
            both = np.stack([of_profile - constant, best - constant])
            backup = Backup(roundings, float(game.size[player]) + abs(constant), discount)
            error[player] = discount * error[player] + 2 * backup.rounding(ahead[player], both)
            ahead[player] = both
            level[player] = discount * level[player] + constant
            epochs[player] = discount * epochs[player] + 1
            values[player, epoch] = both[0] + level[player]
            gain[player, epoch] = np.maximum(both[1] - both[0], 0.0)
            length[player, epoch] = epochs[player]
        largest_error = np.maximum(largest_error, error)
    bounds = [outward(bound) for bound in largest_error.tolist()]
    return [_Verdict(*fields) for fields in zip(values, actions, gain, bounds, length, strict=True)]


def _looking_ahead(game: RawGame, ahead: Float[np.ndarray, "N 2 S"] | None) -> Iterator[np.ndarray]:
    r"""Per player, $r_i+\gamma_iE[v]$ for its two values `ahead`, (S, *A, 2); (S, *A, 1) if nothing follows."""
    if ahead is None:
        yield from game.reward[..., None]
        return
    rows = game.kernel if sparse.issparse(game.kernel) else game.kernel.reshape(-1, ahead.shape[-1])
    expected = (rows @ ahead.reshape(-1, ahead.shape[-1]).T).reshape(*game.reward.shape[1:], *ahead.shape[:2])
    for player, discount in enumerate(game.discount):
        yield game.reward[player][..., None] + discount * expected[..., player, :]


def _certificate(game: RawGame, verdicts: Sequence[_Verdict], payoff_scales: Float[np.ndarray, " N"]) -> Certificate:
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
        concept="nash",
        kind="exact",
        gap=float(per_player.max()),
        per_player=per_player,
        numerical_error=float(per_player_error.max()),
        per_player_error=per_player_error,
        values=np.stack(
            [u * v.values + c * v.length for u, c, v in zip(game.unit, game.centre, verdicts, strict=True)]
        ),
        deviations=tuple(
            Deviation(policy=one_hot(v.actions, legal.shape[1]), gain=unit * v.gain)
            for v, legal, unit in zip(verdicts, game.legal, game.unit, strict=True)
        ),
        payoff_scales=payoff_scales,
    )


def _in_rewards(unit: float, error: float) -> float:
    """An error bound in units of reward: 0 for constant payoffs only, whatever underflows."""
    return math.nextafter(outward(unit * error), math.inf) if unit else 0.0


def _midrange(values: Float[np.ndarray, " S"]) -> float:
    return float(values.min() + values.max()) / 2

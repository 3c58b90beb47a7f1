r"""Exploitability in a stationary game: what a single player gains by the best response to the law that a population
settles in when it plays $\pi$ for ever,

$$E(\pi)=\sum_s\mu(s)\Bigl[\max_{\pi'}V^{\pi'}(s;L)-V^\pi(s;L)\Bigr],\qquad\mu=\mu P_{\pi,L},\quad L=\mu\pi,$$

discounted; of several populations, the sum. The law is found here, from the policy alone (`settling`): a law that comes
with the policy is not asked. Best responses are found by policy iteration with exact solves, with a bound from the
residual of Bellman's equation.

What the law may be wrong by goes into the bound: to first order, by what it moves rewards and kernels by (measured
around it: `neighbourhood`), carried along by the worst policy. Where they jump there, nothing is bounded. States that
nobody can be in do not count.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from equinfer.certificates.chains import reached_from
from equinfer.certificates.decision import Backup, DecisionProcess, MarkovChain, best_response, midrange, one_hot
from equinfer.certificates.marching import JUMPS, gap_is_uncertain
from equinfer.certificates.neighbourhood import Neighbourhood, around, kernels_near, largest_changes
from equinfer.certificates.populations import averaged, refuse_no_laws
from equinfer.certificates.profile import checked_profile
from equinfer.certificates.rounding import outward
from equinfer.certificates.settling import Settlement, rows_of, settlement
from equinfer.errors import BadInput
from equinfer.mean_field_tables import Flow, MeanFieldTables
from equinfer.records import Certificate, Deviation

__all__ = ["certify_stationary", "settled_law"]


class _Verdict(NamedTuple):
    values: Float[np.ndarray, " S"]
    response: Float[np.ndarray, "S A"]
    gain: Float[np.ndarray, " S"]
    gap: float
    error: float
    jumps: bool
    """Rewards or kernels jump within the errors of the law."""


class _Faced(NamedTuple):
    """What one player of a population faces at the law."""

    policy: Float[np.ndarray, "S A"]
    reward: Float[np.ndarray, "S A"]
    """0 where nobody can be."""
    rows: Any
    """The kernel, a sparse matrix (S A, S)."""
    chain: Float[np.ndarray, "S S"]
    here: Bool[np.ndarray, " S"]
    """Where somebody can be, under whatever policy."""
    backup: Backup


def settled_law(tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "S _"]]) -> Flow:
    """The state-action laws (S, A_p) that the populations settle in."""
    return _laws(settlement(tables, policies), policies)


def certify_stationary(
    tables: MeanFieldTables, answer: Any, scales: Float[np.ndarray, " P"] | None = None
) -> Certificate:
    """The exploitability of one policy per population, (S, A_p).

    **Arguments:** as of `certify_mean_field`.

    **Returns:** `gap`, the sum over populations of the mean gain over their laws, with all of them in `per_player`;
    `values` (P, S); `deviation(p)` has a pure best response and the gain (S,), 0 where nobody can be. Where it cannot
    be told in which law the populations settle, the gap is infinite, an `estimate`, and `doubt` says why.

    **Raises:** `BadInput` if `answer` is no policy of the game, or rewards or kernels at its law are none.
    """
    policies = checked_profile(tables, answer)
    settled = settlement(tables, policies)
    with np.errstate(all="ignore"):  # what is not finite in the end is refused
        verdicts = _verdicts(tables, policies, settled)
    gaps = np.array([verdict.gap for verdict in verdicts])
    errors = np.array([outward(verdict.error) for verdict in verdicts])
    doubt = settled.doubt
    if doubt is None and not (np.isfinite(gaps).all() and np.isfinite(errors).all()):
        doubt = "its values are beyond float64: rewards are too large, or the discount is too close to one"
    if doubt is not None:
        doubt = f"In which law the population settles is not certain: {doubt}."
        gaps, errors = np.full_like(gaps, np.inf), np.zeros_like(errors)
    elif any(verdict.jumps for verdict in verdicts):
        doubt = gap_is_uncertain(JUMPS)
    return Certificate(
        concept="mean-field",
        kind="exact" if doubt is None else "estimate",
        gap=float(gaps.sum()),
        per_player=gaps,
        numerical_error=outward(float(errors.sum())),
        per_player_error=errors,
        values=np.stack([verdict.values for verdict in verdicts]),
        deviations=tuple(Deviation(verdict.response, verdict.gain) for verdict in verdicts),
        payoff_scales=scales,
        doubt=doubt,
    )


def _laws(settled: Settlement, policies: Sequence[Float[np.ndarray, "S _"]]) -> Flow:
    return tuple(mass[:, None] * policy for mass, policy in zip(settled.masses, policies, strict=True))


def _verdicts(
    tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "S _"]], settled: Settlement
) -> list[_Verdict]:
    laws = _laws(settled, policies)
    kernels = tables.transitions(0, laws)
    refuse_no_laws(tables, 0, kernels)
    rewards = tables.rewards(laws)
    found = []
    for p, policy in enumerate(policies):
        rows, count = rows_of(tables, p, kernels[p])
        leads = (rows > 0).toarray().reshape(*policy.shape, -1).any(axis=1)
        here = reached_from(leads, settled.masses[p] > 0)
        reward = _finite(tables, p, rewards[p], here)
        backup = Backup(count + 4 * policy.shape[1] + int(np.diff(rows.indptr).max()) + 8, 0.0, tables.discount)
        found.append(_Faced(policy, reward, rows, settled.chains[p], here, backup))
    return [_judged(tables, settled, laws, p, each) for p, each in enumerate(found)]


def _finite(
    tables: MeanFieldTables, p: int, reward: Float[np.ndarray, "S A"], here: Bool[np.ndarray, " S"]
) -> Float[np.ndarray, "S A"]:
    """**Raises:** `BadInput` with the first place that somebody can be in where a reward is not finite."""
    counts = here[:, None] & tables.legal[p]
    off = counts & ~np.isfinite(reward)
    if off.any():
        s, a = np.argwhere(off)[0].tolist()
        raise BadInput(
            f"reward of population {tables.player_labels[p]} at state {tables.state_labels[s]}, action "
            f"{tables.action_labels[p][a]} is {reward[s, a]:g} at the stationary law of this policy."
        )
    return np.where(counts, reward, 0.0)


def _judged(tables: MeanFieldTables, settled: Settlement, laws: Flow, p: int, faced: _Faced) -> _Verdict:
    discount, mass, legal = tables.discount, settled.masses[p], tables.legal[p]
    chain = MarkovChain(faced.chain, discount)
    # Values around zero round best: a constant c taken off every reward takes c / (1 - gamma) off all values.
    constant = (1 - discount) * midrange(chain.values((faced.policy * faced.reward).sum(axis=1))[faced.here])
    moved = np.where(faced.here[:, None], faced.reward - constant, 0.0)
    played = (faced.policy * moved).sum(axis=1)
    values = chain.values(played)
    backup = faced.backup._replace(size=float(np.abs(moved).max()) + abs(constant))
    actions, best, best_error = best_response(DecisionProcess(moved, faced.rows, legal, backup), values)
    gain = np.where(faced.here, np.maximum(best - values, 0.0), 0.0)
    error = backup.error(values, chain.backup(played, values)) + best_error + backup.rounding(gain, gain)
    doubts, jumps = _doubts(tables, settled, laws, p, faced, (values, best))
    if doubts.any():
        carried = DecisionProcess(doubts, faced.rows, legal, faced.backup._replace(size=float(doubts.max())))
        _, drift, drift_error = best_response(carried, chain.values((faced.policy * doubts).sum(axis=1)))
        error += 2 * (float(mass @ np.maximum(drift, 0.0)) + drift_error)
    error += float(settled.errors[p] @ gain) if settled.doubt is None else 0.0
    response = one_hot(actions, legal.shape[1])
    return _Verdict(values + constant / (1 - discount), response, gain, float(mass @ gain), error, jumps)


def _doubts(
    tables: MeanFieldTables,
    settled: Settlement,
    laws: Flow,
    p: int,
    faced: _Faced,
    values: Sequence[Float[np.ndarray, " S"]],
) -> tuple[Float[np.ndarray, "S A"], bool]:
    """To first order, by how much the errors of the law can have moved each look one step ahead, at any of `values`;
    and whether one of these jumps within those errors.
    """
    ratios = [
        np.divide(error, mass, out=np.zeros_like(mass), where=mass > 0)
        for error, mass in zip(settled.errors, settled.masses, strict=True)
    ]
    if settled.doubt is not None or not any(each.any() for each in ratios):
        return np.zeros_like(faced.reward), False
    counts = faced.here[:, None] & tables.legal[p]
    looks = 1 if tables.fixed_dynamics else len(values)

    def at(near: Neighbourhood) -> Callable[[int], Sequence[Float[np.ndarray, "S A"]]]:
        kernels = None if tables.fixed_dynamics else kernels_near(tables, 0, laws, near)

        def ahead(k: int) -> list[Float[np.ndarray, "S A"]]:
            reward = tables.rewards(near.law(laws, k))[p]
            if kernels is None:
                return [reward]
            return [reward + tables.discount * averaged(kernels[k][p], each) for each in values]

        return ahead

    cost = sum(law.size for law in laws) + (0 if tables.fixed_dynamics else faced.rows.nnz)
    changes, jumps = largest_changes(around(tables, laws, ratios, cost), laws, at, [counts] * looks)
    return np.max(changes, axis=0), jumps

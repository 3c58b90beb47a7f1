r"""Exploitability: what a single player gains by the best response to the flow of a population that plays $\pi$,

$$E(\pi)=\sum_s\mu_0(s)\Bigl[\max_{\pi'}V_0^{\pi'}(s;L^\pi)-V_0^\pi(s;L^\pi)\Bigr],$$

by exact backward induction at the exact flow $L^\pi$; of several populations, the sum. Of stationary games see
`stationary_mean_field`. What is computed is the gain
itself, by $G_t(s)=\max_a\bigl[A_t(s,a)+\gamma E\,G_{t+1}\bigr]$ with the advantages $A_t=Q_t^\pi-V_t^\pi$ of $\pi$:
small gains are not lost among large values.

Rounding errors go through the same dynamic programme: a bound on the error of each advantage (terms, counted in units
of $\gamma_n$, and to first order what the flow's own rounding moves rewards by) is carried backwards by the worst
action. States that nobody can be in do not count.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from equinfer.certificates.decision import midrange
from equinfer.certificates.marching import JUMPS, March, gap_is_uncertain, kernel_cost, marched, roundings_of_a_sum
from equinfer.certificates.neighbourhood import Neighbourhood, around, kernels_near, largest_changes
from equinfer.certificates.populations import averaged, roundings
from equinfer.certificates.profile import checked_profile
from equinfer.certificates.rounding import gamma, outward
from equinfer.certificates.stationary_mean_field import certify_stationary, settled_law
from equinfer.errors import BadInput
from equinfer.mean_field_tables import Flow, MeanFieldTables
from equinfer.records import Certificate, Deviation
from equinfer.tables import discounted_length

__all__ = ["certify_mean_field", "exact_flow", "spread_of_rewards"]

_SAFETY = 2.0
"""Of what is known to first order."""
_REWARD_ROUNDINGS = 4
"""Of the result of a reward function."""


class _Verdict(NamedTuple):
    """On one population."""

    values: Float[np.ndarray, "H S"]
    gain: Float[np.ndarray, "H S"]
    gap: float
    error: float
    size: float
    """Bound on the values of all policies, but for what is the same for all."""
    response: Float[np.ndarray, "H S A"]
    is_bounded: bool
    """What is expected of the next epoch does not jump within the errors of the flow."""


def exact_flow(tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "*H S _"]]) -> Flow:
    """The state-action laws ([H,] S, A_p) that the policies lead to."""
    if tables.horizon is None:
        return settled_law(tables, policies)
    return marched(tables, policies, bounded=False).flow


def spread_of_rewards(tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "*H S _"]]) -> float:
    """The largest less the smallest reward at the flow of these policies, times the (discounted) number of epochs:
    of the population where that is most; 1 if a reward is not finite, or nobody knows the flow.
    """
    flow = exact_flow(tables, policies)
    each = [
        reward[np.broadcast_to(m, reward.shape)] for reward, m in zip(tables.rewards(flow), tables.legal, strict=True)
    ]
    if not all(np.isfinite(paid).all() for paid in each):
        return 1.0
    length = float(discounted_length(np.array([tables.discount]), tables.horizon)[0])
    return max(float(paid.max() - paid.min()) for paid in each) * length


def certify_mean_field(
    tables: MeanFieldTables, answer: Any, scales: Float[np.ndarray, " P"] | None = None
) -> Certificate:
    """The exploitability of one policy per population, ([H,] S, A_p).

    **Arguments:** `answer` as in `checked_profile`; the array itself will do where there is one population. `scales`,
    what each population has at stake, kept in the certificate.

    **Returns:** `gap`, the sum over populations of the mean gain over initial states, with all of them in
    `per_player`; `values` (P, H, S); `deviation(p)` has a pure best response and the gain (H, S),
    0 where nobody can be.

    **Raises:** `BadInput` if `answer` is no policy of the game, or rewards along its flow are not finite.
    """
    if tables.horizon is None:
        return certify_stationary(tables, answer, scales)
    policies = checked_profile(tables, answer)
    march = marched(tables, policies)
    rewards = _rewards(tables, march)
    doubts, jumps = _reward_errors(tables, march, rewards)
    with np.errstate(over="ignore", invalid="ignore"):
        verdicts = [_judged(tables, march, p, policies[p], rewards[p], doubts[p]) for p in range(tables.num_players)]
    gaps = np.array([verdict.gap for verdict in verdicts])
    errors = np.array([outward(verdict.error) for verdict in verdicts])
    doubt = march.doubt
    if doubt is None and (jumps or not all(verdict.is_bounded for verdict in verdicts)):
        doubt = JUMPS
    if doubt is not None:  # as much as can be gained where masses are what they seem to be: no bound, but no small one
        errors = np.maximum(errors, [2 * verdict.size for verdict in verdicts])
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
        doubt=None if doubt is None else gap_is_uncertain(doubt),
    )


def _rewards(tables: MeanFieldTables, march: March) -> tuple[Float[np.ndarray, "H S _"], ...]:
    """0 where nobody can be. **Raises:** `BadInput` with the first place where one is not finite."""
    rewards = []
    for p, (reward, here) in enumerate(zip(tables.rewards(march.flow), march.reachable, strict=True)):
        counts = here[..., None] & tables.legal[p]
        off = counts & ~np.isfinite(reward)
        if off.any():
            t, s, a = np.argwhere(off)[0].tolist()
            raise BadInput(
                f"reward of population {tables.player_labels[p]} at time {t}, state {tables.state_labels[s]}, action "
                f"{tables.action_labels[p][a]} is {reward[t, s, a]:g} along the flow of this policy."
            )
        rewards.append(np.where(counts, reward, 0.0))
    return tuple(rewards)


def _reward_errors(
    tables: MeanFieldTables, march: March, rewards: tuple[np.ndarray, ...]
) -> tuple[list[Float[np.ndarray, "H S _"]], bool]:
    """To first order, by how much the errors of the flow can have moved each reward; and whether one jumps there."""
    near = around(tables, march.flow, march.entry_errors, sum(law.size for law in march.flow))
    counts = [here[..., None] & mask for here, mask in zip(march.reachable, tables.legal, strict=True)]

    def at(near: Neighbourhood) -> Callable[[int], Sequence[np.ndarray]]:
        return lambda k: rewards if k == 0 else tables.rewards(near.law(march.flow, k))

    return largest_changes(near, march.flow, at, counts)


def _kernel_errors(
    tables: MeanFieldTables, march: March, t: int, p: int, values: Sequence[Float[np.ndarray, " S"]]
) -> tuple[list[Float[np.ndarray, "S A"]], bool]:
    """The same of what is expected of each of `values` after an action in epoch t."""
    laws = tuple(law[t] for law in march.flow)
    counts = [march.reachable[p][t][:, None] & tables.legal[p]] * len(values)
    known = march.seen[t]
    errors, cost = [each[t] for each in march.entry_errors], kernel_cost(tables, march.kernels[t])
    near = known[0] if known else around(tables, laws, errors, cost)

    def at(near: Neighbourhood) -> Callable[[int], Sequence[np.ndarray]]:
        kernels = known[1] if known and near is known[0] else kernels_near(tables, t, laws, near)
        return lambda k: [averaged(kernels[k][p], each) for each in values]

    return largest_changes(near, laws, at, counts)


def _judged(
    tables: MeanFieldTables,
    march: March,
    p: int,
    policy: Float[np.ndarray, "H S A"],
    reward: Float[np.ndarray, "H S A"],
    doubt: Float[np.ndarray, "H S A"],
) -> _Verdict:
    horizon, num_states, num_actions = reward.shape
    values, gains, errors, sizes = (np.zeros((horizon + 1, num_states)) for _ in range(4))
    best = np.zeros((horizon, num_states), int)
    legal, levels = tables.legal[p], np.zeros(horizon + 1)
    is_constant = _is_constant(tables, march, p, reward)
    is_bounded = True
    for t in reversed(range(horizon)):
        kernel = march.kernels[t][p]
        counts = march.reachable[p][t][:, None] & legal
        centre, roughness = _centred(reward[t], counts, is_constant)
        paid = np.where(counts, reward[t] - centre, 0.0)
        levels[t] = centre + tables.discount * levels[t + 1]
        q = paid + tables.discount * averaged(kernel, values[t + 1])
        size = np.abs(paid) + tables.discount * averaged(kernel, sizes[t + 1])
        values[t] = (policy[t] * q).sum(axis=1)
        sizes[t] = np.where(legal, size, 0.0).max(axis=1)
        gain = np.where(legal, q - values[t][:, None] + tables.discount * averaged(kernel, gains[t + 1]), -np.inf)
        best[t] = gain.argmax(axis=1)
        gains[t] = np.maximum(gain.max(axis=1), 0.0)  # keeping to the policy gains nothing
        lost = gamma(roundings(kernel) + 3 * num_actions + 8)
        here = lost * (size + sizes[t][:, None] + gains[t][:, None]) + _SAFETY * doubt[t] + roughness
        if not tables.fixed_dynamics and march.doubt is None and t + 1 < horizon:
            ahead = values[t + 1], values[t + 1] + gains[t + 1], errors[t + 1]
            (kept, left, wrong), jumps = _kernel_errors(tables, march, t, p, ahead)
            here = here + _SAFETY * tables.discount * (np.maximum(kept, left) + wrong)
            is_bounded = is_bounded and not jumps
        here = here + (policy[t] * here).sum(axis=1, keepdims=True)
        carried = here + tables.discount * averaged(kernel, errors[t + 1])
        errors[t] = np.where(legal, carried, 0.0).max(axis=1)
    response = np.zeros_like(policy)
    np.put_along_axis(response, best[..., None], 1.0, axis=-1)
    gains = np.where(march.reachable[p], gains[:-1], 0.0)
    initial = tables.initial[p]
    error = float((errors[0] + gamma(2 * roundings_of_a_sum(num_states)) * gains[0]) @ initial)
    size = float(sizes[0] @ initial)
    return _Verdict(
        values[:-1] + levels[:-1, None], gains, float(gains[0] @ initial), error, size, response, is_bounded
    )


def _is_constant(tables: MeanFieldTables, march: March, p: int, reward: Float[np.ndarray, "H S A"]) -> bool:
    """One number is paid everywhere, at this flow and at others that are nothing like it."""
    counts = march.reachable[p][..., None] & tables.legal[p]
    if np.ptp(reward[counts]) != 0:
        return False
    random = np.random.default_rng(0)
    for _ in range(3):
        weights = [random.exponential(size=law.shape) ** 2 * m for law, m in zip(march.flow, tables.legal, strict=True)]
        other = tables.rewards(tuple(w / w.sum(axis=(-2, -1), keepdims=True) for w in weights))[p]
        if not np.array_equal(other[counts], reward[counts]):
            return False
    return True


def _centred(
    reward: Float[np.ndarray, "S A"], counts: Bool[np.ndarray, "S A"], is_constant: bool
) -> tuple[float, Float[np.ndarray, "S A"]]:
    """A constant to take off the rewards of an epoch, which moves no gain, and what rewards may have been rounded by.

    A constant is one however it was rounded.
    """
    paid = reward[counts]
    if not paid.size:
        return 0.0, np.zeros_like(reward)
    if is_constant:
        return float(paid[0]), np.zeros_like(reward)
    centre = midrange(paid)
    return centre, gamma(_REWARD_ROUNDINGS) * (np.abs(reward) + abs(centre))

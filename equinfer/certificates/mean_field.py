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

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from equinfer.certificates.populations import averaged, reached, refuse_no_laws, roundings, sent
from equinfer.certificates.profile import checked_profile
from equinfer.certificates.rounding import gamma, outward
from equinfer.certificates.stationary_mean_field import certify_stationary, settled_law
from equinfer.errors import BadInput
from equinfer.mean_field_tables import Flow, MeanFieldTables, RawTransition
from equinfer.records import Certificate, Deviation

__all__ = ["certify_mean_field", "exact_flow"]

_PROBE = 1e-7
"""Of each mass, by which it is moved to see how much rewards depend on its last digits."""
_PROBES = 3


class _March(NamedTuple):
    """The population on its way: laws, kernels, where anybody can be, and roundings that a mass went through."""

    flow: Flow
    kernels: tuple[tuple[RawTransition, ...], ...]
    """By epoch, then by population."""
    reachable: tuple[Bool[np.ndarray, "H S"], ...]
    roundings: tuple[int, ...]
    """Of the masses of each epoch."""


def exact_flow(tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "*H S _"]]) -> Flow:
    """The state-action laws ([H,] S, A_p) that the policies lead to."""
    if tables.horizon is None:
        return settled_law(tables, policies)
    return _march(tables, policies).flow


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
    single = tables.num_players == 1 and getattr(answer, "ndim", 0) >= 2
    policies = checked_profile(tables, (answer,) if single else answer)
    march = _march(tables, policies)
    rewards = _rewards(tables, march)
    doubts = _reward_errors(tables, march, rewards)
    verdicts = [_judged(tables, march, p, policies[p], rewards[p], doubts[p]) for p in range(tables.num_players)]
    gaps = np.array([gain[0] @ tables.initial[p] for p, (_, gain, _, _) in enumerate(verdicts)])
    errors = np.array([outward(float(error[0] @ tables.initial[p])) for p, (_, _, error, _) in enumerate(verdicts)])
    return Certificate(
        concept="mean-field",
        kind="exact",
        gap=float(gaps.sum()),
        per_player=gaps,
        numerical_error=outward(float(errors.sum())),
        per_player_error=errors,
        values=np.stack([values for values, _, _, _ in verdicts]),
        deviations=tuple(Deviation(best, gain) for _, gain, _, best in verdicts),
        payoff_scales=scales,
    )


def _march(tables: MeanFieldTables, policies: Sequence[np.ndarray]) -> _March:
    assert tables.horizon is not None
    masses, here = tables.initial, tuple(law > 0 for law in tables.initial)
    laws, kernels, reachable, counts = [], [], [], []
    count = 1
    for t in range(tables.horizon):
        now = tuple(mass[:, None] * policy[t] for mass, policy in zip(masses, policies, strict=True))
        kernel = tables.transitions(t, now)
        refuse_no_laws(tables, t, kernel)
        laws.append(now)
        kernels.append(kernel)
        reachable.append(here)
        counts.append(count)
        masses = tuple(map(sent, kernel, now))
        here = tuple(map(reached, kernel, here, tables.legal))
        count += 1 + max(map(roundings, kernel)) + max(tables.num_actions)
    return _March(
        tuple(np.stack(each) for each in zip(*laws, strict=True)),
        tuple(kernels),
        tuple(np.stack(each) for each in zip(*reachable, strict=True)),
        tuple(counts),
    )


def _rewards(tables: MeanFieldTables, march: _March) -> tuple[Float[np.ndarray, "H S _"], ...]:
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
    tables: MeanFieldTables, march: _March, rewards: tuple[np.ndarray, ...]
) -> tuple[Float[np.ndarray, "H S _"], ...]:
    """To first order, by how much the roundings of the flow can have moved each reward."""
    random = np.random.default_rng(0)
    sensitivity = [np.zeros_like(reward) for reward in rewards]
    for probe in range(_PROBES):
        signs = [np.ones_like(law) if probe == 0 else random.choice((-1.0, 1.0), law.shape) for law in march.flow]
        moved = tables.rewards(tuple(law * (1 + _PROBE * sign) for law, sign in zip(march.flow, signs, strict=True)))
        for known, new, reward in zip(sensitivity, moved, rewards, strict=True):
            change = np.abs(np.where(np.isfinite(new), new, reward) - reward) / _PROBE
            np.maximum(known, np.where(reward == 0, 0.0, change), out=known)
    lost = np.array([gamma(count) for count in march.roundings])[:, None, None]
    return tuple(lost * each for each in sensitivity)


def _judged(
    tables: MeanFieldTables,
    march: _March,
    p: int,
    policy: Float[np.ndarray, "H S A"],
    reward: Float[np.ndarray, "H S A"],
    doubt: Float[np.ndarray, "H S A"],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Values (H, S), gains (H, S), their errors (H, S), and a best response (H, S, A)."""
    horizon, num_states, num_actions = reward.shape
    values, gains, errors = (np.zeros((horizon + 1, num_states)) for _ in range(3))
    sizes = np.zeros((horizon + 1, num_states))
    best = np.zeros((horizon, num_states), int)
    legal = tables.legal[p]
    for t in reversed(range(horizon)):
        kernel = march.kernels[t][p]
        q = reward[t] + tables.discount * averaged(kernel, values[t + 1])
        size = np.abs(reward[t]) + tables.discount * averaged(kernel, sizes[t + 1])
        values[t] = (policy[t] * q).sum(axis=1)
        sizes[t] = np.where(legal, size, 0.0).max(axis=1)
        gain = np.where(legal, q - values[t][:, None] + tables.discount * averaged(kernel, gains[t + 1]), -np.inf)
        best[t] = gain.argmax(axis=1)
        gains[t] = np.maximum(gain.max(axis=1), 0.0)  # keeping to the policy gains nothing
        lost = gamma(roundings(kernel) + 3 * num_actions + 8)
        here = lost * (size + sizes[t][:, None] + gains[t][:, None]) + doubt[t]
        here = here + (policy[t] * here).sum(axis=1, keepdims=True)
        carried = here + tables.discount * averaged(kernel, errors[t + 1])
        errors[t] = np.where(legal, carried, 0.0).max(axis=1)
    response = np.zeros_like(policy)
    np.put_along_axis(response, best[..., None], 1.0, axis=-1)
    return values[:-1], np.where(march.reachable[p], gains[:-1], 0.0), errors[:-1], response

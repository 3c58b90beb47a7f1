r"""A second judge of Nash gaps, which shares nothing with the package: for benchmarks that look for false success.

Policy iteration with Gaussian elimination, in one of two kinds of numbers. In rationals, for small games, everything is
exact. In extended precision (64 bits of mantissa on x86) the truth is enclosed: for any v, if $Tv\le v+\delta$ for the
Bellman operator T of the best response, then $V^*\le v+\delta/(1-\gamma)$, and likewise from below for the profile.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from equinfer.tables import Tables

__all__ = ["Judgement", "judge"]

SMALL_TABLE, SMALL_SYSTEM = 3_000, 6
"""Entries of the kernel and states up to which rationals do not take longer than the solver."""


class Judgement(NamedTuple):
    """Of each player, over all states and epochs."""

    gap: np.ndarray
    """The largest gain from deviating alone."""
    uncertainty: np.ndarray
    """By how much the true one may be larger."""


class _Seen(NamedTuple):
    """The decision process that one player faces."""

    reward: np.ndarray
    """(S, A_i), a constant taken off."""
    kernel: np.ndarray
    """(S, A_i, S)."""
    legal: np.ndarray
    discount: Any


def judge(tables: Tables, profile: Sequence[np.ndarray]) -> Judgement:
    """The Nash gap of `profile`; each row of probabilities, like those of the kernel, is divided by its sum first."""
    assert isinstance(tables.kernel, np.ndarray), "this judge reads whole tables"
    rational = tables.num_states <= SMALL_SYSTEM and tables.kernel.size * tables.num_players <= SMALL_TABLE
    number: Any = np.vectorize(Fraction, otypes=[object]) if rational else np.longdouble
    precision = 0.0 if rational else float(np.finfo(np.longdouble).eps)
    policies, kernel = [_laws(number(policy)) for policy in profile], _laws(number(tables.kernel))
    discounts = number(tables.discount)
    gaps, doubts = np.zeros((2, tables.num_players))
    for i, legal in enumerate(tables.legal):
        reward = number(tables.reward[i])
        reward = reward - reward[tables.legal_joint].min()  # which changes no gain
        size = float(np.abs(reward[tables.legal_joint]).max())
        rounding = precision * (3 * sum(tables.num_actions) + 2 * tables.num_states + 16)

        def seen(policies: Sequence[np.ndarray], i: int = i, reward: Any = reward, legal: Any = legal) -> _Seen:
            return _Seen(_faced(reward, policies, i), _faced(kernel, policies, i), legal, discounts[i])

        if tables.horizon is None:
            gaps[i], doubts[i] = _stationary(seen(policies), policies[i], rounding, size)
        else:
            now = [[policy[t] for policy in policies] for t in range(tables.horizon)]
            epochs = [(seen(each), each[i]) for each in now]
            gaps[i], doubts[i] = _by_epochs(epochs, rounding, size)
    return Judgement(gaps, doubts)


def _laws(table: np.ndarray) -> np.ndarray:
    return table / table.sum(axis=-1, keepdims=True)


def _faced(table: np.ndarray, policies: Sequence[np.ndarray], player: int) -> np.ndarray:
    """A table (S, *A, ...) averaged over what the others play: (S, A_i, ...)."""
    view = np.moveaxis(table, 1 + player, 1)
    for j, policy in enumerate(policies):
        if j != player:
            view = (view * policy.reshape(len(policy), 1, -1, *[1] * (view.ndim - 3))).sum(axis=2)
    return view


def _stationary(seen: _Seen, policy: np.ndarray, rounding: float, size: float) -> tuple[float, float]:
    own = _value(seen, policy)
    best, improving = own, True
    while improving:
        greedy = np.where(seen.legal, _ahead(seen, best), -np.inf).argmax(axis=1)
        improved = np.maximum(best, _value(seen, np.eye(policy.shape[1], dtype=int)[greedy]))
        improving = bool((improved - best).max() > rounding * (size + float(np.abs(best).max())))
        best = improved
    rise = _greatest(seen, _ahead(seen, best)) - best
    fall = own - (policy * _ahead(seen, own)).sum(axis=1)
    left = max(float(rise.max()), 0.0) + max(float(fall.max()), 0.0)
    left += 2 * rounding * (size + float(np.abs(best).max()) + float(np.abs(own).max()))
    return float((best - own).max()), left / (1.0 - float(seen.discount))


def _by_epochs(epochs: Sequence[tuple[_Seen, np.ndarray]], rounding: float, size: float) -> tuple[float, float]:
    own = best = 0 * epochs[0][0].reward[:, 0]
    gap, left = 0.0, 0.0
    for seen, policy in reversed(epochs):
        own, best = (policy * _ahead(seen, own)).sum(axis=1), _greatest(seen, _ahead(seen, best))
        left += 2 * rounding * (size + float(np.abs(own).max()) + float(np.abs(best).max()))
        gap = max(gap, float((best - own).max()))
    return gap, left


def _ahead(seen: _Seen, value: np.ndarray) -> np.ndarray:
    return seen.reward + seen.discount * (seen.kernel @ value)


def _greatest(seen: _Seen, action_values: np.ndarray) -> np.ndarray:
    return np.where(seen.legal, action_values, action_values.min() - 1).max(axis=1)


def _value(seen: _Seen, policy: np.ndarray) -> np.ndarray:
    """Gauss-Jordan elimination; the matrix is diagonally dominant, so that no pivoting is called for."""
    chain = (policy[..., None] * seen.kernel).sum(axis=1)
    rows = np.concatenate([-seen.discount * chain, (policy * seen.reward).sum(axis=1)[:, None]], axis=1)
    for k in range(len(rows)):
        rows[k, k] += 1
    for k in range(len(rows)):
        rows[k] = rows[k] / rows[k, k]
        others = np.arange(len(rows)) != k
        rows[others] = rows[others] - rows[others, k, None] * rows[k]
    return rows[:, -1]

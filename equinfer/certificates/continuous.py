r"""How much one agent gains alone in a one-shot game of continuous actions,

$$g_i(a)=\max_{b\in B_i}r_i(b,a_{-i})-r_i(a),$$

at one joint action, or on average over joint actions that policies drew.

What a gap is worth is what is known of the rewards. Quadratic and concave in the own action, or the largest of
several such functions: **exact**, by maxima with bounds from their gradients. With a Lipschitz constant in the own
action, declared by the game or read off quadratic coefficients: an **upper bound**, by branch and bound. Otherwise an
**estimate**, by a grid and a polish, which proves nothing. A declared constant is tried at pairs of actions first, and
refused if they belie it.

Welfare, the sum of all rewards, stands beside the gap: in a game of common interests a trap that nobody leaves alone
has no gap either.

Rounding: quadratic rewards are counted term by term. Other rewards are functions that nobody can look into; they are
taken to go through up to 64 roundings, in the precision that they come in, of numbers no larger than the rewards seen
or L times the actions.
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from scipy import stats

from equinfer.certificate import weakest
from equinfer.certificates.box_search import (
    FalseConstant,
    concave_peak,
    highest_bound,
    refuse_false_constant,
    searched_peak,
)
from equinfer.certificates.rounding import UNIT_ROUNDOFF, gamma, outward
from equinfer.continuous_tables import ContinuousTables
from equinfer.errors import BadInput, cause
from equinfer.records import Certificate, Deviation

__all__ = ["best_against", "certify_actions", "certify_play"]

_ROUNDINGS = 64
_OUTSIDE = 1e-6
"""Of the width of a box, by which actions may lie outside of it: learners compute in float32."""
_CLOSE = 1e-9
"""Of the size of rewards: a proven bound nearer than this to what was found leaves no doubt but rounding."""
_PAIRS = 256
"""At which a declared Lipschitz constant is tried."""
_ROWS = 2**16
"""Joint actions that are handed over at a time."""


class _Verdict(NamedTuple):
    gap: float
    error: float
    gain: float
    """Of `action`, the best that was found."""
    action: Float[np.ndarray, " d"]
    kind: str


def certify_actions(tables: ContinuousTables, answer: Any) -> Certificate:
    """The Nash gap of one joint action.

    **Arguments:** `answer`, (N, d), or one array (d_i,) for each agent, in the game's units.

    **Returns:** `gap`, the largest of `per_player`; `kind`, that of the least certain agent; `values` (N, 1), rewards;
    `deviation(i)`, the best action found, (d_i,), and its gain (1,); `welfare`.

    **Raises:** `BadInput` for actions that are not finite, of another shape or outside of the boxes; for a declared
    Lipschitz constant that is false, with a pair of actions.
    """
    row = np.concatenate(_checked(tables, answer, ()))
    rewards = _in_parts(tables, row[None])[0]
    verdicts = [_judged(tables, i, row, float(rewards[i])) for i in range(tables.num_players)]
    return _certificate(verdicts, weakest(each.kind for each in verdicts), rewards)


def certify_play(tables: ContinuousTables, samples: Any, confidence: float = 0.95) -> Certificate:
    r"""The Nash gap of stochastic policies, estimated from K joint actions that they drew, independent of each other.

    Agent i's reward for an action $b$ is its mean over the others' samples, and the gap is the largest found, less the
    mean of what was earned. `intervals` (N, 2) hold the true gap with the probability `confidence`, by Student's t and
    the central limit theorem: the lower end is that of the gain, over the second half of the samples, of the action
    that is best over the first half; the upper end adds the quantile to the largest mean, which errs upwards itself.
    The search may miss the best action, so `kind` is `estimate`.

    **Arguments:** `samples`, (K, N, d), or one array (K, d_i) for each agent, K >= 4.

    **Raises:** `BadInput` as `certify_actions`, and for fewer samples or a `confidence` outside of (0, 1).
    """
    if not 0 < confidence < 1:
        raise BadInput(f"confidence must lie in (0, 1); got {confidence:g}.")
    rows = np.concatenate(_checked(tables, samples, (len(_first(samples)),)), axis=1)
    if len(rows) < 4:
        raise BadInput(f"there are {len(rows)} samples; an interval needs at least 4.")
    earned = _in_parts(tables, rows)
    half = len(rows) // 2
    verdicts, intervals = [], []
    for i in range(tables.num_players):
        best = best_against(tables, i, rows)
        gains = _gains(tables, i, best, rows, earned)
        chosen = best_against(tables, i, rows[:half])
        held_out = _gains(tables, i, chosen, rows[half:], earned[half:])
        intervals.append((held_out.mean() - _margin(held_out, confidence), gains.mean() + _margin(gains, confidence)))
        error = outward(
            (_rounding(tables) + gamma(len(rows))) * 2 * float(np.abs(earned[:, i]).max() + np.abs(gains).max())
        )
        verdicts.append(_Verdict(float(gains.mean()), error, float(gains.mean()), best, "estimate"))
    return _certificate(verdicts, "estimate", earned.mean(axis=0), np.array(intervals))


def _certificate(
    verdicts: Sequence[_Verdict],
    kind: str,
    rewards: Float[np.ndarray, " N"],
    intervals: Float[np.ndarray, "N 2"] | None = None,
) -> Certificate:
    gaps, errors = (np.array([getattr(each, name) for each in verdicts]) for name in ("gap", "error"))
    widest = int(gaps.argmax())
    return Certificate(
        concept="nash",
        kind=kind,
        gap=float(gaps[widest]),
        per_player=gaps,
        numerical_error=float(errors.max()),
        per_player_error=errors,
        values=rewards[:, None],
        deviations=tuple(Deviation(each.action, np.array([each.gain])) for each in verdicts),
        welfare=float(rewards.sum()),
        intervals=intervals,
    )


def _judged(tables: ContinuousTables, i: int, row: Float[np.ndarray, " D"], reward: float) -> _Verdict:
    if tables.quadratic is not None:
        return _judged_quadratic(tables, i, row)
    own = row[tables.columns[i]]
    function = partial(_own_reward, tables, i, row)
    if tables.lipschitz is None:
        found = searched_peak(function, tables.low[i], tables.high[i], own)
        error = outward(2 * _rounding(tables) * (abs(found.value) + abs(reward)))
        return _Verdict(found.value - reward, error, found.value - reward, found.point, "estimate")
    constant = float(tables.lipschitz[i])
    try:
        largest = max(abs(reward), _try_constant(tables, i, row, constant))
        size = largest + constant * float(np.linalg.norm(np.maximum(np.abs(tables.low[i]), np.abs(tables.high[i]))))
        return _bounded(tables, i, own, function, constant, reward, _rounding(tables) * size)
    except FalseConstant as error:
        raise BadInput(f"{tables.name}: agent {tables.player_labels[i]} {error}") from None


def _bounded(
    tables: ContinuousTables,
    i: int,
    own: Float[np.ndarray, " d"],
    function: Any,
    constant: float,
    reward: float,
    rounding: float,
) -> _Verdict:
    """By branch and bound; `rounding` is that of one reward."""
    found = highest_bound(function, tables.low[i], tables.high[i], constant, own, rounding=rounding)
    return _Verdict(found.bound - reward, outward(2 * rounding), found.value - reward, found.point, "upper_bound")


def _judged_quadratic(tables: ContinuousTables, i: int, row: Float[np.ndarray, " D"]) -> _Verdict:
    """Each piece of the reward is quadratic as a function of the own action alone, too."""
    assert tables.quadratic is not None
    columns, low, high = tables.columns[i], tables.low[i], tables.high[i]
    matrix, linear = tables.quadratic.matrix[:, i], tables.quadratic.linear[:, i]
    others = row.copy()
    others[columns] = 0.0
    own, squares = row[columns], matrix[:, columns, columns]
    slopes = linear[:, columns] + 2 * matrix[:, columns] @ others
    bases = (matrix @ others + linear) @ others + tables.quadratic.constant[:, i]

    def function(points: Float[np.ndarray, "K d"]) -> Float[np.ndarray, " K"]:
        pieces = np.einsum("kd,pde,ke->kp", points, squares, points) + points @ slopes.T + bases
        return pieces.max(axis=1)

    reach = np.maximum(np.abs(low), np.abs(high))
    largest = np.abs(row)
    largest[columns] = reach
    terms = (np.abs(matrix) @ largest + np.abs(linear)) @ largest + np.abs(tables.quadratic.constant[:, i])
    error = outward(4 * gamma(4 * len(row) + 8) * float(terms.max()))
    reward = float(function(own[None])[0])
    peaks = [concave_peak(square, slope, low, high) for square, slope in zip(squares, slopes, strict=True)]
    if any(peak is None for peak in peaks):
        steepest = np.linalg.norm(2 * np.abs(squares) @ reach + np.abs(slopes), axis=1).max()
        return _bounded(tables, i, own, function, outward(float(steepest)), reward, error)
    best = max(((own, reward), *((p.point, function(p.point[None])[0]) for p in peaks if p)), key=lambda each: each[1])
    bound = max(base + peak.bound for base, peak in zip(bases, peaks, strict=True) if peak)
    gain = float(best[1]) - reward
    above = max(0.0, float(bound - best[1]))
    if above > max(error, _CLOSE * float(terms.max())):
        return _Verdict(float(bound) - reward, error, gain, best[0], "upper_bound")
    return _Verdict(gain, outward(error + above), gain, best[0], "exact")


def _try_constant(tables: ContinuousTables, i: int, row: Float[np.ndarray, " D"], constant: float) -> float:
    """Try a Lipschitz constant at pairs of own actions, far apart and close, against the others' and other actions.

    **Returns:** the largest of the rewards that were seen.
    """
    random = np.random.default_rng(0)
    low, high = np.concatenate(tables.low), np.concatenate(tables.high)
    first = low + random.random((_PAIRS, len(row))) * (high - low)
    first[: _PAIRS // 2] = row
    second = first.copy()
    columns = tables.columns[i]
    anywhere = low + random.random(first.shape) * (high - low)
    share = np.geomspace(1.0, 1e-4, _PAIRS)[random.permutation(_PAIRS), None]
    first[: _PAIRS // 2, columns] = anywhere[: _PAIRS // 2, columns]
    second[:, columns] = first[:, columns] + share * (anywhere[::-1, columns] - first[:, columns])
    values, found = _in_parts(tables, first)[:, i], _in_parts(tables, second)[:, i]
    largest = float(max(np.abs(values).max(), np.abs(found).max()))
    reach = float(np.linalg.norm(np.maximum(np.abs(tables.low[i]), np.abs(tables.high[i]))))
    rounding = _rounding(tables) * (largest + constant * reach)
    refuse_false_constant(first[:, columns], values, second[:, columns], found, constant, rounding)
    return largest


def _rounding(tables: ContinuousTables) -> float:
    """Of one reward, relative to the numbers that it is computed from."""
    return gamma(math.ceil(_ROUNDINGS * tables.roundoff / UNIT_ROUNDOFF))


def _own_reward(
    tables: ContinuousTables, i: int, row: Float[np.ndarray, " D"], points: Float[np.ndarray, "K d"]
) -> Float[np.ndarray, " K"]:
    rows = np.tile(row, (len(points), 1))
    rows[:, tables.columns[i]] = points
    return _in_parts(tables, rows)[:, i]


def best_against(tables: ContinuousTables, i: int, rows: Float[np.ndarray, "K D"]) -> Float[np.ndarray, " d"]:
    """The action that earns most on average over the others' samples, as far as a search finds."""

    def function(points: Float[np.ndarray, "G d"]) -> Float[np.ndarray, " G"]:
        number = max(1, _ROWS // len(rows))
        means = []
        for begin in range(0, len(points), number):
            some = points[begin : begin + number]
            every = np.tile(rows, (len(some), 1))
            every[:, tables.columns[i]] = np.repeat(some, len(rows), axis=0)
            means.append(_in_parts(tables, every)[:, i].reshape(len(some), -1).mean(axis=1))
        return np.concatenate(means)

    start = rows[:, tables.columns[i]].mean(axis=0)
    return searched_peak(function, tables.low[i], tables.high[i], start).point


def _gains(
    tables: ContinuousTables,
    i: int,
    action: Float[np.ndarray, " d"],
    rows: Float[np.ndarray, "K D"],
    earned: Float[np.ndarray, "K N"],
) -> Float[np.ndarray, " K"]:
    """Of playing `action` instead, sample by sample."""
    moved = rows.copy()
    moved[:, tables.columns[i]] = action
    return _in_parts(tables, moved)[:, i] - earned[:, i]


def _margin(values: Float[np.ndarray, " K"], confidence: float) -> float:
    count = len(values)
    return float(stats.t.ppf(0.5 + confidence / 2, count - 1) * values.std(ddof=1) / np.sqrt(count))


def _in_parts(tables: ContinuousTables, rows: Float[np.ndarray, "K D"]) -> Float[np.ndarray, "K N"]:
    """Rewards of many joint actions. **Raises:** `BadInput` with the agent and the actions where one is not finite."""
    rewards = np.concatenate([tables.rewards_at(rows[begin : begin + _ROWS]) for begin in range(0, len(rows), _ROWS)])
    off = np.argwhere(~np.isfinite(rewards))
    if len(off):
        k, i = off[0].tolist()
        actions = [rows[k, columns].tolist() for columns in tables.columns]
        who = f"{tables.name}: the reward of agent {tables.player_labels[i]}"
        raise BadInput(f"{who} is {rewards[k, i]:g} at the actions {actions}.")
    return rewards


def _first(answer: Any) -> Any:
    first = answer[0] if isinstance(answer, (tuple, list)) and len(answer) else answer
    if not np.ndim(first):
        raise BadInput("samples must be (K, N, d), or hold one array (K, d_i) for each agent.")
    return first


def _checked(tables: ContinuousTables, answer: Any, lead: tuple[int, ...]) -> list[Float[np.ndarray, "..."]]:
    """One array (*lead, d_i) for each agent, within its box.

    **Raises:** `BadInput` with the agent, the dimension and the bound.
    """
    if not isinstance(answer, (tuple, list)):
        try:
            array = np.asarray(answer, np.float64)
        except (TypeError, ValueError) as error:
            raise BadInput(f"the actions are no array of numbers: {cause(error)}.") from None
        if array.ndim != len(lead) + 2:
            raise BadInput(
                f"the actions have shape {array.shape}; expected {'(K, N, d)' if lead else '(N, d)'}, or one array "
                f"for each of {tables.num_players} agents."
            )
        answer = list(np.moveaxis(array, len(lead), 0))
    if len(answer) != tables.num_players:
        raise BadInput(f"there are actions of {len(answer)} agents; {tables.name} has {tables.num_players}.")
    return [_within(tables, i, part, lead) for i, part in enumerate(answer)]


def _within(tables: ContinuousTables, i: int, part: Any, lead: tuple[int, ...]) -> Float[np.ndarray, "..."]:
    who, low, high = tables.player_labels[i], tables.low[i], tables.high[i]
    try:
        array = np.asarray(part, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"the action of agent {who} is no array of numbers: {cause(error)}.") from None
    if array.shape != (*lead, len(low)):
        raise BadInput(f"the action of agent {who} has shape {array.shape}; expected {(*lead, len(low))}.")
    inside = np.clip(array, low, high)
    off = np.argwhere(~(np.abs(array - inside) <= _OUTSIDE * (high - low)))  # what is not a number, too
    if len(off):
        place = tuple(off[0].tolist())
        k = place[-1]
        raise BadInput(
            f"the action of agent {who} is {array[place]:g} in dimension {k}, outside of [{low[k]:g}, {high[k]:g}]."
        )
    return inside

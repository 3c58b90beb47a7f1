r"""The branch of regularised equilibria from $\lambda=0$ towards $\lambda=1/\tau=\infty$, by predictor and corrector.

Pseudo-arclength continuation (Allgower and Georg 1990): predict by the polynomial through the last points, correct
by Newton's chord method on a hyperplane across the tangent. Length is Fisher's (Rao's) on policies, so that the
logs of dying actions, which fall linearly in $\lambda$ for ever, cost nothing, and relative in $\lambda$; the block
that moves fastest counts most. The direction is the one that keeps the sign of the bordered determinant, which no
fold can change.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.solvers.tabular.bordered import BorderedSystem, SingularSystemError
from equinfer.solvers.tabular.qre import Evaluation, QRESystem, pure_rate
from equinfer.solvers.tabular.soft_play import fisher_dual, fisher_squares

__all__ = ["PathEnd", "PathPoint", "follow"]


_TINY = 1e-300
_LARGEST_LOG = 50.0
"""No prediction goes to a larger log of the inverse temperature."""


class PathEnd(Enum):
    """Why a path ended."""

    cold = "the temperature reached its floor"
    stalled = "the step became too short"
    branching = "two branches cross here"
    returned = "the path came back to infinite temperature"
    steps = "the number of steps ran out"


class PathPoint(NamedTuple):
    """A regularised equilibrium on the branch."""

    point: Float[np.ndarray, " size"]
    tangent: Float[np.ndarray, " size"]
    policy: Float[np.ndarray, "S n"]
    value: Float[np.ndarray, "S N"]
    rate: float
    r"""$\lambda=1/\tau$ in the unit of the scaled game."""
    cooling: bool
    r"""True where $\lambda$ grows along the path, false between two folds."""
    residual: float
    step_length: float
    corrections: int
    rejected: int
    """Steps refused since the last point."""


@dataclass(frozen=True)
class StepControl:
    """How steps are sized and accepted; the defaults were found on random games of many shapes."""

    first: float = 0.1
    shortest: float = 1e-9
    most_corrections: int = 20
    contraction: float = 0.15
    """The rate of the corrector that a step aims at; a worse rate than `worst_contraction` is refused."""
    worst_contraction: float = 0.6
    distance: float = 0.3
    """The distance of the prediction from the branch, in steps, that a step aims at; `worst_distance` is refused."""
    worst_distance: float = 1.0
    accuracy: float = 1e-6
    """Residual, per unit of the step, that is good enough, if the path's tolerance does not ask for less."""
    growth: float = 2.0
    patience: int = 40
    """So many steps, refused ones included, that together come no further than `crawl`: two branches cross."""
    crawl: float = 0.02
    most_crossings: int = 10
    """So many steps refused for the sign of the determinant alone, none got past: two branches cross."""
    tightest_turn: float = 0.5
    """Smallest accepted cosine between successive tangents."""


class _Metric:
    """Squared length of what a player does in a state: Fisher's; of the inverse temperature: relative; of values: none.

    `length` sums these blocks by the 4-norm. Where the path folds, a single state turns while all others follow the
    temperature: in the Euclidean norm they would outweigh it, and the hyperplane across the tangent miss the branch.
    """

    def __init__(self, system: QRESystem, policy: Float[np.ndarray, "S n"], rate: float):
        self._system, self._policy, self._rate_weight = system, policy, (1.0 + rate) ** -2.0

    def dual(self, step: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        """The linear form that takes the Euclidean product with `step`; a constant added to logits has no length."""
        logits, value, rate = self._system.split(step)
        fisher = fisher_dual(logits, self._policy, self._system.ends)
        return self._system.join(fisher, np.zeros_like(value), self._rate_weight * rate)

    def border(self, tangent: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        """The linear form that is one on a `tangent` of length one, and at most the length of any other step."""
        logits, value, rate = self._system.split(self.dual(tangent))
        blocks, last = self._squares(tangent)
        total = float(np.hypot(np.linalg.norm(blocks), last))
        weighted = (blocks / total)[:, self._system.game.owner] * logits
        return self._system.join(weighted, value, last / total * rate)

    def length(self, step: Float[np.ndarray, " size"]) -> float:
        blocks, last = self._squares(step)
        return float(np.sqrt(np.hypot(np.linalg.norm(blocks), last)))

    def _squares(self, step: Float[np.ndarray, " size"]) -> tuple[Float[np.ndarray, "S N"], float]:
        """Squared lengths of all blocks, and of the inverse temperature."""
        logits, _, rate = self._system.split(step)
        return fisher_squares(logits, self._policy, self._system.ends), self._rate_weight * rate * rate


class _Refused(Exception):
    """A step that must be shortened. `across_branching` if only the sign of the determinant speaks against it."""

    def __init__(self, reason: str, across_branching: bool = False):
        super().__init__(reason)
        self.across_branching = across_branching


def follow(
    system: QRESystem,
    *,
    tolerance: float = 1e-7,
    coldest: float = 1e8,
    max_steps: int = 4000,
    control: StepControl = StepControl(),
) -> Iterator[PathPoint | PathEnd]:
    r"""The points of the branch in order, the one at $\lambda=0$ first, and last the reason of the end.

    **Arguments:** `tolerance` on the fixed-point residual in probabilities and unit payoffs, or its rounding error
    where that is larger (beyond $\lambda=10^4$ or so); `coldest` is the $\lambda$ at which the path is at its end.
    """
    point = system.start()
    here = system.evaluate(point)
    factored = system.linearise(here, point, pure_rate(point))
    sign = factored.sign
    tangent = system.tangent(factored).step
    tangent /= _Metric(system, here.policy, 0.0).length(tangent)
    yield _path_point(system, point, here, tangent, 0.0, 0, 0)

    last: _Knot | None = None
    step, rejected = control.first, 0
    travelled, crossings, barrier = 0.0, 0, 0.0
    milestones = deque([-np.inf] * control.patience, maxlen=control.patience)
    for _ in range(max_steps):
        if travelled - milestones[0] < control.crawl:
            yield PathEnd.branching
            return
        milestones.append(travelled)
        rate = float(point[-1])
        if rate >= coldest or rate < 0:
            yield PathEnd.cold if rate > 0 else PathEnd.returned
            return
        metric = _Metric(system, here.policy, rate)
        try:
            predicted = _extrapolated(system, _Knot(point, tangent), last, step)
            corrected = _corrected(system, predicted, tangent, metric, step, tolerance, control)
            if corrected.sign != sign:
                raise _Refused("the orientation changed", across_branching=True)
        except (_Refused, SingularSystemError) as refusal:
            rejected += 1
            if rejected == 2:  # perhaps the tangent is to blame: it was taken by way of the last prediction
                tangent = _tangent_here(system, point, here, metric, tangent)
            if getattr(refusal, "across_branching", True):
                crossings, barrier = crossings + 1, barrier if crossings else travelled + step
            step /= 2.0
            if crossings > control.most_crossings:
                yield PathEnd.branching
                return
            if step < control.shortest:
                yield PathEnd.stalled
                return
            continue
        moved = _moved(system, metric, point, tangent, corrected)
        travelled += moved
        if travelled > barrier:
            crossings = 0
        last = _Knot(point, tangent, moved)
        point, here, tangent = corrected.point, corrected.here, corrected.tangent
        yield _path_point(system, point, here, tangent, step, corrected.corrections, rejected)
        grow = min(
            np.sqrt(control.contraction / max(corrected.contraction, _TINY)),
            np.cbrt(control.distance / max(corrected.distance, _TINY)),
        )
        step = moved * float(np.clip(grow, 0.5, 1.0 if rejected else control.growth))
        rejected = 0
    yield PathEnd.steps


class _Knot(NamedTuple):
    """A point of the branch with its unit tangent, `ahead` the length from it to the next one."""

    point: Float[np.ndarray, " size"]
    tangent: Float[np.ndarray, " size"]
    ahead: float = 0.0


class _Corrected(NamedTuple):
    point: Float[np.ndarray, " size"]
    here: Evaluation
    tangent: Float[np.ndarray, " size"]
    sign: float
    contraction: float
    corrections: int
    distance: float
    """From the prediction to the branch, in steps."""


def _corrected(
    system: QRESystem,
    predicted: Float[np.ndarray, " size"],
    tangent: Float[np.ndarray, " size"],
    metric: _Metric,
    step: float,
    tolerance: float,
    control: StepControl,
) -> _Corrected:
    """The predicted point brought back to the branch by the chord method: one factorisation a step."""
    border = metric.border(tangent)
    point, here = predicted, system.evaluate(predicted)
    factored = system.linearise(here, point, border)
    # Short steps are near a singular point, where a small residual may mean a large error.
    tolerance = max(min(tolerance, control.accuracy * step), _rounding(system, predicted))
    contraction, steps, duals, distance = 0.0, [], [], 0.0
    for count in range(control.most_corrections + 1):
        if here.residual <= tolerance:
            break
        change = system.solve(factored, here.response_error, here.value_error, 0.0)
        for k in range(1, len(steps)):  # Broyden's rank-one updates, carried by the steps themselves (Kelley 1995)
            change = change.plus(steps[k], duals[k - 1] @ change.step)
        if steps:
            ratio = metric.length(change.step) / max(metric.length(steps[-1].step), _TINY)
            contraction = max(contraction, ratio)
            if ratio > control.worst_contraction:
                raise _Refused("the corrector is too slow")
            change = change.scaled(1.0 / (1.0 - duals[-1] @ change.step))
        dual = metric.dual(change.step)
        squared = dual @ change.step
        if count == 0:
            distance = metric.length(change.step) / step
            if not distance <= control.worst_distance + tolerance / step:
                raise _Refused("the prediction is too far off")
        steps.append(change)
        duals.append(dual / max(squared, _TINY))
        point = point + change.step
        here = system.evaluate(point, here.tables + change.tables)
    else:
        raise _Refused("the corrector does not end")
    point = system.normalised(point)
    turned = _tangent(system, factored, point, here, metric)
    turned /= _Metric(system, here.policy, float(point[-1])).length(turned)
    if border @ turned < control.tightest_turn * metric.length(turned):
        raise _Refused("the path turns too fast")
    return _Corrected(point, here, turned, factored.sign, contraction, count, distance)


def _moved(
    system: QRESystem,
    metric: _Metric,
    point: Float[np.ndarray, " size"],
    tangent: Float[np.ndarray, " size"],
    to: _Corrected,
) -> float:
    """The length of the step just made that fits the tangents at both its ends, which is what extrapolation needs.

    Lengths at either end can differ by a multiple, where probabilities do.
    """
    rise = to.point - point
    both = metric.dual(rise) + _Metric(system, to.here.policy, float(to.point[-1])).dual(rise)
    fitted = 2 * (both @ rise) / max(both @ (tangent + to.tangent), _TINY)
    return float(min(fitted, 4 * metric.length(rise)))


def _rounding(system: QRESystem, point: Float[np.ndarray, " size"]) -> float:
    r"""What rounding alone makes of the residual: that of $\lambda\bar Q$ in an exponent."""
    _, value, rate = system.split(point)
    return 8 * np.finfo(float).eps * abs(rate) * (1.0 + float(np.abs(value).max()))


def _tangent(
    system: QRESystem, factored: BorderedSystem, point: np.ndarray, here: Evaluation, metric: _Metric
) -> Float[np.ndarray, " size"]:
    r"""The direction of the branch at `point`: that of the nearby factored system, once corrected.

    The correction is a chord step on $J(z)\,t=0$ with the product taken by a difference quotient.
    """
    tangent, tables = system.tangent(factored)
    nearby = 1e-7 / metric.length(tangent)
    there = system.evaluate(point + nearby * tangent, here.tables + nearby * tables)
    response = (there.response_error - here.response_error) / nearby
    value = (there.value_error - here.value_error) / nearby
    tangent = tangent + system.solve(factored, response, value, 0.0).step
    return system.centred(tangent, here.policy)


def _tangent_here(
    system: QRESystem, point: np.ndarray, here: Evaluation, metric: _Metric, like: Float[np.ndarray, " size"]
) -> Float[np.ndarray, " size"]:
    """The unit tangent by a factorisation at the point itself, on the side of `like`."""
    try:
        tangent = system.tangent(system.linearise(here, point, metric.border(like))).step
    except SingularSystemError:
        return like
    return tangent / metric.length(tangent)


def _extrapolated(system: QRESystem, knot: _Knot, last: _Knot | None, step: float) -> Float[np.ndarray, " size"]:
    r"""The cubic through two points and their tangents, `step` beyond the second; at first the tangent alone.

    The log of a living action tends to a constant and is extrapolated itself; that of a dying one falls like
    $\lambda D$, so its advantage $D=(\beta-\log\tilde\pi)/\lambda$ is. The policy weighs the two. Of the inverse
    temperature it is $\log(1+\lambda)$, whose length the metric measures.
    """
    if last is None or last.point[-1] <= 0:
        return knot.point + step * knot.tangent
    logits = slice(0, system.sizes[0])
    magnet = system.log_magnet.ravel()

    def relative(of: _Knot) -> _Knot:
        point, tangent = of.point.copy(), of.tangent.copy()
        point[-1], tangent[-1] = np.log1p(of.point[-1]), of.tangent[-1] / (1.0 + of.point[-1])
        return _Knot(point, tangent, of.ahead)

    def advantages(of: _Knot) -> _Knot:
        rate = of.point[-1]
        advantage = (of.point[logits] - magnet) / rate
        return _Knot(advantage, (of.tangent[logits] - of.tangent[-1] * advantage) / rate, of.ahead)

    predicted = _hermite(relative(knot), relative(last), step)
    predicted[-1] = np.expm1(min(predicted[-1], _LARGEST_LOG))
    alive = system.policy(knot.point).ravel()
    dying = magnet + predicted[-1] * _hermite(advantages(knot), advantages(last), step)
    predicted[logits] = alive * predicted[logits] + (1 - alive) * dying
    return predicted


def _hermite(knot: _Knot, last: _Knot, step: float) -> np.ndarray:
    """The cubic with the values and slopes of two knots, evaluated beyond the second one."""
    length, x = last.ahead, step / last.ahead
    rise = knot.point - last.point
    second = 2 * length * knot.tangent + length * last.tangent - 3 * rise  # coefficients of x^2 and x^3 from the knot
    third = length * (knot.tangent + last.tangent) - 2 * rise
    return knot.point + x * length * knot.tangent + x * x * second + x**3 * third


def _path_point(
    system: QRESystem, point: np.ndarray, here: Evaluation, tangent: np.ndarray, step: float, count: int, rejected: int
) -> PathPoint:
    _, value, rate = system.split(point)
    return PathPoint(
        point, tangent, here.policy, value, rate, bool(tangent[-1] > 0), here.residual, step, count, rejected
    )

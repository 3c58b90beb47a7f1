r"""The branch of regularised equilibria from $\lambda=0$ towards $\lambda=1/\tau=\infty$, by predictor and corrector.

Pseudo-arclength continuation (Allgower and Georg 1990): predict by the polynomial through the last points, correct
by Newton's chord method on the hyperplane across the tangent. Length is Fisher's (Rao's) on policies, so that the
logs of dying actions, which fall linearly in $\lambda$ for ever, cost nothing, together with relative length in
$\lambda$. The direction is the one that keeps the sign of the bordered determinant, which no fold can change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.solvers.tabular.qre import BorderedSystem, Evaluation, QRESystem, SingularSystemError, pure_rate

__all__ = ["PathEnd", "PathPoint", "follow"]


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
    most_corrections: int = 12
    contraction: float = 0.08
    """The rate of the corrector that a step aims at; a worse rate than `worst_contraction` is refused."""
    worst_contraction: float = 0.4
    growth: float = 2.0
    tightest_turn: float = 0.5
    """Smallest accepted cosine between successive tangents."""
    order: int = 3
    """Degree of the predictor."""


class _Metric:
    """Squared length: Fisher's on policies, relative on the inverse temperature, none on values."""

    def __init__(self, system: QRESystem, policy: Float[np.ndarray, "S n"], rate: float):
        self._system, self._policy, self._rate_weight = system, policy, (1.0 + rate) ** -2.0

    def dual(self, step: Float[np.ndarray, " size"]) -> Float[np.ndarray, " size"]:
        """The linear form that takes the inner product with `step`; adding a constant to logits has no length."""
        game = self._system.game
        logits, value, rate = self._system.split(step)
        mean = game.totals(self._policy * logits)
        fisher = self._policy * (logits - mean[:, game.owner])
        return self._system.join(fisher, np.zeros_like(value), self._rate_weight * rate)

    def length(self, step: Float[np.ndarray, " size"]) -> float:
        return float(np.sqrt(max(self.dual(step) @ step, 0.0)))


class _Refused(Exception):
    """A step that must be shortened. `across_branching` if only the sign of the determinant speaks against it."""

    def __init__(self, reason: str, across_branching: bool = False):
        super().__init__(reason)
        self.across_branching = across_branching


def follow(
    system: QRESystem,
    *,
    tolerance: float = 1e-10,
    coldest: float = 1e8,
    max_steps: int = 4000,
    control: StepControl = StepControl(),  # noqa: B008  (frozen)
) -> Iterator[PathPoint | PathEnd]:
    r"""The points of the branch in order, the one at $\lambda=0$ first, and last the reason of the end.

    **Arguments:** `tolerance` on the fixed-point residual in probabilities and unit payoffs; `coldest` is the
    $\lambda$ at which the path is at its end.
    """
    point = system.start()
    here = system.evaluate(point)
    factored = system.linearise(here, point, pure_rate(point))
    sign = factored.sign
    tangent = factored.tangent()
    tangent /= _Metric(system, here.policy, 0.0).length(tangent)
    yield _path_point(system, point, here, tangent, 0.0, 0, 0)

    lengths, points = [0.0], [point]
    step, rejected, crossing = control.first, 0, 0
    for _ in range(max_steps):
        rate = point[-1]
        if rate >= coldest or rate < 0:
            yield PathEnd.cold if rate > 0 else PathEnd.returned
            return
        metric = _Metric(system, here.policy, rate)
        try:
            predicted = _extrapolated(system, points, lengths, step) if len(points) > 1 else point + step * tangent
            corrected = _corrected(system, predicted, tangent, metric, step, tolerance, control)
            if corrected.factored.sign != sign:
                raise _Refused("the orientation changed", across_branching=True)
        except (_Refused, SingularSystemError) as refusal:
            if not rejected:  # the tangent was taken at the prediction of this point: take it here
                tangent = _tangent(system, point, here, metric, tangent)
            rejected += 1
            crossing = crossing + 1 if getattr(refusal, "across_branching", True) else 0
            step /= 2.0
            if crossing > 12:
                yield PathEnd.branching
                return
            if step < control.shortest:
                yield PathEnd.stalled
                return
            continue
        moved = metric.length(corrected.point - point)
        point, here, tangent = corrected.point, corrected.here, corrected.tangent
        points, lengths = [*points, point][-control.order - 1 :], [*lengths, lengths[-1] + moved][-control.order - 1 :]
        yield _path_point(system, point, here, tangent, step, corrected.count, rejected)
        grow = np.sqrt(control.contraction / max(corrected.contraction, 1e-12))
        step = moved * float(np.clip(grow, 0.5, 1.0 if rejected else control.growth))
        rejected = crossing = 0
    yield PathEnd.steps


def _tangent(
    system: QRESystem, point: np.ndarray, here: Evaluation, metric: _Metric, like: Float[np.ndarray, " size"]
) -> Float[np.ndarray, " size"]:
    """The unit tangent at a point, on the side of `like`; `like` itself where the system is singular."""
    try:
        tangent = system.linearise(here, point, metric.dual(like)).tangent()
    except SingularSystemError:
        return like
    return tangent / metric.length(tangent)


class _Corrected(NamedTuple):
    point: Float[np.ndarray, " size"]
    here: Evaluation
    factored: BorderedSystem
    tangent: Float[np.ndarray, " size"]
    contraction: float
    count: int


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
    border = metric.dual(tangent)
    point, here = predicted, system.evaluate(predicted)
    factored = system.linearise(here, point, border)
    turned = factored.tangent()
    turned = turned / metric.length(turned)
    if border @ turned < control.tightest_turn:
        raise _Refused("the path turns too fast")
    contraction, previous = 0.0, 0.0
    for count in range(control.most_corrections + 1):
        if here.residual <= tolerance:
            return _Corrected(point, here, factored, turned, contraction, count)
        change = factored.solve(here.response_error, here.value_error, 0.0)
        size = metric.length(change)
        if count == 0 and not size <= 0.5 * step + tolerance:
            raise _Refused("the prediction is too far off")
        if count > 0:
            contraction = max(contraction, size / previous) if size > 100 * tolerance else contraction
            if contraction > control.worst_contraction:
                raise _Refused("the corrector is too slow")
        point, previous = point + change, size
        here = system.evaluate(point)
    raise _Refused("the corrector does not end")


def _extrapolated(
    system: QRESystem, points: list[np.ndarray], lengths: list[float], step: float
) -> Float[np.ndarray, " size"]:
    r"""The polynomial through the last points, `step` beyond the last one (Lagrange's form).

    The log of a living action tends to a constant and is extrapolated itself; that of a dying one falls like
    $\lambda D$, so its advantage $D=(\beta-\log\tilde\pi)/\lambda$ is. The policy weighs the two.
    """
    at, nodes, stack = lengths[-1] + step, np.array(lengths), np.stack(points)
    weights = np.array([np.prod((at - np.delete(nodes, j)) / (a - np.delete(nodes, j))) for j, a in enumerate(nodes)])
    predicted = weights @ stack
    size, magnet = system.sizes[0], system.log_magnet.ravel()
    if np.all(stack[:, -1] > 0):
        alive = system.policy(points[-1]).ravel()
        advantage = weights @ ((stack[:, :size] - magnet) / stack[:, -1:])
        predicted[:size] = alive * predicted[:size] + (1 - alive) * (magnet + predicted[-1] * advantage)
    return predicted


def _path_point(
    system: QRESystem, point: np.ndarray, here: Evaluation, tangent: np.ndarray, step: float, count: int, rejected: int
) -> PathPoint:
    _, value, rate = system.split(point)
    return PathPoint(point, tangent, here.policy, value, rate, bool(tangent[-1] > 0), here.residual, step, count, rejected)

r"""The variational correlated equilibrium of many decisions at once.

A mediator's messages m have the posterior that maximises, in every state,

$$E_\mu[c]+\tau\mathcal H(\mu)\qquad\text{or}\qquad E_\mu[c]-\tfrac\rho2|\mu-\mu_0|^2$$

over laws with $D\mu\ge0$, obedience (`obedience`). The first is a Gibbs law with multipliers $\lambda\ge0$ of obedience
(`gibbs`); but their optimum lies at infinity where obedience forces a probability to be 0 (a dominated action, a
unique pure equilibrium). The second, solved here by a primal-dual interior point in which $\mu\ge0$ has a multiplier
z of its own, does not mind, and $\rho$ may be as small as one likes; it also finishes what the first leaves undone.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from equinfer.solvers.correlated.gibbs import gibbs_laws
from equinfer.solvers.correlated.linear import refined_solver, times, transposed
from equinfer.solvers.correlated.obedience import comparable, obedience_tables
from equinfer.solvers.correlated.small_programmes import interior_points
from equinfer.tables import joint_mask

__all__ = ["StageLaws", "interior_point", "nearest", "stage_correlated"]

_MOST_STEPS, _PATIENCE = 100, 12
_GOAL, _SOLVED = 1e-13, 1e-10
"""Of residuals and of the mean product of an inequality and its multiplier, in payoffs spread over one: at the goal a
state leaves; one that comes no nearer for `_PATIENCE` steps leaves as well, solved if it has come so far."""
_MOST_CAREFUL = 400
"""Inequalities and joint actions of a game up to which what was not solved is tried again by a stabler, dearer way."""
_MOST_COMPILED = 200
"""Inequalities of a game up to which a compiled loop over games is faster than numpy over all of them at once."""
_BACK_OFF = 0.995
"""Of the step that would meet the boundary."""


class StageLaws(NamedTuple):
    """A law in every state, with what makes it optimal: enough to differentiate it."""

    joint: Float[np.ndarray, "S *A"]
    obedience: Float[np.ndarray, "S K"]
    """Multipliers of obedience, rows as in `obedience.pairs`; in payoffs of spread one."""
    nonnegativity: Float[np.ndarray, "S J"]
    """Multipliers of the joint actions' probabilities."""
    solved: Bool[np.ndarray, " S"]


def stage_correlated(
    q: Float[np.ndarray, "S N *A"],
    legal: Sequence[Bool[np.ndarray, "S _"]],
    objective: Float[np.ndarray, "S *A"],
    *,
    told: bool = True,
    regularisation: float = 1e-3,
    entropy: float = 0.0,
    centre: Float[np.ndarray, "S *A"] | None = None,
) -> StageLaws:
    r"""The law over joint actions of every state that is best among those that are obeyed.

    **Arguments:** `q`, what each joint action is worth to each player; `objective` c, in any unit: it is brought to a
    spread of one in each state; `told` as in `obedience_tables`; `regularisation` $\rho$ beside an objective of spread
    one (small enough, it leaves the answer an exact optimum of c, the one nearest to the centre), and `centre`
    $\mu_0$, default 0. With `entropy` $\tau$ the term is $\tau\mathcal H(\mu)$ instead, and these two are not read.

    **Returns:** laws that are obeyed to rounding wherever `solved`.
    """
    mask = joint_mask(legal)
    num_states = len(q)
    rows, senses = obedience_tables(comparable(q, mask), legal, told)
    gain = comparable(objective[:, None], mask)[:, 0].reshape(num_states, -1)
    middle = np.zeros_like(gain) if centre is None else centre.reshape(num_states, -1)
    cells = mask.reshape(num_states, -1)
    if entropy <= 0:
        law, obedience, nonnegativity, solved = nearest(rows, senses, cells, gain, middle, regularisation)
        return StageLaws(law.reshape(mask.shape), obedience, nonnegativity, solved)
    law, obedience, solved = gibbs_laws(rows, senses, cells, gain / entropy)
    rest = ~solved
    if rest.any():  # the law that is obeyed and nearest to what the multipliers came to
        centre = np.where(np.isfinite(law[rest]), law[rest], 0.0)
        law[rest], _, _, solved[rest] = nearest(rows[rest], senses[rest], cells[rest], 0 * centre, centre, 1.0)
    return StageLaws(law.reshape(mask.shape), obedience, np.zeros_like(law), solved)


def nearest(
    rows: Float[np.ndarray, "S K J"],
    senses: Bool[np.ndarray, "S K"],
    cells: Bool[np.ndarray, "S J"],
    gain: Float[np.ndarray, "S J"],
    centre: Float[np.ndarray, "S J"],
    regularisation: float,
) -> tuple[Float[np.ndarray, "S J"], Float[np.ndarray, "S K"], Float[np.ndarray, "S J"], Bool[np.ndarray, " S"]]:
    """As `interior_point`, by the fast systems, and what they do not solve by the stable ones."""
    programme = rows, senses, cells, gain, centre
    found = interior_point(*programme, regularisation=regularisation)
    rest = ~found[-1]
    if rest.any() and sum(rows.shape[1:]) <= _MOST_CAREFUL:
        again = interior_point(*(field[rest] for field in programme), regularisation=regularisation, careful=True)
        for field, new in zip(found, again, strict=True):
            field[rest] = new
    return found


def interior_point(
    rows: Float[np.ndarray, "S K J"],
    senses: Bool[np.ndarray, "S K"],
    cells: Bool[np.ndarray, "S J"],
    gain: Float[np.ndarray, "S J"],
    centre: Float[np.ndarray, "S J"],
    *,
    regularisation: float,
    careful: bool = False,
) -> tuple[Float[np.ndarray, "S J"], Float[np.ndarray, "S K"], Float[np.ndarray, "S J"], Bool[np.ndarray, " S"]]:
    """Laws, multipliers of the `rows`, multipliers of the cells, and which states were solved.

    All states take their predictor and corrector steps together; who is done leaves. Small ones run by themselves,
    compiled, and leave out what is illegal.

    **Arguments:** `senses` and `cells` say which rows and columns stand for something legal.
    """
    if rows.shape[1] <= _MOST_COMPILED and not careful:
        rows, senses, cells, gain, centre = map(np.ascontiguousarray, (rows, senses, cells, gain, centre))
        law, multiplier, reduced, error = interior_points(
            rows, senses, cells, gain, centre, float(regularisation), _MOST_STEPS, _PATIENCE, _GOAL, _BACK_OFF
        )
        return law, multiplier, reduced, error <= _SOLVED
    active = np.arange(len(gain))
    point = _Point.start(rows, senses, cells)
    data = _Programme(rows, senses, cells, gain, centre, regularisation, careful)
    best, merit, age = point, np.full(len(gain), np.inf), np.zeros(len(gain), int)
    with np.errstate(all="ignore"):  # a state that breaks down leaves with the best point it has had
        for _ in range(_MOST_STEPS):
            residuals, complementarity = data.residuals(point), data.complementarity(point)
            now = np.max(
                [complementarity, *(np.abs(r).reshape(len(r), -1).max(axis=1, initial=0.0) for r in residuals)], axis=0
            )
            better = now < merit[active]
            for kept, new in zip(best, point, strict=True):
                kept[active[better]] = new[better]
            age[active] = np.where(now < merit[active] / 2, 0, age[active] + 1)
            merit[active[better]] = now[better]
            staying = np.isfinite(now) & (now > _GOAL) & (age[active] < _PATIENCE)
            if not staying.any():
                break
            if not staying.all():
                active, point, data = active[staying], point.at(staying), data.at(staying)
                residuals, complementarity = tuple(r[staying] for r in residuals), complementarity[staying]
            point = data.step(point, residuals, complementarity)
    laws = np.where(cells, best.law, 0.0)
    return laws / laws.sum(axis=1, keepdims=True), best.multiplier, best.reduced, merit <= _SOLVED


class _Point(NamedTuple):
    """A law, the slack of each row, their multipliers, and the multiplier of the sum; positive where legal."""

    law: Float[np.ndarray, "S J"]
    slack: Float[np.ndarray, "S K"]
    multiplier: Float[np.ndarray, "S K"]
    reduced: Float[np.ndarray, "S J"]
    level: Float[np.ndarray, " S"]

    @classmethod
    def start(
        cls, rows: Float[np.ndarray, "S K J"], senses: Bool[np.ndarray, "S K"], cells: Bool[np.ndarray, "S J"]
    ) -> "_Point":
        law = cells / cells.sum(axis=1, keepdims=True)
        slack = np.where(senses, np.maximum(times(rows, law), 0.1 * law.max(axis=1, keepdims=True)), 1.0)
        multiplier = np.where(senses, 1.0, 0.0)
        reduced = np.where(cells, 1.0, 0.0)
        return cls(np.where(cells, law, 1.0), slack, multiplier, reduced, np.zeros(len(law)))

    def at(self, states: Bool[np.ndarray, " S"]) -> "_Point":
        law, slack, multiplier, reduced, level = self
        return _Point(law[states], slack[states], multiplier[states], reduced[states], level[states])


class _Programme(NamedTuple):
    """The data of the states that are still being solved. Illegal cells have law 1 and never move."""

    rows: Float[np.ndarray, "S K J"]
    senses: Bool[np.ndarray, "S K"]
    cells: Bool[np.ndarray, "S J"]
    gain: Float[np.ndarray, "S J"]
    centre: Float[np.ndarray, "S J"]
    regularisation: float
    careful: bool

    def at(self, states: Bool[np.ndarray, " S"]) -> "_Programme":
        arrays = {name: getattr(self, name)[states] for name in self._fields[:5]}
        return self._replace(**arrays)

    def residuals(self, p: _Point) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of stationarity, of the slacks, and of the sum."""
        slope = self.regularisation * (p.law - self.centre) - self.gain
        dual = slope - transposed(self.rows, p.multiplier) - p.reduced - p.level[:, None]
        law = np.where(self.cells, p.law, 0.0)
        primal = np.where(self.senses, times(self.rows, law) - p.slack, 0.0)
        return np.where(self.cells, dual, 0.0), primal, law.sum(axis=1) - 1

    def complementarity(self, p: _Point) -> Float[np.ndarray, " S"]:
        products = (p.slack * p.multiplier).sum(axis=1) + (p.law * p.reduced).sum(axis=1)
        return products / (self.senses.sum(axis=1) + self.cells.sum(axis=1))

    def step(self, p: _Point, residuals: tuple[np.ndarray, ...], complementarity: Float[np.ndarray, " S"]) -> _Point:
        """Mehrotra's: a predictor shows how far complementarity can fall, a corrector goes there."""
        inner = self._inner(p)
        level_law, level_multiplier = inner(self.cells.astype(np.float64), np.zeros_like(p.slack))
        dual, primal, total = residuals

        def direction(slack_products: np.ndarray, law_products: np.ndarray) -> _Point:
            pull = np.where(self.cells, -dual - law_products / p.law, 0.0)
            push = np.where(self.senses, -(slack_products + p.multiplier * primal) / p.slack, 0.0)
            law, multiplier = inner(pull, push)
            level = -(total + law.sum(axis=1)) / level_law.sum(axis=1)
            law = law + level[:, None] * level_law
            multiplier = multiplier + level[:, None] * level_multiplier
            slack = np.where(self.senses, times(self.rows, law) + primal, 0.0)
            reduced = np.where(self.cells, -(law_products + p.reduced * law) / p.law, 0.0)
            return _Point(law, slack, multiplier, reduced, level)

        affine = direction(p.slack * p.multiplier, p.law * p.reduced)
        size = _longest(p, affine, self.cells, self.senses)
        ahead = self.complementarity(_moved(p, affine, size))
        target = (complementarity * np.clip(ahead / complementarity, 0.0, 1.0) ** 3)[:, None]
        corrected = direction(
            np.where(self.senses, p.slack * p.multiplier + affine.slack * affine.multiplier - target, 0.0),
            np.where(self.cells, p.law * p.reduced + affine.law * affine.reduced - target, 0.0),
        )
        size = np.minimum(1.0, _BACK_OFF * _longest(p, corrected, self.cells, self.senses))
        return _moved(p, corrected, size)

    def _inner(self, p: _Point) -> Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        r"""Solves $Hx-D^\top y=g$, $y=t-\Lambda Dx$ for any g and t: H the curvature, $\Lambda$ multiplier by slack."""
        curvature = self.regularisation + p.reduced / p.law
        inverse = np.where(self.cells, 1 / curvature, 0.0)
        weight = np.sqrt(np.where(self.senses, p.multiplier / p.slack, 0.0))
        if self.careful:
            # Scaled on both sides, [[1, B'], [B, -1]] with B = weight D H^-1/2: pivoting bears what squares do not.
            root = np.sqrt(inverse)
            scaled = weight[:, :, None] * self.rows * root[:, None, :]
            cells, senses = scaled.shape[2], scaled.shape[1]
            upper = np.concatenate(
                [np.broadcast_to(np.eye(cells), (len(root), cells, cells)), -scaled.swapaxes(1, 2)], 2
            )
            lower = np.concatenate([scaled, np.broadcast_to(np.eye(senses), (len(root), senses, senses))], 2)
            solve = refined_solver(np.concatenate([upper, lower], 1), ridge=0.0)

            def whole(g: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
                found = solve(np.concatenate([root * g, np.where(self.senses, t / weight, 0.0)], 1))
                return root * found[:, :cells], weight * found[:, cells:]

            return whole
        scaled = weight[:, :, None] * self.rows * np.sqrt(inverse)[:, None, :]
        solve = refined_solver(np.eye(scaled.shape[1]) + scaled @ scaled.swapaxes(1, 2), ridge=4e-16)

        def by_rows(g: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            right = np.where(self.senses, t / weight, 0.0) - weight * times(self.rows, inverse * g)
            y = weight * solve(right)
            return inverse * (g + transposed(self.rows, y)), y

        return by_rows


def _longest(
    p: _Point, d: _Point, cells: Bool[np.ndarray, "S J"], senses: Bool[np.ndarray, "S K"]
) -> Float[np.ndarray, " S"]:
    """How far one can go before something becomes negative, up to 1 / `_BACK_OFF`."""
    furthest = np.full(len(p.law), 1 / _BACK_OFF)
    for value, change, where in (
        (p.law, d.law, cells),
        (p.reduced, d.reduced, cells),
        (p.slack, d.slack, senses),
        (p.multiplier, d.multiplier, senses),
    ):
        ratio = np.where(where & (change < 0), -value / change, np.inf)
        furthest = np.minimum(furthest, ratio.min(axis=1, initial=np.inf))
    return furthest


def _moved(p: _Point, d: _Point, size: Float[np.ndarray, " S"]) -> _Point:
    along = size[:, None]
    law, slack, multiplier, reduced = (a + along * b for a, b in zip(p[:4], d[:4], strict=True))
    return _Point(law, slack, multiplier, reduced, p.level + size * d.level)

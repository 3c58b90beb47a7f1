"""The best correlated equilibrium of a one-shot game, by linear programming."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.optimize import linprog

from equinfer.answer import Joint
from equinfer.concepts import CoarseCorrelated, Correlated
from equinfer.drivers.protocol import AbstractHostSolver, Choice, Iterate
from equinfer.errors import BadInput
from equinfer.solvers.correlated.obedience import comparable, obedience_matrix
from equinfer.solvers.correlated.objective import checked_objective

__all__ = ["LinearProgramme", "Optimum", "best_law"]

_TOLERANCE = 1e-10
"""The smallest that HiGHS takes; by its own it leaves gaps of 4e-7 in games of 60 x 60 actions."""
_ACCURACIES = ((1e2, 1e-9), (1e3, _TOLERANCE), (1.0, 1e-8))
"""By what obedience rows are multiplied (HiGHS measures violations in the units of the rows it is given), and the
tolerance. Simplex loses its way now and then, and takes a hundred times as many steps as it mostly does: but for the
last one it gets some, and then begins anew."""
_FLAT = 1e-12
"""Of the largest spread of a player's payoffs: an objective that varies less is the rounding of a constant."""
_NEAR = 1e-6
"""What a correction may reach: rows with no more slack, and joint actions that would cost the objective no more."""
_VIOLATED = 1e-17
"""Of payoffs that are spread over one: from here on the answer is corrected."""
_CORRECTIONS = 3
_LARGEST_MOVE = 1e6
"""Of a joint action's probability by one correction, in violations."""


class LinearProgramme(AbstractHostSolver):
    r"""Maximise $\sum_iw_iE_\mu[u_i]$ over the laws that are obeyed: HiGHS, and a bound from the dual.

    For any multipliers $\lambda\ge0$ of obedience $D\mu\ge0$,
    $E_\mu[c]\le E_\mu[c]+\lambda\cdot D\mu\le\max_m(c+D^\top\lambda)(m)$: whatever HiGHS returns, its multipliers prove
    how far the answer is from the best. Watched: `value`, `bound`.
    """

    name: ClassVar[str] = "lp"
    answers: ClassVar[str] = "joint"
    concept: Correlated | CoarseCorrelated = eqx.field(default_factory=Correlated)
    objective: Any = "welfare"
    """`"welfare"`, or a weight for each player."""

    @classmethod
    def suits(cls, options: Mapping[str, Any]) -> bool:
        """Entropy is not linear."""
        objective = options.get("objective")
        return not isinstance(objective, str) or objective.strip() != "entropy"

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        del seed  # nothing is random here
        objective = checked_objective(self.objective, game.num_players)
        if objective.is_entropy:
            raise BadInput("lp takes linear objectives, welfare or weights; entropy is for vce.")
        if not game.is_one_shot:
            raise BadInput(
                "lp finds correlated equilibria of one-shot games (one state and discount 0, or one epoch); "
                "vce also takes a finite horizon."
            )
        reward, legal = np.asarray(game.reward), [np.asarray(mask) for mask in game.legal]
        weighted, told = objective.payoff(reward), self.concept.told_first
        found = [
            best_law(reward[:, state], [np.flatnonzero(mask[state]) for mask in legal], weighted[state], told=told)
            for state in range(game.num_states)
        ]
        joint = np.stack([each.law for each in found])
        initial = np.asarray(game.initial)
        value, bound = (
            objective.unit * float(initial @ [getattr(each, name) for each in found]) for name in ("value", "bound")
        )
        choice = Choice(objective.name, value, max(bound, value))
        answer = Joint(joint if game.horizon is None else joint[None])
        yield Iterate(answer, {"value": value, "bound": max(bound, value)}, candidate=True, choice=choice)


class Optimum(NamedTuple):
    """The best law of one decision."""

    law: Float[np.ndarray, "*A"]
    value: float
    """Of the objective."""
    bound: float
    """No law that is obeyed is worth more."""


def best_law(
    q: Float[np.ndarray, "N *A"],
    actions: Sequence[Int[np.ndarray, " _"]],
    objective: Float[np.ndarray, "*A"],
    *,
    told: bool,
) -> Optimum:
    """The law over joint actions that is worth most by `objective`, among those that are obeyed.

    **Arguments:** `q`, payoffs; `actions`, the legal ones of each player; `told`, whether players hear what they are
    to do before they decide to obey (correlated) or not (coarse correlated).

    **Raises:** `LinAlgError` if HiGHS finds no solution, which every game has.
    """
    cells = np.ix_(*actions)
    legal = np.zeros(q.shape[1:], bool)
    legal[cells] = True
    payoffs = comparable(q[None], legal[None])[0]
    worth = objective[cells]
    law = np.zeros(q.shape[1:])
    own = payoffs[(0, *cells)]
    if len(q) == 2 and np.ptp(own + payoffs[(1, *cells)]) <= _FLAT:
        law[cells], lower, upper = _minimax(own)
        # Both payoffs, and so the objective, are straight lines in the first player's.
        at_worst, at_best = worth.flat[own.argmin()], worth.flat[own.argmax()]
        ends = [float(at_worst + (at_best - at_worst) * share) for share in (lower, upper)]
        return Optimum(law, float((law[cells] * worth).sum()), max(ends))
    stakes = np.ptp(q[(slice(None), *cells)].reshape(len(q), -1), axis=1)
    low, spread = float(worth.min()), float(np.ptp(worth))
    obedience = obedience_matrix(payoffs, actions, told)
    if spread > _FLAT * max(float(stakes.max()), spread):
        share = (worth.ravel() - low) / spread
        inside, multipliers = _solved(share, obedience)
        bound = low + spread * float((share + obedience.T @ multipliers).max())
    elif stakes.any():  # without an objective HiGHS does not end; where this one is flat, any other will do
        inside, bound = _solved(payoffs[(int(stakes.argmax()), *cells)].ravel(), obedience)[0], low + spread
    else:
        inside, bound = np.full(worth.size, 1 / worth.size), low + spread
    law[cells] = inside.reshape(worth.shape)
    return Optimum(law, float(inside @ worth.ravel()), bound)


def _minimax(own: Float[np.ndarray, "m n"]) -> tuple[Float[np.ndarray, "m n"], float, float]:
    """Of a zero-sum game: independent optimal mixtures, and between what every correlated equilibrium pays player 0.

    All its correlated equilibria are worth the same, and their polytope is too degenerate for simplex.
    """
    rows, columns = own.shape
    found = linprog(
        np.append(np.zeros(rows), -1.0),
        A_ub=np.column_stack([-own.T, np.ones(columns)]),
        b_ub=np.zeros(columns),
        A_eq=np.append(np.ones(rows), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0.0, None)] * rows + [(None, None)],
        method="highs",
        options={"primal_feasibility_tolerance": _TOLERANCE, "dual_feasibility_tolerance": _TOLERANCE},
    )
    if found.x is None:
        raise np.linalg.LinAlgError(f"HiGHS: {found.message}")
    first, second = np.maximum(found.x[:rows], 0.0), np.maximum(-found.ineqlin.marginals, 0.0)
    first, second = first / first.sum(), second / second.sum()
    return np.outer(first, second), float((first @ own).min()), float((own @ second).max())


def _solved(gain: Float[np.ndarray, " J"], obedience: Any) -> tuple[Float[np.ndarray, " J"], Float[np.ndarray, " K"]]:
    """The best law, and multipliers of obedience."""
    message, steps = "", 500 + sum(obedience.shape) // 10
    for (scale, tolerance), limit in zip(_ACCURACIES, (steps, steps, 1000 * steps), strict=True):
        found = linprog(
            -gain,
            A_ub=-scale * obedience,
            b_ub=np.zeros(obedience.shape[0]),
            A_eq=np.ones((1, gain.size)),
            b_eq=[1.0],
            method="highs",
            options={
                "primal_feasibility_tolerance": tolerance,
                "dual_feasibility_tolerance": tolerance,
                "maxiter": limit,
            },
        )
        if found.status == 0:
            law = np.maximum(found.x, 0.0)
            law /= law.sum()
            multipliers = np.maximum(-scale * found.ineqlin.marginals, 0.0)
            priced = gain + obedience.T @ multipliers
            return _corrected(law, obedience, priced > priced.max() - _NEAR), multipliers
        message = found.message
    raise np.linalg.LinAlgError(f"HiGHS: {message}")


def _corrected(
    law: Float[np.ndarray, " J"], obedience: sparse.csr_array, free: Bool[np.ndarray, " J"]
) -> Float[np.ndarray, " J"]:
    """`law` moved to where it is obeyed to rounding, if such a place is found near by.

    What is violated is the unit of a second linear programme, whose tolerance so becomes a billionth of it or less
    (iterative refinement, Gleixner, Steffy and Wolter 2016). Of the ways to obey it takes one whose largest move is
    least. Only joint actions that are played, and those that are `free`, move.
    """
    best, slack = law, obedience @ law
    for _ in range(_CORRECTIONS):
        unit = -float(min(slack.min(), 0.0))
        if unit <= _VIOLATED:
            break
        moving = np.flatnonzero((law > 0) | free)
        rows = np.flatnonzero(slack < _NEAR)
        near = obedience[rows][:, moving]
        touched = np.diff(near.indptr) > 0
        move = _least_move(near[touched], -slack[rows][touched] / unit, law[moving] / unit)
        if move is None:
            break
        law = np.zeros_like(law)
        law[moving] = np.maximum(best[moving] + unit * move, 0.0)
        law /= law.sum()
        slack = obedience @ law
        if not slack.min() > -unit:
            break
        best = law
    return best


def _least_move(
    rows: sparse.csr_array, lacking: Float[np.ndarray, " K"], room: Float[np.ndarray, " J"]
) -> Float[np.ndarray, " J"] | None:
    """Moves that give each of `rows` what is lacking, take from no cell more than its `room`, and whose largest is
    least; None if HiGHS finds none. Laws may be scaled, so moves need not add up to nothing.
    """
    size = room.size
    cells, largest = sparse.eye_array(size), np.ones((size, 1))
    found = linprog(
        np.append(np.zeros(size), 1.0),
        A_ub=sparse.block_array(
            [[-rows, None], [cells, sparse.csr_array(-largest)], [-cells, sparse.csr_array(-largest)]], format="csr"
        ),
        b_ub=np.concatenate([-lacking, np.zeros(2 * size)]),
        bounds=[*((max(-each, -_LARGEST_MOVE), None) for each in room), (0.0, None)],
        method="highs",
        options={"primal_feasibility_tolerance": _TOLERANCE},
    )
    return None if found.x is None else found.x[:-1]

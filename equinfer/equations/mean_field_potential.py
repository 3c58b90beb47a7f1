r"""Whether the rewards of a mean-field game are the gradient of a potential of the law, and what stands against it.

Where nobody's moves depend on the population and $r_t(x,L)=\partial F_t/\partial L(x)$ at every pair x of a state and
an action (of several populations, of each one's), flows that maximise $\sum_tF_t(L_t)$ are equilibria. There is such an
$F_t$ up to what all x are paid alike, which changes nothing, where derivatives are symmetric on changes of the law that
leave its mass as it is:

$$D_{xy}=0,\qquad D=P(J-J^\top)P,\quad J_{xy}=\frac{\partial r_t(x,L)}{\partial L(y)},\quad
P=I-\tfrac1m\mathbf 1\mathbf 1^\top.$$
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from equinfer.mean_field_tables import Flow, MeanFieldTables

__all__ = ["Asymmetry", "PotentialStructure", "potential_structure_of"]

_PROBES = 2
_MOST_PAIRS = 64
"""Pairs of a state and an action that are compared with each other; of more, so many are drawn."""
_STEP = 1e-4
"""Of each mass: central differences are off by its square, relatively, and by roundings over it."""
_SAME = 1e-6


class Asymmetry(NamedTuple):
    """Why there is no potential: two pairs of which each minds the other one differently."""

    defect: float
    """$|D_{xy}|$, the largest at this law, in units of reward per mass."""
    epoch: int
    one: tuple[int, int, int]
    """x: population, state, action."""
    other: tuple[int, int, int]
    """y."""
    flow: Flow
    """The law is that of `epoch` in it."""


class PotentialStructure(NamedTuple):
    """An estimate: seen at a few random laws, and of large games between some of the pairs."""

    examined: bool
    """False where dynamics may depend on the population, and where rewards are not finite: nothing is said then."""
    pairs: int
    """How many were compared with each other."""
    defect: float
    """The largest $|D_{xy}|$ that was met, 0 if all were rounding."""
    witness: Asymmetry | None
    """Where it was met; None if all were rounding."""


@lru_cache(maxsize=4)
def potential_structure_of(tables: MeanFieldTables) -> PotentialStructure:
    """Of a game with a horizon, or of a stationary one (whose laws are taken as one epoch)."""
    random = np.random.default_rng(0)
    kept = _pairs(tables, random)
    if not tables.fixed_dynamics:
        return PotentialStructure(False, 0, 0.0, None)
    worst: Asymmetry | None = None
    for _ in range(_PROBES):
        flow = _inner_flow(tables, random)
        jacobian, doubt = _jacobian(tables, flow, kept)
        if not np.isfinite(jacobian).all():
            return PotentialStructure(False, 0, 0.0, None)
        found = _asymmetry(jacobian, doubt, kept, flow)
        if found is not None and (worst is None or found.defect > worst.defect):
            worst = found
    return PotentialStructure(True, len(kept), 0.0 if worst is None else worst.defect, worst)


def _pairs(tables: MeanFieldTables, random: np.random.Generator) -> Int[np.ndarray, "m 3"]:
    """(population, state, action), legal ones."""
    every = np.concatenate(
        [np.column_stack([np.full(mask.sum(), p), *np.nonzero(mask)]) for p, mask in enumerate(tables.legal)]
    )
    if len(every) <= _MOST_PAIRS:
        return every
    return every[np.sort(random.choice(len(every), _MOST_PAIRS, replace=False))]


def _inner_flow(tables: MeanFieldTables, random: np.random.Generator) -> Flow:
    """Laws that are nowhere small: half even, half random."""
    lead = () if tables.horizon is None else (tables.horizon,)
    laws = []
    for mask in tables.legal:
        weights = np.where(mask, random.exponential(size=(*lead, *mask.shape)), 0.0)
        laws.append(mask / mask.sum() / 2 + weights / weights.sum(axis=(-2, -1), keepdims=True) / 2)
    return tuple(laws)


def _jacobian(
    tables: MeanFieldTables, flow: Flow, kept: Int[np.ndarray, "m 3"]
) -> tuple[Float[np.ndarray, "H m m"], Float[np.ndarray, "H"]]:
    r"""$J_{xy}$ in every epoch, and by how much roundings can have moved an entry."""
    columns, doubt = [], np.zeros(tables.horizon or 1)
    for p, s, a in kept.tolist():
        size = _STEP * flow[p][..., s, a]
        ends = []
        for sign in (1, -1):
            moved = tuple(law.copy() for law in flow)
            moved[p][..., s, a] += sign * size
            ends.append(_of_pairs(tables.rewards(moved), kept))
        up, down = ends
        with np.errstate(invalid="ignore"):
            columns.append((up - down) / (2 * np.atleast_1d(size)[:, None]))
        noise = np.finfo(float).eps * np.abs(np.concatenate([up, down], axis=1)).max(axis=1) / np.atleast_1d(size)
        doubt = np.maximum(doubt, 16 * noise)
    return np.stack(columns, axis=-1), doubt


def _of_pairs(rewards: Flow, kept: Int[np.ndarray, "m 3"]) -> Float[np.ndarray, "H m"]:
    return np.stack([np.atleast_1d(rewards[p][..., s, a]) for p, s, a in kept.tolist()], axis=-1)


def _asymmetry(
    jacobian: Float[np.ndarray, "H m m"], doubt: Float[np.ndarray, "H"], kept: Int[np.ndarray, "m 3"], flow: Flow
) -> Asymmetry | None:
    skew = jacobian - np.swapaxes(jacobian, 1, 2)
    skew = _centred(_centred(skew, kept, 1), kept, 2)
    threshold = _SAME * np.abs(jacobian).max(axis=(1, 2)) + doubt
    beyond: Bool[np.ndarray, "H m m"] = np.abs(skew) > threshold[:, None, None]
    if not beyond.any():
        return None
    t, x, y = np.unravel_index(np.argmax(np.where(beyond, skew, 0.0)), skew.shape)
    one, other = (tuple(kept[k].tolist()) for k in (x, y))
    return Asymmetry(float(skew[t, x, y]), int(t), one, other, flow)


def _centred(matrix: Float[np.ndarray, "H m m"], kept: Int[np.ndarray, "m 3"], axis: int) -> np.ndarray:
    """Less the mean over the pairs of each population: what is left of a change that leaves every mass as it is."""
    centred = matrix.copy()
    for p in np.unique(kept[:, 0]):
        part = np.flatnonzero(kept[:, 0] == p)
        where = (slice(None), part) if axis == 1 else (slice(None), slice(None), part)
        centred[where] -= matrix[where].mean(axis=axis, keepdims=True)
    return centred

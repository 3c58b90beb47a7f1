r"""The course of a population that plays $\pi$ within a horizon, with a bound on what its masses are wrong by.

Where kernels do not depend on the population, a mass is wrong by the roundings that it went through. Elsewhere a wrong
mass makes the next kernel wrong, and errors may grow by a factor in every epoch: they are carried through the
derivative J of the map from masses to masses (`neighbourhood`). An error is known as a combination $A z$ of what was
rounded on the way, each $|z_i|\le1$; from one epoch to the next $A$ becomes $J^\top A$, with new columns for what is
rounded there and for what the map differs by from its derivative. So errors that cancel do so here too. Masses of each
population are divided by their sum in every epoch: kernels that presume a sum of one would blow up what is missing.

Nothing is bounded once errors are no small share of the masses, or where the map jumps within them.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from equinfer.certificates.neighbourhood import (
    MARGIN,
    NOISE,
    Laws,
    Neighbourhood,
    around,
    jumps_between,
    kernels_near,
)
from equinfer.certificates.populations import reached, refuse_no_laws, roundings, sent
from equinfer.certificates.rounding import UNIT_ROUNDOFF, gamma
from equinfer.mean_field_tables import Flow, MeanFieldTables, RawTransition

__all__ = ["JUMPS", "March", "gap_is_uncertain", "kernel_cost", "marched", "roundings_of_a_sum"]

JUMPS = "rewards or moves jump, or all but do, within the rounding errors of the masses that this policy leads to"
_GROWS = "rounding errors of the masses grow along the flow of this policy until nothing can be said of it in float64"
_FAR_OFF = 1e-4
"""Of the mass, beyond which an error is no longer small."""
_MOST_COLUMNS = 2048
_KEPT = 2e6
"""Numbers of kernels near all laws, up to which they are kept."""
_FIRST_STEPS, _RESULTS = 3, 2
"""Roundings of an entry of a law, by a function's own first steps too, and of what a kernel function makes."""
_LONG = float(np.finfo(np.longdouble).eps)


class March(NamedTuple):
    """The population on its way: laws, kernels, where anybody can be, and how wrong its masses may be."""

    flow: Flow
    kernels: tuple[tuple[RawTransition, ...], ...]
    """By epoch, then by population."""
    reachable: tuple[Bool[np.ndarray, "H S"], ...]
    entry_errors: tuple[Float[np.ndarray, "H S"], ...]
    """Of the entries of each epoch's law, relative."""
    seen: tuple[tuple[Neighbourhood, Sequence[tuple[RawTransition, ...]]] | None, ...]
    """Of each epoch but the last, laws nearby and kernels there, where they are few and depend on the population."""
    doubt: str | None
    """Why nothing can be said of the errors, if nothing can."""


def marched(tables: MeanFieldTables, policies: Sequence[Float[np.ndarray, "H S _"]], *, bounded: bool = True) -> March:
    """With errors where `bounded`, otherwise with zeros in their place.

    **Raises:** `BadInput` for kernels that are no laws along the way.
    """
    assert tables.horizon is not None
    is_fixed = tables.fixed_dynamics
    # Where kernels depend on the population, sums are made in the longest floats that there are.
    long = np.float64 if is_fixed else np.longdouble
    policies = [np.asarray(policy, long) for policy in policies]
    masses, here = [np.asarray(law, long) for law in tables.initial], tuple(law > 0 for law in tables.initial)
    entry = gamma(max(tables.num_actions) + 8)
    if not is_fixed:
        masses = [law / law.sum() for law in masses]
        policies = [policy / policy.sum(axis=-1, keepdims=True) for policy in policies]
        entry = gamma(_FIRST_STEPS)
    count, cloud, doubt = roundings_of_a_sum(tables.num_states), None, None
    if bounded and not is_fixed:
        cloud = np.diag(np.concatenate([gamma(1) * law * (law < 1) for law in tables.initial]))
    laws, kernels, reachable, errors, seen = [], [], [], [], []
    for t in range(tables.horizon):
        exact = tuple(mass[:, None] * policy[t] for mass, policy in zip(masses, policies, strict=True))
        now = _shortened(exact)
        kernel = tables.transitions(t, now)
        refuse_no_laws(tables, t, kernel)
        laws.append(now)
        kernels.append(kernel)
        reachable.append(here)
        here = tuple(map(reached, kernel, here, tables.legal))
        if is_fixed:
            errors.append(tuple(np.full(mass.shape, gamma(count) + entry) for mass in masses))
        else:
            errors.append(tuple(error + entry for error in _relative(cloud, masses)))
        if t + 1 == tables.horizon:
            break
        following = tuple(map(sent, kernel, exact))
        if cloud is not None:
            near = around(tables, exact, errors[-1], kernel_cost(tables, kernel))
            every = kernels_near(tables, t, now, near)
            seen.append((near, every) if near.size * kernel_cost(tables, kernel) * tables.horizon <= _KEPT else None)
            cloud, doubt = _carried(tables, t, exact, kernel, np.concatenate(following), near, every, cloud)
        masses = following if is_fixed else tuple(mass / mass.sum() for mass in following)
        count += 1 + max(map(roundings, kernel)) + max(tables.num_actions)
    return March(
        tuple(np.stack(each) for each in zip(*laws, strict=True)),
        tuple(kernels),
        tuple(np.stack(each) for each in zip(*reachable, strict=True)),
        tuple(np.stack(each) for each in zip(*errors, strict=True)),
        tuple(seen),
        doubt,
    )


def gap_is_uncertain(why: str) -> str:
    """The certificate's doubt, where it bounds nothing."""
    return f"What the gap is in truth is not certain: {why}."


def roundings_of_a_sum(terms: int) -> int:
    """That NumPy makes, in pairs of blocks of 128, and of a division by it."""
    return min(terms, 20 + math.ceil(math.log2(max(terms, 2)))) + 2


def kernel_cost(tables: MeanFieldTables, kernels: Sequence[RawTransition]) -> int:
    """Numbers of one evaluation of all kernels."""
    sizes = (getattr(kernel, "probabilities", kernel) for kernel in kernels)
    return sum(np.size(each) for each in sizes)


def _relative(
    cloud: Float[np.ndarray, "n m"] | None, masses: Sequence[Shaped[np.ndarray, " S"]]
) -> tuple[Float[np.ndarray, " S"], ...]:
    masses = [np.asarray(mass, np.float64) for mass in masses]
    if cloud is None:
        return tuple(np.zeros_like(mass) for mass in masses)
    each = np.split(np.abs(cloud).sum(axis=1), len(masses))
    return tuple(
        np.divide(error, mass, out=np.zeros_like(mass), where=mass > 0)
        for error, mass in zip(each, masses, strict=True)
    )


def _carried(
    tables: MeanFieldTables,
    t: int,
    laws: Laws,
    kernels: tuple[RawTransition, ...],
    following: Shaped[np.ndarray, " n"],
    near: Neighbourhood,
    every: Sequence[tuple[RawTransition, ...]],
    cloud: Float[np.ndarray, "n m"],
) -> tuple[Float[np.ndarray, "n k"] | None, str | None]:
    """Errors of the next masses, or None and why nothing bounds them."""
    masses = np.concatenate([law.sum(axis=1) for law in laws])
    summed = (max(map(roundings, kernels)) + max(tables.num_actions) + 4) * _LONG
    found = _to_first_order(tables, laws, kernels, near, every, masses, cloud)
    if found is None:
        near = near.closer(laws)
        found = _kept(tables, t, laws, kernels, near, masses, cloud)
    if found is None:
        return None, JUMPS
    moved, off = found
    # A kernel that nothing moves is a table there: its numbers are what they are.
    results = _RESULTS if off.any() else 0
    fresh = gamma(results + math.ceil(summed / UNIT_ROUNDOFF)) * following
    cloud = np.asarray(np.hstack([moved, np.diag(fresh + off)]), np.float64)
    return _normalised(tables, cloud, np.asarray(following, np.float64))


def _to_first_order(
    tables: MeanFieldTables,
    laws: Laws,
    kernels: tuple[RawTransition, ...],
    near: Neighbourhood,
    every: Sequence[tuple[RawTransition, ...]],
    masses: Shaped[np.ndarray, " n"],
    cloud: Float[np.ndarray, "n m"],
) -> tuple[Shaped[np.ndarray, "n k"], Shaped[np.ndarray, " n"]] | None:
    """Errors of the next masses by a derivative, and how far they are off that; None if the map jumps nearby."""
    base = _following(every[0], laws)
    slopes, moved, off = None, _moved_alike(kernels, laws, masses, cloud), np.zeros_like(base)
    if near.entries:
        after = [_following(every[k + 1], near.law(laws, k + 1)) for k in range(len(near.entries))]
        steps = np.array([near.steps[p][s] for p, s, _ in near.entries])
        slopes = (np.stack(after) - base) / steps[:, None]
        places = np.array([p * tables.num_states + s for p, s, _ in near.entries])
        derivative = np.zeros((len(base), len(base)), base.dtype)
        np.add.at(derivative, places, slopes)
        derivative = np.divide(derivative, masses[:, None], out=np.zeros_like(derivative), where=masses[:, None] > 0)
        moved = np.asarray(derivative.T, np.float64) @ cloud
        off = gamma(_FIRST_STEPS) * np.abs(slopes).sum(axis=0)
    most = np.zeros_like(base)
    for d in range(len(near.directions)):
        k = near.place(d)
        close, far = (np.abs(_following(every[k + side], laws) - base) for side in (0, 1))
        if not np.isfinite(close).all() or jumps_between(near, close, far, NOISE * base):
            return None
        if slopes is not None:
            close = np.abs(_following(every[k], near.law(laws, k)) - base - _expected(near, d, laws, slopes))
        most = np.maximum(most, close)
    return moved, off + MARGIN * near.reach / near.near * most


def _kept(
    tables: MeanFieldTables,
    t: int,
    laws: Laws,
    kernels: tuple[RawTransition, ...],
    near: Neighbourhood,
    masses: Shaped[np.ndarray, " n"],
    cloud: Float[np.ndarray, "n m"],
) -> tuple[Shaped[np.ndarray, "n k"], Shaped[np.ndarray, " n"]] | None:
    """The same of kernels that do not move within the errors; None if they do."""
    every = kernels_near(tables, t, _shortened(laws), near)
    base = _following(every[0], laws)
    changes = [np.abs(_following(every[near.place(d)], laws) - base) for d in range(len(near.directions))]
    most = np.max(changes, axis=0)
    if not (most <= NOISE * base).all():
        return None
    return _moved_alike(kernels, laws, masses, cloud), MARGIN * most


def _following(kernels: tuple[RawTransition, ...], laws: Laws) -> Shaped[np.ndarray, " n"]:
    return np.concatenate([*map(sent, kernels, laws)])


def _shortened(laws: Laws) -> Flow:
    return tuple(np.asarray(law, np.float64) for law in laws)


def _moved_alike(
    kernels: tuple[RawTransition, ...], laws: Laws, masses: Shaped[np.ndarray, " n"], cloud: Float[np.ndarray, "n m"]
) -> Shaped[np.ndarray, "n n"]:
    """What kernels carry of errors, if they stay as they are."""
    shares = np.split(np.abs(cloud).sum(axis=1) / np.where(masses > 0, masses, 1.0), len(laws))
    carried = (law * share[:, None] for law, share in zip(laws, shares, strict=True))
    return np.diag(np.concatenate([*map(sent, kernels, carried)]))


def _expected(
    near: Neighbourhood, direction: int, laws: Laws, slopes: Shaped[np.ndarray, "K n"]
) -> Shaped[np.ndarray, " n"]:
    """The change of the next masses at the near law in a direction, if slopes told it all."""
    weights = [np.broadcast_to(each, law.shape) for each, law in zip(near.directions[direction], laws, strict=True)]
    return near.near * np.array([weights[p][s, a] for p, s, a in near.entries]) @ slopes


def _normalised(
    tables: MeanFieldTables, cloud: Float[np.ndarray, "n m"], following: Float[np.ndarray, " n"]
) -> tuple[Float[np.ndarray, "n k"] | None, str | None]:
    """Once the masses of each population are divided by their sum, which was wrong by roundings only: so errors that do
    not sum to zero are none.
    """
    count = tables.num_players
    masses = following.reshape(count, -1)
    masses = masses / masses.sum(axis=1, keepdims=True)
    blocks = cloud.reshape(count, tables.num_states, -1)
    projected = blocks - masses[..., None] * blocks.sum(axis=1, keepdims=True)
    if np.abs(projected).sum() < np.abs(blocks).sum():
        blocks = projected
    total = np.zeros((count, tables.num_states, count))
    lost = gamma(math.ceil((roundings_of_a_sum(tables.num_states) + 2) * _LONG / UNIT_ROUNDOFF))
    total[np.arange(count), :, np.arange(count)] = lost * masses
    cloud = np.concatenate([blocks, total], axis=-1).reshape(len(following), -1)
    cloud = cloud[:, np.abs(cloud).any(axis=0)]
    errors = np.abs(cloud).sum(axis=1)
    nowhere = errors[following <= 0].sum()
    if not errors.sum() <= _FAR_OFF or nowhere > 8 * UNIT_ROUNDOFF:
        return None, _GROWS
    return (cloud if cloud.shape[1] <= max(_MOST_COLUMNS, 2 * len(following)) else np.diag(errors)), None

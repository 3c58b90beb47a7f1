"""What can be seen of a mean-field game from outside: who minds whom, and whether crowds repel (Lasry and Lions)."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from equinfer.mean_field_tables import Flow, MeanFieldTables

__all__ = ["Structure", "structure_of"]

_PROBES = 4
_SAME = 1e-9
"""Rewards that differ by less, of their size, are the same."""


class Structure(NamedTuple):
    """Found true of every pair of random flows that was tried; a single counter-example makes it false."""

    local: bool
    """Rewards are r(s, a) + g(masses of the populations in s), in each epoch."""
    monotone: bool
    r"""$\sum_p\langle r_p(L')-r_p(L),L'_p-L_p\rangle\le0$ in each epoch: the condition of Lasry and Lions."""
    witness: tuple[Flow, Flow] | None
    """Two flows for which monotonicity fails, and in the first epoch where it does: None if none was met."""
    epoch: int | None


@lru_cache(maxsize=4)
def structure_of(tables: MeanFieldTables) -> Structure:
    """Of a game with a horizon, or of a stationary one (whose laws are taken as one epoch)."""
    with np.errstate(invalid="ignore"):  # of rewards that are infinite somewhere nothing is found
        return _seen(tables)


def _seen(tables: MeanFieldTables) -> Structure:
    random = np.random.default_rng(0)
    local, witness, epoch = True, None, None
    for _ in range(_PROBES):
        one, other = _random_flow(tables, random), _random_flow(tables, random)
        rewards, others = tables.rewards(one), tables.rewards(other)
        local = local and _is_local(tables, one, rewards, random)
        if witness is None:
            gains = sum(
                np.where(mask, (new - old) * (there - here), 0.0).sum(axis=(-2, -1))
                for mask, old, new, here, there in zip(tables.legal, rewards, others, one, other, strict=True)
            )
            sizes = sum(
                np.where(mask, (np.abs(new) + np.abs(old)) * np.abs(there - here), 0.0).sum(axis=(-2, -1))
                for mask, old, new, here, there in zip(tables.legal, rewards, others, one, other, strict=True)
            )
            rising = np.flatnonzero(np.atleast_1d(gains > _SAME * sizes))
            if rising.size:
                witness, epoch = (one, other), int(rising[0])
    return Structure(local, witness is None, witness, epoch)


def _random_flow(tables: MeanFieldTables, random: np.random.Generator) -> Flow:
    """Positive on all states and legal actions, about half of the mass on few of them."""
    laws = []
    lead = () if tables.horizon is None else (tables.horizon,)
    for mask in tables.legal:
        weights = np.where(mask, random.exponential(size=(*lead, *mask.shape)) ** random.choice([1, 3]), 0.0)
        laws.append(weights / weights.sum(axis=(-2, -1), keepdims=True))
    return tuple(laws)


def _is_local(tables: MeanFieldTables, flow: Flow, rewards: Flow, random: np.random.Generator) -> bool:
    """Change masses in some states: rewards elsewhere stay, and those of all actions there move together. Then change
    only what is done in each state: nothing moves.
    """
    some = random.random(tables.num_states) < 0.5
    factors = [np.where(some, random.uniform(0.5, 1.5, law.shape[:-1]), 1.0) for law in flow]
    moved = tables.rewards(tuple(law * factor[..., None] for law, factor in zip(flow, factors, strict=True)))
    mixed = tables.rewards(tuple(_remixed(law, random) for law in flow))
    for mask, old, new, other in zip(tables.legal, rewards, moved, mixed, strict=True):
        close = _SAME * (np.abs(old) + np.abs(new) + np.abs(other))
        change = new - old
        shared = np.where(mask, change, 0.0).sum(axis=-1, keepdims=True) / mask.sum(axis=-1, keepdims=True)
        together = np.abs(change - np.where(some[:, None], shared, 0.0)) <= close
        unmoved = np.abs(other - old) <= close
        if not np.all(together & unmoved | ~mask):
            return False
    return True


def _remixed(law: Float[np.ndarray, "*H S A"], random: np.random.Generator) -> Float[np.ndarray, "*H S A"]:
    weights = law * random.exponential(size=law.shape)
    return weights * (law.sum(axis=-1, keepdims=True) / weights.sum(axis=-1, keepdims=True))

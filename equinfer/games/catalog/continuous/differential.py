"""The differential game, or max of two quadratics: a wide low hill on which climbers start, and a narrow high one."""

import itertools
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equinfer.continuous_tables import QuadraticRewards
from equinfer.errors import UnknownName
from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.continuous import ContinuousGame
from equinfer.games.continuous_rules import AbstractPieces

__all__ = ["TwoHills", "differential"]

VARIANTS = ("printed", "rommeo")


class TwoHills(AbstractPieces):
    r"""$\max(f_1,f_2)$ with $f_k(a)=c_k-w_k\sum_{i,d}(a_{id}-p_{kid})^2$, the same for everybody."""

    peaks: tuple[tuple[float, ...], tuple[float, ...]] = eqx.field(static=True)
    """Of all agents' numbers in one row, the low hill first."""
    steepness: tuple[float, float] = eqx.field(static=True)
    tops: tuple[float, float] = eqx.field(static=True)
    agents: int = eqx.field(static=True)

    def __call__(self, actions: Float[Array, "N d"]) -> Float[Array, " N"]:
        row = actions.reshape(actions.size)
        hills = [
            top - steep * jnp.sum((row - jnp.asarray(peak, row.dtype)) ** 2)
            for top, steep, peak in zip(self.tops, self.steepness, self.peaks, strict=True)
        ]
        return jnp.full(len(actions), jnp.maximum(*hills))

    def pieces(self) -> QuadraticRewards:
        steep, peaks = np.array(self.steepness), np.array(self.peaks)
        size = peaks.shape[1]
        matrix = -steep[:, None, None] * np.eye(size)
        linear = 2 * steep[:, None] * peaks
        constant = np.array(self.tops) - steep * (peaks**2).sum(axis=1)
        return QuadraticRewards(*(np.stack([each] * self.agents, axis=1) for each in (matrix, linear, constant)))


def _hills(
    variant: str,
    agents: int,
    dimensions: int,
    peaks: tuple[float, ...],
    heights: tuple[float, ...],
    widths: tuple[float, ...],
    bonus: float,
    bound: float,
) -> TwoHills:
    size = agents * dimensions
    for what, pair in (("heights", heights), ("widths", widths)):
        require(len(pair) == 2, f"differential needs two {what}, of the low hill and the high one; got {len(pair)}.")
    if variant not in VARIANTS:
        raise UnknownName.among("variant of differential", variant, VARIANTS)
    require(agents >= 1 and dimensions >= 1, f"differential needs agents, dimensions >= 1; got {agents}, {dimensions}.")
    require(min(heights + widths) > 0, f"differential needs heights, widths > 0; got {heights}, {widths}.")
    require(bound > 0, f"differential needs bound > 0; got {bound:g}.")
    require(
        len(peaks) in (2, 2 * dimensions, 2 * size),
        f"differential needs 2 peaks: one number each, {dimensions} or {size}, not {len(peaks)} numbers in all.",
    )
    half = len(peaks) // 2
    low, high = (tuple(np.resize(part, size).tolist()) for part in (peaks[:half], peaks[half:]))
    spread = [width**2 if variant == "printed" else width for width in widths]
    steepness = heights[0] / spread[0], heights[1] / spread[1]
    return TwoHills((low, high), steepness, (0.0, bonus), agents)


def _corners(game: ContinuousGame, agents: int, dimensions: int, **parameters: Any) -> tuple[KnownEquilibrium, ...]:
    r"""All equilibria in which nobody mixes, as long as there is no tie.

    A best reply maximises $\max(f_1,f_2)$, so it maximises one of them; each is separable, so that the maximiser is the
    agent's part of a peak, moved into the box, whatever the others do. So an equilibrium consists of such parts, and a
    combination is one if nobody gains by the best of $f_1$ and of $f_2$ against the others' parts.
    """
    hills = _hills(agents=agents, dimensions=dimensions, **parameters)
    shape = agents, dimensions
    bound = parameters["bound"]
    peaks = [np.array(peak).reshape(shape) for peak in hills.peaks]
    parts = [np.clip(peak, -bound, bound) for peak in peaks]
    losses = np.array([s * ((p - q) ** 2).sum(axis=1) for s, p, q in zip(hills.steepness, parts, peaks, strict=True)])
    found = []
    for choice in itertools.product((1, 0), repeat=agents):
        actions = np.array([parts[k][i] for i, k in enumerate(choice)])
        each = np.array([s * ((actions - q) ** 2).sum(axis=1) for s, q in zip(hills.steepness, peaks, strict=True)])
        tops = np.array(hills.tops)[:, None]
        reward = (tops[:, 0] - each.sum(axis=1)).max()
        best = (tops - (each.sum(axis=1, keepdims=True) - each + losses)).max(axis=0)
        if (best <= reward + 1e-12 * max(1.0, abs(reward))).all():
            note = (
                f"everybody at the {'high' if all(choice) else 'low'} peak" if len(set(choice)) == 1 else "mixed peaks"
            )
            found.append(KnownEquilibrium(tuple(actions), np.full((agents, 1), reward), note))
    return tuple(found)


@entry(
    "Wei, Wicke, Freelan and Luke, Multiagent soft Q-learning, 2018; Tian et al., ROMMEO, IJCAI 2019 (and its code)",
    _corners,
)
def differential(
    *,
    variant: str = "printed",
    agents: int = 2,
    dimensions: int = 1,
    peaks: tuple[float, ...] | tuple[tuple[float, ...], ...] = (-5.0, 5.0),
    heights: tuple[float, ...] = (0.8, 1.0),
    widths: tuple[float, ...] = (3.0, 1.0),
    bonus: float = 10.0,
    bound: float = 10.0,
) -> ContinuousGame:
    r"""Differential game: a common reward with a wide hill of height 0, and a narrow one of height 10.

    $r=\max(f_1,f_2)$ with $f_1=-0.8\sum((a+5)/3)^2$, or in the variant `rommeo` (the code behind the published curves)
    $-0.8\sum(a+5)^2/3$, and $f_2=10-\sum(a-5)^2$; the sums run over all numbers of all agents. `peaks` are the places
    of the low and the high hill: one number for all coordinates, one for each of an agent's, or one for each of all
    agents'.
    """
    hills = _hills(variant, agents, dimensions, peaks, heights, widths, bonus, bound)  # pyright: ignore[reportArgumentType]
    high = np.full((agents, dimensions), bound)
    ways = np.abs(np.array(hills.peaks)).reshape(2, agents, dimensions) + bound
    slopes = 2 * np.array(hills.steepness)[:, None] * np.linalg.norm(ways, axis=2)
    return ContinuousGame.one_shot(hills, -high, high, lipschitz=slopes.max(axis=0), name="differential")

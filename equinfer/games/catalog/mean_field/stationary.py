"""Discounted games whose population is at rest."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.catalog.mean_field.classics import water_level
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.stencil import Stencil
from equinfer.types import AnyArray

__all__ = ["daily_congestion", "endemic", "malware_spread", "ring_crowd"]


def _require_discount(name: str, discount: float) -> None:
    require(0 <= discount < 1, f"{name} needs 0 <= discount < 1; got {discount:g}.")


def _at_the_turnpike(
    game: MeanFieldGame,
    discount: float,
    infection: float,
    recovery: float,
    illness: float,
    distancing: float,
    ill: float,
) -> tuple[KnownEquilibrium, ...]:
    """Who keeps away for ever is worth Delta more than who is ill."""
    if not ill:
        return (KnownEquilibrium((np.array([[1.0, 0.0]] * 2),), None, "nobody is ever ill"),)
    if not (illness > distancing > 0 and discount > 0 and infection > 0):
        return ()
    fear = (illness - distancing) / (1 - discount * (1 - recovery))
    share = distancing / (discount * infection * fear)
    if not share < 1 or recovery > infection * (1 - share):
        return ()
    out = recovery / (infection * (1 - share))
    note = f"{share:.4g} are ill, which makes the others indifferent; {out:.4g} of these go out, which keeps it there"
    return (KnownEquilibrium((np.array([[out, 1 - out], [1.0, 0.0]]),), None, note),)


@entry(
    "Cui and Koeppl, Approximately solving mean field games via entropy-regularized deep RL, 2021, without a horizon",
    _at_the_turnpike,
    folder="mean_field",
)
def endemic(
    *,
    discount: float = 0.95,
    infection: float = 0.81,
    recovery: float = 0.3,
    illness: float = 1.0,
    distancing: float = 0.5,
    ill: float = 0.6,
) -> MeanFieldGame:
    r"""An illness that stays: go out and be infected by those who are ill, or keep away at a cost.

    With nobody ill at the start (`ill=0`) nobody ever is. Otherwise some are ill for ever. In equilibrium who is
    susceptible is indifferent, $\gamma\beta m\Delta=d$ with $\Delta=V(S)-V(I)$, and worth what keeping away is; who is
    ill goes out. So $\Delta=(c-d)+\gamma(1-\rho)\Delta$, which gives $m$; and $x\beta m(1-m)=\rho m$ of the susceptible
    who go out keep it there.
    """
    _require_discount("endemic", discount)
    for what, rate in (("infection", infection), ("recovery", recovery), ("ill", ill)):
        require(0 <= rate <= 1, f"endemic needs 0 <= {what} <= 1; got {rate:g}.")
    cost = np.array([[0.0, distancing], [illness, illness + distancing]])

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        return -jnp.asarray(cost, law.dtype)

    def kernel(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A S"]:
        caught = infection * law[1].sum()
        falls_ill = jnp.stack([jnp.stack([caught, 0 * caught]), jnp.full(2, 1 - recovery, law.dtype)])
        return jnp.stack([1 - falls_ill, falls_ill], axis=-1)

    return MeanFieldGame(
        reward,
        kernel,
        [1 - ill, ill],
        discount=discount,
        state_labels=("susceptible", "infected"),
        action_labels=("go out", "keep away"),
        name="mean_field/endemic",
    )


def _wardrop(
    game: MeanFieldGame, slopes: tuple[float, ...], offsets: tuple[float, ...], discount: float, **_: Any
) -> tuple[KnownEquilibrium, ...]:
    level = water_level(slopes, offsets)
    law = np.maximum(level - np.asarray(offsets), 0) / np.asarray(slopes)
    policy = np.broadcast_to(law / law.sum(), game.legal[0].shape).copy()
    return (KnownEquilibrium((policy,), None, f"Wardrop: roads that are used cost {level:g} every day"),)


@entry("Wardrop, Some theoretical aspects of road traffic research, 1952, every day", _wardrop, folder="mean_field")
def daily_congestion(
    *,
    discount: float = 0.9,
    slopes: tuple[float, ...] = (1.0, 2.0, 4.0),
    offsets: tuple[float, ...] = (0.0, 0.25, 0.5),
) -> MeanFieldGame:
    """Choose tomorrow's road, for ever: road k costs offset k plus slope k times its share of the traffic.

    Who is where has one answer, Wardrop's; how they change places has many.
    """
    count = len(slopes)
    _require_discount("daily_congestion", discount)
    require(
        count == len(offsets) >= 1, f"daily_congestion needs as many slopes as offsets; got {count}, {len(offsets)}."
    )
    require(min(slopes) > 0, f"daily_congestion needs positive slopes; got {slopes}.")
    slope, offset = np.array(slopes), np.array(offsets)

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        fixed, rising = jnp.asarray(offset, law.dtype), jnp.asarray(slope, law.dtype)
        return -(fixed + rising * law.sum(axis=1))[:, None] * jnp.ones((1, count), law.dtype)

    names = tuple(f"road {k}" for k in range(count))
    return MeanFieldGame(
        reward,
        np.broadcast_to(np.eye(count), (count, count, count)),
        np.eye(count)[0],
        discount=discount,
        state_labels=names,
        action_labels=names,
        name="mean_field/daily_congestion",
    )


@entry(
    "Huang and Ma, Mean field stochastic games: monotone costs and threshold policies, 2016; Subramanian and Mahajan, "
    "Reinforcement learning in stationary mean-field games, 2019",
    folder="mean_field",
)
def malware_spread(
    *, levels: int = 11, discount: float = 0.9, exposure: float = 0.2, repair: float = 0.5
) -> MeanFieldGame:
    r"""Machines decay; one repairs one's own at a cost, and suffers from the mean state of all.

    State $x\in[0,1]$, here on so many levels: left alone it becomes one of the levels from $x$ to 1, each as likely;
    repaired it is 0. It costs $(k+\bar x)x$, $k$ the `exposure`, and $\lambda$ to `repair`. Repairs set in above a
    threshold, and at that level may be drawn by lot.
    """
    require(levels >= 2, f"malware_spread needs levels >= 2; got {levels}.")
    _require_discount("malware_spread", discount)
    health = np.linspace(0, 1, levels)
    kernel = np.zeros((levels, 2, levels))
    kernel[:, 1, 0] = 1
    for x in range(levels):
        kernel[x, 0, x:] = 1 / (levels - x)

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        ill = jnp.asarray(health, law.dtype)
        mean = law.sum(axis=1) @ ill
        return -((exposure + mean) * ill)[:, None] - jnp.array([[0.0, repair]], law.dtype)

    return MeanFieldGame(
        reward,
        kernel,
        np.eye(levels)[0],
        discount=discount,
        state_labels=tuple(f"{x:.3g}" for x in health),
        action_labels=("wait", "repair"),
        name="mean_field/malware_spread",
    )


def _by_symmetry(game: MeanFieldGame, pull: float, move_cost: float, **_: Any) -> tuple[KnownEquilibrium, ...]:
    if pull or move_cost <= 0:
        return ()
    policy = np.tile([0.0, 1.0, 0.0], (game.num_states, 1))
    return (KnownEquilibrium((policy,), None, "nowhere is better than elsewhere, and moving costs"),)


@entry(
    "Almulla, Ferreira and Gomes, Two numerical approaches to stationary mean-field games, 2017, in discrete time",
    _by_symmetry,
    folder="mean_field",
)
def ring_crowd(
    *,
    size: int = 16,
    discount: float = 0.9,
    pull: float = 1.0,
    aversion: float = 0.5,
    move_cost: float = 0.1,
    noise: float = 0.2,
) -> MeanFieldGame:
    r"""A crowd on a ring: one side of it attracts, the crowd repels.

    Cell k pays `pull` times $\cos(2\pi k/n)$, less `aversion` $\log\mu(k)$. Noise moves one on by a cell, either way,
    with probability `noise`. Without a pull the population is spread out evenly, and nobody moves of their own accord.
    """
    require(size >= 3, f"ring_crowd needs size >= 3; got {size}.")
    require(0 < noise <= 1, f"ring_crowd needs 0 < noise <= 1; got {noise:g}.")
    _require_discount("ring_crowd", discount)
    attraction = pull * np.cos(2 * np.pi * np.arange(size) / size)

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        here = jnp.asarray(attraction, law.dtype) - aversion * jnp.log(law.sum(axis=1) + 1e-12)
        return here[:, None] - move_cost * jnp.array([[1.0, 0.0, 1.0]], law.dtype)

    return MeanFieldGame(
        reward,
        Stencil((size,), ((-1,), (0,), (1,)), [noise / 2, 1 - noise, noise / 2], boundary="torus"),
        np.eye(size)[0],
        discount=discount,
        action_labels=("back", "stay", "on"),
        name="mean_field/ring_crowd",
    )

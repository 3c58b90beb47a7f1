"""Linear-quadratic games: MFGLib's, OpenSpiel's, and one that Riccati solves exactly."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.special import ndtr

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.catalog.mean_field.memory import first_visits
from equinfer.games.kernels import SparseKernel
from equinfer.games.mean_field import MeanFieldGame
from equinfer.types import AnyArray

__all__ = ["linear_quadratic", "open_spiel_linear_quadratic", "riccati"]


@entry("Perrin et al., Fictitious play for mean field games, 2020, as in MFGLib", folder="mean_field")
def linear_quadratic(
    *,
    T: int = 3,
    el: int = 5,
    m: int = 2,
    sigma: float = 3.0,
    delta: float = 0.1,
    k: float = 1.0,
    q: float = 0.01,
    kappa: float = 0.5,
    c_term: float = 1.0,
) -> MeanFieldGame:
    """Stay near the mean on a line; where one lands is rounded, so dynamics jump as the mean moves.

    As in MFGLib, sigma enters the noise twice: as its step and in its weights.
    """
    require(T >= 0 and el >= 1 and m >= 0, f"linear_quadratic needs T, m >= 0 and el >= 1; got {T}, {m}, {el}.")
    require(delta > 0 and sigma >= 0, f"linear_quadratic needs delta > 0 and sigma >= 0; got {delta:g}, {sigma:g}.")
    x, u = np.arange(-el, el + 1.0), np.arange(-m, m + 1.0)[None]
    noise = sigma * np.arange(-3.0, 4)
    weights = np.exp(-(noise**2) / 2)
    weights /= weights.sum()

    def off(law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S 1"]:
        places = jnp.asarray(x, law.dtype)
        return (jnp.sum(places[:, None] * law) - places)[:, None]

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        away, move = off(law), jnp.asarray(u, law.dtype)
        running = delta * (-(move**2) / 2 + q * move * away - kappa / 2 * away**2)
        return jnp.where(t == T, -c_term / 2 * away**2, running)

    def kernel(t: Any, law: Float[AnyArray, "S A"]) -> SparseKernel:
        here, move = jnp.asarray(x, law.dtype)[:, None, None], jnp.asarray(u, law.dtype)
        shock = jnp.asarray(sigma * noise * math.sqrt(delta), law.dtype)
        there = here + (k * off(law) + move)[..., None] * delta + shock[None, None]
        cells = jnp.clip(jnp.round(there), -el, el) + el
        return SparseKernel(cells.astype(jnp.int32), jnp.broadcast_to(jnp.asarray(weights, law.dtype), cells.shape))

    return MeanFieldGame(
        reward,
        kernel,
        np.full(x.size, 1 / x.size),
        T + 1,
        state_labels=[f"{place:+g}" for place in x],
        action_labels=[f"{step:+g}" for step in u[0]],
        name="mean_field/linear_quadratic",
    )


@entry("Perrin et al., Fictitious play for mean field games, 2020, as in OpenSpiel", folder="mean_field")
def open_spiel_linear_quadratic(
    *,
    size: int = 10,
    horizon: int = 10,
    dt: float = 1.0,
    n_actions_per_side: int = 3,
    volatility: float = 1.0,
    mean_revert: float = 0.0,
    cross_q: float = 0.01,
    kappa: float = 0.5,
    terminal_cost: float = 1.0,
    as_open_spiel: bool = False,
) -> MeanFieldGame:
    """Stay near the mean on a circle; moves cost their square, and being away at the end costs once more.

    `as_open_spiel=True`: without the last epoch, in which the terminal cost is paid, since it is never reached there;
    and with the cost of the move by which a place was first visited in a depth-first search, since that is kept there.
    """
    side = n_actions_per_side
    require(
        size >= 2 and horizon >= 1,
        f"open_spiel_linear_quadratic needs size >= 2 and horizon >= 1; got {size}, {horizon}.",
    )
    require(0 <= side <= size, f"open_spiel_linear_quadratic needs 0 <= n_actions_per_side <= size; got {side}.")
    require(
        dt > 0 and volatility > 0,
        f"open_spiel_linear_quadratic needs positive dt and volatility; got {dt:g}, {volatility:g}.",
    )
    require(
        not (as_open_spiel and mean_revert),
        "open_spiel_linear_quadratic has no order of first visits with mean_revert; leave out as_open_spiel.",
    )
    epochs = math.ceil(horizon / dt)
    u = np.arange(-side, side + 1.0)
    upper, lower = ndtr((u + 0.5) / volatility), ndtr((u - 0.5) / volatility)
    law_of_noise = upper - lower
    law_of_noise[0] += lower[0]
    law_of_noise[-1] += 1 - upper[-1]
    shifts = np.round(u * math.sqrt(dt) * volatility).astype(int)
    x = np.arange(float(size))

    def off(law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S 1"]:
        places = jnp.asarray(x, law.dtype)
        return (jnp.sum(places[:, None] * law) - places)[:, None]

    steps = np.round(u * dt).astype(int)
    moved: Any = u
    if as_open_spiel:
        last = first_visits(
            range(size),
            lambda s: [(s + step) % size for step in steps],
            lambda s: [(s + step) % size for step in shifts],
            epochs,
            size,
            side,
        )
        moved = u[last][..., None]

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        away, move = off(law), jnp.asarray(moved, law.dtype)
        move = move[t] if as_open_spiel else move[None]
        running = dt / 2 * (-(move**2) + 2 * cross_q * move * away - kappa * away**2)
        running = jnp.broadcast_to(running, (size, u.size))
        return running if as_open_spiel else jnp.where(t == epochs, -terminal_cost / 2 * away**2, running)

    def kernel(t: Any, law: Float[AnyArray, "S A"]) -> SparseKernel:
        here, move = jnp.asarray(x, law.dtype)[:, None], jnp.asarray(u, law.dtype)[None]
        stepped = here + jnp.round((move + mean_revert * off(law)) * dt)
        cells = (stepped[..., None] + jnp.asarray(shifts, law.dtype)[None, None]) % size
        chances = jnp.asarray(law_of_noise, law.dtype)
        return SparseKernel(cells.astype(jnp.int32), jnp.broadcast_to(chances, cells.shape))

    return MeanFieldGame(
        reward,
        kernel if mean_revert else _listed(size, steps, shifts, law_of_noise),
        np.full(size, 1 / size),
        epochs if as_open_spiel else epochs + 1,
        action_labels=[f"{step:+g}" for step in u],
        name="mean_field/open_spiel_linear_quadratic",
    )


def _listed(size: int, steps: np.ndarray, shifts: np.ndarray, law: np.ndarray) -> SparseKernel:
    cells = (np.arange(size)[:, None, None] + steps[:, None] + shifts) % size
    return SparseKernel(cells, np.broadcast_to(law, cells.shape))


def _riccati(game: MeanFieldGame, T: int, ratio: int, **_: Any) -> tuple[KnownEquilibrium, ...]:
    r"""$u=-(1-1/m)y$ wherever anybody can be at time t, on the multiples of $m^{T-t}$; elsewhere stay."""
    num_states, num_actions = game.legal[0].shape
    y, policy = np.arange(num_states) - num_states // 2, np.zeros((T + 1, num_states, num_actions))
    most = num_actions // 2
    for t in range(T + 1):
        move = -(y * (ratio - 1)) // ratio * (y % ratio ** (T - t) == 0) * (t < T)
        policy[t, np.arange(num_states), np.where(np.abs(move) <= most, move, 0) + most] = 1
    return (KnownEquilibrium((policy,), None, "Riccati: each takes the same part of its way to the mean, which stays"),)


@entry(
    "Bensoussan, Frehse and Yam, Mean field games and mean field type control theory, 2013",
    _riccati,
    folder="mean_field",
)
def riccati(*, T: int = 3, ratio: int = 2, noise: float = 0.5) -> MeanFieldGame:
    r"""A linear-quadratic game on whole numbers whose continuous solution is played exactly.

    With $y=x-\bar x_t$, moves $x'=x+u+w_t$ pay $-u^2/2-\kappa y^2/2$, and the end $-Py^2/2$. For a whole number m,
    the `ratio`, $P=m-1$ and $\kappa=(m-1)^2/m$ the Riccati recursion $P_t=\kappa+P_{t+1}/(1+P_{t+1})$ stands still:
    best is $u=-(1-1/m)y$, which shortens y to y/m and leaves the mean where it is, and
    $V_t(y)=-P(y^2+\sum_{s\ge t}E w_s^2)/2$.
    Players begin at multiples of $m^T$, and noise, $\pm m^{T-1-t}$ or nothing, keeps y a multiple of $m^{T-t}$:
    what is best among all real moves is a whole number, so it is best here. No border is in reach.
    """
    require(1 <= T <= 8, f"riccati needs 1 <= T <= 8; got {T}.")
    require(ratio >= 2 and ratio**T <= 256, f"riccati needs ratio >= 2 with ratio**T <= 256; got {ratio}, T = {T}.")
    require(0 <= noise <= 1, f"riccati needs 0 <= noise <= 1; got {noise:g}.")
    start, most = ratio**T, (ratio - 1) * ratio ** (T - 1)
    wide = start + T * most + (ratio**T - 1) // (ratio - 1)
    x, u = np.arange(-wide, wide + 1), np.arange(-most, most + 1)
    places, effort = x.astype(float), -(u[None] ** 2) / 2
    pull, kappa = ratio - 1, (ratio - 1) ** 2 / ratio
    size_of_noise = np.append(ratio ** np.arange(T - 1, -1, -1), 0)
    initial = np.zeros(x.size)
    initial[[wide - start, wide, wide + start]] = 0.25, 0.5, 0.25
    law_of_noise = np.array([noise / 2, 1 - noise, noise / 2])

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        here = jnp.asarray(places, law.dtype)
        y = (here - jnp.sum(here[:, None] * law))[:, None]
        return jnp.where(t == T, -pull / 2 * y**2, jnp.asarray(effort, law.dtype) - kappa / 2 * y**2)

    def kernel(t: Any, law: Float[AnyArray, "S A"]) -> SparseKernel:
        shocks = jnp.asarray(size_of_noise)[t] * jnp.arange(-1, 2)
        cells = jnp.clip(x[:, None, None] + u[None, :, None] + shocks[None, None], -wide, wide) + wide
        return SparseKernel(cells, jnp.broadcast_to(jnp.asarray(law_of_noise, law.dtype), cells.shape))

    return MeanFieldGame(
        reward,
        kernel,
        initial,
        T + 1,
        state_labels=[f"{place:+d}" for place in x],
        action_labels=[f"{step:+d}" for step in u],
        name="mean_field/riccati",
    )

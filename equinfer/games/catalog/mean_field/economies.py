"""MFGLib's games of prices, treasures and chance, in which kernels or rewards depend on what people do."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.kernels import SparseKernel
from equinfer.games.mean_field import MeanFieldGame
from equinfer.types import AnyArray

__all__ = ["conservative_treasure_hunting", "equilibrium_price", "random_linear"]

_GUO = "Guo, Hu and Zhang, MF-OMO: an optimization formulation of mean-field games, 2022, as in MFGLib"


@entry("Guo, Hu and Zhang, MFGLib: a library for mean-field games, 2023", folder="mean_field")
def random_linear(*, T: int = 3, n: int = 5, m: float = 10.0, seed: int = 0, float64: bool = False) -> MeanFieldGame:
    """Random rewards, linear in the law, and random transitions, the softmax of linear functions of it.

    MFGLib draws other numbers where PyTorch's default is float64; so does this game with `float64=True`.
    """
    require(T >= 0 and n >= 1, f"random_linear needs T >= 0 and n >= 1; got {T}, {n}.")
    require(m > 0, f"random_linear needs m > 0; got {m:g}.")
    require(0 <= seed < 2**32, f"random_linear needs 0 <= seed < 2**32; got {seed}.")
    bits = np.random.RandomState(seed)

    def drawn(*shape: int) -> Float[np.ndarray, "..."]:
        """Uniform on [-m, m), as PyTorch makes it of the words of a Mersenne twister."""
        if not float64:
            words = bits.randint(0, 2**32, shape, dtype=np.uint32) & np.uint32(2**24 - 1)
            unit = words.astype(np.float32) / np.float32(2**24)
            return (np.float32(2 * m) * unit - np.float32(m)).astype(np.float64)
        words = bits.randint(0, 2**32, (*shape, 2), dtype=np.uint32).astype(np.uint64)
        whole = (words[..., 0] << np.uint64(32) | words[..., 1]) & np.uint64(2**53 - 1)
        return 2 * m * (whole.astype(np.float64) / 2**53) - m

    r1, r2, p1, p2 = drawn(n, n), drawn(n, n), drawn(n, n, n), drawn(n, n, n)

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        return jnp.asarray(r1, law.dtype) @ law + jnp.asarray(r2, law.dtype)

    def kernel(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A S"]:
        scores = jnp.asarray(p1, law.dtype) @ law + jnp.asarray(p2, law.dtype)
        return jnp.moveaxis(jax.nn.softmax(scores, axis=0), 0, -1)

    return MeanFieldGame(reward, kernel, np.full(n, 1 / n), T + 1, name="mean_field/random_linear")


@entry(_GUO, folder="mean_field")
def equilibrium_price(
    *,
    T: int = 4,
    s_inv: int = 3,
    Q: int = 2,
    H: int = 2,
    d: float = 1.0,
    e0: float = 1.0,
    sigma: float = 1.0,
    c: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 1.0),
) -> MeanFieldGame:
    """Firms with inventories sell and order; the price falls with what everybody sells.

    With the defaults it never exceeds the unit cost. Ask for d = 10 to see a market.
    """
    sizes = (s_inv, Q, H)
    require(min(sizes) >= 0, f"equilibrium_price needs s_inv, Q and H >= 0; got {sizes}.")
    require(min(d, e0, sigma) > 0, f"equilibrium_price needs positive d, e0 and sigma; got {d:g}, {e0:g}, {sigma:g}.")
    require(len(c) == 5, f"equilibrium_price needs five costs c; got {len(c)}.")
    require(T >= 0, f"equilibrium_price needs T >= 0; got {T}.")
    stock = np.arange(s_inv + 1)[:, None]
    sold, ordered = np.indices((Q + 1, H + 1)).reshape(2, -1)
    successors = np.minimum(stock - np.minimum(sold, stock) + ordered, s_inv)[..., None]
    amount = sold[None].astype(float)
    short = np.maximum(sold - stock, 0)
    fixed = -c[0] * sold - c[1] * sold**2 - c[2] * ordered - (c[2] + c[3]) * short - c[4] * stock

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        sales = jnp.asarray(amount, law.dtype)
        price = (d / (jnp.sum(law * sales) + e0)) ** (1 / sigma)
        return price * sales + jnp.asarray(fixed, law.dtype)

    return MeanFieldGame(
        reward,
        SparseKernel(successors, np.ones(successors.shape)),
        np.full(s_inv + 1, 1 / (s_inv + 1)),
        T + 1,
        action_labels=tuple(f"sell {q}, order {h}" for q, h in zip(sold, ordered, strict=True)),
        name="mean_field/equilibrium_price",
    )


def _herds(game: MeanFieldGame, r: Any, n: int, **_: Any) -> tuple[KnownEquilibrium, ...]:
    """All at treasure k: it pays r_k in every epoch but the first, any other nothing, as D = 2 there."""
    prizes = np.broadcast_to(r, n)
    return tuple(
        KnownEquilibrium(
            (np.broadcast_to(np.eye(n)[k], (game.horizon or 1, n, n)).copy(),),
            None,
            f"everybody goes to treasure {k} and stays: nobody gains {prizes[k]:g} elsewhere",
        )
        for k in np.flatnonzero(prizes >= 0)
    )


@entry(_GUO, _herds, folder="mean_field")
def conservative_treasure_hunting(
    *, T: int = 5, n: int = 3, r: float | tuple[float, ...] = 1.0, c: float | tuple[float, ...] = 1.0
) -> MeanFieldGame:
    """Hunt for one of n treasures: those where everybody digs are worth most and are the easiest to keep to."""
    require(T >= 1 and n >= 1, f"conservative_treasure_hunting needs T >= 1 and n >= 1; got {T}, {n}.")
    for what, given, count in (("r", r, n), ("c", c, T)):
        length = count if isinstance(given, (int, float)) else len(given)
        require(length == count, f"conservative_treasure_hunting needs {count} numbers {what}; got {length}.")
    prizes, costs = np.broadcast_to(np.asarray(r, float), n), np.broadcast_to(np.asarray(c, float), T)
    require(bool(costs.min() >= 0), f"conservative_treasure_hunting needs c >= 0; got {costs.min():g}.")
    chosen = np.broadcast_to(np.eye(n), (n, n, n))

    def away(law: Float[AnyArray, "S A"]) -> Float[AnyArray, " S"]:
        """The squared distance of the law from everybody digging for s in s."""
        return jnp.sum(law**2) - 2 * jnp.diagonal(law) + 1

    def reward(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A"]:
        return jnp.where(t == 0, 0.0, jnp.diag(jnp.asarray(prizes, law.dtype) * (1 - away(law) / 2)))

    def kernel(t: Any, law: Float[AnyArray, "S A"]) -> Float[AnyArray, "S A S"]:
        slip = jnp.where(t == 0, 0.0, jnp.asarray(costs, law.dtype)[jnp.maximum(t - 1, 0)]) * away(law)[:, None, None]
        return (slip + jnp.asarray(chosen, law.dtype)) / (1 + n * slip)

    return MeanFieldGame(reward, kernel, np.full(n, 1 / n), T + 1, name="mean_field/conservative_treasure_hunting")

r"""Where iterating (★) converges: the largest stable step size at a soft equilibrium of a one-shot game."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Complex, Float

from equinfer.contraction import expected_own
from equinfer.types import AnyArray, ScalarLike

__all__ = ["response_eigenvalues", "stability_threshold"]


def response_eigenvalues(
    payoffs: Float[AnyArray, "N *A"], profile: tuple[Float[AnyArray, " _"], ...], temperature: ScalarLike
) -> Complex[np.ndarray, " K"]:
    r"""Eigenvalues $\beta$ of the joint soft best response of all players, as a map of logits, at `profile`.

    $\partial(\bar Q^i/\tau)/\partial\ell_j$ with $\pi_j=\mathrm{softmax}(\ell_j)$; K is the sum of the players' action
    counts. They are real in potential games and imaginary in zero-sum games. A constant added to a player's logits
    changes nothing, so each player contributes one eigenvalue 0 besides.
    """
    profile = jax.tree.map(jnp.asarray, profile)
    flat, unravel = ravel_pytree(jax.tree.map(jnp.zeros_like, profile))

    def targets(shift):
        # Logits move by `shift` from where the profile is: d pi = pi * (shift - <pi, shift>).
        moved = jax.tree.map(lambda p, d: (p * (1 + d - jnp.sum(p * d)))[None], profile, unravel(shift))
        responses = [expected_own(jnp.asarray(payoffs[i])[None], moved, i)[0] for i in range(len(profile))]
        return jnp.concatenate(responses) / temperature

    return np.linalg.eigvals(np.asarray(jax.jacfwd(targets)(flat))).astype(complex)


def stability_threshold(
    payoffs: Float[AnyArray, "N *A"], profile: tuple[Float[AnyArray, " _"], ...], temperature: ScalarLike
) -> float:
    r"""The $c^*$ of Theorem E: simultaneous (★) converges linearly to a soft equilibrium nearby iff $c<c^*$.

    $c^*=\min_\beta\frac{2(1-\mathrm{Re}\,\beta)}{|1-\beta|^2}$: a step has the eigenvalues $1-c(1-\beta)$. Above 1 every
    step size will do, the soft best response included; 0 means that none does (some $\mathrm{Re}\,\beta\ge1$). Of
    order $\tau$ in potential games, of order $\tau^2$ in zero-sum games.

    **Arguments:** `payoffs` (N, A_1, ..., A_N); `profile`, the soft equilibrium, one law (A_i,) per player.
    """
    away = 1 - response_eigenvalues(payoffs, profile, temperature)
    if np.any(np.real(away) <= 0):
        return 0.0
    return float(np.min(2 * np.real(away) / np.abs(away) ** 2))

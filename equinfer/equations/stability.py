r"""Where iterating (★) converges: the largest stable step size at a soft equilibrium of a one-shot game."""

import numpy as np
from jaxtyping import Complex, Float

from equinfer.contraction import expected_pair
from equinfer.types import AnyArray

__all__ = ["response_eigenvalues", "stability_threshold", "stable_step_size"]


def response_eigenvalues(
    payoffs: Float[AnyArray, "N *A"], profile: tuple[Float[AnyArray, " _"], ...], temperature: float
) -> Complex[np.ndarray, " K"]:
    r"""Eigenvalues $\beta$ of the joint soft best response of all players, as a map of logits, at `profile`.

    $\partial(\bar Q^i/\tau)/\partial\ell_j$ with $\pi_j=\mathrm{softmax}(\ell_j)$; K is the sum of the players' action
    counts. They are real in potential games and imaginary in zero-sum games. A constant added to a player's logits
    changes nothing, so each player contributes one eigenvalue 0 besides.
    """
    laws = [np.asarray(law) for law in profile]
    # d pi_j / d logits_j
    spreads = [np.diag(law) - np.outer(law, law) for law in laws]
    batched = tuple(law[None] for law in laws)

    def block(i: int, j: int) -> np.ndarray:
        if i == j:
            return np.zeros_like(spreads[i])
        pair = np.asarray(expected_pair(np.asarray(payoffs[i])[None], batched, i, j)[0])
        return (pair if i < j else pair.T) @ spreads[j] / temperature

    players = range(len(laws))
    return np.linalg.eigvals(np.block([[block(i, j) for j in players] for i in players])).astype(complex)


def stability_threshold(
    payoffs: Float[AnyArray, "N *A"], profile: tuple[Float[AnyArray, " _"], ...], temperature: float
) -> float:
    r"""`stable_step_size` at a soft equilibrium of a one-shot game.

    Of order $\tau$ in potential games, of order $\tau^2$ in zero-sum games.

    **Arguments:** `payoffs` (N, A_1, ..., A_N); `profile`, the soft equilibrium, one law (A_i,) per player.
    """
    return stable_step_size(response_eigenvalues(payoffs, profile, temperature))


def stable_step_size(eigenvalues: Complex[np.ndarray, " K"]) -> float:
    r"""The $c^*$ of Theorem E: simultaneous (★) converges linearly to a soft equilibrium nearby iff $c<c^*$.

    $c^*=\min_\beta\frac{2(1-\mathrm{Re}\,\beta)}{|1-\beta|^2}$ over the eigenvalues $\beta$ of the soft best response:
    a step has the eigenvalues $1-c(1-\beta)$. Above 1 every step size will do, the soft best response included; 0 means
    that none does (some $\mathrm{Re}\,\beta\ge1$).
    """
    away = 1 - eigenvalues
    if np.any(np.real(away) <= 0):
        return 0.0
    return float(np.min(2 * np.real(away) / np.abs(away) ** 2))

r"""How wrong a float64 computation can be: the standard model $fl(x\circ y)=(x\circ y)(1+\delta)$, $|\delta|\le u$.

A sum of products whose every term went through at most $n$ roundings, in whatever order, is within
$\gamma_n\sum|\mathrm{terms}|$ of the truth, with $\gamma_n=nu/(1-nu)$ (Higham, *Accuracy and Stability of Numerical
Algorithms*, 2nd ed., section 3.1). Bounds multiply and add as $\gamma_m+\gamma_n+\gamma_m\gamma_n\le\gamma_{m+n}$,
so a certificate only has to count.
"""

import math
from collections.abc import Iterable

__all__ = ["UNDERFLOW", "UNIT_ROUNDOFF", "averaging_roundings", "gamma", "outward", "roundings_of"]

UNIT_ROUNDOFF = 2.0**-53

UNDERFLOW = 1e-270
"""Products that underflow leave the model; on numbers of order one their sum is far below this, which is added."""


def gamma(roundings: int) -> float:
    r"""$\gamma_n=nu/(1-nu)$, rounded up; infinite when $nu\ge1$ and nothing can be said."""
    nu = roundings * UNIT_ROUNDOFF
    return outward(nu / (1 - nu)) if nu < 1 else math.inf


def averaging_roundings(num_actions: Iterable[int]) -> int:
    """Roundings of an average over all players, normalisation of the policies and centring of rewards included.

    A policy entry carries 2 A_j (a sum, inverted, and a division), a contraction of A_j terms adds A_j.
    """
    return 1 + 3 * sum(num_actions)


def roundings_of(relative_error: float) -> int:
    r"""The least $n$ with $nu\ge$ `relative_error`: a known error, counted in the same coin."""
    return math.ceil(relative_error / UNIT_ROUNDOFF)


def outward(bound: float) -> float:
    """`bound`, enlarged by more than the roundings of the few operations that computed it."""
    return bound * (1 + 2.0**-40)

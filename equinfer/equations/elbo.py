r"""Optimality, entropy, divergence, and the evidence lower bound of eq. (2)-(3) with its terms."""

from jaxtyping import Float

from equinfer.types import AnyArray, namespace_of

__all__ = ["entropy", "kl_divergence"]


def entropy(law: Float[AnyArray, "*batch A"]) -> Float[AnyArray, "*batch"]:
    r"""$\mathcal H(p)=-\sum_a p(a)\log p(a)$ over the last axis, in nats, with $0\log 0=0$."""
    xp = namespace_of(law)
    return -xp.sum(law * xp.log(xp.where(law > 0, law, xp.ones_like(law))), axis=-1)


def kl_divergence(law: Float[AnyArray, "*batch A"], other: Float[AnyArray, "*batch A"]) -> Float[AnyArray, "*batch"]:
    r"""$\mathrm{KL}(p\,\|\,q)=\sum_a p(a)\log\frac{p(a)}{q(a)}$ over the last axis, in nats.

    Infinite where `law` plays what `other` never does.
    """
    xp = namespace_of(law, other)
    played = law > 0
    covered = played & (other > 0)
    ratio = xp.where(covered, law, 1.0) / xp.where(covered, other, 1.0)
    terms = xp.where(played & ~covered, xp.inf, law * xp.log(ratio))
    return xp.sum(terms, axis=-1)

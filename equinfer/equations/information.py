"""Entropy, divergence and distance between laws, over the last axis, in nats."""

import numpy as np
from jaxtyping import Bool, Float

from equinfer.types import AnyArray, namespace_of

__all__ = ["entropy", "kl_divergence", "kl_divergence_of_logs", "logarithm", "mutual_information", "total_variation"]


def logarithm(
    law: Float[AnyArray, "*batch A"], legal: Bool[AnyArray, "*batch A"] | None = None
) -> Float[AnyArray, "*batch A"]:
    r"""$\log p$, $-\infty$ where $p=0$ or not `legal`: without a warning, and with finite derivatives."""
    xp = namespace_of(law, legal)
    played = law > 0 if legal is None else (law > 0) & legal
    return xp.where(played, xp.log(xp.where(played, law, xp.ones_like(law))), -xp.inf)


def entropy(law: Float[AnyArray, "*batch A"]) -> Float[AnyArray, "*batch"]:
    r"""$\mathcal H(p)=-\sum_a p(a)\log p(a)$, with $0\log 0=0$."""
    xp = namespace_of(law)
    return -xp.sum(law * xp.log(xp.where(law > 0, law, xp.ones_like(law))), axis=-1)


def kl_divergence(law: Float[AnyArray, "*batch A"], other: Float[AnyArray, "*batch A"]) -> Float[AnyArray, "*batch"]:
    r"""$\mathrm{KL}(p\,\|\,q)=\sum_a p(a)\log\frac{p(a)}{q(a)}$; infinite where `law` plays what `other` never does."""
    xp = namespace_of(law, other)
    played = law > 0
    covered = played & (other > 0)
    ratio = xp.where(covered, law, 1.0) / xp.where(covered, other, 1.0)
    terms = xp.where(played & ~covered, xp.inf, law * xp.log(ratio))
    return xp.sum(terms, axis=-1)


def kl_divergence_of_logs(
    log_law: Float[AnyArray, "*batch A"], log_other: Float[AnyArray, "*batch A"]
) -> Float[AnyArray, "*batch"]:
    r"""`kl_divergence` of laws that are given by their logarithms: finite even where the second one underflows.

    The second need not sum to one: relative to ones over the actions, the divergence is minus the entropy. It is
    infinite where `log_law` plays what has $-\infty$ in `log_other`. There is no derivative where an action is never
    played.
    """
    xp = namespace_of(log_law, log_other)
    law = xp.exp(log_law)
    # One mask, over the product: VPG does little else when games are small, and masks on both logarithms halve its
    # speed. What is masked may be infinity less infinity.
    with np.errstate(invalid="ignore"):
        terms = law * (log_law - log_other)
    return xp.sum(xp.where(law > 0, terms, 0.0), axis=-1)


def total_variation(law: Float[AnyArray, "*batch A"], other: Float[AnyArray, "*batch A"]) -> Float[AnyArray, "*batch"]:
    r"""$D_{TV}(p,q)=\tfrac12\sum_a|p(a)-q(a)|$, in [0, 1]."""
    return namespace_of(law, other).sum(abs(law - other), axis=-1) / 2


def mutual_information(
    policy: Float[AnyArray, "*batch C A"], belief: Float[AnyArray, "*batch C"]
) -> Float[AnyArray, "*batch"]:
    r"""$I(a;c)=E_{c\sim\rho}\,\mathrm{KL}(\pi(\cdot\mid c)\,\|\,\bar\pi)$ of a conditional policy and what it looks at.

    $\bar\pi(a)=\sum_c\rho(c)\pi(a\mid c)$ is the policy that is executed. Zero exactly where the policy ignores $c$.
    """
    xp = namespace_of(policy, belief)
    executed = xp.sum(belief[..., None] * policy, axis=-2)
    return entropy(executed) - xp.sum(belief * entropy(policy), axis=-1)

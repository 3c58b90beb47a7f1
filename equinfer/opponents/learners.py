r"""How a learner models the others from what it sees: its own rewards, and what the others did.

Agent i supposes that agent j is paid $\hat r^j(o,a)=w\,Q^i(o,a)+\delta(o,a^j)$: a share $w$ of what i itself is paid,
which is the prior "the others want what I want" with a weight that is unlearnt where it is false, and something of
j's own. Agent j then acts by equation (5), $\rho(a^j)\propto\exp(E_{a^{-j}}[\hat r^j]/\tau)$. A model is a row of
switches here, one line in `LEARNERS`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.equations.posterior import truncated_log_weights
from equinfer.types import ScalarLike

__all__ = ["LEARNERS", "Reasoning", "conditional_loss", "trajectory_loss", "trust_bounds"]

trust_bounds = (-1.5, 1.5)
"""Symmetric games would otherwise let the trust weight run away."""


class Reasoning(NamedTuple):
    """What an agent supposes of the others."""

    name: str
    infers: bool = True
    """They follow equation (5); otherwise they are what they lately did."""
    trust: float = 1.0
    """The first trust weight."""
    learns_trust: bool = True
    learns_rewards: bool = True
    """Whether there is a $\\delta$."""
    expects_answers: bool = False
    """Of an agent with a conditional policy: they know that it will answer, and choose as if they moved first."""
    by_trajectory: bool = False
    """Rewards by (6)-(7), with what the others lately did as the prior in (5) and the proposal."""


LEARNERS: dict[str, Reasoning] = {
    model.name: model
    for model in (
        Reasoning("inferred"),
        Reasoning("inferred-flat", trust=0.0, learns_trust=False),
        Reasoning("own", learns_trust=False, learns_rewards=False, expects_answers=True),
        Reasoning("empirical", infers=False, learns_trust=False, learns_rewards=False),
        Reasoning("trajectory", by_trajectory=True),
    )
}


def conditional_loss(
    observed: Float[Array, " R"], scores: Float[Array, " K"], log_weights: Float[Array, " K"], temperature: ScalarLike
) -> Float[Array, ""]:
    r"""$-E_{\text{data}}[u(a^j)]/\tau+\log\int e^{u/\tau}$: minus the log-likelihood of j's actions under (5).

    **Arguments:** $u(a^j)=E_{a^{-j}}[\hat r^j]$ at the actions seen, and at candidates of which `log_weights` make the
    sum an integral by the uniform law.
    """
    partition = jax.nn.logsumexp(scores / temperature + log_weights) - jax.nn.logsumexp(log_weights)
    return partition - observed.mean() / temperature


def trajectory_loss(
    observed: Float[Array, " R"], scores: Float[Array, " K"], log_ratio: Float[Array, " K"], temperature: ScalarLike
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Equation (6) for trajectories of one step, its weights $w=e^{\hat r/\tau}\tilde\pi/p$ cut at $\sqrt K$ times
    their mean; and their effective sample size, over K.

    **Arguments:** `log_ratio`, the prior's density over the proposal's at the K samples.
    """
    weights = truncated_log_weights(scores / temperature + log_ratio)
    partition = jax.nn.logsumexp(weights) - jnp.log(float(len(scores)))
    share = jax.nn.softmax(jax.lax.stop_gradient(weights))
    return partition - observed.mean() / temperature, 1 / (len(scores) * (share**2).sum())

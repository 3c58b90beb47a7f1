r"""Optimality (Def. 4.1), the likelihood of optimality (1), and its evidence lower bound (2)-(3) with its terms.

Seen by one agent: contexts C (the joint actions of the others) and own actions A, so rewards are (S, C, A) and kernels
(S, C, A, S). The policy is the paper's conditional $\pi_i(a^i\mid s,a^{-i})$, an array (S, C, A); a marginal policy is
one that is the same for every context. `belief` is the agent's opponent model $\rho_i(a^{-i}\mid s)$ and `others` is
what they really play, $\pi_{-i}(a^{-i}\mid s)$, both (S, C).

In units of reward, with $H=T+1$ decision epochs (the paper counts $t=0,\dots,T$ and then writes $T$), $n$ own actions
and the agent's action prior uniform, the bound reads
$$\tau\log P(\mathcal O_{0:T}=1\mid s_0)\ \ge\ \mathcal J(s_0)-\tau H\log n-H r_{\max}.$$
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Float

from equinfer.equations.backup import evaluate_soft, evaluate_soft_finite_horizon
from equinfer.equations.information import entropy, kl_divergence
from equinfer.types import AnyArray, ScalarLike, namespace_of

__all__ = [
    "Elbo",
    "elbo_discounted",
    "elbo_finite_horizon",
    "elbo_stage",
    "entropy",
    "kl_divergence",
    "log_evidence",
    "optimality_likelihood",
]


class Elbo(NamedTuple):
    r"""The three terms of (3), in units of reward; they add up to the bound."""

    reward: Float[AnyArray, "*batch"]
    r"""$E_q[r^i]$."""
    entropy: Float[AnyArray, "*batch"]
    r"""$\tau E_q[\mathcal H(\pi_i(\cdot\mid s,a^{-i}))]$, the agent's own."""
    model: Float[AnyArray, "*batch"]
    r"""$-\tau E_q[\mathrm{KL}(\rho_i(\cdot\mid s)\,\|\,\pi_{-i}(\cdot\mid s))]$: what a wrong opponent model costs."""

    @property
    def total(self) -> Float[AnyArray, "*batch"]:
        return self.reward + self.entropy + self.model


def optimality_likelihood(
    reward: Float[AnyArray, "*batch"], temperature: ScalarLike, highest: ScalarLike
) -> Float[AnyArray, "*batch"]:
    r"""$P(\mathcal O=1\mid s,a)=\exp\big((r(s,a)-r_{\max})/\tau\big)$, Definition 4.1.

    The paper writes $\propto\exp(r)$. To be a probability it needs the shift by the `highest` reward, and without a
    temperature it would depend on the unit of reward. It cannot depend on $\pi_{-i}$: it is given the actions.
    """
    return namespace_of(reward, temperature, highest).exp((reward - highest) / temperature)


def log_evidence(
    reward: Float[AnyArray, "S C A"],
    kernel: Float[AnyArray, "S C A S"],
    prior: Float[AnyArray, "H S A"],
    others: Float[AnyArray, "H S C"],
    temperature: ScalarLike,
    highest: ScalarLike,
) -> Float[jax.Array, "H S"]:
    r"""Equation (1), exactly: $\log P(\mathcal O_{t:T}=1\mid s_t=s)$ for every epoch and state.

    $P=E\big[\exp\sum_k(r-r_{\max})/\tau\big]$ over trajectories in which the agent follows its action prior. This is
    an exponential utility, which seeks risk: it is bounded by (3), and (3), not this, is what equilibria maximise.
    """
    likelihood = (jnp.asarray(reward) - highest) / temperature

    def step(later, laws):
        own, theirs = laws
        peak = jnp.max(later)
        after = jnp.log(kernel @ jnp.exp(later - peak)) + peak
        weights = theirs[:, :, None] * own[:, None, :]
        now = logsumexp(likelihood + after, axis=(1, 2), b=weights)
        return now, now

    certain = jnp.zeros(reward.shape[0], likelihood.dtype)
    return lax.scan(step, certain, (jnp.asarray(prior), jnp.asarray(others)), reverse=True)[1]


def elbo_stage(
    reward: Float[AnyArray, "S C A"],
    policy: Float[AnyArray, "S C A"],
    belief: Float[AnyArray, "S C"],
    others: Float[AnyArray, "S C"],
    temperature: ScalarLike,
) -> Elbo:
    r"""One epoch of (3), for every state: $E_q[r]+\tau E_\rho[\mathcal H(\pi(\cdot\mid s,a^{-i}))]-\tau\mathrm{KL}$."""
    xp = namespace_of(reward, policy, belief, others)
    return Elbo(
        reward=xp.sum(belief[:, :, None] * policy * reward, axis=(1, 2)),
        entropy=temperature * xp.sum(belief * entropy(policy), axis=-1),
        model=-temperature * kl_divergence(belief, others),
    )


def elbo_finite_horizon(
    reward: Float[AnyArray, "S C A"],
    kernel: Float[AnyArray, "S C A S"],
    policy: Float[AnyArray, "H S C A"],
    belief: Float[AnyArray, "H S C"],
    others: Float[AnyArray, "H S C"],
    temperature: ScalarLike,
    discount: ScalarLike = 1.0,
) -> Elbo:
    r"""The bound (2)-(3) to go, (H, S): its three terms along trajectories of $q$ from every epoch and state.

    $q$ follows `policy`, `belief` and the true dynamics, which are clamped: an agent infers its actions, not its luck.
    """

    def epoch(policy, belief, others):
        return elbo_stage(reward, policy, belief, others, temperature), _followed(kernel, policy, belief)

    terms, chain = jax.vmap(epoch)(jnp.asarray(policy), jnp.asarray(belief), jnp.asarray(others))
    stacked = jnp.stack(terms, axis=1)
    discounts = jnp.full(len(Elbo._fields), discount, stacked.dtype)
    to_go = evaluate_soft_finite_horizon(stacked, chain, discounts)
    return Elbo(*jnp.moveaxis(to_go, 1, 0))


def elbo_discounted(
    reward: Float[AnyArray, "S C A"],
    kernel: Float[AnyArray, "S C A S"],
    policy: Float[AnyArray, "S C A"],
    belief: Float[AnyArray, "S C"],
    others: Float[AnyArray, "S C"],
    temperature: ScalarLike,
    discount: ScalarLike,
) -> Elbo:
    r"""The bound (2)-(3) of stationary policies over the infinite horizon, (S,), each term discounted.

    The same as the undiscounted bound in the process with an absorbing state (`backup.absorbing`).
    """
    terms = jnp.stack(elbo_stage(reward, policy, belief, others, temperature))
    chain = jnp.asarray(_followed(kernel, policy, belief))
    return Elbo(*evaluate_soft(terms, chain, jnp.full(terms.shape[0], discount, terms.dtype)))


def _followed(
    kernel: Float[AnyArray, "S C A S"], policy: Float[AnyArray, "S C A"], belief: Float[AnyArray, "S C"]
) -> Float[AnyArray, "S S"]:
    r"""The Markov chain of states under $q$."""
    joint = belief[:, :, None] * policy
    states, pairs = joint.shape[0], joint.shape[1] * joint.shape[2]
    return (joint.reshape(states, 1, pairs) @ kernel.reshape(states, pairs, states))[:, 0]

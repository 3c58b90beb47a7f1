r"""Posteriors over what another agent does: Prop. 5.9 with eq. (5), and the weights of reward inference, (6)-(7).

An agent that models agent $j$ thinks of it as inferring its own optimality, from a prior $\tilde\pi_j$ and against
$p_{-j}$, what $j$ is thought to expect of the rest. Trajectory weights are kept as logarithms.
"""

import math

from jaxtyping import Bool, Float

from equinfer.equations.response import soft_best_response
from equinfer.types import AnyArray, ScalarLike, namespace_of

__all__ = [
    "effective_sample_size",
    "normalised_weights",
    "opponent_posterior",
    "reward_inference_loss",
    "trajectory_log_weights",
    "truncated_log_weights",
]


def opponent_posterior(
    q: Float[AnyArray, "*batch C A"],
    expectation: Float[AnyArray, "*batch C"],
    temperature: ScalarLike,
    prior: Float[AnyArray, "*batch A"],
    legal: Bool[AnyArray, "*batch A"],
) -> Float[AnyArray, "*batch A"]:
    r"""Equation (5): $p_j(a^j)\propto\tilde\pi_j(a^j)\exp\big(E_{a^{-j}\sim p_{-j}}[Q^j_\rho(a^j,a^{-j})]/\tau\big)$.

    The soft best response of agent $j$ to `expectation`, $p_{-j}(a^{-j}\mid s)$, with its prior as the magnet. The
    average is inside the exponential: a *marginal* response. (Prop. 5.2's conditional response puts it outside, so
    agents who act by the one and model each other by the other are wrong even if they know each other's rewards.)
    """
    xp = namespace_of(q, expectation)
    return soft_best_response(xp.sum(expectation[..., None] * q, axis=-2), temperature, prior, legal)


def trajectory_log_weights(
    reward: Float[AnyArray, "K T"],
    log_ratio: Float[AnyArray, "K T"],
    discount: ScalarLike,
    temperature: ScalarLike,
) -> Float[AnyArray, " K"]:
    r"""$\log w_j=\sum_t\gamma^t\hat r^j(s_t,a_t)/\tau-\sum_t\log\frac{p_j(a^j_t\mid s_t)}{\tilde\pi_j(a^j_t\mid s_t)}$.

    The weights of (6)-(7) for K trajectories sampled from the model $p$. The paper divides by the probability of the
    whole trajectory; the dynamics and the others' actions are in the numerator as well and cancel, so only agent
    $j$'s own actions may stand here, relative to its prior.

    In (6) trajectories compete: where dynamics are random, this likelihood lets an agent choose its luck, and rewards
    inferred by it are biased. The likelihood of the actions alone, $\sum_t\log p_j(a^j_t\mid s_t)$, is not.

    **Arguments:** `reward` in units of reward and `log_ratio` per step, zero behind a trajectory's end.
    """
    xp = namespace_of(reward, log_ratio, discount)
    returns = reward @ discount ** xp.arange(reward.shape[1], dtype=reward.dtype)
    return returns / temperature - xp.sum(log_ratio, axis=-1)


def normalised_weights(log_weights: Float[AnyArray, " K"]) -> Float[AnyArray, " K"]:
    r"""Self-normalised importance weights $w_k/\sum_l w_l$; (7)'s $\frac1Z E_p[w\,\cdot]$ is the sum with these."""
    weights = namespace_of(log_weights).exp(log_weights - log_weights.max())
    return weights / weights.sum()


def effective_sample_size(log_weights: Float[AnyArray, " K"]) -> ScalarLike:
    r"""$(\sum_kw_k)^2/\sum_kw_k^2$, between 1 (one trajectory decides) and K (all count alike)."""
    return 1 / (normalised_weights(log_weights) ** 2).sum()


def truncated_log_weights(log_weights: Float[AnyArray, " K"]) -> Float[AnyArray, " K"]:
    r"""Weights cut at $\sqrt K$ times their mean: finite variance, and a bias that vanishes with K (Ionides 2008)."""
    xp = namespace_of(log_weights)
    return xp.minimum(log_weights, _log_mean(log_weights) + math.log(log_weights.shape[0]) / 2)


def reward_inference_loss(
    observed_returns: Float[AnyArray, " B"],
    log_weights: Float[AnyArray, " K"],
    temperature: ScalarLike,
) -> ScalarLike:
    r"""Equation (6): $-E_{\text{data}}\big[\sum_t\gamma^t\hat r^j\big]/\tau+\log E_{p}[w_j]$.

    Its derivative through the rewards in `trajectory_log_weights`, `log_ratio` held fixed, is (7).

    **Arguments:** `observed_returns` are $\sum_t\gamma^t\hat r^j(s_t,a_t)$ along trajectories of the data.
    """
    return -observed_returns.mean() / temperature + _log_mean(log_weights)


def _log_mean(log_weights: Float[AnyArray, " K"]) -> ScalarLike:
    xp = namespace_of(log_weights)
    highest = log_weights.max()
    return xp.log(xp.exp(log_weights - highest).mean()) + highest

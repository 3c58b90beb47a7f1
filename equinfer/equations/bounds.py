r"""Every epsilon, as a function: how far from Nash a soft equilibrium can be.

All in units of reward, all with the temperature $\tau$ (the paper has $\tau=1$ and rewards in [-1, 1], which is no loss
of generality only if the temperature is scaled with them). *Length* is $\sum_t\gamma^t$: the number $H=T+1$ of
decision epochs, or $1/(1-\gamma)$. The letters are those of our account of the theory, `docs/theory.md`.
"""

import math

import jax
import numpy as np
from jaxtyping import Bool, Float
from scipy.special import wrightomega

from equinfer.equations.information import kl_divergence_of_logs, logarithm
from equinfer.equations.response import log_soft_best_response
from equinfer.types import AnyArray, ScalarLike, namespace_of

__all__ = [
    "a_posteriori_gap",
    "a_posteriori_gap_finite_horizon",
    "action_value_error",
    "conditional_excess",
    "conditional_excess_bound",
    "entropy_gap",
    "implicit_gap",
    "log_num_outcomes",
    "log_soft_residual",
    "model_error_gap",
    "pure_floor",
    "sampled_response_gap",
    "sharp_gap",
    "smoothness_constant",
    "soft_residual",
]


# Theorem A: exact soft equilibria of the marginal form (Theorem 4.2 of the paper).


def entropy_gap(temperature: ScalarLike, num_actions: int, length: ScalarLike) -> ScalarLike:
    r"""Theorem A, $\tau\,\log n$ times the length: Theorem 4.2 with $H=T+1$ instead of $T$, or discounted.

    At a soft equilibrium of the marginal form, with entropy or with a uniform magnet. A magnet that is not uniform
    has another bound (`sharp_gap`), and this one is false for it.
    """
    return temperature * math.log(num_actions) * length


def sharp_gap(
    temperature: float, log_outcomes: Float[AnyArray, "*batch"] | float
) -> Float[np.ndarray, "*batch"] | float:
    r"""Theorem A, sharp: $\tau\,W\big((M-1)/e\big)$, $W$ the Lambert function, $M$ the number of outcomes. On the host.

    $M=n^H$ with $n$ actions in each of $H$ epochs, or `log_num_outcomes` when actions are not always legal. With a
    prior, in a one-shot game, $M=1/\tilde\pi(a^*)$, $a^*$ the best response. Attained by a tree of decisions for every
    $n$ and $H$, and always below `entropy_gap`. It does *not* hold for infinite horizons with $H=1/(1-\gamma)$.
    """
    outcomes = np.asarray(log_outcomes, float)
    with np.errstate(divide="ignore"):  # a single outcome: log 0, and omega(-inf) = 0
        # W(x) = omega(log x), and log(M - 1) without ever writing M, which overflows.
        return temperature * wrightomega(outcomes + np.log(-np.expm1(-outcomes)) - 1)


def log_num_outcomes(
    legal: Bool[np.ndarray, "S A"], num_epochs: int, reachable: Bool[np.ndarray, "S A S"] | None = None
) -> Float[np.ndarray, "H S"]:
    r"""$\log M_t(s)$, $M_t(s)=\sum_{a\text{ legal}}\max_{s'}M_{t+1}(s')$, $M_H=1$: $n^{H-t}$ if all $n$ are legal.

    **Arguments:** `legal` of the player; `reachable` says which states may follow which own actions (default: all).
    """
    num_states = legal.shape[0]
    follows = np.ones((num_states, 1, num_states), bool) if reachable is None else reachable
    later = np.zeros(num_states)
    epochs = []
    for _ in range(num_epochs):
        branch = np.max(np.where(follows, later, -np.inf), axis=-1)
        later = np.logaddexp.reduce(np.where(legal, branch, -np.inf), axis=-1)
        epochs.append(later)
    return np.stack(epochs[::-1])


def implicit_gap(
    temperature: float, entropy_to_go: Float[np.ndarray, "*batch"], log_outcomes: Float[np.ndarray, "*batch"]
) -> Float[np.ndarray, "*batch"]:
    r"""Theorem A with the entropy that is really there: the largest $g$ with $g/\tau\le h_M(\mathcal H-g/\tau)$.

    $h_M(\ell)=(1-e^{-\ell})\log\frac{M-1}{e^\ell-1}$. For exact soft equilibria of finite horizon; below both
    $\tau\mathcal H$ and `sharp_gap`. `entropy_to_go` is $\mathcal H=E_\pi\sum_t\mathcal H(\pi_i)$ from the state, in
    nats, undiscounted.
    """
    most = np.minimum(entropy_to_go, log_outcomes)
    low, high = np.zeros_like(most), most
    # h is concave on [0, log M]: the condition holds below one root and fails above it.
    for _ in range(60):
        middle = (low + high) / 2
        holds = middle <= _gibbs_gap(entropy_to_go - middle, log_outcomes)
        low, high = np.where(holds, middle, low), np.where(holds, high, middle)
    return temperature * high


def _gibbs_gap(slack: Float[np.ndarray, "*batch"], log_outcomes: Float[np.ndarray, "*batch"]) -> AnyArray:
    """$h_M$: the most that the best of M outcomes can beat their Gibbs law when log Z exceeds it by `slack`."""
    with np.errstate(divide="ignore", invalid="ignore"):
        log_ratio = log_outcomes + np.log(-np.expm1(-log_outcomes)) - slack - np.log(-np.expm1(-slack))
        value = -np.expm1(-slack) * log_ratio
    return np.where((slack > 0) & (log_outcomes > 0), value, 0.0)


# Theorem A': any profile, converged or not.


def soft_residual(
    q: Float[AnyArray, "*batch A"],
    policy: Float[AnyArray, "*batch A"],
    temperature: ScalarLike,
    magnet: Float[AnyArray, "*batch A"],
    legal: Bool[AnyArray, "*batch A"],
) -> Float[AnyArray, "*batch"]:
    r"""Soft Bellman residual $\delta=\tau\,\mathrm{KL}(\pi\,\|\,\text{its soft best response})$, zero at equilibrium.

    Which is how much more $E_{\pi'}[q]-\tau\,\mathrm{KL}(\pi'\|\tilde\pi)$ the best $\pi'$ has than `policy`.
    """
    return log_soft_residual(logarithm(policy), q, temperature, logarithm(magnet, legal))


def log_soft_residual(
    log_policy: Float[AnyArray, "*batch A"],
    q: Float[AnyArray, "*batch A"],
    temperature: ScalarLike,
    log_magnet: Float[AnyArray, "*batch A"],
) -> Float[AnyArray, "*batch"]:
    r"""`soft_residual` of a policy and a magnet given by their logarithms, $-\infty$ for what is never played.

    At a low temperature the response underflows where a policy still plays; its logarithm does not.
    """
    return temperature * kl_divergence_of_logs(log_policy, log_soft_best_response(q, temperature, log_magnet))


def a_posteriori_gap(
    bonus_to_go: Float[AnyArray, "N S"],
    residual: Float[AnyArray, "N S"],
    discount: Float[AnyArray, " N"],
    floor: Float[AnyArray, "N S"] | None = None,
) -> Float[AnyArray, "N S"]:
    r"""Theorem A', for any profile: $\mathrm{gap}_i(s)\le B_i(s)+\frac{\max\delta_i+\max f_i}{1-\gamma_i}$.

    **Arguments:** `bonus_to_go` is $B_i(s)=E_\pi\sum_t\gamma_i^t\,b_i(s_t)$, where $b_i=\tau\mathcal H(\pi_i)$, or
    $-\tau\,\mathrm{KL}(\pi_i\|\tilde\pi_i)$ with a magnet: the soft value less the plain one. `residual` is $\delta_i$,
    `soft_residual` at the exact soft action values of the profile. `floor`, $f_i$, is how far below zero the bonus of
    a pure policy can be: nothing for entropy (default), `pure_floor` with a magnet.
    """
    xp = namespace_of(bonus_to_go, residual, discount)
    excess = xp.max(residual, axis=1) + (0.0 if floor is None else xp.max(floor, axis=1))
    return bonus_to_go + (excess / (1 - discount))[:, None]


def a_posteriori_gap_finite_horizon(
    bonus_to_go: Float[AnyArray, "H N S"],
    residual: Float[AnyArray, "H N S"],
    discount: Float[AnyArray, " N"],
    floor: Float[AnyArray, "H N S"] | None = None,
) -> Float[AnyArray, "H N S"]:
    r"""Theorem A' over $H$ epochs: $\mathrm{gap}_t(s)\le B_t(s)+\sum_{k\ge t}\gamma^{k-t}\max(\delta_k+f_k)$."""
    xp = namespace_of(bonus_to_go, residual, discount)
    excess = xp.max(residual if floor is None else residual + floor, axis=2)
    if xp is np:
        to_go = np.empty_like(excess)
        later = np.zeros_like(excess[0])
        for t in reversed(range(len(excess))):
            later = to_go[t] = excess[t] + discount * later
    else:

        def add(later: Float[AnyArray, " N"], now: Float[AnyArray, " N"]) -> tuple:
            total = now + discount * later
            return total, total

        to_go = jax.lax.scan(add, xp.zeros_like(excess[0]), excess, reverse=True)[1]
    return bonus_to_go + to_go[:, :, None]


def pure_floor(
    prior: Float[AnyArray, "*batch A"], legal: Bool[AnyArray, "*batch A"], temperature: ScalarLike
) -> Float[AnyArray, "*batch"]:
    r"""$\max_{a\text{ legal}}\tau\log\frac1{\tilde\pi(a\mid s)}$: how far below zero a pure policy's bonus can be.

    The `floor` of Theorem A' with a magnet: $\tau\log n$ for a uniform one, infinite if it rules out a legal action.
    """
    xp = namespace_of(prior, legal)
    possible = legal & (prior > 0)
    nats = xp.where(possible, -xp.log(xp.where(possible, prior, 1.0)), xp.inf)
    return temperature * xp.max(xp.where(legal, nats, 0.0), axis=-1)


# Theorem E: a wrong opponent model (Prop. 5.5, Lemma 5.7 and Theorem 5.8 of the paper).


def action_value_error(
    divergence: ScalarLike, num_actions: int, temperature: ScalarLike, discount: ScalarLike, reward_bound: ScalarLike
) -> ScalarLike:
    r"""Proposition 5.5, the error $\|\hat Q-Q\|_\infty$ of action values computed with an opponent model.

    $\delta=\frac{2(R+\tau\log n)}{(1-\gamma)^2}\sqrt{\tfrac12\epsilon_p}+\frac{\tau\epsilon_p}{1-\gamma}$ for the
    paper's $R=\tau=1$ and any other.

    **Arguments:** `divergence` is $\epsilon_p\ge\mathrm{KL}(\rho_i\|\pi_{-i})$ in every
    state, in nats; `reward_bound` is $R\ge|r_i|$.
    """
    simulation = 2 * (reward_bound + temperature * math.log(num_actions)) / (1 - discount) ** 2
    return simulation * (divergence / 2) ** 0.5 + temperature * divergence / (1 - discount)


def model_error_gap(
    temperature: ScalarLike,
    num_actions: int,
    oscillation: ScalarLike,
    distance: ScalarLike,
    discount: ScalarLike,
) -> ScalarLike:
    r"""Theorem E: $\mathrm{gap}_i\le\frac{\tau\log n}{1-\gamma}+\frac{2\,\mathrm{osc}(r_i)\,D}{(1-\gamma)^2}$.

    At an exact soft best response of the marginal form to a model $\rho_i$ whose total variation from what the others
    play is at most $D$ in every state. It replaces Theorem 5.8, whose single $\delta$ is too small: the model errs
    about what the agent does *and* about what it could do, and the factor 2 is attained. No $\log n$ multiplies the
    model's error, and any divergence bounds $D$ by Pinsker, $D\le\sqrt{\mathrm{KL}/2}$, in either direction.

    **Arguments:** `oscillation` is $\max r_i-\min r_i$; `distance` is $D$.
    """
    return entropy_gap(temperature, num_actions, 1 / (1 - discount)) + 2 * oscillation * distance / (1 - discount) ** 2


def smoothness_constant(
    num_players: int, num_actions: int, temperature: ScalarLike, discount: ScalarLike, reward_bound: ScalarLike
) -> ScalarLike:
    r"""The $L$ of Lemma 5.7, as the paper prints it, with $R\ge|r|$ and $\tau$ at the terms that they belong to.

    $L=\frac{2(n+1)^2R}{(1-\gamma)^3}+\tau\Big[\frac{2(n^2+n+1)(1+\log m)}{(1-\gamma)^2}+\frac{3n+2}{1-\gamma}\Big]$ for
    $n$ players with at most $m$ actions. Its second term is not derivable as printed (the technique gives
    $(1-\gamma)^{-3}$), and no violation is known: measured curvatures are $10^2$ to $10^5$ times smaller. The learning
    rate $1/L$ that the paper draws from it belongs to plain gradient ascent; for (★) use `step_size` and round-robin
    updates, which need no such constant.
    """
    n = num_players
    rewards = 2 * (n + 1) ** 2 * reward_bound / (1 - discount) ** 3
    entropies = 2 * (n * n + n + 1) * (1 + math.log(num_actions)) / (1 - discount) ** 2 + (3 * n + 2) / (1 - discount)
    return rewards + temperature * entropies


# Theorems B and B': the conditional form, executed through predicted actions.


def conditional_excess(
    q: Float[AnyArray, "*batch C A"], policy: Float[AnyArray, "*batch C A"], belief: Float[AnyArray, "*batch C"]
) -> Float[AnyArray, "*batch"]:
    r"""Theorem B's $\Delta_i=E_{\rho\pi}[Q]-E_{\rho\otimes\bar\pi}[Q]$; a stage's gap is at most $\tau\log n+\Delta_i$.

    What a conditional policy $\pi(a\mid s,c)$ earns in its own model, where it answers the others' actions, beyond what
    it earns as executed, where the action that it answers is only predicted.
    """
    xp = namespace_of(q, policy, belief)
    executed = xp.sum(belief[..., None] * policy, axis=-2, keepdims=True)
    return xp.sum(belief[..., None] * (policy - executed) * q, axis=(-2, -1))


def conditional_excess_bound(
    oscillation: Float[AnyArray, "*batch"] | ScalarLike, information: Float[AnyArray, "*batch"]
) -> Float[AnyArray, "*batch"]:
    r"""$\Delta_i\le\mathrm{osc}(Q^i)\sqrt{I(a^i;\hat a^{-i})/2}$, from `information.mutual_information` in nats."""
    xp = namespace_of(information)
    return oscillation * xp.sqrt(xp.maximum(information, 0.0) / 2)


def sampled_response_gap(
    temperature: ScalarLike, num_actions: int, oscillation: ScalarLike, num_samples: int
) -> ScalarLike:
    r"""Theorem B': $\mathrm{gap}_i\le\tau\log n+\mathrm{osc}(Q^i)\sqrt{\log n/(2k)}$, per stage.

    For a soft best response to the average of $k$ predicted joint actions. $k=1$ is the paper's conditional form, with
    no useful bound as $\tau\to0$; $k\to\infty$ is the marginal form and Theorem A.
    """
    return temperature * math.log(num_actions) + oscillation * math.sqrt(math.log(num_actions) / (2 * num_samples))

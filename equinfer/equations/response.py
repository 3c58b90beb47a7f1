r"""Responses to action values: Prop. 5.2, eq. (12), and the one kernel (★) of every algorithm in the paper.

$$\pi^{+}(a)\ \propto\ \pi(a)^{1-c}\;\tilde\pi(a)^{c}\;\exp\!\big(c\,q(a)/\tau\big)\qquad(\star)$$

A uniform magnet $\tilde\pi$ gives eq. (4), the natural policy gradient; $c=1$ gives Prop. 5.2, and with a prior
eq. (5) and (12); $c=1$ with $\tilde\pi=\pi$ is multiplicative weights. Every argument that is an array over actions
has the same shape: whoever calls broadcasts. NumPy in, NumPy out; JAX in, JAX out.
"""

from jaxtyping import Bool, Float

from equinfer.equations.information import logarithm
from equinfer.types import AnyArray, ScalarLike, namespace_of

__all__ = ["log_magnet_step", "log_soft_best_response", "magnet_step", "soft_best_response", "step_size_of"]


def soft_best_response(
    q: Float[AnyArray, "*batch A"],
    temperature: ScalarLike,
    magnet: Float[AnyArray, "*batch A"],
    legal: Bool[AnyArray, "*batch A"],
) -> Float[AnyArray, "*batch A"]:
    r"""The policy that maximises $E_\pi[q]-\tau\,\mathrm{KL}(\pi\,\|\,\tilde\pi)$: Prop. 5.2 and eq. (12).

    $\pi(a)\propto\tilde\pi(a)\exp(q(a)/\tau)$ over the last axis. The paper has $\tau=1$ and, in Prop. 5.2, a uniform
    prior. The paper's *conditional* policy is this function of $Q(s,\cdot,a^{-i})$ for every $a^{-i}$, the *marginal*
    policy is this function of $\bar Q(s,\cdot)$.

    **Arguments:** `q` and `temperature` > 0 in units of reward; `magnet` a law over actions, or anything proportional
    to one. Some legal action must have a positive magnet, otherwise there is no such policy and the result is NaN.

    **Returns:** a policy, exactly zero where an action is illegal or its magnet is zero.
    """
    xp = namespace_of(q, magnet, legal)
    return xp.exp(log_soft_best_response(q, temperature, logarithm(magnet, legal)))


def log_soft_best_response(
    q: Float[AnyArray, "*batch A"], temperature: ScalarLike, log_magnet: Float[AnyArray, "*batch A"]
) -> Float[AnyArray, "*batch A"]:
    r"""Logarithm of `soft_best_response`: finite on its support even where the response itself underflows.

    An action is ruled out, illegal for instance, by a `log_magnet` of $-\infty$.
    """
    support = log_magnet > -namespace_of(log_magnet).inf
    return _log_softmax(_kept(log_magnet, support) + _kept(q, support) / temperature, support)


def magnet_step(
    policy: Float[AnyArray, "*batch A"],
    q: Float[AnyArray, "*batch A"],
    magnet: Float[AnyArray, "*batch A"],
    temperature: ScalarLike,
    step_size: ScalarLike,
    legal: Bool[AnyArray, "*batch A"],
) -> Float[AnyArray, "*batch A"]:
    r"""The kernel (★): a geometric step of size $c$ from `policy` towards the soft best response.

    With a uniform `magnet` this is eq. (4) of Prop. 5.3, one step of the natural policy gradient in softmax
    parameters, $c=\eta\tau/(1-\gamma)$ (`step_size_of`). It is also magnetic mirror descent of step $\eta_m$ with
    $c=\eta_m\tau/(1+\eta_m\tau)$ (Sokota et al. 2022).

    **Arguments:** as `soft_best_response`; `step_size` is $c\in(0,1]$.

    **Returns:** a policy. For $c<1$ an action that `policy` never plays stays unplayed, be it that its probability was
    once below $10^{-308}$: to iterate, take `log_magnet_step`. For $c=1$ the old policy has no say at all and the
    result is `soft_best_response(q, temperature, magnet, legal)`.
    """
    xp = namespace_of(policy, q, magnet, legal)
    return xp.exp(log_magnet_step(logarithm(policy), q, logarithm(magnet, legal), temperature, step_size))


def log_magnet_step(
    log_policy: Float[AnyArray, "*batch A"],
    q: Float[AnyArray, "*batch A"],
    log_magnet: Float[AnyArray, "*batch A"],
    temperature: ScalarLike,
    step_size: ScalarLike,
) -> Float[AnyArray, "*batch A"]:
    r"""The kernel (★) on logarithms, $-\infty$ where an action is never played: the form that algorithms iterate.

    An action whose probability underflows is gone for good, its logarithm comes back when it pays again. An action is
    ruled out, illegal for instance, by a `log_magnet` of $-\infty$.
    """
    xp = namespace_of(log_policy, q, log_magnet)
    played = log_policy > -xp.inf
    support = (log_magnet > -xp.inf) & (played | (step_size == 1))
    target = _kept(log_magnet, support) + _kept(q, support) / temperature
    return _log_softmax((1 - step_size) * _kept(log_policy, support & played) + step_size * target, support)


def step_size_of(learning_rate: ScalarLike, temperature: ScalarLike, discount: ScalarLike) -> ScalarLike:
    r"""The $c=\eta\tau/(1-\gamma)$ of (★) for the learning rate $\eta$ of eq. (4).

    The paper has $\tau=1$. Soft policy iteration, $c=1$, is $\eta=(1-\gamma)/\tau$.
    """
    return learning_rate * temperature / (1 - discount)


# Outside the support the logarithms and values are replaced, not only their results: a NaN in the branch that
# `where` does not choose would still poison derivatives.


def _kept(array: AnyArray, support: AnyArray) -> AnyArray:
    xp = namespace_of(array, support)
    return xp.where(support, array, xp.zeros_like(array))


def _log_softmax(score: AnyArray, support: AnyArray) -> AnyArray:
    xp = namespace_of(score, support)
    shifted = score - xp.max(xp.where(support, score, -xp.inf), axis=-1, keepdims=True)
    weights = xp.where(support, xp.exp(_kept(shifted, support)), 0.0)
    return xp.where(support, shifted - xp.log(xp.sum(weights, axis=-1, keepdims=True)), -xp.inf)

r"""Rewards that explain what another agent does: the causal maximum-entropy likelihood, in place of (6)-(7).

Agent $j$ is thought to act by the posterior (5), $p^{\hat r}(a\mid s)\propto\tilde\pi(a\mid s)e^{Q(s,a)/\tau}$ with the
soft Bellman equations

$$Q=\hat r+\gamma PV,\qquad V(s)=\tau\log\sum_a\tilde\pi(a\mid s)\,e^{Q(s,a)/\tau},\qquad(\mathrm{SB})$$

where $\hat r(s,a)$ and $P(s'\mid s,a)$ are averages over what $j$ expects of the rest. Its rewards are inferred from
its *actions*, by the likelihood $\sum_t\log p^{\hat r}(a_t\mid s_t)$: the state that follows an action is not for the
agent to choose, as it would be if whole trajectories were compared (6).

Only $\hat r/\tau$ shows in actions, so inferred rewards are in units of the other's temperature ($\tau=1$ where no
temperature is asked for). Nor does shaping show: $\hat r+\varphi-\gamma P\varphi$ explains the same play.

Decision points R are states, or epochs and states; a row of `kernel` that sums to less than one is followed by
nothing with the rest of the probability, so a finite horizon needs no equations of its own.
"""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float

from equinfer.equations.information import kl_divergence_of_logs
from equinfer.equations.response import log_soft_best_response
from equinfer.types import AnyArray, ScalarLike

__all__ = [
    "action_loss",
    "inverse_soft_backup",
    "log_soft_value",
    "reward_gradient",
    "scoring_step",
    "smallest_reward",
    "soft_optimal_value",
    "soft_policy_iteration",
    "table_step",
]

MOST_IMPROVEMENTS = 100
"""Of soft policy iteration, which converges quadratically."""


def log_soft_value(
    q: Float[AnyArray, "*batch A"], temperature: ScalarLike, log_prior: Float[AnyArray, "*batch A"]
) -> Float[jax.Array, "*batch"]:
    r"""$V=\tau\log\sum_a\tilde\pi(a)e^{Q(a)/\tau}$, with $-\infty$ in `log_prior` where an action is ruled out."""
    support = log_prior > -jnp.inf
    exponent = jnp.where(
        support, jnp.where(support, q, 0.0) / temperature + jnp.where(support, log_prior, 0.0), -jnp.inf
    )
    return jnp.asarray(temperature * jax.nn.logsumexp(exponent, axis=-1))


def soft_policy_iteration(
    value: Float[AnyArray, " R"],
    reward: Float[AnyArray, "R A"],
    kernel: Float[AnyArray, "R A R"],
    discount: ScalarLike,
    temperature: ScalarLike,
    log_prior: Float[AnyArray, "R A"],
) -> Float[jax.Array, " R"]:
    """One step of Newton's method on (SB): the exact soft value of the soft response to `value`. It never falls short
    of the solution by more than `value` did, and rises from the second step on.
    """
    log_policy = log_soft_best_response(reward + discount * (kernel @ value), temperature, log_prior)
    policy = jnp.exp(log_policy)
    earned = jnp.sum(policy * reward, axis=1) - temperature * kl_divergence_of_logs(log_policy, log_prior)
    return jnp.linalg.solve(jnp.eye(len(value)) - discount * _chain(policy, kernel), earned)


def soft_optimal_value(
    reward: Float[AnyArray, "R A"],
    kernel: Float[AnyArray, "R A R"],
    discount: ScalarLike,
    temperature: ScalarLike,
    log_prior: Float[AnyArray, "R A"],
    *,
    tolerance: float = 1e-11,
) -> Float[jax.Array, " R"]:
    r"""The $V$ of (SB), by soft policy iteration until it moves by no more than `tolerance` of its size.

    **Arguments:** `reward` and `temperature` > 0 in one unit; `discount` in [0, 1), or 1 if the game ends for certain.
    """
    problem = (jnp.asarray(reward), jnp.asarray(kernel), discount, temperature, jnp.asarray(log_prior))

    def unfinished(carry: tuple) -> AnyArray:
        value, before, count = carry
        return (count < MOST_IMPROVEMENTS) & (
            jnp.max(jnp.abs(value - before)) > tolerance * (1 + jnp.max(jnp.abs(value)))
        )

    def improved(carry: tuple) -> tuple:
        value, _, count = carry
        return soft_policy_iteration(value, *problem), value, count + 1

    nothing = jnp.zeros(reward.shape[0])
    return lax.while_loop(unfinished, improved, (nothing, nothing + jnp.inf, jnp.asarray(0)))[0]


def action_loss(log_policy: Float[AnyArray, "R A"], actions: Float[AnyArray, "R A"]) -> Float[jax.Array, ""]:
    r"""$-\sum_{s,a}n(s,a)\log p(a\mid s)$ in nats, of `actions` seen $n(s,a)$ times."""
    return -jnp.sum(jnp.where(actions > 0, actions * jnp.where(actions > 0, log_policy, 0.0), 0.0))


def reward_gradient(
    log_policy: Float[AnyArray, "R A"],
    actions: Float[AnyArray, "R A"],
    kernel: Float[AnyArray, "R A R"],
    discount: ScalarLike,
    temperature: ScalarLike,
) -> Float[jax.Array, "R A"]:
    r"""Derivative of `action_loss` in the table $\hat r(s,a)$, through (SB) by the implicit function theorem.

    With $g=(n(s)\,p-n)/\tau$, the derivative in $Q$, and $P_p$ the chain of $p$: $g+p\,z$, where
    $z=(I-\gamma P_p^\top)^{-1}\gamma P^\top g$ is what the errors ahead ask of a decision point.

    **Arguments:** `log_policy` solves (SB) for the reward at which the derivative is taken.
    """
    policy = jnp.exp(log_policy)
    direct = _surprise(policy, actions) / temperature
    asked = discount * jnp.einsum("sa,sat->t", direct, kernel)
    ahead = jnp.linalg.solve(jnp.eye(len(asked)) - discount * _chain(policy, kernel).T, asked)
    return direct + ahead[:, None] * policy


def scoring_step(
    parameters: Float[AnyArray, " F"],
    value: Float[AnyArray, " R"],
    features: Float[AnyArray, "R A F"],
    actions: Float[AnyArray, "R A"],
    kernel: Float[AnyArray, "R A R"],
    discount: ScalarLike,
    log_prior: Float[AnyArray, "R A"],
    ridge: ScalarLike,
) -> tuple[Float[jax.Array, " F"], Float[jax.Array, " R"]]:
    r"""One step of Fisher scoring on `action_loss` $+\frac\lambda2|\theta|^2$ for $\hat r=\phi\,\theta$, $\tau=1$.

    The Fisher information is $\sum_s n(s)\,\mathrm{Cov}_p[\partial_\theta Q(s,\cdot)]$. No action value moves by more
    than 2 against the others of its decision point in a step: scoring is Newton's method, which far off overshoots.

    **Arguments:** `value` is near the solution of (SB) at `parameters`; it is improved first.

    **Returns:** the new parameters, and the improved value.
    """
    reward = features @ parameters
    value = soft_policy_iteration(value, reward, kernel, discount, 1.0, log_prior)
    policy = jnp.exp(log_soft_best_response(reward + discount * (kernel @ value), 1.0, log_prior))
    expected = jnp.einsum("sa,saf->sf", policy, features)
    ahead = jnp.linalg.solve(jnp.eye(len(value)) - discount * _chain(policy, kernel), expected)
    slope = features + discount * jnp.einsum("sat,tf->saf", kernel, ahead)
    slope = slope - jnp.einsum("sa,saf->sf", policy, slope)[:, None]
    weight = jnp.sum(actions, axis=1, keepdims=True) * policy
    information = jnp.einsum("sa,saf,sag->fg", weight, slope, slope)
    gradient = jnp.einsum("sa,saf->f", _surprise(policy, actions), slope) + ridge * parameters
    step = -jnp.linalg.solve(information + ridge * jnp.eye(len(parameters)), gradient)
    legal = log_prior > -jnp.inf
    moved = jnp.max(jnp.where(legal, jnp.abs(slope @ step), 0.0))
    return parameters + jnp.minimum(1.0, 2.0 / jnp.maximum(moved, 1e-300)) * step, value


def inverse_soft_backup(
    q: Float[AnyArray, "R A"],
    kernel: Float[AnyArray, "R A R"],
    discount: ScalarLike,
    log_prior: Float[AnyArray, "R A"],
) -> Float[jax.Array, "R A"]:
    r"""$\hat r=Q-\gamma PV(Q)$, $\tau=1$: the one table of rewards whose soft action values are `q` (Garg et al. 2021).

    Zero where an action is illegal.
    """
    later = discount * (kernel @ log_soft_value(q, 1.0, log_prior))
    return jnp.where(log_prior > -jnp.inf, q - later, 0.0)


def table_step(
    q: Float[AnyArray, "R A"],
    actions: Float[AnyArray, "R A"],
    kernel: Float[AnyArray, "R A R"],
    discount: ScalarLike,
    log_prior: Float[AnyArray, "R A"],
    ridge: ScalarLike,
) -> Float[jax.Array, "R A"]:
    r"""One step down `action_loss` $+\frac\lambda2|\hat r|^2$ for a free table $\hat r(s,a)$, $\tau=1$.

    A table and its soft action values determine each other (`inverse_soft_backup`), so the step is taken in $Q$, where
    the likelihood falls apart into decision points and nothing has to be solved. Its length is one over a bound on the
    curvature: $n(s)/2$ for the likelihood (Böhning 1992), $\lambda[(1+\gamma\sqrt m)^2+\gamma|P^\top\hat r|/2]$ for the
    prior, $m$ the largest column sum of $P$.
    """
    legal = log_prior > -jnp.inf
    policy = jnp.exp(log_soft_best_response(q, 1.0, log_prior))
    reward = inverse_soft_backup(q, kernel, discount, log_prior)
    pull = discount * jnp.einsum("sa,sat->t", reward, kernel)
    gradient = _surprise(policy, actions) + ridge * (reward - policy * pull[:, None])
    crowding = jnp.max(jnp.sum(kernel, axis=(0, 1)))
    prior_curvature = ridge * ((1 + discount * jnp.sqrt(crowding)) ** 2 + jnp.abs(pull) / 2)
    curvature = jnp.sum(actions, axis=1) / 2 + prior_curvature
    return jnp.asarray(q - jnp.where(legal, gradient / curvature[:, None], 0.0))


def smallest_reward(
    reward: Float[AnyArray, "R A"],
    kernel: Float[AnyArray, "R A R"],
    discount: ScalarLike,
    legal: Bool[AnyArray, "R A"] | None = None,
) -> Float[jax.Array, "R A"]:
    r"""The smallest of all rewards $\hat r+\varphi-\gamma P\varphi$ that explain the same play, in mean square.

    Two tables explain the same play under `kernel` exactly if this is the same for both: what can be identified.
    For `discount` < 1, or 1 if the game ends for certain. Zero where an action is not `legal`.
    """
    num_rows, num_actions = reward.shape
    reward = jnp.asarray(reward)
    shaping = jnp.repeat(jnp.eye(num_rows), num_actions, axis=0) - discount * jnp.reshape(kernel, (-1, num_rows))
    if legal is not None:
        shaping = jnp.where(jnp.reshape(legal, (-1, 1)), shaping, 0.0)
        reward = jnp.where(legal, reward, 0.0)
    potential = jnp.linalg.lstsq(shaping, jnp.reshape(reward, -1))[0]
    return reward - (shaping @ potential).reshape(reward.shape)


def _surprise(policy: Float[AnyArray, "R A"], actions: Float[AnyArray, "R A"]) -> Float[AnyArray, "R A"]:
    """Expected less observed numbers of actions: the derivative of the loss in the logits."""
    return jnp.sum(actions, axis=1, keepdims=True) * policy - actions


def _chain(policy: Float[AnyArray, "R A"], kernel: Float[AnyArray, "R A R"]) -> Float[jax.Array, "R R"]:
    return jnp.einsum("sa,sat->st", policy, kernel)

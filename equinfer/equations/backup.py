r"""Soft action values and soft values (Def. 5.1), and the exact soft evaluation of a profile.

Evaluation works on what a profile induces, so it needs no game: `reward` (N, S) is the expected reward of a step,
$E_\pi[r^i\mid s]$ plus the bonus $\tau\mathcal H(\pi_i)$ or $-\tau\,\mathrm{KL}(\pi_i\|\tilde\pi_i)$ of the state, and
`transition` is the Markov chain of the profile, which all players share: an array (S, S), or a chain as
`kernel.induced` makes it. Without bonus the same functions give
the plain values.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float, Int

from equinfer.equations.information import entropy, kl_divergence
from equinfer.games.chains import AbstractChain, as_chain
from equinfer.types import AnyArray, ScalarLike, namespace_of

__all__ = [
    "absorbing",
    "evaluate_soft",
    "evaluate_soft_finite_horizon",
    "evaluate_soft_iteratively",
    "soft_action_value",
    "soft_value",
]


def soft_action_value(
    reward: Float[AnyArray, "S *A"],
    expected_value: Float[AnyArray, "S *A"],
    discount: ScalarLike,
) -> Float[AnyArray, "S *A"]:
    r"""Soft action value of one player, $Q^i(s,a)=r^i(s,a)+\gamma_i\,E[V^i(s')\mid s,a]$.

    Definition 5.1 without its $\log\pi_{-i}(a^{-i}\mid s)$, which no softmax over $a^i$ can see, and without the
    divergence of the opponent model: the model is part of the dynamics here, and its error is bounded on its own
    (`bounds.model_error_gap`).

    **Arguments:** `reward` and `expected_value` (`game.kernel.expect(value)`) over states and joint actions, or
    already averaged over the others' actions, in units of reward; `discount` per step.
    """
    return reward + discount * expected_value


def soft_value(
    q: Float[AnyArray, "*batch A"],
    policy: Float[AnyArray, "*batch A"],
    temperature: ScalarLike,
    magnet: Float[AnyArray, "*batch A"] | None = None,
) -> Float[AnyArray, "*batch"]:
    r"""Soft value $V=E_\pi[q]+\tau\mathcal H(\pi)$, or $E_\pi[q]-\tau\,\mathrm{KL}(\pi\,\|\,\tilde\pi)$ with a magnet.

    The two are *not* the same for a uniform magnet over $n$ actions: there the second is the first minus
    $\tau\log n$ per step. The policies that they favour are the same as long as $n$ is the same in every state.
    """
    xp = namespace_of(q, policy)
    bonus = entropy(policy) if magnet is None else -kl_divergence(policy, magnet)
    return xp.sum(policy * q, axis=-1) + temperature * bonus


def evaluate_soft(
    reward: Float[AnyArray, "*batch N S"],
    transition: Float[AnyArray, "S S"] | AbstractChain,
    discount: Float[AnyArray, " N"],
) -> Float[AnyArray, "*batch N S"]:
    r"""Discounted values: $V^i=(I-\gamma_iP)^{-1}\bar r^i$, each player with a discount in [0, 1).

    One factorisation serves all the rewards of a player, and all the players if they discount alike.
    """
    return as_chain(transition).values(reward, discount)


def evaluate_soft_iteratively(
    reward: Float[AnyArray, "N S"],
    transition: Float[AnyArray, "S S"] | AbstractChain,
    discount: Float[AnyArray, " N"],
    initial: Float[AnyArray, "N S"],
    *,
    tolerance: ScalarLike = 0.0,
    max_sweeps: int = 10_000,
) -> tuple[Float[jax.Array, "N S"], Int[jax.Array, ""]]:
    r"""Discounted values by iterating $V^i\leftarrow\bar r^i+\gamma_iPV^i$ from `initial`.

    **Arguments:** `tolerance` bounds the error that is left, $\|V-V^*\|_\infty$, which the last change bounds by
    $\frac{\gamma}{1-\gamma}\|\Delta V\|_\infty$ (rounding aside).

    **Returns:** the values and the number of sweeps made, at most `max_sweeps`; fewer means that the tolerance holds.
    """
    factor, chain = jnp.asarray(discount / (1 - discount)), as_chain(transition)

    def unfinished(carry):
        _, error, sweeps = carry
        return (error > tolerance) & (sweeps < max_sweeps)

    def sweep(carry):
        value, _, sweeps = carry
        new = _earlier(reward, chain, discount, value)
        return new, jnp.max(factor * jnp.max(jnp.abs(new - value), axis=1)), sweeps + 1

    start = (jnp.asarray(initial), jnp.asarray(jnp.inf, reward.dtype), jnp.asarray(0))
    value, _, sweeps = lax.while_loop(unfinished, sweep, start)
    return value, sweeps


def evaluate_soft_finite_horizon(
    reward: Float[AnyArray, "H N S"],
    transition: Float[AnyArray, "H S S"] | AbstractChain,
    discount: Float[AnyArray, " N"],
) -> Float[jax.Array, "H N S"]:
    r"""Values-to-go over $H$ decision epochs, $V^i_t=\bar r^i_t+\gamma_iP_tV^i_{t+1}$ with $V^i_H=0$.

    The epochs are $t=0,\dots,H-1$; the paper writes $0,\dots,T$ for them, so $H=T+1$.
    """

    def step(later, epoch):
        epoch_reward, t = epoch
        now = _earlier(epoch_reward, chains.at(t), discount, later)
        return now, now

    chains = as_chain(jnp.asarray(transition) if isinstance(transition, np.ndarray) else transition)
    nothing = jnp.zeros(reward.shape[1:], reward.dtype)
    _, values = lax.scan(step, nothing, (jnp.asarray(reward), jnp.arange(len(reward))), reverse=True)
    return values


def absorbing(
    reward: Float[AnyArray, "S *A"], kernel: Float[AnyArray, "S *A S"], discount: ScalarLike
) -> tuple[Float[AnyArray, "S+1 *A"], Float[AnyArray, "S+1 *A S+1"]]:
    r"""The undiscounted process that is worth as much: section 4's absorbing state, put last.

    $\tilde P(s'\mid s,a)=\gamma P(s'\mid s,a)$, and $1-\gamma$ to $\bar s$, from which nothing leads away. Reward is
    zero there. So must entropy and divergence be, which the paper does not say and without which its infinite sum has
    no value: $\bar s$ has a single action that counts. With no action axes this is the chain of a profile, with the
    joint-action axes it is the kernel of a game (for one discount: players who differ need one process each).
    """
    xp = namespace_of(reward, kernel, discount)
    nowhere = xp.zeros_like(reward[:1])
    leaving = xp.concatenate([discount * kernel, xp.full_like(kernel[..., :1], 1 - discount)], axis=-1)
    staying = xp.concatenate([xp.zeros_like(kernel[:1]), xp.ones_like(kernel[:1, ..., :1])], axis=-1)
    return xp.concatenate([reward, nowhere], axis=0), xp.concatenate([leaving, staying], axis=0)


def _earlier(
    reward: Float[AnyArray, "N S"],
    chain: AbstractChain,
    discount: Float[AnyArray, " N"],
    later: Float[AnyArray, "N S"],
) -> Float[jax.Array, "N S"]:
    return jnp.asarray(reward) + discount[:, None] * chain.expect(later)

r"""Section 5.2: the flow of a policy, equations (11) and (12), and what Algorithm 4 makes of them.

Arrays of population p are (H, S, A_p), its values (H, S). A stationary game has no leading H.
"""

from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.types import ScalarLike

__all__ = ["Policies", "SoftPlan", "evaluated", "flow_of", "soft_plan"]

Policies: TypeAlias = tuple[Float[Array, "..."], ...]
"""One policy per population, (H, S, A_p)."""


class SoftPlan(NamedTuple):
    """What the inference of a population comes to against a given flow."""

    logits: Float[Array, "H S A"]
    r"""$\log\pi^*$ of (12), normalised; -inf on illegal actions and where the magnet is zero."""
    values: Float[Array, "H S"]


def flow_of(game: Any, policies: Policies) -> Policies:
    r"""The state-action laws that the policies lead to (Kolmogorov's equation):
    $L_0=\mu_0\pi_0$, $L_{t+1}(s,a)=\pi_{t+1}(a\mid s)\sum_{s',a'}P_t(s\mid s',a',L_t)L_t(s',a')$.
    """

    def step(masses: tuple, at: tuple) -> tuple:
        t, now = at
        laws = tuple(mass[:, None] * policy for mass, policy in zip(masses, now, strict=True))
        following = tuple(kernel.push(t, laws, law) for kernel, law in zip(game.transitions, laws, strict=True))
        return following, laws

    dtype = policies[0].dtype
    initial = tuple(jnp.asarray(mass, dtype) for mass in game.initial)
    return jax.lax.scan(step, initial, (jnp.arange(game.horizon), policies))[1]


def soft_plan(
    game: Any, population: int, flow: Policies, log_magnet: Float[Array, "H S A"], temperature: ScalarLike
) -> SoftPlan:
    r"""Equations (11) and (12), backwards from the last epoch, against `flow`:
    $V_t=\tau\log\sum_a\tilde\pi_te^{Q_t/\tau}$, $Q_t=r_t(\cdot,L_t)+\gamma P_t(L_t)V_{t+1}$,
    $\pi^*_t\propto\tilde\pi_te^{Q_t/\tau}$.

    Where $\pi_{t+1}$ in (11) is the response (12) itself, its expectation of $Q-\tau\log\pi+\tau\log\tilde\pi$ is that
    $V$. `temperature` multiplies the logarithms that the paper has at $\tau=1$.
    """

    def respond(q: Float[Array, "S A"], log_prior: Float[Array, "S A"]) -> tuple:
        scores = log_prior + jnp.where(game.legal[population], q, -jnp.inf) / temperature
        totals = jax.nn.logsumexp(scores, axis=-1)
        return temperature * totals, scores - totals[:, None]

    return SoftPlan(*reversed(_backward(game, population, flow, log_magnet, respond)))


def evaluated(
    game: Any, population: int, flow: Policies, policy: Float[Array, "H S A"]
) -> tuple[Float[Array, "H S"], Float[Array, "H S A"]]:
    r"""Values and action values of one agent that plays `policy` in a population that plays `flow`."""

    def play(q: Float[Array, "S A"], now: Float[Array, "S A"]) -> tuple:
        return jnp.sum(now * q, axis=-1), q

    return _backward(game, population, flow, policy, play)


def _backward(game: Any, population: int, flow: Policies, given: Array, decide: Any) -> tuple:
    """Backward induction: `decide` makes values (S,), and what is kept (S, A), of action values and `given` there."""

    def step(value: Float[Array, " S"], at: tuple) -> tuple:
        t, laws, reward, here = at
        q = reward + game.discount * game.transitions[population].expect(t, laws, value)
        value, kept = decide(q, here)
        return value, (value, kept)

    rewards = game.rewards(flow)[population]
    last = jnp.zeros(game.num_states, rewards.dtype)
    return jax.lax.scan(step, last, (jnp.arange(game.horizon), flow, rewards, given), reverse=True)[1]

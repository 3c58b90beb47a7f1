r"""Section 5.2: the flow of a policy, equations (11) and (12), and what Algorithm 4 makes of them.

Arrays of population p are (H, S, A_p), its values (H, S). A stationary game has no leading H: where these equations
go backwards or forwards in time, it is at their fixed point (`stationary_mean_field`).
"""

from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from equinfer.equations.stationary_mean_field import optimal, played, soft, stationary_flow
from equinfer.types import AnyArray, PRNGKey, ScalarLike

__all__ = [
    "Policies",
    "SoftPlan",
    "best_response",
    "evaluated",
    "exploitability",
    "flow_of",
    "largest_change",
    "mixed",
    "optimal_values",
    "policy_of",
    "random_policies",
    "soft_plan",
    "soft_response",
    "uniform_policies",
]

Policies: TypeAlias = tuple[Float[AnyArray, "..."], ...]
"""One policy per population, ([H,] S, A_p)."""


class SoftPlan(NamedTuple):
    """What the inference of a population comes to against a given flow."""

    logits: Float[AnyArray, "*H S A"]
    r"""$\log\pi^*$ of (12), normalised; -inf on illegal actions and where the magnet is zero."""
    values: Float[AnyArray, "*H S"]


def flow_of(game: Any, policies: Policies) -> Policies:
    r"""The state-action laws that the policies lead to (Kolmogorov's equation):
    $L_0=\mu_0\pi_0$, $L_{t+1}(s,a)=\pi_{t+1}(a\mid s)\sum_{s',a'}P_t(s\mid s',a',L_t)L_t(s',a')$; of a stationary
    game, what that comes to in the long run.
    """
    if game.horizon is None:
        return stationary_flow(game, policies)

    def step(masses: tuple, at: tuple) -> tuple:
        t, now = at
        laws = tuple(mass[:, None] * policy for mass, policy in zip(masses, now, strict=True))
        following = tuple(kernel.push(t, laws, law) for kernel, law in zip(game.transitions, laws, strict=True))
        return tuple(map(_whole, game.transitions, following)), laws

    dtype = policies[0].dtype
    initial = tuple(jnp.asarray(mass, dtype) for mass in game.initial)
    return jax.lax.scan(step, initial, (jnp.arange(game.horizon), policies))[1]


def soft_plan(
    game: Any, population: int, flow: Policies, log_magnet: Float[AnyArray, "*H S A"], temperature: ScalarLike
) -> SoftPlan:
    r"""Equations (11) and (12), backwards from the last epoch, against `flow`:
    $V_t=\tau\log\sum_a\tilde\pi_te^{Q_t/\tau}$, $Q_t=r_t(\cdot,L_t)+\gamma P_t(L_t)V_{t+1}$,
    $\pi^*_t\propto\tilde\pi_te^{Q_t/\tau}$.

    Where $\pi_{t+1}$ in (11) is the response (12) itself, its expectation of $Q-\tau\log\pi+\tau\log\tilde\pi$ is that
    $V$. `temperature` multiplies the logarithms that the paper has at $\tau=1$.
    """

    def respond(q: Float[AnyArray, "S A"], log_prior: Float[AnyArray, "S A"]) -> tuple:
        return soft_response(q, game.legal[population], log_prior, temperature)

    if game.horizon is None:
        found = soft(game, population, flow, lambda q: respond(q, log_magnet), log_magnet, temperature)
    else:
        found = _backward(game, population, flow, log_magnet, respond)
    return SoftPlan(*reversed(found))


def soft_response(
    q: Float[AnyArray, "*H S A"],
    legal: Bool[AnyArray, "S A"],
    log_magnet: Float[AnyArray, "*H S A"],
    temperature: ScalarLike,
) -> tuple[Float[Array, "*H S"], Float[Array, "*H S A"]]:
    r"""$\tau\log\sum_a\tilde\pi e^{Q/\tau}$, and the logarithm of (12), $\pi^*\propto\tilde\pi e^{Q/\tau}$."""
    allowed = jnp.broadcast_to(legal, q.shape)
    scores = jnp.asarray(log_magnet + jnp.where(allowed, q, -jnp.inf) / temperature)
    totals = jnp.asarray(jax.nn.logsumexp(scores, axis=-1))
    return jnp.asarray(temperature * totals), scores - totals[..., None]


def evaluated(
    game: Any, population: int, flow: Policies, policy: Float[AnyArray, "*H S A"]
) -> tuple[Float[AnyArray, "*H S"], Float[AnyArray, "*H S A"]]:
    r"""Values and action values of one agent that plays `policy` in a population that plays `flow`."""
    if game.horizon is None:
        return played(game, population, flow, policy)

    def play(q: Float[AnyArray, "S A"], now: Float[AnyArray, "S A"]) -> tuple:
        return jnp.sum(now * q, axis=-1), q

    return _backward(game, population, flow, policy, play)


def optimal_values(
    game: Any, population: int, flow: Policies
) -> tuple[Float[AnyArray, "*H S"], Float[AnyArray, "*H S A"]]:
    r"""$V^*$ and $Q^*$ of one agent in a population with this flow."""
    if game.horizon is None:
        return optimal(game, population, flow)

    def best(q: Float[AnyArray, "S A"], legal: Bool[AnyArray, "S A"]) -> tuple:
        return jnp.max(jnp.where(legal, q, -jnp.inf), axis=-1), q

    return _backward(game, population, flow, jnp.broadcast_to(game.legal[population], flow[population].shape), best)


def best_response(game: Any, population: int, flow: Policies) -> Float[Array, "*H S A"]:
    """A pure one; the first of actions that are equally good."""
    q = optimal_values(game, population, flow)[1]
    first = jnp.argmax(jnp.where(game.legal[population], q, -jnp.inf), axis=-1)
    return jax.nn.one_hot(first, q.shape[-1], dtype=q.dtype)


def exploitability(game: Any, policies: Policies) -> Float[AnyArray, ""]:
    r"""$\sum_p\sum_s\mu_0(s)[\max_{\pi'}V_0^{\pi'}-V_0^\pi]$ against the flow of `policies`: what solvers steer by. Of
    a stationary game, in the mean over the law that `policies` settle in.

    The certificate computes the same by itself, with error bounds.
    """
    flow = flow_of(game, policies)

    total = jnp.zeros((), policies[0].dtype)
    for p, policy in enumerate(policies):
        gained = optimal_values(game, p, flow)[0] - evaluated(game, p, flow, policy)[0]
        begin = flow[p].sum(axis=-1) if game.horizon is None else jnp.asarray(game.initial[p], policy.dtype)
        total += jnp.sum(begin * (gained if game.horizon is None else gained[0]))
    return total


def mixed(
    log_policy: Float[AnyArray, "*HS A"], log_target: Float[AnyArray, "*HS A"], step_size: ScalarLike
) -> Float[Array, "*HS A"]:
    r"""(★) once (12) is computed: $\pi^{1-c}(\pi^*)^c$, normalised; what either rules out stays out, unless $c=1$."""
    ruled_out = (log_target == -jnp.inf) | ((log_policy == -jnp.inf) & (step_size < 1))
    scores = jnp.where(ruled_out, -jnp.inf, _weighted(1 - step_size, log_policy) + _weighted(step_size, log_target))
    return scores - jax.nn.logsumexp(scores, axis=-1, keepdims=True)


def largest_change(before: Policies, after: Policies) -> Float[Array, ""]:
    """Of a probability, over all populations."""
    pairs = zip(before, after, strict=True)
    return jnp.max(jnp.stack([jnp.abs(old - new).max() for old, new in pairs]))


def policy_of(flow: Float[AnyArray, "*H S A"], log_elsewhere: Float[AnyArray, "*H S A"]) -> Float[AnyArray, "*H S A"]:
    """The policy that leads to a flow; that of `log_elsewhere` where nobody is."""
    mass = jnp.sum(flow, axis=-1, keepdims=True)
    return jnp.where(mass > 0, flow / jnp.where(mass > 0, mass, 1.0), jnp.exp(log_elsewhere))


def uniform_policies(game: Any) -> Policies:
    """Every legal action equally likely."""
    lead = () if game.horizon is None else (game.horizon,)
    flat = (jnp.asarray(legal, float) for legal in game.legal)
    return tuple(jnp.broadcast_to(each / jnp.sum(each, -1, keepdims=True), (*lead, *each.shape)) for each in flat)


def random_policies(game: Any, key: PRNGKey) -> Policies:
    """Independent and uniform on every simplex of legal actions."""
    lead = () if game.horizon is None else (game.horizon,)
    drawn = []
    for p, legal in enumerate(game.legal):
        allowed = jnp.broadcast_to(jnp.asarray(legal), (*lead, *legal.shape))
        weights = jnp.where(allowed, jax.random.exponential(jax.random.fold_in(key, p), allowed.shape), 0.0)
        drawn.append(weights / jnp.sum(weights, axis=-1, keepdims=True))
    return tuple(drawn)


def _whole(transition: Any, mass: Float[AnyArray, " S"]) -> Float[AnyArray, " S"]:
    """Divided by its sum, whose rounding kernels that count on a sum of one would blow up."""
    return mass if transition.is_fixed else mass / jnp.sum(mass)


def _weighted(weight: ScalarLike, logs: AnyArray) -> Array:
    return jnp.asarray(weight) * jnp.where(logs == -jnp.inf, 0.0, logs)


def _backward(game: Any, population: int, flow: Policies, given: AnyArray, decide: Any) -> tuple:
    """Backward induction: `decide` makes values (S,), and what is kept (S, A), of action values and `given` there."""
    times = jnp.arange(game.horizon)
    kernels = game.transitions[population].at_each(times, flow)

    def step(value: Float[AnyArray, " S"], at: tuple) -> tuple:
        t, laws, reward, here, known = at
        kernel = game.transitions[population] if known is None else known
        q = reward + game.discount * kernel.expect(t, laws, value)
        value, kept = decide(q, here)
        return value, (value, kept)

    rewards = game.rewards(flow)[population]
    last = jnp.zeros(game.num_states, rewards.dtype)
    return jax.lax.scan(step, last, (times, flow, rewards, given, kernels), reverse=True)[1]

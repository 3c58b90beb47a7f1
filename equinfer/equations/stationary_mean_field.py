r"""Section 5.2 without a horizon: a discounted game whose population is at rest. Values are the fixed points of the
equations that backward induction goes through in `mean_field`, and the flow is the law that a policy settles in.

Arrays of population p are (S, A_p), its values (S,). Everything is dense in the states.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.types import AnyArray, ScalarLike

__all__ = ["chain_of", "kernel_at", "optimal", "played", "soft", "stationary_flow"]

_RESTART = 1e-6
"""Probability of starting anew, by which a law in the long run is approximated; what that costs is of its square."""
_MOST_SETTLING, _MOST_IMPROVEMENTS = 300, 60
_SAME = 1e-14

Laws = tuple[Float[AnyArray, "S _"], ...]


def kernel_at(game: Any, population: int, laws: Laws) -> Float[Array, "S A S"]:
    """The kernel of a population as a table."""
    transition = game.transitions[population]
    unit = jnp.eye(game.num_states, dtype=laws[0].dtype)
    return jnp.moveaxis(jax.vmap(lambda value: transition.expect(0, laws, value))(unit), 0, -1)


def chain_of(kernel: Float[AnyArray, "S A S"], policy: Float[AnyArray, "S A"]) -> Float[Array, "S S"]:
    """How states follow each other under a policy."""
    return jnp.einsum("sa,sax->sx", policy, kernel)


def stationary_flow(game: Any, policies: Laws) -> Laws:
    r"""The laws $L=\mu\pi$ with $\mu=\mu P_{\pi,L}$ that the populations come to rest in, from the initial ones: in the
    mean over time with dynamics of their own; where dynamics depend on the population, a limit of
    $\mu\leftarrow\frac12(\mu+\text{the law in the long run under }P_{\pi,L})$.
    """

    def joint(masses: tuple) -> Laws:
        return tuple(mass[:, None] * policy for mass, policy in zip(masses, policies, strict=True))

    def settled(masses: tuple) -> tuple:
        laws = joint(masses)
        return tuple(
            _in_the_long_run(chain_of(kernel_at(game, p, laws), policy), mass)
            for p, (policy, mass) in enumerate(zip(policies, masses, strict=True))
        )

    initial = tuple(jnp.asarray(mass, policies[0].dtype) for mass in game.initial)
    if game.has_fixed_dynamics:
        return joint(settled(initial))

    def moving(state: tuple) -> Any:
        count, _, change = state
        return (count < _MOST_SETTLING) & (change > _SAME)

    def step(state: tuple) -> tuple:
        count, masses, _ = state
        new = tuple((old + there) / 2 for old, there in zip(masses, settled(masses), strict=True))
        change = jnp.max(jnp.stack([jnp.abs(a - b).max() for a, b in zip(new, masses, strict=True)]))
        return count + 1, new, change

    return joint(jax.lax.while_loop(moving, step, (0, initial, jnp.asarray(jnp.inf, initial[0].dtype)))[1])


def _in_the_long_run(chain: Float[AnyArray, "S S"], initial: Float[AnyArray, " S"]) -> Float[Array, " S"]:
    """Of a chain that starts anew now and then, extrapolated to never."""

    def restarting(part: float) -> Float[Array, " S"]:
        found = jnp.linalg.solve((jnp.eye(len(chain), dtype=chain.dtype) - (1 - part) * chain).T, part * initial)
        return found / jnp.sum(found)

    mass = jnp.maximum(2 * restarting(_RESTART / 2) - restarting(_RESTART), 0.0)
    return mass / jnp.sum(mass)


def played(
    game: Any, population: int, flow: Laws, policy: Float[AnyArray, "S A"]
) -> tuple[Float[Array, " S"], Float[Array, "S A"]]:
    """Values and action values of `policy` in a population at rest in `flow`."""
    reward, kernel = game.rewards(flow)[population], kernel_at(game, population, flow)
    value = _evaluated(game, chain_of(kernel, policy), jnp.sum(policy * reward, axis=-1))
    return value, reward + game.discount * kernel @ value


def optimal(game: Any, population: int, flow: Laws) -> tuple[Float[Array, " S"], Float[Array, "S A"]]:
    """$V^*$ and $Q^*$ in a population at rest in `flow`, by policy iteration."""
    legal = game.legal[population]

    def decide(q: Float[AnyArray, "S A"]) -> tuple:
        best = jnp.argmax(jnp.where(legal, q, -jnp.inf), axis=-1)
        return jax.nn.one_hot(best, q.shape[-1], dtype=q.dtype), jnp.zeros(q.shape[0], q.dtype)

    value, q = _improved(game, population, flow, decide)
    return jnp.maximum(jnp.max(jnp.where(legal, q, -jnp.inf), axis=-1), value), q


def soft(
    game: Any,
    population: int,
    flow: Laws,
    respond: Callable[[AnyArray], tuple],
    log_magnet: Float[AnyArray, "S A"],
    temperature: ScalarLike,
) -> tuple[Float[AnyArray, " S"], Float[AnyArray, "S A"]]:
    r"""Values and logits of the soft response: the fixed point of $V=\tau\log\sum_a\tilde\pi e^{Q/\tau}$,
    $Q=r+\gamma PV$, by Newton's method: policy iteration with $-\tau\mathrm{KL}(\pi\|\tilde\pi)$ in the reward.

    **Arguments:** `respond(q)` makes the soft values (S,) and the logits (S, A).
    """

    def decide(q: Float[AnyArray, "S A"]) -> tuple:
        logits = respond(q)[1]
        policy = jnp.exp(logits)
        apart = jnp.where(policy > 0, policy * (logits - log_magnet), 0.0)
        return policy, -temperature * jnp.sum(apart, axis=-1)

    return respond(_improved(game, population, flow, decide)[1])


def _improved(
    game: Any, population: int, flow: Laws, decide: Callable[[AnyArray], tuple]
) -> tuple[Float[Array, " S"], Float[Array, "S A"]]:
    """Values and action values at the fixed point of policy iteration; `decide(q)` makes the policy (S, A) and what it
    is paid besides (S,).
    """
    reward, kernel = game.rewards(flow)[population], kernel_at(game, population, flow)

    def step(state: tuple) -> tuple:
        count, value, q, _ = state
        policy, besides = decide(q)
        new = _evaluated(game, chain_of(kernel, policy), jnp.sum(policy * reward, axis=-1) + besides)
        change = jnp.abs(new - value).max()
        return count + 1, new, reward + game.discount * kernel @ new, change > _SAME * jnp.abs(new).max()

    def going_on(state: tuple) -> Any:
        return (state[0] < _MOST_IMPROVEMENTS) & state[3]

    _, value, q, _ = jax.lax.while_loop(going_on, step, (0, jnp.zeros_like(reward[:, 0]), reward, jnp.asarray(True)))
    return value, q


def _evaluated(game: Any, chain: Float[AnyArray, "S S"], reward: Float[AnyArray, " S"]) -> Float[Array, " S"]:
    return jnp.linalg.solve(jnp.eye(len(chain), dtype=chain.dtype) - game.discount * chain, reward)

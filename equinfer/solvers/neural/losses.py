"""What one agent of MAI improves in a step: losses of its parts, none of which reaches another part's parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.data.arena import Arena
from equinfer.drivers.learning import Phase
from equinfer.nn.actions import Cloud
from equinfer.nn.networks import Critic
from equinfer.solvers.neural.minds import Mind
from equinfer.solvers.neural.optimism import moved
from equinfer.solvers.neural.thinking import Thinker
from equinfer.solvers.neural.views import View, value_loss
from equinfer.types import PRNGKey, ScalarLike

__all__ = ["answer_loss", "belief_loss", "burn_in_loss", "critic_loss", "holds_particles"]


def holds_particles(arena: Arena, optimistic: bool, looks: bool) -> bool:
    """Whether the joint Gibbs law of the burn-in is kept from step to step: where every decision is the same."""
    return optimistic and arena.is_still and arena.actions.is_continuous and not looks


def critic_loss(
    arena: Arena,
    phase: Phase,
    temperature: ScalarLike,
    mind: Mind,
    target: Critic,
    thinker: Thinker,
    view: View,
    discount: Float[Array, ""],
    key: PRNGKey,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """Of one agent: (9); and of what states are worth, as soon as play is its own."""
    goal = view.reward
    if arena.bootstraps:
        keys = jax.random.split(key, len(goal))
        value = jax.vmap(lambda seen, key: _value(thinker, mind, target, seen, temperature, key))(view.after, keys)
        goal = goal + discount * jnp.where(view.terminated, 0, jax.lax.stop_gradient(value))
    error = jnp.mean((mind.critic(view.observation, view.action) - goal) ** 2)
    if mind.value is None or view.lived is None:
        return 0.5 * error, {"critic_error": error}
    of_value, value = value_loss(mind.value, view.lived, discount)
    return 0.5 * error + jnp.where(phase.is_uniform, 0, of_value), {"critic_error": error, "value": value}


def belief_loss(
    arena: Arena, temperature: ScalarLike, mind: Mind, thinker: Thinker, view: View, key: PRNGKey
) -> tuple[Float[Array, ""], tuple[dict[str, Array], Cloud]]:
    """Of one agent: what the others do, and why; with its beliefs at each observation."""

    def think(seen: Array, done: Array, key: PRNGKey) -> tuple[Array, Array, Array, Cloud]:
        first, second = jax.random.split(key)
        prior = -_fit(thinker, mind, seen, done)
        inference, share, beliefs = thinker.infer(mind, seen, done, temperature, first)
        if not thinker.reasoning.infers:
            inference, beliefs = jnp.zeros_like(inference), _counted(arena, thinker, mind, seen, done, second)
        return prior, inference, share, jax.lax.stop_gradient(beliefs)

    keys = jax.random.split(key, len(view.lately))
    prior, inference, share, beliefs = jax.vmap(think)(view.lately, view.done, keys)
    told = {"prior": prior.mean(), "inference": inference.mean(), "samples": share.mean()}
    return prior.mean() + inference.mean(), (told, beliefs)


def answer_loss(
    arena: Arena,
    temperature: ScalarLike,
    mind: Mind,
    thinker: Thinker,
    view: View,
    beliefs: Cloud,
    joint: Float[Array, "P N D"],
    key: PRNGKey,
) -> tuple[Float[Array, ""], tuple[Float[Array, ""], Float[Array, "P N D"]]]:
    """Of one agent: (8) or (10)."""

    def think(seen: Array, beliefs: Cloud, key: PRNGKey) -> Float[Array, ""]:
        first, second = jax.random.split(key)
        contexts = arena.actions.contexts(first, beliefs, thinker.sizes.contexts)
        return thinker.respond(mind, seen, contexts, temperature, second)

    loss = jax.vmap(think)(view.lately, beliefs, jax.random.split(key, len(view.lately))).mean()
    return loss, (loss, joint)


def burn_in_loss(
    optimistic: bool,
    arena: Arena,
    temperature: ScalarLike,
    mind: Mind,
    thinker: Thinker,
    view: View,
    beliefs: Cloud,
    joint: Float[Array, "P N D"],
    key: PRNGKey,
) -> tuple[Float[Array, ""], tuple[Float[Array, ""], Float[Array, "P N D"]]]:
    """Of one agent, whose beliefs do not count yet."""
    keys = jax.random.split(key, len(view.lately))
    loss, particles = jax.vmap(
        lambda seen, key: _burn_in(arena, optimistic, thinker, mind, seen, joint, temperature, key)
    )(view.lately, keys)
    return loss.mean(), (loss.mean(), particles[0] if holds_particles(arena, optimistic, thinker.looks) else joint)


def _burn_in(
    arena: Arena,
    optimistic: bool,
    thinker: Thinker,
    mind: Mind,
    seen: Array,
    joint: Array,
    temperature: ScalarLike,
    key: PRNGKey,
) -> tuple[Float[Array, ""], Float[Array, "P N D"]]:
    """The actor's loss, towards a joint Gibbs law or the response to uniform play; and the particles of the law."""
    first, second, third = jax.random.split(key, 3)
    uniform = jax.vmap(lambda key, mask: arena.actions.candidates(key, None, mask, 64, 0))(
        jax.random.split(first, arena.agents - 1), thinker.mask[1:]
    )
    if not optimistic or thinker.looks:
        contexts = arena.actions.contexts(second, uniform, thinker.sizes.contexts)
        return thinker.respond(mind, seen, contexts, temperature, third), joint
    critic = jax.lax.stop_gradient(mind.critic)
    if not arena.actions.is_continuous:
        return -thinker.together(mind, seen, uniform, temperature, second), joint
    if not arena.is_still:
        joint = thinker.amortised(mind, seen, len(joint), second)
    for each in jax.random.split(third, 1 if arena.is_still else 4):
        joint = moved(critic, seen, joint, thinker.mask, temperature, each)
    return -thinker.law(mind, seen).log_prob(joint[:, 0]).mean(), joint


def _fit(thinker: Thinker, mind: Mind, seen: Array, done: Float[Array, "R J D"]) -> Float[Array, ""]:
    """Log-likelihood of what the others did, by the priors."""
    laws = thinker.priors(mind, seen)
    return jax.vmap(lambda law, did: law.log_prob(did).mean())(laws, done.swapaxes(0, 1)).sum()


def _counted(
    arena: Arena, thinker: Thinker, mind: Mind, seen: Array, done: Float[Array, "R J D"], key: PRNGKey
) -> Cloud:
    """What the others lately did, as it is; where observations differ, by the laws fitted to it."""
    if not arena.is_still:
        return thinker.prior_clouds(mind, seen, thinker.sizes.contexts, key)
    did = done.swapaxes(0, 1)
    if arena.actions.is_continuous:
        return Cloud(did, jnp.zeros(did.shape[:2], did.dtype))
    eye = jnp.broadcast_to(jnp.eye(did.shape[-1], dtype=did.dtype), (len(did), did.shape[-1], did.shape[-1]))
    return Cloud(eye, jnp.log(did.mean(axis=1)))


def _value(
    thinker: Thinker, mind: Mind, target: Critic, seen: Array, temperature: ScalarLike, key: PRNGKey
) -> Float[Array, ""]:
    r"""$\bar V$ of (9): my policy against the laws fitted to the others, entropies relative to the uniform law."""
    first, second, third = jax.random.split(key, 3)
    priors = thinker.prior_clouds(mind, seen, 8, first)
    contexts = thinker.actions.contexts(second, priors, 8)
    mine = thinker.mine(mind, seen, priors, 8, third)
    chances = jax.nn.softmax(mine.log_weights)
    reached = eqx.tree_at(lambda tree: tree.critic, mind, target)
    worth = thinker.scores(reached, seen, mine.points, contexts)
    if thinker.looks:
        return chances @ worth
    surprise = thinker.law(mind, seen).log_prob(mine.points) + thinker.log_volume(thinker.mask[0])
    return jnp.where(chances > 0, chances * (worth - temperature * surprise), 0).sum()

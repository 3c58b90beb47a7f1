r"""Regularised opponent modelling with maximum-entropy objective (Tian et al. 2019), the closest relative of MAI.

A conditional policy $\pi(a^i\mid o,\hat a)$, an amortised model $\rho(\hat a\mid o)$ that is trained towards what
agent i *wants* the others to do, kept near a prior fitted to what they lately did, and a critic of its own reward.
"""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.data.arena import Arena, own_first
from equinfer.data.replay import Replay
from equinfer.drivers.learning import AbstractLearner, Phase, Phases, Prediction, annealed, decayed
from equinfer.nn.actions import mixed_log_prob
from equinfer.nn.descent import begun, descended, followed, learnt_from
from equinfer.nn.laws import Law, SquashedGaussian
from equinfer.nn.networks import Critic, Network
from equinfer.types import PRNGKey, ScalarLike

__all__ = ["ROMMEO", "ROMMEOState"]

_IMAGINED = 512
"""Draws of what the others do, over which a policy is averaged to be judged."""


class RommeoMind(eqx.Module):
    """Of one agent, or with a leading axis of all."""

    critic: Critic
    actor: Network
    model: Network
    r"""(J, ...) $\rho$, of each of the others."""
    prior: Network
    """(J, ...)"""


class ROMMEOState(NamedTuple):
    """What the next step needs."""

    mind: RommeoMind
    target: Critic
    moments: Any


class ROMMEO(AbstractLearner[ROMMEOState]):
    r"""ROMMEO-AC. Per agent: prior by maximum likelihood; model by $\log\rho-\log P-Q+\tau\log\pi$, policy by
    $\tau\log\pi-Q$, both through reparameterised draws, for moves by sums; critic by (9) with all its terms, in
    which the policy's entropy is absolute, as published, and every step earns it.
    """

    predicts: ClassVar[bool] = True
    knows_laws: ClassVar[bool] = True
    temperature: float = 500.1
    final_temperature: float = 0.1
    annealing: float = 0.1
    """Per step after the uniform ones."""
    prior_weight: float = 1e-3
    """On the squares of the laws' means; the public code takes 1 for the prior, by mistake."""
    first_deviation: float = 1.0
    """Of the laws over boxes before anything is learnt, and before squashing."""
    uniform_steps: int = 0
    eager: bool = False
    """Policies and models learn in uniform play too."""
    learn_from: int = 10
    hidden: int = 100
    batch: int = 512
    rate: float = 1e-2
    final_rate: float = 1.0
    """By what it has fallen at the end, evenly after uniform play."""
    polyak: float = 0.01

    def phases(self, steps: int) -> Phases:
        return Phases.of(steps, self.uniform_steps, 0)

    def init(self, arena: Arena, *, key: PRNGKey) -> ROMMEOState:
        agents, actions, seen = arena.agents, arena.actions, arena.observation_size
        others = agents - 1

        def law_of(inputs: int, key: PRNGKey) -> Network:
            network = Network(inputs, actions.outputs, self.hidden, key=key, last_scale=0.1)
            if not actions.is_continuous:
                return network
            wide = jnp.arange(actions.outputs) >= actions.size
            spread = jnp.where(wide, jnp.asarray(SquashedGaussian.output_of(self.first_deviation), jnp.float32), 0)
            return eqx.tree_at(lambda tree: tree.biases[-1], network, spread)

        def one(key: PRNGKey) -> RommeoMind:
            critic, actor, model, prior = jax.random.split(key, 4)
            law = jax.vmap(lambda key: law_of(seen, key))
            return RommeoMind(
                Critic(seen, agents, actions.size, self.hidden, key=critic),
                law_of(seen + others * actions.size, actor),
                law(jax.random.split(model, others)),
                law(jax.random.split(prior, others)),
            )

        mind = jax.vmap(one)(jax.random.split(key, agents))
        return ROMMEOState(mind, mind.critic, begun(mind))

    def chosen(
        self, arena: Arena, state: ROMMEOState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        keys = jax.random.split(key, arena.agents)
        masks = arena.masks_seen

        def one(mind: RommeoMind, seen: Array, mask: Array, key: PRNGKey) -> Float[Array, " D"]:
            first, second = jax.random.split(key)
            imagined = self._laws(arena, mind.model, seen, mask)
            context = jax.vmap(lambda law, key: law.sample(key, 1)[0])(imagined, jax.random.split(first, len(mask) - 1))
            return self._policy(arena, mind, seen, context, mask).sample(second, 1)[0]

        return jax.vmap(one)(state.mind, observation, masks, keys)

    def mode(
        self, arena: Arena, state: ROMMEOState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        masks = arena.masks_seen

        def one(mind: RommeoMind, seen: Array, mask: Array) -> Float[Array, " D"]:
            context = jax.vmap(lambda law: law.mode())(self._laws(arena, mind.model, seen, mask))
            return self._policy(arena, mind, seen, context, mask).mode()

        return jax.vmap(one)(state.mind, observation, masks)

    def laws(
        self, arena: Arena, state: ROMMEOState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        eye = jnp.eye(arena.actions.size, dtype=jnp.float32)
        every = jnp.broadcast_to(eye[:, None], (len(eye), arena.agents, len(eye)))
        told = self.predictions(arena, state, observation, every, phase.steps, phase, key=key).executed
        return jnp.where(jnp.asarray(arena.actions.mask), jnp.exp(told), 0)

    def knows_exactly(self, arena: Arena) -> bool:
        return arena.actions.are_summed(arena.agents - 1)

    def predictions(
        self,
        arena: Arena,
        state: ROMMEOState,
        observation: Float[Array, "N O"],
        done: Float[Array, "R N D"],
        step: Int[Array, ""],
        phase: Phase,
        *,
        key: PRNGKey,
    ) -> Prediction:
        r"""The models $\rho$, which are wishes, and the policies averaged over them."""

        def one(mind: RommeoMind, seen: Array, mask: Array, done: Array, key: PRNGKey) -> Prediction:
            first, second = jax.random.split(key)
            laws = self._laws(arena, mind.model, seen, mask)
            clouds = jax.vmap(arena.actions.cloud, in_axes=(0, 0, 0, None))(
                jax.random.split(first, len(mask) - 1), laws, mask[1:], _IMAGINED
            )
            believed = jax.vmap(lambda law, did: law.log_prob(did))(laws, done[:, 1:].swapaxes(0, 1))
            contexts = arena.actions.contexts(second, clouds, _IMAGINED)
            policy = lambda context: self._policy(arena, mind, seen, context, mask)  # noqa: E731
            return Prediction(mixed_log_prob(policy, contexts, done[:, 0]), believed, clouds)

        own = jnp.moveaxis(done[:, own_first(arena.agents)], 1, 0)
        keys = jax.random.split(key, arena.agents)
        return jax.vmap(one)(state.mind, observation, arena.masks_seen, own, keys)

    def learn(
        self, arena: Arena, state: ROMMEOState, replay: Replay, step: Int[Array, ""], phase: Phase, *, key: PRNGKey
    ) -> tuple[ROMMEOState, dict[str, Any]]:
        draw, recent, improve = jax.random.split(key, 3)
        order = jnp.asarray(own_first(arena.agents))
        batch, late = replay.draw(draw, self.batch), replay.draw(recent, self.batch, self.batch)
        masks = arena.masks_seen
        temperature = annealed(self.temperature, self.final_temperature, self.annealing, step, phase.since_uniform)

        def loss(
            mind: RommeoMind, target: Critic, mine: Array, mask: Array, gamma: Array, key: PRNGKey
        ) -> tuple[Array, Any]:
            ahead, think = jax.random.split(key)
            seen = batch.observation[:, mine[0]]
            goal = batch.reward[:, mine[0]]
            if arena.bootstraps:
                value = jax.vmap(lambda seen, key: self._terms(arena, mind, target, seen, mask, temperature, key)[2])
                after = value(batch.after[:, mine[0]], jax.random.split(ahead, self.batch))
                goal = goal + gamma * jnp.where(batch.terminated, 0, after)
            error = mind.critic(seen, batch.action[:, mine]) - jax.lax.stop_gradient(goal)
            fitted = self._laws(arena, mind.prior, late.observation[:, mine[0]], mask)
            did = late.action[:, mine[1:]].swapaxes(0, 1)
            prior = -jax.vmap(lambda law, did: law.log_prob(did).mean())(fitted, did).sum()
            outputs = [jnp.where(jnp.isfinite(leaf), leaf, 0) for leaf in jax.tree.leaves(fitted[:1])]  # of real moves
            prior = prior + self.prior_weight * sum((leaf**2).mean() for leaf in outputs)
            critic = jax.lax.stop_gradient(mind.critic)
            terms = jax.vmap(lambda seen, key: self._terms(arena, mind, critic, seen, mask, temperature, key)[:2])
            model, actor = terms(seen, jax.random.split(think, self.batch))
            improves = prior + model.mean() + actor.mean()
            total = 0.5 * (error**2).mean() + jnp.where(phase.is_uniform & (not self.eager), 0, improves)
            return total, {"critic_error": (error**2).mean(), "actor": actor.mean(), "model": model.mean()}

        discount = jnp.asarray(arena.game.discount, jnp.float32)
        gradients, info = jax.vmap(eqx.filter_grad(loss, has_aux=True))(
            state.mind, state.target, order, masks, discount, jax.random.split(improve, arena.agents)
        )
        rate = self.rate * decayed(self.final_rate, step, phase)
        rates: dict[str, ScalarLike] = dict.fromkeys(("critic", "actor", "model", "prior"), rate)
        mind, moments = descended(state.mind, gradients, state.moments, rates)
        target = followed(state.target, mind.critic, self.polyak)
        kept = learnt_from(step >= self.learn_from, ROMMEOState(mind, target, moments), state)
        return kept, {**info, "temperature": jnp.broadcast_to(temperature, (arena.agents,))}

    def _terms(
        self, arena: Arena, mind: RommeoMind, critic: Critic, seen: Array, mask: Array, temperature: Array, key: PRNGKey
    ) -> tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""]]:
        """At one observation: the model's loss, the policy's, and the value of (9)."""
        first, second, third = jax.random.split(key, 3)
        model = self._laws(arena, mind.model, seen, mask)
        prior = jax.lax.stop_gradient(self._laws(arena, mind.prior, seen, mask))
        clouds = jax.vmap(arena.actions.cloud, in_axes=(0, 0, 0, None))(
            jax.random.split(first, len(mask) - 1), model, mask[1:], 1
        )
        contexts = arena.actions.contexts(second, clouds, 1)
        keys = jax.random.split(third, len(contexts.weights))

        def away(context: Float[Array, "J D"]) -> Float[Array, ""]:
            return jax.vmap(lambda law, base, did: law.log_prob(did) - base.log_prob(did))(model, prior, context).sum()

        def regret(mind: RommeoMind, context: Float[Array, "J D"], key: PRNGKey) -> Float[Array, ""]:
            policy = self._policy(arena, mind, seen, context, mask)
            cloud = arena.actions.cloud(key, policy, mask[0], 1)
            joint = jax.vmap(lambda own: jnp.concatenate([own[None], context]))(cloud.points)
            worth = critic.at(seen, joint)
            return _mean(jax.nn.softmax(cloud.log_weights), temperature * policy.log_prob(cloud.points) - worth)

        held = eqx.tree_at(lambda tree: tree.actor, mind, jax.lax.stop_gradient(mind.actor))
        surprise = jax.vmap(away)(contexts.points)
        wanted = jax.vmap(regret, in_axes=(None, 0, 0))(held, contexts.points, keys)
        still = jax.lax.stop_gradient(contexts)
        own = jax.vmap(regret, in_axes=(None, 0, 0))(mind, still.points, keys)
        return (
            _mean(contexts.weights, surprise + wanted),
            _mean(still.weights, own),
            -_mean(still.weights, surprise + own),
        )

    def _laws(self, arena: Arena, networks: Network, seen: Float[Array, "*B O"], mask: Array) -> Law:
        """(J, ...) of the others."""
        outputs = jax.vmap(lambda network: network(seen))(networks)
        return jax.vmap(arena.actions.law)(outputs, mask[1:])

    def _policy(self, arena: Arena, mind: RommeoMind, seen: Array, context: Float[Array, "J D"], mask: Array) -> Law:
        return arena.actions.law(mind.actor(jnp.concatenate([seen, context.ravel()])), mask[0])


def _mean(weights: Float[Array, " K"], values: Float[Array, " K"]) -> Float[Array, ""]:
    """Of what can happen."""
    return jnp.where(weights > 0, weights * values, 0).sum()

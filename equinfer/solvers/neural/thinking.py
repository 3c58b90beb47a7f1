r"""What one agent of MAI works out at one observation: how the others act, and how it should.

Equations (5), (8) and (10), and (6)-(7) in two forms, as sums over weighted candidates: all moves, or for boxes
self-normalised importance sampling from a mixture of the uniform law and the agent's own model.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equinfer.nn.actions import AbstractActions, Cloud, Contexts
from equinfer.nn.laws import Law
from equinfer.nn.networks import Critic, Network
from equinfer.opponents.learners import Reasoning, conditional_loss, trajectory_loss
from equinfer.solvers.neural.minds import Mind
from equinfer.types import PRNGKey, ScalarLike

__all__ = ["Sizes", "Thinker"]


class Sizes(NamedTuple):
    """How many candidates, and draws, stand for a sum."""

    spread: int = 32
    near: int = 32
    others_near: int = 16
    contexts: int = 32
    expectation: int = 16
    """Draws of what another agent is thought to expect."""


class Thinker(eqx.Module):
    """Of one agent, at one observation; own things first, then the others', J of them."""

    actions: AbstractActions
    reasoning: Reasoning = eqx.field(static=True)
    actor: str = eqx.field(static=True)
    looks: bool = eqx.field(static=True)
    """Whether the policy is conditional: it responds to one prediction, and not to the belief."""
    sizes: Sizes = eqx.field(static=True)
    mask: Bool[Array, "*B N D"]

    @property
    def others(self) -> int:
        return len(self.mask) - 1

    @property
    def acts_by_network(self) -> bool:
        """Whether the actor's law is what is executed, and not an answer to what is thought of the others each time."""
        return not self.looks and self.actor != "gibbs"

    def law(self, mind: Mind, seen: Float[Array, " O"], context: Float[Array, "J D"] | None = None) -> Law:
        """The actor's; `context` is what a conditional one responds to."""
        if self.looks:
            assert context is not None
            seen = jnp.concatenate([seen, context.ravel()])
        return self.actions.law(mind.actor(seen), self.mask[0])

    def priors(self, mind: Mind, seen: Float[Array, " O"]) -> Law:
        """(J, D) laws fitted to what the others did."""
        outputs = jax.vmap(lambda network: network(seen))(mind.priors)
        return jax.vmap(self.actions.law)(outputs, self.mask[1:])

    def prior_clouds(self, mind: Mind, seen: Float[Array, " O"], count: int, key: PRNGKey) -> Cloud:
        keys = jax.random.split(key, self.others)
        return jax.vmap(self.actions.cloud, in_axes=(0, 0, 0, None))(
            keys, self.priors(mind, seen), self.mask[1:], count
        )

    def mine(self, mind: Mind, seen: Float[Array, " O"], others: Cloud, count: int, key: PRNGKey) -> Cloud:
        """What I do, against what I think that the others do."""
        first, second = jax.random.split(key)
        if not self.looks:
            return self.actions.cloud(first, self.law(mind, seen), self.mask[0], count)
        contexts = self.actions.contexts(first, others, count)
        laws = jax.vmap(lambda context: self.law(mind, seen, context))(contexts.points)
        keys = jax.random.split(second, len(contexts.weights))
        clouds = jax.vmap(lambda key, law: self.actions.cloud(key, law, self.mask[0], 1))(keys, laws)
        return _mixed(clouds, contexts.weights)

    @property
    def slots(self) -> Int[np.ndarray, "J J"]:
        """Row j - 1: everybody but the other agent j, me first."""
        return np.array([[0, *(k for k in range(1, self.others + 1) if k != j)] for j in range(1, self.others + 1)])

    def everybody(self, mind: Mind, seen: Float[Array, " O"], first: PRNGKey, second: PRNGKey) -> Cloud:
        """(1 + J, ...) What I do, and the laws fitted to the others, as another agent is thought to expect them."""
        priors = self.prior_clouds(mind, seen, self.sizes.expectation, first)
        mine = self.mine(mind, seen, priors, self.sizes.expectation, second)
        every = jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), mine, priors)
        return jax.lax.stop_gradient(every)

    def supposed(
        self,
        mind: Mind,
        seen: Float[Array, " O"],
        j: int | Int[Array, ""],
        slot: Int[Array, " J"],
        delta: Network,
        trust: Float[Array, ""],
        points: Float[Array, "K D"],
        expects: Contexts,
    ) -> tuple[Float[Array, " K"], Float[Array, " K"]]:
        r"""What the other agent j is thought to be paid for each of its actions, and the part of it that is its own,
        $\delta$.
        """
        if self.looks and self.reasoning.expects_answers:
            shared = self._answered(mind, seen, j, points, slot, expects)
        else:
            shared = _worths(mind.critic, seen, j, points, slot, expects.points) @ expects.weights
        own = delta(jnp.concatenate([jnp.broadcast_to(seen[None], (len(points), len(seen))), points], axis=1))[:, 0]
        if not self.reasoning.learns_rewards:
            own = jnp.zeros_like(own)
        return trust * shared + own, own

    def infer(
        self,
        mind: Mind,
        seen: Float[Array, " O"],
        done: Float[Array, "R J D"],
        temperature: ScalarLike,
        key: PRNGKey,
    ) -> tuple[Float[Array, ""], Float[Array, ""], Cloud]:
        r"""Algorithm 3 at one observation, where the others did `done`: the loss whose minimum in $w$ and $\delta$ is
        reward inference, the effective sample size of (6)'s weights (1 where there are none), and the posteriors (5).
        """
        keys = jax.random.split(key, 3 + self.others)
        every = self.everybody(mind, seen, keys[0], keys[1])

        def about(
            j: Array, slot: Array, law: Law, mask: Array, delta: Network, trust: Array, did: Array, key: PRNGKey
        ) -> tuple[Array, Array, Cloud]:
            first, second = jax.random.split(key)
            law = jax.lax.stop_gradient(law)
            cloud = self.actions.candidates(first, law, mask, self.sizes.spread, self.sizes.others_near)
            expects = self.actions.contexts(
                second, jax.tree.map(lambda leaf: leaf[slot], every), self.sizes.expectation
            )
            points = jnp.concatenate([cloud.points, did])
            if not self.reasoning.learns_trust:
                trust = jax.lax.stop_gradient(trust)
            reward, own = self.supposed(mind, seen, j, slot, delta, trust, points, expects)
            scores, observed = reward[: len(cloud.points)], reward[len(cloud.points) :]
            log_weights = cloud.log_weights
            if self.reasoning.by_trajectory:
                log_weights = log_weights + law.log_prob(cloud.points) + self.log_volume(mask)
                loss, share = trajectory_loss(observed, scores, log_weights, temperature)
            else:
                loss, share = conditional_loss(observed, scores, log_weights, temperature), jnp.ones((), jnp.float32)
            loss = loss + 0.01 * jnp.mean((own / temperature) ** 2) + 0.01 * (trust - 1) ** 2
            posterior = Cloud(cloud.points, jax.lax.stop_gradient(scores / temperature + log_weights))
            return loss, share, posterior

        loss, share, beliefs = jax.vmap(about)(
            jnp.arange(1, self.others + 1),
            jnp.asarray(self.slots),
            self.priors(mind, seen),
            self.mask[1:],
            mind.rewards,
            mind.trust,
            done.swapaxes(0, 1),
            keys[3:],
        )
        return loss.sum(), share.mean(), beliefs

    def respond(
        self, mind: Mind, seen: Float[Array, " O"], contexts: Contexts, temperature: ScalarLike, key: PRNGKey
    ) -> Float[Array, ""]:
        """The actor's loss: what is left between its law and the soft best response, (8) or its other direction."""
        if not self.looks:
            law = self.law(mind, seen)
            return self._distance(mind, seen, law, contexts, temperature, key)
        keys = jax.random.split(key, len(contexts.weights))

        def one(context: Float[Array, "J D"], key: PRNGKey) -> Float[Array, ""]:
            alone = Contexts(context[None], jnp.ones(1, context.dtype))
            return self._distance(mind, seen, self.law(mind, seen, context), alone, temperature, key)

        return contexts.weights @ jax.vmap(one)(contexts.points, keys)

    def response(
        self,
        mind: Mind,
        seen: Float[Array, " O"],
        law: Law,
        contexts: Contexts,
        temperature: ScalarLike,
        key: PRNGKey,
    ) -> Cloud:
        """The soft best response to `contexts`: candidates, some of which `law` proposes, and their weights."""
        cloud = self.actions.candidates(key, law, self.mask[0], self.sizes.spread, self.sizes.near)
        cloud = jax.lax.stop_gradient(cloud)
        return Cloud(cloud.points, self.scores(mind, seen, cloud.points, contexts) / temperature + cloud.log_weights)

    def scores(
        self, mind: Mind, seen: Float[Array, " O"], points: Float[Array, "K D"], contexts: Contexts
    ) -> Float[Array, " K"]:
        """What own actions are worth against the contexts."""
        return self._against(mind, seen, points, contexts) @ contexts.weights

    def _against(
        self, mind: Mind, seen: Float[Array, " O"], points: Float[Array, "K D"], contexts: Contexts
    ) -> Float[Array, "K L"]:
        """What own actions are worth in each of the contexts."""
        return _worths(mind.critic, seen, 0, points, np.arange(1, self.others + 1), contexts.points)

    def together(
        self, mind: Mind, seen: Float[Array, " O"], uniform: Cloud, temperature: ScalarLike, key: PRNGKey
    ) -> Float[Array, ""]:
        r"""Of moves: the actor's log-likelihood under the own marginal of the joint Gibbs law $\exp(Q/\tau)$."""
        others = self.actions.contexts(key, uniform, self.sizes.contexts)
        own = self.actions.candidates(key, None, self.mask[0], 0, 0)
        each = self._against(mind, seen, own.points, others) / temperature
        marginal = jax.nn.logsumexp(each + jnp.log(others.weights)[None], axis=1)
        weights = jax.nn.softmax(marginal + own.log_weights)
        return jnp.where(weights > 0, weights * self.law(mind, seen).log_prob(own.points), 0).sum()

    def amortised(self, mind: Mind, seen: Float[Array, " O"], count: int, key: PRNGKey) -> Float[Array, "count N D"]:
        """Joint actions by the agent's own policy and the laws fitted to the others."""
        first, second, third = jax.random.split(key, 3)
        others = self.actions.contexts(first, self.prior_clouds(mind, seen, count, third), count)
        own = self.law(mind, seen).sample(second, count)
        return jnp.concatenate([own[:, None], others.points], axis=1)

    def _answered(
        self,
        mind: Mind,
        seen: Float[Array, " O"],
        j: int | Int[Array, ""],
        points: Float[Array, "K D"],
        slot: Int[Array, " J"],
        expects: Contexts,
    ) -> Float[Array, " K"]:
        """What agent j's `points` are worth to me when I answer them, in boxes by the median of my policy, the rest
        doing as j expects.
        """
        mind = jax.lax.stop_gradient(mind)

        def one(point: Float[Array, " D"], rest: Float[Array, "J D"]) -> Float[Array, ""]:
            others = jnp.zeros((self.others, len(point)), point.dtype).at[j - 1].set(point)
            others = others.at[slot[1:] - 1].set(rest[1:])  # the first is me
            law = self.law(mind, seen, others)
            if self.actions.is_continuous:
                answers, chances = law.mode()[None], jnp.ones(1, point.dtype)
            else:
                answers = jnp.eye(len(point), dtype=point.dtype)
                chances = jnp.where(self.mask[0], jnp.exp(law.log_prob(answers)), 0)
            return chances @ self.scores(mind, seen, answers, Contexts(others[None], jnp.ones(1, point.dtype)))

        each = jax.vmap(jax.vmap(one, in_axes=(None, 0)), in_axes=(0, None))
        return each(points, expects.points) @ expects.weights

    def _distance(
        self, mind: Mind, seen: Array, law: Law, contexts: Contexts, temperature: ScalarLike, key: PRNGKey
    ) -> Float[Array, ""]:
        if self.actor == "reparameterised":
            cloud = self.actions.cloud(key, law, self.mask[0], self.sizes.near)
            regret = temperature * law.log_prob(cloud.points) - self.scores(mind, seen, cloud.points, contexts)
            chances = jax.nn.softmax(cloud.log_weights)
            return jnp.where(chances > 0, chances * regret, 0).sum()
        target = jax.lax.stop_gradient(self.response(mind, seen, law, contexts, temperature, key))
        weights = jax.nn.softmax(target.log_weights)
        return -jnp.where(weights > 0, weights * law.log_prob(target.points), 0).sum()

    def log_volume(self, mask: Bool[Array, " D"]) -> ScalarLike:
        """Of the box, or of the number of moves: minus the log of the uniform law, to which it makes laws relative."""
        real = mask.sum(dtype=jnp.float32)
        return jnp.log(2.0) * real if self.actions.is_continuous else jnp.log(real)


def _worths(
    critic: Critic,
    seen: Array,
    agent: int | Array,
    points: Float[Array, "K D"],
    slots: Array | np.ndarray,
    contexts: Float[Array, "L J D"],
) -> Float[Array, "K L"]:
    """Q of one agent's `points` beside what the agents in `slots` do. No gradient reaches the critic."""
    critic = jax.lax.stop_gradient(critic)
    rest = critic.seen(seen[None])
    for k in range(len(slots)):
        rest = rest + critic.done(slots[k], contexts[:, k])
    return critic.worth(critic.done(agent, points)[:, None] + rest[None])


def _mixed(clouds: Cloud, weights: Float[Array, " L"]) -> Cloud:
    """A mixture of L laws, from one draw each, or from all that each can do."""
    if clouds.points.shape[1] == 1:
        return Cloud(clouds.points[:, 0], jnp.log(weights))
    chances = jnp.einsum("l,lk->k", weights, jax.nn.softmax(clouds.log_weights, axis=-1))
    return Cloud(clouds.points[0], jnp.log(chances))

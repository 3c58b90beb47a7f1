r"""Multi-agent actor-critic inference: Algorithms 2 and 3, for agents that see their own rewards and what others do."""

import functools
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.data.arena import Arena, own_first
from equinfer.data.replay import Replay
from equinfer.drivers.learning import EVERY, AbstractLearner, Phase, Phases, Prediction, annealed, decayed
from equinfer.errors import BadInput
from equinfer.nn.actions import Cloud
from equinfer.nn.descent import begun, descended, followed, learnt_from
from equinfer.nn.laws import uniform_index
from equinfer.nn.networks import Critic
from equinfer.opponents.learners import LEARNERS, trust_bounds
from equinfer.solvers.neural.losses import answer_loss, belief_loss, burn_in_loss, critic_loss, holds_particles
from equinfer.solvers.neural.minds import Mind
from equinfer.solvers.neural.predictions import THOUGHTS, believed_law, executed_law
from equinfer.solvers.neural.reward_scale import RewardScale
from equinfer.solvers.neural.thinking import Sizes, Thinker
from equinfer.solvers.neural.views import Lived, View
from equinfer.types import PRNGKey, ScalarLike

__all__ = ["MAI", "MAIState"]


class MAIState(NamedTuple):
    """What the next step needs."""

    mind: Mind
    """Leading axis: agents."""
    target: Critic
    """Follows the critics slowly; bootstraps."""
    moments: Any
    """Adam's."""
    joint: Float[Array, "N P N D"]
    """Particles of each agent's joint Gibbs law, its own actions first."""
    scale: RewardScale
    played: Float[Array, "N D"] | None
    """In one-shot games of moves: the sum of the laws that moves were drawn from since the last evaluation."""


class MAI(AbstractLearner[MAIState]):
    r"""Each agent: a critic of its own reward (9), a model of the others (5)-(7), a policy that responds to it (8).

    One step of `learn` improves everything once. Where we depart from the paper: the policy is *marginal*, it answers
    its belief and not one draw of it; the KL to the others' unknown policy is left out of the value (theory, E8);
    rewards are inferred by conditional likelihood, for which `opponent="trajectory"` has (6)-(7); the temperature is
    everywhere. `actor="reparameterised"` is (10) itself, `"forward_kl"` fits the same target in the other direction,
    `"gibbs"` plays it without a network.

    It begins with uniform play, in which the critics learn; then comes the burn-in, in which agents act as if all
    wanted what they want (`optimistic`), or as if the others went on at random; then full play.
    """

    is_large: ClassVar[bool] = True
    predicts: ClassVar[bool] = True
    knows_laws: ClassVar[bool] = True
    opponent: str = "inferred"
    policy: str = "marginal"
    actor: str = "forward_kl"
    optimistic: bool = True
    standardised: bool = True
    """Rewards are brought to a standard deviation of 10 under uniform play."""
    temperature: float = 0.25
    final_temperature: float = 0.05
    annealing: float = 0.002
    """Per step of full play: how fast the one falls to the other."""
    uniform_steps: int = 2700
    burn_in: int = 800
    hidden: int = 32
    batch: int = 64
    window: int = 50
    """Steps to which opponent models are fitted, all after the uniform ones: beliefs must be quicker than policies."""
    moves_window: int = 25
    """The same in games of moves, of which a few steps tell the frequencies."""
    learn_from: int = 64
    critic_rate: float = 1e-2
    actor_rate: float = 3e-3
    prior_rate: float = 1e-2
    trust_rate: float = 3e-2
    reward_rate: float = 3e-3
    moves_actor_rate: float = 1e-2
    """In games of moves, whose sums are less noisy. Where equilibria are mixed, who answers late goes in circles."""
    moves_reward_rate: float = 3e-2
    final_rate: float = 0.1
    """By what all rates have fallen at the end, in full play."""
    polyak: float = 0.01
    observations: int = 8
    """At how many observations an agent thinks in a step, where they differ."""
    particles: int = 32
    sizes: Sizes = eqx.field(default=Sizes(), static=True)

    def phases(self, steps: int) -> Phases:
        return Phases.of(steps, self.uniform_steps, self.burn_in)

    def init(self, arena: Arena, *, key: PRNGKey) -> MAIState:
        if arena.agents < 2:
            raise BadInput("mai models the others, and this game has one agent; try iddpg or masql.")
        minds, joint = jax.random.split(key)
        agents, actions = arena.agents, arena.actions
        model = LEARNERS[self.opponent]
        mind = jax.vmap(
            lambda key: Mind.new(
                agents,
                arena.observation_size,
                actions.size,
                actions.outputs,
                self.hidden,
                model.trust,
                self.policy == "conditional",
                key,
                arena.drifts,
            )
        )(jax.random.split(minds, agents))
        masks = jnp.asarray(actions.mask[own_first(agents)])
        shape = (agents, self.particles, agents, actions.size)
        particles = jax.random.uniform(joint, shape, jnp.float32, -1.0, 1.0)
        particles = jnp.where(masks[:, None], particles, 0)
        zeros = jnp.zeros(agents, jnp.float32)
        scale = RewardScale(jnp.zeros((), jnp.float32), zeros, zeros)
        played = jnp.zeros((agents, actions.size), jnp.float32) if self._counts(arena) else None
        return MAIState(mind, mind.critic, begun(mind), particles, scale, played)

    def chosen(
        self, arena: Arena, state: MAIState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        keys = jax.random.split(key, arena.agents)

        def own() -> Float[Array, "N D"]:
            drawn = jax.vmap(lambda *each: self._drawn(arena, *each))
            return drawn(self._thinkers(arena), state.mind, observation, keys)

        def wished() -> Float[Array, "N D"]:
            return jax.vmap(lambda key, joint: joint[uniform_index(key, (), len(joint)), 0])(keys, state.joint)

        if not holds_particles(arena, self.optimistic, self.policy == "conditional"):
            return own()
        return jax.lax.cond(phase.is_burn_in, wished, own)

    def mode(
        self, arena: Arena, state: MAIState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        """What is likeliest: the actor's median, or where the response is highest."""
        keys = jax.random.split(key, arena.agents)

        def one(thinker: Thinker, mind: Mind, seen: Array, key: PRNGKey) -> Float[Array, " D"]:
            first, second, third = jax.random.split(key, 3)
            beliefs = self._beliefs(arena, thinker, mind, seen, first)
            if self.policy == "conditional":
                best = beliefs.log_weights.argmax(axis=-1)
                context = jnp.take_along_axis(beliefs.points, best[:, None, None], axis=1)[:, 0]
                return thinker.law(mind, seen, context).mode()
            if self.actor != "gibbs":
                return thinker.law(mind, seen).mode()
            contexts = arena.actions.contexts(second, beliefs, 4 * self.sizes.contexts)
            fine = arena.actions.candidates(third, thinker.law(mind, seen), thinker.mask[0], 401, 0)
            scores = thinker.scores(mind, seen, fine.points, contexts)
            return fine.points[jnp.where(jnp.isfinite(fine.log_weights), scores, -jnp.inf).argmax()]

        return jax.vmap(one)(self._thinkers(arena), state.mind, observation, keys)

    def predictions(
        self,
        arena: Arena,
        state: MAIState,
        observation: Float[Array, "N O"],
        done: Float[Array, "R N D"],
        step: Int[Array, ""],
        phase: Phase,
        *,
        key: PRNGKey,
    ) -> Prediction:
        """The posteriors at the temperature of that step, and the laws that are acted by."""
        temperature = annealed(self.temperature, self.final_temperature, self.annealing, step, phase.play_from)

        def one(thinker: Thinker, mind: Mind, seen: Array, done: Array, key: PRNGKey) -> Prediction:
            first, second = jax.random.split(key)
            believed, clouds = believed_law(thinker, mind, seen, done[:, 1:], temperature, first)
            anew = lambda key: self._beliefs(arena, thinker, mind, seen, key)  # noqa: E731
            executed = executed_law(thinker, mind, seen, done[:, 0], self.final_temperature, anew, second)
            return Prediction(executed, believed, clouds)

        own = jnp.moveaxis(done[:, own_first(arena.agents)], 1, 0)
        keys = jax.random.split(key, arena.agents)
        return jax.vmap(one)(self._thinkers(arena), state.mind, observation, own, keys)

    def learn(
        self, arena: Arena, state: MAIState, replay: Replay, step: Int[Array, ""], phase: Phase, *, key: PRNGKey
    ) -> tuple[MAIState, dict[str, Any]]:
        draw, recent, think = jax.random.split(key, 3)
        newest = replay.at((replay.written - 1)[None] % replay.capacity)
        scale = learnt_from(phase.is_uniform, state.scale.seen(newest.reward[0]), state.scale)
        temperature = annealed(self.temperature, self.final_temperature, self.annealing, step, phase.play_from)
        views = self._views(arena, replay, scale, step, phase, draw, recent)
        valuing, thinking, telling = jax.random.split(think, 3)
        valued = functools.partial(critic_loss, arena, phase, temperature)
        gradients = jax.vmap(eqx.filter_grad(valued, has_aux=True))
        discount = jnp.asarray(arena.game.discount, jnp.float32)
        keys = jax.random.split(valuing, arena.agents)
        of_critic, info = gradients(state.mind, state.target, self._thinkers(arena), views, discount, keys)
        of_thought, thought, joint = jax.lax.cond(
            phase.is_uniform,
            lambda: self._unthought(arena, state),
            lambda: self._thought(arena, phase, temperature, state, views, thinking),
        )
        info |= thought
        gradients = jax.tree.map(jnp.add, of_critic, of_thought)  # no part has both
        rates = self._rates(arena, decayed(self.final_rate, step, phase))
        mind, moments = descended(state.mind, gradients, state.moments, rates)
        mind = eqx.tree_at(lambda tree: tree.trust, mind, jnp.clip(mind.trust, *trust_bounds))
        target = followed(state.target, mind.critic, self.polyak)
        new = MAIState(mind, target, moments, joint, scale, state.played)
        kept = learnt_from(step >= self.learn_from, new, state)._replace(scale=scale)
        unit = self._unit(scale)
        info |= {"trust": kept.mind.trust, "temperature": temperature * unit}
        if arena.drifts:
            info["value"] = info["value"] * unit
        if state.played is not None:
            since = step % EVERY
            chances = self._executed(arena, kept, newest.observation[0], phase, 1, telling)  # 25 of them are averaged
            played = jnp.where(since == 0, 0, state.played) + chances
            info["chances"] = played / (since + 1).astype(jnp.float32)
            kept = kept._replace(played=played)
        return kept, info

    def values(self, state: MAIState, observation: Float[Array, "N O"]) -> Float[Array, " N"]:
        """v(s), in the game's own units, of a game that declares its states exogenous."""
        assert state.mind.value is not None
        worth = jax.vmap(lambda network, seen: network(seen)[0])(state.mind.value, observation)
        return worth * self._unit(state.scale)

    def _unit(self, scale: RewardScale) -> Float[Array, " N"]:
        """What is one to the critics, in the game's own units."""
        unit = scale.unit()
        return unit if self.standardised else jnp.ones_like(unit)

    def laws(
        self, arena: Arena, state: MAIState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        return self._executed(arena, state, observation, phase, THOUGHTS, key)

    def knows_exactly(self, arena: Arena) -> bool:
        return self._thinkers(arena).acts_by_network or arena.actions.are_summed(arena.agents - 1)

    def _executed(
        self, arena: Arena, state: MAIState, observation: Float[Array, "N O"], phase: Phase, thoughts: int, key: PRNGKey
    ) -> Float[Array, "N D"]:
        anything = jnp.asarray(arena.actions.mask, jnp.float32)
        eye = jnp.eye(arena.actions.size, dtype=jnp.float32)

        def one(thinker: Thinker, mind: Mind, seen: Array, key: PRNGKey) -> Float[Array, " D"]:
            anew = lambda key: self._beliefs(arena, thinker, mind, seen, key)  # noqa: E731
            told = executed_law(thinker, mind, seen, eye, self.final_temperature, anew, key, thoughts)
            return jnp.where(thinker.mask[0], jnp.exp(told), 0)

        keys = jax.random.split(key, arena.agents)
        own = jax.vmap(one)(self._thinkers(arena), state.mind, observation, keys)
        return jnp.where(phase.is_uniform, anything / anything.sum(axis=1, keepdims=True), own)

    def _thought(
        self, arena: Arena, phase: Phase, temperature: ScalarLike, state: MAIState, views: View, key: PRNGKey
    ) -> tuple[Mind, dict[str, Array], Float[Array, "N P N D"]]:
        """Gradients of everything but the critics, what there is to tell, and the particles of the burn-in."""

        def gradients(loss: Any) -> Any:
            return jax.vmap(eqx.filter_grad(functools.partial(loss, arena, temperature), has_aux=True))

        first, second = jax.random.split(key)
        thinkers = self._thinkers(arena)
        of_beliefs, (told, beliefs) = gradients(belief_loss)(
            state.mind, thinkers, views, jax.random.split(first, arena.agents)
        )
        given = state.mind, thinkers, views, beliefs, state.joint, jax.random.split(second, arena.agents)
        of_actor, (actor, joint) = jax.lax.cond(
            phase.is_burn_in,
            lambda: gradients(functools.partial(burn_in_loss, self.optimistic))(*given),
            lambda: gradients(answer_loss)(*given),
        )
        return jax.tree.map(jnp.add, of_beliefs, of_actor), told | {"actor": actor}, joint

    def _unthought(self, arena: Arena, state: MAIState) -> tuple[Mind, dict[str, Array], Float[Array, "N P N D"]]:
        """The same while play is uniform, which says nothing of anybody."""
        nothing = jnp.zeros(arena.agents, jnp.float32)
        told = {"prior": nothing, "inference": nothing, "samples": jnp.ones_like(nothing), "actor": nothing}
        return jax.tree.map(jnp.zeros_like, state.mind), told, state.joint

    def _beliefs(self, arena: Arena, thinker: Thinker, mind: Mind, seen: Array, key: PRNGKey) -> Cloud:
        """The posteriors (5), without learning from anything."""
        if not thinker.reasoning.infers:
            return thinker.prior_clouds(mind, seen, self.sizes.contexts, key)
        nothing = jnp.zeros((1, arena.agents - 1, arena.actions.size), jnp.float32)
        return thinker.infer(mind, seen, nothing, self.final_temperature, key)[2]

    def _drawn(self, arena: Arena, thinker: Thinker, mind: Mind, seen: Array, key: PRNGKey) -> Float[Array, " D"]:
        """Line 4 of Algorithm 2."""
        first, second, third = jax.random.split(key, 3)
        if thinker.acts_by_network:
            return thinker.law(mind, seen).sample(first, 1)[0]
        beliefs = self._beliefs(arena, thinker, mind, seen, first)
        if self.policy == "conditional":
            context = arena.actions.contexts(second, beliefs, 1)
            chosen = jax.random.choice(second, len(context.weights), p=context.weights)
            return thinker.law(mind, seen, context.points[chosen]).sample(third, 1)[0]
        contexts = arena.actions.contexts(second, beliefs, self.sizes.contexts)
        answer = thinker.response(mind, seen, thinker.law(mind, seen), contexts, self.final_temperature, third)
        return answer.points[jax.random.categorical(key, answer.log_weights)]

    def _views(
        self,
        arena: Arena,
        replay: Replay,
        scale: RewardScale,
        step: Int[Array, ""],
        phase: Phase,
        draw: PRNGKey,
        recent: PRNGKey,
    ) -> View:
        """(N, ...): what each agent has of a batch, and of the window."""
        order = own_first(arena.agents)
        batch = replay.draw(draw, self.batch)
        reward = scale.standardised(batch.reward, not arena.bootstraps) if self.standardised else batch.reward
        longest = self.window if arena.actions.is_continuous else self.moves_window
        window = jnp.clip(step + 1 - phase.since_uniform, 1, longest)
        late = replay.draw(recent, self.batch if arena.is_still or arena.drifts else self.observations, window)
        others = late.action[:, order[:, 1:]]  # (B, N, J, D)
        if arena.is_still:
            seen, done = late.observation[:1], others[None]
        else:
            seen, done = late.observation[: self.observations], others[: self.observations, None]
        return View(
            batch.observation.swapaxes(0, 1),
            batch.action[:, order].swapaxes(0, 1),
            reward.T,
            jnp.broadcast_to(batch.terminated[None], (arena.agents, self.batch)),
            batch.after.swapaxes(0, 1),
            seen.swapaxes(0, 1),
            jnp.moveaxis(done, 2, 0),
            Lived.of(late, scale if self.standardised else None) if arena.drifts else None,
        )

    def _thinkers(self, arena: Arena) -> Thinker:
        """One for each agent, along a leading axis."""
        masks = arena.masks_seen
        return Thinker(
            arena.actions, LEARNERS[self.opponent], self.actor, self.policy == "conditional", self.sizes, masks
        )

    def _counts(self, arena: Arena) -> bool:
        return arena.is_still and not arena.actions.is_continuous

    def _rates(self, arena: Arena, decay: Float[Array, ""]) -> dict[str, Float[Array, ""]]:
        """By parts of a mind."""
        boxes = arena.actions.is_continuous
        rates = {
            "critic": self.critic_rate * decay,
            "actor": (self.actor_rate if boxes else self.moves_actor_rate) * decay,
            "priors": self.prior_rate * decay,
            "rewards": (self.reward_rate if boxes else self.moves_reward_rate) * decay,
            "trust": self.trust_rate * decay,
        }
        return {**rates, "value": self.critic_rate * decay} if arena.drifts else rates

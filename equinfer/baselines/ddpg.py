"""Deterministic policy gradients: MADDPG (Lowe et al. 2017), and independent DDPG (Lillicrap et al. 2016)."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from equinfer.data.arena import Arena, own_first
from equinfer.data.replay import Replay
from equinfer.drivers.learning import AbstractLearner, Phase, Phases, annealed, decayed
from equinfer.errors import BadInput
from equinfer.nn.descent import begun, descended, followed, learnt_from
from equinfer.nn.laws import Categorical, SquashedGaussian
from equinfer.nn.networks import Critic, Network
from equinfer.types import PRNGKey

__all__ = ["DDPG", "DDPGState"]


class Pair(eqx.Module):
    """Of one agent, or with a leading axis of all."""

    critic: Critic
    actor: Network


class DDPGState(NamedTuple):
    """What the next step needs."""

    pair: Pair
    target: Pair
    moments: Any
    noise: Float[Array, "N D"]
    """Of the Ornstein-Uhlenbeck process."""


class DDPG(AbstractLearner[DDPGState]):
    r"""Critics $Q_i$ by one-step targets, actors by $\nabla_\theta Q_i(o,a_1,\dots,\mu_i(o_i),\dots,a_N)$.

    `centralised` critics see everybody's observations and actions (MADDPG), others their own agent's only. In the
    actor's gradient the others' actions are those remembered. Moves are drawn by Gumbel's trick, straight through.
    """

    knows_laws: ClassVar[bool] = True
    centralised: bool = True
    uniform_steps: int = 1000
    eager: bool = False
    """Actors learn in uniform play too, and begin with an answer to it."""
    learn_from: int = 64
    hidden: int = 32
    batch: int = 64
    critic_rate: float = 1e-2
    actor_rate: float = 1e-2
    final_rate: float = 1.0
    """By what both have fallen at the end, evenly after uniform play."""
    polyak: float = 0.01
    clip: float = 0.5
    """Of each parameter's gradient, by its norm."""
    penalty: float = 1e-3
    """On the squares of the actor's outputs."""
    correlation: float = 0.0
    """Of the noise from step to step: .85 is the Ornstein-Uhlenbeck process of the published code, 0 is white."""
    noise: tuple[tuple[float, float], ...] = ()
    """Levels of noise as (share of `steps` from which it holds, level); none: `noise_start` falls to `noise_end`."""
    noise_start: float = 1.0
    noise_end: float = 0.05
    noise_decay: float = 1e-3
    """Per step."""

    def __check_init__(self):
        for level in self.noise:
            if not isinstance(level, tuple) or len(level) != 2 or not all(0 <= float(number) < 1e9 for number in level):
                raise BadInput(f"noise has pairs (share of the steps, level of noise from there on); got {level!r}.")

    def phases(self, steps: int) -> Phases:
        return Phases.of(steps, self.uniform_steps, 0)

    def init(self, arena: Arena, *, key: PRNGKey) -> DDPGState:
        agents, actions = arena.agents, arena.actions
        seen = arena.observation_size
        count = agents if self.centralised else 1

        def one(key: PRNGKey) -> Pair:
            critic, actor = jax.random.split(key)
            return Pair(
                Critic(seen * count, count, actions.size, self.hidden, key=critic),
                Network(seen, actions.size, self.hidden, key=actor, last_scale=0.1),
            )

        pair = jax.vmap(one)(jax.random.split(key, agents))
        still = jnp.zeros((agents, actions.size), jnp.float32)
        return DDPGState(pair, pair, begun(pair), still)

    def chosen(
        self, arena: Arena, state: DDPGState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        mask = jnp.asarray(arena.actions.mask)
        keys = jax.random.split(key, arena.agents)
        outputs = _outputs(state, observation)
        if not arena.actions.is_continuous:
            draw = jax.vmap(lambda key, out, mask: Categorical.of(out, mask).sample(key, 1)[0])
            return draw(keys, outputs, mask)
        return jnp.where(mask, jnp.clip(jnp.tanh(outputs) + state.noise, -1, 1), 0)

    def laws(
        self, arena: Arena, state: DDPGState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        outputs = _outputs(state, observation)
        return jnp.exp(jax.vmap(Categorical.of)(outputs, jnp.asarray(arena.actions.mask)).logits)

    def mode(
        self, arena: Arena, state: DDPGState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        mask = jnp.asarray(arena.actions.mask)
        outputs = _outputs(state, observation)
        return jax.vmap(lambda out, mask: _best(arena, out, mask))(outputs, mask)

    def learn(
        self, arena: Arena, state: DDPGState, replay: Replay, step: Int[Array, ""], phase: Phase, *, key: PRNGKey
    ) -> tuple[DDPGState, dict[str, Any]]:
        draw, ahead, improve, shake = jax.random.split(key, 4)
        order = own_first(arena.agents)
        batch = replay.draw(draw, self.batch)
        masks = jnp.asarray(arena.actions.mask)
        outputs = jax.vmap(lambda actor, seen: actor(seen), in_axes=(0, 1), out_axes=1)(state.target.actor, batch.after)
        following = jax.vmap(lambda key, out, mask: _drawn(arena, key, out, mask), in_axes=(0, 1, 0), out_axes=1)(
            jax.random.split(ahead, arena.agents), outputs, masks
        )
        discount = jnp.asarray(arena.game.discount, jnp.float32)

        def loss(pair: Pair, target: Pair, mine: Array, mask: Array, gamma: Array, key: PRNGKey) -> tuple[Array, Any]:
            who = mine if self.centralised else mine[:1]
            seen = lambda rows: rows[:, who].reshape(self.batch, -1)  # noqa: E731
            goal = batch.reward[:, mine[0]]
            if arena.bootstraps:
                after = target.critic(seen(batch.after), following[:, who])
                goal = goal + gamma * jnp.where(batch.terminated, 0, after)
            error = pair.critic(seen(batch.observation), batch.action[:, who]) - jax.lax.stop_gradient(goal)
            outputs = pair.actor(batch.observation[:, mine[0]])
            own = _drawn(arena, key, outputs, mask)
            joint = batch.action[:, who].at[:, 0].set(own)
            worth = jax.lax.stop_gradient(pair.critic)(seen(batch.observation), joint)
            actor = -worth.mean() + self.penalty * (outputs**2).mean()
            return (error**2).mean() + jnp.where(phase.is_uniform & (not self.eager), 0, actor), {
                "critic_error": (error**2).mean(),
                "actor": actor,
            }

        gradients, info = jax.vmap(eqx.filter_grad(loss, has_aux=True))(
            state.pair, state.target, jnp.asarray(order), masks, discount, jax.random.split(improve, arena.agents)
        )
        decay = decayed(self.final_rate, step, phase)
        rates = {"critic": self.critic_rate * decay, "actor": self.actor_rate * decay}
        pair, moments = descended(state.pair, gradients, state.moments, rates, self.clip)
        target = followed(state.target, pair, self.polyak)
        level = self._level(step, phase)
        fresh = level * jax.random.normal(shake, state.noise.shape, jnp.float32)
        # Its deviation is the level: as that changes, so does what is left of the noise.
        noise = self.correlation * state.noise + (1 - self.correlation**2) ** 0.5 * fresh
        kept = learnt_from(step >= self.learn_from, DDPGState(pair, target, moments, noise), state)
        return kept._replace(noise=noise), {**info, "noise": jnp.broadcast_to(level, (arena.agents,))}

    def _level(self, step: Int[Array, ""], phase: Phase) -> Float[Array, ""]:
        if self.noise:
            level = jnp.asarray(self.noise[0][1], jnp.float32)
            gone = step.astype(jnp.float32) / phase.steps.astype(jnp.float32)
            for share, then in self.noise[1:]:
                level = jnp.where(gone >= share, then, level)
            return level
        return annealed(self.noise_start, self.noise_end, self.noise_decay, step, phase.since_uniform)


def _outputs(state: DDPGState, observation: Float[Array, "N O"]) -> Float[Array, "N D"]:
    """Of everybody's actor."""
    return jax.vmap(lambda actor, seen: actor(seen))(state.pair.actor, observation)


def _best(arena: Arena, output: Float[Array, " D"], mask: Bool[Array, " D"]) -> Float[Array, " D"]:
    if not arena.actions.is_continuous:
        return Categorical.of(output, mask).mode()
    return SquashedGaussian(output, jnp.zeros_like(output), mask).mode()


def _drawn(arena: Arena, key: PRNGKey, outputs: Float[Array, "B D"], mask: Bool[Array, " D"]) -> Float[Array, "B D"]:
    """Actions through which gradients reach the actor."""
    if arena.actions.is_continuous:
        return jnp.where(mask[None], jnp.tanh(outputs), 0)
    logits = Categorical.of(outputs, mask).logits
    soft = jax.nn.softmax(logits + jax.random.gumbel(key, logits.shape, logits.dtype), axis=-1)
    hard = jax.nn.one_hot(soft.argmax(axis=-1), logits.shape[-1], dtype=logits.dtype)
    return hard + soft - jax.lax.stop_gradient(soft)

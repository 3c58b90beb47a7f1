r"""Multi-agent soft Q-learning (Wei et al. 2018): each agent samples from its own joint Gibbs law.

Agent i has a joint critic $Q_i(o_i,a)$ of its own reward, samples *joint* actions from $\exp(Q_i/\tau)$, and plays its
slice. The sampler is a network trained by Stein's variational gradient (Haarnoja et al. 2017) in one of its two
correct forms: on actions themselves, without a density of squashing; or on what is squashed, with it. (The public code
takes the density of the one and the gradients of the other.) Or there is none: joint candidates are weighed exactly.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equinfer.data.arena import Arena, own_first
from equinfer.data.replay import Replay
from equinfer.drivers.learning import AbstractLearner, Phase, Phases, annealed, decayed
from equinfer.nn.actions import Moves
from equinfer.nn.descent import begun, descended, followed, learnt_from
from equinfer.nn.laws import lattice, uniform_index
from equinfer.nn.networks import Critic, Network
from equinfer.types import PRNGKey

__all__ = ["MASQL", "MASQLState", "stein_direction"]

_NARROWEST = 1e-3
"""Smallest bandwidth: at the edge of a box the particles collapse, and their median distance with them."""
_MOST_SUMMED = 4096
"""Joint moves, up to which all of them are candidates; a batch of more would fill the cache many times over."""


class SoftPair(eqx.Module):
    """Of one agent, or with a leading axis of all."""

    critic: Critic
    sampler: Network
    """From an observation and noise to everybody's actions, own ones first, before squashing."""


class MASQLState(NamedTuple):
    """What the next step needs."""

    pair: SoftPair
    target: Critic
    moments: Any


class MASQL(AbstractLearner[MASQLState]):
    r"""Soft Q-learning in the joint action space, by every agent for itself."""

    sampler: str = "actions"
    """`"actions"` or `"unsquashed"`, the space of Stein's gradient; `"exact"` weighs candidates. Moves are weighed."""
    temperature: float = 0.1
    final_temperature: float = 0.1
    annealing: float = 0.002
    """Per step after the uniform ones."""
    uniform_steps: int = 1000
    eager: bool = False
    """Samplers learn in uniform play too."""
    learn_from: int = 64
    hidden: int = 32
    batch: int = 64
    critic_rate: float = 1e-2
    sampler_rate: float = 3e-4
    final_rate: float = 1.0
    """By what both have fallen at the end, evenly after uniform play."""
    polyak: float = 0.01
    value_particles: int = 16
    kernel_particles: int = 32
    """Half of them are moved, against the other half."""
    candidates: int = 256
    """Joint actions that `"exact"` chooses among; of moves all of them, up to 4,096, padding included."""

    def phases(self, steps: int) -> Phases:
        return Phases.of(steps, self.uniform_steps, 0)

    def init(self, arena: Arena, *, key: PRNGKey) -> MASQLState:
        joint = arena.agents * arena.actions.size

        def one(key: PRNGKey) -> SoftPair:
            critic, sampler = jax.random.split(key)
            return SoftPair(
                Critic(arena.observation_size, arena.agents, arena.actions.size, self.hidden, key=critic),
                Network(arena.observation_size + joint, joint, self.hidden, key=sampler),
            )

        pair = jax.vmap(one)(jax.random.split(key, arena.agents))
        return MASQLState(pair, pair.critic, begun(pair))

    def chosen(
        self, arena: Arena, state: MASQLState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        keys = jax.random.split(key, arena.agents)
        return jax.vmap(lambda *each: self._joint(arena, *each)[0])(state.pair, observation, arena.masks_seen, keys)

    def mode(
        self, arena: Arena, state: MASQLState, observation: Float[Array, "N O"], phase: Phase, *, key: PRNGKey
    ) -> Float[Array, "N D"]:
        """Each agent's part of the best of its own candidates, of which its sampler makes some."""
        masks = arena.masks_seen

        def best(pair: SoftPair, seen: Array, mask: Array, key: PRNGKey) -> Float[Array, " D"]:
            first, second = jax.random.split(key)
            points = self._candidates(arena, mask, first)
            if arena.actions.is_continuous and self.sampler != "exact":
                points = self._sampled(arena, pair, seen, mask, 64, second)
            return points[_worth(pair.critic, seen, points, mask).argmax(), 0]

        return jax.vmap(best)(state.pair, observation, masks, jax.random.split(key, arena.agents))

    def learn(
        self, arena: Arena, state: MASQLState, replay: Replay, step: Int[Array, ""], phase: Phase, *, key: PRNGKey
    ) -> tuple[MASQLState, dict[str, Any]]:
        draw, improve = jax.random.split(key)
        order = jnp.asarray(own_first(arena.agents))
        batch = replay.draw(draw, self.batch)
        masks = arena.masks_seen
        temperature = annealed(self.temperature, self.final_temperature, self.annealing, step, phase.since_uniform)

        def loss(
            pair: SoftPair, target: Critic, mine: Array, mask: Array, gamma: Array, key: PRNGKey
        ) -> tuple[Array, Any]:
            ahead, move = jax.random.split(key)
            reward = batch.reward[:, mine[0]]
            goal = reward
            if arena.bootstraps:
                value = jax.vmap(lambda seen, key: self._value(arena, target, seen, mask, temperature, key))
                after = value(batch.after[:, mine[0]], jax.random.split(ahead, self.batch))
                goal = reward + gamma * jnp.where(batch.terminated, 0, after)
            error = pair.critic(batch.observation[:, mine[0]], batch.action[:, mine]) - jax.lax.stop_gradient(goal)
            critic = 0.5 * (error**2).mean()
            total = critic
            if arena.actions.is_continuous and self.sampler != "exact":
                seen = batch.observation[: 1 if arena.is_still else 8, mine[0]]
                push = jax.vmap(lambda seen, key: self._push(arena, pair, seen, mask, temperature, key))
                sampler = push(seen, jax.random.split(move, len(seen))).mean()
                total = critic + jnp.where(phase.is_uniform & (not self.eager), 0, sampler)
            return total, {"critic_error": (error**2).mean()}

        discount = jnp.asarray(arena.game.discount, jnp.float32)
        gradients, info = jax.vmap(eqx.filter_grad(loss, has_aux=True))(
            state.pair, state.target, order, masks, discount, jax.random.split(improve, arena.agents)
        )
        decay = decayed(self.final_rate, step, phase)
        rates = {"critic": self.critic_rate * decay, "sampler": self.sampler_rate * decay}
        pair, moments = descended(state.pair, gradients, state.moments, rates)
        target = followed(state.target, pair.critic, self.polyak)
        kept = learnt_from(step >= self.learn_from, MASQLState(pair, target, moments), state)
        return kept, {**info, "temperature": jnp.broadcast_to(temperature, (arena.agents,))}

    def _joint(
        self, arena: Arena, pair: SoftPair, seen: Float[Array, " O"], mask: Bool[Array, "N D"], key: PRNGKey
    ) -> Float[Array, "N D"]:
        """A draw from the joint Gibbs law."""
        first, second = jax.random.split(key)
        if arena.actions.is_continuous and self.sampler != "exact":
            return self._sampled(arena, pair, seen, mask, 1, second)[0]
        points = self._candidates(arena, mask, first)
        worth = _worth(pair.critic, seen, points, mask) / self.final_temperature
        return points[jax.random.categorical(second, worth)]

    def _candidates(self, arena: Arena, mask: Bool[Array, "N D"], key: PRNGKey) -> Float[Array, "K N D"]:
        """Evenly spread joint actions, or all joint moves, or draws of them."""
        agents, size = mask.shape
        if isinstance(arena.actions, Moves):
            if arena.actions.together(agents) <= _MOST_SUMMED:
                return arena.actions.every(agents)
            # `uniform` of moves draws a number for each of them, which here would take most of the time.
            which = jax.vmap(lambda key, moves: uniform_index(key, (self.candidates,), moves), out_axes=1)
            return jax.nn.one_hot(which(jax.random.split(key, agents), mask.sum(axis=1)), size, dtype=jnp.float32)
        points = lattice(key, self.candidates, agents * size).reshape(-1, agents, size)
        return jnp.where(mask[None], points, 0)

    def _value(
        self, arena: Arena, target: Critic, seen: Array, mask: Array, temperature: Array, key: PRNGKey
    ) -> Float[Array, ""]:
        r"""$\tau\log E_{a\sim U}e^{Q/\tau}$, relative to the uniform law: all constants in units of $\tau$."""
        if arena.actions.is_continuous:
            points = jax.random.uniform(key, (self.value_particles, *mask.shape), jnp.float32, -1.0, 1.0)
            points = jnp.where(mask[None], points, 0)
        else:
            points = self._candidates(arena, mask, key)
        level = _worth(target, seen, points, mask) / temperature
        return temperature * (jax.nn.logsumexp(level) - jnp.log(_exist(points, mask).sum(dtype=jnp.float32)))

    def _sampled(
        self, arena: Arena, pair: SoftPair, seen: Array, mask: Array, count: int, key: PRNGKey
    ) -> Float[Array, "K N D"]:
        return jnp.where(mask[None], jnp.tanh(self._raw(pair, seen, mask, count, key)), 0)

    def _raw(self, pair: SoftPair, seen: Array, mask: Array, count: int, key: PRNGKey) -> Float[Array, "K N D"]:
        noise = jax.random.normal(key, (count, mask.size), jnp.float32)
        inputs = jnp.concatenate([jnp.broadcast_to(seen[None], (count, len(seen))), noise], axis=1)
        return pair.sampler(inputs).reshape(count, *mask.shape)

    def _push(
        self, arena: Arena, pair: SoftPair, seen: Array, mask: Array, temperature: Array, key: PRNGKey
    ) -> Float[Array, ""]:
        """A loss whose gradient moves the sampler along Stein's direction."""
        critic = jax.lax.stop_gradient(pair.critic)
        raw = self._raw(pair, seen, mask, self.kernel_particles, key)
        squash = lambda points: jnp.where(mask, jnp.tanh(points), 0)  # noqa: E731

        def level(flat: Float[Array, " ND"]) -> Float[Array, ""]:
            point = flat.reshape(mask.shape)
            if self.sampler == "actions":
                return critic(seen, point) / temperature
            density = jnp.where(mask, jnp.log1p(-jnp.minimum(jnp.tanh(point) ** 2, 1 - 1e-6)), 0)
            return critic(seen, squash(point)) / temperature + density.sum()

        points = jax.vmap(squash)(raw) if self.sampler == "actions" else raw
        flat = points.reshape(len(points), -1)
        half = len(points) // 2
        direction = stein_direction(jax.lax.stop_gradient(flat[:half]), jax.lax.stop_gradient(flat[half:]), level)
        return -(direction * flat[half:]).sum(axis=1).mean()


def _exist(points: Float[Array, "K N D"], mask: Bool[Array, "N D"]) -> Bool[Array, " K"]:
    """Whether joint actions have none but real numbers: agents with fewer moves have some that are none."""
    return (mask[None] | (points == 0)).all(axis=(1, 2))


def _worth(
    critic: Critic, seen: Float[Array, " O"], points: Float[Array, "K N D"], mask: Bool[Array, "N D"]
) -> Float[Array, " K"]:
    """By the critic; minus infinity of what does not exist."""
    return jnp.where(_exist(points, mask), critic.at(seen, points), -jnp.inf)


def stein_direction(fixed: Float[Array, "J D"], moved: Float[Array, "K D"], level: Any) -> Float[Array, "K D"]:
    r"""$\Delta_i=\frac1J\sum_j\kappa(x_j,x_i)\nabla\log p(x_j)+\nabla_{x_j}\kappa(x_j,x_i)$ (Liu and Wang 2016),
    with the kernel $e^{-\|x-y\|^2/h}$ and the median rule for its width.
    """
    away = fixed[:, None] - moved[None]
    squares = (away**2).sum(axis=-1)
    width = jnp.maximum(jnp.median(squares) / np.log(max(len(fixed), 2)), _NARROWEST)
    kernel = jnp.exp(-squares / width)
    slopes = jax.vmap(jax.grad(level))(fixed)
    repulsion = (-2 / width) * (away * kernel[..., None]).sum(axis=0)
    return (kernel.T @ slopes + repulsion) / len(fixed)

"""What an agent of MAI has in its head: networks, and the trust weights."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.nn.networks import Critic, Network
from equinfer.types import PRNGKey

__all__ = ["Mind"]


class Mind(eqx.Module):
    """Of one agent, or with a leading axis of all. The others are counted without itself, J of them."""

    critic: Critic
    """Of its own reward; its own action first, then the others' in order."""
    actor: Network
    """From its observation, and in conditional form the others' predicted actions, to a law over its actions."""
    priors: Network
    """(J, ...) from its observation to a law that fits what each of the others lately did, by maximum likelihood."""
    rewards: Network
    r"""(J, ...) $\delta(o,a^j)$, what it infers of each of the others' rewards."""
    trust: Float[Array, " J"]
    """The share of its own reward that it believes each of the others to have."""
    value: Network | None
    """What a state is worth under late play, where states follow each other whatever anybody does; else nothing."""

    @classmethod
    def new(
        cls,
        agents: int,
        observation: int,
        actions: int,
        outputs: int,
        hidden: int,
        trust: float,
        looks: bool,
        key: PRNGKey,
        valued: bool = False,
    ) -> "Mind":
        """`looks`: whether the actor sees the others' predicted actions; `valued`: whether states are given values."""
        others = agents - 1
        critic, actor, priors, rewards = jax.random.split(key, 4)
        seen = observation + others * actions * looks
        return cls(
            Critic(observation, agents, actions, hidden, key=critic),
            Network(seen, outputs, hidden, key=actor, last_scale=0.01),
            jax.vmap(lambda key: Network(observation, outputs, hidden, key=key, last_scale=0.01))(
                jax.random.split(priors, others)
            ),
            jax.vmap(lambda key: Network(observation + actions, 1, hidden, key=key, last_scale=0.01))(
                jax.random.split(rewards, others)
            ),
            jnp.full(others, trust, jnp.float32),
            Network(observation, 1, hidden, key=jax.random.fold_in(key, 4)) if valued else None,
        )

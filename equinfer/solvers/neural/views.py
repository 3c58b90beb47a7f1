"""What one agent has of the past: its own rewards and observations, and everybody's actions."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from equinfer.data.replay import Experience
from equinfer.nn.networks import Network
from equinfer.solvers.neural.reward_scale import RewardScale
from equinfer.types import ScalarLike

__all__ = ["Lived", "View", "value_loss"]


class Lived(NamedTuple):
    """Steps of late play, as one agent met them."""

    observation: Float[Array, "*N B O"]
    reward: Float[Array, "*N B"]
    """In the unit of rewards, nothing taken off."""
    terminated: Bool[Array, "*N B"]
    after: Float[Array, "*N B O"]

    @classmethod
    def of(cls, late: Experience, scale: RewardScale | None) -> "Lived":
        """(N, ...): steps of all agents, whose rewards are brought to one unit if there is a `scale`."""
        reward = late.reward.T if scale is None else scale.standardised(late.reward, False).T
        terminated = jnp.broadcast_to(late.terminated[None], reward.shape)
        return cls(late.observation.swapaxes(0, 1), reward, terminated, late.after.swapaxes(0, 1))


class View(NamedTuple):
    """What an agent learns from in one step; own things first."""

    observation: Float[Array, "*N B O"]
    action: Float[Array, "*N B A D"]
    reward: Float[Array, "*N B"]
    terminated: Bool[Array, "*N B"]
    after: Float[Array, "*N B O"]
    lately: Float[Array, "*N M O"]
    """Observations of the window that opponent models are fitted to."""
    done: Float[Array, "*N M R J D"]
    """What the others did there."""
    lived: Lived | None
    """Of that window too, where states have values that nobody moves."""


def value_loss(value: Network, lived: Lived, discount: ScalarLike) -> tuple[Float[Array, ""], Float[Array, ""]]:
    r"""Half the squared error of $v(s)$ against $r+\gamma v(s')$, whose gradient does not pass through $s'$; and the
    mean of v.

    In a game that declares its states exogenous $Q(s,a)=q(s,a)+v(s)$ with a $v$ that no action moves: the
    difficulty of learning it, the noise of $\gamma v(s')$, stays out of everything that a policy compares.
    """
    after = jax.lax.stop_gradient(value(lived.after)[..., 0])
    goal = lived.reward + discount * jnp.where(lived.terminated, 0, after)
    worth = value(lived.observation)[..., 0]
    return 0.5 * jnp.mean((worth - goal) ** 2), worth.mean()

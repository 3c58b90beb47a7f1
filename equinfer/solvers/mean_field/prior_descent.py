"""Prior descent: Boltzmann responses to optimal action values, with a prior that follows (Cui and Koeppl 2021)."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.arguments import check_ranges
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.mean_field import flow_of, largest_change, optimal_values, uniform_policies
from equinfer.solvers.tabular.sweeping import check_magnet_every, moved_magnets
from equinfer.types import AnyArray, PRNGKey, Profile

__all__ = ["PriorDescent", "PriorDescentState"]


class PriorDescentState(NamedTuple):
    """Policies and priors, one ([H,] S, A) array each per population."""

    number: Int[Array, ""]
    policies: tuple[Float[AnyArray, "*H S _"], ...]
    priors: tuple[Float[AnyArray, "*H S _"], ...]


class PriorDescent(AbstractSolver[PriorDescentState]):
    r"""Cui and Koeppl (2021), Boltzmann iteration: $\pi^{k+1}\propto\tilde\pi\,e^{Q^*(L^k)/\eta}$, as MFGLib has it.

    $Q^*$ is the optimal value against the flow of $\pi^k$, without entropy: for more than one epoch another fixed point
    than that of equations (11) and (12), which `bayesian-q` iterates.
    """

    name: ClassVar[str] = "prior-descent"
    games: ClassVar[str] = "mean-field"

    temperature: float = 1.0
    r"""$\eta$, in units of reward."""
    magnet_every: int = 0
    """The prior becomes the policy every so many steps: 0 never."""
    steps: int = 10_000
    seeds: int = 1
    tolerance: float = 1e-15
    """A run ends once no probability moves by more."""

    def __check_init__(self):
        check_ranges(self, {"temperature": "(0, inf)", "steps": "[1, inf)", "seeds": "[1, inf)"})
        check_magnet_every(self.magnet_every)

    def init(self, game: Any, *, key: PRNGKey) -> PriorDescentState:
        del key
        return PriorDescentState(jnp.asarray(0), uniform_policies(game), uniform_policies(game))

    def step(self, game: Any, state: PriorDescentState, *, key: PRNGKey) -> tuple[PriorDescentState, Info]:
        del key  # nothing is random
        number = state.number + 1
        flow = flow_of(game, state.policies)
        policies = tuple(
            jax.nn.softmax(jnp.log(prior) + optimal_values(game, p, flow)[1] / self.temperature, axis=-1)
            for p, prior in enumerate(state.priors)
        )
        priors = moved_magnets(self.magnet_every, state.priors, policies, number)
        residual = largest_change(state.policies, policies)
        done = (residual <= self.tolerance) & (self.magnet_every <= 1)
        return PriorDescentState(number, policies, priors), {"residual": residual, "converged": done}

    def profile(self, game: Any, state: PriorDescentState) -> Profile:
        return state.policies

"""Fictitious play: everybody answers the average of all populations so far (Perrin et al. 2020)."""

from typing import Any, ClassVar, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.arguments import check_ranges
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.information import logarithm
from equinfer.equations.mean_field import best_response, flow_of, largest_change, policy_of, uniform_policies
from equinfer.types import AnyArray, PRNGKey, Profile

__all__ = ["FictitiousPlay", "FictitiousPlayState"]


class FictitiousPlayState(NamedTuple):
    """The average policies, and how many populations they are an average of."""

    number: Int[Array, ""]
    policies: tuple[Float[AnyArray, "*H S _"], ...]


class FictitiousPlay(AbstractSolver[FictitiousPlayState]):
    r"""Perrin et al. (2020), Algorithm 1, in discrete time:

    $$\bar L^{k+1}=\bar L^k+\tfrac1{k+1}(L^{k+1}-\bar L^k),\qquad
    \bar\pi^{k+1}(a\mid s)=\bar L^{k+1}(s,a)/\bar\mu^{k+1}(s),$$

    $L^{k+1}$ the flow of a best response to the flow of $\bar\pi^k$. Where dynamics depend on the population, averages
    of flows are flows of no policy; the same mixture of policies is taken, weighted by masses.
    """

    name: ClassVar[str] = "fictitious-play"
    games: ClassVar[str] = "mean-field"

    step_size: float = 0.0
    """Weight of the newest population; 0 stands for 1 / (k + 1)."""
    steps: int = 10_000
    seeds: int = 1

    def __check_init__(self):
        check_ranges(self, {"step_size": "[0, 1]", "steps": "[1, inf)", "seeds": "[1, inf)"})

    def init(self, game: Any, *, key: PRNGKey) -> FictitiousPlayState:
        del key
        return FictitiousPlayState(jnp.asarray(1), uniform_policies(game))

    def step(self, game: Any, state: FictitiousPlayState, *, key: PRNGKey) -> tuple[FictitiousPlayState, Info]:
        del key  # nothing is random
        number = state.number + 1
        weight = jnp.where(self.step_size > 0, self.step_size, 1 / number)
        flow = flow_of(game, state.policies)
        responses = tuple(best_response(game, p, flow) for p in range(game.num_players))
        newest = flow_of(game, responses)
        mixed = tuple(old + weight * (new - old) for old, new in zip(flow, newest, strict=True))
        policies = tuple(map(policy_of, mixed, map(logarithm, state.policies)))
        residual = largest_change(state.policies, policies)
        return FictitiousPlayState(number, policies), {"residual": residual, "converged": residual == 0}

    def profile(self, game: Any, state: FictitiousPlayState) -> Profile:
        return state.policies

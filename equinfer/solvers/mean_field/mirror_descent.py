"""Online mirror descent: action values add up, policies are their softmax (Perolat et al. 2021)."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Float

from equinfer.arguments import check_ranges
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.mean_field import evaluated, flow_of, largest_change, uniform_policies
from equinfer.types import AnyArray, PRNGKey, Profile

__all__ = ["MirrorDescentState", "OnlineMirrorDescent"]


class MirrorDescentState(NamedTuple):
    """Regularised sums of action values, one ([H,] S, A) array per population."""

    sums: tuple[Float[AnyArray, "*H S _"], ...]


class OnlineMirrorDescent(AbstractSolver[MirrorDescentState]):
    r"""Perolat et al. (2021), Algorithm 1: $y^{k+1}=y^k+\alpha Q^{\pi^k}$, $\pi^{k+1}=\mathrm{softmax}(y^{k+1})$.

    The values are those of $\pi^k$ itself against its own flow. Algorithm 4 of the paper with the previous policy as
    prior takes the soft values of the next policy instead; the two agree up to the square of $\alpha=1/\tau$.
    """

    name: ClassVar[str] = "online-mirror-descent"
    games: ClassVar[str] = "mean-field"

    learning_rate: float = 1.0
    steps: int = 10_000
    seeds: int = 1
    tolerance: float = 1e-15
    """A run ends once no probability moves by more."""

    def __check_init__(self):
        check_ranges(self, {"learning_rate": "(0, inf)", "steps": "[1, inf)", "seeds": "[1, inf)"})

    def init(self, game: Any, *, key: PRNGKey) -> MirrorDescentState:
        del key
        return MirrorDescentState(tuple(map(jnp.zeros_like, uniform_policies(game))))

    def step(self, game: Any, state: MirrorDescentState, *, key: PRNGKey) -> tuple[MirrorDescentState, Info]:
        del key  # nothing is random
        policies = self.profile(game, state)
        flow = flow_of(game, policies)
        sums = []
        for p, (total, policy) in enumerate(zip(state.sums, policies, strict=True)):
            new = total + self.learning_rate * evaluated(game, p, flow, policy)[1]
            # A shift by state changes no policy, and keeps sums from growing without bound.
            sums.append(new - jnp.max(new, axis=-1, keepdims=True, where=game.legal[p], initial=-jnp.inf))
        new = MirrorDescentState(tuple(sums))
        residual = largest_change(policies, self.profile(game, new))
        return new, {"residual": residual, "converged": residual <= self.tolerance}

    def profile(self, game: Any, state: MirrorDescentState) -> Profile:
        return tuple(
            jax.nn.softmax(jnp.where(legal, total, -jnp.inf), axis=-1)
            for total, legal in zip(state.sums, game.legal, strict=True)
        )

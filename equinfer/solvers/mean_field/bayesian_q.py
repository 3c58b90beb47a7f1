"""Algorithm 4: mean-field Bayesian Q-learning with a known model, its prior schedule a parameter."""

from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.concepts import AbstractConcept
from equinfer.concepts.mean_field import MeanField
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.information import logarithm
from equinfer.equations.mean_field import (
    flow_of,
    largest_change,
    mixed,
    policy_of,
    random_policies,
    soft_plan,
    uniform_policies,
)
from equinfer.solvers.tabular.settings import check_choices, check_ranges
from equinfer.solvers.tabular.sweeping import check_magnet_every, moved_magnets
from equinfer.types import AnyArray, PRNGKey, Profile, ScalarLike

__all__ = ["BayesianQ", "BayesianQState", "bayesian_q_step"]

Logs = tuple[Float[AnyArray, "*H S _"], ...]
Flows = tuple[Float[AnyArray, "*H S _"], ...]


class BayesianQState(NamedTuple):
    r"""What the next step needs: logarithms of policies and magnets, and the flow $L^k$ that is answered to. Where the
    mean of all flows is played, that as well.
    """

    number: Int[Array, ""]
    log_policies: Logs
    log_magnets: Logs
    flow: Flows
    mean: Flows = ()


class BayesianQ(AbstractSolver[BayesianQState]):
    r"""Algorithm 4 of the paper. One step:

    ```
    for each population p:   Q_p <- (11) against the flow L
                             pi_p <- pi_p^(1-c) (pi*_p)^c,  pi*_p of (12): magnet exp(Q_p / tau)      (★)
    L <- the flow of pi (or the mean of all flows so far)
    every K steps:           magnet <- pi
    ```

    The paper leaves open what the prior $\tilde\pi$ becomes: `magnet_every=0` keeps it (contraction at high
    temperatures, with a bias of the order of $\tau$), `magnet_every=1` puts it at the previous policy, which is mirror
    descent on occupancy measures (Theorem G), more the proximal point method, inexactly.
    """

    name: ClassVar[str] = "bayesian-q"
    games: ClassVar[str] = "mean-field"

    concept: AbstractConcept = eqx.field(default_factory=MeanField)
    temperature: float = 1.0
    """In units of reward. With the previous policy as magnet, 1/temperature is the step of mirror descent."""
    step_size: float = 1.0
    """The damping $c$ of (★), in (0, 1]; 1.0 is the paper's."""
    steps: int = 10_000
    magnet: Profile | None = None
    """The prior of the first step, one ([H,] S, A) array per population; None is uniform."""
    magnet_every: int = 1
    """The magnet becomes the policy every so many steps: 0 never."""
    play: str = "last"
    """`last`: answer the flow of the last policies, and play those; `average`: answer it, and play what leads to the
    mean of all flows (Theorem G; exactly so where dynamics do not depend on the population); `fictitious`: answer that
    mean, and play what leads to it."""
    start: str = "magnet"
    """Where the policies begin: at the `magnet`, or at a `random` profile."""
    seeds: int = 1
    """Independent runs side by side; of use with a random start."""
    tolerance: float = 1e-15
    """A run ends once no probability moves by more."""

    def __check_init__(self):
        check_choices(self, {"play": ("last", "average", "fictitious"), "start": ("magnet", "random")})
        check_ranges(self, {"temperature": "(0, inf)", "step_size": "(0, 1]", "steps": "[1, inf)", "seeds": "[1, inf)"})
        check_magnet_every(self.magnet_every)

    def init(self, game: Any, *, key: PRNGKey) -> BayesianQState:
        magnets = uniform_policies(game) if self.magnet is None else self.magnet
        policies = magnets if self.start == "magnet" else random_policies(game, key)
        log_policies, log_magnets = (tuple(map(logarithm, each)) for each in (policies, magnets))
        flow = flow_of(game, tuple(map(jnp.exp, log_policies)))
        return BayesianQState(jnp.asarray(0), log_policies, log_magnets, flow, () if self.play == "last" else flow)

    def step(self, game: Any, state: BayesianQState, *, key: PRNGKey) -> tuple[BayesianQState, Info]:
        del key  # nothing is random but the start
        new = bayesian_q_step(
            game, state, self.temperature, self.step_size, self.magnet_every, fictitious=self.play == "fictitious"
        )
        residual = largest_change(*(tuple(map(jnp.exp, each.log_policies)) for each in (state, new)))
        return new, {"residual": residual, "converged": residual <= self.tolerance}

    def profile(self, game: Any, state: BayesianQState) -> Profile:
        if self.play != "last":
            return tuple(map(policy_of, state.mean, state.log_policies))
        return tuple(map(jnp.exp, state.log_policies))


def bayesian_q_step(
    game: Any,
    state: BayesianQState,
    temperature: ScalarLike,
    step_size: ScalarLike,
    magnet_every: int | Int[Array, ""],
    *,
    fictitious: bool = False,
) -> BayesianQState:
    r"""One step of Algorithm 4. All numbers may be traced: a grid of them is one `vmap`."""
    number = state.number + 1
    log_policies = tuple(
        mixed(old, soft_plan(game, p, state.flow, magnet, temperature).logits, step_size)
        for p, (old, magnet) in enumerate(zip(state.log_policies, state.log_magnets, strict=True))
    )
    flow = flow_of(game, tuple(map(jnp.exp, log_policies)))
    mean = tuple(old + (new - old) / (number + 1) for old, new in zip(state.mean, flow, strict=False))
    log_magnets = moved_magnets(magnet_every, state.log_magnets, log_policies, number)
    return BayesianQState(number, log_policies, log_magnets, mean if fictitious else flow, mean)

"""The kernel (★) with all its knobs, and the published algorithms that are settings of them."""

import math
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equinfer.concepts import AbstractConcept, Nash
from equinfer.contraction import expected_own, product_law
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.bounds import a_posteriori_gap, a_posteriori_gap_finite_horizon, log_soft_residual
from equinfer.equations.information import kl_divergence_of_logs, logarithm
from equinfer.equations.response import log_magnet_step, step_size_of
from equinfer.errors import BadInput
from equinfer.solvers.tabular.evaluation import evaluate, legal_rows
from equinfer.solvers.tabular.settings import check_choices, check_ranges, temperature_doubts
from equinfer.solvers.tabular.sweeping import CHOICES, RANGES, averaged, moved_magnets, rates, starting_point
from equinfer.tables import Tables
from equinfer.types import AnyArray, PRNGKey, Profile, ScalarLike

__all__ = [
    "Kernel",
    "KernelState",
    "annealed_mirror_descent",
    "logit_dynamics",
    "magnetic_mirror_descent",
    "moving_magnet",
    "multiplicative_weights",
    "natural_policy_gradient",
    "soft_policy_iteration",
]


class KernelState(NamedTuple):
    """What the next sweep needs. R decision points; policies and magnets are logarithms, as in `VPGState`."""

    sweep: Int[Array, ""]
    log_policies: tuple[Float[AnyArray, "R _"], ...]
    log_magnets: tuple[Float[AnyArray, "R _"], ...]
    average: tuple[Float[AnyArray, "R _"], ...]
    q: tuple[Float[AnyArray, "R _"], ...]
    r"""$\bar Q^i$ of these policies: soft, relative to these magnets."""

    @property
    def policies(self) -> tuple[Float[AnyArray, "R _"], ...]:
        return tuple(map(jnp.exp, self.log_policies))


class Kernel(AbstractSolver[KernelState]):
    r"""The one kernel (★) of the paper's algorithms, where everybody's policy is known. One step is one sweep.

    ```
    for each player i:   pi_i <- pi_i^(1-c) magnet_i^c exp(c Q_i / tau)          (★)
    every K sweeps:      magnet <- pi
                         Q_i <- soft values of pi, relative to the magnet
    ```

    Algorithms differ in the step size $c$, the temperature, the magnet and the order of updates; the functions of this
    module give some their published names. `VPG` is the same with opponent models and the paper's policies. The default
    moves the magnet: in zero-sum games, at a temperature of the order of the action values, the last iterate then
    converges to an equilibrium (Theorem H). Elsewhere nothing is promised.
    """

    name: ClassVar[str] = "kernel"

    concept: AbstractConcept = eqx.field(default_factory=Nash)
    temperature: float = 1.0
    """Weight of the divergence from the magnet, in units of reward; in the annealed schedule, that of the first
    sweep."""
    step_size: float = 0.5
    """The $c$ of (★), in (0, 1]; 1.0 is the soft best response."""
    steps: int = 10_000
    """Sweeps, at most."""
    magnet: Profile | None = None
    r"""The prior $\tilde\pi$, arrays ([H,] S, A_i); None is the uniform one, in the form of a plain entropy bonus."""
    magnet_every: int = 10
    """Put the magnet where the policies are every so many sweeps: 0 never, 1 makes it the previous policy."""
    order: str = "simultaneous"
    """`simultaneous`, or `round-robin`: each player answers what the ones before it have just become."""
    schedule: str = "constant"
    r"""`constant`, or `annealed`: $\tau_k=\max(\text{floor},\tau(1+k)^{-\text{decay}})$, $c_k=c\,(\tau_k/\tau)^p$."""
    floor: float = 1e-4
    """The lowest temperature of the annealed schedule."""
    decay: float = 0.5
    """How fast the annealed temperature falls."""
    step_decay: float = 2.0
    r"""The power $p$. With 2, $c_k/\tau_k\propto k^{-1/2}$ (Theorem H), and $c_k$ stays in proportion to the largest
    stable one in zero-sum games."""
    play: str = "last"
    """`last`, or `average`: the answer is the last profile, or the plain mean of all so far, with what `VPG.play` says
    of it."""
    start: str = "magnet"
    """Where the policies begin: at the `magnet` (uniform if there is none), or at a `random` profile."""
    seeds: int = 1
    """Independent runs side by side; of use with a random start."""
    tolerance: float = 1e-12
    """A run ends once the soft Bellman residual, with a magnet that stays, or the bound is no more than this."""

    def __check_init__(self):
        check_choices(self, CHOICES)
        check_ranges(self, RANGES)
        if not self.concept.plans_as_executed:
            raise BadInput("kernel takes exact opponents and marginal policies; other columns of Table 1 are for vpg.")

    def init(self, game: Any, *, key: PRNGKey) -> KernelState:
        magnets, profile = starting_point(self, game, key)
        log_policies = tuple(map(logarithm, profile))
        sweep = jnp.asarray(0)
        log_magnets = moved_magnets(self.magnet_every, tuple(map(logarithm, magnets)), log_policies, sweep)
        state = KernelState(sweep, log_policies, log_magnets, profile, log_policies)
        return _evaluated(game, state, rates(self, sweep)[0])

    def step(self, game: Any, state: KernelState, *, key: PRNGKey) -> tuple[KernelState, Info]:
        del key  # nothing is random but the start
        temperature, step_size = rates(self, state.sweep)
        players = range(game.num_players)
        for turn in [players] if self.order == "simultaneous" else [[i] for i in players]:
            if turn[0] > 0:
                state = _evaluated(game, state, temperature)
            improved = list(state.log_policies)
            for i in turn:
                improved[i] = log_magnet_step(improved[i], state.q[i], state.log_magnets[i], temperature, step_size)
            state = state._replace(log_policies=tuple(improved))

        sweep = state.sweep + 1
        next_temperature, next_step_size = rates(self, sweep)
        state = state._replace(
            sweep=sweep,
            average=averaged(state.average, state.policies, sweep),
            log_magnets=moved_magnets(self.magnet_every, state.log_magnets, state.log_policies, sweep),
        )
        state = _evaluated(game, state, next_temperature)
        residual = _residual(state, next_temperature)
        bound = _bound(game, self._rows(state))
        final = (next_temperature == temperature) & (self.play == "last") & (self.magnet_every == 0)
        return state, {
            "residual": residual,
            "bound": bound,
            "temperature": next_temperature,
            "step_size": next_step_size,
            "converged": (bound <= self.tolerance) | (final & (residual <= self.tolerance)),
        }

    def profile(self, game: Any, state: KernelState) -> Profile:
        if game.horizon is None:
            return self._rows(state)
        return tuple(policy.reshape(game.horizon, -1, policy.shape[1]) for policy in self._rows(state))

    def doubts(self, tables: Tables) -> tuple[str, ...]:
        last = self.temperature if self.schedule == "constant" else min(self.floor, self.temperature)
        return temperature_doubts(tables, self.temperature, last)

    def _rows(self, state: KernelState) -> Profile:
        return state.average if self.play == "average" else state.policies


# Published algorithms. Each takes its own parameters, and any other field of `Kernel` by name.


def natural_policy_gradient(learning_rate: float, temperature: float, discount: float = 0.0, **fields: Any) -> Kernel:
    r"""Entropy-regularised natural policy gradient of every player: eq. (4), $c=\eta\tau/(1-\gamma)$, uniform magnet.

    Prop. 5.3 of the paper; for one agent, Cen, Cheng, Chen, Wei and Chi (2022).
    """
    step_size = float(step_size_of(learning_rate, temperature, discount))
    return Kernel(temperature=temperature, step_size=step_size, magnet_every=0, **fields)


def soft_policy_iteration(temperature: float, **fields: Any) -> Kernel:
    r"""Everybody's soft best response, $\pi^+\propto\exp(\bar Q/\tau)$: $c=1$, uniform magnet (Prop. 5.2)."""
    return Kernel(temperature=temperature, step_size=1.0, magnet_every=0, **fields)


def magnetic_mirror_descent(learning_rate: float, temperature: float, **fields: Any) -> Kernel:
    r"""$\pi^+\propto(\pi\,\tilde\pi^{\eta\tau}e^{\eta\bar Q})^{1/(1+\eta\tau)}$ (Sokota et al. 2023).

    $c=\eta\tau/(1+\eta\tau)$; the magnet is fixed, uniform unless `magnet` is given.
    """
    weight = learning_rate * temperature
    return Kernel(temperature=temperature, step_size=weight / (1 + weight), **{"magnet_every": 0, **fields})


def multiplicative_weights(learning_rate: float, **fields: Any) -> Kernel:
    r"""$\pi^+\propto\pi\,e^{\eta\bar Q}$: $c=1$ and the magnet is the previous policy, $\tau=1/\eta$.

    Hedge (Freund and Schapire 1997); with several states the natural policy gradient without entropy, or policy mirror
    descent (Kakade 2001), of learning rate $\eta(1-\gamma)$.
    """
    return Kernel(temperature=1 / learning_rate, step_size=1.0, magnet_every=1, **fields)


def logit_dynamics(interval: float, temperature: float, **fields: Any) -> Kernel:
    r"""Euler steps of length $c$ of $\dot\ell=\bar Q/\tau-\ell$, $\pi=\mathrm{softmax}(\ell)$; uniform magnet.

    Exponentially discounted scores (Coucheney, Gaujal and Mertikopoulos 2015). Its rest points and their stability are
    those of logit dynamics, $\dot\pi=\mathrm{softmax}(\bar Q/\tau)-\pi$ (Fudenberg and Levine 1998); steps of length 1
    are the same.
    """
    return Kernel(temperature=temperature, step_size=interval, magnet_every=0, **fields)


def moving_magnet(temperature: float, every: int, step_size: float = 0.5, **fields: Any) -> Kernel:
    r"""Regularised play around a magnet that follows every K sweeps: an inexact proximal-point method.

    Pérolat et al. (2021); magnetic mirror descent with a moving magnet, Sokota et al. (2023).
    """
    return Kernel(temperature=temperature, step_size=step_size, magnet_every=every, **fields)


def annealed_mirror_descent(temperature: float, step_size: float = 1.0, **fields: Any) -> Kernel:
    r"""Magnetic mirror descent with $\tau_k,\eta_k\propto k^{-1/2}$, hence $c_k\propto1/k$ (Sokota et al. 2023)."""
    return Kernel(
        temperature=temperature, step_size=step_size, magnet_every=0, schedule="annealed", floor=1e-300, **fields
    )


def _evaluated(game: Any, state: KernelState, temperature: ScalarLike) -> KernelState:
    profile = state.policies
    divergences = [kl_divergence_of_logs(p, m) for p, m in zip(state.log_policies, state.log_magnets, strict=True)]
    evaluation = evaluate(game, product_law(profile)[None], -temperature * jnp.stack(divergences))
    return state._replace(q=tuple(expected_own(evaluation.q[i], profile, i) for i in range(game.num_players)))


def _residual(state: KernelState, temperature: ScalarLike) -> Float[AnyArray, ""]:
    """The largest soft Bellman residual of any player at any decision point."""
    policies = zip(state.log_policies, state.q, state.log_magnets, strict=True)
    return jnp.max(jnp.stack([jnp.max(log_soft_residual(p, q, temperature, magnet)) for p, q, magnet in policies]))


def _bound(game: Any, profile: Profile) -> Float[AnyArray, ""]:
    r"""Theorem A' at temperature 0: what one decision can still gain, times the length of the game.

    The residual is then $\max_a\bar Q^i-E_{\pi_i}\bar Q^i$ at plain values, and there is no bonus. Of a one-shot game
    this is the gap itself.
    """
    nothing = jnp.zeros((game.num_players, len(profile[0])))
    q = evaluate(game, product_law(profile)[None], nothing).q
    gains = []
    for i, policy in enumerate(profile):
        own = expected_own(q[i], profile, i)
        gains.append(jnp.max(jnp.where(legal_rows(game, i), own, -math.inf), axis=1) - jnp.sum(policy * own, axis=1))
    discount, gain = jnp.asarray(game.discount), jnp.stack(gains)
    if game.horizon is None:
        return jnp.max(a_posteriori_gap(nothing, gain, discount))
    bonus, residual = (array.reshape(len(profile), game.horizon, -1).swapaxes(0, 1) for array in (nothing, gain))
    return jnp.max(a_posteriori_gap_finite_horizon(bonus, residual, discount))

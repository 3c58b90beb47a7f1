r"""Mean-field equilibrium as a complementarity problem, by Newton's method on a smoothed form of it.

Unknown are the policy, the masses and the values of every population, at every time:

$$\pi_t(a\mid s)\ge0\ \perp\ V_t(s)-Q_t(s,a)\ge0,\qquad\sum_a\pi_t(a\mid s)=1,\qquad\mu_{t+1}=P_t(L_t)L_t,$$

$Q_t=r_t(L_t)+\gamma P_t(L_t)V_{t+1}$, $L_t=\mu_t\pi_t$. The first is $\phi_\kappa(\pi,V-Q)=0$ with the smoothed
function of Fischer and Burmeister, $\phi_\kappa(x,y)=x+y-\sqrt{x^2+y^2+2\kappa}$: $\phi_\kappa=0$ iff $x,y>0$,
$xy=\kappa$. As $\kappa$ goes to 0 the solution of one problem begins the next; at $\kappa=0$ Newton's method converges
quadratically where the equilibrium is regular. A proximal term, $\rho(\pi-\pi_k)$ beside $V-Q$, keeps the Jacobian
regular elsewhere.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.equations.mean_field import evaluated, flow_of
from equinfer.errors import BadInput
from equinfer.types import AnyArray, Profile, ScalarLike

__all__ = ["Complementarity", "Unknowns", "largest_system", "residual"]

_MOST_UNKNOWNS = 4_000
"""Of which the Jacobian is dense: some seconds a step."""
_SMOOTHEST, _COOLING, _EXACT = 0.1, 0.04, 1e-14
_SHORTEST = 2.0**-12
_SUFFICIENT = 1e-4
_CLOSE = 1e-3
"""A problem counts as solved when its residual is this part of its smoothing."""
_ROUNDING = 1e-15
_PROXIMAL = 1e-6


class Unknowns(NamedTuple):
    """Of every population: policies (H, S, A_p), masses (H - 1, S) from the second time on, values (H, S) in units."""

    policies: tuple[Float[AnyArray, "H S _"], ...]
    masses: tuple[Float[AnyArray, "h S"], ...]
    values: tuple[Float[AnyArray, "H S"], ...]


class Complementarity(AbstractHostSolver):
    r"""Newton's method on the smoothed complementarity problem, for games of a few thousand unknowns.

    Watched: `smoothing` $\kappa$, the `residual`, and `step`, the part of the last Newton step that was taken.
    """

    name: ClassVar[str] = "complementarity"
    games: ClassVar[str] = "mean-field"

    magnet: Profile | None = None
    """Where it begins, one ([H,] S, A) array per population; None is the uniform policy."""
    steps: int = 200
    """Newton steps, at most."""

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        if largest_system(game) > _MOST_UNKNOWNS:
            raise BadInput(
                f"complementarity solves densely in {largest_system(game)} unknowns, more than {_MOST_UNKNOWNS}; try "
                "interior-point or newton-krylov."
            )
        policies = tuple(map(jnp.asarray, game.uniform_profile() if self.magnet is None else self.magnet))
        unit = _unit(game, policies)
        point = _start(game, policies, unit)
        smoothing = _SMOOTHEST
        for _ in range(self.steps):
            new, size, taken = _newton_step(
                game, point, jnp.asarray(smoothing), jnp.asarray(_PROXIMAL * smoothing), unit
            )
            point, size = new, float(size)
            answer = tuple(_cleaned(np.asarray(policy)) for policy in point.policies)
            info = {"smoothing": smoothing, "residual": size, "step": float(taken)}
            solved = size <= max(_CLOSE * smoothing, _ROUNDING)
            yield Iterate(answer, info, candidate=solved or smoothing == 0.0)
            if solved and smoothing == 0.0:
                return
            if solved:
                smoothing = _COOLING * smoothing if smoothing > _EXACT else 0.0
            elif taken == 0.0:
                return


def largest_system(game: Any) -> int:
    """The number of unknowns."""
    return game.horizon * game.num_states * sum(size + 2 for size in game.num_actions)


def residual(
    game: Any, point: Unknowns, anchor: Unknowns, smoothing: ScalarLike, proximal: ScalarLike, unit: ScalarLike
) -> Unknowns:
    """What vanishes at an equilibrium, in the shape of the unknowns: complementarity, flow, and sums to one."""
    masses = tuple(
        jnp.concatenate([jnp.asarray(first)[None], later])
        for first, later in zip(game.initial, point.masses, strict=True)
    )
    flow = tuple(mass[..., None] * policy for mass, policy in zip(masses, point.policies, strict=True))
    rewards = game.rewards(flow)
    times = jnp.arange(game.horizon)
    complementary, following, sums = [], [], []
    for p, (policy, values) in enumerate(zip(point.policies, point.values, strict=True)):
        transition = game.transitions[p]
        ahead = jnp.concatenate([values[1:], jnp.zeros_like(values[:1])])
        expected = jax.vmap(transition.expect)(times, flow, ahead)
        q = rewards[p] / unit + game.discount * expected
        slack = values[..., None] - q + proximal * (policy - anchor.policies[p])
        smooth = policy + slack - jnp.sqrt(policy**2 + slack**2 + 2 * smoothing)
        complementary.append(jnp.where(game.legal[p], smooth, policy))
        sums.append(jnp.sum(policy, axis=-1) - 1)
        laws = tuple(law[:-1] for law in flow)
        sent = jax.vmap(lambda t, laws, law, transition=transition: transition.push(t, laws, law))(
            times[:-1], laws, laws[p]
        )
        following.append(point.masses[p] - sent)
    return Unknowns(tuple(complementary), tuple(following), tuple(sums))


@eqx.filter_jit
def _newton_step(
    game: Any, point: Unknowns, smoothing: ScalarLike, proximal: ScalarLike, unit: ScalarLike
) -> tuple[Unknowns, Float[Array, ""], Float[Array, ""]]:
    """The next point, the size of its residual, and the part of Newton's step that was taken: the first of 1, 1/2, ...
    that decreases the norm enough; 0 if none does.
    """
    flat, shaped = ravel_pytree(point)

    def f(x: Float[Array, " n"]) -> Float[Array, " n"]:
        return ravel_pytree(residual(game, shaped(x), point, smoothing, proximal, unit))[0]

    here = f(flat)
    direction = jnp.linalg.solve(jax.jacfwd(f)(flat), -here)
    norm = jnp.linalg.norm(here)

    def refused(part: Float[Array, ""]) -> Any:
        there = jnp.linalg.norm(f(flat + part * direction))
        return ~(there <= (1 - _SUFFICIENT * part) * norm) & (part > _SHORTEST)

    part = jax.lax.while_loop(refused, lambda part: part / 2, jnp.ones(()))
    usable = jnp.isfinite(direction).all() & (part > _SHORTEST)
    there = jnp.where(usable, flat + part * direction, flat)
    return shaped(there), jnp.abs(f(there)).max(), jnp.where(usable, part, 0.0)


@eqx.filter_jit
def _start(game: Any, policies: Profile, unit: ScalarLike) -> Unknowns:
    flow = flow_of(game, policies)
    values = tuple(evaluated(game, p, flow, policy)[0] / unit for p, policy in enumerate(policies))
    return Unknowns(tuple(policies), tuple(law[1:].sum(axis=-1) for law in flow), values)


@eqx.filter_jit
def _unit(game: Any, policies: Profile) -> Float[Array, ""]:
    """The spread of action values at the start, of the state where it is widest."""
    flow = flow_of(game, policies)
    spreads = []
    for p, policy in enumerate(policies):
        q = evaluated(game, p, flow, policy)[1]
        legal = jnp.broadcast_to(game.legal[p], q.shape)
        spread = jnp.max(jnp.where(legal, q, -jnp.inf), -1) - jnp.min(jnp.where(legal, q, jnp.inf), -1)
        spreads.append(spread.max())
    widest = jnp.max(jnp.stack(spreads))
    return jnp.where(widest > 0, widest, 1.0)


def _cleaned(policy: Float[np.ndarray, "H S A"]) -> Float[np.ndarray, "H S A"]:
    """Nothing below zero, and sums of one."""
    kept = np.maximum(policy, 0.0)
    return kept / kept.sum(axis=-1, keepdims=True)

r"""Mean-field equilibrium as a complementarity problem, by Newton's method on a smoothed form of it.

Unknown are the policy, the masses and the values of every population, at every time:

$$\pi_t(a\mid s)\ge0\ \perp\ V_t(s)-Q_t(s,a)\ge0,\qquad\sum_a\pi_t(a\mid s)=1,\qquad\mu_{t+1}=P_t(L_t)L_t,$$

$Q_t=r_t(L_t)+\gamma P_t(L_t)V_{t+1}$, $L_t=\mu_t\pi_t$. The first is $\phi_\kappa(\pi,V-Q)=0$ with the smoothed
function of Fischer and Burmeister, $\phi_\kappa(x,y)=x+y-\sqrt{x^2+y^2+2\kappa}$: $\phi_\kappa=0$ iff $x,y>0$,
$xy=\kappa$. As $\kappa$ goes to 0 the solution of one problem begins the next; at $\kappa=0$ Newton's method converges
quadratically where the equilibrium is regular. A proximal term, $\rho(\pi-\pi_k)$ beside $V-Q$, keeps the Jacobian
regular elsewhere. What happens in an epoch depends on that epoch and its neighbours alone, so the Jacobian is block
tridiagonal: three times as many directional derivatives as an epoch has unknowns tell all of it.

A stationary game is one epoch that follows itself, $\mu=P(L)L$ and $Q=r(L)+\gamma P(L)V$, with masses that sum to one.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from equinfer.drivers.protocol import AbstractHostSolver, Iterate
from equinfer.equations.mean_field import evaluated, flow_of
from equinfer.errors import BadInput
from equinfer.games.mean_field_checks import refuse_along
from equinfer.solvers.mean_field.temperature_grid import value_unit
from equinfer.types import AnyArray, Profile, ScalarLike

__all__ = ["Complementarity", "Unknowns", "newton_direction", "residual"]

_SMOOTHEST, _COOLING, _EXACT = 0.1, 0.04, 1e-14
_SHORTEST = 2.0**-12
_SUFFICIENT = 1e-4
_CLOSE = 1e-3
"""A problem counts as solved when its residual is this part of its smoothing."""
_ROUNDING = 1e-15
_PROXIMAL = 1e-6


class Unknowns(NamedTuple):
    """Of every population: policies (H, S, A_p), masses (H, S), values (H, S) in units; H = 1 of a stationary game."""

    policies: tuple[Float[AnyArray, "H S _"], ...]
    masses: tuple[Float[AnyArray, "H S"], ...]
    values: tuple[Float[AnyArray, "H S"], ...]


class _Beyond(NamedTuple):
    """Where all of a Newton step leads, and whether the residual there is no number."""

    policies: tuple[Float[AnyArray, "H S _"], ...]
    broken: Bool[Array, ""]


class Complementarity(AbstractHostSolver):
    r"""Newton's method on the smoothed complementarity problem, for games of some hundred unknowns an epoch.

    Watched: `smoothing` $\kappa$, the `residual`, and `step`, the part of the last Newton step that was taken.
    """

    name: ClassVar[str] = "complementarity"
    games: ClassVar[str] = "mean-field"

    magnet: Profile | None = None
    """Where it begins, one ([H,] S, A) array per population; None is the uniform policy."""
    steps: int = 200
    """Newton steps, at most."""

    def iterates(self, game: Any, *, seed: int) -> Iterator[Iterate]:
        """**Raises:** `BadInput` for games that are too large, and for rewards that are not finite at a policy that a
        step leads to.
        """
        if not game.has_small_jacobian:
            if game.horizon is None:
                where, instead = "here", "bayesian-q"
            else:
                where, instead = f"in each of {game.horizon} epochs here", "temperature-grid"
            raise BadInput(
                f"complementarity solves densely in each epoch, and has {game.num_unknowns} unknowns {where}; "
                f"try interior-point or {instead}."
            )
        policies = tuple(map(jnp.asarray, game.uniform_profile() if self.magnet is None else self.magnet))
        unit = value_unit(game, policies)
        point = _start(game, policies, unit)
        smoothing = _SMOOTHEST
        for _ in range(self.steps):
            new, size, taken, beyond = _newton_step(
                game, point, jnp.asarray(smoothing), jnp.asarray(_PROXIMAL * smoothing), unit
            )
            point, size = new, float(size)
            if beyond.broken:
                refuse_along(game, _answer(game, beyond.policies), game.initial, "at a policy of this solver")
            answer = _answer(game, point.policies)
            info = {"smoothing": smoothing, "residual": size, "step_length": float(taken)}
            solved = size <= max(_CLOSE * smoothing, _ROUNDING)
            yield Iterate(answer, info, candidate=solved or smoothing == 0.0)
            if solved and smoothing == 0.0:
                return
            if solved:
                smoothing = _COOLING * smoothing if smoothing > _EXACT else 0.0
            elif taken == 0.0:
                return


def residual(
    game: Any, point: Unknowns, anchor: Unknowns, smoothing: ScalarLike, proximal: ScalarLike, unit: ScalarLike
) -> Unknowns:
    """What vanishes at an equilibrium, in the shape of the unknowns: complementarity, flow, and sums to one."""
    flow = tuple(mass[..., None] * policy for mass, policy in zip(point.masses, point.policies, strict=True))
    at_rest = game.horizon is None
    rewards = game.rewards(tuple(law[0] for law in flow) if at_rest else flow)
    rewards = tuple(reward[None] for reward in rewards) if at_rest else rewards
    times = jnp.arange(game.horizon or 1)
    complementary, following, sums = [], [], []
    for p, (policy, values) in enumerate(zip(point.policies, point.values, strict=True)):
        transition = game.transitions[p]
        ahead = values if at_rest else jnp.concatenate([values[1:], jnp.zeros_like(values[:1])])
        expected = jax.vmap(transition.expect)(times, flow, ahead)
        q = rewards[p] / unit + game.discount * expected
        slack = values[..., None] - q + proximal * (policy - anchor.policies[p])
        smooth = policy + slack - jnp.sqrt(policy**2 + slack**2 + 2 * smoothing)
        complementary.append(jnp.where(game.legal[p], smooth, policy))
        sums.append(jnp.sum(policy, axis=-1) - 1)
        left = slice(None) if at_rest else slice(-1)
        laws = tuple(law[left] for law in flow)
        sent = jax.vmap(lambda t, laws, law, transition=transition: transition.push(t, laws, law))(
            times[left], laws, laws[p]
        )
        initial = jnp.asarray(game.initial[p])[None]
        if at_rest:  # one of these equations follows from the others, and makes place for the sum
            following.append(point.masses[p] - sent + (jnp.sum(point.masses[p]) - 1) * initial)
        else:
            following.append(point.masses[p] - jnp.concatenate([initial, sent]))
    return Unknowns(tuple(complementary), tuple(following), tuple(sums))


@eqx.filter_jit
def _newton_step(
    game: Any, point: Unknowns, smoothing: ScalarLike, proximal: ScalarLike, unit: ScalarLike
) -> tuple[Unknowns, Float[Array, ""], Float[Array, ""], _Beyond]:
    """The next point, the size of its residual, and the part of Newton's step that was taken: the first of 1, 1/2, ...
    that decreases the norm enough; 0 if none does. And what all of the step would have led to.
    """

    def f(x: Float[Array, "H n"]) -> Float[Array, "H n"]:
        return _by_epoch(residual(game, _shaped(x, point), point, smoothing, proximal, unit))

    flat = _by_epoch(point)
    here = f(flat)
    direction = newton_direction(f, flat, here)
    norm = jnp.linalg.norm(here)

    def refused(part: Float[Array, ""]) -> Any:
        there = jnp.linalg.norm(f(flat + part * direction))
        return ~(there <= (1 - _SUFFICIENT * part) * norm) & (part > _SHORTEST)

    part = jax.lax.while_loop(refused, lambda part: part / 2, jnp.ones(()))
    usable = jnp.isfinite(direction).all() & (part > _SHORTEST)
    there = jnp.where(usable, flat + part * direction, flat)
    end = flat + direction
    broken = jnp.isfinite(direction).all() & ~jnp.isfinite(f(end)).all()
    beyond = _Beyond(_shaped(end, point).policies, broken)
    return _shaped(there, point), jnp.abs(f(there)).max(), jnp.where(usable, part, 0.0), beyond


def _by_epoch(point: Unknowns) -> Float[Array, "H n"]:
    leaves = jax.tree.leaves(point)
    return jnp.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def _shaped(flat: Float[Array, "H n"], like: Unknowns) -> Unknowns:
    leaves, tree = jax.tree.flatten(like)
    ends = np.cumsum([leaf[0].size for leaf in leaves])[:-1]
    parts = jnp.split(flat, ends, axis=1)
    return jax.tree.unflatten(tree, [part.reshape(leaf.shape) for part, leaf in zip(parts, leaves, strict=True)])


def newton_direction(f: Any, flat: Float[Array, "H n"], here: Float[Array, "H n"]) -> Float[Array, "H n"]:
    """Solves J x = -f by elimination from the first epoch to the last, and once more for what rounding left."""
    horizon, size = flat.shape
    _, derivative = jax.linearize(f, flat)
    times = jnp.arange(horizon)

    def along(colour: Any, column: Any) -> Float[Array, "H n"]:
        """The column of all epochs that are `colour` modulo 3, at once: each row meets one of them."""
        chosen = (times % 3 == colour)[:, None] & (jnp.arange(size) == column)[None]
        return derivative(chosen.astype(flat.dtype))

    columns = jax.vmap(jax.vmap(along, (None, 0)), (0, None))(jnp.arange(3), jnp.arange(size))

    def block(t: Any, beside: int) -> Float[Array, "n n"]:
        """Of the rows of epoch t, the columns of the epoch that is `beside` it."""
        return columns[(t + beside) % 3, :, t].T

    def eliminate(last: Float[Array, "n n"], t: Any) -> tuple:
        """`last` is what the epoch before still has to do with this one."""
        before = jnp.where(t > 0, block(t, -1), 0.0)
        factor = jax.scipy.linalg.lu_factor(block(t, 0) - before @ last)
        ahead = jax.scipy.linalg.lu_solve(factor, jnp.where(t + 1 < horizon, block(t, 1), 0.0))
        return ahead, (factor, before, ahead)

    factors = jax.lax.scan(eliminate, jnp.zeros((size, size), flat.dtype), times)[1]

    def solve(right: Float[Array, "H n"]) -> Float[Array, "H n"]:
        def forth(last: Float[Array, " n"], at: tuple) -> tuple:
            (factor, before, _), now = at
            found = jax.scipy.linalg.lu_solve(factor, now - before @ last)
            return found, found

        def back(next_: Float[Array, " n"], at: tuple) -> tuple:
            (_, _, ahead), now = at
            found = now - ahead @ next_
            return found, found

        nothing = jnp.zeros(size, flat.dtype)
        found = jax.lax.scan(forth, nothing, (factors, right))[1]
        return jax.lax.scan(back, nothing, (factors, found), reverse=True)[1]

    direction = solve(-here)
    return direction + solve(-here - derivative(direction))


@eqx.filter_jit
def _start(game: Any, policies: Profile, unit: ScalarLike) -> Unknowns:
    flow = flow_of(game, policies)
    values = tuple(evaluated(game, p, flow, policy)[0] / unit for p, policy in enumerate(policies))
    point = Unknowns(tuple(policies), tuple(law.sum(axis=-1) for law in flow), values)
    return jax.tree.map(lambda leaf: leaf[None], point) if game.horizon is None else point


def _answer(game: Any, policies: tuple[Any, ...]) -> Profile:
    cleaned = tuple(_cleaned(np.asarray(policy)) for policy in policies)
    return tuple(policy[0] for policy in cleaned) if game.horizon is None else cleaned


def _cleaned(policy: Float[np.ndarray, "H S A"]) -> Float[np.ndarray, "H S A"]:
    """Nothing below zero, and sums of one."""
    kept = np.maximum(policy, 0.0)
    return kept / kept.sum(axis=-1, keepdims=True)

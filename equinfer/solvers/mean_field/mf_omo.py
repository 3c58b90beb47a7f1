"""MF-OMO: equilibrium as one optimisation problem in flows, values and slacks (Guo, Hu and Zhang 2022)."""

from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equinfer.arguments import check_ranges
from equinfer.drivers.protocol import AbstractSolver, Info
from equinfer.equations.information import logarithm
from equinfer.equations.mean_field import optimal_values, policy_of, uniform_policies
from equinfer.errors import BadInput
from equinfer.types import AnyArray, PRNGKey, Profile

__all__ = ["MFOMO", "MFOMOState"]

_FIRST, _SECOND, _TINY = 0.9, 0.999, 1e-8
"""Adam's constants (Kingma and Ba 2015)."""


class _Unknowns(NamedTuple):
    """Logits of the laws (H, S, A), values (H, S), and slacks before their softplus (H, S, A), by population."""

    logits: tuple[Float[AnyArray, "H S _"], ...]
    values: tuple[Float[AnyArray, "H S"], ...]
    slacks: tuple[Float[AnyArray, "H S _"], ...]


class MFOMOState(NamedTuple):
    """The unknowns; of Adam, the number of steps, and the means of slopes and of their squares."""

    unknowns: _Unknowns
    number: Float[Array, ""]
    slopes: _Unknowns
    squares: _Unknowns


class MFOMO(AbstractSolver[MFOMOState]):
    r"""Guo, Hu and Zhang (2022), Theorem 1, by Adam: minimise

    $$\|A_LL-b\|^2+\|A_L^\top V-r(L)-z\|^2+\langle z,L\rangle\qquad(L_t\text{ a law},\ z\ge0),$$

    with $(A_LL-b)$ what the flow misses, and $(A_L^\top V)_t(s,a)=V_t(s)-(P_tV_{t+1})(s,a)$. It vanishes exactly at the
    equilibria; where it is not convex, descent may stop elsewhere.
    """

    name: ClassVar[str] = "mf-omo"
    games: ClassVar[str] = "mean-field"

    learning_rate: float = 0.1
    steps: int = 10_000
    seeds: int = 1
    tolerance: float = 1e-20
    """A run ends once the objective is no larger."""

    def __check_init__(self):
        check_ranges(self, {"learning_rate": "(0, inf)", "steps": "[1, inf)", "seeds": "[1, inf)"})

    def init(self, game: Any, *, key: PRNGKey) -> MFOMOState:
        del key
        if game.horizon is None:
            raise BadInput("mf-omo is for games with a horizon; this one is stationary.")
        uniform = uniform_policies(game)
        flow = tuple(policy / game.num_states for policy in uniform)
        values, slacks = [], []
        for p in range(game.num_players):
            value, q = optimal_values(game, p, flow)
            values.append(value)
            slacks.append(_before_softplus(value[..., None] - q))
        unknowns = _Unknowns(tuple(map(jnp.zeros_like, uniform)), tuple(values), tuple(slacks))
        nothing = jax.tree.map(jnp.zeros_like, unknowns)
        return MFOMOState(unknowns, jnp.zeros(()), nothing, nothing)

    def step(self, game: Any, state: MFOMOState, *, key: PRNGKey) -> tuple[MFOMOState, Info]:
        del key  # nothing is random
        objective, slope = jax.value_and_grad(lambda unknowns: _objective(game, unknowns))(state.unknowns)
        number = state.number + 1
        slopes = jax.tree.map(lambda mean, new: _FIRST * mean + (1 - _FIRST) * new, state.slopes, slope)
        squares = jax.tree.map(lambda mean, new: _SECOND * mean + (1 - _SECOND) * new**2, state.squares, slope)

        def moved(x: Array, mean: Array, square: Array) -> Array:
            size = jnp.sqrt(square / (1 - _SECOND**number)) + _TINY
            return x - self.learning_rate * mean / (1 - _FIRST**number) / size

        unknowns = jax.tree.map(moved, state.unknowns, slopes, squares)
        new = MFOMOState(unknowns, number, slopes, squares)
        return new, {"objective": objective, "converged": objective <= self.tolerance}

    def profile(self, game: Any, state: MFOMOState) -> Profile:
        uniform = map(logarithm, uniform_policies(game))
        return tuple(map(policy_of, _laws(game, state.unknowns.logits), uniform))


def _laws(game: Any, logits: tuple[Float[AnyArray, "H S _"], ...]) -> tuple[Float[Array, "H S _"], ...]:
    """Laws over states and legal actions, in each epoch."""
    return tuple(
        jax.nn.softmax(jnp.where(legal, each, -jnp.inf), axis=(1, 2))
        for each, legal in zip(logits, game.legal, strict=True)
    )


def _objective(game: Any, unknowns: _Unknowns) -> Float[Array, ""]:
    flow = _laws(game, unknowns.logits)
    rewards, times = game.rewards(flow), jnp.arange(game.horizon)
    total = jnp.zeros(())
    for p, (law, value, slack) in enumerate(zip(flow, unknowns.values, unknowns.slacks, strict=True)):
        kernel, z = game.transitions[p], jax.nn.softplus(slack)
        sent = jax.vmap(lambda t, laws, law, kernel=kernel: kernel.push(t, laws, law))(times, flow, law)
        missed = law.sum(axis=-1) - jnp.concatenate([jnp.asarray(game.initial[p])[None], sent[:-1]])
        ahead = jnp.concatenate([value[1:], jnp.zeros_like(value[:1])])
        expected = jax.vmap(kernel.expect)(times, flow, ahead)
        off = value[..., None] - rewards[p] - game.discount * expected - z
        legal = jnp.broadcast_to(game.legal[p], law.shape)
        total += jnp.sum(missed**2) + jnp.sum(jnp.where(legal, off, 0.0) ** 2) + jnp.sum(jnp.where(legal, z, 0.0) * law)
    return total


def _before_softplus(slack: Float[AnyArray, "*HSA"]) -> Float[Array, "*HSA"]:
    """Where softplus is `slack`, raised a little above zero."""
    raised = jnp.maximum(slack, 1e-3)
    return raised + jnp.log(-jnp.expm1(-raised))

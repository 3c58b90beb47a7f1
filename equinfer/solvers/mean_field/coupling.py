r"""A Newton step of the interior point method where more depends on the population than rewards in the same place do.

Notation of `interior_point`. With $g(d)=r(d)+P(d)V'$ and $n(d)=P(d)^\top\bar d$, where V and $\bar d$ are held fixed, a
step solves

$$dz-dV+P\,dV'+g'(d)\,dd=-\text{off},\qquad d\mu-P^\top dd-n'(d)\,dd=\text{missing}.$$

Of that the system of `schur` or `rest` has $-\mathcal K\,d\mu-C\,dd$ in place of $g'$, and nothing for $n'$. What
is left out, $E\,dd$, belongs to the right-hand sides: $y=(\text{off},\text{missing})+E\,M(y)$, M being the step that
the system makes of y.
Krylov's method solves that (GMRES, Saad and Schultz 1986); a product with E is one directional derivative.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from scipy.sparse.linalg import LinearOperator, gmres

from equinfer.solvers.mean_field.nodes import Crowding, Nodes, discounts, flat, flow_at, lists_of, rewards_in
from equinfer.types import Profile

__all__ = ["Coupling", "MovingChances"]

_MOST_PRODUCTS = 80
_REDUCTION = 1e-6
"""Of the residual, by Krylov's method."""


_operator: Any = LinearOperator


class MovingChances:
    """Kernels that depend on the population, at the nodes."""

    def __init__(self, game: Any, nodes: Nodes):
        self.game, self.nodes = game, nodes
        epochs = game.horizon or 1
        self._numbered = np.full((epochs + 1, game.num_players, game.num_states), -1)
        self._numbered[nodes.time, nodes.population, nodes.state] = np.arange(nodes.size)
        if game.horizon is None:
            self._numbered[1] = self._numbered[0]
        # Successors of each node stand in order, and what stands for none comes last: keys are in order as well.
        self._keys = (np.arange(nodes.size)[:, None] * (nodes.size + 1) + nodes.successors).ravel()

    def __call__(self, flow: Profile) -> Float[np.ndarray, "N A K"]:
        """At a flow. **Raises:** `FloatingPointError` if it leads to places that nobody was thought to come to."""
        nodes, width = self.nodes, self.nodes.successors.shape[1]
        chances = np.zeros(nodes.chances.size)
        if not width:
            return chances.reshape(nodes.chances.shape)
        for t in range(self.game.horizon or 1):
            if t + 1 == self.game.horizon:
                break
            laws = tuple(law[t] for law in flow)
            for p, transition in enumerate(self.game.transitions):
                here = self._numbered[t, p]
                states = np.flatnonzero(here >= 0)
                successors, weights = (each[states] for each in lists_of(transition.raw(t, laws)))
                counted = (weights != 0) & np.asarray(self.game.legal[p])[states][..., None]
                place, action, _ = np.nonzero(counted)
                node, ahead = here[states[place]], self._numbered[t + 1, p][successors[counted]]
                key = node * (nodes.size + 1) + ahead
                column = np.minimum(np.searchsorted(self._keys, key), self._keys.size - 1)
                if (self._keys[column] != key).any() or not np.isfinite(weights[counted]).all():
                    raise FloatingPointError("the population moves where it was not thought to come to")
                target = (node * nodes.legal.shape[1] + action) * width + column % width
                chances += np.bincount(target, weights[counted], minlength=chances.size)
        return chances.reshape(nodes.chances.shape)


class Coupling(NamedTuple):
    """E at one point."""

    game: Any
    nodes: Nodes
    flow: Profile
    values: Profile
    """(H, S), discounted to the first epoch, of the epoch that follows."""
    crowding: Crowding
    mates: Any

    @classmethod
    def at(
        cls,
        game: Any,
        nodes: Nodes,
        masses: Float[np.ndarray, "N A"],
        values: Float[np.ndarray, " N"],
        crowding: Crowding,
        mates: Any,
    ) -> "Coupling":
        by_epoch = np.zeros((game.num_players, (game.horizon or 1) + 1, game.num_states))
        by_epoch[nodes.population, nodes.time, nodes.state] = values
        ahead = by_epoch[:, :-1] * game.discount if game.horizon is None else by_epoch[:, 1:]
        return cls(game, nodes, flow_at(game, nodes, masses), tuple(map(jnp.asarray, ahead)), crowding, mates)

    def times(self, change: Float[np.ndarray, "N A"]) -> tuple[Float[np.ndarray, "N A"], Float[np.ndarray, " N"]]:
        """E times a change of masses: of slacks, and of masses that arrive."""
        game, nodes = self.game, self.nodes
        along = flow_at(game, nodes, change)
        rewards, expected, sent = _derivatives(game, self.flow, along, self.values)
        slacks = flat(game, nodes, tuple(map(np.asarray, rewards))) * discounts(game, nodes)
        slacks += flat(game, nodes, tuple(map(np.asarray, expected)))
        total = np.append(change.sum(axis=1), 0.0)
        shared = (self.crowding.shared * total[self.mates]).sum(axis=1)[:, None]
        slacks += np.where(nodes.legal, shared + self.crowding.own * change, 0.0)
        arriving = np.zeros(nodes.size)
        shift = 0 if game.horizon is None else 1
        for p, moved in enumerate(map(np.asarray, sent)):
            own = (nodes.population == p) & (nodes.time >= shift)
            arriving[own] = moved[nodes.time[own] - shift, nodes.state[own]]
        return slacks, arriving

    def move(self, system: Any, at: Any, right: np.ndarray, off: np.ndarray, missing: np.ndarray, unit: float) -> Any:
        """The step of `system.move`, with all of the derivative. `unit`, of slacks to masses."""
        nodes = self.nodes
        legal, size = nodes.legal, int(nodes.legal.sum())

        def packed(slacks: np.ndarray, masses: np.ndarray) -> np.ndarray:
            return np.concatenate([slacks[legal] / unit, masses])

        def split(y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            slacks = np.zeros(legal.shape)
            slacks[legal] = y[:size] * unit
            return slacks, y[size:]

        nothing, nobody = np.zeros(legal.shape), np.zeros(nodes.size)

        def product(y: np.ndarray) -> np.ndarray:
            step = system.move(at, nothing, *split(y))
            return y - packed(*self.times(step.masses))

        base = packed(off, missing) + packed(*self.times(system.move(at, right, nothing, nobody).masses))
        y, _ = gmres(
            _operator((base.size, base.size), matvec=product, dtype=np.float64),
            base,
            x0=base,
            rtol=_REDUCTION,
            atol=0.0,
            restart=_MOST_PRODUCTS,
            maxiter=1,
        )
        return system.move(at, right, *split(y))


@eqx.filter_jit
def _derivatives(game: Any, flow: Profile, change: Profile, ahead: Profile) -> tuple[Profile, Profile, Profile]:
    """Of rewards, of what actions lead to in the mean, and of where these laws go, with the law that is moved fixed."""
    times = jnp.arange(game.horizon or 1)

    def look(laws: Profile) -> tuple[Profile, Profile, Profile]:
        rewards = rewards_in(game, laws)
        if game.has_fixed_dynamics:
            nothing = tuple(jnp.zeros(law.shape) for law in flow)
            return rewards, nothing, tuple(jnp.zeros(law.shape[:2]) for law in flow)
        expected, sent = [], []
        for p, transition in enumerate(game.transitions):
            expected.append(jax.vmap(transition.expect)(times, laws, ahead[p]))
            sent.append(jax.vmap(transition.push)(times, laws, flow[p]))
        return rewards, tuple(expected), tuple(sent)

    return jax.jvp(look, (flow,), (change,))[1]

"""How the states of a mean-field game follow each other: by tables, by lists, or by functions of the population."""

import abc
from collections.abc import Callable
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equinfer.games.kernels import SparseKernel
from equinfer.mean_field_tables import RawTransition
from equinfer.tables import SuccessorLists
from equinfer.types import AnyArray, PRNGKey

__all__ = ["AbstractTransition", "ByFunction", "Fixed", "Laws", "seen_through", "staying_where_illegal"]

Laws: TypeAlias = tuple[Float[AnyArray, "S _"], ...]
"""The state-action law (S, A_p) of every population, at one time."""

_SIDE_BY_SIDE = 4e6
"""Probabilities that kernels at several laws may have together, to be made by one call."""


_AT_ONCE = 1e5
"""Probabilities that the kernels of all epochs may have together, to be made by one call within a step."""


class AbstractTransition(eqx.Module):
    """The kernel $P_t(s'|s,a,L)$ of one population, known by its two contractions."""

    @property
    @abc.abstractmethod
    def is_fixed(self) -> bool:
        """True if it does not depend on the population."""

    @abc.abstractmethod
    def expect(self, t: Any, laws: Laws, value: Float[AnyArray, " S"]) -> Float[AnyArray, "S A"]:
        r"""$\sum_{s'}P_t(s'\mid s,a,L)v(s')$."""

    @abc.abstractmethod
    def push(self, t: Any, laws: Laws, joint: Float[AnyArray, "S A"]) -> Float[Array, " S"]:
        r"""$\sum_{s,a}L(s,a)P_t(\cdot\mid s,a,L)$: where a state-action law goes."""

    @abc.abstractmethod
    def raw(self, t: int, laws: Laws) -> RawTransition:
        """The kernel at one time, in NumPy."""

    def raw_each(self, t: int, laws: tuple[Float[AnyArray, "K S _"], ...]) -> list[RawTransition]:
        """`raw` at each of K laws."""
        return [self.raw(t, each) for each in zip(*laws, strict=True)]

    def at_each(self, times: Int[AnyArray, " H"], flow: tuple[Float[AnyArray, "H S _"], ...]) -> "Fixed | None":
        """The kernels of all epochs at once, with a leading axis of them; None where that is of no use, or too much."""
        return None

    def draw(
        self, t: Any, laws: Laws, states: Int[AnyArray, " M"], actions: Int[AnyArray, " M"], key: PRNGKey
    ) -> Int[Array, " M"]:
        r"""$s'_m\sim P_t(\cdot\mid s_m,a_m,L)$ for M agents: what a simulator does."""

        def law(state: Int[AnyArray, ""], action: Int[AnyArray, ""]) -> Float[Array, " S"]:
            return self.push(t, laws, jnp.zeros_like(jnp.asarray(laws[0])).at[state, action].set(1.0))

        return jax.random.categorical(key, jnp.log(jax.vmap(law)(states, actions)))


class Fixed(AbstractTransition):
    """A table (S, A, S), or lists of successors, that depends neither on time nor on the population."""

    kernel: Float[AnyArray, "S A S"] | SparseKernel

    @property
    def is_fixed(self) -> bool:
        return True

    def expect(self, t: Any, laws: Laws, value: Float[AnyArray, " S"]) -> Float[AnyArray, "S A"]:
        return _expect(self.kernel, value)

    def push(self, t: Any, laws: Laws, joint: Float[AnyArray, "S A"]) -> Float[Array, " S"]:
        return _push(self.kernel, joint)

    def draw(
        self, t: Any, laws: Laws, states: Int[AnyArray, " M"], actions: Int[AnyArray, " M"], key: PRNGKey
    ) -> Int[Array, " M"]:
        return _draw(self.kernel, states, actions, key)

    def raw(self, t: int, laws: Laws) -> RawTransition:
        return _raw(self.kernel)


class ByFunction(AbstractTransition):
    """What a function (t, law) hands back: a table (S, A, S), or a `SparseKernel`."""

    function: Callable[..., Any] = eqx.field(static=True)

    @property
    def is_fixed(self) -> bool:
        return False

    def expect(self, t: Any, laws: Laws, value: Float[AnyArray, " S"]) -> Float[AnyArray, "S A"]:
        return _expect(self._at(t, laws), value)

    def push(self, t: Any, laws: Laws, joint: Float[AnyArray, "S A"]) -> Float[Array, " S"]:
        return _push(self._at(t, laws), joint)

    def draw(
        self, t: Any, laws: Laws, states: Int[AnyArray, " M"], actions: Int[AnyArray, " M"], key: PRNGKey
    ) -> Int[Array, " M"]:
        return _draw(self._at(t, laws), states, actions, key)

    def raw(self, t: int, laws: Laws) -> Any:
        return _raw(_evaluated(self.function, t, laws))

    def raw_each(self, t: int, laws: tuple[Float[AnyArray, "K S _"], ...]) -> list[Any]:
        count, states, actions = laws[0].shape
        if count * states**2 * actions > _SIDE_BY_SIDE:
            return super().raw_each(t, laws)
        kernels = _compiled_each(self.function, jnp.asarray(t), laws[0] if len(laws) == 1 else laws)
        kernels = jax.tree.map(np.asarray, kernels)  # sliced there, one after the other
        return [_raw(jax.tree.map(lambda leaf, k=k: leaf[k], kernels)) for k in range(count)]

    def at_each(self, times: Int[AnyArray, " H"], flow: tuple[Float[AnyArray, "H S _"], ...]) -> Fixed | None:
        epochs, states, actions = flow[0].shape
        if epochs * states**2 * actions > _AT_ONCE:
            return None
        return jax.vmap(lambda t, laws: Fixed(self._at(t, laws)))(times, flow)

    def _at(self, t: Any, laws: Laws) -> Any:
        return self.function(t, laws[0] if len(laws) == 1 else laws)


def seen_through(transition: AbstractTransition, laws: Laws) -> AbstractTransition:
    """`Fixed`, in place of a function that looks at neither of its arguments; all others as they are.

    **Arguments:** `laws`, any at which the function is defined.
    """
    if not isinstance(transition, ByFunction):
        return transition
    traced = jax.make_jaxpr(transition.function)(jnp.asarray(0), laws[0] if len(laws) == 1 else laws).jaxpr
    used = {id(atom) for equation in traced.eqns for atom in equation.invars} | set(map(id, traced.outvars))
    if used & set(map(id, traced.invars)):
        return transition
    kernel = _evaluated(transition.function, 0, laws)
    return Fixed(kernel if isinstance(kernel, SparseKernel) else np.asarray(kernel, np.float64))


def staying_where_illegal(transition: AbstractTransition, legal: Bool[np.ndarray, "S A"]) -> AbstractTransition:
    """The same, with a law for actions that nobody can take, of whose rows nothing is asked: they lead nowhere."""
    if legal.all() or not isinstance(transition, (Fixed, ByFunction)):
        return transition
    if isinstance(transition, Fixed):
        return Fixed(_staying(transition.kernel, legal, np))
    function = transition.function
    return ByFunction(lambda t, law: _staying(function(t, law), legal, jnp))


def _staying(kernel: Any, legal: Bool[np.ndarray, "S A"], xp: Any) -> Any:
    is_sparse = isinstance(kernel, SparseKernel)
    rows, states = kernel.probabilities if is_sparse else kernel, len(legal)
    if rows.ndim != 3 or rows.shape[:2] != legal.shape or not (is_sparse or rows.shape[2] == states):
        return kernel  # which the checks of shapes will say
    allowed = legal[..., None]
    if not is_sparse:
        return xp.where(allowed, rows, np.eye(states, dtype=rows.dtype)[:, None])
    here = np.arange(states, dtype=kernel.successors.dtype)[:, None, None]
    first = np.eye(1, rows.shape[2], dtype=rows.dtype)[0]
    return SparseKernel(xp.where(allowed, kernel.successors, here), xp.where(allowed, rows, first))


def _evaluated(function: Callable[..., Any], t: int, laws: Laws) -> Any:
    """Compiled once per function: its numbers are what solvers see, to the bit."""
    return _compiled(function, jnp.asarray(t), laws[0] if len(laws) == 1 else laws)


@eqx.filter_jit
def _compiled(function: Callable[..., Any], t: Any, law: Any) -> Any:
    return function(t, law)


@eqx.filter_jit
def _compiled_each(function: Callable[..., Any], t: Any, laws: Any) -> Any:
    return jax.vmap(lambda law: function(t, law))(laws)


def _expect(kernel: Any, value: Any) -> Any:
    if isinstance(kernel, SparseKernel):
        return jnp.sum(kernel.probabilities * jnp.asarray(value)[kernel.successors], axis=-1)
    return jnp.asarray(kernel) @ value


def _push(kernel: Any, joint: Any) -> Any:
    if isinstance(kernel, SparseKernel):
        mass = joint[..., None] * kernel.probabilities
        return jax.ops.segment_sum(mass.ravel(), jnp.asarray(kernel.successors).ravel(), num_segments=len(joint))
    return jnp.einsum("sa,sax->x", joint, jnp.asarray(kernel))


def _draw(kernel: Any, states: Any, actions: Any, key: PRNGKey) -> Any:
    if isinstance(kernel, SparseKernel):
        place = jax.random.categorical(key, jnp.log(jnp.asarray(kernel.probabilities)[states, actions]))
        return jnp.take_along_axis(jnp.asarray(kernel.successors)[states, actions], place[:, None], 1)[:, 0].astype(int)
    return jax.random.categorical(key, jnp.log(jnp.asarray(kernel)[states, actions]))


def _raw(kernel: Any) -> Any:
    # Not annotated as a kernel: what a function hands back is checked, and refused, by whoever asks.
    if isinstance(kernel, SparseKernel):
        return SuccessorLists(np.asarray(kernel.successors), np.asarray(kernel.probabilities, np.float64))
    return np.asarray(kernel, np.float64)

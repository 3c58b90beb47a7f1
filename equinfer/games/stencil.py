"""Local moves on a grid: an action displaces, then noise does; no table over pairs of cells is ever formed."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from equinfer.arguments import ROW_SUM_TOLERANCE
from equinfer.errors import BadInput
from equinfer.games.transitions import AbstractTransition
from equinfer.mean_field_tables import Staged
from equinfer.types import AnyArray, PRNGKey, namespace_of

__all__ = ["Stencil"]

_BOUNDARIES = {"clip": "edge", "torus": "wrap"}
"""Name of a boundary -> how NumPy calls padding by it."""

Shift = tuple[int, ...]


class Stencil(AbstractTransition):
    """A kernel on the cells of a grid, numbered in C order: a move by the action, and another one by noise.

    **Arguments:**

    * `shape` of the grid; `moves`, the displacement of each action, one number per axis.
    * `noise`: None, the probability of each of `moves` once more, or a mapping {displacement: probability}.
    * `walls`, true where nobody can be, of the grid's shape, or (H, *shape) for doors that open and close: who would
      run into one by its action stays. What noise does is said by `blocked`: `"stay"`, or `"share"`, by which what
      cannot be done is shared equally among what can.
    * `boundary`: `"clip"` moves each coordinate back to the border, `"torus"` goes round.
    * `together`: action and noise are added up before the boundary is looked at; not possible with walls. (On a
      clipped grid that is not the same as one after the other: three steps out and one back end at the border.)

    **Raises:** `BadInput` for shapes that do not fit, a boundary that does not exist, and noise that is no law.
    """

    shape: tuple[int, ...] = eqx.field(static=True)
    moves: tuple[Shift, ...] = eqx.field(static=True)
    shifts: tuple[Shift, ...] = eqx.field(static=True)
    """Displacements of the noise."""
    probabilities: Float[AnyArray, " E"]
    walls: Bool[AnyArray, "..."] | None
    boundary: str = eqx.field(static=True)
    blocked: str = eqx.field(static=True)
    together: bool = eqx.field(static=True)

    def __init__(
        self,
        shape: Sequence[int] | int,
        moves: Sequence[Sequence[int]] | ArrayLike,
        noise: ArrayLike | Mapping[Any, float] | None = None,
        walls: ArrayLike | None = None,
        boundary: str = "clip",
        *,
        blocked: str = "stay",
        together: bool = False,
    ):
        self.shape = _whole(shape, "shape")
        if not self.shape or min(self.shape) < 1:
            raise BadInput(f"a stencil needs a grid of at least one cell; got shape {self.shape}.")
        self.moves = tuple(self._displacement(move, f"move {action}") for action, move in enumerate(_listed(moves)))
        if not self.moves:
            raise BadInput("a stencil needs at least one move.")
        if isinstance(noise, Mapping):
            self.shifts = tuple(self._displacement(shift, "a displacement of the noise") for shift in noise)
            law = np.array(list(noise.values()), np.float64)
        else:
            self.shifts = self.moves if noise is not None else ((0,) * len(self.shape),)
            law = np.ones(1) if noise is None else np.asarray(noise, np.float64)
        if law.shape != (len(self.shifts),) or not (np.isfinite(law).all() and (law >= 0).all()):
            count = len(self.shifts)
            raise BadInput(f"the noise of a stencil needs one probability for each of {count} displacements.")
        if abs(law.sum() - 1) > ROW_SUM_TOLERANCE:
            raise BadInput(f"the probabilities of the noise sum to {law.sum():.10g}, not to one.")
        self.probabilities = law / law.sum()
        self.walls = None if walls is None else self._checked_walls(walls)
        if boundary not in _BOUNDARIES:
            raise BadInput(f"the boundary of a stencil is one of {', '.join(_BOUNDARIES)}; got {boundary!r}.")
        if blocked not in ("stay", "share"):
            raise BadInput(f"what is blocked can 'stay' or be 'share'd; got {blocked!r}.")
        if together and walls is not None:
            raise BadInput("with walls a move comes before the noise; leave `together` out.")
        self.boundary, self.blocked, self.together = boundary, blocked, together

    @property
    def num_states(self) -> int:
        return int(np.prod(self.shape))

    @property
    def is_fixed(self) -> bool:
        return True

    def expect(self, t: Any, laws: Any, value: Float[AnyArray, " S"]) -> Float[AnyArray, "S A"]:
        xp = namespace_of(value)
        grid = xp.reshape(value, self.shape)
        if self.together:
            reach = self._reach(self.moves)
            ahead = self._sum_of_shifts(self._padded(grid, self._reach(self.shifts) + reach), reach)
            return xp.stack([self._window(ahead, move, reach).ravel() for move in self.moves], axis=-1)
        walls = None if self.walls is None else self._walls_of(xp.asarray(self.walls), t)
        ahead = self._after_noise(grid, walls)
        padded, reach = self._padded(ahead, self._reach(self.moves)), self._reach(self.moves)
        there = (self._window(padded, move, reach) for move in self.moves)
        if walls is not None:
            free = [self._is_free(walls, move) for move in self.moves]
            there = (xp.where(open_, moved, ahead) for open_, moved in zip(free, there, strict=True))
        return xp.stack([each.ravel() for each in there], axis=-1)

    def push(self, t: Any, laws: Any, joint: Float[AnyArray, "S A"]) -> Float[Array, " S"]:
        """The adjoint of `expect`, which is linear in the values."""
        pull = jax.linear_transpose(
            lambda value: self.expect(t, laws, value), jax.ShapeDtypeStruct((self.num_states,), joint.dtype)
        )
        return pull(joint)[0]

    def draw(
        self, t: Any, laws: Any, states: Int[AnyArray, " M"], actions: Int[AnyArray, " M"], key: PRNGKey
    ) -> Int[Array, " M"]:
        """From cell to cell, by the coordinates of each agent."""
        moves, shifts = (np.array(each).T for each in (self.moves, self.shifts))  # axis by axis
        law = jnp.asarray(self.probabilities)
        moved = [here + jnp.asarray(m)[actions] for here, m in zip(self._axes(states), moves, strict=True)]
        if self.walls is None:
            there = moved if self.together else self._axes(self._numbers(moved))
            drawn = jax.random.categorical(key, jnp.log(law), shape=states.shape)
            return self._numbers([at + jnp.asarray(s)[drawn] for at, s in zip(there, shifts, strict=True)])
        closed = jnp.broadcast_to(self._walls_of(jnp.asarray(self.walls), t), self.shape).ravel()
        wanted = self._numbers(moved)
        cell = jnp.where(closed[wanted], states, wanted)
        there = zip(self._axes(cell), shifts, strict=True)
        ends = self._numbers([at[:, None] + jnp.asarray(s)[None] for at, s in there])
        free = ~closed[ends]
        laws_here = jnp.broadcast_to(law, free.shape)
        if self.blocked == "share":
            lost, count = jnp.sum(jnp.where(free, 0.0, laws_here), 1), jnp.sum(free.astype(law.dtype), 1)
            shared = laws_here + (lost / jnp.maximum(count, 1))[:, None]
            laws_here = jnp.where(free, shared, jnp.where((count == 0)[:, None], laws_here, 0.0))
        drawn = jax.random.categorical(key, jnp.log(laws_here))
        end = jnp.take_along_axis(ends, drawn[:, None], axis=1)[:, 0]
        return jnp.where(closed[end], cell, end)

    def _axes(self, cells: Int[AnyArray, "*M"]) -> tuple[Int[Array, "*M"], ...]:
        """Coordinates, axis by axis."""
        return jnp.unravel_index(jnp.asarray(cells), self.shape)

    def _numbers(self, axes: Sequence[Int[AnyArray, "*M"]]) -> Int[Array, "*M"]:
        """Of the cells of these coordinates, those beyond the border brought back as the boundary says."""
        clipped = self.boundary == "clip"
        inside = [jnp.clip(x, 0, n - 1) if clipped else x % n for x, n in zip(axes, self.shape, strict=True)]
        return jnp.ravel_multi_index(tuple(inside), self.shape, mode="clip")

    def raw(self, t: int, laws: Any) -> Staged:
        """The same by index arithmetic, in NumPy: what certificates read."""
        if self.together:
            return self._raw_together()
        walls = None if self.walls is None else np.broadcast_to(self._walls_of(np.asarray(self.walls), t), self.shape)
        here = np.arange(self.num_states)
        there = np.stack([self._moved(move) for move in self.moves], axis=-1)
        after = np.stack([self._moved(shift) for shift in self.shifts], axis=-1)
        probabilities = np.broadcast_to(np.asarray(self.probabilities), after.shape)
        if walls is not None:
            closed = walls.ravel()
            there = np.where(closed[there], here[:, None], there)
            free = ~closed[after]
            lost = np.where(free, 0.0, probabilities).sum(axis=1, keepdims=True)
            probabilities = np.where(free, probabilities, 0.0)
            if self.blocked == "share":
                count = free.sum(axis=1, keepdims=True)
                share = np.divide(lost, count, out=np.zeros_like(lost), where=count > 0)
                probabilities = probabilities + free * share
                lost = np.where(count > 0, 0.0, lost)
            after = np.append(np.where(free, after, here[:, None]), here[:, None], axis=1)
            probabilities = np.append(probabilities, lost, axis=1)
        return Staged(there, after, np.ascontiguousarray(probabilities))

    # --- displacements ---------------------------------------------------------------------------------------------

    def _displacement(self, move: Any, what: str) -> Shift:
        shift = _whole(move, what)
        if len(shift) != len(self.shape):
            raise BadInput(f"{what} has {len(shift)} numbers; the grid has {len(self.shape)} axes.")
        if any(abs(step) > size for step, size in zip(shift, self.shape, strict=True)):
            raise BadInput(f"{what}, {shift}, is longer than the grid of shape {self.shape}.")
        return shift

    def _checked_walls(self, walls: ArrayLike) -> Bool[np.ndarray, "..."]:
        array = np.asarray(walls)
        if array.dtype != bool or array.shape[-len(self.shape) :] != self.shape or array.ndim > len(self.shape) + 1:
            raise BadInput(f"walls must be booleans of shape {self.shape} or (H, *{self.shape}); got {array.shape}.")
        return array

    def _walls_of(self, walls: Any, t: Any) -> Any:
        return walls[t] if walls.ndim > len(self.shape) else walls

    def _reach(self, shifts: Sequence[Shift]) -> np.ndarray:
        """How far displacements go along each axis."""
        return np.abs(np.array(shifts)).max(axis=0)

    def _padded(self, grid: Any, reach: np.ndarray) -> Any:
        widths = [(int(size), int(size)) for size in reach]
        return namespace_of(grid).pad(grid, widths, mode=_BOUNDARIES[self.boundary]) if reach.any() else grid

    def _window(self, padded: Any, shift: Shift, reach: np.ndarray, beside: np.ndarray | int = 0) -> Any:
        """What stands where `shift` leads from each cell, and from `beside` more cells on either side."""
        extra = np.broadcast_to(beside, len(self.shape))
        low = reach + np.array(shift)
        high = low + np.array(self.shape) + 2 * extra
        return padded[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]

    def _sum_of_shifts(self, padded: Any, beside: np.ndarray) -> Any:
        reach, law = self._reach(self.shifts), namespace_of(padded).asarray(self.probabilities, padded.dtype)
        parts = (p * self._window(padded, s, reach, beside) for p, s in zip(law, self.shifts, strict=True))
        return sum(parts)

    def _is_free(self, walls: Any, shift: Shift) -> Any:
        return ~self._window(self._padded(walls, self._reach((shift,))), shift, self._reach((shift,)))

    def _after_noise(self, grid: Any, walls: Any) -> Any:
        """Mean of what noise leads to, from every cell."""
        padded, reach = self._padded(grid, self._reach(self.shifts)), self._reach(self.shifts)
        if walls is None:
            return self._sum_of_shifts(padded, np.zeros(len(self.shape), int))
        free = [self._is_free(walls, shift) for shift in self.shifts]
        xp = namespace_of(grid)
        law = xp.asarray(self.probabilities, grid.dtype)
        lost = sum(xp.where(open_, 0.0, p) for p, open_ in zip(law, free, strict=True))
        extra: Any = 0.0
        if self.blocked == "share":
            count = sum(open_.astype(grid.dtype) for open_ in free)
            extra = xp.where(count > 0, lost / xp.maximum(count, 1.0), 0.0)
            lost = xp.where(count > 0, 0.0, lost)
        parts = (
            xp.where(open_, p + extra, 0.0) * self._window(padded, shift, reach)
            for p, open_, shift in zip(law, free, self.shifts, strict=True)
        )
        return sum(parts) + lost * grid

    def _moved(self, shift: Shift, origin: np.ndarray | None = None) -> np.ndarray:
        """The number of the cell where a displacement leads from each cell, or from `origin` (cells, axes)."""
        cells = np.array(list(itertools.product(*map(range, self.shape)))) if origin is None else origin
        there = cells + np.array(shift)
        size = np.array(self.shape)
        there = np.clip(there, 0, size - 1) if self.boundary == "clip" else there % size
        return np.asarray(np.ravel_multi_index(tuple(there.T), self.shape))

    def _raw_together(self) -> Staged:
        """Moves lead to cells of a larger grid, whose border is as wide as a move is long; noise brings them back."""
        reach = self._reach(self.moves)
        larger = tuple(int(size + 2 * wide) for size, wide in zip(self.shape, reach, strict=True))
        cells = np.array(list(itertools.product(*map(range, self.shape)))) + reach
        there = np.stack(
            [np.ravel_multi_index(tuple((cells + np.array(move)).T), larger) for move in self.moves], axis=-1
        )
        origin = np.array(list(itertools.product(*map(range, larger)))) - reach
        after = np.stack([self._moved(shift, origin) for shift in self.shifts], axis=-1)
        probabilities = np.broadcast_to(np.asarray(self.probabilities), after.shape)
        return Staged(there, after, np.ascontiguousarray(probabilities))


def _listed(moves: Any) -> list[Any]:
    try:
        return [np.atleast_1d(move) for move in moves]
    except TypeError:
        raise BadInput(f"moves must be a list of displacements; got {moves!r}.") from None


def _whole(value: Any, what: str) -> tuple[int, ...]:
    array = np.atleast_1d(np.asarray(value))
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise BadInput(f"{what} must be whole numbers; got {value!r}.")
    return tuple(array.tolist())

"""Who minds whom, proven from what a reward function computes: every operation that JAX traces says what it sees.

Four things are told apart: what no mass enters; an array one of whose axes counts states, each entry of which sees the
mass of its own state alone; an array that sees the mass of one state; and all else. What is not known of an operation
counts as all else, so that a game may be local and not be proven to be.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

__all__ = ["is_proven_local"]

_ENTRYWISE = frozenset(
    [
        "abs",
        "add",
        "and",
        "atan2",
        "cbrt",
        "ceil",
        "clamp",
        "convert_element_type",
        "copy",
        "cos",
        "cosh",
        "div",
        "eq",
        "erf",
        "exp",
        "exp2",
        "expm1",
        "floor",
        "ge",
        "gt",
        "integer_pow",
        "is_finite",
        "le",
        "log",
        "log1p",
        "logistic",
        "lt",
        "max",
        "min",
        "mul",
        "ne",
        "neg",
        "not",
        "or",
        "pow",
        "rem",
        "round",
        "rsqrt",
        "select_n",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "square",
        "stop_gradient",
        "sub",
        "tan",
        "tanh",
        "xor",
    ]
)
_MOVES = frozenset(["broadcast_in_dim", "reshape", "squeeze", "expand_dims", "transpose", "slice"])
_REDUCTIONS = frozenset(
    ["reduce_sum", "reduce_max", "reduce_min", "reduce_prod", "reduce_and", "reduce_or", "argmax", "argmin"]
)


class _Sees(NamedTuple):
    """Which masses an array depends on."""

    what: str
    at: int = 0
    """The axis that counts states, or the only state."""


_NONE, _LAW, _ALL = _Sees("none"), _Sees("law"), _Sees("all")


def is_proven_local(game: Any) -> bool:
    """Rewards of the only population, in a state, depend on the law by the mass in that state alone."""
    with jax.enable_x64(True):
        law = jax.ShapeDtypeStruct(game.legal[0].shape, jnp.float64)
        traced = jax.make_jaxpr(lambda t, law: game.rewards_at(t, (law,))[0])(jax.ShapeDtypeStruct((), jnp.int64), law)
    (seen,) = _run(traced.jaxpr, [_NONE, _LAW])
    return seen in (_NONE, _Sees("own", 0))


def _run(jaxpr: Any, inputs: Sequence[_Sees]) -> list[_Sees]:
    known = dict(zip(jaxpr.invars, inputs, strict=True)) | dict.fromkeys(jaxpr.constvars, _NONE)

    def of(atom: Any) -> _Sees:
        return _NONE if hasattr(atom, "val") else known[atom]

    for equation in jaxpr.eqns:
        given = [of(atom) for atom in equation.invars]
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if all(each == _NONE for each in given):
            results = [_NONE] * len(equation.outvars)
        elif equation.primitive.name in ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call"):
            results = _run(getattr(inner, "jaxpr", inner), given)
        else:
            results = [_after(equation, given)] * len(equation.outvars)
        known |= dict(zip(equation.outvars, results, strict=True))
    return [of(atom) for atom in jaxpr.outvars]


def _after(equation: Any, given: list[_Sees]) -> _Sees:
    name, params = equation.primitive.name, equation.params
    shapes = [atom.aval.shape for atom in equation.invars]
    out = equation.outvars[0].aval.shape
    some = {each for each in given if each != _NONE}
    if name == "concatenate":
        return _joined(params["dimension"], given, shapes)
    if name == "stack":
        return _joined(params["axis"], given, [(1,) * len(out)] * len(given))
    if len(some) > 1:
        return _ALL
    (sees,) = some
    if sees == _LAW:
        if name in ("convert_element_type", "copy"):
            return _LAW
        return _Sees("own", 0) if name == "reduce_sum" and tuple(params["axes"]) == (1,) else _ALL
    if sees.what == "all":
        return _ALL
    if name in _ENTRYWISE or sees.what == "one":
        return sees if name in _ENTRYWISE | _REDUCTIONS | _MOVES or name == "dot_general" else _ALL
    place = _moved(name, params, sees.at, shapes, out, given)
    return place if isinstance(place, _Sees) else _ALL if place is None else _Sees("own", place)


def _moved(
    name: str, params: Any, axis: int, shapes: list[tuple[int, ...]], out: tuple[int, ...], given: list[_Sees]
) -> int | _Sees | None:
    """Where the axis that counts states is afterwards; or what is seen instead."""
    shape = shapes[0]
    if name in _REDUCTIONS:
        axes = tuple(params["axes"])
        return None if axis in axes else axis - sum(gone < axis for gone in axes)
    if name == "squeeze":
        axes = tuple(params["dimensions"])
        return None if axis in axes else axis - sum(gone < axis for gone in axes)
    if name == "transpose":
        return tuple(params["permutation"]).index(axis)
    if name == "broadcast_in_dim":
        place = params["broadcast_dimensions"][axis]
        return place if out[place] == shape[axis] else None
    if name == "reshape":
        before = int(np.prod(shape[:axis]))
        fits = [k for k in range(len(out)) if int(np.prod(out[:k])) == before and out[k] == shape[axis]]
        return fits[0] if fits and params["dimensions"] is None else None
    if name == "slice":
        start, limit = params["start_indices"][axis], params["limit_indices"][axis]
        if limit - start == 1:
            return _Sees("one", start)
        return axis if (start, limit) == (0, shape[axis]) and (params["strides"] or [1] * 9)[axis] == 1 else None
    if name == "dot_general":
        side = 0 if given[0] != _NONE else 1
        (contracted, batched) = params["dimension_numbers"]
        if axis in contracted[side] or axis in batched[side]:
            return None
        free = [[k for k in range(len(s)) if k not in (*contracted[i], *batched[i])] for i, s in enumerate(shapes)]
        return len(batched[0]) + (len(free[0]) if side else 0) + free[side].index(axis)
    return None


def _joined(axis: int, given: list[_Sees], shapes: list[tuple[int, ...]]) -> _Sees:
    """Arrays one after the other along an axis: of one state each, in the order of states, they are of all states."""
    some = {each for each in given if each != _NONE}
    if len(some) == 1:
        (sees,) = some
        if (sees.what == "own" and sees.at != axis) or (sees.what == "one" and len(given) == 1):
            return sees
    place = 0
    for sees, shape in zip(given, shapes, strict=True):
        if sees != _NONE and not (sees == _Sees("one", place) and shape[axis] == 1):
            return _ALL
        place += shape[axis]
    return _Sees("own", axis)

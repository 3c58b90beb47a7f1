"""The checks that a mean-field game passes once, on construction: shapes, laws, and what its functions return along the
flow of the uniform policy.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from equinfer.arguments import ROW_SUM_TOLERANCE, shown, whole
from equinfer.errors import BadInput, cause
from equinfer.games.validation import checked_labels
from equinfer.mean_field_tables import Staged
from equinfer.tables import Origin, SuccessorLists
from equinfer.types import AnyArray

__all__ = [
    "MeanFieldLabels",
    "checked_discount",
    "checked_grid",
    "checked_initial",
    "checked_legal",
    "number_of_actions",
    "one_each",
    "place_in",
    "refuse_along",
    "refuse_walls_that_do_not_fit",
    "refuse_what_is_wrong",
]

_MOST_ACTIONS = 256
"""Up to which the number of actions is guessed, where nothing says it."""


class MeanFieldLabels(NamedTuple):
    """Names, as a static part of a game: they never change a computation."""

    name: str = ""
    populations: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    actions: tuple[tuple[str, ...], ...] = ()
    origin: Origin | None = None

    @classmethod
    def checked(
        cls,
        name: str,
        number: int,
        num_states: int,
        sizes: tuple[int, ...],
        grid: tuple[int, ...] | None,
        states: Sequence[Any] | None,
        actions: Sequence[Any] | None,
        populations: Sequence[Any] | None,
    ) -> "MeanFieldLabels":
        """Those given, and numbers for the rest; cells of a grid are called by their coordinates."""
        if grid is not None and len(grid) > 1:
            cells = (",".join(map(str, cell)) for cell in np.ndindex(*grid))
        else:
            cells = map(str, range(num_states))
        return cls(
            name,
            checked_labels(populations, number, "population_labels") or tuple(map(str, range(number))),
            checked_labels(states, num_states, "state_labels") or tuple(cells),
            tuple(
                (None if actions is None else checked_labels(actions[p], size, f"action_labels[{p}]"))
                or tuple(map(str, range(size)))
                for p, size in enumerate(sizes)
            ),
        )


def one_each(what: str, given: Any, number: int, several: bool) -> tuple[Any, ...]:
    """One for each population: a list of them where there are several, itself where there is one."""
    if not several:
        return (given,)
    if not isinstance(given, (list, tuple)) or len(given) != number:
        count = f"{len(given)}" if hasattr(given, "__len__") else type(given).__name__
        raise BadInput(f"{what} must be a list with one for each of {number} populations; got {count}.")
    return tuple(given)


def checked_initial(laws: tuple[Any, ...]) -> tuple[Float[np.ndarray, " S"], ...]:
    """Laws on one set of states."""
    checked = []
    for p, given in enumerate(laws):
        where = "initial" if len(laws) == 1 else f"initial[{p}]"
        try:
            law = np.array(given, np.float64)
        except (TypeError, ValueError) as error:
            raise BadInput(f"{where} is not a list of numbers: {cause(error)}.") from None
        if law.ndim != 1 or not law.size:
            raise BadInput(f"{where} must hold one probability per state, (S,); got shape {law.shape}.")
        for bad, says in ((~np.isfinite(law), "not a finite number"), (law < 0, "negative")):
            if bad.any():
                state = int(np.argmax(bad))
                raise BadInput(f"{where}: the probability of state {state} is {law[state]:g}, {says}.")
        if abs(law.sum() - 1) > ROW_SUM_TOLERANCE:
            raise BadInput(f"{where}: probabilities sum to {law.sum():.10g}, not to one.")
        if checked and law.shape != checked[0].shape:
            raise BadInput(f"{where} has {law.size} states; the first population has {checked[0].size}.")
        checked.append(law / law.sum())
    return tuple(checked)


def checked_discount(discount: Any, horizon: int | None) -> float:
    if discount is None:
        if horizon is None:
            raise BadInput("a mean-field game needs a horizon, or a discount.")
        return 1.0
    if isinstance(discount, bool) or not isinstance(discount, (int, float, np.number)):
        raise BadInput(f"discount must be a number; got {shown(discount)}.")
    rate = float(discount)
    if not (0 <= rate < 1 or (rate == 1 and horizon is not None)):
        raise BadInput(f"discount is {rate:g}; it must lie in [0, 1), or be 1 with a horizon.")
    return rate


def checked_grid(grid: Any, num_states: int) -> tuple[int, ...] | None:
    """The shape of which the states are the cells, if there is one."""
    if grid is None:
        return None
    if not hasattr(grid, "__iter__") or isinstance(grid, str):
        raise BadInput(f"grid must be a list of whole numbers, the cells along each axis; got {shown(grid)}.")
    shape = tuple(whole("a side of grid", size, 1) for size in grid)
    if int(np.prod(shape)) != num_states:
        raise BadInput(f"a grid of shape {shape} has not {num_states} cells, one for each state.")
    return shape


def checked_legal(
    masks: tuple[ArrayLike, ...] | None, num_states: int, sizes: tuple[int, ...]
) -> tuple[Bool[np.ndarray, "S _"], ...]:
    if masks is None:
        return tuple(np.ones((num_states, size), bool) for size in sizes)
    checked = []
    for p, (given, size) in enumerate(zip(masks, sizes, strict=True)):
        mask = np.asarray(given)
        if mask.dtype != bool or mask.shape != (num_states, size):
            got = f"{mask.shape} of {mask.dtype}"
            raise BadInput(f"legal of population {p} must be booleans of shape {(num_states, size)}; got {got}.")
        if not mask.any(axis=1).all():
            raise BadInput(f"population {p} has no legal action in state {int(np.argmin(mask.any(axis=1)))}.")
        checked.append(mask)
    return tuple(checked)


def number_of_actions(
    reward: tuple[Callable[..., Any], ...],
    kernel: tuple[Callable[..., Any] | None, ...],
    known: tuple[int | None, ...],
    initial: tuple[Float[np.ndarray, " S"], ...],
    masks: tuple[Any, ...] | None,
    names: tuple[Any, ...] | None,
) -> tuple[int, ...]:
    """From masks, labels or tables; else the number of which rewards, and kernels that are functions, make as many as
    they are given.

    **Raises:** `BadInput` if a reward is no function that JAX can trace, or nothing says how many actions there are.
    """
    sizes = list(known)
    for p in range(len(sizes)):
        if names is not None:
            if not hasattr(names[p], "__len__"):
                raise BadInput(f"action_labels of population {p} must be a list of labels; got {shown(names[p])}.")
            sizes[p] = len(names[p])
        if masks is not None and np.ndim(masks[p]) == 2:
            sizes[p] = np.shape(masks[p])[1]
    if all(sizes):
        return tuple(size or 1 for size in sizes)

    def filled(guess: Sequence[int]) -> tuple[int, ...]:
        return tuple(size or new for size, new in zip(sizes, guess, strict=True))

    def asked(guess: tuple[int, ...], functions: tuple[Any, ...], what: str) -> tuple[int, ...]:
        """Of how many actions these functions speak when they are given laws of so many."""
        shapes = ((len(law), size) for law, size in zip(initial, guess, strict=True))
        laws = tuple(jax.ShapeDtypeStruct(shape, jnp.float64) for shape in shapes)
        said = []
        for p, (function, size) in enumerate(zip(functions, guess, strict=True)):
            made = size if function is None else traced(function, laws, f"{what} of population {p}")
            shape = getattr(getattr(made, "probabilities", made), "shape", (0, size))
            said.append(shape[1] if len(shape) > 1 else 1)
        return filled(said)

    def suits(guess: tuple[int, ...]) -> bool:
        try:
            return asked(guess, reward, "reward") == guess == asked(guess, kernel, "kernel")
        except BadInput:
            return False

    guess, failure = filled([1] * len(sizes)), None
    for attempt in range(_MOST_ACTIONS):
        try:
            found, moved = asked(guess, reward, "reward"), asked(guess, kernel, "kernel")
        except BadInput as error:
            failure = failure or error
            guess = filled([attempt + 2] * len(sizes))
            continue
        if found != guess:
            guess = found
            continue
        if moved != guess:  # whoever is right, the checks of shapes will say
            return moved if suits(moved) else guess
        if suits(filled([size + 1 for size in guess])):
            break
        return guess
    unsaid = "nothing says how many actions there are: give `action_labels`, or `legal`"
    if failure is None:
        raise BadInput(f"{unsaid}.")
    raise BadInput(f"{unsaid}; or there is no number of them, up to {_MOST_ACTIONS}, that suits: {failure}")


def traced(function: Any, laws: tuple[Any, ...], what: str) -> Any:
    """The shape of what a function of (t, law) returns. **Raises:** `BadInput` if JAX cannot trace it."""
    if not callable(function):
        raise BadInput(f"the {what} must be a function of (t, law); got {shown(function)}.")
    time = jax.ShapeDtypeStruct((), jnp.int64)
    try:
        made = jax.eval_shape(function, time, laws[0] if len(laws) == 1 else laws)
    except (jax.errors.TracerArrayConversionError, jax.errors.TracerBoolConversionError) as error:
        kind = "NumPy" if isinstance(error, jax.errors.TracerArrayConversionError) else "an `if`"
        raise BadInput(
            f"the {what} cannot be traced by JAX: it uses {kind} on its arguments; write it with jax.numpy."
        ) from None
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError):
        raise BadInput(
            f"the {what} cannot be traced by JAX: it needs the number behind t or law; write it with jax.numpy."
        ) from None
    except Exception as error:
        shapes = ", ".join(str(law.shape) for law in laws)
        raise BadInput(f"the {what} fails on laws of shape {shapes}: {cause(error)}.") from None
    numbers = jax.tree.leaves(getattr(made, "probabilities", made))
    if len(numbers) != 1:
        raise BadInput(f"the {what} must return an array of numbers; it returns {type(made).__name__}.")
    if jnp.issubdtype(numbers[0].dtype, jnp.complexfloating):
        raise BadInput(f"the {what} returns complex numbers; they must be real.")
    return made


def refuse_what_is_wrong(game: Any) -> None:
    """Look at rewards and kernels along the flow of the uniform policy.

    **Raises:** `BadInput` with the population, the time, the state and the action.
    """
    laws_like = tuple(jax.ShapeDtypeStruct(mask.shape, jnp.float64) for mask in game.legal)
    for p, (function, transition) in enumerate(zip(game.reward, game.transitions, strict=True)):
        shape = traced(function, laws_like, f"reward of population {p}").shape
        if shape != game.legal[p].shape:
            raise BadInput(f"the reward of population {p} has shape {shape}; expected (S, A) = {game.legal[p].shape}.")
        if not transition.is_fixed:
            traced(transition.function, laws_like, f"kernel of population {p}")
    refuse_along(game, game.uniform_profile(), game.initial, "at the uniform policy")


def refuse_walls_that_do_not_fit(game: Any) -> None:
    """**Raises:** `BadInput` for doors without a horizon, fewer walls than epochs, or players who begin in a wall."""
    for p, (transition, initial) in enumerate(zip(game.transitions, game.initial, strict=True)):
        walls = getattr(transition, "walls", None)
        if walls is None:
            continue
        which = "" if len(game.initial) == 1 else f" of population {p}"
        if walls.ndim > len(transition.shape):
            if game.horizon is None:
                raise BadInput(f"the walls{which} change with time; a stationary game has walls of shape (*grid).")
            if len(walls) < game.horizon:
                raise BadInput(f"the walls{which} are given for {len(walls)} epochs; the horizon is {game.horizon}.")
            walls = walls[0]
        inside = np.flatnonzero(np.broadcast_to(walls, transition.shape).ravel() & (np.asarray(initial) > 0))
        if len(inside):
            cell = ",".join(str(int(x)) for x in np.unravel_index(inside[0], transition.shape))
            raise BadInput(f"initial{which}: somebody begins at {cell}, where there is a wall.")


def refuse_along(
    game: Any,
    policies: tuple[Float[AnyArray, "..."], ...],
    masses: tuple[Float[AnyArray, " S"], ...],
    where: str,
) -> None:
    """Look at rewards, where anybody is, and at kernels, as a population comes by them that plays `policies` and begins
    at `masses`.

    **Raises:** `BadInput` with the population, the time, the state and the action, and `where` that is.
    """
    for t in range(game.horizon or 1):
        now = policies if game.horizon is None else tuple(policy[t] for policy in policies)
        laws = tuple(np.asarray(mass)[:, None] * np.asarray(policy) for mass, policy in zip(masses, now, strict=True))
        _refuse_rewards(game, t, laws, where)
        following = []
        for p, transition in enumerate(game.transitions):
            kernel = transition.raw(t, tuple(map(jnp.asarray, laws)))
            _refuse_kernel(game, p, t, kernel, where)
            mass = np.asarray(transition.push(t, laws, laws[p]))
            following.append(mass if transition.is_fixed else mass / mass.sum())
        masses = tuple(following)


def _refuse_rewards(game: Any, t: int, laws: tuple[np.ndarray, ...], where: str) -> None:
    for p, reward in enumerate(map(np.asarray, game.rewards_at(t, tuple(map(jnp.asarray, laws))))):
        off = ~np.isfinite(reward) & (np.asarray(laws[p]).sum(axis=1, keepdims=True) > 0)
        if off.any():
            s, a = np.argwhere(off)[0].tolist()
            raise BadInput(f"reward{place_in(game, p, t, s, a)} is {reward[s, a]:g} {where}.")


def _refuse_kernel(game: Any, p: int, t: int, kernel: Any, where: str) -> None:
    num_states, legal = game.num_states, np.asarray(game.legal[p])
    if isinstance(kernel, Staged):
        return  # a stencil has checked itself
    if isinstance(kernel, SuccessorLists):
        rows, shape = kernel.probabilities, kernel.probabilities.shape[:-1]
        outside = ((kernel.successors < 0) | (kernel.successors >= num_states)) & (rows != 0)
    else:
        rows, shape = kernel, kernel.shape[:-1] if kernel.shape[-1:] == (num_states,) else kernel.shape
        outside = np.zeros(rows.shape, bool)
    if shape != legal.shape:
        raise BadInput(
            f"the kernel of population {p} has shape {rows.shape}; expected (S, A, S) = {(*legal.shape, num_states)}."
        )
    sums = rows.sum(axis=-1)
    for bad, says in (
        (outside.any(axis=-1), "leads out of the states"),
        (~np.isfinite(rows).all(axis=-1), "has a probability that is not a finite number"),
        ((rows < 0).any(axis=-1), "has a negative probability"),
        (np.abs(sums - 1) > ROW_SUM_TOLERANCE, "has probabilities that sum to {:.10g}, not to one,"),
    ):
        off = np.argwhere(bad & legal)
        if len(off):
            s, a = off[0].tolist()
            raise BadInput(f"kernel{place_in(game, p, t, s, a)} {says.format(sums[s, a])} {where}.")


def place_in(game: Any, p: int, t: int, s: int, a: int) -> str:
    """Population, time, state and action, for a sentence."""
    which = "" if game.num_players == 1 else f" of population {game.labels.populations[p]}"
    when = "" if game.horizon is None else f" at time {t}"
    return f"{which}{when}, state {game.labels.states[s]}, action {game.labels.actions[p][a]}"

"""Games of infinitely many players: everybody's reward and moves depend on the law of what all of them do."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import ArrayLike

from equinfer.errors import BadInput, cause
from equinfer.games.changed import changed
from equinfer.games.functions import as_new
from equinfer.games.kernels import SparseKernel
from equinfer.games.mean_field_checks import (
    MeanFieldLabels,
    checked_discount,
    checked_grid,
    checked_initial,
    checked_legal,
    number_of_actions,
    one_each,
    refuse_walls_that_do_not_fit,
    refuse_what_is_wrong,
)
from equinfer.games.mean_field_players import as_players
from equinfer.games.stencil import Stencil
from equinfer.games.tabular import TabularGame
from equinfer.games.transitions import AbstractTransition, ByFunction, Fixed, seen_through, staying_where_illegal
from equinfer.games.validation import checked_horizon
from equinfer.mean_field_tables import Flow, MeanFieldTables, PopulationSizes, RawTransition
from equinfer.tables import Origin
from equinfer.types import AnyArray

__all__ = ["MeanFieldGame"]

RewardLike = Callable[..., Any]
KernelLike = Callable[..., Any] | Stencil | SparseKernel | ArrayLike


class MeanFieldGame(PopulationSizes, eqx.Module):
    """A game of one or several populations, each of infinitely many alike players, who move among S states.

    **Arguments:**

    * `reward(t, law) -> (S, A)` and `kernel(t, law) -> (S, A, S)`, functions that JAX can trace; `law` (S, A) is the
      state-action law at time t. The kernel may as well be a table (S, A, S), a `Stencil` or a `SparseKernel`, or a
      function that makes a `SparseKernel`.
    * `initial` (S,), where players begin.
    * `horizon`, the number of decision epochs; or `discount` in [0, 1) instead, for a stationary game, whose policies
      and law do not depend on time (t is 0 there). The law is then the one in which the population settles from
      `initial`. Both: discounting within the horizon.
    * Several populations: lists of rewards, kernels and initial laws, one for each, among the same states; the
      functions then take the tuple of everybody's laws.
    * `legal`, boolean (S, A), or a list of them; `grid`, the shape of which the states are the cells, for pictures.

    Rewards are collected in every epoch, the last one included; nothing is paid after it. Functions are compiled for
    the game: whoever changes what they read outside themselves makes the game again.

    **Raises:** `BadInput` for shapes and laws that do not fit; and, as seen at the uniform policy, for rewards that are
    not finite and kernels whose rows do not sum to one, with the time, the state and the action.
    """

    kind: ClassVar[str] = "mean-field"
    reward: tuple[RewardLike, ...] = eqx.field(static=True)
    transitions: tuple[AbstractTransition, ...]
    initial: tuple[Float[AnyArray, " S"], ...]
    legal: tuple[Bool[AnyArray, "S _"], ...]
    horizon: int | None = eqx.field(static=True)
    discount: float = eqx.field(static=True)
    grid: tuple[int, ...] | None = eqx.field(static=True)
    labels: MeanFieldLabels = eqx.field(static=True)

    def __init__(
        self,
        reward: RewardLike | Sequence[RewardLike],
        kernel: KernelLike | Sequence[KernelLike],
        initial: ArrayLike | Sequence[ArrayLike],
        horizon: int | None = None,
        discount: float | int | None = None,
        *,
        legal: ArrayLike | Sequence[ArrayLike] | None = None,
        grid: Sequence[int] | None = None,
        state_labels: Sequence[Any] | None = None,
        action_labels: Sequence[Any] | None = None,
        population_labels: Sequence[Any] | None = None,
        name: str = "",
    ):
        several = not callable(reward)
        if several and not isinstance(reward, (list, tuple)):
            kind = type(reward).__name__
            raise BadInput(f"reward must be a function of (t, law), or a list of one for each population; got {kind}.")
        if several and not reward:
            raise BadInput("reward is an empty list: a game has at least one population.")
        self.reward = tuple(map(as_new, reward if several else (reward,)))
        number = len(self.reward)
        self.initial = checked_initial(one_each("initial", initial, number, several))
        self.horizon = checked_horizon(horizon)
        self.discount = checked_discount(discount, self.horizon)
        self.transitions = tuple(map(_transition, one_each("kernel", kernel, number, several)))
        stencils = (each.shape for each in self.transitions if isinstance(each, Stencil))
        self.grid = checked_grid(next(stencils, None) if grid is None else grid, self.num_states)
        masks = None if legal is None else one_each("legal", legal, number, several)
        names = None if action_labels is None else one_each("action_labels", action_labels, number, several)
        with jax.enable_x64(True):
            known = tuple(map(_known_actions, self.transitions))
            _refuse_other_states(self.transitions, self.num_states)
            moving = tuple(each.function if isinstance(each, ByFunction) else None for each in self.transitions)
            sizes = number_of_actions(self.reward, moving, known, self.initial, masks, names)
            self.legal = checked_legal(masks, self.num_states, sizes)
            pairs = zip(self.transitions, self.legal, strict=True)
            self.transitions = tuple(staying_where_illegal(each, mask) for each, mask in pairs)
            refuse_walls_that_do_not_fit(self)
            self.labels = MeanFieldLabels.checked(
                name, number, self.num_states, sizes, self.grid, state_labels, names, population_labels
            )
            refuse_what_is_wrong(self)
            laws = tuple(mask / mask.sum() for mask in self.legal)
            self.transitions = tuple(seen_through(each, laws) for each in self.transitions)

    @property
    def name(self) -> str:
        return self.labels.name or "game"

    @property
    def player_labels(self) -> tuple[str, ...]:
        """Of the populations."""
        return self.labels.populations

    @property
    def state_labels(self) -> tuple[str, ...]:
        return self.labels.states

    @property
    def action_labels(self) -> tuple[tuple[str, ...], ...]:
        return self.labels.actions

    @property
    def nbytes(self) -> int:
        """Of what a step works on: policy, flow, rewards and action values in every epoch."""
        return 4 * 8 * (self.horizon or 1) * self.num_states * sum(self.num_actions)

    @property
    def has_fixed_dynamics(self) -> bool:
        """True if no kernel depends on the population, which is known of tables, lists and stencils, and of functions
        that look at neither of their arguments.
        """
        return all(each.is_fixed for each in self.transitions)

    def rewards(self, flow: tuple[Float[AnyArray, "..."], ...]) -> tuple[Float[Array, "..."], ...]:
        """Of every population, shaped like the flow: (H, S, A_p), or (S, A_p) of a stationary game."""
        if self.horizon is None:
            return self.rewards_at(0, flow)
        return jax.vmap(self.rewards_at)(jnp.arange(self.horizon), flow)

    def rewards_at(self, t: Any, laws: tuple[Float[AnyArray, "S _"], ...]) -> tuple[Float[Array, "S _"], ...]:
        law = laws[0] if len(laws) == 1 else laws
        return tuple(
            jnp.where(mask, jnp.broadcast_to(function(t, law), mask.shape), 0.0)
            for function, mask in zip(self.reward, self.legal, strict=True)
        )

    def uniform_profile(self) -> tuple[Float[np.ndarray, "..."], ...]:
        """Every legal action equally likely: one array ([H,] S, A_p) per population."""
        lead = () if self.horizon is None else (self.horizon,)
        flat = (np.asarray(mask, float) for mask in self.legal)
        return tuple(np.broadcast_to(m / m.sum(axis=1, keepdims=True), (*lead, *m.shape)) for m in flat)

    def with_players(self, number: int) -> TabularGame:
        """The game of so many players, exactly: `equinfer.games.mean_field_players.as_players`."""
        return as_players(self, number)

    def unlabelled(self) -> "MeanFieldGame":
        """The same game without names: what drivers jit on."""
        return changed(self, labels=MeanFieldLabels())

    def made_from(self, origin: Origin) -> "MeanFieldGame":
        """The same game, which remembers its origin."""
        return changed(self, labels=self.labels._replace(origin=origin))

    def tables(self) -> MeanFieldTables:
        """The game for certificates, files and reports: NumPy in, NumPy out, float64."""

        def rewards(flow: Flow) -> Flow:
            with jax.enable_x64(True):
                return tuple(np.asarray(each, np.float64) for each in _rewards(self, tuple(map(jnp.asarray, flow))))

        def transitions(t: int, laws: Flow) -> tuple[RawTransition, ...]:
            with jax.enable_x64(True):
                return tuple(each.raw(t, tuple(map(jnp.asarray, laws))) for each in self.transitions)

        def nearby(t: int, laws: Flow) -> list[tuple[RawTransition, ...]]:
            with jax.enable_x64(True):
                each = [kernel.raw_each(t, tuple(map(jnp.asarray, laws))) for kernel in self.transitions]
            return list(zip(*each, strict=True))

        return MeanFieldTables(
            rewards=rewards,
            transitions=transitions,
            initial=tuple(np.asarray(law) for law in self.initial),
            legal=tuple(np.asarray(mask) for mask in self.legal),
            horizon=self.horizon,
            discount=self.discount,
            name=self.name,
            state_labels=self.labels.states,
            action_labels=self.labels.actions,
            player_labels=self.labels.populations,
            grid=self.grid,
            moves=_moves(self.transitions),
            origin=self.labels.origin,
            fixed_dynamics=self.has_fixed_dynamics,
            nearby=nearby,
        )


@eqx.filter_jit
def _rewards(game: MeanFieldGame, flow: tuple[Float[Array, "..."], ...]) -> tuple[Float[Array, "..."], ...]:
    return game.rewards(flow)


def _moves(transitions: tuple[AbstractTransition, ...]) -> tuple[Any, ...] | None:
    """Of each population the displacements that its actions are; None if they are none for anybody."""
    each = tuple(kernel.moves if isinstance(kernel, Stencil) else None for kernel in transitions)
    return each if any(moves is not None for moves in each) else None


def _transition(kernel: KernelLike) -> AbstractTransition:
    if isinstance(kernel, AbstractTransition):
        return kernel
    if isinstance(kernel, SparseKernel):
        return Fixed(kernel)
    if callable(kernel):
        return ByFunction(as_new(kernel))
    try:
        if np.iscomplexobj(kernel):
            raise ValueError("its numbers are complex")
        table = np.asarray(kernel, np.float64)
    except (TypeError, ValueError) as error:
        raise BadInput(f"kernel is neither a function of (t, law) nor a table of numbers: {cause(error)}.") from None
    if table.ndim != 3:
        raise BadInput(
            f"kernel has shape {table.shape}; expected (S, A, S), or a function of (t, law) if it changes with time."
        )
    return Fixed(table)


def _refuse_other_states(transitions: tuple[AbstractTransition, ...], num_states: int) -> None:
    """Of kernels that are no functions, which have their states written into them."""
    for p, transition in enumerate(transitions):
        kernel: Any = transition.kernel if isinstance(transition, Fixed) else transition
        if isinstance(kernel, (Stencil, SparseKernel)):
            states = kernel.num_states
        else:
            states = np.shape(kernel)[0] if np.ndim(kernel) == 3 else num_states
        if states != num_states:
            raise BadInput(
                f"initial has a probability for each of {num_states} states; the kernel of population {p} is for "
                f"{states}."
            )


def _known_actions(transition: AbstractTransition) -> int | None:
    """How many actions a kernel is for, where that is seen without calling anything."""
    if isinstance(transition, Stencil):
        return len(transition.moves)
    if not isinstance(transition, Fixed):
        return None
    kernel = transition.kernel
    return (
        kernel.successors.shape[1]
        if isinstance(kernel, SparseKernel)
        else kernel.shape[1]
        if kernel.ndim == 3
        else None
    )

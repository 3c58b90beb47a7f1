r"""The derivative of a regular equilibrium with respect to the tables of its game, or to what they are made from.

Whatever is changed, it acts through the tables $Q^i=r^i+\gamma_iE[V^i]$ at fixed values: $\dot r$, $\dot\gamma_iE[V^i]$
and $\gamma_i\dot P V^i$ alike. A *direction* is therefore a function of the values that follow, (N, S), which gives the
change of these tables, (N, S, A_1, ..., A_N). A discounted game is one epoch that its own values follow; a finite
horizon is backward induction, one one-shot game per epoch and state, whose continuation moves as well.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from equinfer.contraction import expected
from equinfer.errors import BadInput
from equinfer.games.kernels import AbstractKernel, DenseKernel, KernelLike, SparseKernel
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.induced_game import exact_value
from equinfer.solvers.tabular.regular import RegularEquilibrium
from equinfer.solvers.tabular.stage_payoffs import stage_payoffs
from equinfer.tables import SuccessorLists
from equinfer.types import Profile

__all__ = [
    "Direction",
    "KernelMap",
    "LinearisedEquilibrium",
    "RewardMap",
    "Sensitivity",
    "along",
    "refuse_unless_alike",
    "towards",
]

Direction = Callable[[Float[np.ndarray, "N S"]], Float[np.ndarray, "N S *A"]]


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """The derivative of an equilibrium in one direction, per unit of the parameter."""

    parameter: str
    profile: tuple[Float[np.ndarray, "..."], ...]
    """One array ([H,] S, A_i) per player; rows sum to zero, off the support it is zero."""
    values: Float[np.ndarray, "N *HS"]
    """(N, [H,] S)."""
    condition: float
    """Condition number of the indifference equations, each scaled to size one; 1 if nobody mixes."""
    step: float | None = None
    """Largest step of the central differences, where the tables had to be differenced."""

    def __repr__(self) -> str:
        largest = max(float(np.abs(policy).max()) for policy in self.profile)
        return (
            f"<Sensitivity to {self.parameter}: profile up to {largest:.3g}, values up to "
            f"{np.abs(self.values).max():.3g}, condition number {self.condition:.2g}>"
        )


@dataclass(frozen=True, eq=False)
class LinearisedEquilibrium:
    """A regular equilibrium of a game, linearised epoch by epoch; an infinite horizon is a single epoch."""

    game: TabularGame
    epochs: tuple[RegularEquilibrium, ...]
    following: tuple[Float[np.ndarray, "N S"], ...]
    """The values that follow each epoch."""

    @classmethod
    def of(cls, game: TabularGame, profile: Profile) -> "LinearisedEquilibrium":
        """**Raises:** `BadInput` if the equilibrium is not regular, or `profile` none of this game's."""
        flat = np.concatenate(_as_profile(game, profile), axis=-1)
        if game.horizon is None:
            tables, discount = np.asarray(game.reward), np.asarray(game.discount)
            whole = RegularEquilibrium.of(tables, game.kernel, discount, game.legal, flat, _naming(game))
            return cls(game, (whole,), (exact_value(game, whole.game.split(whole.policy)),))
        nothing, epochs, following = np.zeros(game.num_players), [], []
        value = np.zeros((game.num_players, game.num_states))
        for t in reversed(range(game.horizon)):
            tables = stage_payoffs(game, value)
            stages = RegularEquilibrium.of(tables, game.kernel, nothing, game.legal, flat[t], _naming(game, t))
            epochs.append(stages)
            following.append(value)
            policies = stages.game.split(stages.policy)
            value = np.stack([expected(table, policies) for table in tables])
        return cls(game, tuple(reversed(epochs)), tuple(reversed(following)))

    @property
    def condition(self) -> float:
        return max(epoch.condition for epoch in self.epochs)

    def jvp(self, direction: Direction, parameter: str, step: float | None = None) -> Sensitivity:
        """The derivative of profile and values in a direction, called `parameter`."""
        value, policies, values = np.zeros_like(self.following[-1]), [], []
        for epoch, following in zip(reversed(self.epochs), reversed(self.following), strict=True):
            policy, change = epoch.jvp(direction(following) + self._discounted(value))
            value = change.T
            policies.append(epoch.game.split(policy))
            values.append(value)
        by_player = zip(*reversed(policies), strict=True)
        return Sensitivity(
            parameter,
            profile=tuple(self._joined(each) for each in by_player),
            values=self._joined(values[::-1], axis=1),
            condition=self.condition,
            step=step,
        )

    def vjp(
        self, profile: Sequence[ArrayLike] | None = None, values: ArrayLike | None = None
    ) -> tuple[Float[np.ndarray, "N S *A"], ...]:
        """Gradients in the tables Q of every epoch, of a function with these gradients in profile and values."""
        policies, worths = self._cotangents(profile, values)
        carried, gradients = np.zeros_like(self.following[0]), []
        for t, epoch in enumerate(self.epochs):
            gradients.append(epoch.vjp(policies[t], (worths[:, t] + carried).T))
            if t + 1 < len(self.epochs):
                carried = np.stack([self.game.kernel.pushforward(law) for law in gradients[-1]])
                carried *= np.asarray(self.game.discount)[:, None]
        return tuple(gradients)

    def _discounted(self, value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N S *A"]:
        return np.asarray(self.game.kernel.expect(np.asarray(self.game.discount)[:, None] * value))

    def _joined(self, parts: Sequence[np.ndarray], axis: int = 0) -> np.ndarray:
        return parts[0] if self.game.horizon is None else np.stack(parts, axis=axis)

    def _cotangents(
        self, profile: Sequence[ArrayLike] | None, values: ArrayLike | None
    ) -> tuple[Float[np.ndarray, "H S n"], Float[np.ndarray, "N H S"]]:
        game, epochs = self.game, len(self.epochs)
        shapes = _policy_shapes(game)
        policies = [np.zeros(shape) for shape in shapes] if profile is None else _as_profile(game, profile)
        shape = (game.num_players, *shapes[0][:-1])
        worths = np.zeros(shape) if values is None else _shaped("values", values, shape)
        flat = np.concatenate(policies, axis=-1)
        return flat.reshape(epochs, *flat.shape[-2:]), worths.reshape(game.num_players, epochs, -1)


@dataclass(frozen=True, eq=False)
class RewardMap:
    """The derivative of an equilibrium in the rewards, as a linear map; the dense derivative is never formed."""

    equilibrium: LinearisedEquilibrium

    def jvp(self, direction: ArrayLike) -> Sensitivity:
        """The derivative in a direction shaped like the reward, (N, S, A_1, ..., A_N)."""
        game = self.equilibrium.game
        return self.equilibrium.jvp(along(game, reward=direction), "reward")

    def vjp(
        self, profile: Sequence[ArrayLike] | None = None, values: ArrayLike | None = None
    ) -> Float[np.ndarray, "N S *A"]:
        """The gradient in the reward of a function with these gradients in profile and values (zero if left out)."""
        return np.sum(self.equilibrium.vjp(profile, values), axis=0)


@dataclass(frozen=True, eq=False)
class KernelMap:
    """The derivative of an equilibrium in the kernel, as a linear map. Of a game that is kept as lists of successors,
    nothing of the size S x S is formed.
    """

    equilibrium: LinearisedEquilibrium

    def jvp(self, direction: KernelLike) -> Sensitivity:
        """The derivative in a direction: changes of the probabilities, which sum to zero under each joint action. A
        table (S, A_1, ..., A_N, S), or lists, `SparseKernel(successors, changes)`, whose successors may be new ones.
        """
        return self.equilibrium.jvp(along(self.equilibrium.game, kernel=direction), "kernel")

    def vjp(
        self, profile: Sequence[ArrayLike] | None = None, values: ArrayLike | None = None
    ) -> Float[np.ndarray, "S *A S"] | SuccessorLists:
        """The gradient in the kernel, in the form of `game.tables().kernel`: a table, or for lists the derivatives in
        the probabilities of the successors that are listed, in their place.

        Only its differences under one joint action have a meaning, since probabilities sum to one.
        """
        kernel = self.equilibrium.game.kernel
        gradients = self.equilibrium.vjp(profile, values)
        if isinstance(kernel, SparseKernel):
            successors = np.asarray(kernel.successors)
            total = np.zeros(successors.shape)
            for tables, worths in zip(gradients, self._worths_ahead(), strict=True):
                for table, worth in zip(tables, worths, strict=True):
                    total += table[..., None] * worth[successors]
            return SuccessorLists(successors, total)
        total = np.zeros((*gradients[0].shape[1:], kernel.num_states))
        for tables, worths in zip(gradients, self._worths_ahead(), strict=True):
            total += np.tensordot(tables, worths, axes=(0, 0))
        return total

    def _worths_ahead(self) -> Iterator[Float[np.ndarray, "N S"]]:
        """Discounted values that follow each epoch."""
        discount = np.asarray(self.equilibrium.game.discount)[:, None]
        return (discount * following for following in self.equilibrium.following)


def along(
    game: TabularGame,
    reward: ArrayLike | None = None,
    kernel: KernelLike | None = None,
    discount: float | int | ArrayLike | None = None,
) -> Direction:
    """The direction of these changes of the tables of `game`; what is left out stays.

    **Raises:** `BadInput` for a wrong shape, a number that is not finite, a successor that is no state, or changes of
    the kernel that do not sum to zero under a joint action.
    """
    shape = (game.num_players, game.num_states, *game.num_actions)
    discounts, parts = np.asarray(game.discount)[:, None], []
    if reward is not None:
        change = _shaped("the direction of the reward", reward, shape)
        parts.append(lambda value: change)
    if kernel is not None:
        moved = _kernel_change(game, kernel)
        parts.append(lambda value: moved.expect(discounts * value))
    if discount is not None:
        if np.ndim(discount) == 0:
            discount = np.full(game.num_players, discount)
        more = _shaped("the direction of the discount", discount, shape[:1])[:, None]
        parts.append(lambda value: np.asarray(game.kernel.expect(more * value)))
    return lambda value: np.sum([part(value) for part in parts], axis=0)


def _policy_shapes(game: TabularGame) -> list[tuple[int, ...]]:
    times = () if game.horizon is None else (game.horizon,)
    return [(*times, game.num_states, size) for size in game.num_actions]


def _as_profile(game: TabularGame, profile: Sequence[ArrayLike]) -> list[np.ndarray]:
    """One array per player, ([H,] S, A_i): a profile, or a direction or gradient shaped like one."""
    shapes = _policy_shapes(game)
    if len(profile) != len(shapes):
        raise BadInput(f"profile must have one array per player ({len(shapes)}); got {len(profile)}.")
    return [_shaped(f"profile[{i}]", part, shape) for i, (part, shape) in enumerate(zip(profile, shapes, strict=True))]


def towards(game: TabularGame, other: TabularGame) -> Direction:
    """The direction of the straight line from the tables of `game` to those of `other`.

    **Raises:** `BadInput` if it is a game of another shape, horizon or legal actions.
    """
    refuse_unless_alike(game, other)
    change = np.asarray(other.reward) - np.asarray(game.reward)
    discount = np.asarray(game.discount)[:, None]
    faster = np.asarray(other.discount)[:, None] - discount

    def direction(value: Float[np.ndarray, "N S"]) -> Float[np.ndarray, "N S *A"]:
        moved = np.asarray(other.kernel.expect(discount * value)) - np.asarray(game.kernel.expect(discount * value))
        return change + moved + np.asarray(game.kernel.expect(faster * value))

    return direction


def refuse_unless_alike(game: TabularGame, other: TabularGame) -> None:
    """**Raises:** `BadInput` if the two do not have the same players, states, legal actions and horizon."""
    if game.reward.shape != other.reward.shape or game.horizon != other.horizon:
        raise BadInput(
            f"the other game has reward of shape {other.reward.shape} and horizon {other.horizon}; this one has "
            f"{game.reward.shape} and {game.horizon}."
        )
    for player, (mask, mine) in enumerate(zip(other.legal, game.legal, strict=True)):
        differs = np.argwhere(np.asarray(mask) != np.asarray(mine))
        if differs.size:
            state, action = map(int, differs[0])
            raise BadInput(
                f"action {game.action_labels[player][action]} of player {game.player_labels[player]} in state "
                f"{game.state_labels[state]} is legal in one of the two games only."
            )


def _shaped(what: str, value: ArrayLike, shape: tuple[int, ...]) -> np.ndarray:
    try:
        given = np.asarray(value)
        array = np.array(given if given.shape == shape else np.nan, float)
    except (TypeError, ValueError):
        raise BadInput(f"{what} is not an array of numbers.") from None
    if given.shape != shape:
        raise BadInput(f"{what} must have shape {shape}; got {given.shape}.")
    if not np.isfinite(array).all():
        raise BadInput(f"{what} is not finite at {tuple(map(int, np.argwhere(~np.isfinite(array))[0]))}.")
    return array


def _kernel_change(game: TabularGame, change: KernelLike) -> AbstractKernel:
    """Changes of probabilities as a kernel, of which expectations can be taken."""
    what, rows = "the direction of the kernel", (game.num_states, *game.num_actions)
    if not isinstance(change, (SparseKernel, SuccessorLists)):
        table = change.probabilities if isinstance(change, DenseKernel) else change
        table = _shaped(what, table, (*rows, game.num_states))
        _refuse_unbalanced(game, table)
        return DenseKernel(table)
    lists = SparseKernel(change.successors, change.probabilities)
    successors = np.asarray(lists.successors)
    if successors.shape[:-1] != rows:
        raise BadInput(f"{what} must have shape {(*rows, 'M')}; got {successors.shape}.")
    changes = _shaped(what, lists.probabilities, successors.shape)
    _refuse_unbalanced(game, changes)
    outside = (changes != 0) & ((successors < 0) | (successors >= game.num_states))
    if outside.any():
        raise BadInput(f"{what} moves weight to {successors[outside][0]}; states run from 0 to {game.num_states - 1}.")
    return SparseKernel(np.where(changes == 0, 0, successors), changes)


def _refuse_unbalanced(game: TabularGame, change: Float[np.ndarray, "S *A M"]) -> None:
    sums = change.sum(axis=-1)
    off = np.abs(sums) > 1e-8 * np.maximum(np.abs(change).sum(axis=-1), 1e-300)
    if off.any():
        state, *actions = map(int, np.argwhere(off)[0])
        raise BadInput(
            f"the direction of the kernel sums to {sums[(state, *actions)]:.3g} in state {game.state_labels[state]}, "
            f"joint action {tuple(actions)}; rows of probabilities keep their sum, so it must be zero."
        )


def _naming(game: TabularGame, epoch: int | None = None) -> Callable[[int, int], tuple[str, str]]:
    owners = [(i, a) for i, size in enumerate(game.num_actions) for a in range(size)]
    when = "" if epoch is None else f" at epoch {epoch}"

    def name(state: int, column: int) -> tuple[str, str]:
        player, action = owners[column]
        where = f"player {game.player_labels[player]} in state {game.state_labels[state]}{when}"
        return where, game.action_labels[player][action]

    return name

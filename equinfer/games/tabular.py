"""Finite stochastic games in tables."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Bool, Float
from numpy.typing import ArrayLike

from equinfer.arguments import shown
from equinfer.errors import BadInput
from equinfer.games.changed import changed
from equinfer.games.extensive import ExtensiveGame
from equinfer.games.kernels import AbstractKernel, KernelLike
from equinfer.games.validation import (
    checked_discount,
    checked_horizon,
    checked_initial,
    checked_kernel,
    checked_labels,
    checked_legal,
    checked_payoffs,
    checked_reward,
)
from equinfer.tables import Origin, Sizes, SuccessorLists, Tables, one_shot, refuse_unless_epochs_fit
from equinfer.types import AnyArray

__all__ = ["Labels", "TabularGame"]


class Labels(NamedTuple):
    """Names of a game, its players, states and actions; what is missing is numbered from 0. And where it is from."""

    name: str = ""
    players: tuple[str, ...] | None = None
    states: tuple[str, ...] | None = None
    actions: tuple[tuple[str, ...], ...] | None = None
    origin: Origin | None = None


class TabularGame(Sizes, eqx.Module):
    r"""A finite general-sum stochastic game (paper, section 3.1), validated once, on construction.

    **Arguments:** `reward` (N, S, A_1, ..., A_N); `kernel` (S, A_1, ..., A_N, S), or a `SparseKernel`, or the kernel of
    another game or of its `tables()`, rows sum to one (to 1e-8; they are then renormalised; a table of 500 states or
    more with few successors is kept as lists);
    `discount` in [0, 1), a scalar or one per player, or `horizon` >= 1, the number of decision epochs, or both
    (discounting within the horizon; then 1 is allowed); `initial` (S,), default uniform; `legal`, a tuple of N boolean
    arrays (S, A_i) with at least one legal action each (reward and kernel of illegal joint actions are ignored);
    labels.

    **Raises:** `BadInput` (a `ValueError`) that names the state, the joint action and the player.
    """

    kind: ClassVar[str] = "tables"
    reward: Float[AnyArray, "N S *A"]
    kernel: AbstractKernel
    discount: Float[AnyArray, " N"]
    initial: Float[AnyArray, " S"]
    legal: tuple[Bool[AnyArray, "S _"], ...]
    horizon: int | None = eqx.field(static=True)
    labels: Labels = eqx.field(static=True)
    extensive: ExtensiveGame | None = eqx.field(static=True)
    """The game tree whose reduced normal form this is, if it came from one."""

    def __init__(
        self,
        reward: ArrayLike,
        kernel: KernelLike,
        discount: float | int | ArrayLike | None = None,
        horizon: int | None = None,
        initial: ArrayLike | None = None,
        legal: Sequence[ArrayLike] | None = None,
        state_labels: Sequence[Any] | None = None,
        action_labels: Sequence[Sequence[Any]] | None = None,
        player_labels: Sequence[Any] | None = None,
        *,
        name: str = "",
        extensive: ExtensiveGame | None = None,
    ):
        self.extensive = extensive
        self.reward = array = checked_reward(reward)
        num_players, num_states, *num_actions = array.shape
        players = checked_labels(player_labels, num_players, "player_labels")
        states = checked_labels(state_labels, num_states, "state_labels")
        actions = None
        if action_labels is not None:
            if not hasattr(action_labels, "__len__"):
                raise BadInput(f"action_labels must hold a list of labels per player; got {shown(action_labels)}.")
            if len(action_labels) != num_players:
                raise BadInput(f"action_labels has {len(action_labels)} lists for {num_players} players.")
            actions = tuple(
                checked_labels(labels, size, f"action_labels[{i}]") or ()
                for i, (labels, size) in enumerate(zip(action_labels, num_actions, strict=True))
            )
        self.labels = Labels(name, players, states, actions)
        self.horizon = checked_horizon(horizon)
        if self.horizon is not None:
            refuse_unless_epochs_fit(self.horizon, num_players, num_states, tuple(num_actions))
        self.discount = checked_discount(discount, num_players, self.horizon)
        self.initial = checked_initial(initial, num_states)
        self.legal = checked_legal(legal, num_states, tuple(num_actions), self.state_labels)
        self.reward, self.kernel = checked_kernel(array, kernel, self.legal, self)

    @classmethod
    def from_payoffs(
        cls,
        payoffs: ArrayLike,
        *,
        action_labels: Sequence[Sequence[Any]] | None = None,
        player_labels: Sequence[Any] | None = None,
        name: str = "",
        extensive: ExtensiveGame | None = None,
    ) -> "TabularGame":
        """The one-shot game of `payoffs` (N, A_1, ..., A_N): one state, discount 0, so that values are payoffs."""
        array = checked_payoffs(payoffs)[:, None]
        kernel = np.broadcast_to(1.0, (*array.shape[1:], 1))
        return cls(
            array,
            kernel,
            discount=0.0,
            action_labels=action_labels,
            player_labels=player_labels,
            name=name,
            extensive=extensive,
        )

    @property
    def name(self) -> str:
        return self.labels.name or "game"

    @property
    def nbytes(self) -> int:
        """Of rewards and kernel."""
        return self.reward.nbytes + self.kernel.raw().nbytes

    @property
    def player_labels(self) -> tuple[str, ...]:
        return self.labels.players or tuple(map(str, range(self.num_players)))

    @property
    def state_labels(self) -> tuple[str, ...]:
        return self.labels.states or tuple(map(str, range(self.num_states)))

    @property
    def action_labels(self) -> tuple[tuple[str, ...], ...]:
        return self.labels.actions or tuple(tuple(map(str, range(size))) for size in self.num_actions)

    @property
    def is_one_shot(self) -> bool:
        """True if nothing follows the first decision: one state and discount 0, or one epoch."""
        return one_shot(self.num_states, self.discount, self.horizon)

    def unlabelled(self) -> "TabularGame":
        """The same game without names: what drivers jit on, so that games of one shape share one compilation."""
        return changed(self, labels=Labels(), extensive=None)

    def made_from(self, origin: Origin) -> "TabularGame":
        """The same game, which remembers its origin."""
        return changed(self, labels=self.labels._replace(origin=origin))

    def uniform_profile(self) -> tuple[Float[np.ndarray, "S _"], ...]:
        """Every legal action equally likely: one array (S, A_i) per player."""
        masks = (np.asarray(legal, float) for legal in self.legal)
        return tuple(mask / mask.sum(axis=1, keepdims=True) for mask in masks)

    def tables(self) -> Tables:
        """The game as plain NumPy float64 arrays that cannot be written to, for certificates, files and reports."""
        kernel = self.kernel.raw()
        return Tables(
            reward=_frozen(self.reward),
            kernel=SuccessorLists(*map(_frozen, kernel)) if isinstance(kernel, SuccessorLists) else _frozen(kernel),
            discount=_frozen(self.discount),
            horizon=self.horizon,
            initial=_frozen(self.initial),
            legal=tuple(map(_frozen, self.legal)),
            name=self.name,
            state_labels=self.state_labels,
            action_labels=self.action_labels,
            player_labels=self.player_labels,
            origin=self.labels.origin,
        )


def _frozen(array: AnyArray) -> np.ndarray:
    view = np.asarray(array).view()
    view.flags.writeable = False
    return view

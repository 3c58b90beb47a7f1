"""An answer's policies in the order of a game, where both carry names: states and actions are matched by label."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from equinfer.answer import Joint, PublicPlay
from equinfer.errors import BadInput
from equinfer.mean_field_tables import AnyTables
from equinfer.records import GameLabels

__all__ = ["Order", "matched"]


class Order(NamedTuple):
    """Where a game's states, and each player's actions, stand in an answer."""

    states: list[int]
    actions: tuple[list[int], ...]

    def of(self, answer: Any) -> Any:
        """The answer in the order of the game: a profile, a joint law, or a public signal with its profiles."""
        if isinstance(answer, Joint):
            players = len(self.actions)
            joint = np.take(answer.joint, self.states, axis=-players - 1)
            for player, own in enumerate(self.actions):
                joint = np.take(joint, own, axis=player - players)
            return Joint(joint)
        if isinstance(answer, PublicPlay):
            return PublicPlay(answer.signal[..., self.states, :], self.of(answer.profile))
        return tuple(policy[..., self.states, :][..., own] for policy, own in zip(answer, self.actions, strict=True))


def matched(labels: GameLabels, tables: AnyTables, what: str) -> Order:
    """The order of the game `tables` in an answer to the game of `labels`.

    Players must be the same in the same order; states, and each player's actions, the same in any order. What has no
    names is called by its numbers.

    **Raises:** `BadInput` with the first label that one has and the other has not; `what` is the answer's name.
    """
    pairs = zip((*labels.players, None), (*tables.player_labels, None), strict=False)
    theirs, ours = next((pair for pair in pairs if pair[0] != pair[1]), (None, None))
    _refuse_unless_same("player", theirs, ours, what)
    own = zip(labels.actions, tables.action_labels, tables.player_labels, strict=True)
    return Order(
        _places(labels.states, tables.state_labels, "state", what),
        tuple(_places(theirs, ours, f"action of player {player}", what) for theirs, ours, player in own),
    )


def _places(theirs: Sequence[str], ours: Sequence[str], kind: str, what: str) -> list[int]:
    """Where each of our labels stands among theirs."""
    place, known = {label: number for number, label in enumerate(theirs)}, set(ours)
    unknown = next((label for label in theirs if label not in known), None)
    missing = next((label for label in ours if label not in place), None)
    _refuse_unless_same(kind, unknown, missing, what)
    twice = next((label for number, label in enumerate(theirs) if place[label] != number), None)
    if twice is not None:
        raise BadInput(f"{what} is no answer to this game: it calls two things the {kind} {twice!r}.")
    return [place[label] for label in ours]


def _refuse_unless_same(kind: str, theirs: str | None, ours: str | None, what: str) -> None:
    """The first label that is only theirs, and the first that is only ours."""
    if theirs is not None:
        game = "" if ours is None else f", but {ours!r}"
        raise BadInput(f"{what} is no answer to this game, which has no {kind} called {theirs!r}{game}.")
    if ours is not None:
        raise BadInput(f"{what} is no answer to this game: it has no {kind} called {ours!r}.")

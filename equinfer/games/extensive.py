r"""Extensive games of perfect recall in sequence form, and their reduced normal form.

Under perfect recall a node matters to a player only through the own *sequence* that leads to it: the information sets
passed and the actions taken there. An own sequence is fixed by its last step, so a player has one sequence per
(information set, action) and the empty one (von Stengel, "Efficient computation of behavior strategies", Games and
Economic Behavior 14, 1996). A reduced strategy decides only where the player's own decisions let the play come.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy.typing import ArrayLike

from equinfer.errors import BadInput

__all__ = ["ExtensiveGame", "InformationSet", "behaviour", "distinct", "normal_form", "strategy_labels"]

MOST_PROFILES = 2**20
"""Largest reduced normal form that is built, in pure strategy profiles."""
MOST_DECISIONS = 2**22
"""Largest (strategies x sequences) table of one player."""
COUNTED = 10**12
"""Strategies beyond which nobody counts on."""
MOST_WORK = 2**30
"""Most additions of one leaf to one profile."""


@dataclass(frozen=True, eq=False)
class InformationSet:
    """Where a player decides without telling the nodes apart.

    Its actions extend the sequence `parent` to the sequences `first`, `first + 1`, ...; sequence 0 is the empty one.
    """

    label: str
    actions: tuple[str, ...]
    parent: int
    first: int


@dataclass(frozen=True, eq=False)
class ExtensiveGame:
    """A finite game tree of perfect recall: Z leaves, N players. Information sets stand in order of first appearance,
    so that a parent stands before its children.
    """

    title: str
    players: tuple[str, ...]
    information_sets: tuple[tuple[InformationSet, ...], ...]
    """Per player."""
    probability: Float[np.ndarray, " Z"]
    """With which chance lets each leaf come about."""
    payoffs: Float[np.ndarray, "Z N"]
    sequences: Int[np.ndarray, "Z N"]
    """Of each player, the own sequence that leads to the leaf."""

    @property
    def num_sequences(self) -> tuple[int, ...]:
        """Of each player, the empty one included."""
        return tuple(1 + sum(len(here.actions) for here in sets) for sets in self.information_sets)

    @property
    def num_strategies(self) -> tuple[int, ...]:
        """Of each player, in the reduced normal form; counting stops at `COUNTED`."""
        return tuple(map(_count, self.information_sets, self.num_sequences))

    @cached_property
    def plays(self) -> tuple[Bool[np.ndarray, "strategies sequences"], ...]:
        """Per player: does the reduced strategy take every step of the sequence?"""
        return tuple(map(_reduced_strategies, self.information_sets, self.num_sequences))


def _count(sets: Sequence[InformationSet], num_sequences: int) -> int:
    below = [1] * num_sequences
    for here in reversed(sets):
        ways = sum(below[here.first : here.first + len(here.actions)])
        below[here.parent] = min(below[here.parent] * ways, COUNTED)
    return below[0]


def _reduced_strategies(sets: Sequence[InformationSet], num_sequences: int) -> Bool[np.ndarray, "strategies sequences"]:
    """Split, at each information set in turn, every strategy that comes there into one per action."""
    plays = np.zeros((1, num_sequences), bool)
    plays[:, 0] = True
    for here in sets:
        if len(here.actions) == 1:
            plays[:, here.first] = plays[:, here.parent]
            continue
        copies = np.where(plays[:, here.parent], len(here.actions), 1)
        action = np.arange(copies.sum()) - np.repeat(np.cumsum(copies) - copies, copies)
        plays = np.repeat(plays, copies, axis=0)
        comes = np.flatnonzero(plays[:, here.parent])
        plays[comes, here.first + action[comes]] = True
    return plays


def _refuse_unless_small(game: ExtensiveGame) -> None:
    counts = game.num_strategies
    for player, sequences, strategies in zip(game.players, game.num_sequences, counts, strict=True):
        if sequences * strategies > MOST_DECISIONS:
            raise BadInput(
                f"{game.title}: player {player} has {'at least ' if strategies == COUNTED else ''}{strategies} reduced "
                f"strategies with {sequences} sequences; "
                f"the reduced normal form is built up to {MOST_DECISIONS} of strategies x sequences."
            )
    profiles = math.prod(counts)
    if profiles > MOST_PROFILES:
        raise BadInput(
            f"{game.title}: the reduced normal form has {' x '.join(map(str, counts))} = {profiles} pure strategy "
            f"profiles; it is built up to {MOST_PROFILES}."
        )


def normal_form(game: ExtensiveGame) -> Float[np.ndarray, "N *A"]:
    r"""Payoffs $u_n(s)=\sum_z p_z\,u_n(z)\prod_i 1[s_i\text{ plays }\sigma_i(z)]$ of the reduced normal form.

    **Raises:** `BadInput` with the count, before anything is built, if there are too many strategies.
    """
    _refuse_unless_small(game)
    sequences, group = np.unique(game.sequences, axis=0, return_inverse=True)
    expected = np.zeros((len(sequences), len(game.players)))
    with np.errstate(over="ignore", invalid="ignore"):  # `TabularGame` says where a payoff is not finite
        np.add.at(expected, group.ravel(), game.probability[:, None] * game.payoffs)
    compatible = [plays.sum(axis=0)[sequences[:, i]] for i, plays in enumerate(game.plays)]
    work = np.prod(np.array(compatible, float), axis=0).sum()
    if work > MOST_WORK:
        raise BadInput(
            f"{game.title}: {work:.3g} leaves of pure strategy profiles to add up; at most {MOST_WORK:.3g} are."
        )
    table = np.zeros((len(game.players), *game.num_strategies))
    for steps, payoff in zip(sequences, expected, strict=True):
        block = np.ix_(*(np.flatnonzero(plays[:, step]) for plays, step in zip(game.plays, steps, strict=True)))
        with np.errstate(over="ignore", invalid="ignore"):
            table[(slice(None), *block)] += payoff.reshape(-1, *[1] * len(game.players))
    return table


def strategy_labels(game: ExtensiveGame) -> tuple[tuple[str, ...], ...]:
    """Names of each player's reduced strategies: the action at each information set in turn, `*` where play cannot
    come, joined by `/`.
    """
    labels = []
    for sets, plays in zip(game.information_sets, game.plays, strict=True):
        moves = [
            np.where(
                plays[:, here.parent],
                np.array(here.actions, object)[plays[:, here.first : here.first + len(here.actions)].argmax(axis=1)],
                "*",
            )
            for here in sets
        ]
        labels.append(distinct(["/".join(row) for row in zip(*moves, strict=True)] if moves else ["-"]))
    return tuple(labels)


def behaviour(game: ExtensiveGame, profile: Sequence[ArrayLike]) -> tuple[dict[str, dict[str, float]], ...]:
    r"""The behaviour strategies that are worth the same as a mixed `profile` (Kuhn 1953).

    With realisation weights $w(\sigma)=\sum_s x_s 1[s\text{ plays }\sigma]$ the probability of action $a$ at an
    information set reached by $\sigma$ is $w(\sigma a)/w(\sigma)$. Where the player's own play never comes,
    $w(\sigma)=0$, every action is equally likely: no payoff depends on it.

    **Arguments:** `profile`: of each player, a law over the reduced strategies, (A_i,) or (1, A_i).

    **Returns:** per player, information set -> {action: probability}.
    """
    answer = []
    for sets, plays, mixed in zip(game.information_sets, game.plays, profile, strict=True):
        weight = np.asarray(mixed, float).reshape(len(plays)) @ plays
        answer.append({here.label: _local(here, weight) for here in sets})
    return tuple(answer)


def _local(here: InformationSet, weight: Float[np.ndarray, " sequences"]) -> dict[str, float]:
    steps = weight[here.first : here.first + len(here.actions)]
    total = steps.sum()
    law = steps / total if total > 0 else np.full(len(steps), 1 / len(steps))
    return dict(zip(here.actions, law.tolist(), strict=True))


def distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """The same labels, told apart: repeated ones get their number, from 1, after `_`; empty ones are their number."""
    counts = Counter(labels)
    taken = {label for label, count in counts.items() if count == 1}
    named = []
    for number, label in enumerate(labels, 1):
        name = label
        if counts[label] > 1 or not label:
            name = f"{label}_{number}" if label else str(number)
            while name in taken or name in counts:
                name = f"{name}_{number}"
            taken.add(name)
        named.append(name)
    return tuple(named)

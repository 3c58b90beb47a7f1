"""Extensive games in Gambit's `.efg` format, read as their reduced normal form."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equinfer.errors import BadInput
from equinfer.games.extensive import ExtensiveGame, InformationSet, distinct, normal_form, strategy_labels
from equinfer.games.files.gambit import Tokens
from equinfer.games.files.source import read_text
from equinfer.games.tabular import TabularGame
from equinfer.games.validation import checked_rows
from equinfer.tables import refuse_unless_it_fits

__all__ = ["read", "read_tree"]


def read(path: Path) -> TabularGame:
    """The reduced normal form of a `.efg` file; `game.extensive` keeps what `extensive.behaviour` needs.

    A strategy is named by its actions, in order of the player's information sets, `*` where its own earlier
    actions keep play away.

    **Raises:** `BadInput` naming the line, the player and the information set of imperfect recall, or the count
    of strategy profiles that is too large.
    """
    tree = read_tree(path)
    payoffs = normal_form(tree)
    refuse_unless_it_fits(len(tree.players), 1, payoffs.shape[1:], str(path))
    return TabularGame.from_payoffs(
        payoffs, action_labels=strategy_labels(tree), player_labels=tree.players, name=tree.title, extensive=tree
    )


def read_tree(path: Path) -> ExtensiveGame:
    """The game tree of a `.efg` file, in sequence form."""
    tokens = Tokens(read_text(path), str(path))
    title, players = tokens.header("EFG", "2")
    tokens.skip_comment()
    return _Reader(tokens, players).tree(title or path.stem)


class _Branch(NamedTuple):
    """What lies behind a node: the chance of coming here, payoffs so far, and each player's own sequence."""

    probability: float
    payoffs: tuple[float, ...]
    sequences: tuple[int, ...]


class _Reader:
    """Reads the nodes in prefix order. What a later node may leave out is kept by its number."""

    def __init__(self, tokens: Tokens, players: tuple[str, ...]):
        self.tokens, self.players = tokens, players
        self.sets: list[dict[int, InformationSet]] = [{} for _ in players]
        self.num_sequences = [1] * len(players)
        self.events: dict[int, tuple[tuple[str, ...], tuple[float, ...]]] = {}
        self.outcomes: dict[int, tuple[float, ...]] = {0: (0.0,) * len(players)}
        self.leaves: list[_Branch] = []

    def tree(self, title: str) -> ExtensiveGame:
        # One iterator per open node, innermost last: no recursion, however deep the tree.
        nothing = len(self.players)
        pending = [iter([_Branch(1.0, (0.0,) * nothing, (0,) * nothing)])]
        while pending:
            branch = next(pending[-1], None)
            if branch is None:
                pending.pop()
            else:
                pending.append(self.node(branch))
        if not self.tokens.at_end:
            self.tokens.unexpected("the end of the file, since every branch has its node")
        return ExtensiveGame(
            title,
            self.players,
            tuple(map(_named_apart, self.sets)),
            np.array([leaf.probability for leaf in self.leaves]),
            np.array([leaf.payoffs for leaf in self.leaves]),
            np.array([leaf.sequences for leaf in self.leaves]),
        )

    def node(self, branch: _Branch) -> Iterator[_Branch]:
        """Read one node; its children's branches are worked out when their turn comes."""
        if not (self.tokens.value in ("c", "p", "t") and not self.tokens.at_text):
            self.tokens.unexpected("a node, 'c', 'p' or 't'")
        kind = self.tokens.word("a node")
        self.tokens.text("the node's name in quotes")
        if kind == "t":
            self.leaves.append(self.with_outcome(branch))
            return iter(())
        if kind == "c":
            chances = self.event()
            here = self.with_outcome(branch)
            return (here._replace(probability=here.probability * chance) for chance in chances)
        player, decision = self.information_set(branch)
        here = self.with_outcome(branch)
        before, after = here.sequences[:player], here.sequences[player + 1 :]
        steps = range(decision.first, decision.first + len(decision.actions))
        return (here._replace(sequences=(*before, step, *after)) for step in steps)

    def event(self) -> tuple[float, ...]:
        """The probabilities of a chance node."""
        tokens = self.tokens
        which = tokens.whole("the number of the chance event", least=1)
        label = tokens.text("a name") if tokens.at_text else ""
        if tokens.at("{"):
            described = self.chances(label or str(which))
            if self.events.setdefault(which, described) != described:
                tokens.fail(f"chance event {label or which} was declared with other actions or probabilities before")
        if which not in self.events:
            tokens.unexpected(f"the actions of chance event {which}, which occurs here first")
        return self.events[which][1]

    def chances(self, event: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
        tokens = self.tokens
        tokens.mark("{", "'{'")
        actions, chances = [], []
        while not tokens.at("}"):
            actions.append(tokens.text("an action in quotes or '}'"))
            chances.append(tokens.number(f"the probability of {actions[-1]!r}"))
            if not 0 <= chances[-1] <= 1:
                tokens.fail(f"chance event {event}: {chances[-1]:g} is not a probability")
        try:
            law = checked_rows(np.array(chances)[None], lambda _: f"chance event {event}")[0]
        except BadInput as error:
            tokens.fail(str(error).removesuffix("."))
        tokens.mark("}", "'}'")
        return tuple(actions), tuple(law.tolist())

    def information_set(self, branch: _Branch) -> tuple[int, InformationSet]:
        tokens = self.tokens
        player = tokens.whole("the number of the player", least=1) - 1
        if player >= len(self.players):
            tokens.fail(f"player {player + 1} does not exist; there are {len(self.players)}")
        which = tokens.whole("the number of the information set", least=1)
        label = tokens.text("a name") if tokens.at_text else ""
        known = self.sets[player].get(which)
        if tokens.at("{"):
            actions = distinct(tokens.texts("an action in quotes"))
            if not actions:
                tokens.fail(f"information set {label or which} of player {self.players[player]} has no actions")
            if known is not None and actions != known.actions:
                tokens.fail(
                    f"information set {known.label} of player {self.players[player]} was declared with the actions "
                    f"{', '.join(known.actions)} before"
                )
            if known is None:
                known = InformationSet(
                    label or str(which), actions, branch.sequences[player], self.num_sequences[player]
                )
                self.sets[player][which] = known
                self.num_sequences[player] += len(actions)
        if known is None:
            tokens.unexpected(f"the actions of information set {which}, which occurs here first")
        if branch.sequences[player] != known.parent:
            tokens.fail(
                f"player {self.players[player]} has imperfect recall at information set {known.label}: it is reached "
                f"after different own moves, which the player would have to forget; only perfect recall is supported"
            )
        return player, known

    def with_outcome(self, branch: _Branch) -> _Branch:
        """The branch with the payoffs of the node's outcome added."""
        tokens = self.tokens
        which = tokens.whole("the number of the outcome")
        if which == 0:
            return branch
        label = tokens.text("a name") if tokens.at_text else ""
        if tokens.at("{"):
            tokens.mark("{", "'{'")
            payoffs = tokens.payoffs(self.players)
            if self.outcomes.setdefault(which, payoffs) != payoffs:
                tokens.fail(f"outcome {label or which} was declared with other payoffs before")
        if which not in self.outcomes:
            tokens.unexpected(f"the payoffs of outcome {which}, which occurs here first")
        total = tuple(a + b for a, b in zip(branch.payoffs, self.outcomes[which], strict=True))
        if not all(map(math.isfinite, total)):
            tokens.fail("the payoffs on the way to this node add up to more than a float holds")
        return branch._replace(payoffs=total)


def _named_apart(sets: dict[int, InformationSet]) -> tuple[InformationSet, ...]:
    labels = distinct([here.label for here in sets.values()])
    return tuple(replace(here, label=label) for here, label in zip(sets.values(), labels, strict=True))

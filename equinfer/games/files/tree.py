"""The game tree in our own format: what `solution.behaviour` needs, beside the normal form that was made of it.

Arrays `tree_probability`, `tree_payoffs`, `tree_sequences`, as in `ExtensiveGame`; in `meta`, under `tree`, each
player's information sets, in order, as `[label, actions, parent]`.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.errors import BadInput
from equinfer.games.extensive import ExtensiveGame, InformationSet, normal_form
from equinfer.games.files.archive import Archive, is_label

__all__ = ["arrays", "read", "record"]

ROUNDING = 1e-12
"""By how much, relative to the largest payoff, the normal form of the tree may differ from the table beside it."""


def arrays(tree: ExtensiveGame) -> dict[str, np.ndarray]:
    """What of a tree is written as arrays."""
    return {
        "tree_probability": tree.probability,
        "tree_payoffs": tree.payoffs,
        "tree_sequences": np.asarray(tree.sequences, np.int64),
    }


def record(tree: ExtensiveGame) -> list[list[Any]]:
    """What of a tree is written as JSON; where a set's sequences begin follows from the sets before it."""
    return [[[here.label, here.actions, here.parent] for here in sets] for sets in tree.information_sets]


def read(
    archive: Archive, written: Any, title: str, players: tuple[str, ...], reward: Float[np.ndarray, "N 1 *A"]
) -> ExtensiveGame:
    """The tree that was written, if it is one, and `reward` is its reduced normal form.

    **Raises:** `BadInput` with what is wrong.
    """
    if not isinstance(written, list) or len(written) != len(players):
        raise BadInput(f"{title}: the tree needs a list of information sets for each of {len(players)} players.")
    (leaves,) = archive.shape("tree_probability")
    tree = ExtensiveGame(
        title,
        players,
        tuple(tuple(_information_sets(sets, f"{title}: player {i}")) for i, sets in enumerate(written)),
        archive.array("tree_probability", (leaves,)),
        archive.array("tree_payoffs", (leaves, len(players))),
        archive.array("tree_sequences", (leaves, len(players)), "i"),
    )
    _check_leaves(tree)
    if tree.num_strategies != reward.shape[2:] or reward.shape[1] != 1:
        raise BadInput(
            f"{title}: the tree has {' x '.join(map(str, tree.num_strategies))} reduced strategies in one state, the "
            f"table {' x '.join(map(str, reward.shape[2:]))} in {reward.shape[1]}."
        )
    if not np.allclose(normal_form(tree), reward[:, 0], rtol=0, atol=ROUNDING * np.abs(reward).max()):
        raise BadInput(f"{title}: the payoffs of the tree are not those of the table.")
    return tree


def _information_sets(sets: Any, where: str) -> Iterable[InformationSet]:
    if not isinstance(sets, list):
        raise BadInput(f"{where}: the information sets of the tree are no list.")
    first, seen = 1, set()
    for here in sets:
        label, actions, parent = here if isinstance(here, list) and len(here) == 3 else ("", [], 0)
        if not is_label(label) or not _are_distinct_labels(actions) or label in seen:
            raise BadInput(f"{where}: information set {here!r:.80} is not [label, actions, parent], each name once.")
        if type(parent) is not int or not 0 <= parent < first:
            raise BadInput(f"{where}: information set {label!r:.80} comes after no sequence {parent!r:.80}.")
        seen.add(label)
        yield InformationSet(label, tuple(actions), parent, first)
        first += len(actions)


def _are_distinct_labels(actions: Any) -> bool:
    if not isinstance(actions, list) or not actions or not all(map(is_label, actions)):
        return False
    return len(set(actions)) == len(actions)


def _check_leaves(tree: ExtensiveGame) -> None:
    if not (np.isfinite(tree.payoffs).all() and (tree.probability >= 0).all() and (tree.probability <= 1).all()):
        raise BadInput(f"{tree.title}: a leaf of the tree has a payoff or a probability that is none.")
    if not ((tree.sequences >= 0) & (tree.sequences < np.array(tree.num_sequences))).all():
        raise BadInput(f"{tree.title}: a leaf of the tree lies behind a sequence that does not exist.")

"""Table 1, one row per file. A new concept is one file and one line here."""

from typing import Any, NamedTuple, get_args

from equinfer.answer import Joint, PublicPlay
from equinfer.arguments import shown
from equinfer.concepts.coarse_correlated import CoarseCorrelated
from equinfer.concepts.correlated import Correlated
from equinfer.concepts.mean_field import MeanField
from equinfer.concepts.nash import Nash
from equinfer.concepts.protocol import AbstractConcept
from equinfer.concepts.public_correlated import PublicCorrelated
from equinfer.concepts.zero_sum import ZeroSum
from equinfer.errors import BadInput, UnknownName
from equinfer.opponents import OPPONENTS, AbstractOpponentModel
from equinfer.policies import POLICIES, AbstractPolicyFamily

__all__ = [
    "CONCEPTS",
    "AbstractConcept",
    "CoarseCorrelated",
    "Concept",
    "Correlated",
    "MeanField",
    "Nash",
    "PublicCorrelated",
    "Row",
    "ZeroSum",
    "concept",
    "natural_concept",
    "table_one",
]

Concept = Nash | MeanField | ZeroSum | PublicCorrelated | Correlated | CoarseCorrelated
"""The union of the concepts: the rows of Table 1."""
CONCEPTS: dict[str, type[AbstractConcept]] = {row.name: row for row in get_args(Concept)}


def natural_concept(game: Any, answer: Any = None) -> str:
    """What is asked for, if nobody says: the concept of such a game whose answers are of this kind."""
    if game.kind == MeanField.games:
        return MeanField.name
    if isinstance(answer, Joint):
        return "correlated"
    return "public-correlated" if isinstance(answer, PublicPlay) else Nash.name


class Row(NamedTuple):
    """A row of Table 1, in words: for the command line and the documentation."""

    concept: str
    meaning: str
    opponent: str
    policy: str


def concept(
    name: str,
    *,
    opponent: str | AbstractOpponentModel | None = None,
    policy: str | AbstractPolicyFamily | None = None,
) -> AbstractConcept:
    """The concept called `name`, with its columns by name or ready-made, or as the concept has them.

    **Raises:** `UnknownName` with the known ones; `BadInput` for a column that is neither a name nor ready-made.
    """
    columns = {}
    for column, choice, registry, kind in (
        ("opponent", opponent, OPPONENTS, AbstractOpponentModel),
        ("policy", policy, POLICIES, AbstractPolicyFamily),
    ):
        if isinstance(choice, str):
            choice = _among(column, choice, registry)()
        if not isinstance(choice, kind | None):
            raise BadInput(f"{column} must be one of {', '.join(registry)}, or an {kind.__name__}; got {choice!r}.")
        if choice is not None:
            columns[column] = choice
    return _among("concept", name, CONCEPTS)(**columns)


def table_one() -> tuple[Row, ...]:
    """Table 1 as it is implemented, with the default of each column."""
    rows = (concept(name) for name in CONCEPTS)
    return tuple(Row(row.name, _meaning(row), row.opponent.name, row.policy.name) for row in rows)


def _meaning(row: AbstractConcept) -> str:
    return (type(row).__doc__ or "").split("\n")[0]


def _among(kind: str, name: Any, registry: dict[str, type]) -> type:
    if not isinstance(name, str):
        raise BadInput(f"{kind} must be one of {', '.join(registry)}; got {shown(name)}.")
    if name not in registry:
        raise UnknownName.among(kind, name, tuple(registry))
    return registry[name]

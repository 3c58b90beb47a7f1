"""Is it a potential game? Asked of a game or of a target."""

from equinfer.arguments import checked_seed
from equinfer.certificates.potential import potential_defect as judged
from equinfer.errors import BadInput
from equinfer.games.tabular import TabularGame
from equinfer.potential import PotentialDefect
from equinfer.targets import Target, game_of, tabular_game_of

__all__ = ["potential_defect"]


def potential_defect(game: TabularGame | Target, *, cycles: int | None = None, seed: int = 0) -> PotentialDefect:
    """How far a game is from having an exact potential (Definition 5.4, without entropy), in units of reward.

    **Arguments:** `game`, or a target of `load`; `cycles`, at least 2, the random four-cycles that each pair of players
    is searched for where the structure of the game does not decide (default: by its size); `seed` of that search.

    **Returns:** a `PotentialDefect`. One-shot games, and stochastic ones in which nobody moves the state, get the exact
    defect; others get 0 with a potential where identical interests up to shaping prove it, and otherwise a lower
    bound: a positive one is a proof, shown by `witness`, and 0 says only that no violation was found.

    **Raises:** `BadInput` if it would take too long or too much memory, with the estimate.

    >>> pot = potential_defect("catalog:prisoners_dilemma")
    >>> pot.defect, pot.kind
    (0.0, 'exact')
    """
    if cycles is not None and (isinstance(cycles, bool) or cycles < 2):
        raise BadInput(f"cycles must be a whole number, at least 2; got {cycles!r}.")
    return judged(tabular_game_of(game_of(game), "a potential").tables(), cycles=cycles, seed=checked_seed(seed))

"""Public signals and what they call for, in words."""

from rich.table import Table

from equinfer.cli.display import clean, mixed
from equinfer.records import Solution

__all__ = ["called_for"]


def called_for(solution: Solution, places: list[tuple[int, ...]]) -> Table:
    """A row for each signal that may come in each of `places`, ([epoch,] state): how likely it is, and what all do."""
    assert solution.signal is not None
    labels = solution.game
    several = len(labels.states) > 1
    heads = [*(["epoch"] if len(places[0]) > 1 else []), *(["state"] if several else []), "signal"]
    table = Table(*heads, box=None, pad_edge=False)
    table.add_column("probability", justify="right")
    for player in labels.players:
        table.add_column(clean(player))
    for place in places:
        where = [*map(str, place[:-1]), *([clean(labels.states[place[-1]])] if several else [])]
        for signal, probability in enumerate(solution.signal[place].tolist()):
            if probability > 0:
                policies = (policy[(signal, *place)] for policy in solution.profile)
                plays = (mixed(policy, actions) for policy, actions in zip(policies, labels.actions, strict=True))
                table.add_row(*where, str(signal), f"{probability:.4g}", *plays)
    return table

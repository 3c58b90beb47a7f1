"""Where an answer says what to do: in a state, of an epoch, under a public signal."""

import numpy as np
from jaxtyping import Bool

from equinfer.records import Solution
from equinfer.report.theme import epoch_states, player_name

__all__ = ["horizon_of", "names_of", "never_signalled", "place_names", "signal_names"]


def names_of(solution: Solution) -> list[str]:
    """Of the players, or of the populations of a mean-field game."""
    players = solution.game.players
    if solution.flows is None:
        return [player_name(label) for label in players]
    if len(players) == 1:
        return ["everybody"]
    return [f"population {label}" if label.isdecimal() else label for label in players]


def horizon_of(solution: Solution) -> int | None:
    """Decision epochs of the answer; None where it has no axis of them."""
    return solution.values.shape[1] if solution.values.ndim == 3 else None


def place_names(solution: Solution) -> list[str]:
    """Of every place in the order of policies and gains: signal by signal, epoch by epoch, state by state."""
    here = epoch_states(solution.game.states, horizon_of(solution))
    if solution.signal is None:
        return here
    signals = signal_names(solution)
    return signals if len(here) == 1 else [f"{signal} · {name}" for signal in signals for name in here]


def signal_names(solution: Solution) -> list[str]:
    return [] if solution.signal is None else [f"signal {w}" for w in range(solution.signal.shape[-1])]


def never_signalled(solution: Solution) -> Bool[np.ndarray, " places"]:
    """True at places under a signal that never comes there: what is played there is never played."""
    if solution.signal is None:
        return np.zeros(solution.values[0].size, bool)
    return np.moveaxis(solution.signal, -1, 0).ravel() == 0

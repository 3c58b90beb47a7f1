"""One-shot games of OpenSpiel: matrix games, and any other in which all players move once, together."""

from typing import Any

import numpy as np

from equinfer.errors import BadInput, MissingExtra, UnknownName
from equinfer.games.tabular import TabularGame
from equinfer.tables import refuse_unless_it_fits

__all__ = ["load"]


def load(name: str, /, **parameters: Any) -> TabularGame:
    """OpenSpiel's game `name`, for example `matrix_rps`, or `blotto` with `coins=5`.

    Its players are numbered; actions keep OpenSpiel's names. Lanctot et al., "OpenSpiel: A framework for reinforcement
    learning in games", arXiv:1908.09453.

    **Raises:** `MissingExtra` if OpenSpiel is not installed; `UnknownName` for a name that it does not have; `BadInput`
    for parameters that it refuses and for games of several moves or with chance.
    """
    try:
        import pyspiel  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise MissingExtra("OpenSpiel is not installed: pip install 'equinfer[openspiel]'") from None
    kinds = {kind.short_name: kind for kind in pyspiel.registered_games()}
    if name not in kinds:
        raise UnknownName.among(
            "OpenSpiel game", name, sorted(n for n, kind in kinds.items() if _one_shot(pyspiel, kind))
        )
    try:
        game = pyspiel.load_game(name, parameters)
    except (pyspiel.SpielError, TypeError, ValueError) as error:
        raise BadInput(f"OpenSpiel refuses {name} with {parameters}: {error}.") from None
    if not _one_shot(pyspiel, game.get_type()):
        raise BadInput(f"openspiel:{name} is not a one-shot game: only games of one simultaneous move are read.")
    return _tabulated(game, name)


def _one_shot(pyspiel: Any, kind: Any) -> bool:
    return (
        kind.dynamics == pyspiel.GameType.Dynamics.SIMULTANEOUS
        and kind.information == pyspiel.GameType.Information.ONE_SHOT
        and kind.chance_mode == pyspiel.GameType.ChanceMode.DETERMINISTIC
    )


def _tabulated(game: Any, name: str) -> TabularGame:
    start = game.new_initial_state()
    players = range(game.num_players())
    actions = [start.legal_actions(player) for player in players]
    sizes = tuple(map(len, actions))
    refuse_unless_it_fits(len(players), 1, sizes, f"openspiel:{name}")
    payoffs = np.empty((len(players), *sizes))
    for index in np.ndindex(sizes):
        after = start.clone()
        after.apply_actions([own[a] for own, a in zip(actions, index, strict=True)])
        payoffs[(slice(None), *index)] = after.returns()
    labels = [[start.action_to_string(player, a) for a in actions[player]] for player in players]
    return TabularGame.from_payoffs(payoffs, action_labels=labels, name=name)

"""What a solution makes of itself when it is asked: a report, a figure, a derivative. Imported to be registered."""

from pathlib import Path
from typing import Any

import jax

from equinfer.errors import BadInput
from equinfer.games.tabular import TabularGame
from equinfer.records import Solution, register_view
from equinfer.targets import Game, Target, game_of, tabular_game_of

__all__: list[str] = []


def _report(solution: Solution, path: Target) -> None:
    from equinfer.report.page import write_report
    from equinfer.solvers.correlated.payoff_set import reachable_payoffs

    coordinated = solution.joint is not None or solution.signal is not None
    reachable = reachable_payoffs(solution.tables) if coordinated and solution.tables is not None else None
    write_report(solution, Path(path), reachable=reachable)


def _plot(solution: Solution) -> Any:
    from equinfer.report.page import plot

    return plot(solution)


def _sensitivity(solution: Solution, parameter: Any, game: Game | Target | None) -> Any:
    from equinfer.solvers.tabular.parameters import sensitivity

    if solution.joint is not None or solution.signal is not None:
        raise BadInput(f"only a profile of independent policies has a derivative; this answer is {solution.concept}.")
    game = _game_of(solution) if game is None else tabular_game_of(game_of(game), "a derivative")
    with jax.enable_x64(True):
        return sensitivity(game, solution.profile, parameter, solution.game.origin)


def _game_of(solution: Solution) -> TabularGame:
    """The game that a solution carries. **Raises:** `BadInput` if it was saved without it."""
    tables = solution.tables
    if tables is None:
        raise BadInput("this solution was saved without its game, which is large; pass it as `game`.")
    return TabularGame(
        tables.reward,
        tables.kernel,
        discount=tables.discount,
        horizon=tables.horizon,
        initial=tables.initial,
        legal=tables.legal,
        state_labels=tables.state_labels,
        action_labels=tables.action_labels,
        player_labels=tables.player_labels,
        name=tables.name,
    )


register_view("report", _report)
register_view("plot", _plot)
register_view("sensitivity", _sensitivity)

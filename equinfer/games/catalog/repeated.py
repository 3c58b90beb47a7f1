"""Matrix games that are played again and again, by players who remember the last moves or nothing."""

from typing import Any

import numpy as np

from equinfer.games.catalog.entry import KnownEquilibrium, entry, require
from equinfer.games.tabular import TabularGame

__all__ = ["iterated_prisoners_dilemma"]

_MOVES = ("cooperate", "defect")


def _always_defect(
    game: TabularGame, reward: float, punishment: float, discount: float, **_: Any
) -> tuple[KnownEquilibrium, ...]:
    """The equilibrium of the game played once, played for ever; and grim play, where players remember and are patient.

    Against always defecting nothing that one does changes what comes, and defecting is best at once. Against one who
    cooperates exactly after both cooperated, cooperating is worth R / (1 - γ), and the best betrayal
    T + γ P / (1 - γ); after anything else the rival defects, whatever one does now.
    """
    states, temptation = game.num_states, float(np.asarray(game.reward).max())
    defect = np.tile([0.0, 1.0], (states, 1))
    worth = np.full((2, states), punishment / (1 - discount))
    found = [KnownEquilibrium((defect, defect), worth, "defecting is best at once, and changes nothing")]
    if states > 1 and reward > temptation * (1 - discount) + discount * punishment:
        grim = defect.copy()
        grim[:2] = [1.0, 0.0]  # at the start, and after both cooperated
        worth = worth.copy()
        worth[:, :2] = reward / (1 - discount)
        found.append(KnownEquilibrium((grim, grim), worth, "cooperate as long as both did"))
    return tuple(found)


@entry("Axelrod, The Evolution of Cooperation, 1984; payoffs of Foerster et al., LOLA, AAMAS 2018", _always_defect)
def iterated_prisoners_dilemma(
    *,
    memory: int = 1,
    reward: float = -1.0,
    temptation: float = 0.0,
    sucker: float = -3.0,
    punishment: float = -2.0,
    discount: float = 0.95,
) -> TabularGame:
    """Iterated prisoner's dilemma: with memory 1 players see both last moves, with memory 0 nothing."""
    require(memory in (0, 1), f"iterated_prisoners_dilemma needs a memory of 0 or 1; got {memory}.")
    require(
        temptation > reward > punishment > sucker,
        "iterated_prisoners_dilemma needs temptation > reward > punishment > sucker; "
        f"got {temptation:g}, {reward:g}, {punishment:g}, {sucker:g}.",
    )
    require(0 <= discount < 1, f"iterated_prisoners_dilemma needs a discount in [0, 1); got {discount:g}.")
    row = np.array([[reward, sucker], [temptation, punishment]])
    states = 5 if memory else 1
    kernel = np.zeros((states, 2, 2, states))
    for a in range(2):
        for b in range(2):
            kernel[:, a, b, 1 + 2 * a + b if memory else 0] = 1.0
    return TabularGame(
        np.tile(np.stack([row, row.T])[:, None], (1, states, 1, 1)),
        kernel,
        discount,
        initial=np.eye(states)[0],
        state_labels=("start", "both cooperated", "0 was betrayed", "1 was betrayed", "both defected")[:states],
        action_labels=[_MOVES] * 2,
        name="iterated_prisoners_dilemma",
    )

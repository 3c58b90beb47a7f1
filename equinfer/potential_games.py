"""Is it a potential game, and of which potential? Asked of a game or of a target."""

from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.arguments import checked_seed, shown
from equinfer.certificates.potential import potential_defect as judged
from equinfer.errors import BadInput
from equinfer.four_cycles import PotentialDefect
from equinfer.targets import Game, Target, game_of, tabular_game_of

__all__ = ["potential", "potential_defect"]


def potential_defect(game: Game | Target, *, cycles: int | None = None, seed: int = 0) -> PotentialDefect:
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
    if cycles is not None:
        cycles = _checked_cycles(cycles)
    return judged(tabular_game_of(game_of(game), "a potential").tables(), cycles=cycles, seed=checked_seed(seed))


def potential(game: Game | Target, *, cycles: int | None = None, seed: int = 0) -> Float[np.ndarray, "..."]:
    r"""The potential of a game that has one: what everybody gains by a change of policy, $\Phi$ gains too.

    **Arguments:** as in `potential_defect`; `cycles` and `seed` are of the search for what shows that there is none.

    **Returns:** $\varphi$ (A_1, ..., A_N) of a one-shot game, and (S, A_1, ..., A_N) of others, whose potential is
    $\Phi(s;\pi)=E\sum_t\gamma^t\varphi(s_t,a_t)$; in units of reward.

    **Raises:** `BadInput` if there is none, with the state and the joint actions of a four-cycle that shows it; if none
    is known; or if it would take too long.

    >>> potential("catalog:prisoners_dilemma")
    array([[0., 2.],
           [2., 3.]])
    """
    game = tabular_game_of(game_of(game), "a potential")
    return potential_defect(game, cycles=cycles, seed=seed).stage_potential(game.name)


def _checked_cycles(cycles: Any) -> int:
    if isinstance(cycles, bool) or not isinstance(cycles, (int, np.integer)) or cycles < 2:
        raise BadInput(f"cycles must be a whole number, at least 2; got {shown(cycles)}.")
    return int(cycles)

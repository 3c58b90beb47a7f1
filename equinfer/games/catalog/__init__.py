"""The games that come along, each with its source and what is known about its equilibria.

To add one: write its builder into a file of this folder, decorate it with `entry`, and give it a line in `_HOME`.
"""

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from equinfer.errors import UnknownName
from equinfer.games.catalog.entry import Entry, KnownEquilibrium
from equinfer.tables import Origin

if TYPE_CHECKING:
    import equinfer.games.tabular

__all__ = ["Entry", "KnownEquilibrium", "entries", "equilibria", "load", "names", "stage_potential"]

_HOME = {
    "prisoners_dilemma": "two_by_two",
    "stag_hunt": "two_by_two",
    "chicken": "two_by_two",
    "battle_of_the_sexes": "two_by_two",
    "matching_pennies": "two_by_two",
    "asymmetric_matching_pennies": "two_by_two",
    "rock_paper_scissors": "cyclic",
    "shapley": "cyclic",
    "jordan": "cyclic",
    "dynamic_rock_paper_scissors": "cyclic",
    "climbing": "coordination",
    "penalty": "coordination",
    "congestion": "congestion",
    "grid_game_1": "grid",
    "grid_game_2": "grid",
    "soccer": "soccer",
    "quality_ladder": "quality_ladder",
    "price_duopoly": "price_duopoly",
    "random": "random_games",
    "random_potential": "random_games",
    "copycat": "conditional_form",
    "dummy_opponent": "conditional_form",
    "near_tied_coordination": "conditional_form",
    "biased_matching_pennies": "conditional_form",
    "belief_multiplicity": "conditional_form",
    "cliff": "conditional_form",
    "no_sde": "correlation",
    "public_signal": "correlation",
}


def names() -> tuple[str, ...]:
    """The name of every game."""
    return tuple(_HOME)


def load(name: str, **parameters: Any) -> "equinfer.games.tabular.TabularGame":
    """The game called `name` (hyphens or underscores), with `parameters` in place of its defaults.

    **Raises:** `UnknownName` for a game or a parameter that does not exist, with the known ones; `BadInput` for a
    value out of range, or a game too big for this machine.
    """
    found = _entry(name)
    checked = found.checked(parameters)
    return found.build(**checked).made_from(Origin(f"catalog:{found.name}", tuple(checked.items())))


def entries() -> tuple[Entry, ...]:
    """Every game of the catalogue: `.name`, `.description`, `.source`, `.parameters` with defaults."""
    return tuple(map(_entry, _HOME))


def equilibria(name: str, **parameters: Any) -> tuple[KnownEquilibrium, ...]:
    """The equilibria of `load(name, **parameters)` that are known by derivation; empty if none is.

    **Raises:** as `load`.
    """
    found = _entry(name)
    checked = found.checked(parameters)
    game = found.build(**checked)
    return found.known(game, **checked) if found.known else ()


def stage_potential(name: str, **parameters: Any) -> Float[np.ndarray, "S *A"] | None:
    r"""A function $\varphi(s, a)$ whose discounted sum is a potential of the game, or None if none is known.

    For every state, player and policies, $V^i(s;\pi_i,\pi_{-i})-V^i(s;\pi_i',\pi_{-i})$ is the same difference of
    $\Phi(s;\pi)=E_\pi[\sum_t\gamma^t\varphi(s_t,a_t)\mid s_0=s]$.

    **Raises:** as `load`.
    """
    found = _entry(name)
    checked = found.checked(parameters)
    game = found.build(**checked)
    return found.stage_potential(game, **checked) if found.stage_potential else None


def _entry(name: str) -> Entry:
    key = name.replace("-", "_")
    if key not in _HOME:
        raise UnknownName.among("game of the catalogue", key, _HOME)
    return getattr(importlib.import_module(f"{__name__}.{_HOME[key]}"), key)

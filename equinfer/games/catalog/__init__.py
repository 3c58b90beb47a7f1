"""The games that come along, each with its source and what is known about its equilibria.

To add one: write its builder into a file of this folder, decorate it with `entry`, and give it a line in `_HOME`.
"""

import importlib
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float

from equinfer.errors import UnknownName
from equinfer.games.catalog.entry import Entry, KnownEquilibrium
from equinfer.tables import Origin

__all__ = [
    "Entry",
    "KnownEquilibrium",
    "continuous_entries",
    "continuous_names",
    "entries",
    "equilibria",
    "load",
    "mean_field_entries",
    "mean_field_names",
    "names",
    "stage_potential",
]

_HOME = {
    "prisoners_dilemma": "two_by_two",
    "stag_hunt": "two_by_two",
    "chicken": "two_by_two",
    "battle_of_the_sexes": "two_by_two",
    "matching_pennies": "two_by_two",
    "asymmetric_matching_pennies": "two_by_two",
    "wolf": "two_by_two",
    "iterated_prisoners_dilemma": "repeated",
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
_MEAN_FIELD_HOME = {
    "mean_field/left_right": "classics",
    "mean_field/rock_paper_scissors": "classics",
    "mean_field/susceptible_infected": "classics",
    "mean_field/congestion": "classics",
    "mean_field/beach_bar": "crowds",
    "mean_field/crowd_motion": "crowds",
    "mean_field/building_evacuation": "crowds",
    "mean_field/linear_quadratic": "quadratic",
    "mean_field/open_spiel_linear_quadratic": "quadratic",
    "mean_field/riccati": "quadratic",
    "mean_field/random_linear": "economies",
    "mean_field/equilibrium_price": "economies",
    "mean_field/conservative_treasure_hunting": "economies",
    "mean_field/crowd_modelling": "grids",
    "mean_field/crowd_modelling_2d": "grids",
    "mean_field/four_rooms": "grids",
    "mean_field/periodic_aversion": "grids",
    "mean_field/crowd_avoidance": "populations",
    "mean_field/predator_prey": "populations",
    "mean_field/endemic": "stationary",
    "mean_field/daily_congestion": "stationary",
    "mean_field/malware_spread": "stationary",
    "mean_field/ring_crowd": "stationary",
}

_CONTINUOUS_HOME = {
    "differential": "continuous.differential",
    "cournot": "continuous.cournot",
    "cournot_capacity": "continuous.markets",
    "cournot_demand": "continuous.markets",
    "quadratic_zero_sum": "continuous.quadratic",
    "quadratic": "continuous.quadratic",
}


def names() -> tuple[str, ...]:
    """The name of every game in tables."""
    return tuple(_HOME)


def mean_field_names() -> tuple[str, ...]:
    """The name of every mean-field game."""
    return tuple(_MEAN_FIELD_HOME)


def continuous_names() -> tuple[str, ...]:
    """The name of every game of continuous actions."""
    return tuple(_CONTINUOUS_HOME)


def load(name: str, /, **parameters: Any) -> Any:
    """The game called `name` (hyphens or underscores), with `parameters` in place of its defaults.

    **Returns:** a `TabularGame`; of a name in `mean_field_names`, a `MeanFieldGame`; of one in
    `continuous_names`, a `ContinuousGame`.

    **Raises:** `UnknownName` for a game or a parameter that does not exist, with the known ones; `BadInput` for a
    value out of range, or a game too big for this machine.
    """
    found = _entry(name)
    checked = found.checked(parameters)
    made = _known_mean_field if found.name in _MEAN_FIELD_HOME else _made
    return made(found, tuple(checked.items()))


def _made(found: Entry, parameters: tuple[tuple[str, Any], ...]) -> Any:
    return found.build(**dict(parameters)).made_from(Origin(f"catalog:{found.name}", parameters))


# Its functions are new whenever a mean-field game is built, and what was compiled for others would be of no use.
_known_mean_field = lru_cache(maxsize=8)(_made)


def entries() -> tuple[Entry, ...]:
    """Every game in tables: `.name`, `.description`, `.source`, `.parameters` with defaults."""
    return tuple(map(_entry, _HOME))


def mean_field_entries() -> tuple[Entry, ...]:
    """Every mean-field game, as in `entries`."""
    return tuple(map(_entry, _MEAN_FIELD_HOME))


def continuous_entries() -> tuple[Entry, ...]:
    """Every game of continuous actions, as in `entries`."""
    return tuple(map(_entry, _CONTINUOUS_HOME))


def equilibria(name: str, /, **parameters: Any) -> tuple[KnownEquilibrium, ...]:
    """The equilibria of `load(name, **parameters)` that are known by derivation; empty if none is.

    **Raises:** as `load`.
    """
    found = _entry(name)
    checked = found.checked(parameters)
    game = found.build(**checked)
    return found.known(game, **checked) if found.known else ()


def stage_potential(name: str, /, **parameters: Any) -> Float[np.ndarray, "S *A"] | None:
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
    folder, _, short = key.rpartition("/")
    home = _MEAN_FIELD_HOME if folder == "mean_field" else _HOME | _CONTINUOUS_HOME
    if key not in home:
        raise UnknownName.among("game of the catalogue", key, [*_HOME, *_CONTINUOUS_HOME, *_MEAN_FIELD_HOME])
    package = f"{__name__}.{folder}" if folder else __name__
    return getattr(importlib.import_module(f"{package}.{home[key]}"), short)

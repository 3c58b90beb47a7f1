"""What is seen of a game from outside."""

import pytest

import equinfer as eq
from equinfer.equations.mean_field_structure import structure_of

# name: rewards by the masses in the same place; monotone.
SEEN = {
    "rock_paper_scissors": (False, False),
    "equilibrium_price": (False, True),
    "beach_bar": (True, True),
    "predator_prey": (True, True),
}


@pytest.mark.parametrize("name", SEEN)
def test_known_games_are_seen_as_what_they_are(name):
    seen = structure_of(eq.load(f"catalog:mean_field/{name}").tables())
    assert (seen.local, seen.monotone) == SEEN[name]


def test_a_game_of_attraction_has_a_witness():
    game = eq.load("catalog:mean_field/crowd_avoidance", coef_congestion=-1.0)
    tables = game.tables()
    seen = structure_of(tables)
    assert seen.local
    assert not seen.monotone
    one, other = seen.witness
    before, after = tables.rewards(one), tables.rewards(other)
    t = seen.epoch
    gained = sum(
        ((new[t] - old[t]) * (there[t] - here[t])).sum()
        for old, new, here, there in zip(before, after, one, other, strict=True)
    )
    assert gained > 0


def test_costs_of_actions_in_a_crowd_are_not_those_of_the_place():
    """The move cost times the crowd depends on the action."""
    tables = eq.load("catalog:mean_field/crowd_modelling_2d", size=4, with_congestion=True).tables()
    assert not structure_of(tables).local

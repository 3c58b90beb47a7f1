"""Mean-field games of the catalogue are built once, so that what was compiled for them serves again."""

import equinfer as eq


def test_the_same_game_is_not_built_again():
    one = eq.load("catalog:mean_field/beach_bar", n=5)
    assert eq.load("catalog:mean_field/beach_bar", n=5).reward[0] is one.reward[0]
    assert eq.load("catalog:mean_field/beach_bar", n=6).num_states == 6
    assert eq.load("catalog:mean_field/beach_bar", n=5).tables().origin.parameters[1] == ("n", 5)

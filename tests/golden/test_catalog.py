"""The catalogue as a whole: every game loads, every listed equilibrium is one, and mistakes are named."""

import subprocess
import sys

import numpy as np
import pytest
from judge import all_bimatrix_equilibria, values_and_gap

from equinfer.errors import BadInput, UnknownName
from equinfer.games import catalog

VARIANTS = [
    *((name, {}) for name in catalog.names() if name != "soccer"),
    ("prisoners_dilemma", {"reward": 2.0, "temptation": 3.0, "sucker": -1.0, "punishment": 0.0}),
    ("stag_hunt", {"temptation": 7.0}),
    ("chicken", {"punishment": -10.0}),
    ("battle_of_the_sexes", {"preferred": 3.0}),
    ("asymmetric_matching_pennies", {"prize": 4.0}),
    ("rock_paper_scissors", {"win": 1.0, "loss": 3.0}),
    ("rock_paper_scissors", {"win": 3.0, "loss": 1.0}),
    ("dynamic_rock_paper_scissors", {"discount": 0.3}),
    ("penalty", {"penalty": 0.0}),
    ("penalty", {"penalty": -3.0}),
    ("penalty", {"penalty": -10.0}),
    ("iterated_prisoners_dilemma", {"memory": 0}),
    ("iterated_prisoners_dilemma", {"discount": 0.4}),
    ("congestion", {"players": 3, "slopes": (1.0, 1.0), "offsets": (0.0, 0.0)}),
    ("congestion", {"players": 2, "slopes": (2.0,), "offsets": (0.0,)}),
    ("congestion", {"players": 3, "slopes": (1.0, 2.0, 1.0), "offsets": (0.0, 1.0, 9.0)}),
    ("congestion", {"players": 1}),
    ("grid_game_1", {"discount": 0.8}),
    ("grid_game_2", {"discount": 0.8}),
    ("grid_game_2", {"discount": 0.1}),
    ("price_duopoly", {"discount": 0.56}),
    ("price_duopoly", {"discount": 0.99}),
    ("quality_ladder", {"cost": 150.0}),
    ("quality_ladder", {"firms": 3, "levels": 3, "investments": 2, "cost": 150.0, "shock": 0.2}),
    ("random_potential", {"states": 4, "players": 3, "actions": (2, 3, 2), "seed": 3}),
    ("copycat", {"M": 1.0}),
    ("dummy_opponent", {"M": 3.0}),
    ("near_tied_coordination", {"M": 1.0}),
    ("biased_matching_pennies", {"M": 1.0}),
    ("cliff", {"horizon": 1}),
    ("cliff", {"horizon": 7, "toll": 0.5}),
    ("cliff", {"horizon": 4, "toll": 2.0}),
    ("no_sde", {"discount": 0.6}),
    ("public_signal", {"outside": 1.2}),
]


@pytest.mark.parametrize(("name", "parameters"), VARIANTS, ids=str)
def test_listed_equilibria_are_equilibria(name, parameters):
    game, known = catalog.load(name, **parameters), catalog.equilibria(name, **parameters)
    assert known or not parameters
    scale = game.tables().payoff_scale
    for each in known:
        assert each.note
        values, gap = values_and_gap(game, each.profile)
        assert gap <= 1e-10 * scale
        if each.values is not None:
            assert each.values.shape == values.shape
            np.testing.assert_allclose(each.values, values, rtol=0, atol=1e-11 * scale)
        for policy, legal in zip(each.profile, game.legal, strict=True):
            assert (policy >= 0).all()
            np.testing.assert_allclose(policy.sum(axis=-1), 1.0, rtol=0, atol=1e-15)
            assert (policy[..., ~legal] == 0).all()


@pytest.mark.parametrize("name", sorted(set(catalog.names()) - {"soccer", "random", "quality_ladder"}))
def test_every_game_but_three_has_known_equilibria(name):
    known = catalog.equilibria(name)
    assert known
    assert len({each.complete for each in known}) == 1


BIMATRIX = {
    *("prisoners_dilemma", "stag_hunt", "chicken", "battle_of_the_sexes", "matching_pennies"),
    *("asymmetric_matching_pennies", "rock_paper_scissors", "shapley", "climbing", "penalty", "copycat", "wolf"),
    *("near_tied_coordination", "biased_matching_pennies", "belief_multiplicity"),
}


@pytest.mark.parametrize(
    ("name", "parameters"),
    # At a penalty of -10 the game is degenerate, which the enumeration cannot judge.
    [(name, given) for name, given in VARIANTS if name in BIMATRIX and given != {"penalty": -10.0}],
    ids=str,
)
def test_complete_lists_of_one_shot_games_agree_with_support_enumeration(name, parameters):
    game, known = catalog.load(name, **parameters), catalog.equilibria(name, **parameters)
    assert all(each.complete for each in known)
    row, column = np.asarray(game.reward)[:, 0]
    enumerated = all_bimatrix_equilibria(row, column)
    listed = [tuple(policy[0] for policy in each.profile) for each in known]
    assert len(enumerated) == len(listed)
    for first, second in enumerated:
        assert any(np.allclose(first, x, atol=1e-12) and np.allclose(second, y, atol=1e-12) for x, y in listed)


@pytest.mark.parametrize("name", sorted(set(catalog.names()) - {"soccer"}))
def test_games_name_their_parts(name):
    game = catalog.load(name.replace("_", "-"))
    assert game.name == name
    assert game.labels.states is not None or game.num_states in (1, 5)
    np.testing.assert_allclose(game.kernel.dense().sum(axis=-1), 1.0, rtol=0, atol=1e-14)


def test_entries_describe_themselves():
    described = catalog.entries()
    assert tuple(each.name for each in described) == catalog.names()
    for each in described:
        assert each.description.endswith(".")
        assert each.source
    assert {each.name: each.parameters for each in described}["penalty"] == {"penalty": -100.0}


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(UnknownName, match=r"unknown game of the catalogue 'chickn'; did you mean 'chicken'\?.*soccer"):
        catalog.load("chickn")
    with pytest.raises(UnknownName, match=r"no parameter 'bonus'; its parameters are: stake=1\.0"):
        catalog.load("matching_pennies", bonus=1.0)
    with pytest.raises(UnknownName, match="its parameters are: none"):
        catalog.equilibria("shapley", a=1)


@pytest.mark.parametrize(
    ("name", "parameters", "sentence"),
    [
        ("prisoners_dilemma", {"reward": 9.0}, "temptation > reward"),
        ("chicken", {"reward": "much"}, "a finite number"),
        ("chicken", {"reward": float("nan")}, "a finite number"),
        ("random", {"states": 2.5}, "a finite whole number"),
        ("random", {"states": True}, "a finite whole number"),
        ("random", {"states": 0}, "states >= 1"),
        ("random", {"actions": (2, 2, 2)}, "3 action counts"),
        ("random", {"actions": (2, 0)}, "at least one action"),
        ("random", {"seed": -1}, "seed >= 0"),
        ("random", {"discount": 1.0}, "discount of player 0"),
        ("random", {"states": 10**6}, "GiB"),
        ("random", {"players": 60}, "at most 32"),
        ("random_potential", {"controlled": 1}, "true or false"),
        ("random_potential", {"discount": 1.0}, r"discount in \[0, 1\)"),
        ("congestion", {"players": 25}, "GiB"),
        ("congestion", {"slopes": 1.0}, "a list of numbers"),
        ("congestion", {"slopes": (1.0, 2.0)}, "2 and 3"),
        ("quality_ladder", {"firms": 9, "levels": 9}, "GiB"),
        ("quality_ladder", {"shock": 1.5}, "shock"),
        ("price_duopoly", {"steps": 10**4}, "GiB"),
        ("cliff", {"horizon": 0}, "horizon"),
        ("no_sde", {"discount": 0.5}, r"\(1/2, 1\)"),
        ("grid_game_2", {"discount": 1.0}, r"\(0, 1\)"),
    ],
)
def test_parameters_out_of_range_are_refused_in_one_sentence(name, parameters, sentence):
    with pytest.raises(BadInput, match=sentence) as refused:
        catalog.load(name, **parameters)
    assert "\n" not in str(refused.value)


def test_strings_of_the_command_line_are_read():
    game = catalog.load("random", actions="2,3", states="4", seed="1")
    assert game.num_actions == (2, 3)
    assert game.num_states == 4
    assert catalog.load("random-potential", controlled="true").num_states == 5


def test_the_registry_loads_no_game_and_no_jax():
    code = "import sys; from equinfer.games import catalog; catalog.names(); sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

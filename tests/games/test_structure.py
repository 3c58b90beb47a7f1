"""Structure that is there is found, structure that is not is not, and doubts name the place."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import equinfer as eq
from equinfer.games import catalog, structure
from equinfer.tables import Tables


def one_shot(payoffs, **labels) -> Tables:
    return eq.TabularGame.from_payoffs(payoffs, **labels).tables()


def tables(name: str, **parameters) -> Tables:
    return catalog.load(name, **parameters).tables()


@pytest.mark.parametrize(
    ("name", "constant_sum", "identical", "symmetric"),
    [
        ("prisoners_dilemma", False, False, True),
        ("matching_pennies", True, False, False),
        ("rock_paper_scissors", True, False, True),
        ("climbing", False, True, False),
        ("penalty", False, True, True),
        ("battle_of_the_sexes", False, False, False),
        ("jordan", False, False, False),
        ("dynamic_rock_paper_scissors", True, False, False),
        ("congestion", False, False, True),
    ],
)
def test_known_games(name, constant_sum, identical, symmetric):
    game = tables(name)
    assert structure.is_constant_sum(game) is constant_sum
    assert structure.has_identical_interests(game) is identical
    assert structure.is_symmetric(game) is symmetric


def test_turns_and_moves():
    duopoly = tables("price_duopoly")
    assert structure.is_turn_based(duopoly)
    assert structure.is_deterministic(duopoly)
    assert not structure.is_turn_based(tables("grid_game_1"))
    assert not structure.is_deterministic(tables("random"))
    grid = tables("grid_game_1")
    assert [grid.state_labels[s] for s in np.flatnonzero(structure.absorbing_states(grid))] == ["end"]


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1), controller=st.integers(0, 2))
def test_a_single_controller_is_found_whoever_it_is(seed, controller):
    rng = np.random.default_rng(seed)
    shape = [4, 1, 1, 1, 4]
    shape[1 + controller] = 2
    kernel = np.broadcast_to(rng.dirichlet(np.ones(4), shape[:-1]), (4, 2, 2, 2, 4))
    game = eq.TabularGame(rng.normal(size=(3, 4, 2, 2, 2)), kernel, 0.9)
    assert structure.controllers(game.tables()) == (controller,)


def test_an_illegal_action_controls_nothing():
    kernel = np.zeros((2, 2, 1, 2))
    kernel[:, 0, 0] = kernel[:, 1, 0] = [0.5, 0.5]
    kernel[0, 1, 0] = [0.0, 1.0]
    reward = np.zeros((2, 2, 2, 1))
    assert structure.controllers(eq.TabularGame(reward, kernel, 0.9).tables()) == (0,)
    legal = [np.array([[True, False], [True, True]]), np.ones((2, 1), bool)]
    assert structure.controllers(eq.TabularGame(reward, kernel, 0.9, legal=legal).tables()) == ()


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_game_made_symmetric_is_symmetric_until_it_is_touched(seed):
    rng = np.random.default_rng(seed)
    own = rng.normal(size=(3, 2, 2, 2))
    own = own + own.swapaxes(2, 3)  # player 0's payoff does not tell the other two apart
    reward = np.stack([own, own.swapaxes(1, 2), own.swapaxes(1, 3)])
    kernel = np.full((3, 2, 2, 2, 3), 1 / 3)
    assert structure.is_symmetric(eq.TabularGame(reward, kernel, 0.9).tables())
    reward[1, 2, 0, 1, 0] += 1e-9
    assert not structure.is_symmetric(eq.TabularGame(reward, kernel, 0.9).tables())


def test_states_out_of_reach():
    kernel = np.zeros((3, 1, 1, 3))
    kernel[0, ..., 1] = kernel[1, ..., 0] = kernel[2, ..., 0] = 1
    game = eq.TabularGame(np.zeros((2, 3, 1, 1)), kernel, 0.9, initial=[1, 0, 0], state_labels=["a", "b", "c"])
    np.testing.assert_array_equal(structure.reachable_states(game.tables()), [True, True, False])
    assert "no play reaches state c from the initial states." in structure.doubts(game.tables())


def test_dominated_and_duplicate_actions_are_named():
    payoffs = np.array([[[3, 0], [5, 1], [5, 1]], [[3, 5], [0, 1], [0, 1]]])
    game = one_shot(payoffs, action_labels=[["quiet", "confess", "talk"], ["quiet", "confess"]])
    (duplicates,) = (doubt for doubt in structure.doubts(game) if doubt.startswith("duplicate"))
    assert duplicates == "duplicate actions: player 0: confess and talk."
    (dominated,) = (doubt for doubt in structure.doubts(game) if doubt.startswith("dominated"))
    assert "player 0: quiet by confess" in dominated
    # Player 1's confess pays more against quiet, and more against confess (1 > 0).
    assert "player 1: quiet by confess" in dominated


def test_an_action_that_pays_less_now_but_leads_elsewhere_is_not_dominated():
    kernel = np.zeros((2, 2, 1, 2))
    kernel[:, 0, :, 0] = kernel[:, 1, :, 1] = 1
    reward = np.zeros((2, 2, 2, 1))
    reward[0, :, 0] = 1
    assert not any("dominated" in doubt for doubt in structure.doubts(eq.TabularGame(reward, kernel, 0.9).tables()))


def test_payoffs_that_never_vary_or_differ_wildly():
    game = one_shot(np.array([[[1.0, 1.0]], [[0.0, 1.0]]]))
    assert any("player 0 never varies" in doubt for doubt in structure.doubts(game))
    game = one_shot(np.array([[[1e8, 0.0]], [[0.0, 1.0]]]))
    assert any("check the units" in doubt for doubt in structure.doubts(game))

"""Potentials of three and more players, and what is said of a game that has none: the state and the joint actions."""

import re

import numpy as np
import pytest
from exact_games import one_shot, random_tables, tables_of
from plain_cycles import plain_sum, worst_pure_sum

import equinfer as eq
from equinfer.certificates.potential import potential_defect
from equinfer.cli import run

SIZES = (2, 3, 2)


def own_free(rng, states, sizes):
    """For every player a term that the others decide: (N, S, *A)."""
    free = [[1 if i == j else size for j, size in enumerate(sizes)] for i in range(len(sizes))]
    return np.stack([rng.normal(size=(states, *shape)) + np.zeros((states, *sizes)) for shape in free])


def random_potential_game(seed, kind):
    """Three players, three states: (reward, kernel), of discount 0.8."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(3, *SIZES))
    if kind == "nobody moves the state":
        kernel = np.broadcast_to(rng.dirichlet(np.ones(3), (3, 1, 1, 1)), (3, *SIZES, 3))
        return common + own_free(rng, 3, SIZES), kernel
    if kind == "two move it":
        kernel = np.broadcast_to(rng.dirichlet(np.ones(3), (3, 2, 3, 1)), (3, *SIZES, 3))
        extra = np.concatenate([np.zeros((2, 3, *SIZES)), own_free(rng, 3, SIZES)[2:]])
    else:
        kernel, extra = rng.dirichlet(np.ones(3), (3, *SIZES)), np.zeros((3, 3, *SIZES))
    shaping = np.array([rng.normal(size=3) for _ in SIZES])
    shaped = shaping[..., None, None, None] - 0.8 * np.einsum("sabct,it->isabc", kernel, shaping)
    return common + shaped + extra, kernel


KINDS = ["nobody moves the state", "two move it", "all move it"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(5))
def test_three_players_with_a_potential_and_one_entry_changed(seed, kind):
    reward, kernel = random_potential_game(seed, kind)
    found = potential_defect(tables_of(reward, kernel, 0.8))
    assert (found.defect, found.kind, found.witness) == (0.0, "exact", None)
    rng = np.random.default_rng(seed)
    player, *entry = rng.integers([3, 3, *SIZES])
    changed = reward.copy()
    changed[(player, *entry)] += 0.01
    tables = tables_of(changed, kernel, 0.8)
    found = potential_defect(tables)
    # One joint action's corner stands out of a square through it, and is walked from its state on at least once.
    assert found.defect >= 0.01 - 1e-9
    shown = plain_sum(tables, found.witness.players, found.witness.profiles)[found.witness.state]
    assert shown == pytest.approx(found.defect, abs=1e-12)
    assert player in found.witness.players
    if kind == KINDS[0]:
        expected = 0.01 * np.linalg.inv(np.eye(3) - 0.8 * kernel[:, 0, 0, 0])[:, entry[0]].max()
        assert (found.kind, found.defect) == ("exact", pytest.approx(expected, abs=1e-12))


@pytest.mark.parametrize("sizes", [(2, 2, 2), (2, 2, 3)])
@pytest.mark.parametrize("seed", range(5))
def test_the_search_finds_more_than_all_deterministic_cycles_of_three(seed, sizes):
    """The third player's play, too, is the worst that there is."""
    tables = random_tables(np.random.default_rng(seed), 2, sizes, discount=0.9)
    found = potential_defect(tables)
    assert found.kind == "lower_bound"
    assert found.defect >= worst_pure_sum(tables) - 1e-9
    shown = plain_sum(tables, found.witness.players, found.witness.profiles)[found.witness.state]
    assert shown == pytest.approx(found.defect, abs=1e-10)


def test_nothing_is_found_among_three_where_nothing_is():
    """Player 1 is paid in the first state for what player 0 does there: nobody's choice brings it about again."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=(4, 2, 2, 2))
    kernel = np.zeros((4, 2, 2, 2, 4))
    kernel[..., 1:] = rng.dirichlet(np.ones(3), (4, 2, 2, 2))
    reward = np.array([common, common, common])
    reward[1, 0] += rng.normal(size=(2, 1, 1))
    found = potential_defect(tables_of(reward, kernel, 0.8))
    assert (found.defect, found.kind, found.witness, found.potential) == (0.0, "lower_bound", None, None)
    with pytest.raises(eq.BadInput, match="no potential is known of this game: no violation found in"):
        found.stage_potential()


# What is said of a game that has none.


def test_a_potential_that_is_needed_and_not_there_is_refused_with_state_and_actions():
    assert eq.potential("catalog:congestion").shape == (3, 3, 3, 3)
    np.testing.assert_array_equal(eq.potential("catalog:prisoners_dilemma"), [[0, 2], [2, 3]])
    says = (
        "matching_pennies is not a potential game: players 0 and 1 go round (heads, tails), (tails, tails), "
        "(tails, heads), (heads, heads) and come back, having gained 8 in all."
    )
    with pytest.raises(eq.BadInput, match=f"^{re.escape(says)}$"):
        eq.potential("catalog:matching_pennies")
    with pytest.raises(eq.BadInput, match=r"^this game is not a potential game: players 0 and 1 go round \(heads"):
        eq.potential_defect("catalog:matching_pennies").stage_potential()
    says = r"in state player 0 moves round \(keep, wait\), .* and in state player 1 moves round \(wait, keep\), "
    with pytest.raises(eq.BadInput, match=rf"^no_sde is not a potential game: from state player . moves on, .*{says}"):
        eq.potential("catalog:no_sde")


@pytest.mark.parametrize("seed", range(3))
def test_the_actions_that_are_named_gain_what_is_said(seed):
    payoffs = np.random.default_rng(seed).normal(size=(3, 2, 3, 2))
    message = potential_defect(one_shot(payoffs)).message
    movers = [int(name) for name in re.search(r"players P(\d) and P(\d)", message).groups()]
    corners = [tuple(map(int, actions)) for actions in re.findall(r"\(a(\d), a(\d), a(\d)\)", message)]
    assert len(corners) == 4
    gains = [payoffs[(movers[k % 2], *corners[(k + 1) % 4])] - payoffs[(movers[k % 2], *corners[k])] for k in range(4)]
    assert f"having gained {sum(gains):.6g} in all" in message
    for k in range(4):
        turned = [i for i in range(3) if corners[k][i] != corners[(k + 1) % 4][i]]
        assert turned == [movers[k % 2]]


def test_epochs_and_mixtures_are_named():
    rng = np.random.default_rng(4)
    reward, kernel = rng.normal(size=(2, 2, 2, 2)), rng.dirichlet(np.ones(2), (2, 2, 2))
    found = potential_defect(tables_of(reward, kernel, 1.0, horizon=3))
    assert re.match(
        r"Not a potential game: from epoch 0, state s\d on, .* in epoch 0, state s\d round \(", found.message
    )
    # What can be walked in two epochs can be walked in the last two of three.
    assert found.defect >= potential_defect(tables_of(reward, kernel, 1.0, horizon=2)).defect - 1e-9


def test_the_command_line_prints_a_potential_or_refuses(capsys):
    assert run(["info", "catalog:prisoners_dilemma", "--potential"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[-3:] == [["potential", "cooperate", "defect"], ["cooperate", "0", "2"], ["defect", "2", "3"]]
    assert run(["info", "catalog:random_potential", "--potential"]) == 0
    out = capsys.readouterr().out
    assert "... 33 more rows" in out
    first = eq.potential("catalog:random_potential")[0, 0, 1]
    assert ["0", "0", "1", f"{first:.6g}"] in [line.split() for line in out.splitlines()]
    assert run(["info", "catalog:jordan", "--potential"]) == 4
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("equinfer: jordan is not a potential game: players 0 and 1 go round (heads, ")
    assert run(["info", "catalog:jordan"]) == 0
    assert "Not a potential game: players 0 and 1 go round (heads, " in capsys.readouterr().out
    assert run(["info", "catalog:mean_field/beach_bar", "--potential"]) == 4
    assert "a potential is for games in tables" in capsys.readouterr().err

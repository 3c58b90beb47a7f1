"""The defect of a potential against enumeration, closed forms, invariances, and games that have a potential or not."""

import functools
import itertools
from fractions import Fraction

import numpy as np
import pytest
from exact_games import one_shot, random_tables, tables_of, true_gains
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_cycles import plain_sum, plain_values, pure_policies, random_policies, worst_pure_sum

import equinfer as eq
from equinfer.certificates.potential import potential_defect
from equinfer.games import catalog

PENNIES = np.array([[1.0, -1], [-1, 1]])
seeds = st.integers(0, 2**32 - 1)
fixed = settings(max_examples=25)


def legal_tables(rng, *shapes):
    """Masks with at least one legal action each, about a quarter of the actions being illegal."""
    masks = []
    for states, size in shapes:
        mask = rng.random((states, size)) < 0.75
        mask[np.arange(states), rng.integers(size, size=states)] = True
        masks.append(mask)
    return tuple(masks)


def shown_by_its_witness(tables, found, atol=1e-12):
    """The witness, valued by plain linear algebra, shows the defect; and each step is one player's."""
    witness = found.witness
    for step in range(4):
        before, after = witness.profiles[step], witness.profiles[(step + 1) % 4]
        changed = [k for k in range(tables.num_players) if not np.array_equal(before[k], after[k])]
        assert changed in ([], [witness.players[step % 2]])
    total = plain_sum(tables, witness.players, witness.profiles)[witness.state]
    assert total == pytest.approx(found.defect, abs=atol)
    assert witness.sum == pytest.approx(found.defect, abs=atol)


# One-shot games: the defect itself.


def test_known_defects():
    # Turning one's penny in turn, each time to one's own gain of 2; rock-paper-scissors by hand: (1, 2, 2, 1).
    assert eq.potential_defect(eq.TabularGame.from_payoffs([PENNIES, -PENNIES])).defect == 8.0
    assert eq.potential_defect("catalog:rock_paper_scissors").defect == 6.0
    found = eq.potential_defect("catalog:prisoners_dilemma")
    assert (found.defect, found.kind, found.witness) == (0.0, "exact", None)


@fixed
@given(seeds, st.lists(st.integers(1, 4), min_size=2, max_size=3), st.booleans())
def test_it_is_the_worst_of_all_four_cycles(seed, sizes, some_illegal):
    rng = np.random.default_rng(seed)
    payoffs = rng.normal(size=(len(sizes), 1, *sizes))
    legal = legal_tables(rng, *((1, size) for size in sizes)) if some_illegal else None
    tables = tables_of(payoffs, np.ones((1, *sizes, 1)), legal=legal)
    tables = tables_of(np.where(tables.legal_joint, tables.reward, 0.0), tables.kernel, legal=legal)
    found = potential_defect(tables)
    assert found.kind == "exact"
    assert found.defect == pytest.approx(worst_pure_sum(tables), abs=1e-12)
    if found.witness is not None:
        shown_by_its_witness(tables, found)
    else:
        assert found.defect == 0


@fixed
@given(seeds, st.lists(st.integers(1, 4), min_size=2, max_size=4), st.sampled_from([1e-6, 1.0, 1e6]), st.booleans())
def test_a_potential_and_what_one_cannot_change_is_a_potential_game(seed, sizes, scale, some_illegal):
    rng = np.random.default_rng(seed)
    potential = scale * rng.normal(size=(1, *sizes))
    others = [rng.normal(size=[1, *(1 if i == j else n for j, n in enumerate(sizes))]) for i in range(len(sizes))]
    reward = np.array([potential + 10 * scale * own for own in others])
    legal = legal_tables(rng, *((1, size) for size in sizes)) if some_illegal else None
    tables = tables_of(reward, np.ones((1, *sizes, 1)), legal=legal)
    joint = tables.legal_joint
    found = potential_defect(tables)
    assert (found.defect, found.kind) == (0.0, "exact")
    assert found.numerical_error < 1e-10 * scale
    assert found.potential.shape == tuple(sizes)
    assert (found.potential[~joint[0]] == 0).all()
    # Up to a constant it is the potential that was put in.
    difference = (found.potential - potential[0])[joint[0]]
    assert np.ptp(difference) < 1e-13 * scale * 100


@pytest.mark.parametrize("change", [1e-10, 1e-3])
@pytest.mark.parametrize("level", [0.0, 1e3])
def test_one_changed_entry_is_a_defect_of_its_size(change, level):
    rng = np.random.default_rng(0)
    potential = rng.random((3, 4))
    payoffs = np.stack([level + potential + rng.random((1, 4)), potential + rng.random((3, 1))])
    payoffs[0, 1, 2] += change
    found = potential_defect(one_shot(payoffs))
    assert abs(found.defect - change) <= 1e-15 * (10 + level)


@fixed
@given(seeds)
def test_units_constants_and_order_of_the_players_do_not_matter(seed):
    rng = np.random.default_rng(seed)
    payoffs = rng.normal(size=(3, 2, 3, 2))
    defect = potential_defect(one_shot(payoffs)).defect
    assert potential_defect(one_shot(4 * payoffs)).defect == 4 * defect
    others = np.stack([rng.normal(size=shape) + np.zeros((2, 3, 2)) for shape in ((1, 3, 2), (2, 1, 2), (2, 3, 1))])
    assert potential_defect(one_shot(payoffs + others)).defect == pytest.approx(defect, abs=1e-13)
    order = [2, 0, 1]
    turned = payoffs[order].transpose(0, *(1 + k for k in order))
    assert potential_defect(one_shot(turned)).defect == pytest.approx(defect, abs=1e-13)


def test_wide_games_are_quick_to_judge():
    # 200 x 200 and 4 x 8 by enumeration would be 4e8 and 7e5 cycles; a planted one is found among them.
    rng = np.random.default_rng(0)
    for shape in ((200, 200), (8, 8, 8, 8)):
        payoffs = np.stack([rng.random(shape)] * len(shape))
        payoffs[0, *(1,) * len(shape)] += 3.0
        found = eq.potential_defect(eq.TabularGame.from_payoffs(payoffs))
        assert found.defect == pytest.approx(3.0, abs=1e-14)


# The error bound, in rational arithmetic.


@fixed
@given(seeds, st.sampled_from([0.0, 1e3, -1e8]))
def test_the_exact_defect_of_the_tables_lies_within_the_error(seed, level):
    rng = np.random.default_rng(seed)
    payoffs = level + rng.normal(size=(2, 3, 3))
    if seed % 2:  # a potential game but for rounding
        others = [rng.normal(size=(1, 3)) + np.zeros((3, 3)), rng.normal(size=(3, 1)) + np.zeros((3, 3))]
        payoffs = level + rng.normal(size=(1, 3, 3)) + np.stack(others)
    exact = [[[Fraction(x) for x in row] for row in table] for table in payoffs.tolist()]
    gap = [[exact[1][a][b] - exact[0][a][b] for b in range(3)] for a in range(3)]
    pairs = list(itertools.combinations(range(3), 2))
    worst = max(abs(gap[a][b] - gap[c][b] - gap[a][d] + gap[c][d]) for a, c in pairs for b, d in pairs)
    found = potential_defect(one_shot(payoffs))
    assert abs(Fraction(found.defect) - worst) <= found.numerical_error
    assert (found.defect == 0) == bool(seed % 2)
    assert found.numerical_error <= 1e-12 * (10 + abs(level))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("discount", "horizon"), [(0.999, None), (1.0, 3)])
def test_a_lower_bound_is_one_in_rational_arithmetic(seed, discount, horizon):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 2, [2, 2], discount=discount, horizon=horizon, level=100.0)
    found = potential_defect(tables, cycles=50)
    assert found.defect > 0
    first, second = found.witness.players
    place = (found.witness.state,) if horizon is None else (found.witness.epoch, found.witness.state)
    worth = []
    for profile in found.witness.profiles:
        values = true_gains(tables, profile)[1]
        worth.append([functools.reduce(lambda part, k: part[k], place, values[k]) for k in (first, second)])
    total = sum(worth[(k + 1) % 4][k % 2] - worth[k][k % 2] for k in range(4))
    assert abs(Fraction(found.defect) - total) <= found.numerical_error
    assert found.numerical_error < 1e-6 * found.defect


def test_next_to_a_discount_of_one_nothing_is_proved():
    common, kernel, rng = controlled(6)
    other = rng.normal(size=common.shape)
    assert potential_defect(tables_of([common, common + 1.0], kernel, 1 - 2.0**-40)).kind == "exact"
    for discount in (1 - 2.0**-40, 1 - 2.0**-49):
        found = potential_defect(tables_of([common, other], kernel, discount), cycles=20)
        assert found.kind == "lower_bound"
        assert found.potential is None
    with pytest.raises(eq.BadInput, match="beyond float64: a discount is too close to one"):
        potential_defect(tables_of([common, other], kernel, 1 - 2.0**-53), cycles=20)


# Stochastic games in which nobody moves the state: exact as well.


@fixed
@given(seeds, st.integers(1, 2), st.sampled_from([0.0, 0.5, 0.95]))
def test_without_control_it_is_the_worst_of_all_cycles_of_policies(seed, states, discount):
    rng = np.random.default_rng(seed)
    kernel = np.broadcast_to(rng.dirichlet(np.ones(states), (states, 1, 1)), (states, 2, 3, states))
    tables = tables_of(rng.normal(size=(2, states, 2, 3)), kernel, discount)
    found = potential_defect(tables)
    assert found.kind == "exact"
    assert found.defect == pytest.approx(worst_pure_sum(tables), rel=1e-12)
    shown_by_its_witness(tables, found, 1e-12 / (1 - discount))
    square = [random_policies(rng, tables) for _ in range(2)]
    (x, y), (far, away) = square
    mixed = plain_sum(tables, (0, 1), [[x, y], [far, y], [far, away], [x, away]])
    assert np.abs(mixed).max() <= found.defect + found.numerical_error


def test_over_a_finite_horizon_the_stages_add_up():
    rng = np.random.default_rng(0)
    kernel = np.broadcast_to(rng.dirichlet(np.ones(3), (3, 1, 1)), (3, 2, 2, 3))
    reward = rng.normal(size=(2, 3, 2, 2))
    stages = np.array([potential_defect(one_shot(reward[:, s])).defect for s in range(3)])
    expected = stages + 0.9 * kernel[:, 0, 0] @ stages
    found = potential_defect(tables_of(reward, kernel, 0.9, horizon=2))
    assert found.kind == "exact"
    assert found.defect == pytest.approx(expected.max(), rel=1e-13)
    assert found.witness.epoch == 0
    assert found.witness.sum == pytest.approx(found.defect, rel=1e-13)


# Stochastic games with a potential.

HAVE_ONE = [
    ("congestion", {}),
    ("random_potential", {}),
    ("random_potential", {"players": 3, "actions": (2, 3, 2), "seed": 2}),
    ("random_potential", {"controlled": True}),
    ("random_potential", {"players": 3, "actions": (2, 3, 2), "controlled": True, "discount": 0.999, "seed": 2}),
]


@pytest.mark.parametrize(("name", "parameters"), HAVE_ONE, ids=str)
def test_gains_are_gains_of_the_potential_that_is_handed_out(name, parameters):
    tables = catalog.load(name, **parameters).tables()
    found = potential_defect(tables)
    assert (found.defect, found.kind, found.witness) == (0.0, "exact", None)
    scale = tables.payoff_scale
    assert found.numerical_error < 1e-9 * scale
    rng = np.random.default_rng(0)
    common = np.broadcast_to(found.potential, tables.reward.shape)
    profile = random_policies(rng, tables)
    before, before_common = plain_values(tables, profile), plain_values(tables, profile, common)
    for player, policy in enumerate(random_policies(rng, tables)):
        changed = [policy if k == player else own for k, own in enumerate(profile)]
        gain = plain_values(tables, changed)[player] - before[player]
        expected = (plain_values(tables, changed, common) - before_common)[player]
        assert np.abs(expected).max() > 1e-4 * scale
        np.testing.assert_allclose(gain, expected, rtol=0, atol=1e-12 * scale)


def controlled(seed, players=2, states=3):
    """A common reward, a kernel that everybody influences, and a generator to go on with."""
    rng = np.random.default_rng(seed)
    sizes = (2,) * players
    return rng.normal(size=(states, *sizes)), rng.dirichlet(np.ones(states), (states, *sizes)), rng


def test_a_player_who_moves_no_state_may_have_terms_without_its_own_action():
    common, kernel, rng = controlled(0, players=3)
    kernel = np.broadcast_to(kernel[:, :, :, :1], kernel.shape)  # player 2 is out of it
    shaping = rng.normal(size=3)
    own = rng.normal(size=(3, 2, 2, 1)) + np.zeros(common.shape)
    reward = np.array([common, common + shaping[:, None, None, None] - 0.8 * kernel @ shaping, common + own])
    found = potential_defect(tables_of(reward, kernel, 0.8))
    assert (found.defect, found.kind) == (0.0, "exact")
    assert found.message.endswith("for players who move no state, to terms without their own action.")
    # For player 1, who moves the state in which such a term is paid, it is no potential game.
    reward = np.array([common, common + rng.normal(size=(3, 2, 1, 2)), common])
    tables = tables_of(reward, kernel, 0.8)
    found = potential_defect(tables)
    assert found.kind == "lower_bound"
    assert found.defect > 0.1
    shown_by_its_witness(tables, found)


def test_common_rewards_are_no_potential_when_discounts_differ():
    common, kernel, _ = controlled(1)
    tables = tables_of([common, common], kernel, [0.9, 0.5])
    found = potential_defect(tables)
    assert found.kind == "lower_bound"
    assert found.defect > 0.1
    shown_by_its_witness(tables, found)
    # Unless only one player ever has a choice.
    legal = (np.ones((3, 2), bool), np.eye(2, dtype=bool)[[0, 1, 0]])
    found = potential_defect(tables_of([common, common], kernel, [0.9, 0.5], legal=legal))
    assert (found.defect, found.kind) == (0.0, "exact")


def test_over_a_finite_horizon_shaping_must_end_with_it():
    common, kernel, rng = controlled(2)
    for horizon in (1, 2, 5):
        found = potential_defect(tables_of([common, common + 2.0], kernel, 1.0, horizon=horizon))
        assert (found.defect, found.kind) == (0.0, "exact")
    shaping = rng.normal(size=3)
    reward = [common, common + shaping[:, None, None] - kernel @ shaping]
    found = potential_defect(tables_of(reward, kernel, 1.0, horizon=3))
    assert found.defect > 0.1
    # In the last epoch what is left of it depends on both actions.
    left = np.einsum("sabt,t->sab", kernel, shaping)
    assert found.defect >= np.abs(left[:, 0, 0] - left[:, 0, 1] - left[:, 1, 0] + left[:, 1, 1]).max() - 1e-12


@pytest.mark.parametrize("horizon", [None, 3])
def test_one_player_and_nobody(horizon):
    tables = tables_of([[[1.0, 2], [3, 4]]], np.full((2, 2, 2), 0.5), 0.5, horizon=horizon)
    found = potential_defect(tables)
    assert (found.defect, found.kind) == (0.0, "exact")
    np.testing.assert_array_equal(found.potential, tables.reward[0])
    alone = tables_of(np.ones((2, 2, 1, 1)), np.full((2, 1, 1, 2), 0.5), 0.5, horizon=horizon)
    assert potential_defect(alone).defect == 0


# The search.


@pytest.mark.parametrize("seed", range(4))
def test_the_search_finds_more_than_all_deterministic_cycles(seed):
    rng = np.random.default_rng(seed)
    tables = random_tables(rng, 2, [2, 2], discount=[0.9, 0.9, 0.5][seed % 3])
    found = potential_defect(tables)
    assert found.kind == "lower_bound"
    assert found.defect >= worst_pure_sum(tables) - 1e-9
    shown_by_its_witness(tables, found)


# Everybody goes from state 0 to state 1, and leads the play back only by the actions 1 and 0.
BACK_AND_FORTH = np.zeros((2, 2, 2, 2))
BACK_AND_FORTH[:, :, :, 1] = 1.0
BACK_AND_FORTH[1, 1, 0] = [1.0, 0.0]


def test_deterministic_policies_do_not_decide():
    """Rewards for which every cycle of pure policies closes, and cycles of mixed policies do not."""
    pure = list(pure_policies(np.ones((2, 2), bool)))
    rows = []
    for x, far in itertools.combinations(pure, 2):
        for y, away in itertools.combinations(pure, 2):
            total = np.zeros((2, 2, 2, 2))
            for sign, mine, theirs in ((1, x, y), (-1, far, y), (1, far, away), (-1, x, away)):
                law = np.einsum("sa,sb->sab", mine, theirs)
                chain = np.einsum("sab,sabt->st", law, BACK_AND_FORTH)
                total += sign * np.einsum("zs,sab->zsab", np.linalg.inv(np.eye(2) - 0.9 * chain), law)
            rows += list(total.reshape(2, 8))
    # The sums are linear in r_1 - r_0: those that are zero for all pure cycles are a space of dimension 4, of which
    # shaping makes up 2.
    _, weights, directions = np.linalg.svd(np.array(rows))
    assert weights[3] > 0.1
    assert weights[4] < 1e-12
    sizes = []
    for direction in directions[4:]:
        tables = tables_of([np.zeros((2, 2, 2)), direction.reshape(2, 2, 2)], BACK_AND_FORTH, 0.9)
        assert worst_pure_sum(tables) < 1e-12
        found = potential_defect(tables)
        sizes.append(found.defect)
        if found.defect:
            shown_by_its_witness(tables, found)
            played = np.concatenate([np.ravel(profile) for profile in found.witness.profiles])
            assert ((played > 0.01) & (played < 0.99)).any()
    assert max(sizes) > 0.5


def test_nothing_found_is_no_proof():
    """Player 1 is paid in the first state for what player 0 does there: nobody's choice brings it about again."""
    common, _, rng = controlled(3, states=4)
    kernel = np.zeros((4, 2, 2, 4))
    kernel[..., 1:] = rng.dirichlet(np.ones(3), (4, 2, 2))
    reward = np.array([common, common])
    reward[1, 0] += rng.normal(size=(2, 1))
    found = potential_defect(tables_of(reward, kernel, 0.8), cycles=100)
    assert (found.defect, found.kind, found.witness, found.potential) == (0.0, "lower_bound", None, None)
    assert found.message.startswith("No violation found in 100 cycles")


def test_three_players_and_epochs():
    rng = np.random.default_rng(4)
    tables = random_tables(rng, 2, [2, 2, 2], discount=0.8, illegal=0.2)
    found = potential_defect(tables, cycles=40)
    assert found.defect > 0.1
    shown_by_its_witness(tables, found)
    short = potential_defect(tables_of(tables.reward, tables.kernel, 1.0, horizon=3), cycles=40)
    assert short.defect > 0.1
    assert short.witness.profiles[0][0].shape == (3, 2, 2)
    assert short.witness.sum == short.defect


def test_lists_of_successors_say_the_same():
    common, kernel, rng = controlled(5, states=4)
    for rows, reward in (
        (kernel, np.array([common, common])),
        (kernel, rng.normal(size=(2, 4, 2, 2))),
        (np.broadcast_to(kernel[:, :1, :1], kernel.shape), rng.normal(size=(2, 4, 2, 2))),
    ):
        order = rng.permuted(np.broadcast_to(np.arange(4), (4, 2, 2, 4)), axis=-1)
        lists = eq.SparseKernel(order, np.take_along_axis(rows, order, axis=-1))
        dense, sparse = (eq.potential_defect(eq.TabularGame(reward, k, discount=0.8)) for k in (rows, lists))
        assert dense.kind == sparse.kind
        assert sparse.defect == pytest.approx(dense.defect, abs=1e-6)

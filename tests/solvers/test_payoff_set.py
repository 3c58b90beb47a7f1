"""The payoffs of all correlated equilibria: against every vertex of the polytope, and inside one another."""

import itertools

import numpy as np
import pytest
from scipy.spatial import ConvexHull

import equinfer as eq
from equinfer.solvers.correlated.payoff_set import reachable_payoffs


def vertices(payoffs, told):
    """Payoffs at all vertices of the polytope of (coarse) correlated equilibria, by trying all sets of active rows."""
    size = payoffs[0].size
    cells = np.arange(size).reshape(payoffs[0].shape)
    rows = []
    for player, actions in enumerate(payoffs.shape[1:]):
        own = np.moveaxis(payoffs[player], player, 0)
        place = np.moveaxis(cells, player, 0)
        for a, b in itertools.permutations(range(actions), 2):
            row = np.zeros(size)
            row[place[a]] = own[a] - own[b]
            rows.append((player, b, row))
    if told:
        inequalities = [row for _, _, row in rows]
    else:
        keys = {(player, b) for player, b, _ in rows}
        inequalities = [sum(row for player, b, row in rows if (player, b) == key) for key in sorted(keys)]
    inequalities = np.concatenate([inequalities, np.eye(size)])
    found = []
    for active in itertools.combinations(range(len(inequalities)), size - 1):
        system = np.concatenate([inequalities[list(active)], np.ones((1, size))])
        if abs(np.linalg.det(system)) < 1e-9:
            continue
        law = np.linalg.solve(system, np.eye(size)[-1])
        if (inequalities @ law).min() > -1e-10:
            found.append((payoffs.reshape(2, -1) * law).sum(axis=1))
    return np.array(found)


def inside(points, corners):
    """How far points lie outside of a polygon whose corners go round anticlockwise."""
    edges = np.roll(corners, -1, axis=0) - corners
    outward = np.stack([edges[:, 1], -edges[:, 0]], axis=1) / np.linalg.norm(edges, axis=1)[:, None]
    return ((points[:, None] - corners) * outward).sum(axis=2).max()


def same_corners(found, expected):
    hull = expected[ConvexHull(expected).vertices]
    assert len(found) == len(hull)
    apart = np.abs(found[:, None] - hull).max(axis=2)
    assert apart.min(axis=1).max() < 1e-7


def test_chicken():
    payoffs = np.array([[[6.0, 2.0], [7.0, 0.0]], [[6.0, 7.0], [2.0, 0.0]]])
    found = reachable_payoffs(eq.TabularGame.from_payoffs(payoffs).tables())
    assert found is not None
    same_corners(found.correlated, vertices(payoffs, True))
    same_corners(found.coarse, vertices(payoffs, False))
    assert found.correlated.sum(axis=1).max() == pytest.approx(10.5, abs=1e-9)
    nash = [[2, 7], [14 / 3, 14 / 3], [7, 2]]
    np.testing.assert_allclose(found.nash, nash, atol=1e-12)
    assert found.public.sum(axis=1).max() == pytest.approx(28 / 3, abs=1e-12)
    same_corners(found.public, np.array(nash))
    same_corners(found.feasible, np.array([[6.0, 6.0], [7, 2], [2, 7], [0, 0]]))


@pytest.mark.parametrize("seed", range(8))
def test_each_set_lies_in_the_next(seed):
    """Theorem F: mixtures of Nash equilibria are correlated equilibria, which are coarse ones."""
    payoffs = np.random.default_rng(seed).random((2, 2, 3)) * [[[1.0]], [[100.0]]]
    found = reachable_payoffs(eq.TabularGame.from_payoffs(payoffs).tables())
    assert found is not None
    scale = np.array([1.0, 100.0])
    for inner, outer, told in ((found.public, found.correlated, True), (found.correlated, found.coarse, False)):
        expected = vertices(payoffs, told) / scale
        if len(outer) > 2:
            assert inside(inner / scale, outer / scale) < 1e-7
            same_corners(outer / scale, expected)
        else:  # a point or a line: as far apart as the vertices are
            np.testing.assert_allclose(outer.max(axis=0) / scale, expected.max(axis=0), atol=1e-7)
            np.testing.assert_allclose(outer.min(axis=0) / scale, expected.min(axis=0), atol=1e-7)


@pytest.mark.parametrize(("name", "value"), [("rock_paper_scissors", (0, 0)), ("prisoners_dilemma", (1, 1))])
def test_where_there_is_one_payoff_it_is_a_point(name, value):
    found = reachable_payoffs(eq.load(f"catalog:{name}").tables())
    assert found is not None
    for corners in (found.nash, found.public, found.correlated, found.coarse):
        np.testing.assert_allclose(corners, [value], atol=1e-9)
    assert len(found.feasible) >= 2


@pytest.mark.parametrize("name", ["jordan", "public_signal", "no_sde"])
def test_other_games_have_no_such_picture(name):
    assert reachable_payoffs(eq.load(f"catalog:{name}").tables()) is None


def test_illegal_actions_are_out_of_reach():
    legal = [np.array([[True, True, False]]), np.array([[True, True]])]
    payoffs = np.zeros((2, 1, 3, 2))
    payoffs[:, 0, :2] = [[[6, 2], [7, 0]], [[6, 7], [2, 0]]]
    game = eq.TabularGame(payoffs, np.ones((1, 3, 2, 1)), discount=0.0, legal=legal)
    found = reachable_payoffs(game.tables())
    assert found is not None
    assert found.correlated.sum(axis=1).max() == pytest.approx(10.5, abs=1e-9)

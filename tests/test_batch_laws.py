"""Correlated and coarse correlated equilibria of many one-shot games in one call."""

import numpy as np
import pytest
from batched_games import random_games

import equinfer as eq
from equinfer import batches
from equinfer.drivers.batch import AbstractBatchSearch, Answers

CONCEPTS = ("correlated", "coarse-correlated")
CHICKEN = np.array([[[6.0, 2.0], [7.0, 0.0]], [[6.0, 7.0], [2.0, 0.0]]])
DILEMMA = np.array([[[3.0, 0.0], [5.0, 1.0]], [[3.0, 5.0], [0.0, 1.0]]])

each_concept = pytest.mark.parametrize("concept", CONCEPTS)


def laws_of(many):
    assert many.joints is not None
    return many.joints


def welfare(payoffs, joints):
    worth = payoffs.sum(axis=1) * joints
    return worth.reshape(len(worth), -1).sum(axis=1)


def test_known_games_in_one_batch():
    many = eq.solve_batch(np.stack([CHICKEN, DILEMMA] * 3), "correlated")
    # Aumann's: told to swerve, half of the time the other does so too, and swerving is worth as much as daring.
    np.testing.assert_allclose(laws_of(many), [[[0.5, 0.25], [0.25, 0]], [[0, 0], [0, 1]]] * 3, atol=1e-9)
    np.testing.assert_allclose(many.profiles[0], [[0.75, 0.25], [0, 1]] * 3, atol=1e-9)
    np.testing.assert_allclose(many.values, [[5.25, 5.25], [1, 1]] * 3, atol=1e-8)
    assert many.certified.all()
    assert "6 games, 2 x 2: correlated" in repr(many)


@pytest.mark.parametrize("shape", [(3, 3), (2, 2, 2), (2, 3, 4), (7, 5), (4,), (1, 4)], ids=str)
@each_concept
def test_each_is_as_good_as_the_best_of_its_game_alone(concept, shape):
    payoffs = random_games(shape, 30, seed=2)
    many = eq.solve_batch(payoffs, concept)
    assert many.certified.all()
    assert many.gaps.max() < 1e-10
    for payoff, joint, gap in zip(payoffs, laws_of(many), many.gaps, strict=True):
        game = eq.TabularGame.from_payoffs(payoff)
        best = eq.solve(game, concept, "lp")
        worth = welfare(payoff[None], joint[None])[0]
        assert abs(worth - best.objective_value) <= 1e-8 * game.tables().payoff_scale
        certificate = eq.certify(game, joint, concept)
        assert abs(certificate.gap - gap) <= 1e-12


@each_concept
def test_units_and_levels_change_no_verdict(concept):
    payoffs = random_games((3, 3), 50, seed=5, units=True)
    assert eq.solve_batch(payoffs, concept).certified.all()
    far_apart = random_games((3, 3), 40, seed=6) * 10.0 ** np.linspace(-250, 290, 40)[:, None, None, None]
    assert eq.solve_batch(far_apart, concept).certified.all()


@each_concept
def test_players_without_a_choice_and_batches_without_games(concept):
    for shape in ((1,), (1, 1), (2, 1), (1, 2, 1)):
        payoffs = random_games(shape, 5)
        many = eq.solve_batch(payoffs, concept)
        assert many.certified.all()
        chosen = payoffs.reshape(5, len(shape), -1)
        mover = shape.index(2) if 2 in shape else 0
        np.testing.assert_allclose(many.values[:, mover], chosen[:, mover].max(axis=1), atol=1e-9)
    empty = eq.solve_batch(np.zeros((0, 2, 2, 3)), concept)
    assert len(empty) == 0
    assert laws_of(empty).shape == (0, 2, 3)


@each_concept
def test_constant_payoffs_are_certified_with_no_tolerance_at_all(concept):
    assert eq.solve_batch(np.full((3, 2, 2, 2), 7.0), concept, eps=0).certified.all()


class Uniform(AbstractBatchSearch):
    """Finds nothing."""

    def __init__(self, payoffs, seed, objective):
        self._shape = payoffs.shape

    def solve(self):
        yield from ()

    def answers(self):
        games, _, *sizes = self._shape
        profiles = tuple(np.full((games, size), 1 / size) for size in sizes)
        return Answers(profiles, np.full((games, *sizes), 1 / np.prod(sizes)))


@each_concept
def test_what_the_search_leaves_is_solved_one_by_one(monkeypatch, concept):
    payoffs = random_games((3, 2), 6, seed=7)
    monkeypatch.setitem(batches._CONCEPTS, concept, batches._CONCEPTS[concept]._replace(search=Uniform))
    many = eq.solve_batch(payoffs, concept)
    assert many.certified.all()
    monkeypatch.undo()
    together = eq.solve_batch(payoffs, concept)
    np.testing.assert_allclose(welfare(payoffs, laws_of(many)), welfare(payoffs, laws_of(together)), atol=1e-8)
    np.testing.assert_allclose(many.profiles[0], laws_of(many).sum(axis=2), atol=1e-15)


@each_concept
def test_no_time_marks_what_is_left(concept):
    many = eq.solve_batch(random_games((12, 12), 300), concept, time=0)
    assert set(many.statuses[many.failures]) == {eq.Status.out_of_time}
    assert len(many.failures) > 250
    np.testing.assert_array_equal(laws_of(many)[many.failures], 1 / 144)


def test_the_known_concepts_are_named():
    with pytest.raises(eq.UnknownName, match="coarse-correlated"):
        eq.solve_batch(CHICKEN[None], "coarse")
    with pytest.raises(eq.UnknownName, match="zero-sum"):
        eq.solve_batch(CHICKEN[None], "zero-sum")

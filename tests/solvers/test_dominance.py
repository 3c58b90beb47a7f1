"""Elimination of dominated actions: against a slow twin, and equilibria of what is left are equilibria of it all."""

import numpy as np
import pytest

from equinfer.solvers.tabular.dominance import expand, quick_equilibria, restricted, undominated
from equinfer.solvers.tabular.stage_games import is_equilibrium, normalise

SHAPES = [(3, 4), (2, 3, 2), (3, 1, 4), (2, 2, 2, 3)]


def flat_game(payoffs):
    """The compact form of a game (N, *A): payoffs (N, J) of spread one, sizes, tolerances."""
    flat, tolerance = payoffs.reshape(len(payoffs), -1).astype(float), np.empty(len(payoffs))
    normalise(flat, tolerance)
    return flat, np.array(payoffs.shape[1:]), tolerance


def slowly_undominated(payoffs):
    """The same eliminations in the same order, by slices."""
    kept = [list(range(size)) for size in payoffs.shape[1:]]
    changed = True
    while changed:
        changed = False
        for i, payoff in enumerate(payoffs):
            for action in reversed(list(kept[i])):
                for other in list(kept[i]):
                    if action == other or action not in kept[i]:
                        continue
                    left = np.ix_(*[rest if j != i else [action, other] for j, rest in enumerate(kept)])
                    worse, better = np.moveaxis(payoff[left], i, 0)
                    if (worse <= better).all():
                        kept[i].remove(action)
                        changed = True
    return kept


@pytest.mark.parametrize("shape", SHAPES)
def test_against_a_slow_twin(shape):
    rng, removed = np.random.default_rng(3), 0
    for _ in range(40):
        payoffs = rng.integers(0, 3, size=(len(shape), *shape)).astype(float)
        flat, sizes, tolerance = flat_game(payoffs)
        items, counts = undominated(flat, sizes, tolerance)
        kept = slowly_undominated(payoffs)
        assert [list(row[:count]) for row, count in zip(items, counts, strict=True)] == kept
        smaller, _ = restricted(flat, sizes, tolerance, items, counts)
        part = payoffs[(slice(None), *np.ix_(*kept))].reshape(len(shape), -1)
        low, spread = part.min(axis=1, keepdims=True), np.ptp(part, axis=1, keepdims=True)
        np.testing.assert_allclose(smaller, (part - low) / np.where(spread > 0, spread, 1), rtol=0, atol=1e-14)
        removed += sum(shape) - counts.sum()
    assert removed >= 10


def test_of_a_second_name_the_first_stays():
    payoffs = np.random.default_rng(0).normal(size=(3, 3, 2, 2))
    payoffs[:, 2] = payoffs[:, 0]
    items, counts = undominated(*flat_game(payoffs))
    assert list(items[0, : counts[0]]) in ([0], [1], [0, 1])


def test_who_does_not_care_has_one_action_left():
    payoffs = np.random.default_rng(0).normal(size=(2, 4, 3))
    payoffs[1] = 7.0
    _, counts = undominated(*flat_game(payoffs))
    assert counts.tolist() == [1, 1]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_equilibrium_of_what_is_left_is_one_of_the_whole(shape):
    rng, found = np.random.default_rng(11), 0
    for _ in range(60):
        flat, sizes, tolerance = flat_game(rng.integers(0, 4, size=(len(shape), *shape)).astype(float))
        items, counts = undominated(flat, sizes, tolerance)
        smaller, least = restricted(flat, sizes, tolerance, items, counts)
        few, policy = np.zeros((2, len(shape), max(shape)))
        if any(quick_equilibria(smaller, counts, least, few)):
            expand(few, items, counts, policy)
            np.testing.assert_allclose(policy.sum(axis=1), 1.0, rtol=0, atol=1e-14)
            assert (policy >= 0).all()
            assert is_equilibrium(flat, sizes, policy, tolerance)
            found += 1
    assert found >= 10


def test_two_who_have_a_choice_among_four():
    # Players 0 and 2 play matching pennies whatever the others do, who have one action each.
    payoffs = np.zeros((4, 2, 1, 2, 1))
    payoffs[0, :, 0, :, 0] = [[1, 0], [0, 1]]
    payoffs[2, :, 0, :, 0] = [[0, 1], [1, 0]]
    policy = np.zeros((4, 2))
    assert any(quick_equilibria(*flat_game(payoffs), policy))
    np.testing.assert_allclose(policy, [[0.5, 0.5], [1, 0], [0.5, 0.5], [1, 0]], rtol=0, atol=1e-15)

"""Random games: laws that must hold for any seed, and the same numbers as the peer's generator."""

import numpy as np
import pytest

from equinfer.games import catalog


def test_payoffs_and_transitions_have_their_laws():
    game = catalog.load("random", states=20, players=3, actions=4, seed=5)
    reward, kernel = np.asarray(game.reward), np.asarray(game.kernel.probabilities)
    assert reward.shape == (3, 20, 4, 4, 4)
    assert reward.min() >= 0
    assert reward.max() <= 1
    # 3,840 uniform payoffs: a mean off by more than five standard errors happens once in two million seeds.
    assert abs(reward.mean() - 0.5) < 5 / np.sqrt(12 * reward.size)
    # A uniform point of the simplex has E[p^2] = 2/(S (S + 1)).
    assert np.mean(kernel**2) == pytest.approx(2 / (20 * 21), rel=0.05)


def test_seeds_give_one_game_each():
    again, same, other = (np.asarray(catalog.load("random", seed=seed).reward) for seed in (3, 3, 4))
    np.testing.assert_array_equal(again, same)
    assert (again != other).all()


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("states", "players", "actions", "discount", "seed"),
    [(5, 2, 3, 0.95, 0), (4, 3, 2, 0.9, 7), (6, 2, (4, 3), 0.95, 2)],
)
def test_same_numbers_as_sgamesolver(monkeypatch, states, players, actions, discount, seed):
    monkeypatch.setattr(np, "NaN", np.nan, raising=False)  # its 1.0.2 predates NumPy 2
    sgamesolver = pytest.importorskip("sgamesolver")
    sizes = actions if isinstance(actions, int) else np.tile(actions, (states, 1))
    theirs = sgamesolver.SGame.random_game(states, players, sizes, delta=discount, seed=seed)
    game = catalog.load("random", states=states, players=players, actions=actions, discount=discount, seed=seed)
    reward, kernel = np.asarray(game.reward), np.asarray(game.kernel.probabilities)
    joint = tuple(slice(size) for size in game.num_actions)  # the peer pads every player to the largest action count
    np.testing.assert_array_equal(reward.swapaxes(0, 1), theirs.u[:, :, *joint])
    np.testing.assert_allclose(kernel, theirs.phi[:, *joint], rtol=0, atol=4e-16)
    np.testing.assert_array_equal(np.asarray(game.discount), np.full(players, discount))

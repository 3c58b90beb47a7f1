"""The polish: Newton on a support, its repair, the index, and degenerate games."""

import numpy as np
import pytest

from equinfer.certificates.nash import certify_nash
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.homotopy import Homotopy
from equinfer.solvers.tabular.polish import difference_jacobian, exact_values, polish
from equinfer.solvers.tabular.scaled import ScaledGame


def bimatrix(first, second):
    return TabularGame.from_payoffs(np.array([first, second], float))


def flat(*policies):
    return np.concatenate([np.atleast_2d(policy) for policy in policies], axis=1).astype(float)


def random_game(seed, num_actions, num_states=4, discount=0.9):
    rng = np.random.default_rng(seed)
    kernel = rng.exponential(size=(num_states, *num_actions, num_states))
    kernel /= kernel.sum(axis=-1, keepdims=True)
    return TabularGame(rng.random((len(num_actions), num_states, *num_actions)), kernel, discount)


PENNIES = bimatrix([[9, 0], [0, 1]], [[0, 1], [1, 0]])
SEXES = bimatrix([[2, 0], [0, 1]], [[1, 0], [0, 2]])


def test_values_are_those_of_the_certificate():
    game = random_game(0, (2, 3, 2), discount=[0.9, 0.9, 0.4])
    scaled = ScaledGame.of(game)
    rng = np.random.default_rng(1)
    policy = rng.random(scaled.legal.shape)
    policy /= scaled.totals(policy)[:, scaled.owner]
    values = exact_values(scaled, policy)
    judged = certify_nash(game.tables(), scaled.split(policy)).values
    reward = np.asarray(game.reward).reshape(3, -1)
    middle = (reward.max(axis=1) + reward.min(axis=1)) / 2 / (1 - np.asarray(game.discount))
    np.testing.assert_allclose(scaled.unit * values.value.T + middle[:, None], judged, rtol=1e-12)
    # V = E[Q] for every player and state, by the action values that came with them.
    np.testing.assert_allclose(scaled.totals(policy * values.action_values), values.value, rtol=1e-12)


def test_difference_jacobian_is_the_derivative():
    scaled = ScaledGame.of(random_game(0, (2, 3, 4), discount=[0.9, 0.5, 0.8]))
    rng = np.random.default_rng(0)
    policy = rng.random(scaled.legal.shape)
    policy /= scaled.totals(policy)[:, scaled.owner]
    # Player 1 mixes between actions 1 and 2 (columns 3, 4) in all states, player 2 among three in the first two.
    state = np.array([0, 1, 2, 3, 0, 0, 1, 1])
    action = np.array([3, 3, 3, 3, 6, 7, 6, 7])
    base = np.array([4, 4, 4, 4, 5, 5, 5, 5])

    def differences(moves):
        moved = policy.copy()
        np.add.at(moved, (state, action), moves)
        np.add.at(moved, (state, base), -moves)
        values = exact_values(scaled, moved).action_values
        return values[state, action] - values[state, base]

    jacobian = difference_jacobian(scaled, policy, exact_values(scaled, policy), state, action, base)
    step = 1e-5
    numeric = [(differences(step * e) - differences(-step * e)) / (2 * step) for e in np.eye(8)]
    np.testing.assert_allclose(jacobian, np.stack(numeric, axis=1), atol=1e-8)


@pytest.mark.parametrize(
    ("game", "near", "exact", "index"),
    [
        # tau -> 0 limits by indifference: q = 1/10 and p = 1/2; a zero-sum-like cycle has index +1
        (PENNIES, flat([0.6, 0.4], [0.2, 0.8]), flat([0.5, 0.5], [0.1, 0.9]), 1),
        # the mixed equilibrium of a coordination game has index -1, its strict pure ones +1 (they sum to +1)
        (SEXES, flat([0.7, 0.3], [0.4, 0.6]), flat([2 / 3, 1 / 3], [1 / 3, 2 / 3]), -1),
        (SEXES, flat([1.0, 0.0], [1.0, 0.0]), flat([1, 0], [1, 0]), 1),
        (SEXES, flat([0.0, 1.0], [0.0, 1.0]), flat([0, 1], [0, 1]), 1),
    ],
)
def test_known_equilibria_and_their_index(game, near, exact, index):
    found = polish(ScaledGame.of(game), near, near > 0.05)
    assert found is not None
    np.testing.assert_allclose(found.policy, exact, atol=1e-14)
    assert found.index == index


@pytest.mark.parametrize("support", [[1, 0, 1, 0], [1, 1, 1, 1], [0, 1, 1, 0]])
def test_wrong_supports_are_repaired(support):
    # Prisoner's dilemma, defection (the second action) dominant: violators come in, negative probabilities go out.
    start = flat(support) / np.repeat([sum(support[:2]), sum(support[2:])], 2)
    found = polish(ScaledGame.of(bimatrix([[3, 0], [5, 1]], [[3, 5], [0, 1]])), start, start > 0)
    assert found is not None
    np.testing.assert_array_equal(found.policy, flat([0, 1], [0, 1]))


@pytest.mark.parametrize("seed", range(4))
def test_perturbed_equilibria_are_found_again(seed):
    game = random_game(seed, [(3, 3), (2, 2, 3)][seed % 2])
    scaled = ScaledGame.of(game)
    solved = next(it for it in Homotopy().iterates(game, seed=0) if it.candidate)
    exact = np.concatenate(solved.answer, axis=1)
    noisy = exact * np.exp(0.05 * np.random.default_rng(seed).standard_normal(exact.shape))
    noisy /= scaled.totals(noisy)[:, scaled.owner]
    found = polish(scaled, noisy, exact > 0)
    assert found is not None
    np.testing.assert_allclose(found.policy, exact, atol=1e-11)
    assert found.regret <= 1e-13 * (1 + np.abs(found.value).max())
    assert certify_nash(game.tables(), scaled.split(found.policy)).gap <= 1e-12


def test_continuum_of_equilibria():
    # Player 1 is indifferent whatever happens, player 2 prefers her first action: every p with q = (1, 0) is Nash.
    game = bimatrix([[1, 0], [1, 0]], [[3, 2], [5, 1]])
    start = flat([0.3, 0.7], [0.9, 0.1])
    found = polish(ScaledGame.of(game), start, start > 0.2)
    assert found is not None
    np.testing.assert_allclose(found.policy[0, 2:], [1, 0], atol=1e-14)
    np.testing.assert_allclose(found.policy[0, :2], [0.3, 0.7], atol=1e-12)  # the shortest step is none
    assert found.index == 0


def test_supports_need_not_be_square_in_every_state():
    # State 0: player 0 alone chooses between +1 now and moving to state 1; in state 1 player 1 alone chooses what
    # player 0 gets, x or nothing, and does not care: she is indifferent and makes him so. He mixes over two actions in
    # state 0 although nobody else moves there, if she mixes in state 1 at x times the probability of giving = 1 / g.
    reward = np.zeros((2, 2, 2, 2))
    reward[0, 0, 0, :] = 1.0
    reward[0, 1, :, 0] = 4.0
    kernel = np.zeros((2, 2, 2, 2))
    kernel[0, 0, :, 0] = kernel[1, :, :, 0] = 1.0  # staying, and coming back
    kernel[0, 1, :, 1] = 1.0
    game = TabularGame(reward, kernel, discount=0.5)
    start = np.array([[0.5, 0.5, 1.0, 0.0], [1.0, 0.0, 0.7, 0.3]])
    found = polish(ScaledGame.of(game), start, start > 0)
    assert found is not None
    profile = ScaledGame.of(game).split(found.policy)
    assert certify_nash(game.tables(), profile).gap <= 1e-14
    # Staying for ever is worth 2; moving is worth (4 y + 2 / 2) / 2, equal at y = 3/4.
    np.testing.assert_allclose(profile[1][1], [0.75, 0.25], atol=1e-13)


def test_no_equilibrium_on_offer_is_none_and_never_a_wrong_one():
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(30):
        game = TabularGame.from_payoffs(rng.random((2, 3, 3)))
        scaled = ScaledGame.of(game)
        start = rng.dirichlet(np.ones(3), size=2).reshape(1, 6)
        found = polish(scaled, start, start > 0.4)
        if found is None:
            refused += 1
        else:
            assert certify_nash(game.tables(), scaled.split(found.policy)).gap <= 1e-12
    assert 0 < refused < 30

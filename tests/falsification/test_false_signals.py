"""What the paper says of correlated equilibria and of zero-sum games, where it fails, and what holds instead."""

import numpy as np
import pytest
from scipy.special import softmax

import equinfer as eq
from equinfer.answer import PublicPlay, average_play
from equinfer.equations.elbo import optimality_likelihood
from equinfer.equations.information import kl_divergence
from equinfer.equations.response import log_magnet_step
from equinfer.equations.stability import stability_threshold


def test_the_policy_of_table_1_forgets_the_signal():
    """E19: averaged over the signal, the coin of the battle of the sexes is two players who miss each other."""
    game = eq.load("catalog:battle_of_the_sexes")
    found = eq.solve(game, "public-correlated")
    assert found.certified
    apart = eq.certify(game, average_play(PublicPlay(np.asarray(found.signal), found.profile)))
    assert apart.gap == pytest.approx(0.25)  # of 1, the better place against an even mixture, 3/4
    assert found.values.sum() == pytest.approx(3.0)
    assert apart.values.sum() == pytest.approx(1.5)


@pytest.mark.parametrize("chance", [0.5, 0.01])
def test_a_public_signal_calls_for_nash_equilibria_or_is_not_obeyed(chance):
    """Theorem F, one-shot: whatever its chance, a signal that calls for no equilibrium is worth deviating from."""
    game = eq.load("catalog:chicken")
    swerve, dare = np.eye(2)
    signal = np.array([[1 - chance, chance]])

    def play(row, column):
        return {"signal": signal, "profile": [np.array([[swerve], [row]]), np.array([[dare], [column]])]}

    assert eq.certify(game, play(dare, swerve)).gap == 0.0
    assert eq.certify(game, play(swerve, swerve)).gap > 0.0


@pytest.mark.parametrize("seed", range(4))
def test_private_recommendations_reach_at_least_what_a_public_signal_does(seed):
    game = eq.TabularGame.from_payoffs(np.random.default_rng(seed).normal(size=(2, 3, 3)))
    public, private = (eq.solve(game, concept).objective_value for concept in ("public-correlated", "correlated"))
    assert public <= private + 1e-9


def test_the_dual_of_obedience_has_no_minimum_where_an_action_is_dominated():
    """Prisoner's dilemma: log Z falls for ever with the multiplier of 'defect when told to cooperate'.

    At every finite multiplier somebody is told to cooperate and gains by not listening.
    """
    game = eq.load("catalog:prisoners_dilemma")
    first, second = np.asarray(game.reward)[:, 0]
    temptation = np.zeros((2, 2))
    temptation[0] += first[1] - first[0]
    temptation[:, 0] += second[:, 1] - second[:, 0]
    gaps, evidence = [], []
    for multiplier in (1.0, 2.0, 4.0, 8.0, 16.0):
        weights = np.exp(-multiplier * temptation)
        evidence.append(np.log(weights.sum()))
        gaps.append(eq.certify(game, (weights / weights.sum())[None], "correlated").gap)
    assert (np.diff(evidence) < 0).all()
    assert (np.diff(gaps) < 0).all()
    assert gaps[-1] > 0
    assert eq.solve(game, "correlated", "vce").gap <= 1e-12  # which carries the probabilities themselves


def test_value_iteration_on_correlated_equilibria_cycles_in_no_sde():
    """Each state has one mover, so a stage has one obeyed law, a pure one; they come back after five epochs."""
    game = eq.load("catalog:no_sde")
    longer = eq.TabularGame(game.reward, game.kernel, discount=0.75, horizon=40, legal=game.legal)
    found = eq.solve(longer, "correlated")
    assert found.certified
    joint = np.asarray(found.joint)
    keeps = np.stack([joint[:, 0, 0, 2], joint[:, 1, 2, 0]], axis=1)
    np.testing.assert_allclose(keeps[:35], keeps[5:], atol=1e-6)
    np.testing.assert_allclose(np.unique(np.round(keeps, 6)), [0.0, 1.0])
    for period in range(1, 5):
        assert abs(keeps[:20] - keeps[period : 20 + period]).max() > 0.5


# Section 5.4, zero-sum games.


def test_likelihoods_of_opponents_are_no_opposites():
    """E20: both logarithms are at most 0. They add up to minus the spread of rewards, which is what the shifts are."""
    payoff = np.array([3.0, -1.0, -1.0, 1.0])
    logs = np.log(optimality_likelihood(payoff, 1.0, 3.0)), np.log(optimality_likelihood(-payoff, 1.0, 1.0))
    assert (logs[0] <= 0).all()
    assert (logs[1] <= 0).all()
    np.testing.assert_allclose(logs[0] + logs[1], -4.0)


PENNIES = np.array([[3.0, -1.0], [-1.0, 1.0]])
START = (np.array([0.6, 0.4]), np.array([0.4, 0.6]))


def duality_gap(payoff, row, column):
    return (payoff @ column).max() - (row @ payoff).min()


def iterates(payoff, temperature, step_size, sweeps, *, magnet=True, start=START):
    """(★) of both players at once. `temperature` and `step_size` may be functions of the sweep. Without a magnet it is
    at the policy itself, which is multiplicative weights at rate 1 / temperature."""
    logs = [np.log(law) for law in start]
    for sweep in range(sweeps):
        row, column = map(softmax, logs)
        yield row, column
        tau, c = (rate(sweep) if callable(rate) else rate for rate in (temperature, step_size))
        values = (payoff @ column, -(row @ payoff))
        logs = [
            log_magnet_step(log, q, np.zeros(2) if magnet else log, tau, c) for log, q in zip(logs, values, strict=True)
        ]


def test_soft_best_responses_oscillate_in_zero_sum_games():
    """Theorem H: section 5.4 as it stands, at a temperature of .2."""
    gaps = [duality_gap(PENNIES, *pair) for pair in iterates(PENNIES, 0.2, 1.0, 400)]
    assert min(gaps[200:]) > 0.5


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_below_the_threshold_the_last_iterate_settles_and_its_gap_is_bounded(temperature):
    *_, before, (row, column) = iterates(PENNIES, temperature, 0.02, 2500)
    threshold = stability_threshold(np.array([PENNIES, -PENNIES]), (row, column), temperature)
    assert 0.02 < threshold < 1
    assert max(abs(row - before[0]).max(), abs(column - before[1]).max()) < 1e-12
    assert duality_gap(PENNIES, row, column) <= temperature * 2 * np.log(2)
    nearby = (row + np.array([1e-3, -1e-3]), column)
    above = [now for now, _ in iterates(PENNIES, temperature, 1.2 * threshold, 1500, start=nearby)]
    assert abs(np.array(above[-100:]) - row).max() > 0.01


def test_multiplicative_weights_spiral_away():
    """Their divergence from the equilibrium (1/3, 2/3) of both rises in every sweep."""
    nash = np.array([1 / 3, 2 / 3])
    path = iterates(PENNIES, 10.0, 1.0, 500, magnet=False)
    laws = np.array([np.stack(pair) for pair in path])
    away = kl_divergence(np.broadcast_to(nash, laws.shape), laws).sum(axis=1)
    assert (np.diff(away) > 0).all()
    assert away[-1] > 2 * away[0]


def test_annealing_leads_the_last_iterate_to_nash():
    """Temperature falls with the cube root of the sweep, and c with its square, as its threshold does."""
    path = iterates(PENNIES, lambda k: (1 + k) ** (-1 / 3), lambda k: 0.5 * (1 + k) ** (-2 / 3), 8000)
    gaps = [duality_gap(PENNIES, *pair) for pair in path]
    assert gaps[0] > 0.5
    assert max(gaps[-1000:]) < 0.05
    assert gaps[-1] < gaps[2000] < gaps[200]

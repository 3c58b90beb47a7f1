"""What the paper says of optimality and of gaps, where it fails as printed, and what holds instead.

Only what no other file shows: `docs/theory/truth.md` lists all of it with the tests behind it.
"""

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import binom

import equinfer as eq
from equinfer.equations.bounds import entropy_gap, model_error_gap, sampled_response_gap, sharp_gap
from equinfer.equations.elbo import elbo_finite_horizon
from equinfer.equations.information import total_variation
from equinfer.equations.response import soft_best_response

LOG2 = np.log(2)


def respond(q, temperature=1.0):
    return soft_best_response(q, temperature, np.ones_like(q), np.ones_like(q, bool))


def test_the_unit_of_reward_is_not_without_loss_of_generality():
    """E2: at temperature 1 the same choice is played otherwise in cents than in dollars."""
    choice = np.array([1.0, 0.0])
    dollars, cents, scaled = respond(choice), respond(100 * choice), respond(100 * choice, temperature=100.0)
    assert dollars[1] == pytest.approx(0.2689, abs=5e-5)
    assert cents[1] < 1e-40
    np.testing.assert_allclose(scaled, dollars, rtol=1e-14)


def test_no_stationary_policy_is_best_over_a_finite_horizon():
    """E3: rest pays 1, work pays nothing and makes rich, which pays 3. One works at first, and rests at last."""
    reward = np.array([[[1.0, 0.0], [3.0, 3.0]]])
    kernel = np.array([[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]])
    game = eq.TabularGame(reward, kernel, horizon=2)

    def gap(first, last):
        policy = np.array([[[1 - work, work], [1.0, 0.0]] for work in (first, last)])
        return eq.certify(game, [policy]).gap

    assert gap(1.0, 0.0) == 0.0
    assert min(gap(work, work) for work in np.linspace(0, 1, 41)) > 0.6


def copycat_gap(m, samples):
    """Of the player who earns m by doing as the other does, who moves 3 : 1, from the mean of so many predictions."""
    hits = np.arange(samples + 1)
    copies = binom.pmf(hits, samples, 0.75) @ expit(m * (2 * hits - samples) / samples)
    return 0.5 * m * (1 - copies)


def test_any_number_of_predictions_has_a_gap_without_bound_and_many_have_a_small_one():
    """Theorem B': the gap grows with the prize at every k, and falls with k at every prize, below its bound."""
    assert copycat_gap(1e4, 1) == pytest.approx(1e4 / 8, rel=1e-6)
    for samples in (1, 5, 25):
        assert copycat_gap(2e4, samples) == pytest.approx(2 * copycat_gap(1e4, samples), rel=1e-6)
        assert copycat_gap(1e4, samples) > LOG2
    gaps = [copycat_gap(100.0, samples) for samples in (1, 3, 9, 27, 81)]
    assert (np.diff(gaps) < 0).all()
    assert gaps[0] > 12
    assert gaps[-1] < LOG2
    for samples in (1, 3, 9, 27, 81):
        assert copycat_gap(100.0, samples) <= sampled_response_gap(1.0, 2, 100.0, samples)


@pytest.mark.parametrize("m", [1.0, 3.0, 10.0, 100.0])
def test_played_jointly_the_conditional_form_is_obeyed_and_its_product_is_not(m):
    """Theorem C in near-tied coordination: one joint law, as a mediator's, and as the product of what each executes."""
    game = eq.load("catalog:near_tied_coordination", M=m)
    joint = softmax(np.asarray(game.reward)[0, 0])
    assert eq.certify(game, joint[None], "correlated").gap <= sharp_gap(1.0, LOG2)
    apart = eq.certify(game, (joint.sum(axis=1)[None], joint.sum(axis=0)[None])).gap
    assert (apart > LOG2) == (m >= 10)
    assert apart == pytest.approx({1.0: 0.348, 3.0: 0.584, 10.0: 1.46, 100.0: 12.7}[m], rel=5e-3)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_joint_law_of_a_potential_game_is_an_approximate_correlated_equilibrium(seed, temperature):
    """Theorem C with three players, each with terms in its payoff that it cannot influence."""
    rng = np.random.default_rng(seed)
    potential, sizes = rng.normal(size=(2, 3, 2)), (2, 3, 2)
    payoffs = np.stack([potential + rng.normal(size=sizes).mean(axis=i, keepdims=True) for i in range(3)])
    joint = softmax(potential / temperature)
    found = eq.certify(eq.TabularGame.from_payoffs(payoffs), joint[None], "correlated")
    bounds = sharp_gap(temperature, np.log(np.array(sizes)))
    assert (found.per_player <= bounds + 1e-12).all()


def test_the_divergence_of_the_model_keeps_the_agent_from_what_pays():
    """E8: one room pays 5 and the model errs there by .01; in the other nothing is earned and the model is right.

    What the others do pays nobody. Equation (3), with its divergence, prefers the second room; without it the first,
    and Theorem E bounds what a model so nearly right can cost.
    """
    start, paid, idle = range(3)
    prize, err = 5.0, 0.01
    reward = np.zeros((3, 2, 2))
    reward[paid] = prize
    kernel = np.zeros((3, 2, 2, 3))
    kernel[start, :, 0, paid] = kernel[start, :, 1, idle] = 1.0
    kernel[paid, ..., idle] = kernel[idle, ..., idle] = 1.0
    others = np.broadcast_to([1 - 1e-300, 1e-300], (2, 3, 2)).copy()
    belief = others.copy()
    belief[:, paid] = [1 - err, err]
    assert total_variation(belief, others).max() == pytest.approx(err)

    def bound_of_going(action):
        policy = np.broadcast_to(np.eye(2)[action], (2, 3, 2, 2)).copy()
        return elbo_finite_horizon(reward, kernel, policy, belief, others, 1.0)

    to_paid, to_idle = bound_of_going(0), bound_of_going(1)
    assert float(to_paid.total[0, start]) < float(to_idle.total[0, start]) - 1.5
    assert float(to_paid.reward[0, start] - to_idle.reward[0, start]) == prize
    # Over two epochs; Theorem E's length 1 / (1 - discount) is 2 at a discount of 1/2.
    assert prize > model_error_gap(1.0, 2, prize, err, 0.5) > entropy_gap(1.0, 2, 2)

"""Where statements of the paper fail, by plain computation: the conditional form, the literal likelihood, the KL.

One-shot games of two players at temperature 1. *Conditional* is Prop. 5.2 executed as in Algorithm 1, through a
predicted action of the other that is independent of the real one; *marginal* is the logit quantal response.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_play import epoch_values, logit_equilibrium, one_shot_gaps, random_law

from equinfer.equations.backup import evaluate_soft, soft_value
from equinfer.equations.bounds import (
    conditional_excess,
    conditional_excess_bound,
    sampled_response_gap,
    sharp_gap,
)
from equinfer.equations.elbo import log_evidence
from equinfer.equations.information import entropy, mutual_information
from equinfer.equations.response import soft_best_response

fixed = settings(max_examples=60)
seeds = st.integers(0, 2**32 - 1)
LOG3, HALF = np.log(3), np.full(2, 0.5)
M = (1.0, 3.0, 10.0, 100.0)


def respond(q, temperature=1.0):
    return soft_best_response(q, temperature, np.ones_like(q), np.ones_like(q, bool))


def conditionals(payoffs):
    """Prop. 5.2 for both: row player's (C, A) over the column's actions, and the other way round."""
    return respond(payoffs[0].T), respond(payoffs[1])


def executed(payoffs):
    """The fixed point of execution, 2 x 2: each averages its conditional over what the other executes."""
    row, column = conditionals(payoffs)
    chain = column @ row  # row's action -> column's answer -> row's answer to it
    law = np.array([chain[1, 0], chain[0, 1]]) / (chain[1, 0] + chain[0, 1])  # stationary, however rarely it moves
    return law, law @ column


def quantal_response(payoffs, start=(HALF, HALF)):
    return logit_equilibrium(payoffs, 1.0, start)


def copycat(m):
    return np.array([m * np.eye(2), [[LOG3, 0.0], [LOG3, 0.0]]])


def dummy(m):
    return np.array([np.diag([m, 3.0]), np.zeros((2, 2))])


def near_tied(m):
    return np.array([np.diag([m + LOG3, m])] * 2)


def biased_pennies(m):
    row = np.array([[m, -1.0], [-1.0, 1.0]])
    return np.array([row, -row])


@pytest.mark.parametrize(
    ("game", "gaps", "marginal_bound"),
    [
        (copycat, (0.275, 0.411, 1.25, 12.5), 0.2755),
        (dummy, (0.389, 0.0, 1.67, 23.1), 0.2695),
        (near_tied, (0.348, 0.584, 1.46, 12.7), 0.2715),
        (biased_pennies, (0.0, 0.457, 1.99, 21.8), 0.2485),
    ],
)
def test_conditional_form_has_no_bound_and_the_marginal_form_keeps_its_own(game, gaps, marginal_bound):
    for m, gap in zip(M, gaps, strict=True):
        payoffs = game(m)
        assert one_shot_gaps(payoffs, executed(payoffs)).max() == pytest.approx(gap, rel=5e-3, abs=5e-4)
        marginal = one_shot_gaps(payoffs, quantal_response(payoffs)).max()
        assert marginal <= marginal_bound < sharp_gap(1.0, np.log(2))


def test_conditional_gap_of_copycat_grows_like_an_eighth():
    payoffs = copycat(1e4)
    assert one_shot_gaps(payoffs, executed(payoffs)).max() == pytest.approx(1e4 / 8, rel=1e-3)


def cliff(epochs, conditional):
    """Gap of player 0 at the top of the cliff. States: good, bad; actions: top, back; contexts: left, right."""
    reward = np.array([[[1.0, 1.0], [1.0, 1.0]], [[-1.0, -1.0], [-1.0, -1.0]]])  # (S, C, A), toll 0
    falls = np.zeros((2, 2, 2))
    falls[0, 1, 0] = 1.0  # top while the other plays right
    falls[1] = 1.0
    kernel = np.stack([1 - falls, falls], axis=-1)
    value, policies = np.zeros(2), []
    for _ in range(epochs):
        q = reward + kernel @ value
        if conditional:
            policy = respond(q)
            value = soft_value(q, policy, 1.0).mean(1)  # the other is indifferent: left and right alike
            policies.append(policy.mean(1))
        else:
            policies.append(respond(q.mean(1)))
            value = soft_value(q.mean(1), policies[-1], 1.0)
    played, best = epoch_values(
        np.repeat(reward.mean(1)[None], epochs, 0), np.repeat(kernel.mean(1)[None], epochs, 0), np.stack(policies[::-1])
    )
    return (best - played)[0, 0]


def test_cliff_breaks_theorem_4_2_in_the_units_of_the_paper():
    found = [cliff(epochs, conditional=True) for epochs in (5, 10, 20, 100)]
    np.testing.assert_allclose(found, [2.27, 8.24, 25.1, 184.0], rtol=3e-3)
    violated = [epochs for epochs in range(1, 20) if cliff(epochs, conditional=True) > epochs * np.log(2)]
    assert violated == list(range(9, 20))
    assert cliff(9, conditional=True) == pytest.approx(6.848, abs=5e-4)
    assert 9 * np.log(2) == pytest.approx(6.238, abs=5e-4)


def test_cliff_is_harmless_in_the_marginal_form():
    found = [cliff(epochs, conditional=False) for epochs in (5, 10, 20, 100)]
    np.testing.assert_allclose(found, [0.870, 1.084, 1.101, 1.101], atol=5e-4)


def test_a_safe_action_loses_almost_everything():
    """Theorem B (b): with many actions of the other, the conditional form always bets and the safe action is right."""
    m, win, safe = 100, 100.0, 90.0
    payoff = np.concatenate([win * np.eye(m), np.full((1, m), safe)])  # bet on the other's action, or be safe
    policy, belief = respond(payoff.T), np.full(m, 1 / m)
    gap = (payoff @ belief).max() - (belief @ policy) @ payoff @ belief
    assert gap / np.ptp(payoff) > 0.88


def test_agents_who_believe_in_different_equilibria():
    payoffs = np.array([5 * np.eye(2)] * 2)
    first = quantal_response(payoffs, (np.array([0.9, 0.1]), np.array([0.9, 0.1])))
    second = quantal_response(payoffs, (np.array([0.1, 0.9]), np.array([0.1, 0.9])))
    assert one_shot_gaps(payoffs, (first[0], second[1])).max() == pytest.approx(4.89, abs=5e-3)


@fixed
@given(seeds, st.floats(0.05, 3.0))
def test_theorem_b_what_does_hold_for_the_conditional_form(seed, temperature):
    rng = np.random.default_rng(seed)
    q, belief = rng.normal(size=(1, 4, 3)), random_law(rng, 1, 4)  # (S, C, A)
    policy = respond(q, temperature)
    executed_policy = np.einsum("sc,sca->sa", belief, policy)
    values = np.einsum("sc,sca->sa", belief, q)
    gap = values.max(1) - (executed_policy * values).sum(1)
    excess = conditional_excess(q, policy, belief)
    assert (gap <= temperature * np.log(3) + excess + 1e-12).all()
    assert (excess <= conditional_excess_bound(np.ptp(q), mutual_information(policy, belief)) + 1e-12).all()
    additive = rng.normal(size=(1, 4, 1)) + rng.normal(size=(1, 1, 3))
    np.testing.assert_allclose(conditional_excess(additive, respond(additive), belief), 0.0, atol=1e-12)


@settings(max_examples=20)
@given(seeds, st.floats(0.02, 2.0), st.sampled_from([1, 2, 3, 5]))
def test_theorem_b_prime_for_k_predicted_actions(seed, temperature, samples):
    rng = np.random.default_rng(seed)
    q, belief = rng.normal(size=(2, 3)), random_law(rng, 2)
    policy = np.zeros(3)
    for indices in np.ndindex(*[2] * samples):
        policy += np.prod(belief[list(indices)]) * respond(q[list(indices)].mean(0), temperature)
    values = belief @ q
    assert values.max() - policy @ values <= sampled_response_gap(temperature, 3, np.ptp(q), samples) + 1e-12


@fixed
@given(seeds, st.floats(0.05, 3.0))
def test_theorem_c_shared_randomness_makes_the_conditional_form_right(seed, temperature):
    """In a potential game the conditionals belong to one joint law, an equilibrium even after the fact."""
    potential = np.random.default_rng(seed).normal(size=(3, 4))
    joint = np.exp(potential / temperature)
    joint /= joint.sum()
    for table, law in ((potential, joint), (potential.T, joint.T)):
        conditional = law / law.sum(0)
        np.testing.assert_allclose(conditional.T, respond(table.T, temperature), rtol=1e-11)
        gain = table.max(0) - (conditional * table).sum(0)
        assert (gain <= sharp_gap(temperature, np.log(len(table))) + 1e-12).all()
    # What each executes, averaging its answer over what the other executes, are the marginals of that law.
    row, column = conditionals(np.array([potential, potential]) / temperature)
    np.testing.assert_allclose(joint.sum(0) @ row, joint.sum(1), rtol=1e-10)
    np.testing.assert_allclose(joint.sum(1) @ column, joint.sum(0), rtol=1e-10)


@pytest.mark.parametrize(("chance", "loss"), [(0.1, 0.8), (0.45, 0.1)])
def test_theorem_d_the_literal_likelihood_seeks_risk(chance, loss):
    """Bet (M or -M) or stay out (0): the likelihood of optimality prefers the bet, which loses (1 - 2p) M."""
    m = 100.0
    reward = np.array([[[0.0, m], [0.0, -m]]])  # (S, C, A): others decide who wins
    kernel, others = np.ones((1, 2, 2, 1)), np.array([[[chance, 1 - chance]]])
    stay, bet = (float(log_evidence(reward, kernel, np.array([[prior]]), others, 1.0, m)[0, 0]) for prior in np.eye(2))
    assert bet > stay
    expected = np.einsum("c,ca->a", others[0, 0], reward[0])
    assert expected.max() - expected[1] == pytest.approx(loss * m)


def test_free_opponent_model_is_the_same_mistake():
    """Theorem D: a model that maximises the bound is the others' policy tilted by what one hopes for."""
    m, others = 100.0, np.array([[0.1, 0.9]])
    reward = np.array([[[0.0, m], [0.0, -m]]])
    hoped = soft_value(reward, respond(reward), 1.0)
    belief = soft_best_response(hoped, 1.0, others, np.ones((1, 2), bool))
    policy = respond(np.einsum("sc,sca->sa", belief, reward))
    values = np.einsum("sc,sca->sa", others, reward)
    assert (values.max() - policy[0] @ values[0]) == pytest.approx(0.8 * m, rel=1e-6)


def four_cycle(seed, bonus, controlled):
    """Sum of unilateral changes around a square of profiles: zero if and only if a potential explains it."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(3, 2, 2))
    kernel = random_law(rng, 3, 2, 2, 3)
    if not controlled:
        kernel = np.repeat(np.repeat(kernel[:, :1, :1], 2, axis=1), 2, axis=2)
    rows, columns = random_law(rng, 2, 3, 2), random_law(rng, 2, 3, 2)

    def values(row, column):
        own = np.stack([entropy(row), entropy(column)])
        extra = own if bonus == "own" else np.repeat(own.sum(0)[None], 2, axis=0)
        reward = np.einsum("sa,sb,sab->s", row, column, common) + extra
        chain = np.einsum("sa,sb,sabt->st", row, column, kernel)
        return evaluate_soft(reward, chain, np.array([0.8, 0.8]))

    square = [values(rows[i], columns[j]) for i, j in ((0, 0), (1, 0), (1, 1), (0, 1))]
    movers = (0, 1, 0, 1)
    return sum(square[(k + 1) % 4][mover] - square[k][mover] for k, mover in enumerate(movers))


@fixed
@given(seeds)
def test_own_entropy_destroys_the_potential_of_a_controlled_game(seed):
    """Definition 5.4 asks for a potential of regularised values: a common payoff has one with team entropy only."""
    assert abs(four_cycle(seed, "own", controlled=True)).max() > 1e-4
    np.testing.assert_allclose(four_cycle(seed, "team", controlled=True), 0.0, atol=1e-12)
    np.testing.assert_allclose(four_cycle(seed, "own", controlled=False), 0.0, atol=1e-12)

"""The best correlated equilibria: closed forms, a linear programme written out here, and bounds by weak duality."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

import equinfer as eq
from equinfer.answer import Joint
from equinfer.certificates import certify_coarse_correlated, certify_correlated
from equinfer.errors import BadInput, UnknownName
from equinfer.solvers.correlated import stage
from equinfer.solvers.correlated.gibbs import gibbs_laws, log_partition
from equinfer.solvers.correlated.linear import refined_solver
from equinfer.solvers.correlated.maximum_entropy import maximum_entropy
from equinfer.solvers.correlated.obedience import comparable, obedience_matrix, obedience_tables, pairs
from equinfer.solvers.correlated.objective import checked_objective
from equinfer.solvers.correlated.stage import stage_correlated
from equinfer.tables import joint_mask

CONCEPTS = ("correlated", "coarse-correlated")


def inequalities(payoffs, told):
    """Obedience row by row, as the definition says it."""
    num_players, *sizes = payoffs.shape
    rows = []
    for i in range(num_players):
        for a, b in itertools.product(range(sizes[i]), repeat=2):
            row = np.zeros(sizes)
            for m in np.ndindex(*sizes):
                if m[i] == a:
                    other = list(m)
                    other[i] = b
                    row[m] = payoffs[(i, *m)] - payoffs[(i, *other)]
            rows.append((i, b, row.ravel()))
    if told:
        return np.array([row for _, _, row in rows])
    groups = sorted({(i, b) for i, b, _ in rows})
    return np.array([sum(row for i, b, row in rows if (i, b) == group) for group in groups])


def best_value(payoffs, weights, told):
    worth = np.tensordot(weights, payoffs, 1).ravel()
    rows = inequalities(payoffs, told)
    one = np.ones((1, worth.size))
    return -linprog(-worth, A_ub=-rows, b_ub=np.zeros(len(rows)), A_eq=one, b_eq=[1], method="highs").fun


def random_stages(seed, num_games, sizes, illegal=0.0):
    rng = np.random.default_rng(seed)
    q = rng.normal(size=(num_games, len(sizes), *sizes))
    legal = []
    for size in sizes:
        mask = rng.random((num_games, size)) >= illegal
        mask[np.arange(num_games), rng.integers(size, size=num_games)] = True
        legal.append(mask)
    return q, legal


@pytest.mark.parametrize("solver", ["lp", "vce"])
@pytest.mark.parametrize("concept", CONCEPTS)
def test_chicken(concept, solver):
    """Swerve-swerve 1/2, one dares 1/4 each: welfare 10.5, and Nash mixtures reach 28/3. Both concepts are one here.

    With two actions a swap moves one recommendation only, as a fixed deviation does.
    """
    found = eq.solve("catalog:chicken", concept, solver)
    assert found.certified
    assert found.objective_certified
    assert found.objective == "welfare"
    assert found.objective_value == pytest.approx(10.5, abs=1e-12)
    np.testing.assert_allclose(found.joint, [[[0.5, 0.25], [0.25, 0]]], atol=1e-12)
    np.testing.assert_allclose(found.profile, [[[0.75, 0.25]]] * 2, atol=1e-12)
    np.testing.assert_allclose(found.values, [[5.25], [5.25]], atol=1e-12)


def test_coarse_correlation_reaches_further():
    """Rock-paper-scissors where a tie costs both 1/2: drawing unequal pairs alone is coarse, and no more is obeyed.

    Told rock, one knows that the other has paper or scissors. Welfare 0 instead of that of the mixed equilibrium.
    """
    row = np.array([[-0.5, -1, 1], [1, -0.5, -1], [-1, 1, -0.5]])
    game = eq.TabularGame.from_payoffs([row, row.T])
    unequal = (np.ones((3, 3)) - np.eye(3)) / 6
    assert eq.certify(game, unequal, "coarse-correlated").gap == pytest.approx(0, abs=1e-15)
    coarse, told = (eq.solve(game, concept).objective_value for concept in reversed(CONCEPTS))
    assert coarse == pytest.approx(0, abs=1e-12)
    assert told <= coarse + 1e-12
    assert told == pytest.approx(best_value(np.array([row, row.T]), [1, 1], True), abs=1e-9)


@pytest.mark.parametrize("solver", ["lp", "vce"])
@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 4), (2, 2, 3), (3,)])
def test_one_shot_games_against_a_programme_written_out(sizes, told, solver):
    rng = np.random.default_rng(len(sizes) + 10 * told)
    for weights in (np.ones(len(sizes)), rng.normal(size=len(sizes))):
        payoffs = rng.normal(size=(len(sizes), *sizes))
        concept = CONCEPTS[not told]
        found = eq.solve(eq.TabularGame.from_payoffs(payoffs), concept, solver, objective=weights.tolist())
        assert found.gap <= 1e-10
        # Interior points of a linear programme end short of its vertex, and then prove nothing.
        assert found.objective_certified == found.certificate.settled(0.0)
        assert found.objective_certified or solver == "vce"
        assert found.objective_value == pytest.approx(best_value(payoffs, weights, told), abs=2e-8)


@pytest.mark.parametrize("told", [True, False])
def test_many_games_at_once_are_each_solved(told):
    """Illegal actions included: all are obeyed to rounding, and worth as much as HiGHS finds."""
    q, legal = random_stages(1, 60, (2, 3, 2), illegal=0.25)
    laws = stage_correlated(q, legal, q.sum(axis=1), told=told)
    assert laws.solved.all()
    for game in range(60):
        actions = [np.flatnonzero(mask[game]) for mask in legal]
        payoffs = q[game][np.ix_(range(3), *actions)]
        law = laws.joint[game][np.ix_(*actions)]
        assert law.sum() == pytest.approx(1, abs=1e-14)
        judge = certify_correlated if told else certify_coarse_correlated
        certificate = judge(eq.TabularGame.from_payoffs(payoffs).tables(), Joint(law[None]))
        assert certificate.gap <= 1e-10
        assert certificate.values.sum() == pytest.approx(best_value(payoffs, np.ones(3), told), abs=2e-8)


@pytest.mark.parametrize("told", [True, False])
def test_entropy_against_its_dual(told):
    """Every law that is obeyed has at most log Z of any multipliers; the one found comes within 1e-6 of it.

    Here a law disobeys by up to 2e-12, which is worth that much of each multiplier. Many of these games force some
    probability to 0, where the dual has no minimum.
    """
    q, legal = random_stages(2, 60, (3, 3))
    laws = stage_correlated(q, legal, np.zeros_like(q[:, 0]), told=told, entropy=1.0)
    assert laws.solved.all()
    mask = joint_mask(legal)
    rows, _ = obedience_tables(comparable(q, mask), legal, told)
    flat = laws.joint.reshape(60, -1)
    assert np.einsum("skj,sj->sk", rows, flat).min() >= -1e-11
    bound, _ = log_partition(np.einsum("sk,skj->sj", laws.obedience, rows), mask.reshape(60, -1))
    entropy = -(flat * np.log(np.maximum(flat, 1e-300))).sum(axis=1)
    assert np.all(entropy <= bound + 2e-12 * (1 + laws.obedience.sum(axis=1)))
    np.testing.assert_allclose(entropy, bound, atol=1e-6)


def test_entropy_of_chicken():
    r"""By symmetry (a, b; b, c); told swerve, $2b\ge a$, slack at the uniform law; told dare, $b\ge2c$, which is not.

    So c = b/2, a = 1 - 5b/2, and the derivative of the entropy with respect to b is 0.
    """
    found = eq.solve("catalog:chicken", "correlated", objective="entropy")
    assert found.solver == "vce"
    (a, b), (_, c) = found.joint[0]
    assert c == pytest.approx(b / 2, abs=1e-12)
    assert a == pytest.approx(1 - 2.5 * b, abs=1e-12)
    derivative = 2.5 * np.log(a) - 2 * np.log(b) - 0.5 * np.log(c)
    assert derivative == pytest.approx(0, abs=1e-9)
    assert found.objective_certified


def test_newton_on_few_multipliers_finds_what_newton_on_all_finds():
    q, legal = random_stages(4, 1, (4, 5))
    found = maximum_entropy(q, legal, told=True)
    assert found is not None
    rows, senses = obedience_tables(comparable(q, joint_mask(legal)), legal, True)
    law, _, solved = gibbs_laws(rows, senses, np.ones((1, 20), bool), np.zeros((1, 20)))
    assert solved.all()
    # A disobedience of 1e-12 in one of them is worth 1e-12 of entropy, and so moves a law by 1e-6 at most.
    np.testing.assert_allclose(found[0].joint.reshape(1, -1), law, atol=1e-6)


def test_a_dominated_action_leaves_the_dual_without_minimum_and_is_solved_all_the_same():
    """Prisoner's dilemma: only defection is obeyed; the other three multipliers have their best at infinity."""
    found = eq.solve("catalog:prisoners_dilemma", "correlated", objective="entropy")
    assert found.certified
    np.testing.assert_allclose(found.joint, [[[0, 0], [0, 1]]], atol=1e-11)
    assert found.objective_value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("told", [True, False])
def test_both_forms_of_obedience_are_the_definition(told):
    q, legal = random_stages(5, 1, (2, 3, 2))
    dense, senses = obedience_tables(q, legal, told)
    listed = obedience_matrix(q[0], [np.arange(size) for size in (2, 3, 2)], told).toarray()
    written = inequalities(q[0], told)
    written = written[np.abs(written).max(axis=1) > 0]
    kept = np.array([k for k, (_, a, b) in enumerate(pairs((2, 3, 2), told)) if a != b])
    np.testing.assert_allclose(dense[0], listed, atol=1e-15)
    assert senses[:, kept].all()
    np.testing.assert_allclose(np.sort(dense[0][kept], axis=0), np.sort(written, axis=0), atol=1e-14)


@pytest.mark.parametrize("objective", ["welfare", "1,0", "0,1"])
def test_zero_sum_games_have_one_correlated_value(objective):
    """40 x 40: the polytope is so degenerate that simplex would take minutes."""
    payoff = np.random.default_rng(0).normal(size=(40, 40))
    found = eq.solve(eq.TabularGame.from_payoffs([payoff, -payoff]), "correlated", "lp", objective=objective)
    assert found.gap <= 1e-12
    assert found.objective_certified
    value = linprog(
        [0] * 40 + [-1],
        A_ub=np.column_stack([-payoff.T, np.ones(40)]),
        b_ub=np.zeros(40),
        A_eq=[[1] * 40 + [0]],
        b_eq=[1],
        bounds=[(0, None)] * 40 + [(None, None)],
    ).x[-1]
    expected = {"welfare": 0.0, "1,0": value, "0,1": -value}[objective]
    assert found.objective_value == pytest.approx(expected, abs=1e-9)


def test_constant_payoffs_leave_everything_open():
    found = eq.solve(eq.TabularGame.from_payoffs(np.ones((2, 2, 2))), "correlated")
    assert found.certified
    assert found.objective_value == pytest.approx(2)


def stagewise_example():
    """Prisoner's dilemma (3,3 / 0,5 / 1,1); then cooperation leads to G and all else to B, both coordination games with
    equilibria worth 10 and 0 to each: two epochs, discount 1.
    """
    first, good, bad = range(3)
    reward, kernel = np.zeros((2, 3, 2, 2)), np.zeros((3, 2, 2, 3))
    reward[:, first] = [[[3, 0], [5, 1]], [[3, 5], [0, 1]]]
    reward[:, good] = reward[:, bad] = np.diag([10, 0])
    kernel[first, ..., bad] = 1
    kernel[first, 0, 0] = np.eye(3)[good]
    kernel[good, ..., good] = kernel[bad, ..., bad] = 1
    return eq.TabularGame(reward, kernel, horizon=2, initial=np.eye(3)[first])


def test_stage_by_stage_is_not_the_best_of_the_whole_game():
    """Backward induction rewards in B as well, and so cannot deter: 11 each. Punishing in B gives 13 each."""
    game = stagewise_example()
    found = eq.solve(game, "correlated")
    assert found.solver == "vce"
    assert found.certified
    assert found.objective_certified is False
    np.testing.assert_allclose(found.values[:, 0, 0], [11, 11], atol=1e-9)
    assert found.objective_value == pytest.approx(22, abs=1e-9)
    punishing = np.zeros((2, 3, 2, 2))
    punishing[:, 1, 0, 0] = punishing[0, 0, 0, 0] = 1  # cooperate at first, reward in G
    punishing[:, 2, 1, 1] = punishing[1, 0, 1, 1] = 1  # punish in B, defect in the last epoch
    certificate = eq.certify(game, punishing)
    assert certificate.concept == "correlated"
    assert certificate.gap == 0
    np.testing.assert_allclose(certificate.values[:, 0, 0], [13, 13])


@pytest.mark.parametrize("concept", CONCEPTS)
@pytest.mark.parametrize("objective", ["welfare", "entropy", [1.0, -0.5]])
def test_finite_horizons_are_equilibria_with_illegal_actions_too(concept, objective):
    rng = np.random.default_rng(6)
    legal = [rng.random((4, size)) < 0.7 for size in (3, 2)]
    for mask in legal:
        mask[:, 0] = True
    kernel = rng.dirichlet(np.ones(4), (4, 3, 2))
    game = eq.TabularGame(rng.normal(size=(2, 4, 3, 2)), kernel, horizon=4, discount=[1.0, 0.8], legal=legal)
    found = eq.solve(game, concept, objective=objective)
    assert found.joint.shape == (4, 4, 3, 2)
    assert found.gap <= 1e-10
    assert found.certified
    if objective == "welfare":
        assert found.objective_value == pytest.approx(found.values[:, 0].sum(axis=0).mean(), abs=1e-12)


def test_one_epoch_of_many_states_is_one_shot():
    rng = np.random.default_rng(7)
    payoffs = rng.normal(size=(2, 3, 2, 3))
    game = eq.TabularGame(payoffs, rng.dirichlet(np.ones(3), (3, 2, 3)), horizon=1)
    for solver in ("lp", "vce"):
        found = eq.solve(game, "correlated", solver)
        assert found.joint.shape == (1, 3, 2, 3)
        assert found.objective_certified
        best = np.mean([best_value(payoffs[:, s], [1, 1], True) for s in range(3)])
        assert found.objective_value == pytest.approx(best, abs=2e-8)


def test_solvers_of_nash_equilibria_are_solvers_of_correlated_ones():
    """NoSDE has one stationary Nash equilibrium; as a law of independent choices it is obeyed."""
    found = eq.solve("catalog:no_sde", "correlated", "stage-nash")
    nash = eq.solve("catalog:no_sde")
    assert found.certified
    assert found.objective is None
    np.testing.assert_allclose(found.values, nash.values, atol=1e-8)
    np.testing.assert_allclose(found.joint[0], np.outer(nash.profile[0][0], nash.profile[1][0]), atol=1e-8)


def test_units_and_levels_change_no_law():
    rng = np.random.default_rng(8)
    payoffs = rng.normal(size=(2, 3, 3))
    plain = eq.solve(eq.TabularGame.from_payoffs(payoffs), "correlated", "vce")
    other = eq.solve(eq.TabularGame.from_payoffs(1e6 * payoffs + 1e7), "correlated", "vce")
    np.testing.assert_allclose(other.joint, plain.joint, atol=1e-6)


@pytest.mark.parametrize(
    ("objective", "says"),
    [
        ("wealth", "objective must be welfare, entropy, or a weight for each of 2 players; got 'wealth'"),
        ("1,2,3", r"3 weights, \[1.0, 2.0, 3.0\], for 2 players"),
        ([1.0], r"1 weight, \[1.0\], for 2 players"),
        ([10**400, 1], "weights must be finite numbers"),
        ([1.0, np.nan], "weights must be finite numbers"),
        ([1.0, "2"], "weights must be finite numbers"),
        (3, "weights must be finite numbers"),
        ((0, 0), "the weights are all 0"),
    ],
)
@pytest.mark.parametrize("solver", ["lp", "vce"])
def test_objectives_that_are_none(objective, says, solver):
    with pytest.raises(BadInput, match=says):
        eq.solve("catalog:chicken", "correlated", solver, objective=objective)


def test_objectives_in_words_and_numbers():
    welfare, values = checked_objective("welfare", 3), np.array([0.5, -3.0, 10.0])
    assert welfare.unit * welfare.payoff(values) == 7.5
    assert checked_objective(" 1, -2.5 ", 2) == checked_objective(np.array([1, -2.5]), 2)
    assert checked_objective("entropy", 2).is_entropy


def test_what_a_solver_cannot_do_it_says():
    with pytest.raises(BadInput, match="entropy is for vce"):
        eq.solve("catalog:chicken", "correlated", "lp", objective="entropy")
    for solver in ("lp", "vce"):
        with pytest.raises(BadInput, match="one-shot games"):
            eq.solve("catalog:no_sde", "correlated", solver)
    with pytest.raises(BadInput, match="regularisation must be positive"):
        eq.solve("catalog:chicken", "correlated", "vce", regularisation=0.0)
    with pytest.raises(UnknownName, match="lp finds a joint"):
        eq.solve("catalog:chicken", "nash", "lp")


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(("sizes", "illegal"), [((3, 3), 0.0), ((2, 2, 3), 0.0), ((5, 4), 0.4)])
def test_small_programmes_have_the_laws_of_the_arrays(sizes, illegal, told, monkeypatch):
    """The compiled loop and the arrays of all states at once solve one problem, whose solution is unique."""
    rng, num_states = np.random.default_rng(8), 30
    legal = [rng.random((num_states, size)) >= illegal for size in sizes]
    for mask in legal:
        mask[:, 0] = True
    payoffs = rng.normal(size=(num_states, len(sizes), *sizes))
    worth = rng.normal(size=(num_states, *sizes))
    alone = stage_correlated(payoffs, legal, worth, told=told, regularisation=0.3)
    monkeypatch.setattr(stage, "_MOST_COMPILED", -1)
    together = stage_correlated(payoffs, legal, worth, told=told, regularisation=0.3)
    both = alone.solved & together.solved
    assert both.mean() > 0.9
    np.testing.assert_allclose(alone.joint[both], together.joint[both], atol=1e-9)
    assert not alone.joint[~joint_mask(legal)].any()


def nearly_tied(difference):
    """Two equilibria of a coordination game, one of them better by `difference` to each."""
    return np.array([np.diag([1.0, 1.0 + difference])] * 2)


@pytest.mark.parametrize("concept", CONCEPTS)
@pytest.mark.parametrize("difference", [5e-4, 2e-5, 1e-7])
def test_every_stage_of_a_finite_horizon_is_solved_to_the_best(concept, difference):
    """What is best twice is (1 + d) to each, in both epochs; nearly as good is not."""
    game = eq.TabularGame(nearly_tied(difference)[:, None], np.ones((1, 2, 2, 1)), horizon=2)
    found = eq.solve(game, concept)
    assert found.solver == "vce"
    assert found.objective_value == pytest.approx(4 * (1 + difference), abs=4e-9)


def test_stages_with_payoffs_in_integers_against_a_programme_written_out():
    """The last epoch of each is a game by itself; the first one comes from a state that leads nowhere else."""
    rng = np.random.default_rng(11)
    for _ in range(40):
        payoffs = rng.integers(0, 4, size=(2, 3, 3)).astype(float)
        game = eq.TabularGame(payoffs[:, None], np.ones((1, 3, 3, 1)), horizon=2)
        found = eq.solve(game, "correlated", "vce")
        assert found.certified
        assert found.objective_value == pytest.approx(2 * best_value(payoffs, [1, 1], True), abs=1e-7)


def test_one_shot_games_with_nearly_tied_equilibria_are_solved_to_the_bound():
    found = eq.solve(eq.TabularGame.from_payoffs(nearly_tied(2e-5)), "correlated", "vce")
    assert found.objective_value == pytest.approx(2 * (1 + 2e-5), abs=2e-9)
    assert found.objective_certified


def test_a_singular_system_leaves_the_others_solved():
    matrix = np.array([np.zeros((2, 2)), np.diag([2.0, 4.0])])
    found = refined_solver(matrix, ridge=0.0)(np.ones((2, 2)))
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1], [0.5, 0.25])


@pytest.mark.parametrize("difference", [1e-3, 1e-5, 3e-6, 1e-7])
def test_batches_are_solved_to_the_best_law_where_others_are_nearly_as_good(difference):
    many = eq.solve_batch(np.array([nearly_tied(difference), random_stages(12, 1, (2, 2))[0][0]]), "correlated")
    assert many.certified.all()
    assert many.values[0].sum() == pytest.approx(2 * (1 + difference), abs=1e-8)

"""Stationary correlated equilibria: derivatives by finite differences, the equation of every zero, and known games."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.answer import product
from equinfer.certificates import certify_coarse_correlated, certify_correlated
from equinfer.errors import BadInput
from equinfer.games.kernels import SparseKernel
from equinfer.solvers.correlated import nash_path
from equinfer.solvers.correlated.markov_laws import MarkovLaws
from equinfer.solvers.correlated.nash_path import NashPath
from equinfer.solvers.correlated.obedience import comparable, obedience_tables
from equinfer.solvers.correlated.objective import checked_objective
from equinfer.solvers.correlated.stage import interior_point, stage_correlated
from equinfer.solvers.correlated.stage_derivative import payoff_gradients, sensitivities
from equinfer.tables import joint_mask

JUDGES = {"correlated": certify_correlated, "coarse-correlated": certify_coarse_correlated}


def finished(work):
    """What a piece of work returns."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def legal_masks(rng, num_states, sizes, illegal):
    masks = [rng.random((num_states, size)) >= illegal for size in sizes]
    for mask, size in zip(masks, sizes, strict=True):
        mask[np.arange(num_states), rng.integers(size, size=num_states)] = True
    return masks


def random_game(seed, num_states, sizes, discount=0.9, illegal=0.0, successors=None):
    rng = np.random.default_rng(seed)
    reward = rng.normal(size=(len(sizes), num_states, *sizes))
    if successors is None:
        kernel = rng.dirichlet(np.ones(num_states), (num_states, *sizes))
    else:
        listed = rng.integers(num_states, size=(num_states, *sizes, successors))
        kernel = SparseKernel(listed, rng.dirichlet(np.ones(successors), (num_states, *sizes)))
    legal = legal_masks(rng, num_states, sizes, illegal)
    return eq.TabularGame(reward, kernel, discount=discount, legal=legal)


def system_of(game, objective="welfare", told=True):
    """Around a law of independent, uniform choices, which need not be an equilibrium for these questions."""
    centre = product(tuple(np.asarray(policy) for policy in game.uniform_profile()))
    start = np.zeros((game.num_players, game.num_states))
    return MarkovLaws(game, checked_objective(objective, game.num_players), told=told, centre=centre, start=start)


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize(("sizes", "illegal"), [((3, 4), 0.0), ((2, 3, 2), 0.0), ((4, 3), 0.3)])
def test_the_law_moves_with_the_payoffs_as_its_derivative_says(sizes, illegal, told):
    rng = np.random.default_rng(3)
    num_states = 6
    q = rng.normal(size=(num_states, len(sizes), *sizes))
    legal = legal_masks(rng, num_states, sizes, illegal)
    mask = joint_mask(legal)
    cells = mask.reshape(num_states, -1)
    gain, centre = rng.normal(size=(2, *cells.shape)) * 0.3

    def solved(payoffs):
        rows, senses = obedience_tables(comparable(payoffs, mask), legal, told)
        *found, done = interior_point(rows, senses, cells, gain, centre, regularisation=0.7)
        assert done.all()
        return rows, senses, found

    rows, senses, (law, multiplier, reduced) = solved(q)
    functionals = rng.normal(size=(num_states, 2, cells.shape[1]))
    moved, pushed = sensitivities(rows, senses, cells, law, multiplier, reduced, functionals, regularisation=0.7)
    joint = law.reshape(mask.shape)
    gradients = payoff_gradients(q, legal, joint, multiplier, moved, pushed, told=told)
    change, small = rng.normal(size=q.shape), 1e-5
    laws = [solved(q + side * small * change)[2][0] for side in (1, -1)]
    expected = (functionals @ ((laws[0] - laws[1]) / (2 * small))[..., None])[..., 0]
    found = (gradients * change[:, None]).reshape(*expected.shape, -1).sum(axis=-1)
    np.testing.assert_allclose(found, expected, atol=2e-5)
    assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("objective", ["welfare", "entropy", [0.3, -1.0]])
@pytest.mark.parametrize(
    ("options", "log_weight"),
    [({}, -1.0), ({"illegal": 0.3}, 0.5), ({"discount": [0.9, 0.5]}, 1.0), ({"successors": 2}, -0.5)],
)
def test_the_values_move_the_residual_as_its_derivative_says(options, log_weight, objective):
    game = random_game(1, 5, (3, 2), **options)
    system, rng = system_of(game, objective), np.random.default_rng(5)
    value, change = rng.normal(size=(2, 2, 5))
    linear = finished(system.linearised(finished(system.at(value, log_weight))))
    small = 1e-5
    for step, shift in ((change, 0.0), (0 * change, 1.0)):
        up, down = (
            finished(system.at(value + side * small * step, log_weight + side * small * shift)).residual
            for side in (1, -1)
        )
        found = linear.matrix @ step.ravel() + shift * linear.slope
        np.testing.assert_allclose(found, (up - down).ravel() / (2 * small), atol=2e-5)


@pytest.mark.parametrize("concept", JUDGES)
@pytest.mark.parametrize(
    ("sizes", "options"),
    [
        ((3, 3), {}),
        ((2, 2, 2), {"discount": [0.9, 0.5, 0.7]}),
        ((3, 3), {"illegal": 0.3, "discount": 0.95}),
        ((2, 3), {"successors": 2}),
    ],
)
def test_every_accepted_point_is_an_equilibrium(sizes, options, concept):
    game = random_game(2, 5, sizes, **options)
    tables, nash, better, attempts = game.tables(), [], [], set()
    solver = NashPath(concept=eq.concepts.concept(concept))
    for iterate in solver.iterates(game, seed=0):
        if iterate.candidate:
            (nash if iterate.choice.route == "nash" else better).append(iterate.choice.value)
        if np.isnan(iterate.info["residual"]):
            continue
        attempts.add(iterate.info["attempt"])
        assert iterate.info["residual"] <= 1e-9
        certificate = JUDGES[concept](tables, iterate.answer)
        assert certificate.gap <= 1e-9
        # V = E_mu Q at the values of the certificate
        joint = iterate.answer.joint
        ahead = np.asarray(game.kernel.expect(np.asarray(game.discount)[:, None] * certificate.values))
        earned = ((np.asarray(game.reward) + ahead) * joint).reshape(*certificate.values.shape, -1).sum(axis=-1)
        np.testing.assert_allclose(earned, certificate.values, atol=1e-10)
    assert 1 in attempts
    assert attempts & {2, 3, 4}
    assert min(better, default=np.inf) > max(nash)  # nothing else is offered


@pytest.mark.slow
def test_never_below_nash_and_often_above():
    above = 0
    for seed in range(6):
        game = random_game(seed, 5, (3, 3))
        nash = eq.solve(game, solver="stage-nash")
        found = eq.solve(game, "correlated")
        assert found.solver == "nash-path"
        assert found.certified
        assert found.objective_certified is False
        welfare = float(np.asarray(game.initial) @ nash.values.sum(axis=0))
        assert found.objective_value >= welfare - 1e-10  # a Nash equilibrium of gap 1e-12 has its own rounding
        assert found.objective_value == pytest.approx(np.asarray(game.initial) @ found.values.sum(axis=0), abs=1e-9)
        better = found.objective_value > welfare + 1e-6
        assert better or found.route == "nash" or abs(found.objective_value - welfare) <= 1e-6
        above += better
    assert above >= 3


def test_one_state_gives_the_best_law_of_its_game():
    """Nothing that is done changes what follows: Chicken's best correlated equilibrium, for ever."""
    chicken = eq.load("catalog:chicken")
    game = eq.TabularGame(np.asarray(chicken.reward), np.ones((1, 2, 2, 1)), discount=0.8)
    found = eq.solve(game, "correlated")
    assert found.objective_value == pytest.approx(10.5 / (1 - 0.8), abs=1e-8)
    assert found.route != "nash"
    np.testing.assert_allclose(found.joint, [[[0.5, 0.25], [0.25, 0]]], atol=1e-9)


def test_nothing_is_better_than_dominant_actions():
    dilemma = np.array([[[[3.0, 0.0], [5.0, 1.0]]], [[[3.0, 5.0], [0.0, 1.0]]]])
    found = eq.solve(eq.TabularGame(dilemma, np.ones((1, 2, 2, 1)), discount=0.9), "correlated")
    np.testing.assert_allclose(found.joint, [[[0, 0], [0, 1]]], atol=1e-9)
    assert found.objective_value == pytest.approx(20)


def test_value_iteration_cycles_on_no_sde_and_the_portfolio_does_not():
    """The best law at the values of the last best law never settles; the one Nash equilibrium is an answer."""
    game = eq.load("catalog:no_sde")
    legal, reward = [np.asarray(mask) for mask in game.legal], np.asarray(game.reward)
    value, changes = np.zeros((2, 2)), []
    for _ in range(120):
        q = reward + np.asarray(game.kernel.expect(np.asarray(game.discount)[:, None] * value))
        laws = stage_correlated(np.moveaxis(q, 0, 1), legal, q.sum(axis=0)).joint
        before, value = value, (laws * q).reshape(2, 2, -1).sum(axis=-1)
        changes.append(np.abs(value - before).max())
    assert min(changes[60:]) > 0.01
    found = eq.solve(game, "correlated")
    assert found.certified
    assert found.gap <= 1e-12
    # Whoever decides mixes, and is indifferent between both recommendations: the Nash equilibrium is all there is.
    assert found.route == "nash"
    np.testing.assert_allclose(found.values, [[4, 16 / 3], [16 / 3, 4]], atol=1e-12)
    np.testing.assert_allclose(found.joint[0].sum(axis=1), [1 / 3, 2 / 3, 0], atol=1e-12)
    np.testing.assert_allclose(found.joint[1].sum(axis=0), [7 / 12, 5 / 12, 0], atol=1e-12)
    assert found.objective_value == pytest.approx(28 / 3)


def test_an_objective_below_zero_is_still_an_objective():
    """What is looked at on the way, and is worth nothing to the objective, does not count as worth zero."""
    found = eq.solve("catalog:no_sde", "correlated", objective=[-1, -1])
    assert found.route == "nash"
    assert found.objective == "-1, -1"
    assert found.objective_value == pytest.approx(-28 / 3)


@pytest.mark.parametrize("concept", JUDGES)
def test_other_objectives(concept):
    game = random_game(4, 4, (3, 2))
    initial, nash = np.asarray(game.initial), eq.solve(game, solver="stage-nash")
    for objective, weights in (([1, 0], (1, 0)), ("-1,2", (-1, 2))):
        found = eq.solve(game, concept, objective=objective)
        assert found.certified
        value = float(initial @ np.tensordot(weights, found.values, 1))
        assert found.objective_value == pytest.approx(value, abs=1e-9)
        assert found.objective_value >= float(initial @ np.tensordot(weights, nash.values, 1)) - 1e-9
    entropic = eq.solve(game, concept, objective="entropy")
    assert entropic.certified
    rows = entropic.joint.reshape(4, -1)
    entropy = -(rows * np.log(np.where(rows > 0, rows, 1))).sum(axis=1)
    chain = (rows[:, None] @ np.asarray(game.kernel.dense()).reshape(4, -1, 4))[:, 0]
    assert entropic.objective_value == pytest.approx(initial @ np.linalg.solve(np.eye(4) - 0.9 * chain, entropy))


def test_units_and_levels_change_no_law():
    game = random_game(7, 4, (2, 3))
    reward = np.asarray(game.reward) * np.array([100.0, 0.5]).reshape(2, 1, 1, 1) + 3
    other = eq.TabularGame(reward, game.kernel, discount=0.9)
    plain, scaled = eq.solve(game, "correlated"), eq.solve(other, "correlated", objective=[0.01, 2.0])
    np.testing.assert_allclose(scaled.joint, plain.joint, atol=1e-6)


@pytest.mark.slow
def test_large_games_get_a_nash_equilibrium(monkeypatch):
    """Beyond what is solved for values, the Nash equilibrium is all that is tried."""
    game, routes = random_game(3, 5, (3, 3)), {}
    for most in (10, 9):
        monkeypatch.setattr(nash_path, "_MOST_VALUES", most)
        tried = NashPath().iterates(game, seed=0)
        routes[most] = {iterate.choice.route for iterate in tried if iterate.candidate}
        found = eq.solve(game, "correlated")
        assert found.certified
        assert found.route in routes[most]
    assert routes[9] == {"nash"}
    assert "path" in routes[10]


def test_an_early_end_has_an_answer():
    def interrupt(row):
        if row.get("attempt", 0) >= 1:
            raise KeyboardInterrupt

    found = eq.solve(random_game(5, 30, (4, 4)), "correlated", watch=interrupt)
    assert found.status is eq.Status.interrupted
    assert found.certified
    assert (found.objective, found.route) == ("welfare", "nash")
    hasty = eq.solve(random_game(5, 30, (4, 4)), "correlated", time=0)
    assert hasty.status is eq.Status.out_of_time
    assert hasty.joint is not None


def test_what_it_cannot_do_it_says():
    with pytest.raises(BadInput, match="nash-path finds stationary correlated equilibria of discounted games"):
        eq.solve("catalog:chicken", "correlated", "nash-path")
    horizon = eq.TabularGame(np.zeros((2, 2, 2, 2)), np.full((2, 2, 2, 2), 0.5), horizon=2)
    with pytest.raises(BadInput, match="nash-path finds stationary"):
        eq.solve(horizon, "correlated", "nash-path")
    with pytest.raises(BadInput, match="3 weights"):
        eq.solve("catalog:no_sde", "correlated", objective="1,2,3")

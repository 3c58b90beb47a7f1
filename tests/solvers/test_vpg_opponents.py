"""VPG whose opponents are inferred gets as near to equilibrium as VPG that knows them."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit

import equinfer as eq
from equinfer.concepts import concept
from equinfer.drivers import scan
from equinfer.games.catalog import load
from equinfer.opponents import Empirical, Inferred, Oracle
from equinfer.solvers.tabular.vpg_sampled import SampledVPG

SAMPLES = 100_000
MATRIX = ("prisoners_dilemma", "stag_hunt", "chicken", "battle_of_the_sexes", "climbing", "matching_pennies")
WITH_STATES = [("grid_game_1", {}), *(("random_potential", {"seed": seed}) for seed in range(5))]


def gaps(game, opponent, seeds):
    """The certified gaps of the last policies, each seed's, in units of the payoff scale."""
    tables = game.tables()
    share, step, worlds = (0.1, 0.02, 2) if game.num_states == 1 else (0.05, 0.01, 32)
    temperature = share * float(tables.reward_ranges.max())
    row = concept("nash", opponent=opponent)
    solver = SampledVPG(concept=row, temperature=temperature, step_size=step, worlds=worlds, seeds=seeds)
    solver, played, state, keys = scan.begin(solver, game, seed=0)
    profile = scan.advance(solver, played, state, keys, jnp.asarray(0), jnp.asarray(SAMPLES // worlds))[2]
    each = ([np.asarray(policy)[k] for policy in profile] for k in range(seeds))
    return np.array([eq.certify(game, tuple(policies)).gap for policies in each]) / tables.payoff_scale


def assert_as_good(game, seeds):
    known, inferred = (float(np.median(gaps(game, model, seeds))) for model in (Oracle(), Inferred()))
    assert inferred <= max(2 * known, known + 0.02)
    assert inferred <= 0.05 or known > 0.05


@pytest.mark.parametrize("name", ["chicken", "matching_pennies"])
def test_inferred_opponents_cost_little(name):
    assert_as_good(load(name), 8)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "parameters"), [*((name, {}) for name in MATRIX), *WITH_STATES], ids=str)
def test_inferred_opponents_cost_little_in_every_game(name, parameters):
    assert_as_good(load(name, **parameters), 20)


def test_memory_must_grow_where_learners_chase_each_other():
    # Linearised about the even mixture of matching pennies, policies follow beliefs with slope k = osc / (2 T) = 5 at a
    # rate c = .02 / 2 a move, beliefs follow policies at a rate b: z^2 + (b + c) z + b c (1 -+ i k) = 0. It is stable
    # exactly if b / c + 2 + c / b > k^2 = 25. A memory of the last thousand moves, b = .001, has 12.1: it cycles for
    # ever. With renewal b = 2 / n falls past the threshold at about 4,600 moves, and what is left shrinks.
    game = load("matching_pennies")
    assert (gaps(game, Inferred(forgetting=0.001, renewal=0.0), 8) > 0.1).all()
    assert (gaps(game, Inferred(), 8) < 0.05).all()


def planned(opponent, steps):
    solution = eq.solve(load("prisoners_dilemma"), solver="vpg", opponent=opponent, temperature=0.5, steps=steps)
    return float(solution.profile[0][0, 1])


@pytest.mark.parametrize(
    ("opponent", "steps"),
    [
        ("inferred", 400),
        pytest.param("inferred-flat", 400, marks=pytest.mark.slow),
        pytest.param("trajectory", 1500, marks=pytest.mark.slow),
    ],
)
def test_a_planner_learns_its_opponents_from_its_own_play(opponent, steps):
    # Defection gains 2 - p if the other defects with probability p: the soft equilibrium is p = s((2 - p) / T), .900.
    # A belief off by d moves p by p (1 - p) d / T = 0.18 d. Of 400 moves, of which half count, d has a standard error
    # of .3 * 2 / root(3 * 400) = .02; from trajectories, whose rate leaves a logit noise of .056, .005.
    p = brentq(lambda p: p - expit((2 - p) / 0.5), 0, 1)
    assert planned(opponent, steps) == pytest.approx(p, abs=0.02)


def test_who_thinks_that_the_other_wants_what_it_wants_expects_to_be_spared():
    # Row's payoff is greater by 3 + p if column cooperates: at temperature .1 that is as good as certain, and against a
    # cooperator defection gains 2. The answer is s(2 / T), not the soft equilibrium's .900.
    assert planned("own", 400) == pytest.approx(expit(4.0), abs=1e-6)


@pytest.mark.slow
def test_counting_is_what_inference_is_measured_by():
    # A free table is counting but for a prior; the two runs differ by noise and by the speed of the fit.
    game = load("battle_of_the_sexes")
    counted, inferred = (np.median(gaps(game, model, 8)) for model in (Empirical(renewal=0.5), Inferred()))
    assert abs(counted - inferred) < 0.02


def test_the_trace_tells_how_far_beliefs_are_from_play():
    # Who knows what the others want is right; who thinks that they want the same is wrong, by what is defected.
    game = load("prisoners_dilemma")
    own = eq.solve(game, solver="vpg", opponent="own", temperature=0.5, steps=400)
    assert own.trace["belief_error"][-1] == pytest.approx(expit(4.0), abs=1e-6)
    sampled = eq.solve(game, solver="vpg-sampled", opponent="inferred", temperature=0.5, steps=1000, seeds=1)
    assert 0 < sampled.trace["belief_error"][-1] < 0.05
    assert "belief_error" not in eq.solve(game, solver="vpg", temperature=0.5, steps=10).trace

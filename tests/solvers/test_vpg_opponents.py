"""VPG whose opponents are inferred gets as near to equilibrium as VPG that knows them."""

import jax.numpy as jnp
import numpy as np
import pytest

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
    # Linearised about the even mixture of matching pennies, policies follow beliefs with slope k = osc / (4 T) = 5 at a
    # rate c = .02 / 2 a move, beliefs follow policies at a rate b: z^2 + (b + c) z + b c (1 -+ i k) = 0. It is stable
    # exactly if b / c + 2 + c / b > k^2 = 25. A memory of the last thousand moves, b = .001, has 12.1: it cycles for
    # ever. With renewal b = 2 / n falls past the threshold at about 4,600 moves, and what is left shrinks.
    game = load("matching_pennies")
    assert (gaps(game, Inferred(forgetting=0.001, renewal=0.0), 8) > 0.1).all()
    assert (gaps(game, Inferred(), 8) < 0.01).all()


@pytest.mark.parametrize("opponent", ["own", "inferred", "inferred-flat", "trajectory"])
def test_a_planner_learns_its_opponents_from_its_own_play(opponent):
    solution = eq.solve(load("prisoners_dilemma"), solver="vpg", opponent=opponent, temperature=0.5, steps=400)
    assert solution.gap < 0.05 * solution.payoff_scale
    assert solution.profile[0][0, 1] > 0.95


def test_counting_is_what_inference_is_measured_by():
    # A free table is counting but for a prior; the two runs differ by noise and by the speed of the fit.
    game = load("battle_of_the_sexes")
    counted, inferred = (np.median(gaps(game, model, 8)) for model in (Empirical(renewal=0.5), Inferred()))
    assert abs(counted - inferred) < 0.02

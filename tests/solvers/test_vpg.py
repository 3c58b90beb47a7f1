"""VPG on known tables, against root finding, backward induction and the theorems."""

import re
from functools import partial
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plain_soft import quantal_response, quantal_response_by_epochs, soft_values

import equinfer as eq
from equinfer.certificates.nash import certify_nash
from equinfer.concepts import concept
from equinfer.drivers import scan
from equinfer.drivers.protocol import Task
from equinfer.equations.bounds import sharp_gap
from equinfer.games import catalog
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.vpg import VPG

CONDITIONAL = concept("nash", policy="conditional")
LOG3 = np.log(3)


def solve(game, solver, **options):
    tables = game.tables()
    task = Task(partial(certify_nash, tables), game.uniform_profile())
    return scan.drive(solver, game, task, **options)


def last_profile(game, solver, steps=200):
    """The last iterate, which need not be the one of smallest gap that a solve hands back."""
    solver, game, state, keys = scan.begin(solver, game, seed=0)
    return [np.asarray(p) for p in scan.advance(solver, game, state, keys, jnp.asarray(0), jnp.asarray(steps))[2]]


def assert_settles_at(expected, game, solver):
    for found, wanted in zip(last_profile(game, solver), expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)


def stochastic_game(seed, **settings):
    rng = np.random.default_rng(seed)
    kernel = rng.dirichlet(np.ones(3), (3, 2, 3))
    reward = rng.random((2, 3, 2, 3))
    return TabularGame(reward, kernel, **{"discount": [0.8, 0.4], **settings})


# The fixed point is the logit quantal response equilibrium (Theorem A), found independently.

SOME_LEGAL = (np.array([[True, True], [True, False], [True, True]]), np.ones((3, 3), bool))


@pytest.mark.parametrize("legal", [None, SOME_LEGAL], ids=["all legal", "some illegal"])
def test_the_fixed_point_is_the_logit_equilibrium(legal):
    game = stochastic_game(0, legal=legal)
    assert_settles_at(quantal_response(game, 0.5), game, VPG(temperature=0.5, step_size=0.5, tolerance=-1.0))


def test_with_a_magnet_it_is_the_equilibrium_relative_to_it():
    game = stochastic_game(1)
    rng = np.random.default_rng(0)
    magnet = tuple(rng.dirichlet(np.ones(size), 3) for size in (2, 3))
    solver = VPG(temperature=0.5, step_size=0.5, magnet=magnet, tolerance=-1.0)
    assert_settles_at(quantal_response(game, 0.5, magnet), game, solver)
    trace = solve(game, solver).trace
    assert (trace["gap"] <= trace["bound"] + 1e-12).all()


def test_a_finite_horizon_has_a_policy_per_epoch():
    game = stochastic_game(2, horizon=3, discount=[1.0, 0.9])
    solver = VPG(temperature=0.5, step_size=0.5, tolerance=-1.0)
    assert_settles_at(quantal_response_by_epochs(game, 0.5), game, solver)
    trace = solve(game, solver).trace
    assert (trace["gap"] <= trace["bound"] + 1e-12).all()


# Against an even column the bottom row loses 4 and its probability falls to e^-3600, or in one sweep of multiplicative
# weights to e^-4000; against the left column, which dominates, it earns 1.
LATE = TabularGame.from_payoffs([[[0.0, 0.0], [1.0, -9.0]], [[1.0, 0.0], [1.0, 0.0]]])


@pytest.mark.parametrize("fields", [{"step_size": 0.9}, {"step_size": 1.0, "magnet_every": 1}], ids=str)
def test_an_action_whose_probability_underflows_comes_back_when_it_pays(fields):
    solver = VPG(temperature=1e-3, tolerance=-1.0, **fields)
    assert last_profile(LATE, solver, steps=1)[0][0, 1] == 0
    np.testing.assert_array_equal(last_profile(LATE, solver, steps=10)[0], [[0.0, 1.0]])


# Theorem A': the bound holds on the way, converged or not, whatever was done.


@pytest.mark.parametrize("seed", range(5))
def test_the_gap_is_below_the_bound_all_the_way(seed):
    outcome = solve(
        stochastic_game(seed), VPG(temperature=[0.02, 0.1, 1.0][seed % 3], step_size=0.2, steps=300, tolerance=-1.0)
    )
    assert len(outcome.trace["gap"]) > 5
    assert (outcome.trace["gap"] <= outcome.trace["bound"] + 1e-12).all()


@pytest.mark.parametrize(
    "fields",
    [{"concept": CONDITIONAL}, {"play": "average"}, {"schedule": "annealed"}, {"entropy": "team", "magnet_every": 3}],
    ids=str,
)
def test_the_bound_is_one_for_what_is_executed(fields):
    payoffs = np.random.default_rng(3).random((2, 2, 2))
    outcome = solve(TabularGame.from_payoffs(payoffs), VPG(temperature=0.05, step_size=0.3, steps=100, **fields))
    assert (outcome.trace["gap"] <= outcome.trace["bound"] + 1e-12).all()


# Theorem B, by the numbers of its table of counter-examples in `docs/theory.md`, at temperature 1.

THEORY = (Path(__file__).parents[2] / "docs" / "theory.md").read_text()


def numbers(cell):
    """The numbers of a cell of the table, each with half a unit of its last digit; remarks in parentheses are none."""
    texts = re.findall(r"\d*\.?\d+", re.sub(r"\(.*\)", "", cell))
    return np.array([float(text) for text in texts]), [0.5 * 10.0 ** -len(text.partition(".")[2]) for text in texts]


TABLE = {
    name: [numbers(cell) for cell in cells]
    for name, *cells in re.findall(r"^\| `(\w+)` \|.*\|(.*)\|(.*)\|(.*)\|$", THEORY, flags=re.MULTILINE)
}


def assert_as_stated(found, stated):
    for value, number, half_a_digit in zip(found, *stated, strict=True):
        assert abs(value - number) <= half_a_digit


def last_gap(game, **fields):
    return certify_nash(game.tables(), last_profile(game, VPG(temperature=1.0, **fields), steps=200_000)).gap


@pytest.mark.parametrize("name", [name for name in TABLE if name != "cliff"])
def test_the_conditional_form_is_no_approximate_equilibrium_and_the_marginal_form_is(name):
    (sizes, _), conditional, marginal = TABLE[name]
    games = [catalog.load(name, M=float(size)) for size in sizes]
    gaps = [last_gap(game, concept=CONDITIONAL, step_size=1.0) for game in games]
    if name == "near_tied_coordination":
        # Every exp(100) sweeps a player leaves a meeting place, the second 3 times as often: VPG stays where it begins.
        gaps[-1] = certify_nash(games[-1].tables(), after_a_sweep_from(games[-1], np.array([[0.75, 0.25]]))).gap
    assert_as_stated(gaps, conditional)
    assert max(gaps) > 10 * np.log(2)
    # Small steps: in zero-sum games of these sizes larger ones are not stable.
    gaps = [last_gap(game, step_size=min(0.5, 2 / size**2)) for game, size in zip(games, sizes, strict=True)]
    assert_as_stated([max(gaps)], marginal)
    assert max(gaps) < sharp_gap(1.0, np.log(2))


def after_a_sweep_from(game, law):
    """The profile after one sweep of the conditional form in which both players had executed `law`: it is the same."""
    solver = VPG(concept=CONDITIONAL, temperature=1.0, step_size=1.0)
    solver, game, state, keys = scan.begin(solver, game, seed=0)
    state = state._replace(executed=(jnp.asarray(law),) * 2)
    profile = scan.advance(solver, game, state, keys, jnp.asarray(0), jnp.asarray(1))[2]
    np.testing.assert_allclose(profile, [law, law], rtol=1e-14)
    return [np.asarray(policy) for policy in profile]


def test_the_conditional_form_falls_off_the_cliff_and_the_marginal_form_does_not():
    (horizons, _), *stated = TABLE["cliff"]
    longest = int(max(horizons))
    game = catalog.load("cliff", horizon=longest)

    def gaps(**fields):
        """At the top of the cliff, by the number of epochs that are left: the last h are a cliff of horizon h."""
        profile = last_profile(game, VPG(temperature=1.0, step_size=1.0, **fields))
        gains = [certify_nash(game.tables(), profile).deviation(player).gain[:, 0] for player in range(2)]
        return {longest - epoch: gain for epoch, gain in enumerate(np.max(gains, axis=0))}

    for found, expected in zip((gaps(concept=CONDITIONAL), gaps()), stated, strict=True):
        assert_as_stated([found[horizon] for horizon in horizons], expected)
        # Theorem 4.2 would allow h log 2.
        violated = [horizon for horizon, gap in found.items() if gap > horizon * np.log(2)]
        assert violated == ([] if max(found.values()) < 2 else list(range(longest, 8, -1)))


# Theorem E.


@pytest.mark.parametrize(("share", "stable"), [(0.9, True), (1.1, False)])
def test_rock_paper_scissors_is_stable_below_its_threshold_only(share, stable):
    temperature = 0.2
    threshold = 2 / (1 + 1 / (3 * temperature**2))
    beats = np.array([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    game = TabularGame.from_payoffs([beats, -beats])
    solver = VPG(temperature=temperature, step_size=share * threshold, start="random", steps=5000)
    residual = solve(game, solver).trace["residual"][-1]
    assert residual <= 1e-12 if stable else residual > 1e-3


COMMON = np.random.default_rng(5).random((3, 2, 3))
TEAM_GAME = TabularGame([COMMON, COMMON], np.random.default_rng(6).dirichlet(np.ones(3), (3, 2, 3)), discount=0.8)


@jax.jit
def team_path(step_size):
    """The profiles of 40 round-robin sweeps from a random start, paid by the team's entropy."""
    solver = VPG(order="round-robin", entropy="team", temperature=0.05, start="random")
    solver = eqx.tree_at(lambda s: s.step_size, solver, step_size)

    def sweep(state, _):
        state, _ = solver.step(TEAM_GAME, state, key=jax.random.key(0))
        return state, solver.profile(TEAM_GAME, state)

    return jax.lax.scan(sweep, solver.init(TEAM_GAME, key=jax.random.key(1)), None, length=40)[1]


@pytest.mark.parametrize("step_size", [0.3, 1.0])
def test_round_robin_raises_the_team_potential_at_every_state(step_size):
    # A common reward is its own potential; with the team's entropy it stays one although play moves the state.
    profiles = zip(*map(np.asarray, team_path(jnp.asarray(step_size))), strict=True)
    potential = np.array([soft_values(TEAM_GAME, 0, profile, 0.05, team=True) for profile in profiles])
    assert (np.diff(potential, axis=0) >= -1e-13).all()
    assert (potential[-1] - potential[0]).max() > 0.1


def test_annealed_it_comes_close_to_nash_in_potential_games():
    outcome = solve(TEAM_GAME, VPG(schedule="annealed", temperature=0.1, steps=20_000, floor=1e-3))
    assert outcome.certificate.gap <= 1e-3 * np.log(3) / (1 - 0.8)  # Theorem A at the floor
    assert outcome.trace["gap"][0] > 0.1


# Zero-sum one-shot games (Theorem H): what moves the last iterate, and what only the average.

PENNIES = np.array([[3.0, -1], [-1, 1]])
ZERO_SUM = TabularGame.from_payoffs([PENNIES, -PENNIES])


def test_a_moving_magnet_leads_the_last_iterate_to_nash():
    outcome = solve(ZERO_SUM, VPG(temperature=1.0, step_size=0.2, magnet_every=50, steps=5000))
    assert outcome.trace["gap"][-1] < 1e-9
    np.testing.assert_allclose(outcome.answer[0], [[1 / 3, 2 / 3]], atol=1e-9)


def test_multiplicative_weights_cycle_and_their_average_converges():
    # c = 1 with the magnet at the policy itself is multiplicative weights with learning rate 1 / temperature.
    weights = VPG(temperature=20.0, step_size=1.0, magnet_every=1, play="average")
    solver, game, state, keys = scan.begin(weights, ZERO_SUM, seed=0)
    state = scan.advance(solver, game, state, keys, jnp.asarray(0), jnp.asarray(3000))[0]
    last, average = (certify_nash(ZERO_SUM.tables(), profile).gap for profile in (state.executed, state.average))
    assert last > 0.3
    # Regret after K rounds with rewards in [-1, 3]: osc * sqrt(log 2 / (2 K)) at the best rate; three times that here.
    assert average < 3 * 2 * 4 * np.sqrt(np.log(2) / (2 * 3000))


def test_counted_opponents_lead_to_the_same_equilibrium():
    # Copycat: player 1 settles at 3 : 1 whatever happens. By Azuma the frequency of n = 5,000 draws is within 0.04 of
    # its mean but for a chance of 2 exp(-2 n 0.04^2) < 3e-7; player 0's logit moves by at most 2 M times that.
    copycat = TabularGame.from_payoffs([np.eye(2), [[LOG3, 0], [LOG3, 0]]])
    row = concept("nash", opponent="empirical")
    outcome = solve(copycat, VPG(concept=row, temperature=1.0, step_size=0.5, steps=5000), chunk=5000)
    expected = quantal_response(copycat, 1.0)
    np.testing.assert_allclose(outcome.answer[1], expected[1], atol=1e-9)
    np.testing.assert_allclose(outcome.answer[0], expected[0], atol=2 * 0.04 / 4 + 1e-3)
    assert np.abs(outcome.answer[0] - expected[0]).max() > 1e-6


@pytest.mark.parametrize(("unit", "schedule", "doubted"), [
    (1.0, "constant", None),
    (1e-9, "constant", "too hot to tell actions apart"),
    (1e6, "constant", "so cold that policies may jump"),
    (1e-9, "annealed", "too hot to tell actions apart"),
    (2e-5, "annealed", None),
    (1e6, "annealed", "so cold that policies may jump"),
])  # fmt: skip
@pytest.mark.parametrize("solver", ["vpg", "vpg-sampled"])
def test_a_temperature_in_another_unit_is_named(solver, unit, schedule, doubted):
    """Payoffs of player 1 are in another unit than the temperature 0.1, which falls to 1e-4 in the second schedule."""
    if solver == "vpg-sampled" and schedule == "annealed":
        return
    payoff = np.array([[1.0, -1.0], [-1.0, 1.0]])
    game = TabularGame.from_payoffs([payoff, -unit * payoff], player_labels=["ann", "bob"])
    options = {"schedule": schedule} if solver == "vpg" else {"worlds": 1, "seeds": 1}
    said = eq.solve(game, solver=solver, steps=1, eps=0.0, **options).warnings
    warnings = tuple(sentence for sentence in said if not sentence.startswith("Rounding alone"))  # eps is 0
    if doubted is None:
        assert warnings == ()
    else:
        (sentence,) = warnings
        assert f"player bob's rewards, {2 * unit:.3g}: {doubted}" in sentence

"""What one of n players gains, simulated: against exact games of a few, closed forms, and its own statistics."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import binom

import equinfer as eq
from equinfer.certificates.mean_field import exact_flow
from equinfer.equations.mean_field_players import one_of_many
from equinfer.equations.mean_field_simulation import Crowd, Plan, Rule, walks
from equinfer.errors import BadInput
from equinfer.games.mean_field_players import lifted

SURE = 1 - 1e-5
"""Of each interval: of the few dozen intervals below one misses once in some thousand choices of seeds."""
GAMES = {
    "beach_bar": {"T": 1, "n": 3, "bar_loc": 1},
    "rock_paper_scissors": {},
    "susceptible_infected": {"T": 3},
}


def tilted(game):
    """The check policy of MFGLib's games: no equilibrium, and no two probabilities alike."""
    t, s, a = np.indices(game.uniform_profile()[0].shape)
    weights = 1.0 + (3 * a + 5 * s + 7 * t) % 11
    return weights / weights.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    "name",
    ["rock_paper_scissors", *(pytest.param(n, marks=pytest.mark.slow) for n in GAMES if n != "rock_paper_scissors")],
)
def test_intervals_hold_what_is_exact_for_a_few(name):
    number, game = 3, eq.load(f"catalog:mean_field/{name}", **GAMES[name])
    policy = tilted(game)
    exact = eq.players_gap(game, policy, number, exact=True)
    simulated = eq.players_gap(game, policy, number, exact=False, confidence=SURE)
    low, high = simulated.interval
    assert low <= exact.gap <= high
    # The deviation that was found is a policy of the table as well: what it gains there lies in its own interval.
    table, all_play = game.with_players(number), lifted(game, policy, number)
    alone = (lifted(game, simulated.policy, number)[0], *all_play[1:])
    there, here = (eq.certify(table, each).values[0, 0] for each in (alone, all_play))
    assert simulated.blind.low <= (there - here) @ np.asarray(table.initial) <= simulated.blind.high


@pytest.mark.slow
def test_who_sees_where_everybody_is_gains_nearly_all_there_is():
    game = eq.load("catalog:mean_field/susceptible_infected", T=3)
    policy = eq.solve(game).policy
    exact = eq.players_gap(game, policy, 4, exact=True).gap
    simulated = eq.players_gap(game, policy, 4, exact=False, confidence=SURE)
    assert simulated.blind.high < simulated.sighted.low
    assert 0.8 * exact < simulated.sighted.mean
    assert simulated.gap == simulated.sighted.mean
    assert simulated.prescient is None
    assert simulated.interval == (simulated.sighted.low, np.inf)


@pytest.mark.slow
def test_intervals_miss_as_often_as_they_say():
    """At 70 % and a hundred seeds: the blind gain at a fork of 3, of which going left gains 1/9."""
    game = eq.load("catalog:mean_field/left_right")
    policy = eq.solve(game).policy
    level = (2 + 0.1) / 3  # of each of the three
    seeds = [eq.players_gap(game, policy, 3, exact=False, paths=100, seed=k, confidence=0.1) for k in range(100)]
    assert all(one.policy[0, 0, 0] == 1 for one in seeds)
    held = sum(one.blind.low <= 1 / 9 <= one.blind.high for one in seeds)
    assert binom.ppf(1e-4, 100, level) <= held <= binom.ppf(1 - 1e-4, 100, level)


def test_foresight_at_a_fork_is_an_expectation_of_binomials():
    r"""With B of the others on the left: left costs (1 + B) / n, right 2 (n - B) / n, and the policy 2/3 of it."""
    number, game = 1_000_000, eq.load("catalog:mean_field/left_right")
    policy = np.zeros((2, 3, 2))
    policy[...] = [2 / 3, 1 / 3]
    spread = 40 * np.sqrt(number)
    b = np.arange(max(0, int(2 / 3 * number - spread)), min(number, int(2 / 3 * number + spread)))
    left, right = -(1 + b) / number, -2 * (number - b) / number
    gains = np.maximum(left, right) - (2 * left + right) / 3
    exact = gains @ binom.pmf(b, number - 1, 2 / 3)
    found = eq.players_gap(game, policy, number, exact=False, confidence=SURE)
    assert found.prescient.low <= exact <= found.prescient.high
    assert found.prescient.high - found.prescient.low < 0.2 * exact
    assert found.interval[1] == found.prescient.high


@pytest.mark.slow
def test_who_sees_itself_alone_faces_a_decision_problem():
    number, game = 1000, eq.load("catalog:mean_field/congestion")
    policy = game.uniform_profile()[0]
    exact = eq.certify(one_of_many(game, policy, number), policy).gap
    found = eq.players_gap(game, policy, number, exact=False, confidence=SURE)
    assert found.blind.low <= exact <= found.blind.high
    assert found.blind.high - found.blind.low < 0.25 * exact


@pytest.mark.parametrize("counted", [False, True])
def test_others_are_as_many_as_they_are_and_where_the_flow_has_them(counted):
    """Independent of each other where moves are: counts are binomial, and change from epoch to epoch as they must."""
    game = eq.load("catalog:mean_field/beach_bar")
    policy, number, paths = tilted(game), 41, 4000
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(3), paths)
        compiled, own = jax.tree.map(jnp.asarray, game.unlabelled()), jnp.asarray(policy)
        crowd, plan = Crowd(own, own, jnp.zeros((4, 4))), Plan(own, own, own)
        rules = jnp.array([int(Rule.kept)])
        how = {"local": True, "counted": counted, "batch": paths}
        counts = walks(compiled, crowd, plan, number, keys, rules, **how).others
    counts = np.asarray(counts)
    np.testing.assert_array_equal(counts.sum(axis=(2, 3)), number - 1)
    assert np.all(counts == np.round(counts))
    law = exact_flow(game.tables(), (policy,))[0]
    spread = np.sqrt((number - 1) * law * (1 - law))
    assert np.abs((counts.mean(axis=0) - (number - 1) * law) / spread * np.sqrt(paths)).max() < 4.5
    # The variance of the sample variance of a binomial is within 2 + 1/((n - 1) p (1 - p)) of 1/paths, relatively.
    wide = np.sqrt((2 + 1 / spread**2) / paths)
    assert np.abs((counts.var(axis=0) / spread**2 - 1) / wide).max() < 5


@pytest.mark.slow
def test_gains_shrink_like_the_root_of_the_number_of_players():
    """From the roads of yesterday nothing is learnt of those of today, but oneself is seen to be one of the crowd."""
    game = eq.load("catalog:mean_field/congestion")
    policy = eq.solve(game).policy
    few, many = (eq.players_gap(game, policy, n, exact=False) for n in (100, 10_000))
    assert few.prescient.mean / many.prescient.mean == pytest.approx(10, rel=0.15)
    assert few.blind.low > many.blind.high


@pytest.mark.slow
def test_walls_are_walked_around_by_others_too():
    game = eq.load("catalog:mean_field/crowd_modelling_2d", size=3, horizon=2, forbidden_states=(4,), start=(0,))
    policy = game.uniform_profile()[0]
    found = eq.players_gap(game, policy, 20, paths=500, confidence=SURE)
    exact = eq.certify(one_of_many(game, policy, 20), policy).gap
    assert found.kind == "estimate"
    assert found.blind.low <= exact <= found.prescient.high
    assert found.blind.high >= 0.9 * exact


def test_bad_input_is_one_sentence():
    game = eq.load("catalog:mean_field/left_right")
    policy = game.uniform_profile()[0]
    for wrong, message in (
        ({"players": 0}, "players must be a whole number, at least 1; got 0"),
        ({"confidence": 1.0}, "confidence must lie between 0 and 1; got 1"),
        ({"paths": 1}, "paths must be a whole number, at least 2"),
        ({"policy": policy[:1]}, "policy"),
    ):
        with pytest.raises(BadInput, match=message):
            eq.players_gap(**{"game": game, "policy": policy, "players": 5, **wrong})
    with pytest.raises(BadInput, match="one in tables"):
        eq.players_gap("catalog:chicken", policy, 3)
    avoiding = eq.load("catalog:mean_field/crowd_avoidance")
    with pytest.raises(BadInput, match="one population with a horizon"):
        eq.players_gap(avoiding, avoiding.uniform_profile(), 3)
    big = eq.load("catalog:mean_field/crowd_motion")
    with pytest.raises(BadInput, match="ask for fewer paths"):
        eq.players_gap(big, big.uniform_profile()[0], 100, paths=10**9)


def test_rewards_that_are_not_finite_at_the_laws_of_few_are_refused():
    """Finite at the uniform law and not beside it."""
    game = eq.MeanFieldGame(
        lambda t, law: jnp.where(jnp.abs(law - 0.25) < 1e-9, 0.0, jnp.inf),
        np.broadcast_to(np.eye(2)[:, None], (2, 2, 2)),
        [0.5, 0.5],
        horizon=2,
        state_labels=("here", "there"),
    )
    message = "reward at time 0, state here, action 0 is inf at laws that 50 players make"
    with pytest.raises(BadInput, match=message):
        eq.players_gap(game, game.uniform_profile()[0], 50)

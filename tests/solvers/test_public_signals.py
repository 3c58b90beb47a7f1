"""Public signals: mixtures of Nash equilibria, one-shot; more than that where continuations are mixed."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.solvers.correlated import first_nash
from equinfer.solvers.correlated.mixtures import best_mixture
from equinfer.solvers.correlated.stage_equilibria import stage_equilibria
from equinfer.solvers.tabular.stage_nash import StageNash


def welfare(solution, game):
    values = solution.values[:, 0] if solution.values.ndim == 3 else solution.values
    return float((values @ np.asarray(game.initial)).sum())


def test_chicken_is_worth_no_more_than_its_best_nash_equilibrium():
    """Theorem F: the hull of Nash equilibria, 28/3 at best; private recommendations reach 10.5."""
    solution = eq.solve("catalog:chicken", "public-correlated")
    assert solution.certified
    assert solution.concept == "public-correlated"
    assert solution.objective_value == pytest.approx(28 / 3, abs=1e-12)
    assert not solution.objective_certified


def test_equally_good_equilibria_are_mixed_evenly():
    game = eq.load("catalog:battle_of_the_sexes")
    solution = eq.solve(game, "public-correlated")
    assert solution.signal is not None
    np.testing.assert_allclose(solution.signal, [[0.5, 0.5]])
    assert solution.values[0] == pytest.approx(solution.values[1])
    assert eq.certify(game, {"signal": solution.signal, "profile": solution.profile}).gap <= 1e-14


@pytest.mark.slow
def test_a_public_coin_reaches_more_than_mixtures_of_markov_equilibria():
    """Theorem F: nobody enters the battle for (3, 1) or (1, 3), both enter it for the coin's (2, 2)."""
    game = eq.load("catalog:public_signal")
    solution = eq.solve(game, "public-correlated")
    assert solution.certified
    assert solution.route == "backward induction"
    np.testing.assert_allclose(solution.values[:, 0, 0], 2.0, atol=1e-12)
    assert welfare(solution, game) > max(welfare(nash, game) for nash in eq.solve_all(game)) + 0.19


@pytest.mark.parametrize("seed", range(3))
def test_discounted_games_are_never_worth_less_than_the_nash_equilibrium_it_starts_from(seed):
    game = eq.load("catalog:random", seed=seed, players=2, states=4, actions=3)
    solution = eq.solve(game, "public-correlated", signals=3)
    assert solution.certified
    assert solution.objective_value is not None
    assert solution.signal is not None
    assert solution.objective_value >= welfare(eq.solve(game), game) - 1e-9
    assert solution.signal.shape == (4, 3)
    assert solution.objective_value == pytest.approx(welfare(solution, game), abs=1e-9)


def test_three_players_and_weights():
    payoffs = np.random.default_rng(3).random((3, 2, 2, 2))
    game = eq.TabularGame.from_payoffs(payoffs)
    best = eq.solve(game, "public-correlated", objective=[1.0, 0.0, 0.0])
    assert best.certified
    assert best.values[0, 0] >= max(nash.values[0, 0] for nash in eq.solve_all(game)) - 1e-9


def test_it_is_saved_read_and_judged_again(tmp_path):
    game = eq.load("catalog:public_signal")
    solution = eq.solve(game, "public-correlated")
    solution.save(tmp_path / "solution.npz")
    read = eq.load_solution(tmp_path / "solution.npz", game=game)
    assert read.certified
    assert not read.recorded
    assert (read.signal == solution.signal).all()
    assert read.route is None  # said of the game that it was found in, not of the one that it is judged by
    as_it_was = eq.load_solution(tmp_path / "solution.npz")
    assert as_it_was.recorded
    assert as_it_was.route == solution.route


def test_the_most_random_mixture_of_two_pure_equilibria_is_even():
    laws = np.array([np.diag([1.0, 0.0]), np.diag([0.0, 1.0])])
    weights, chosen = best_mixture(np.array([[3.0, 1.0], [1.0, 3.0]]), laws, None, 2)
    assert chosen == [0, 1]
    np.testing.assert_allclose(weights, 0.5)


def test_of_many_equally_good_equilibria_those_are_kept_that_treat_the_players_alike():
    values = np.array([[3.0, 1.0], [2.5, 1.5], [1.0, 3.0], [0.0, 0.0]])
    weights, chosen = best_mixture(values, np.ones((4, 2, 2)) / 4, np.ones(2), 2)
    assert sorted(chosen) == [0, 2]
    np.testing.assert_allclose(weights @ values[chosen], 2.0)


def test_signals_must_be_at_least_one():
    with pytest.raises(eq.BadInput, match="signals must be from 1 to 1000"):
        eq.solve("catalog:chicken", "public-correlated", signals=0)


class Clock:
    """Time that passes by a tenth of a second whenever somebody looks, or never."""

    def __init__(self, ticks=None):
        self.now, self.ticks = 0.0, ticks

    def perf_counter(self):
        if self.ticks is None:
            self.now += 0.1
            return self.now
        return self.ticks.now


def test_time_is_kept_between_the_states_of_a_sweep(monkeypatch):
    """A sweep over the states is broken off where time is up, whatever it has cost until then."""
    game = eq.load("catalog:random", seed=0, players=3, states=3, actions=3)
    nash = eq.solve(game, "public-correlated", sweeps=0)
    clock = Clock()
    monkeypatch.setattr("equinfer.drivers.glances.time", clock)  # looks at it between two searches
    monkeypatch.setattr("equinfer.drivers.incumbent.time", Clock(clock))
    whole = eq.solve(game, "public-correlated", sweeps=1, searches=3)
    assert whole.trace["sweep"].max() == 1
    took, clock.now = clock.now, 0.0
    assert took > 3.0
    solution = eq.solve(game, "public-correlated", time=1.0, searches=3)
    assert clock.now <= 1.3  # one look behind the end, of either party
    assert solution.status is eq.Status.certified
    assert solution.trace["sweep"].max() == 0
    assert solution.route == nash.route == "nash"
    assert solution.objective_value == nash.objective_value


def test_a_circle_is_walked_once():
    """The best choices of this game lead from one to another and back after three sweeps, for ever."""
    rng = np.random.default_rng
    reward, kernel = rng(2).normal(size=(3, 2, 2, 2, 2)), rng(1).dirichlet([1, 1], (2, 2, 2, 2))
    found = eq.solve(eq.TabularGame(reward, kernel, discount=0.6), "public-correlated", searches=3)
    assert found.certified
    assert found.route == "nash"
    changes = found.trace["change"][np.flatnonzero(np.diff(found.trace["sweep"], append=-1))]
    assert 2 < len(changes) < 10
    assert changes[1:].min() > 0.1


def test_alone_one_takes_the_best_action_and_searches_for_nothing(monkeypatch):
    """Against the values of dynamic programming, written out here."""
    monkeypatch.setattr("equinfer.solvers.correlated.stage_equilibria.EquilibriumSearch", None)
    rng = np.random.default_rng(0)
    reward, kernel = rng.normal(size=(1, 20, 4)), rng.dirichlet(np.ones(20), (20, 4))
    best = np.zeros(20)
    for _ in range(5):
        best = (reward[0] + kernel @ best).max(axis=1)
    solution = eq.solve(eq.TabularGame(reward, kernel, horizon=5), "public-correlated")
    assert solution.certified
    np.testing.assert_allclose(solution.values[0, 0], best, atol=1e-12)


def test_dominance_leaves_one_player_with_a_choice_or_two():
    """Player 0 has a best action whatever the others do; then the others play a battle of the sexes: 3 equilibria."""
    payoffs = np.zeros((3, 2, 2, 2))
    payoffs[0, 1] = 1.0
    payoffs[1:, :] = np.array([np.diag([3.0, 1.0]), np.diag([1.0, 3.0])])[:, None]
    actions = [np.arange(2)] * 3
    found = [p for p in stage_equilibria(payoffs, actions, searches=1, seed=0) if p is not None]
    seconds = sorted(float(profile[1][0]) for profile in found)
    np.testing.assert_allclose(seconds, [0.0, 0.75, 1.0], atol=1e-12)
    assert all(profile[0][1] == 1.0 for profile in found)
    payoffs[1, :, 1] += 5.0  # and now player 1 has one as well
    alone = [p for p in stage_equilibria(payoffs, actions, searches=1, seed=0) if p is not None]
    assert [profile[2].tolist() for profile in alone] == [[0.0, 1.0]]


def test_where_stage_nash_finds_nothing_it_begins_at_the_end_of_a_path(monkeypatch):
    game = eq.load("catalog:random", seed=1, players=2, states=3, actions=2)

    class Nothing(StageNash):
        def iterates(self, game, *, seed):
            return iter(())

    monkeypatch.setattr(first_nash, "StageNash", Nothing)
    begun = [iterate for iterate in first_nash.first_nash(game, 0) if iterate.candidate]
    assert len(begun) == 1
    assert eq.certify(game, begun[0].answer).gap <= 1e-10
    solution = eq.solve(game, "public-correlated", sweeps=1)
    assert solution.certified


def test_entropy_is_added_up_over_epochs_as_for_private_recommendations():
    """Coordination: its mixed equilibrium has log 4 in every epoch, and no law has more."""
    reward, kernel = np.tile(np.eye(2), (2, 1, 1, 1)), np.ones((1, 2, 2, 1))
    game = eq.TabularGame(reward, kernel, horizon=3)
    public, private = (eq.solve(game, concept, objective="entropy") for concept in ("public-correlated", "correlated"))
    assert public.objective_value == pytest.approx(3 * np.log(4), abs=1e-9)
    assert private.objective_value == pytest.approx(3 * np.log(4), abs=1e-9)
    for_ever = eq.solve(eq.TabularGame(reward, kernel, discount=0.5), "public-correlated", objective="entropy")
    assert for_ever.objective_value == pytest.approx(2 * np.log(4), abs=1e-9)

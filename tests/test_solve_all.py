"""All equilibria: known lists, parity, stability, what stops a search."""

import json
import threading
import time

import numpy as np
import pytest

import equinfer as eq
from equinfer import many
from equinfer.certificates.nash import certify_nash
from equinfer.cli import run
from equinfer.drivers.harvest import harvest
from equinfer.drivers.protocol import Task
from equinfer.families import Stability
from equinfer.games import catalog
from equinfer.solvers.tabular import equilibrium_search
from equinfer.solvers.tabular.equilibrium_search import EquilibriumSearch


def game_of(payoffs, **labels):
    return eq.TabularGame.from_payoffs(np.asarray(payoffs, float), **labels)


def rounded(profiles):
    return sorted(
        tuple(np.concatenate([np.ravel(policy) for policy in profile]).round(8) + 0.0) for profile in profiles
    )


def volunteers(benefit=2.0, cost=1.0):
    """Three players, each volunteers or waits; nobody gets anything unless somebody volunteers."""
    payoffs = np.full((3, 2, 2, 2), benefit)
    payoffs[:, 1, 1, 1] = 0.0
    for player in range(3):
        payoffs[player].swapaxes(0, player)[0] = benefit - cost
    return game_of(payoffs)


def repeated_places(num_states, **duration):
    """Battle of the sexes in each of some states, none of which is ever left."""
    stage = np.array([np.diag([2.0, 1.0]), np.diag([1.0, 2.0])])
    kernel = np.broadcast_to(np.eye(num_states)[:, None, None], (num_states, 2, 2, num_states))
    return eq.TabularGame(np.repeat(stage[:, None], num_states, axis=1), kernel, **duration)


@pytest.mark.parametrize("name", ["battle_of_the_sexes", "chicken", "climbing", "penalty", "shapley", "stag_hunt"])
def test_bimatrix_games_are_solved_completely(name):
    found = eq.solve_all(f"catalog:{name}")
    assert rounded(solution.profile for solution in found) == rounded(each.profile for each in catalog.equilibria(name))
    assert found.complete
    assert found.degenerate is False
    assert all(solution.certified for solution in found)
    assert found.welfare.tolist() == sorted(found.welfare, reverse=True)


def test_coordination_has_one_stable_equilibrium_per_action():
    # Any nonempty set of actions, played evenly by both: 2^4 - 1; mixing over m of them has beta = 1 / (m tau) > 1.
    found = eq.solve_all(game_of([np.eye(4), np.eye(4)]))
    assert found.complete
    assert len(found) == 15
    for solution, stability in zip(found, found.stabilities, strict=True):
        size = np.count_nonzero(solution.profile[0])
        assert stability.stable == (size == 1)
        if size > 1:
            assert stability.growth == pytest.approx(1 / (size * stability.temperature), rel=1e-6)
            assert stability.step_size == 0


def test_matching_pennies_is_stable_with_the_step_that_theory_allows():
    (stability,) = eq.solve_all("catalog:matching_pennies").stabilities
    # The response of either player to the other has the eigenvalue 1 / tau, with opposite signs: beta = +-i / tau.
    tau = 2 * stability.temperature  # in units of reward, of which either may win or lose one
    assert stability.stable is True
    assert stability.radius == pytest.approx(1 / tau, rel=1e-9)
    assert stability.step_size == pytest.approx(2 / (1 + 1 / tau**2), rel=1e-6)


@pytest.mark.parametrize("name", ["shapley", "jordan"])
def test_games_around_whose_equilibrium_learning_cycles_are_unstable(name):
    assert eq.solve_all(f"catalog:{name}").stable == (False,)


def test_three_volunteers():
    found = eq.solve_all(volunteers())
    # One volunteers; two wait with probability c/b = 1/2 while the third waits; all wait with probability sqrt(1/2).
    one, half, all_ = [1.0, 0.0], [0.5, 0.5], [1 - 0.5**0.5, 0.5**0.5]
    wait = [0.0, 1.0]
    expected = [np.roll([one, wait, wait], k, axis=0) for k in range(3)]
    expected += [np.roll([wait, half, half], k, axis=0) for k in range(3)]
    assert rounded(solution.profile for solution in found) == rounded([*expected, [all_] * 3])
    assert not found.complete  # not proven
    assert "not proven to be all" in found.message
    pure = [all(np.max(policy) == 1 for policy in solution.profile) for solution in found]
    assert found.stable == tuple(pure)


def test_the_number_of_equilibria_of_random_three_player_games_is_odd():
    # Wilson's theorem: an even number would mean that at least one has not been found.
    for seed in range(12):
        payoffs = np.random.default_rng(seed).normal(size=(3, 2, 3, 2))
        found = eq.solve_all(game_of(payoffs), searches=0)
        assert len(found) % 2 == 1
        assert max(solution.gap for solution in found) <= 1e-12 * found[0].payoff_scale


def test_the_search_finds_what_the_enumeration_proves():
    for seed in range(6):
        game = game_of(np.random.default_rng(seed).normal(size=(2, 4, 3)))
        tables = game.tables()
        task = Task(lambda profile, tables=tables: certify_nash(tables, profile), game.uniform_profile())
        searched = harvest(EquilibriumSearch(searches=0), game, task, eps=1e-8)
        assert rounded(one.profile for one in searched.found) == rounded(one.profile for one in eq.solve_all(game))


@pytest.mark.parametrize("duration", [{"discount": 0.5}, {"horizon": 1}], ids=["discounted", "one epoch"])
def test_states_that_are_never_left_multiply_their_equilibria(duration):
    found = eq.solve_all(repeated_places(2, **duration), searches=24)
    assert len(found) == 3**2
    assert len(set(found.components)) == 9
    mixes = [any(np.any((policy > 0) & (policy < 1)) for policy in solution.profile) for solution in found]
    assert found.stable == tuple(not mixed for mixed in mixes)
    assert sum(found.stable) == 2**2


def test_epochs_multiply_them_as_well():
    game = repeated_places(1, horizon=2)
    found = eq.solve_all(game, searches=12)
    assert len(found) == 3**2
    assert {policy.shape for solution in found for policy in solution.profile} == {(2, 1, 2)}
    assert sum(found.stable) == 4


def test_a_continuum_is_one_component_and_nothing_is_claimed_complete():
    # Row 0 dominates; the column player is then indifferent: {row 0} x all mixtures.
    found = eq.solve_all(game_of([[[1, 1], [0, 0]], [[1, 1], [0, 1]]]))
    assert rounded(one.profile for one in found) == [(1, 0, 0, 1), (1, 0, 1, 0)]
    assert found.degenerate
    assert not found.complete
    assert found.components == (0, 0)
    assert found.stable == (None, None)
    assert "degenerate" in found.message


def test_a_search_keeps_one_point_of_a_continuum_per_support():
    # Three players who earn the same whatever they do: everything is an equilibrium, on one component.
    found = eq.solve_all(game_of(np.zeros((3, 2, 2, 2))), searches=0)
    assert len(found) == 3**3
    assert set(found.components) == {0}


def test_relabelling_players_and_scaling_payoffs_changes_nothing_else():
    payoffs = np.random.default_rng(5).normal(size=(2, 5, 4))
    found = eq.solve_all(game_of(payoffs))
    mirrored = eq.solve_all(game_of(1e4 * payoffs[::-1].transpose(0, 2, 1) - 7))
    assert rounded(one.profile[::-1] for one in mirrored) == rounded(one.profile for one in found)
    assert sorted(mirrored.stable) == sorted(found.stable)


def test_time_and_interruptions_keep_what_was_found():
    short = eq.solve_all("catalog:random", time=0)
    assert short.status is eq.Status.out_of_time
    assert not short.complete

    def interrupt(row):
        if row["found"] >= 2:
            raise KeyboardInterrupt

    cut = eq.solve_all(volunteers(), watch=interrupt)
    assert cut.status is eq.Status.interrupted
    assert len(cut) == 2
    assert "interrupted" in cut.message


def test_threads_find_the_same_bit_by_bit(monkeypatch):
    """Three searches in threads at once, on a game whose known equilibria are also crossed."""
    game = repeated_places(2, discount=0.5)
    for module in (equilibrium_search, many):
        monkeypatch.setattr(module, "worth_threads", lambda game: True)
        monkeypatch.setattr(module, "cores", lambda: 1)
    alone = eq.solve_all(game, searches=12)
    for module in (equilibrium_search, many):
        monkeypatch.setattr(module, "cores", lambda: 3)
    threads = set()
    seen_by = equilibrium_search.StageNash.iterates

    def watched(self, game, *, seed):
        threads.add(threading.current_thread())
        yield from seen_by(self, game, seed=seed)

    monkeypatch.setattr(equilibrium_search.StageNash, "iterates", watched)
    beside = eq.solve_all(game, searches=12)
    assert len(threads) > 1
    assert len(beside) == len(alone) > 1
    for one, other in zip(alone, beside, strict=True):
        for policy, same in zip(one.profile, other.profile, strict=True):
            np.testing.assert_array_equal(policy, same)
    assert beside.stabilities == alone.stabilities
    assert beside.components == alone.components


def test_the_clock_is_kept_after_the_search_too(monkeypatch):
    """Stability, which is asked for the time at each of its steps, takes no more of it than there is."""
    asked = []

    def endless(game, profile, in_time):
        asked.append(in_time)
        while in_time():
            time.sleep(0.01)
        return Stability(None)

    monkeypatch.setattr(many, "stability", endless)
    began = time.perf_counter()
    found = eq.solve_all(volunteers(), searches=0, time=1.5)
    assert time.perf_counter() - began < 30  # it would not end at all
    assert len(asked) == 1
    assert len(found) == 7
    assert found.stable == (None,) * 7


@pytest.mark.parametrize("phase", ["stability", "_on_one_segment"])
def test_interruptions_after_the_search_keep_what_was_found(monkeypatch, phase):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(many, phase, interrupt)
    found = eq.solve_all(volunteers(), searches=0)
    assert found.status is eq.Status.interrupted
    assert len(found) == 7
    assert "interrupted" in found.message


def test_wrong_arguments_are_refused():
    with pytest.raises(eq.UnknownName, match="known: nash"):
        eq.solve_all("catalog:chicken", "wardrop")
    with pytest.raises(eq.BadInput, match="searches"):
        eq.solve_all("catalog:jordan", searches=-1)
    with pytest.raises(eq.BadInput, match="time"):
        eq.solve_all("catalog:chicken", time=-1)


def test_the_command_line_lists_them_and_writes_each(capsys, tmp_path):
    assert run(["solve", "catalog:battle_of_the_sexes", "--all", "--out", str(tmp_path / "all")]) == 0
    out = capsys.readouterr().out
    assert "3 found: all equilibria" in out
    assert "unstable" in out
    names = [f"equilibrium-00{k}.npz" for k in range(3)]
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [*names, "report.html", "result.json"]
    record = json.loads((tmp_path / "all" / "result.json").read_text())
    assert [each["stable"] for each in record["equilibria"]] == [True, True, False]
    assert record["complete"] is True
    for name in names:
        assert run(["certify", "catalog:battle_of_the_sexes", str(tmp_path / "all" / name)]) == 0
    page = (tmp_path / "all" / "report.html").read_text()
    assert page.count('id="equilibrium-') == 3


def test_the_command_line_prints_json_and_refuses_what_does_not_go_together(capsys):
    assert run(["solve", "catalog:chicken", "--all", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["found"] == 3
    assert run(["solve", "catalog:chicken", "--all", "--solver", "homotopy"]) == 2
    assert run(["solve", "catalog:chicken", "--all", "--option", "depth=3"]) == 2
    assert "known: searches" in capsys.readouterr().err


@pytest.mark.slow
def test_eight_actions_a_side():
    found = eq.solve_all(game_of([np.eye(8), np.eye(8)]))
    assert len(found) == 2**8 - 1
    assert found.complete


@pytest.mark.peers
def test_nashpy_finds_the_same():
    nashpy = pytest.importorskip("nashpy")
    for seed in range(10):
        payoffs = np.random.default_rng(seed).random((2, 5, 5))
        found = eq.solve_all(game_of(payoffs))
        assert rounded(one.profile for one in found) == rounded(nashpy.Game(*payoffs).vertex_enumeration())


@pytest.fixture
def gambit(tmp_path):
    """All equilibria of given payoffs, by a method of Gambit's."""
    pygambit = pytest.importorskip("pygambit")

    def equilibria(payoffs, method, **options):
        eq.save(game_of(payoffs), tmp_path / "game.nfg")
        game = pygambit.read_nfg(tmp_path / "game.nfg")
        found = getattr(pygambit.nash, method)(game, **options).equilibria
        return [
            tuple(
                np.array([float(mixture[label]) for label in game.get_strategies(player)])
                for player, mixture in zip(game.players, profile, strict=True)
            )
            for profile in found
        ]

    return equilibria


@pytest.mark.peers
@pytest.mark.parametrize("sizes", [(2, 2), (2, 8), (3, 5), (5, 5), (6, 6), (7, 8), (8, 8)], ids=str)
def test_gambit_finds_the_same_in_bimatrix_games(gambit, sizes):
    """Gambit enumerates the extreme equilibria by vertices, in floating point and, for games with ties, exactly."""
    for seed in range(3):
        generator = np.random.default_rng([seed, *sizes])
        generic = generator.normal(size=(2, *sizes))
        found = eq.solve_all(game_of(generic))
        assert found.complete
        theirs = gambit(generic, "enummixed_solve", rational=False)
        assert rounded(one.profile for one in found) == rounded(theirs)
        tied = generator.integers(0, 4, size=(2, *sizes))
        found = eq.solve_all(game_of(tied))
        theirs = gambit(tied, "enummixed_solve", rational=True)
        assert set(rounded(one.profile for one in found)) == set(rounded(theirs))


@pytest.mark.peers
@pytest.mark.parametrize("sizes", [(2, 2, 2), (3, 2, 2), (2, 2, 2, 2)], ids=str)
def test_gambit_finds_the_same_with_more_players(gambit, sizes):
    """What Gambit finds is found; it solves the polynomial systems of all supports by subdivision of boxes. There can
    be more: 17.0.0b2 misses an interior equilibrium in one of ten 2 x 2 x 2 games, and then finds an even number.
    """
    for seed in range(12):
        payoffs = np.random.default_rng([seed, *sizes]).normal(size=(len(sizes), *sizes))
        found = [np.concatenate([np.ravel(policy) for policy in one.profile]) for one in eq.solve_all(game_of(payoffs))]
        theirs = [np.concatenate(profile) for profile in gambit(payoffs, "enumpoly_solve")]
        assert len(found) % 2 == 1
        for one in theirs:
            assert min(np.abs(one - other).max() for other in found) < 1e-5


def test_isolated_equilibria_on_one_line_are_all_kept():
    """Three symmetric mixed equilibria of four players, the second halfway between the others: playing 1 pays g(k)
    against k others, and sum_k C(3,k) p^k (1-p)^(3-k) g(k) is proportional to (p - 1/4)(p - 1/2)(p - 3/4).
    """
    g = np.array([-3 / 32, 13 / 96, -13 / 96, 3 / 32])
    payoffs = np.zeros((4, 2, 2, 2, 2))
    for joint in np.ndindex(2, 2, 2, 2):
        for i in range(4):
            payoffs[(i, *joint)] = g[sum(joint) - 1] if joint[i] else 0.0
    found = eq.solve_all(eq.TabularGame.from_payoffs(payoffs))
    for p in (1 / 4, 1 / 2, 3 / 4):
        apart = [max(abs(policy[0, 1] - p) for policy in one.profile) for one in found]
        assert min(apart) < 1e-9


def test_strict_equilibria_are_on_no_continuum():
    coordination = eq.TabularGame(np.array([[np.eye(2)]] * 2), np.ones((1, 2, 2, 1)), discount=0.5)
    found = eq.solve_all(coordination)
    assert len(found) == 3
    assert len(set(found.components)) == 3


def test_what_is_left_out_for_its_gap_is_counted_and_never_called_all():
    payoffs = np.zeros((2, 3, 3))
    payoffs[:, range(3), range(3)] = [[1.0, 10.0, 100.0], [3.0, 30.0, 300.0]]
    game = eq.TabularGame.from_payoffs(payoffs)
    whole = eq.solve_all(game)
    assert whole.complete
    assert len(whole) == 7
    known_within = sorted(one.gap + one.certificate.numerical_error for one in whole)
    assert known_within[0] < known_within[-1]
    some = eq.solve_all(game, eps=known_within[-1] * (1 - 1e-6))
    assert 0 < len(some) < 7
    assert not some.complete
    assert f"{7 - len(some)} more candidate" in some.message
    none = eq.solve_all(game, eps=0.0)
    assert not none
    assert "7 more candidates are left out" in none.message


def test_equilibria_that_lie_too_close_to_be_told_apart_are_never_called_all():
    # Payoffs over ten orders of magnitude: of five equilibria, in rationals, three differ by more than 1e-6.
    row = np.array([[-1e4, 54, 4.1e-5], [1.7e-4, -5.4e4, 5.1e-5], [2700, 7.4e4, -4.2e-4]])
    found = eq.solve_all(game_of([row, row.T]))
    assert len(found) < 5
    assert not found.complete


def test_components_keep_to_the_time():
    # 8191 equilibria, of which every pair may share a mixture.
    began = time.perf_counter()
    found = eq.solve_all(game_of([np.eye(13)] * 2), time=2)
    assert time.perf_counter() - began < 4
    assert found.status is eq.Status.out_of_time

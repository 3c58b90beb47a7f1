"""A Nash equilibrium does not depend on the units in which players count their payoffs; nor may what solvers find."""

import dataclasses

import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates import certify_nash
from equinfer.games.units import in_comparable_units

PENNIES = np.array([[[1.0, -1], [-1, 1]], [[-1.0, 1], [1, -1]]])
HEADS = ([1, 0], [1, 0])


def one_shot(seed: int) -> eq.TabularGame:
    return eq.TabularGame.from_payoffs(np.random.default_rng(seed).uniform(size=(2, 3, 4)))


def stochastic(seed: int) -> eq.TabularGame:
    rng = np.random.default_rng(seed)
    reward, kernel = rng.normal(size=(2, 3, 2, 3)), rng.dirichlet(np.ones(3), size=(3, 2, 3))
    return eq.TabularGame(reward, kernel, discount=0.9)


def rescaled(game: eq.TabularGame, factors: tuple[float, ...]) -> eq.TabularGame:
    tables = game.tables()
    unit = np.reshape(factors, (-1, *[1] * (tables.reward.ndim - 1)))
    return eq.TabularGame(tables.reward * unit, tables.kernel, discount=tables.discount, horizon=tables.horizon)


CASES = [
    ("support", one_shot),
    ("lemke-howson", one_shot),
    ("stage-nash", one_shot),
    ("auto", stochastic),
    ("stage-nash", stochastic),
    ("homotopy", stochastic),
]


@pytest.mark.parametrize(("solver", "make"), CASES)
@pytest.mark.parametrize("factors", [(2.0**20, 2.0**-20), (2.0**-20, 1.0)])
def test_powers_of_two_change_no_bit(solver, make, factors):
    # The branch that the homotopy follows is that of the units as they are while these are comparable, so that only
    # between games whose units are the same powers of two it must not move.
    for seed in (0, 5, 7) if solver == "homotopy" else range(4):
        game = make(seed)
        assert solver != "homotopy" or np.ptp(np.frexp(game.tables().reward_ranges)[1]) == 0
        plain, scaled = eq.solve(game, solver=solver), eq.solve(rescaled(game, factors), solver=solver)
        for a, b in zip(plain.profile, scaled.profile, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("solver", "make"), CASES)
@pytest.mark.parametrize("factors", [(1e6, 1e-6), (1e-6, 1e6)])
def test_any_units_lead_to_an_equilibrium_of_the_game(solver, make, factors):
    for seed in range(6):
        game = make(seed)
        found = eq.solve(rescaled(game, factors), solver=solver)
        assert found.certified
        assert not found.warnings
        judged = eq.certify(game, found.profile)
        assert judged.gap <= 1e-12 * game.tables().payoff_scale


def test_finite_horizons_and_all_equilibria():
    game = stochastic(1).tables()
    short = eq.TabularGame(game.reward, game.kernel, horizon=3)
    for solver in ("stage-nash", "homotopy"):
        found = eq.solve(rescaled(short, (1e6, 1e-6)), solver=solver)
        assert eq.certify(short, found.profile).gap <= 1e-12 * short.tables().payoff_scale
    plain, scaled = (eq.solve_all(g) for g in (one_shot(3), rescaled(one_shot(3), (2.0**20, 2.0**-20))))
    assert len(plain) == len(scaled)
    for a, b in zip(plain, scaled, strict=True):
        np.testing.assert_array_equal(np.concatenate(a.profile, axis=1), np.concatenate(b.profile, axis=1))


def test_the_search_for_all_finds_equilibria_in_any_units():
    game = stochastic(0)
    found = eq.solve_all(rescaled(game, (1e6, 1e-6)), searches=4)
    assert len(found) >= 1
    for solution in found:
        assert eq.certify(game, solution.profile).gap <= 1e-12 * game.tables().payoff_scale


def test_a_sweep_follows_equilibria_in_any_units():
    start, end = (stochastic(seed).tables() for seed in (0, 10))

    def between(x: float) -> eq.TabularGame:
        return eq.TabularGame(start.reward + x * (end.reward - start.reward), start.kernel, discount=0.9)

    swept = eq.sweep(lambda x: rescaled(between(x), (1e6, 1e-6)), "x", np.linspace(0, 1, 5))
    for x, solution in zip(swept.parameter_values, swept, strict=True):
        game = between(float(x))
        assert eq.certify(game, solution.profile).gap <= 1e-11 * game.tables().payoff_scale


def test_only_what_is_incomparable_is_multiplied_and_only_upwards():
    game = rescaled(stochastic(0), (2.0**30, 1.0))
    assert in_comparable_units(game, np.inf) is game
    assert in_comparable_units(game, 2.0**40) is game
    together = in_comparable_units(game, 1.0).tables()
    np.testing.assert_array_equal(together.reward[0], game.tables().reward[0])
    assert np.ptp(np.frexp(together.reward_ranges)[1]) == 0
    still = rescaled(stochastic(0), (2.0**30, 0.0))
    assert in_comparable_units(still, 1.0) is still
    tiny = eq.TabularGame.from_payoffs(np.stack([1e300 * PENNIES[0], 1e300 + 1e290 * PENNIES[1]]))
    assert np.isfinite(in_comparable_units(tiny, 1.0).tables().reward).all()


def test_each_player_has_an_error_of_its_own():
    game = eq.TabularGame.from_payoffs(PENNIES * np.array([1e9, 1]).reshape(2, 1, 1))
    certificate = eq.certify(game, HEADS)
    np.testing.assert_allclose(certificate.per_player, [0, 2], atol=1e-6)
    np.testing.assert_allclose(certificate.per_player_error[0] / certificate.per_player_error[1], 2.0**29, rtol=0.5)
    assert certificate.numerical_error == certificate.per_player_error.max()
    np.testing.assert_array_equal(certificate.payoff_scales, [2e9, 2])
    assert not certificate.settled(1e-3)
    assert certificate.settled(1.0)


@pytest.mark.parametrize("unit", [1e-310, 5e-324, 1e-200, 1e300])
def test_an_error_underflows_to_zero_for_constant_payoffs_only(unit):
    certificate = eq.certify(eq.TabularGame.from_payoffs(unit * PENNIES), HEADS)
    assert certificate.gap == 2 * unit
    assert (certificate.per_player_error > 0).all()
    assert (eq.certify(eq.TabularGame.from_payoffs(0 * PENNIES), HEADS).per_player_error == 0).all()
    batch = eq.solve_batch(unit * PENNIES[None])
    assert (batch.numerical_errors > 0).all()


def test_a_total_loss_of_small_stakes_is_certified_with_a_warning(tmp_path):
    game = eq.TabularGame.from_payoffs(
        PENNIES * np.array([1e9, 1]).reshape(2, 1, 1), player_labels=["giant", "dwarf"], name="pennies"
    )
    certificate = eq.certify(game, HEADS)
    eps = 1e-8 * game.tables().payoff_scale
    assert certificate.holds(eps)
    (sentence,) = certificate.warnings(eps, ["giant", "dwarf"])
    assert "player dwarf is 2, and its own payoff scale only 2" in sentence
    assert "Warning: " in repr(certificate)
    assert certificate.warnings(1e-9) == ()  # nothing is certified
    fair = eq.solve(game)
    assert fair.warnings == ()
    assert fair.to_json()["warnings"] == []
    profile = tuple(np.array([policy], float) for policy in HEADS)
    sold = dataclasses.replace(fair, profile=profile, certificate=certificate)
    assert sold.certified
    assert sold.to_json()["warnings"] == [sentence]
    assert sentence in repr(sold)
    sold.report(tmp_path / "report.html")
    assert sentence in (tmp_path / "report.html").read_text()
    sold.save(tmp_path / "sold.npz")
    assert eq.load_solution(tmp_path / "sold.npz").warnings == (sentence,)


def test_an_answer_of_equal_stakes_is_never_warned_of():
    near = certify_nash(eq.TabularGame.from_payoffs(PENNIES).tables(), ([0.5 + 4e-9, 0.5 - 4e-9], [0.5, 0.5]))
    assert near.holds(2e-8)
    assert near.warnings(2e-8) == ()
    assert near.warnings(0.1) == ()


def test_what_was_certified_cannot_be_written_to(tmp_path):
    game = one_shot(0)
    solution = eq.solve(game)
    for array in (
        *solution.profile,
        solution.values,
        solution.certificate.per_player,
        solution.certificate.per_player_error,
        solution.certificate.deviation(0).gain,
    ):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0.0


def test_a_loaded_verdict_is_a_record_until_it_is_judged(tmp_path):
    game = one_shot(0)
    solution = eq.solve(game)
    assert not solution.recorded
    uniform = tuple(np.full_like(policy, 1 / policy.shape[1]) for policy in solution.profile)
    dataclasses.replace(solution, profile=uniform).save(tmp_path / "forged.npz")
    forged = eq.load_solution(tmp_path / "forged.npz")
    assert forged.certified
    assert forged.recorded
    assert "certified, as recorded" in repr(forged)
    judged = eq.load_solution(tmp_path / "forged.npz", game=game)
    assert judged.gap == eq.certify(game, uniform).gap > 0
    assert judged.status is eq.Status.above_eps
    assert not judged.certified
    assert "recorded" not in repr(judged)

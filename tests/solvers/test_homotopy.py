"""The path: closed forms, the linearisation, selection, and games solved. Gaps are the certificate's own."""

import itertools

import numpy as np
import pytest

import equinfer.solvers.tabular.bordered as bordered
from equinfer.certificates.nash import certify_nash
from equinfer.errors import BadInput
from equinfer.games.catalog import load
from equinfer.games.tabular import TabularGame
from equinfer.solvers.tabular.homotopy import Homotopy, flat_magnet, log_of
from equinfer.solvers.tabular.next_values import SparseNextValues, next_values
from equinfer.solvers.tabular.path import PathEnd, follow
from equinfer.solvers.tabular.qre import QRESystem
from equinfer.solvers.tabular.scaled import ScaledGame


def bimatrix(first, second=None):
    first = np.array(first, float)
    return TabularGame.from_payoffs(np.stack([first, first.T if second is None else np.array(second, float)]))


def random_game(num_players, num_states, num_actions, seed, discount=0.95, **options):
    """Payoffs uniform on [0, 1], transitions uniform on the simplex, drawn as sgamesolver draws them."""
    rng = np.random.default_rng(seed)
    actions = [num_actions] * num_players if isinstance(num_actions, int) else list(num_actions)
    reward = np.stack([rng.random((num_players, *actions)) for _ in range(num_states)], axis=1)
    weights = np.stack([rng.exponential(size=(*actions, num_states)) for _ in range(num_states)])
    return TabularGame(reward, weights / weights.sum(axis=-1, keepdims=True), discount, **options)


def first_candidate(game, seed=0, **options):
    return next((it for it in Homotopy(**options).iterates(game, seed=seed) if it.candidate), None)


def solved_gap(game, **options):
    found = first_candidate(game, **options)
    assert found is not None
    return certify_nash(game.tables(), found.answer).gap


# --- points of the path -----------------------------------------------------------------------------------------


def test_dominance_by_a_constant_is_a_logistic_curve():
    # Defecting is worth 1 more whatever the other does: p(defect) = 1 / (1 + exp(-1 / tau)) on the whole path.
    game = bimatrix([[3, 0], [4, 1]])
    for iterate in itertools.islice(Homotopy(tolerance=1e-10).iterates(game, seed=0), 1, 5):
        if not iterate.candidate:
            expected = 1 / (1 + np.exp(-1 / iterate.info["temperature"]))
            for policy in iterate.answer:
                np.testing.assert_allclose(policy[0, 1], expected, atol=1e-9)


def test_path_of_asymmetric_matching_pennies_solves_its_logit_equations():
    # tau log(p / (1 - p)) = 10 q - 1 and tau log(q / (1 - q)) = 1 - 2 p, by the payoffs below.
    game = bimatrix([[9, 0], [0, 1]], [[0, 1], [1, 0]])
    points = [it for it in itertools.islice(Homotopy(tolerance=1e-10).iterates(game, seed=0), 1, 6) if not it.candidate]
    assert len(points) >= 3
    for iterate in points:
        tau, (p, q) = iterate.info["temperature"], (policy[0, 0] for policy in iterate.answer)
        np.testing.assert_allclose(tau * np.log(p / (1 - p)), 10 * q - 1, atol=1e-8 * tau)
        np.testing.assert_allclose(tau * np.log(q / (1 - q)), 1 - 2 * p, atol=1e-8 * tau)


def test_start_is_the_magnet_at_infinite_temperature():
    game = random_game(2, 3, (2, 3), 0)
    start = next(Homotopy().iterates(game, seed=0))
    assert start.info["temperature"] == np.inf
    for played, uniform in zip(start.answer, game.uniform_profile(), strict=True):
        np.testing.assert_allclose(played, uniform)


def test_gap_along_the_path_is_within_theorem_a():
    game = random_game(3, 4, (2, 3, 2), 1, discount=[0.9, 0.5, 0.8])
    seen = 0
    for iterate in Homotopy().iterates(game, seed=0):
        assert iterate.info["residual"] <= 1e-7
        if iterate.candidate:
            break
        gap = certify_nash(game.tables(), iterate.answer).gap
        assert gap <= iterate.info["bound"]
        if np.isfinite(iterate.info["bound"]):
            bounds = iterate.info["temperature"] * np.log([2, 3, 2]) / (1 - np.array([0.9, 0.5, 0.8]))
            np.testing.assert_allclose(iterate.info["bound"], bounds.max())
            seen += 1
    assert seen > 3


# --- the linearisation ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def linearised():
    """A game with unequal action counts, discounts and legal actions, off the branch, and its dense Jacobian."""
    rng = np.random.default_rng(3)
    legal = (np.array([[1, 1], [1, 1], [1, 1]], bool), np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool))
    game = random_game(2, 3, (2, 3), 5, discount=[0.9, 0.6], legal=legal)
    scaled = ScaledGame.of(game)
    magnet = np.where(scaled.legal, rng.random(scaled.legal.shape) + 0.1, 0.0)
    magnet /= scaled.totals(magnet)[:, scaled.owner]
    system = QRESystem(scaled, log_of(magnet, scaled))
    logits = np.where(scaled.legal, rng.normal(size=scaled.legal.shape), 0.0)
    point = system.join(logits, rng.normal(size=(3, 2)), 1.7)
    border = rng.normal(size=point.size)
    border[: logits.size] *= scaled.legal.ravel()
    reward, kernel, discount = scaled.reward, scaled.kernel.probabilities, [0.9, 0.6]
    players = [slice(0, 2), slice(2, 5)]

    def equations(z):
        beta, value, rate = z[:15].reshape(3, 5), z[15:21].reshape(3, 2), z[21]
        weights = np.where(scaled.legal, np.exp(beta), 0.0)
        first, second = (weights[:, c] / weights[:, c].sum(axis=1, keepdims=True) for c in players)
        q = [reward[i] + discount[i] * np.einsum("sabt,t->sab", kernel, value[:, i]) for i in range(2)]
        own = np.hstack([np.einsum("sab,sb->sa", q[0], second), np.einsum("sab,sa->sb", q[1], first)])
        gain = np.where(scaled.legal, own - value[:, [0, 0, 1, 1, 1]], 0.0)
        soft = np.where(scaled.legal, magnet * np.exp(rate * gain), 0.0)
        totals = [np.log(soft[:, c].sum(axis=1)) / rate for c in players]
        return np.concatenate([(beta - system.log_magnet - rate * gain).ravel(), np.stack(totals, axis=1).ravel()])

    # Complex steps: derivatives of analytic functions without cancellation.
    columns = [equations(point + 1e-30j * unit).imag / 1e-30 for unit in np.eye(point.size)]
    jacobian = np.vstack([np.stack(columns, axis=1), border])
    return system, point, border, equations(point), jacobian


@pytest.mark.parametrize(("worst", "kept"), [(bordered.WORST_CONDITION, 0), (0.0, 3), (2.3, 1)])
def test_eliminated_solve_is_the_dense_solve(linearised, worst, kept, monkeypatch):
    system, point, border, equations, jacobian = linearised
    monkeypatch.setattr(bordered, "WORST_CONDITION", worst)
    here = system.evaluate(point)
    np.testing.assert_allclose(np.concatenate([here.response_error.ravel(), here.value_error.ravel()]), equations)
    factored = system.linearise(here, point, border)
    assert len(factored.kept) == kept
    step, _ = system.solve(factored, here.response_error, here.value_error, 0.3)
    np.testing.assert_allclose(jacobian @ step, np.append(-equations, 0.3), atol=1e-11)
    tangent, _ = system.tangent(factored)
    np.testing.assert_allclose(jacobian @ tangent, np.append(np.zeros(equations.size), 1.0), atol=1e-11)
    # (-1)^(N S) makes the sign +1 at infinite temperature; here N S = 6.
    assert factored.sign == np.linalg.slogdet(jacobian)[0]


# --- which equilibrium ------------------------------------------------------------------------------------------


def coldest_points(game):
    """The last two points of the uniform magnet's branch, followed without any polish until temperature 1e-6."""
    scaled = ScaledGame.of(game)
    system = QRESystem(scaled, log_of(flat_magnet(game, None), scaled))
    *_, before, last, end = follow(system, tolerance=1e-10, coldest=1e6)
    assert end is PathEnd.cold
    return [(point.rate, scaled.split(point.policy)) for point in (before, last)]


@pytest.mark.parametrize(("safe", "chosen"), [(1.9, 0), (2.1, 1)])
def test_principal_branch_of_stag_hunt_is_risk_dominant(safe, chosen):
    # Stag 4 or 0, hare `safe` always: hare is risk-dominant iff safe > 2 (Harsanyi and Selten 1988); the logit branch
    # of a symmetric 2 x 2 game ends at the risk-dominant equilibrium (McKelvey and Palfrey 1995).
    found = first_candidate(bimatrix([[4, 0], [safe, safe]]))
    assert found is not None
    for policy in found.answer:
        np.testing.assert_allclose(policy[0, chosen], 1.0, atol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_first_equilibrium_is_the_limit_of_the_branch(seed):
    rng = np.random.default_rng(seed)
    game = TabularGame.from_payoffs(rng.random([(2, 4, 5), (3, 3, 2, 3)][seed % 2]))
    found = first_candidate(game)
    assert found is not None
    assert found.info["attempt"] == 0
    (early, warm), (late, cold) = coldest_points(game)
    tables = game.tables()
    # Theorem A at the last temperature, which is in units of the payoff scale.
    assert certify_nash(tables, cold).gap <= np.log(max(game.num_actions)) / late * tables.payoff_scale
    # Near a regular equilibrium the branch is smooth in the temperature: the straight line through both points misses
    # zero temperature by half its curvature, below 1e3 in these games, times both temperatures.
    for policy, before, last in zip(found.answer, warm, cold, strict=True):
        np.testing.assert_allclose(policy, (late * last - early * before) / (late - early), atol=1e3 / (early * late))


def test_magnet_changes_the_branch():
    game = bimatrix([[2, 0], [0, 1]])
    for action, weight in ((0, 0.9), (1, 0.05)):
        magnet = tuple(np.array([[weight, 1 - weight]]) for _ in range(2))
        found = first_candidate(game, magnet=magnet)
        assert found is not None
        np.testing.assert_allclose([policy[0, action] for policy in found.answer], 1.0)


def test_random_magnets_find_the_other_equilibria():
    # Chicken: two pure equilibria and the symmetric mixed one (1/3 dare), where the uniform branch meets another.
    game, seen = bimatrix([[0, 7], [2, 6]]), set()
    for iterate in Homotopy(restarts=10).iterates(game, seed=0):
        if iterate.candidate:
            seen.add(tuple(round(float(policy[0, 0]), 6) for policy in iterate.answer))
    assert seen == {(0.0, 1.0), (1.0, 0.0), (0.333333, 0.333333)}


def test_uniform_branch_of_symmetric_chicken_ends_where_branches_cross():
    game = bimatrix([[0, 7], [2, 6]])
    scaled = ScaledGame.of(game)
    *_, end = follow(QRESystem(scaled, log_of(flat_magnet(game, None), scaled)))
    assert end is PathEnd.branching


def test_same_seed_same_iterates():
    game = bimatrix([[0, 7], [2, 6]])
    first, second = ([*Homotopy(restarts=2).iterates(game, seed=4)] for _ in range(2))
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        assert one.info == other.info
        for policy, again in zip(one.answer, other.answer, strict=True):
            np.testing.assert_array_equal(policy, again)


@pytest.mark.parametrize(("unit", "origins", "accuracy"), [(1024.0, (0.0, 0.0), 0.0), (1000.0, (5e4, -3e5), 1e-4)])
def test_units_and_origins_of_payoffs_do_not_matter(unit, origins, accuracy):
    # A power of two changes no digit. Origins 300 units away cost digits of the payoffs, and through corrections that
    # are small enough to feel it, of the lengths of steps: the same curve, but not quite the same points of it.
    game = random_game(2, 3, 3, 6, discount=0.8)
    moved = unit * np.asarray(game.reward) + np.array(origins).reshape(2, 1, 1, 1)
    found, other = (first_candidate(g) for g in (game, TabularGame(moved, game.kernel.probabilities, discount=0.8)))
    assert found is not None
    assert other is not None
    np.testing.assert_allclose(other.info["temperature"], unit * found.info["temperature"], rtol=accuracy)
    for policy, again in zip(found.answer, other.answer, strict=True):
        np.testing.assert_allclose(policy, again, atol=1e-9)


# --- games solved -----------------------------------------------------------------------------------------------

PENALTY = [[-100, 0, 10], [0, 2, 0], [10, 0, -100]]
HARD = {
    "prisoner's dilemma": bimatrix([[3, 0], [5, 1]]),
    "everything is an equilibrium": bimatrix(np.zeros((3, 3))),
    "weakly dominated": bimatrix([[1, 1], [1, 0]]),
    "duplicate actions": bimatrix([[1, 1, 0], [1, 1, 0], [0, 0, 2]]),
    "penalty": bimatrix(PENALTY, PENALTY),
    "symmetric coordination": bimatrix(np.eye(4)),
    "zero-one payoffs": TabularGame.from_payoffs(np.random.default_rng(2).integers(0, 3, (2, 8, 8)).astype(float)),
    "three players, ties": TabularGame.from_payoffs(
        np.random.default_rng(1).integers(0, 2, (3, 3, 3, 3)).astype(float)
    ),
}


def nine_equilibria():
    """The 2 x 2 x 2 game with nine equilibria of McKelvey and McLennan (1997); `2x2x2.nfg` of Gambit."""
    payoffs = np.zeros((3, 2, 2, 2))
    for joint, values in {
        (0, 0, 0): (9, 8, 12),
        (1, 1, 0): (9, 8, 2),
        (0, 1, 1): (3, 4, 6),
        (1, 0, 1): (3, 4, 4),
    }.items():
        payoffs[(slice(None), *joint)] = values
    return TabularGame.from_payoffs(payoffs)


@pytest.mark.parametrize("game", [*HARD.values(), nine_equilibria()], ids=[*HARD, "nine equilibria"])
def test_hard_one_shot_games(game):
    assert solved_gap(game) <= 1e-12 * game.tables().payoff_scale


@pytest.mark.parametrize("shape", [(2, 20, 20), (3, 6, 6, 6), (6, *(3,) * 6)])
def test_random_one_shot_games(shape):
    assert solved_gap(TabularGame.from_payoffs(np.random.default_rng(0).random(shape))) <= 1e-12


@pytest.mark.parametrize(("size", "seed"), [((2, 5, 4), 0), ((2, 5, 4), 5), ((3, 5, (2, 3, 4)), 0), ((2, 20, 4), 2)])
def test_random_stochastic_games(size, seed):
    discount = 0.95 if size[0] == 2 else [0.95, 0.5, 0.0]
    assert solved_gap(random_game(*size, seed, discount=discount)) <= 1e-10


@pytest.mark.slow
def test_action_of_tiny_probability_belongs_to_the_support():
    # The branch ends where an action has probability .001: small, but it does not fall with the temperature.
    game = load("random", players=2, states=100, actions=4, discount=0.95, seed=1)
    found = first_candidate(game)
    assert found is not None
    assert found.info["attempt"] == 0
    smallest = min(policy[policy > 0].min() for policy in found.answer)
    assert smallest < 2e-3
    assert certify_nash(game.tables(), found.answer).gap <= 1e-10


@pytest.mark.slow
def test_sharp_turn_of_the_principal_branch_is_followed():
    # At an inverse temperature of 26 this branch turns within a thousandth of a Fisher length.
    found = first_candidate(load("random", players=3, states=50, actions=4, discount=0.95, seed=6))
    assert found is not None
    assert found.info["attempt"] == 0


@pytest.mark.parametrize(("firms", "levels", "investments"), [(2, 10, 3), (3, 6, 2)])
def test_industries_by_sparse_factors(firms, levels, investments):
    # Symmetric games, whose branches may cross; every state has few successors.
    game = load("quality_ladder", firms=firms, levels=levels, investments=investments)
    assert isinstance(next_values(ScaledGame.of(game)), SparseNextValues)
    assert solved_gap(game) <= 1e-12 * game.tables().payoff_scale


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "size", [(2, 5, 4), (3, 5, 4), (5, 5, 4), (2, 20, 4), (3, 20, 4), (4, 20, 3), (2, 20, 10), (2, 50, 4)], ids=str
)
def test_rows_of_the_benchmark(size, seed):
    assert solved_gap(random_game(*size, seed)) <= 1e-10


def test_one_player_gets_the_values_of_value_iteration():
    game = random_game(1, 6, 3, 0, discount=0.9)
    found = first_candidate(game)
    assert found is not None
    value = np.zeros(6)
    for _ in range(600):
        q = game.reward[0] + 0.9 * game.kernel.probabilities @ value
        value = q.max(axis=1)
    np.testing.assert_array_equal(found.answer[0].argmax(axis=1), q.argmax(axis=1))
    np.testing.assert_allclose(certify_nash(game.tables(), found.answer).values[0], value, atol=1e-12)


def test_illegal_actions_are_never_played_and_change_nothing():
    full = random_game(2, 4, (2, 3), 3, discount=0.9)
    legal = (np.ones((4, 3), bool), np.ones((4, 3), bool))
    legal[0][:, 1] = False
    reward = np.full((2, 4, 3, 3), 77.0)  # what stands at illegal joint actions is noise
    reward[:, :, [0, 2]] = full.reward
    kernel = np.zeros((4, 3, 3, 4))
    kernel[:, [0, 2]] = full.kernel.probabilities
    found = first_candidate(TabularGame(reward, kernel, 0.9, legal=legal))
    reduced = first_candidate(full)
    assert found is not None
    assert reduced is not None
    assert not found.answer[0][:, 1].any()
    np.testing.assert_allclose(found.answer[0][:, [0, 2]], reduced.answer[0], atol=1e-10)
    np.testing.assert_allclose(found.answer[1], reduced.answer[1], atol=1e-10)


# --- finite horizon ---------------------------------------------------------------------------------------------


def test_finite_horizon_repeats_the_stage_equilibrium():
    # Play does not move the (only) state: each epoch is the stage game, whose principal equilibrium is hare (2.1).
    game = TabularGame(np.array([[[[4, 0], [2.1, 2.1]]], [[[4, 2.1], [0, 2.1]]]]), np.ones((1, 2, 2, 1)), horizon=3)
    found = first_candidate(game)
    assert found is not None
    for policy in found.answer:
        np.testing.assert_allclose(policy, np.broadcast_to([0.0, 1.0], (3, 1, 2)), atol=1e-12)
    assert {"epoch", "state"} <= found.info.keys()


def test_finite_horizon_against_backward_induction_over_pure_equilibria():
    # Actions that are worth a constant more whatever the others do: each stage game is solved by dominance, provided
    # that transitions do not depend on actions; then V_t = max_a r + P V_{t+1} for each player.
    rng = np.random.default_rng(0)
    own = rng.random((2, 3, 2))
    reward = np.stack([own[0][:, :, None] + np.zeros((3, 2, 2)), own[1][:, None, :] + np.zeros((3, 2, 2))])
    chain = rng.dirichlet(np.ones(3), size=3)
    game = TabularGame(reward, np.broadcast_to(chain[:, None, None], (3, 2, 2, 3)), discount=0.9, horizon=4)
    found = first_candidate(game)
    assert found is not None
    certificate = certify_nash(game.tables(), found.answer)
    assert certificate.gap <= 1e-14
    value = np.zeros((2, 3))
    for _ in range(4):
        value = own.max(axis=2) + 0.9 * value @ chain.T
    np.testing.assert_allclose(certificate.values[:, 0], value, atol=1e-12)


def test_finite_horizon_of_a_random_game():
    game = random_game(2, 3, 3, 1, discount=[1.0, 0.9], horizon=3)
    assert solved_gap(game) <= 1e-12
    iterates = [*Homotopy().iterates(game, seed=0)]
    assert sum(iterate.candidate for iterate in iterates) == 1
    assert iterates[-1].candidate
    assert len({frozenset(iterate.info) for iterate in iterates}) == 1


@pytest.mark.parametrize(
    ("magnet", "says"),
    [
        ((np.ones((1, 2)), np.ones((1, 3))), r"magnet of player 1 has shape \(1, 3\)"),
        ((np.ones((1, 2)), np.array([[1.0, 0.0]])), "positive on every legal action"),
        ((np.ones((1, 2)), np.array([[1.0, np.nan]])), "positive on every legal action"),
        ((np.ones((1, 2)),), "one array per player"),
    ],
)
def test_bad_magnets(magnet, says):
    with pytest.raises(BadInput, match=says):
        next(Homotopy(magnet=magnet).iterates(bimatrix([[1, 0], [0, 1]]), seed=0))

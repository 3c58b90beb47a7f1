"""Exploitability in stationary games, against rationals, values iterated elsewhere, and games with a long horizon."""

import itertools
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.chains import limit_law
from equinfer.certificates.mean_field import certify_mean_field, exact_flow
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.stencil import Stencil


def solved(matrix, right):
    """A linear system in rationals, by Gauss."""
    size = len(matrix)
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for k in range(size):
        pivot = next(i for i in range(k, size) if rows[i][k])
        rows[k], rows[pivot] = rows[pivot], rows[k]
        rows[k] = [entry / rows[k][k] for entry in rows[k]]
        for i in range(size):
            if i != k and rows[i][k]:
                rows[i] = [entry - rows[i][k] * top for entry, top in zip(rows[i], rows[k], strict=True)]
    return [row[-1] for row in rows]


def fractions(array):
    """Floats as they are; rows are divided by their sums."""
    rows = np.vectorize(Fraction, otypes=[object])(array)
    return rows / rows.sum(axis=-1, keepdims=True)


def exactly(kernel, policy, discount, reward_of):
    """Exploitability in rationals, every pure policy tried: `reward_of` makes rewards (S, A) of masses."""
    num_states, num_actions = policy.shape
    chain = [[policy[s] @ kernel[s, :, x] for x in range(num_states)] for s in range(num_states)]
    balance = [[chain[i][j] - (i == j) for i in range(num_states)] for j in range(num_states)]
    balance[-1] = [Fraction(1)] * num_states
    mass = solved(balance, [Fraction(0)] * (num_states - 1) + [Fraction(1)])
    reward = reward_of(mass)
    gamma = Fraction(discount)

    def values(play):
        moves = [[play[s] @ kernel[s, :, x] for x in range(num_states)] for s in range(num_states)]
        system = [[(i == j) - gamma * moves[i][j] for j in range(num_states)] for i in range(num_states)]
        return solved(system, [play[s] @ reward[s] for s in range(num_states)])

    pure = np.vectorize(Fraction, otypes=[object])(np.eye(num_actions, dtype=int))
    every = [values(pure[list(c)]) for c in itertools.product(range(num_actions), repeat=num_states)]
    best = [max(each[s] for each in every) for s in range(num_states)]
    own = values(policy)
    return sum(m * (b - v) for m, b, v in zip(mass, best, own, strict=True))


@pytest.mark.parametrize("seed", range(30))
def test_the_bound_on_a_stationary_law_holds_against_rationals(seed):
    """Chains whose moves are as rare as once in 1e30, entry by entry."""
    random = np.random.default_rng(seed)
    size = int(random.integers(2, 7))
    rare = 10.0 ** -random.uniform(0, 30, (size, size))
    moves = rare * ((random.random((size, size)) < 0.7) | np.roll(np.eye(size, dtype=bool), 1, axis=1))
    np.fill_diagonal(moves, 0)
    moves /= np.maximum(1, 2 * moves.sum(axis=1, keepdims=True))
    chain = moves + np.diag(1 - moves.sum(axis=1))
    exact = fractions(chain)
    balance = [[exact[i][j] - (i == j) for i in range(size)] for j in range(size)]
    balance[-1] = [Fraction(1)] * size
    masses = solved(balance, [Fraction(0)] * (size - 1) + [Fraction(1)])
    law = limit_law(chain / chain.sum(axis=1, keepdims=True), np.eye(size)[0], size + 2)
    for mass, error, truth in zip(law.mass.tolist(), law.error.tolist(), masses, strict=True):
        assert abs(Fraction(mass) - truth) <= Fraction(error)
        assert error <= 1e-12 * mass


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.95, 0.9999])
@pytest.mark.parametrize("fixed", [True, False])
def test_the_bound_holds_against_rationals(discount, fixed):
    random = np.random.default_rng(int(100 * discount))
    kernel, policy = random.dirichlet(np.full(3, 0.3), (3, 2)), random.dirichlet(np.ones(2), 3)
    weights = random.integers(-8, 9, (3, 2, 3)) / 8  # of three bits: products with masses are all that rounds

    def reward(t, law):
        return jnp.asarray(weights) @ law.sum(axis=1)

    game = MeanFieldGame(reward, kernel if fixed else lambda t, law: jnp.asarray(kernel), [1, 0, 0], discount=discount)
    certificate = certify_mean_field(game.tables(), policy)
    exact = exactly(fractions(kernel), fractions(policy), discount, lambda mass: fractions_of(weights) @ np.array(mass))
    assert certificate.kind == "exact"
    assert abs(Fraction(certificate.gap) - exact) <= Fraction(certificate.numerical_error)
    assert certificate.numerical_error < 1e-11 / (1 - discount) ** 2


def fractions_of(array):
    return np.vectorize(Fraction, otypes=[object])(array)


def test_masses_of_very_different_sizes_are_as_certain():
    """Rewards are the logarithms of masses, the smallest 1e-12: relative accuracy is what counts."""
    kernel = np.array([[[1 - 1e-12, 1e-12], [1.0, 0.0]], [[0.5, 0.5], [0.0, 1.0]]])  # there are two ways to stay
    game = MeanFieldGame(lambda t, law: jnp.log(law.sum(axis=1))[:, None] + 0 * law, kernel, [0.5, 0.5], discount=0.5)
    certificate = certify_mean_field(game.tables(), np.array([[1.0, 0], [1.0, 0]]))
    # Almost nobody is in state 1, which pays about 27 less. To be quite sure of staying in 0 gains p D g / (1 - g).
    rare = 2e-12 / (1 + 2e-12)
    better = (np.log1p(-rare) - np.log(rare)) / (1 - 0.5 * (0.5 - 1e-12))
    gain = 1e-12 * better * 0.5 / 0.5
    expected = (1 - rare) * gain + rare * 0.25 * gain / 0.75
    assert certificate.numerical_error < 1e-12
    assert certificate.gap == pytest.approx(expected, rel=0, abs=certificate.numerical_error)
    assert expected > 3e-11


def infection(discount=0.95, horizon=None, initial=None):
    """Go out or keep away at a cost, as in Cui and Koeppl (2021)."""

    def kernel(t, law):
        caught = 0.81 * law[1].sum()
        ill = jnp.stack([jnp.stack([caught, 0 * caught]), jnp.full(2, 0.7)])
        return jnp.stack([1 - ill, ill], axis=-1)

    cost = jnp.array([[0.0, 0.5], [1.0, 1.5]])
    return MeanFieldGame(lambda t, law: -cost, kernel, [0.4, 0.6] if initial is None else initial, horizon, discount)


@pytest.mark.parametrize(
    "policy",
    [
        [[0.3, 0.7], [1, 0]],
        pytest.param([[0.5, 0.5], [0.5, 0.5]], marks=pytest.mark.slow),
        pytest.param([[0.9, 0.1], [1, 0]], marks=pytest.mark.slow),
    ],
)
def test_a_long_horizon_from_the_stationary_law_is_as_exploitable(policy):
    """What comes after H epochs is worth at most gamma^H max |V|, and the horizon has code of its own."""
    policy = np.array(policy, float)
    tables = infection().tables()
    certificate = certify_mean_field(tables, policy)
    law = exact_flow(tables, (policy,))[0].sum(axis=1)
    long = certify_mean_field(infection(horizon=500, initial=law).tables(), policy)
    left = 0.95**500 * 2 * 1.5 / 0.05
    assert certificate.gap == pytest.approx(long.gap, abs=left + certificate.numerical_error + long.numerical_error)
    assert certificate.gap > 0.01
    np.testing.assert_allclose(certificate.values[0], long.values[0][0], atol=left + 1e-12)


def test_best_responses_against_value_iteration():
    """At the law that the certificate itself does not hand out: by squaring the chain."""
    random = np.random.default_rng(3)
    kernel, policy = random.dirichlet(np.full(12, 0.2), (12, 4)), random.dirichlet(np.ones(4), 12)
    pull = random.normal(size=(12, 4, 12))
    game = MeanFieldGame(lambda t, law: jnp.asarray(pull) @ law.sum(axis=1), kernel, np.eye(12)[0], discount=0.9)
    certificate = certify_mean_field(game.tables(), policy)
    chain = np.einsum("sa,sax->sx", policy, kernel)
    mass = np.linalg.matrix_power(chain, 4096)[0]
    reward = pull @ mass
    value, best = np.zeros(12), np.zeros(12)
    for _ in range(600):
        value = (policy * (reward + 0.9 * kernel @ value)).sum(axis=1)
        best = (reward + 0.9 * kernel @ best).max(axis=1)
    assert certificate.gap == pytest.approx(mass @ (best - value), rel=1e-11)
    np.testing.assert_allclose(certificate.deviation(0).gain, best - value, rtol=1e-9, atol=1e-11)
    response = certificate.deviation(0).policy
    np.testing.assert_array_equal(response.argmax(axis=1), (reward + 0.9 * kernel @ best).argmax(axis=1))


def test_the_order_of_states_changes_nothing():
    random = np.random.default_rng(4)
    kernel, policy = random.dirichlet(np.ones(5), (5, 3)), random.dirichlet(np.ones(3), 5)
    order = random.permutation(5)

    def judged(kernel, policy):
        def moved(t, law):
            return 0.5 * jnp.asarray(kernel) + 0.5 * law.sum(axis=1)[None, None, :]

        game = MeanFieldGame(
            lambda t, law: -law.sum(axis=1)[:, None] - law,
            moved,
            np.ones(5) / 5,
            discount=0.9,
            action_labels=["a", "b", "c"],
        )
        return certify_mean_field(game.tables(), policy), exact_flow(game.tables(), (policy,))[0]

    one, law = judged(kernel, policy)
    other, moved = judged(kernel[order][:, :, order], policy[order])
    assert one.gap == pytest.approx(other.gap, abs=one.numerical_error + other.numerical_error)
    np.testing.assert_allclose(law[order], moved, rtol=1e-12)


def test_tables_lists_and_stencils_are_the_same_game():
    stencil = Stencil((6,), [[-1], [0], [1]], noise=[1 / 3] * 3, boundary="torus")
    table = np.zeros((6, 3, 6))
    for s, a, e in itertools.product(range(6), range(3), range(3)):
        table[s, a, (s + a - 1 + e - 1) % 6] += 1 / 3
    successors = np.array([[[(s + a - 1 + e - 1) % 6 for e in range(3)] for a in range(3)] for s in range(6)])
    lists = eq.SparseKernel(successors, np.full((6, 3, 3), 1 / 3))
    policy = np.random.default_rng(5).dirichlet(np.ones(3), 6)
    pull = jnp.arange(6.0)
    gaps = []
    for kernel in (stencil, table, lists, lambda t, law: jnp.asarray(table)):
        game = MeanFieldGame(
            lambda t, law: (jnp.cos(pull) - jnp.log(law.sum(axis=1)))[:, None] * jnp.ones((1, 3)),
            kernel,
            np.eye(6)[0],
            discount=0.9,
        )
        gaps.append(certify_mean_field(game.tables(), policy).gap)
    np.testing.assert_allclose(gaps, gaps[0], rtol=1e-12)
    assert gaps[0] > 0.1


def test_two_populations_are_judged_one_by_one():
    """Each stays or moves to the other place, and minds the other's crowd there: the gains by hand at discount 0."""
    stay = np.zeros((2, 2, 2))
    stay[:, 0] = np.eye(2)
    stay[:, 1] = np.eye(2)[::-1]

    def minding(other):
        return lambda t, laws: -laws[other].sum(axis=1)[:, None] * jnp.array([[1.0, 2.0]])

    policies = np.array([[0.25, 0.75], [0.75, 0.25]]), np.array([[0.5, 0.5], [0.75, 0.25]])
    game = MeanFieldGame([minding(1), minding(0)], [stay, stay], [[1, 0], [0, 1]], discount=0.0)
    certificate = certify_mean_field(game.tables(), policies)
    masses = np.array([1 / 4, 3 / 4]), np.array([1 / 3, 2 / 3])  # in proportion to how rarely one leaves
    expected = [(masses[p] * masses[1 - p] * policies[p][:, 1]).sum() for p in (0, 1)]
    np.testing.assert_allclose(certificate.per_player, expected, rtol=1e-13)
    assert certificate.gap == pytest.approx(sum(expected), rel=1e-13)


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (np.full((2, 2), np.nan), "which is not a finite number"),
        (np.full((2, 2), 0.6), "sum to 1.2, not to one"),
        (np.full((3, 2, 2), 0.5), r"must have shape \(S, A\)"),
    ],
)
def test_what_is_no_policy_is_refused(policy, says):
    with pytest.raises(eq.BadInput, match=says):
        certify_mean_field(infection().tables(), policy)


def test_rewards_without_a_value_where_somebody_could_go_are_refused():
    def reward(t, law):
        return jnp.log(law.sum(axis=1))[:, None] * jnp.ones((1, 2))

    stay = np.zeros((2, 2, 2))
    stay[:, 0], stay[:, 1] = np.eye(2), np.eye(2)[::-1]
    game = MeanFieldGame(reward, stay, [0.5, 0.5], discount=0.9, state_labels=["full", "empty"])
    with pytest.raises(eq.BadInput, match="state empty, action 0 is -inf at the stationary law"):
        certify_mean_field(game.tables(), np.array([[1.0, 0], [0, 1]]))


def test_the_law_is_found_anew_whatever_comes_with_a_policy():
    """A solution that claims another flow is judged by its policy."""
    import dataclasses

    solution = eq.solve(infection())
    assert solution.certified
    lying = dataclasses.replace(
        solution, profile=(np.full((2, 2), 0.5),), flows=tuple(np.full((2, 2), 0.25) for _ in solution.flows)
    )
    certificate = eq.certify(infection(), lying)
    assert certificate.gap == pytest.approx(certify_mean_field(infection().tables(), np.full((2, 2), 0.5)).gap)
    assert certificate.gap > 1


@pytest.mark.parametrize("seed", range(6))
def test_the_bound_holds_where_dynamics_depend_on_the_population(seed):
    """An endemic illness in rationals: 1 - r / (x b) are ill, whatever is best against that."""
    random = np.random.default_rng(seed)
    b, r, x = (float(f) for f in (random.uniform(0.7, 1), random.uniform(0.05, 0.4), random.uniform(0.6, 1)))
    cost = random.integers(0, 9, (2, 2)) / 8

    def kernel(t, law):
        caught = b * law[1].sum()
        ill = jnp.stack([jnp.stack([caught, 0 * caught]), jnp.full(2, 1 - r)])
        return jnp.stack([1 - ill, ill], axis=-1)

    game = MeanFieldGame(lambda t, law: -jnp.asarray(cost) * law[1].sum(), kernel, [0.5, 0.5], discount=0.9)
    policy = np.array([[x, 1 - x], [1.0, 0.0]])
    certificate = certify_mean_field(game.tables(), policy)
    rows, stay = fractions(policy), 1 - Fraction(1 - r)
    ill = 1 - stay / (rows[0, 0] * Fraction(b))
    caught, zero = Fraction(b) * ill, Fraction(0)
    exact = np.array([[[1 - caught, caught], [1, zero]], [[stay, 1 - stay]] * 2], object)
    truth = exactly(exact, rows, 0.9, lambda mass: -np.vectorize(Fraction, otypes=[object])(cost) * mass[1])
    assert certificate.kind == "exact"
    assert abs(Fraction(certificate.gap) - truth) <= Fraction(certificate.numerical_error)
    assert certificate.numerical_error < 1e-9


@pytest.mark.parametrize("place", [0, 1, 2])
def test_rewards_that_jump_where_the_law_was_rounded_are_not_certified(place):
    """Which side of the jump the law is on, nobody knows from a float; 10 are at stake."""
    chain = np.random.default_rng(place).exponential(size=(3, 3))
    kernel = np.stack([chain / chain.sum(axis=1, keepdims=True)] * 2, axis=1)
    policy = np.tile([1.0, 0.0], (3, 1))
    still = MeanFieldGame(lambda t, law: 0 * law, kernel, [1, 0, 0], discount=0.9)
    edge = exact_flow(still.tables(), (policy,))[0].sum(axis=1)[place]

    def reward(t, law):
        return jnp.stack([jnp.zeros(3), jnp.full(3, jnp.where(law[place].sum() >= edge, -1.0, 1.0))], 1)

    found = eq.certify(MeanFieldGame(reward, kernel, [1, 0, 0], discount=0.9), policy)
    assert found.kind == "estimate"
    assert "jump" in found.doubt
    assert not found.holds(1e9)

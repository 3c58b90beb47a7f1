"""Mean-field games: what is accepted, and exploitability against numbers derived by hand."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field, exact_flow
from equinfer.equations.mean_field import evaluated, flow_of, soft_plan
from equinfer.games.mean_field import MeanFieldGame
from equinfer.games.stencil import Stencil

STEPS = np.zeros((3, 2, 3))
STEPS[:, 0, 1] = STEPS[:, 1, 2] = 1


def crossroads(t, law):
    """Left costs its share of the population, right twice its share."""
    mass = law.sum(axis=1)
    return jnp.stack([0 * mass[0], -mass[1], -2 * mass[2]])[:, None] * jnp.ones((3, 2))


def left_right():
    return MeanFieldGame(crossroads, STEPS, [1, 0, 0], horizon=2)


def going_left(p):
    policy = np.full((2, 3, 2), 0.5)
    policy[0, 0] = p, 1 - p
    return policy


@pytest.mark.parametrize("p", [0.0, 0.5, 0.6, 2 / 3, 1.0])
def test_what_one_gains_at_a_fork(p):
    # Left pays -p, right -2 (1 - p): the better one, less what everybody gets.
    certificate = certify_mean_field(left_right().tables(), going_left(p))
    expected = max(-p, -2 * (1 - p)) - (p * -p + (1 - p) * -2 * (1 - p))
    assert abs(certificate.gap - expected) <= certificate.numerical_error + 1e-16
    assert 0 < certificate.numerical_error < 1e-13
    if p != 2 / 3:
        assert certificate.deviation(0).policy[0, 0].tolist() == [float(p < 2 / 3), float(p >= 2 / 3)]


def test_the_error_bound_holds_where_payoffs_are_written_in_thirds():
    """The same game in rationals: masses that no float holds."""
    certificate = certify_mean_field(left_right().tables(), going_left(1 / 3))
    p = 1 / 3  # the float; everything else is exact in the rationals
    q = Fraction(p)
    exact = max(-q, -2 * (1 - q)) - (-q * q - 2 * (1 - q) ** 2)
    assert abs(Fraction(certificate.gap) - exact) <= Fraction(certificate.numerical_error)


@pytest.mark.parametrize(
    "table", [STEPS, eq.SparseKernel(STEPS.argmax(-1)[..., None], np.ones((3, 2, 1)))], ids=["dense", "lists"]
)
def test_a_function_that_makes_no_use_of_time_and_law_is_its_table(table):
    game = MeanFieldGame(crossroads, lambda t, law: table, [1, 0, 0], horizon=2)
    assert game.has_fixed_dynamics
    certificate, expected = (eq.certify(each, going_left(0.3)) for each in (game, left_right()))
    assert certificate.gap == expected.gap
    assert certificate.numerical_error <= expected.numerical_error


@pytest.mark.parametrize(
    "kernel",
    [
        lambda t, law: jnp.where(t == 0, STEPS, STEPS[:, ::-1]),
        lambda t, law: jnp.where(law.sum() > 2, STEPS[:, ::-1], STEPS),
        lambda t, law: jnp.broadcast_to(law.sum(axis=1), (3, 2, 3)),
    ],
    ids=["time", "law", "whole law"],
)
def test_a_function_of_time_or_law_is_no_table(kernel):
    assert not MeanFieldGame(crossroads, kernel, [1, 0, 0], horizon=2).has_fixed_dynamics


def test_two_populations_add_up():
    """Each minds only the other's crowding: left pays minus what the others do there."""

    def minding(other):
        return lambda t, laws: -jnp.stack([laws[other].sum(axis=1)] * 2, axis=1) * jnp.array([[0], [1.0], [2.0]])

    game = MeanFieldGame([minding(1), minding(0)], [STEPS, STEPS], [[1, 0, 0]] * 2, horizon=2)
    p, q = 0.25, 0.75
    certificate = certify_mean_field(game.tables(), (going_left(p), going_left(q)))
    gains = [
        max(-other, -2 * (1 - other)) + own * other + 2 * (1 - own) * (1 - other) for own, other in ((p, q), (q, p))
    ]
    np.testing.assert_allclose(certificate.per_player, gains, atol=1e-15)
    assert certificate.gap == pytest.approx(sum(gains))


def test_values_and_flows_of_both_implementations_agree():
    """Law-dependent dynamics, three ways to say them: NumPy backwards and JAX forwards, tables and lists."""

    def infect(t, law):
        ill = 0.8 * law.sum(axis=1)[1]
        return jnp.array([[[1.0, 0], [1, 0]], [[0.3, 0.7], [0.3, 0.7]]]).at[0, 0].set(jnp.stack([1 - ill, ill]))

    def listed(t, law):
        return eq.SparseKernel(jnp.broadcast_to(jnp.arange(2), (2, 2, 2)), infect(t, law))

    def suffer(t, law):
        return -jnp.array([[0.0, 0.5], [1.0, 1.5]]) * (1 + law[0, 0])

    policy = np.random.default_rng(0).dirichlet(np.ones(2), (7, 2))
    certificates = []
    for kernel in (infect, listed):
        game = MeanFieldGame(suffer, kernel, [0.6, 0.4], horizon=7)
        tables = game.tables()
        certificates.append(certify_mean_field(tables, policy))
        with jax.enable_x64(True):
            flow = flow_of(game, (jnp.asarray(policy),))
            values, _ = evaluated(game, 0, flow, jnp.asarray(policy))
            hard = soft_plan(game, 0, flow, jnp.zeros_like(policy), 1e-7)
        np.testing.assert_allclose(flow[0], exact_flow(tables, (policy,))[0], atol=1e-15)
        np.testing.assert_allclose(values, certificates[-1].values[0], atol=1e-14)
        best = certificates[-1].values[0] + certificates[-1].deviation(0).gain
        np.testing.assert_allclose(hard.values, best, atol=7e-7 * np.log(2))
    assert certificates[0].gap == pytest.approx(certificates[1].gap, rel=1e-14)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: MeanFieldGame(crossroads, STEPS, [1, 0, 0]), "needs a horizon, or a discount"),
        (lambda: MeanFieldGame(crossroads, STEPS, [1, 0, 0], horizon=0), "at least 1; got 0"),
        (
            lambda: MeanFieldGame(crossroads, STEPS, [1, 0.5, -0.5], horizon=2),
            "state 2 is -0.5, negative",
        ),
        (lambda: MeanFieldGame(crossroads, STEPS, [1, 1, 0], horizon=2), "sum to 2, not to one"),
        (
            lambda: MeanFieldGame(crossroads, STEPS / 2, [1, 0, 0], horizon=2),
            "action 0 has prob.* sum to 0.5, not",
        ),
        (lambda: MeanFieldGame(crossroads, lambda t, law: STEPS[:2], [1, 0, 0], horizon=2), r"expected \(S, A, S\)"),
        (lambda: MeanFieldGame(lambda t, law: np.log(law), STEPS, [1, 0, 0], horizon=2), "it uses NumPy"),
        (lambda: MeanFieldGame(lambda t, law: law if law[0, 0] else -law, STEPS, [1, 0, 0], horizon=2), "an `if`"),
        (lambda: MeanFieldGame(lambda t, law: jnp.log(law * 0 - 1), STEPS, [1, 0, 0], 2), "time 0, state 0"),
        (
            lambda: MeanFieldGame([crossroads] * 2, [STEPS], [[1, 0, 0]] * 2, 2),
            "kernel must be a list",
        ),
        (lambda: MeanFieldGame(crossroads, Stencil(4, [[0], [1]]), [1, 0, 0], 2), "has not 3 cells"),
        (lambda: MeanFieldGame(crossroads, STEPS, [1, 0, 0], 2, discount=1.5), "discount is 1.5"),
        (lambda: MeanFieldGame(crossroads, STEPS, [1, 0, 0, 0], 2), "each of 4 states; the kernel of population 0 is"),
        (lambda: MeanFieldGame(crossroads, STEPS, [[1, 0, 0]], 2), r"one probability per state, \(S,\); got shape"),
        (lambda: MeanFieldGame(crossroads, STEPS, [1, 0, 0], -1), "at least 1; got -1"),
        (lambda: MeanFieldGame(crossroads, 2 * STEPS - 0.5, [1, 0, 0], 2), "state 0, action 0 has a negative prob"),
        (lambda: MeanFieldGame(crossroads, "abc", [1, 0, 0], 2), "neither a function of .* nor a table of numbers"),
    ],
)
def test_what_is_no_game_is_refused(make, says):
    with pytest.raises(eq.BadInput, match=says):
        make()


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        (np.full((2, 3, 2), np.nan), "which is not a finite number"),
        (np.full((2, 3, 2), 0.6), "sum to 1.2, not to one"),
        (np.full((3, 3, 2), 0.5), "must have shape"),
        (np.tile([1.5, -0.5], (2, 3, 1)), "epoch 0, state 0: the probability of action 1 is -0.5, which is negative"),
    ],
)
def test_what_is_no_policy_is_refused(policy, says):
    with pytest.raises(eq.BadInput, match=says):
        certify_mean_field(left_right().tables(), policy)


def test_a_discount_within_a_horizon_and_one_in_its_place():
    """Nobody moves: both are games of one's own place."""
    stay = np.broadcast_to(np.eye(2), (2, 2, 2))
    at_rest = MeanFieldGame(lambda t, law: -law, stay, [0.5, 0.5], discount=0.9)
    within = MeanFieldGame(lambda t, law: -law, stay, [0.5, 0.5], 3, 0.9)
    for game, lead in ((at_rest, ()), (within, (3,))):
        solution = eq.solve(game)
        assert solution.certified
        assert solution.policy.shape == (*lead, 2, 2)


def test_a_kernel_that_is_no_law_where_a_policy_leads_is_refused_by_its_certificate():
    """At the uniform policy its rows sum to one; where more than .4 play a in one state, they sum to 1.1."""
    there = jnp.asarray(np.eye(2)[[[0, 1], [0, 1]]])

    def kernel(t, law):
        return there * (1 + jnp.where(law[0, 0] > 0.4, 0.1, 0.0))

    game = eq.MeanFieldGame(
        lambda t, law: 0 * law, kernel, [0.5, 0.5], horizon=2, action_labels="ab", state_labels=("here", "there")
    )
    first = np.zeros((2, 2, 2))
    first[..., 0] = 1
    with pytest.raises(
        eq.BadInput, match=r"kernel of population 0 at time 0, state here, action a is no law.*sum to 1\.1"
    ):
        eq.certify(game, first)
    assert eq.certify(game, game.uniform_profile()[0]).gap == 0


@pytest.mark.parametrize("row", [0.0, np.nan], ids=["zeros", "nan"])
@pytest.mark.parametrize("form", ["table", "function", "lists"])
@pytest.mark.parametrize("length", [{"horizon": 3}, {"discount": 0.9}], ids=["horizon", "at rest"])
def test_nothing_is_asked_of_the_kernel_of_illegal_actions(row, form, length):
    legal = np.array([[True, True], [True, False], [False, True]])
    kernel = np.random.default_rng(0).exponential(size=(3, 2, 3))
    kernel /= kernel.sum(axis=-1, keepdims=True)
    policy = uniform_play(legal, length)
    expected = eq.certify(MeanFieldGame(crossroads, kernel, [1, 0, 0], legal=legal, **length), policy)
    blank = np.where(legal[..., None], kernel, row)
    lists = eq.SparseKernel(np.broadcast_to(np.arange(3), (3, 2, 3)), blank)
    given = {"table": blank, "lists": lists, "function": lambda t, law: blank + 0 * law.sum()}[form]
    game = MeanFieldGame(crossroads, given, [1, 0, 0], legal=legal, **length)
    found = eq.certify(game, policy)
    assert found.gap == pytest.approx(expected.gap, abs=1e-12)
    assert found.kind == "exact"


def uniform_play(legal, length):
    flat = legal / legal.sum(axis=1, keepdims=True)
    return np.broadcast_to(flat, (3, *flat.shape)) if "horizon" in length else flat


@pytest.mark.parametrize("name", ["beach_bar", "predator_prey", "endemic"])
def test_a_flow_is_judged_as_the_policy_that_leads_to_it(name):
    game = eq.load(f"catalog:mean_field/{name}")
    rng = np.random.default_rng(0)
    policies = tuple(rng.dirichlet(np.ones(each.shape[-1]), each.shape[:-1]) for each in game.uniform_profile())
    flows = exact_flow(game.tables(), policies)
    expected = eq.certify(game, policies)
    found = eq.certify(game, flows[0] if len(flows) == 1 else flows)
    assert found.gap == pytest.approx(expected.gap, rel=1e-12)
    wrong = np.array(flows[0])
    wrong[..., [0, 1], :] = wrong[..., [1, 0], :]
    with pytest.raises(eq.BadInput, match=r"is that of no policy.*has mass"):
        eq.certify(game, (wrong, *flows[1:]) if len(flows) > 1 else wrong)

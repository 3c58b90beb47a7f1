"""What others iterate: against a step by hand, each other, and OpenSpiel's own numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.mean_field import certify_mean_field
from equinfer.solvers import solver_class
from equinfer.solvers.mean_field.bayesian_q import BayesianQ
from equinfer.solvers.mean_field.fictitious_play import FictitiousPlay
from equinfer.solvers.mean_field.mf_omo import MFOMO
from equinfer.solvers.mean_field.mirror_descent import OnlineMirrorDescent
from equinfer.solvers.mean_field.prior_descent import PriorDescent

KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def after(solver, game, steps):
    game = jax.tree.map(jnp.asarray, game.unlabelled())
    state = solver.init(game, key=KEY)
    step = jax.jit(lambda state: solver.step(game, state, key=KEY)[0])
    for _ in range(steps):
        state = step(state)
    return tuple(map(np.asarray, solver.profile(game, state)))


def left_right():
    return eq.load("catalog:mean_field/left_right")


def test_fictitious_play_at_a_fork():
    # Half go left at first, so left is better; then 3/4 have gone left, right is better: 1/2; left again: 5/8; ...
    shares = [1 / 2, 3 / 4, 1 / 2, 5 / 8, 7 / 10, 7 / 12]
    found = [after(FictitiousPlay(), left_right(), k)[0][0, 0, 0] for k in range(6)]
    np.testing.assert_allclose(found, shares, rtol=0, atol=1e-15)


def test_mirror_descent_and_prior_descent_at_a_fork():
    # Left pays -1/2, right -1: against the uniform policy, and at one decision, all of them take the same first step.
    alpha = 0.7
    share = 1 / (1 + np.exp(-alpha / 2))
    for solver in (OnlineMirrorDescent(learning_rate=alpha), PriorDescent(temperature=1 / alpha)):
        assert after(solver, left_right(), 1)[0][0, 0, 0] == pytest.approx(share, abs=1e-15)
    # The second step of mirror descent adds up; that of a prior that stays does not.
    gain = -share + 2 * (1 - share)
    added = after(OnlineMirrorDescent(learning_rate=alpha), left_right(), 2)[0][0, 0, 0]
    assert added == pytest.approx(1 / (1 + np.exp(-alpha * (0.5 + gain))), abs=1e-15)
    fresh = after(PriorDescent(temperature=1 / alpha), left_right(), 2)[0][0, 0, 0]
    assert fresh == pytest.approx(1 / (1 + np.exp(-alpha * gain)), abs=1e-15)


def test_mirror_descent_is_algorithm_4_to_first_order():
    """Prior = previous policy; for more than one decision the two differ by the square of the step."""
    game = eq.load("catalog:mean_field/beach_bar")
    apart = []
    for alpha in (0.02, 0.01):
        ours = after(BayesianQ(temperature=1 / alpha, magnet_every=1), game, 1)[0]
        theirs = after(OnlineMirrorDescent(learning_rate=alpha), game, 1)[0]
        apart.append(np.abs(ours - theirs).max())
    assert apart[0] > 1e-7
    assert apart[0] / apart[1] == pytest.approx(4, rel=0.05)


# Steps of 0.1: OpenSpiel's mirror descent, once each pass reads the policies of the last one only.
@pytest.mark.parametrize(("steps", "nash_conv"), [(2, 1.78671), (5, 0.96547), (10, 0.42115)])
def test_mirror_descent_reproduces_open_spiels(steps, nash_conv):
    game = eq.load("catalog:mean_field/crowd_modelling", as_open_spiel=True)
    policies = after(OnlineMirrorDescent(learning_rate=0.1), game, steps)
    assert certify_mean_field(game.tables(), policies).gap == pytest.approx(nash_conv, abs=1e-5)


@pytest.mark.parametrize(
    ("solver", "goal"),
    [
        (OnlineMirrorDescent(), 1e-10),
        (FictitiousPlay(), 1e-2),
        (PriorDescent(temperature=1.0, magnet_every=1), 1e-10),
        (MFOMO(learning_rate=0.02), 1e-3),
    ],
)
def test_all_of_them_come_to_the_fork_s_equilibrium(solver, goal):
    game = left_right()
    policies = after(solver, game, 1500)
    assert certify_mean_field(game.tables(), policies).gap < goal
    assert policies[0][0, 0, 0] == pytest.approx(2 / 3, abs=np.sqrt(goal))


@pytest.mark.parametrize("name", ["fictitious-play", "online-mirror-descent", "prior-descent", "mf-omo"])
def test_by_name(name):
    solution = eq.solve(left_right(), "mean-field", name, steps=50)
    assert solution.solver == name
    assert solution.gap < 0.25
    assert solver_class(name).games == "mean-field"

"""Games that are none at populations away from uniform play: a sentence, wherever that is met."""

import jax.numpy as jnp
import numpy as np
import plugged_games
import pytest

import equinfer as eq
from equinfer.cli import run

FORK = """
import jax.numpy as jnp
import numpy as np
import equinfer as eq

steps = np.zeros((3, 2, 3))
steps[:, 0, 1] = steps[:, 1, 2] = 1

def game(name, *, crowd=0.6, bad=float(name_of_bad)):
    # Left pays one more, and nothing that is a number where more than `crowd` are.
    def reward(t, law):
        left = law[1].sum()
        pays = jnp.where((left > crowd) & (t == 1), bad, 1.0)
        return jnp.stack([0 * left, pays, 0 * left])[:, None] * jnp.ones((1, 2))

    return eq.MeanFieldGame(
        reward, steps, [1, 0, 0], 2, state_labels=("start", "left", "right"), action_labels=("l", "r"), name=name
    )
"""


def fork(bad):
    """As in `FORK`."""
    space = {}
    exec(FORK.replace("name_of_bad", f"'{bad}'"), space)
    return space["game"]("fork")


@pytest.mark.parametrize(
    ("solver", "options"),
    [
        pytest.param("auto", {}, marks=pytest.mark.slow),
        ("bayesian-q", {"temperature": 0.1}),
        ("bayesian-q", {"temperature": 0.1, "magnet_every": 0, "step_size": 0.01}),
        ("fictitious-play", {}),
        ("online-mirror-descent", {}),
        ("prior-descent", {}),
        pytest.param("complementarity", {}, marks=pytest.mark.slow),
    ],
)
def test_rewards_that_are_no_numbers_where_a_solver_comes_to(solver, options):
    game = fork("nan")
    assert np.isfinite(eq.certify(game, game.uniform_profile()[0]).gap)
    with pytest.raises(eq.BadInput, match=r"reward.* at time 1, state left, action [lr] is nan") as caught:
        eq.solve(game, solver=solver, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bad", ["nan", "inf", "-inf"])
def test_the_certificate_and_the_command_line_say_where_rewards_are_not_finite(bad, tmp_path, monkeypatch, capsys):
    game = fork(bad)
    policy = np.zeros((2, 3, 2))
    policy[..., 0] = 1
    with pytest.raises(eq.BadInput, match=f"time 1, state left, action l is {bad}"):
        eq.certify(game, policy)
    plugged_games.plug_in(tmp_path, monkeypatch, FORK.replace("name_of_bad", f"'{bad}'"))
    rows = ["epoch,state,player,action,probability", *(f"{t},{s},0,l,1" for t in (0, 1) for s in game.state_labels)]
    (tmp_path / "left.csv").write_text("\n".join(rows))
    assert run(["certify", "mine:fork", str(tmp_path / "left.csv")]) == 4
    err = capsys.readouterr().err
    assert f"time 1, state left, action l is {bad}" in err
    assert err.count("\n") == 1
    if bad != "-inf":
        assert run(["solve", "mine:fork", "--solver", "bayesian-q", "--option", "temperature=0.1"]) == 4
        err = capsys.readouterr().err
        assert "time 1, state left, action l is" in err
        assert err.count("equinfer:") == 1


@pytest.mark.slow
def test_what_is_infinite_where_nobody_is_hurts_nobody():
    """A logarithm of nobody: who is alone is paid without bound, so nobody is ever nowhere."""
    moves = np.zeros((3, 3, 3))
    moves[:, np.arange(3), np.arange(3)] = 1
    worth = jnp.array([0.0, 1.0, 2.0])
    game = eq.MeanFieldGame(
        lambda t, law: (worth - jnp.log(law.sum(axis=1)))[:, None] * jnp.ones((1, 3)), moves, [1 / 3] * 3, horizon=2
    )
    solution = eq.solve(game, solver="temperature-grid")
    assert solution.certified
    # Everywhere pays the same: mu_1 = exp(worth) / sum.
    law = np.exp(np.arange(3.0))
    np.testing.assert_allclose(solution.flow[1].sum(axis=1), law / law.sum(), atol=1e-7)


def breaking(t, law):
    """Rows sum to 1.1 where more than .6 are in one place, one epoch on."""
    there = jnp.eye(2)[jnp.array([[0, 1], [0, 1]])]
    return there * (1 + jnp.where(law[0].sum() > 0.6, 0.1, 0.0))


@pytest.mark.parametrize(
    "solver", ["bayesian-q", *(pytest.param(name, marks=pytest.mark.slow) for name in ("auto", "complementarity"))]
)
def test_kernels_that_are_no_laws_where_a_solver_comes_to(solver):
    """Everybody wants to be in the first place, and there rows sum to more than one."""
    game = eq.MeanFieldGame(
        lambda t, law: jnp.array([[1.0, 1.0], [0.0, 0.0]]) + 0 * law,
        breaking,
        [0.5, 0.5],
        horizon=3,
        action_labels="ab",
    )
    assert np.isfinite(eq.certify(game, game.uniform_profile()[0]).gap)
    with pytest.raises(eq.BadInput, match=r"kernel of population 0 at time \d, state 0, action a .*sum to 1\.1"):
        eq.solve(game, solver=solver)


@pytest.mark.parametrize(
    ("reward", "kernel"),
    [
        (lambda t, law: 0 * law, lambda t, law: jnp.ones((*law.shape, 2)) / 2),
        (lambda t, law: 0 * law.sum(axis=1, keepdims=True) * law, lambda t, law: jnp.stack([law, 1 - law], -1)),
    ],
)
def test_games_that_do_not_say_how_many_actions_there_are(reward, kernel):
    with pytest.raises(eq.BadInput, match="nothing says how many actions there are: give `action_labels`"):
        eq.MeanFieldGame(reward, kernel, [0.5, 0.5], horizon=2)
    assert eq.MeanFieldGame(reward, lambda t, law: jnp.ones((2, 2, 2)) / 2, [0.5, 0.5], 2).num_actions == (2,)


def test_a_kernel_says_how_many_actions_there_are_where_the_reward_does_not():
    def kernel(t, law):
        return jnp.broadcast_to(jnp.eye(2)[:, None], (2, 3, 2))

    assert eq.MeanFieldGame(lambda t, law: 0 * law, kernel, [0.5, 0.5], horizon=2).num_actions == (3,)


def test_a_reward_that_fails_for_every_number_of_actions_says_so():
    with pytest.raises(eq.BadInput, match=r"how many actions there are.*reward of population 0 fails on laws"):
        eq.MeanFieldGame(
            lambda t, law: law @ jnp.ones((300, 2)), lambda t, law: jnp.ones((2, 2, 2)) / 2, [0.5, 0.5], horizon=2
        )

"""Games of learners: what they make of actions, how episodes end, and what is refused when one is made."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.cli import run
from equinfer.games import catalog
from equinfer.games.continuous import ContinuousGame
from equinfer.games.spaces import Box, Discrete


def walk(horizon=None, exogenous=False):
    """Two agents push a point; it stops beyond 3. Agent 1 pushes by -1, 0 or 1."""

    def step(state, actions, *, key):
        pushed = state + actions[0].sum() + (actions[1] - 1).astype(state.dtype)
        return pushed, jnp.stack([pushed, -pushed]), pushed > 3.0, False

    spaces = [Box([-1.0, 0.0], [1.0, 2.0]), Discrete(3)]
    return ContinuousGame(
        lambda key: jnp.zeros(()), step, lambda s, i: jnp.full(1 + i, s), spaces, (0.9, 0.8), horizon, exogenous
    )


def product(actions):
    return jnp.stack([actions[0].sum() * actions[1].sum(), -(actions[1] ** 2).sum()])


def test_actions_of_unequal_spaces_are_a_tuple():
    game = walk()
    assert not game.is_alike
    assert game.observation_sizes == (1, 2)
    assert game.discount == (0.9, 0.8)
    after = game.step(jnp.asarray(1.0), (jnp.array([0.5, 1.0]), jnp.asarray(0)), key=jax.random.key(0))
    np.testing.assert_allclose(after.rewards, [1.5, -1.5], rtol=0, atol=1e-15)
    assert not after.terminated
    assert not after.truncated


def test_the_end_of_a_game_and_the_end_of_an_episode_are_apart():
    game = walk(horizon=2)
    still = (jnp.zeros(2), jnp.asarray(1))
    forth = (jnp.array([1.0, 2.0]), jnp.asarray(2))
    key = jax.random.key(0)
    first = game.step(game.reset(key), still, key=key)
    assert (bool(first.terminated), bool(first.truncated)) == (False, False)
    second = game.step(first.state, still, key=key)
    assert (bool(second.terminated), bool(second.truncated)) == (False, True)
    over = game.step(first.state, forth, key=key)
    assert (bool(over.terminated), bool(over.truncated)) == (True, False)
    assert game.observe(second.state, 1).shape == (2,)


def test_a_step_jits_and_maps_over_seeds_as_it_runs_alone():
    game = walk(horizon=5)
    keys = jax.random.split(jax.random.key(3), 4)

    def play(key):
        begin, moves, own = jax.random.split(key, 3)
        return game.step(game.reset(begin), game.sample_actions(moves), key=own)

    together = jax.jit(jax.vmap(play))(keys)
    for k, key in enumerate(keys):
        alone = play(key)
        np.testing.assert_array_equal(alone.rewards, together.rewards[k])
        assert alone.state.steps == together.state.steps[k] == 1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rewards_come_in_the_precision_of_the_actions(dtype):
    for name in ("differential", "cournot", "quadratic", "quadratic_zero_sum"):
        game = eq.load(f"catalog:{name}")
        actions = game.joint([box.from_unit(jnp.zeros(box.dimension, dtype)) for box in game.spaces])
        after = game.step((), actions, key=jax.random.key(0))
        assert after.rewards.dtype == dtype
        np.testing.assert_allclose(
            after.rewards, game.tables().rewards_at(np.ravel(actions)[None].astype(float))[0], rtol=1e-6, atol=1e-6
        )


def test_units_of_a_box():
    box = Box([-2.0, 0.0], [4.0, 1.0])
    unit = jnp.array([[-1.0, -1.0], [1.0, 1.0], [0.5, 0.0]])
    np.testing.assert_allclose(box.from_unit(unit), [[-2, 0], [4, 1], [2.5, 0.5]], rtol=0, atol=1e-15)
    np.testing.assert_allclose(box.to_unit(box.from_unit(unit)), unit, rtol=0, atol=1e-15)
    drawn = jax.vmap(box.sample)(jax.random.split(jax.random.key(0), 1000))
    assert (drawn >= jnp.array([[-2.0, 0.0]])).all()
    assert (drawn <= jnp.array([[4.0, 1.0]])).all()
    # The mean of 1000 uniform draws has standard deviation width/sqrt(12000): six of these fail once in 5e8.
    np.testing.assert_allclose(drawn.mean(axis=0), [1.0, 0.5], rtol=0, atol=6 * 6 / 12000**0.5)


def test_one_shot_with_agents_of_different_dimensions():
    game = ContinuousGame.one_shot(product, ([-1.0, -1.0], [0.0]), ([1.0, 1.0], [2.0]))
    assert game.is_one_shot
    assert game.discount == (0.0, 0.0)
    assert game.horizon == 1
    after = game.step(game.reset(jax.random.key(0)), [jnp.array([0.5, 0.25]), jnp.array([2.0])], key=jax.random.key(0))
    np.testing.assert_array_equal(after.rewards, [1.5, -4.0])
    assert after.terminated
    rows = np.array([[0.5, 0.25, 2.0], [1.0, 1.0, 1.0]])
    np.testing.assert_array_equal(game.tables().rewards_at(rows), [[1.5, -4.0], [2.0, -1.0]])


def test_a_table_is_played_by_its_kernel():
    table = eq.load("catalog:random", states=3, actions=2, seed=4)
    game = ContinuousGame.from_table(table, horizon=30)
    number = 20_000
    for actions in itertools.product(range(2), repeat=2):
        state = game.reset(jax.random.key(0))
        keys = jax.random.split(jax.random.key(7), number)
        after = jax.vmap(lambda key, s=state, a=actions: game.step(s, jnp.array(a), key=key))(keys)
        place = (int(state.state.state), *actions)
        np.testing.assert_allclose(
            after.rewards[0], np.asarray(table.reward)[(slice(None), *place)], rtol=0, atol=1e-15
        )
        seen = jax.vmap(lambda s: game.observe(s, 0))(after.state)
        # Each frequency is within six standard deviations, at most .5/sqrt(number): a false alarm once in 5e8.
        np.testing.assert_allclose(seen.mean(axis=0), table.kernel.dense()[place], rtol=0, atol=3 / number**0.5)
        assert not after.terminated.any()


def test_one_shot_and_finite_tables_terminate():
    key = jax.random.key(0)
    once = ContinuousGame.from_table(eq.load("catalog:climbing"))
    after = once.step(once.reset(key), jnp.array([1, 2]), key=key)
    np.testing.assert_array_equal(after.rewards, [6.0, 6.0])
    assert (bool(after.terminated), bool(after.truncated)) == (True, False)
    cliff = ContinuousGame.from_table(eq.load("catalog:cliff", horizon=2))
    state = cliff.reset(key)
    first = cliff.step(state, cliff.sample_actions(key), key=key)
    second = cliff.step(first.state, cliff.sample_actions(key), key=key)
    assert [bool(each.terminated) for each in (first, second)] == [False, True]
    table = eq.load("catalog:cliff", horizon=2)
    assert cliff.observation_sizes == (table.num_states + 2,) * table.num_players


def one_shot(reward, low=((-1.0,), (-1.0,)), high=((1.0,), (1.0,)), **options):
    return ContinuousGame.one_shot(reward, low, high, name="mine", **options)


def fine(actions):
    return actions[:, 0]


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: one_shot(fine, low=[[1.0], [-1.0]]), "agent 0: dimension 0 goes from 1 to 1; low must be below high"),
        (lambda: one_shot(fine, high=[[1.0], [np.inf]]), "agent 1: dimension 0 goes from -1 to inf; .*finite"),
        (lambda: one_shot(fine, high=[[1.0], [np.nan]]), "agent 1: .* to nan; bounds must be finite"),
        (lambda: one_shot(fine, high=[[1.0]]), "low is for 2 agents and high for 1"),
        (lambda: one_shot(fine, low=-1.0), r"must be \(N, d\).*got a number"),
        (lambda: one_shot(fine, low=[["a"], [0.0]]), "agent 0: low is no list of numbers"),
        (lambda: one_shot(3), "reward must be a function; got 3"),
        (lambda: one_shot(lambda a: a[:, 0].sum()), r"mine: rewards have shape \(\); expected \(N,\) = \(2,\)"),
        (lambda: one_shot(lambda a: a[:, 0].astype(complex)), r"rewards are complex\d+; expected real numbers"),
        (lambda: one_shot(lambda a: a), r"rewards have shape \(2, 1\)"),
        (lambda: one_shot(lambda a: np.asarray(a)[:, 0]), "mine: reward is no function that JAX can trace"),
        (lambda: one_shot(lambda a: a[:, 0] if a[0, 0] > 0 else -a[:, 0]), "reward is no function that JAX can trace"),
        (lambda: one_shot(lambda a, b: a[:, 0]), "reward is no function that JAX can trace: .*missing"),
        (lambda: one_shot(lambda a: jnp.sqrt(a[::-1, 0])), r"the reward of agent 0 is nan at the actions \[\[-"),
        (lambda: one_shot(fine, lipschitz=-1.0), "lipschitz of agent 0 must be a finite number, at least 0; got -1"),
        (lambda: one_shot(fine, lipschitz=[1.0, 2.0, 3.0]), r"lipschitz has shape \(3,\)"),
        (lambda: one_shot(fine, player_labels=["x"]), "player_labels has 1 labels; expected 2"),
        (lambda: Discrete(0), "at least one move"),
        (lambda: Discrete(1.5), "whole number; got 1.5"),
        (lambda: Box([[0.0]], [[1.0]]), r"low of one agent has shape \(1, 1\)"),
        (lambda: Box([0.0], [1.0, 2.0]), "low has 1 numbers, and high 2"),
        (lambda: eq.load("catalog:differential", variant="romeo"), "variant of differential 'romeo'; did you mean"),
        (lambda: eq.load("catalog:diferential"), "did you mean 'differential'"),
        (lambda: eq.load("catalog:differential", peaks=(1.0, 2.0, 3.0)), "needs 2 peaks"),
        (lambda: eq.load("catalog:cournot", costs=()), "at least one firm"),
        (lambda: eq.load("catalog:cournot", slope=0.0), "slope > 0"),
        (lambda: eq.load("catalog:quadratic", coupling=1.0), "coupling in"),
        (
            lambda: eq.load("catalog:differential").tables.__self__.quadratic([1.0], [], [], [[0]], [[1]]),
            "matrix has shape",
        ),
        (lambda: ContinuousGame.from_table(eq.load("catalog:climbing"), horizon=3), "has a horizon already"),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(make, sentence):
    with pytest.raises((eq.BadInput, eq.UnknownName), match=sentence) as refused:
        make()
    assert "\n" not in str(refused.value)


def stepping(**others):
    parts = {
        "reset": lambda key: jnp.zeros(2),
        "step": lambda s, a, *, key: (s, a[:, 0], False, False),
        "observe": lambda s, i: s,
        "spaces": [Box(-1.0, 1.0)] * 2,
        "discount": 0.9,
    }
    return ContinuousGame(**{**parts, **others}, name="mine")


@pytest.mark.parametrize(
    ("others", "sentence"),
    [
        ({"reset": 3}, "reset must be a function; got 3"),
        ({"observe": lambda s, i: s[0]}, r"agent 0 observes float64 of shape \(\)"),
        ({"observe": lambda s, i: jnp.arange(2)}, "agent 0 observes int64"),
        ({"observe": lambda s, i: jnp.log(s)}, "at step 0 of uniform play agent 0 observes -inf"),
        ({"step": lambda s, a, *, key: (s, a[:, 0], False)}, "step must return Transition"),
        ({"step": lambda s, a, *, key: (s[:1], a[:, 0], False, False)}, "the state that step returns is not shaped"),
        ({"step": lambda s, a, *, key: (s, a[:, 0], jnp.zeros(2), False)}, r"terminated has shape \(2,\)"),
        (
            {"step": lambda s, a, *, key: (s + 1, jnp.sqrt(a[:, 0] * 0 + 2 - s), False, False)},
            "at step 3 of uniform play agent 0 earns nan",
        ),
        ({"step": lambda s, a, key: (s, float(a[0, 0]), False, False)}, "step is no function that JAX can trace"),
        ({"spaces": [Box(-1.0, 1.0), 3]}, "the space of agent 1 must be a Box or Discrete; got 3"),
        ({"spaces": []}, "at least one agent"),
        ({"discount": 1.5}, r"discount of agent 0 must lie in \[0, 1\]; got 1.5"),
        ({"horizon": 0}, "horizon must be a whole number"),
    ],
)
def test_wrong_rules_are_refused_in_one_sentence(others, sentence):
    with pytest.raises(eq.BadInput, match=sentence) as refused:
        stepping(**others)
    assert "\n" not in str(refused.value)


def test_a_game_that_is_over_may_say_anything():
    """After the end of an episode nothing is read."""
    stepping(step=lambda s, a, *, key: (s + 1, jnp.sqrt(a[:, 0] * 0 + 2 - s), s[0] > 1, False))


def test_solving_names_what_is_there_instead():
    with pytest.raises(eq.BadInput, match=r"cournot is a game of continuous actions.*`eq\.train`.*`eq\.certify`"):
        eq.solve("catalog:cournot")
    with pytest.raises(eq.BadInput, match="for games in tables; cournot is one of continuous actions"):
        eq.potential_defect("catalog:cournot")
    with pytest.raises(eq.BadInput, match="no one-shot game of continuous actions"):
        eq.certify("catalog:cournot_capacity", np.zeros((2, 1)))
    with pytest.raises(eq.UnknownName, match="did you mean 'catalog:cournot'"):
        eq.load("cournt")


def test_commands_show_games_of_learners(capsys):
    assert run(["info", "catalog:differential", "--set", "variant=rommeo", "peaks=-3,6"]) == 0
    out = capsys.readouterr().out
    assert "differential: 2 agents" in out
    assert "0: [-10, 10]; observes 1 number" in out
    assert "gaps    exact" in out
    assert run(["info", "catalog:cournot_demand"]) == 0
    out = capsys.readouterr().out
    assert "at most 25 in an episode; discount 0.95" in out
    assert "do not depend on actions" in out
    assert run(["games"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{name} " in out for name in catalog.continuous_names())
    assert run(["solve", "catalog:cournot"]) == 4
    assert "eq.train" in capsys.readouterr().err
    for words in (
        ["solve", "--all"],
        ["sweep", "--set", "intercept=8:9:2"],
        ["info", "--potential"],
        ["certify", "x.csv"],
    ):
        assert run([words[0], "catalog:cournot", *words[1:]]) == 4
        assert "cournot is" in capsys.readouterr().err


def test_single_precision_and_illegal_actions():
    """As users have it, with 64-bit numbers off; certificates are in float64 all the same."""
    with jax.enable_x64(False):
        game = ContinuousGame.one_shot(lambda a: -((a[:, 0] - 0.1) ** 2), [[-1], [-1]], [[1], [1]])
        certificate = eq.certify(game, [[0.1], [0.35]])
        assert game.step((), jnp.zeros((2, 1)), key=jax.random.key(0)).rewards.dtype == np.float32
        played = ContinuousGame.from_table(eq.load("catalog:iterated_prisoners_dilemma"), horizon=3)
        state = played.reset(jax.random.key(0))
        assert played.step(state, jnp.array([0, 1]), key=jax.random.key(0)).rewards.tolist() == [-3.0, 0.0]
    np.testing.assert_allclose(certificate.per_player, [0.0, 0.0625], rtol=0, atol=1e-15)
    legal = [np.array([[True, False]]), np.ones((1, 2), bool)]
    table = eq.TabularGame(np.zeros((2, 1, 2, 2)), np.ones((1, 2, 2, 1)), 0.5, legal=legal)
    with pytest.raises(eq.BadInput, match="has illegal actions in some states, which learners cannot be forbidden"):
        ContinuousGame.from_table(table)

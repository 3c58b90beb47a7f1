"""Opponent models of learners against laws that are known in closed form, in heads that are made by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.baselines.ddpg import DDPG
from equinfer.baselines.rommeo import ROMMEO
from equinfer.data.arena import Arena
from equinfer.nn.actions import Cloud
from equinfer.nn.networks import _LEAK as LEAK
from equinfer.opponent_judgements import _losses, _Told, judged_opponents
from equinfer.records import Status
from equinfer.run_pages import write_run_page
from equinfer.run_results import judged, played_in_table
from equinfer.runs import Training
from equinfer.solvers.neural.mai import MAI
from equinfer.solvers.neural.predictions import believed_law, executed_law

SEEN = jnp.zeros(1, jnp.float32)
TEMPERATURE = 0.5
FIXED = {"temperature": TEMPERATURE, "final_temperature": TEMPERATURE, "hidden": 8}
SHARP = -20.0
"""What a network says of a deviation that is as small as can be."""


def silent(tree):
    return jax.tree.map(jnp.zeros_like, tree)


def saying(network, outputs):
    """A network that puts out the same whatever comes in."""
    last = jnp.broadcast_to(jnp.asarray(outputs, jnp.float32), network.biases[2].shape)
    return eqx.tree_at(lambda n: n.biases, silent(network), (*silent(network).biases[:2], last))


def reading(network, inputs, outputs):
    """A network of one output: `inputs` (seen + D, K) make K positive numbers, whose weighted sum it is."""
    layers = [np.zeros(layer.shape, np.float32) for layer in network.layers]
    count = len(inputs[0])
    layers[0][..., :, :count] = inputs
    layers[1][..., range(count), range(count)] = 1
    layers[2][..., :count, 0] = outputs
    return eqx.tree_at(lambda n: n.layers, silent(network), tuple(map(jnp.asarray, layers)))


def begun(game, learner):
    """Heads with nothing in them, of one seed."""
    arena = Arena.of(game)
    shapes = jax.eval_shape(lambda key: learner.init(arena, key=key), jax.random.key(0))
    return arena, jax.tree.map(lambda leaf: jnp.zeros((1, *leaf.shape), leaf.dtype), shapes)


def run_of(game, learner, arena, state, algorithm="mai"):
    agents = arena.agents
    zeros = np.zeros((1, 1, agents))
    return Training(
        algorithm=algorithm,
        config={"steps": 500, "game": {"name": game.name}, "phases": {"uniform": 0, "burn_in": 0, "steps": 500}},
        actions=np.zeros((1, agents), int),
        steps=np.array([500.0]),
        returns=zeros,
        deterministic_returns=zeros,
        rewards=zeros,
        trace={},
        path=np.zeros((1, 1, agents, arena.actions.size)),
        seconds=0.0,
        status=Status.above_eps,
        learner=learner,
        arena=arena,
        game=game,
        state=state,
        judge=judged,
        draw=write_run_page,
    )


def pennies(played, believed, **options):
    """Agents who draw by `played`, and believe `believed` of the other, (2, 2) each."""
    game = eq.ContinuousGame.from_table(eq.load("catalog:matching_pennies"))
    learner = MAI(opponent="inferred-flat", **FIXED, **options)
    arena, state = begun(game, learner)
    mind = state.mind
    identity = np.vstack([np.zeros((1, 2)), np.eye(2)])
    worth = TEMPERATURE * (np.log(believed) - np.log(believed).min())
    mind = eqx.tree_at(lambda m: m.actor, mind, saying(mind.actor, np.log(played)))
    mind = eqx.tree_at(lambda m: m.rewards, mind, reading(mind.rewards, identity, worth[:, None]))
    return run_of(game, learner, arena, state._replace(mind=mind))


PLAYED = np.array([[0.5, 0.5], [0.3, 0.7]])
BELIEVED = np.array([[0.6, 0.4], [0.9, 0.1]])


def test_log_losses_are_those_of_the_frequencies_drawn():
    """Both are linear in how often a move was drawn, which one of them therefore tells."""
    found = judged_opponents(pennies([[0.4, 0.6], [0.3, 0.7]], BELIEVED), draws=400)
    for i, j, law in ((0, 1, [0.3, 0.7]), (1, 0, [0.4, 0.6])):
        share = (-found.truth[0, j] - np.log(law[1])) / (np.log(law[0]) - np.log(law[1]))
        assert abs(share - law[0]) < 4 * np.sqrt(law[0] * law[1] / 400)
        want = -share * np.log(BELIEVED[i, 0]) - (1 - share) * np.log(BELIEVED[i, 1])
        assert found.log_loss[0, i, j] == pytest.approx(want, abs=1e-5)
        divergence = np.dot(law, np.log(law) - np.log(BELIEVED[i]))
        assert abs(found.excess[0, i, j] - divergence) < 4 * found.error[0, i, j]
    assert np.isnan(found.excess[0].diagonal()).all()


@pytest.mark.slow
def test_who_believes_the_truth_loses_nothing():
    found = judged_opponents(pennies(PLAYED, PLAYED[::-1]), draws=50)
    assert np.allclose(found.excess[0][~np.eye(2, dtype=bool)], 0, atol=1e-6)
    assert np.allclose(found.regret, 0, atol=1e-9)


@pytest.mark.slow
def test_the_regret_of_a_matrix_game_is_exact():
    """Who matches believes in heads, where tails is the likelier: it wins p - q instead of q - p."""
    run = pennies(PLAYED, BELIEVED)
    found = judged_opponents(run, draws=50)
    heads, tails = played_in_table(run, 0)[1][0]
    assert found.regret[0, 0] == pytest.approx(2 * (tails - heads), abs=1e-9)


def test_agents_are_counted_without_themselves():
    executed = -np.arange(3.0)[:, None] * np.ones((3, 4))
    believed = -np.arange(6.0).reshape(3, 2, 1) * np.ones((3, 2, 4))
    log_loss, truth, error = _losses(_Told(executed, believed, None, np.zeros((4, 3, 1))))
    np.testing.assert_array_equal(log_loss, [[np.nan, 0, 1], [2, np.nan, 3], [4, 5, np.nan]])
    np.testing.assert_array_equal(truth, [0, 1, 2])
    assert np.nanmax(error) == 0


SIGNS = np.array([[0.0, 0.0], [1.0, -1.0]])
"""From an observation and a number to its positive part and its negative one."""


def chase(**options):
    """Each of two agents wants to be where the other is: the best response is the mean of what is believed."""
    game = eq.ContinuousGame.one_shot(lambda a: -((a[:, 0] - a[::-1, 0]) ** 2), [[-1], [-1]], [[1], [1]])
    learner = MAI(opponent="inferred-flat", **FIXED, **options)
    return game, learner, *begun(game, learner)


def slope(mind, steep):
    r"""Rewards $\kappa\tau a$ of the other's action: beliefs are $e^{\kappa a}$, cut to the box."""
    worth = steep * TEMPERATURE * np.array([1.0, -1.0]) / (1 + LEAK**2)  # two layers of units that leak
    return eqx.tree_at(lambda m: m.rewards, mind, reading(mind.rewards, SIGNS, worth))


def exponential(steep, at):
    return steep * at - np.log(2 * np.sinh(steep) / steep)


@pytest.mark.slow
def test_beliefs_about_numbers_are_densities():
    _, learner, arena, state = chase()
    thinker = jax.tree.map(lambda leaf: leaf[0], learner._thinkers(arena))
    mind = jax.tree.map(lambda leaf: leaf[0, 0], slope(state.mind, 3.0))
    at = np.linspace(-0.99, 0.99, 9).astype(np.float32)
    think = jax.jit(lambda done, key: believed_law(thinker, mind, SEEN, done, TEMPERATURE, key))
    told, cloud = think(jnp.asarray(at)[:, None, None], jax.random.key(1))
    assert np.allclose(told[0], exponential(3.0, at), atol=5e-3)
    chances = np.asarray(jax.nn.softmax(cloud.log_weights[0]))
    assert chances @ np.asarray(cloud.points[0, :, 0]) == pytest.approx(1 / np.tanh(3) - 1 / 3, abs=5e-3)


@pytest.mark.slow
def test_the_gibbs_law_is_the_one_that_is_drawn_from():
    """With a critic that is linear in the own action, whatever the other does."""
    _, learner, arena, state = chase(actor="gibbs")
    thinker = jax.tree.map(lambda leaf: leaf[0], learner._thinkers(arena))
    mind = jax.tree.map(lambda leaf: leaf[0, 0], state.mind)
    critic = mind.critic
    actions = critic.actions.at[0, 0, :2].set(jnp.array([1.0, -1.0]))
    second = critic.second + jnp.eye(len(critic.second))
    last = critic.last.at[:2, 0].set(2.0 * TEMPERATURE * jnp.array([1.0, -1.0]))
    parts = (lambda c: c.actions, lambda c: c.second, lambda c: c.last)
    for part, value in zip(parts, (actions, second, last), strict=True):
        critic = eqx.tree_at(part, critic, value)
    mind = eqx.tree_at(lambda m: m.critic, mind, critic)
    at = jnp.linspace(-0.99, 0.99, 9, dtype=jnp.float32)[:, None]
    still = lambda key: Cloud(jnp.zeros((1, 4, 1), jnp.float32), jnp.zeros((1, 4), jnp.float32))  # noqa: E731
    told = jax.jit(lambda key: executed_law(thinker, mind, SEEN, at, TEMPERATURE, still, key))(jax.random.key(2))
    assert np.allclose(told, exponential(2.0, np.asarray(at[:, 0])), atol=5e-3)


@pytest.mark.slow
def test_the_regret_of_an_action_in_a_box():
    """Who believes in a mean of b, where the other is at m, loses (b - m)^2."""
    game, learner, arena, state = chase()
    mind = slope(state.mind, 3.0)
    mind = eqx.tree_at(lambda m: m.actor, mind, saying(mind.actor, [np.arctanh(0.2), SHARP]))
    found = judged_opponents(run_of(game, learner, arena, state._replace(mind=mind)), draws=300)
    want = (1 / np.tanh(3) - 1 / 3 - 0.2) ** 2
    assert np.allclose(found.regret, want, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["marginal", "conditional"])
@pytest.mark.parametrize("target", ["catalog:cournot_demand", "catalog:iterated_prisoners_dilemma"])
def test_empty_heads_along_episodes(target, policy):
    """They predict evenly spread actions; of moves they play so too, and believing it costs nothing."""
    game = eq.load(target)
    game = game if isinstance(game, eq.ContinuousGame) else eq.ContinuousGame.from_table(game, horizon=5)
    learner = MAI(policy=policy, **FIXED)
    found = judged_opponents(run_of(game, learner, *begun(game, learner)), draws=20)
    others = ~np.eye(2, dtype=bool)
    assert np.allclose(found.log_loss[0][others], np.log(2), atol=1e-3)
    if target.endswith("dilemma"):
        assert np.allclose(found.excess[0][others], 0, atol=1e-6)
        assert np.allclose(found.regret, 0, atol=1e-9)
    else:
        assert (found.excess[0][others] > 1).all()  # a deviation of exp(-2) leaves little of the box
        assert np.isnan(found.regret).all()


@pytest.mark.slow
def test_wishes_that_come_true():
    """Empty heads of ROMMEO wish for what they do themselves."""
    game, learner = eq.load("catalog:cournot"), ROMMEO(hidden=8)
    found = judged_opponents(run_of(game, learner, *begun(game, learner), "rommeo"), draws=50)
    assert np.allclose(found.excess[0][~np.eye(2, dtype=bool)], 0, atol=1e-5)


def test_what_cannot_be_judged_is_said():
    game = eq.load("catalog:cournot")
    learner = DDPG(hidden=8)
    arena, state = begun(game, learner)
    run = run_of(game, learner, arena, state, "maddpg")
    with pytest.raises(eq.BadInput, match="agents of maddpg model nobody"):
        judged_opponents(run)
    with pytest.raises(eq.BadInput, match="draws must be"):
        judged_opponents(pennies(PLAYED, BELIEVED), draws=1)

"""What the rivals' losses are: each term by hand, samplers by the law that they sample from."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float
from scipy.special import logsumexp

import equinfer as eq
from equinfer.baselines.ddpg import DDPG
from equinfer.baselines.masql import MASQL, stein_direction
from equinfer.baselines.rommeo import ROMMEO
from equinfer.data.arena import Arena
from equinfer.data.replay import Experience, Replay
from equinfer.drivers.learning import Phases
from equinfer.nn.actions import action_units
from equinfer.nn.descent import begun, descended
from equinfer.nn.networks import Critic
from equinfer.run_games import playable

PLAY = Phases(25, 25, 500).at(jnp.int32(100))
"""Full play."""


def lived(terminated=False):
    """A memory of one step of the market whose plant wears, which so is every batch."""
    arena = Arena.of(eq.load("catalog:cournot_capacity"))
    eye = jnp.eye(2, dtype=jnp.float32)
    step = Experience(
        jnp.stack([eye[0], eye[0]]),
        jnp.array([[0.25], [-0.5]], jnp.float32),
        jnp.array([2.0, -1.0], jnp.float32),
        jnp.asarray(terminated),
        jnp.stack([eye[1], eye[1]]),
    )
    return arena, step, Replay.empty(1, step).add(step)


def of_agent(tree, i):
    return jax.tree.map(lambda leaf: leaf[i], tree)


@pytest.mark.parametrize("centralised", [True, False])
@pytest.mark.parametrize("terminated", [True, False])
def test_critics_of_ddpg_aim_at_what_target_actors_would_do(centralised, terminated):
    r"""$r_i+\gamma Q_i'(o',\mu'(o'))$, and $r_i$ alone where the episode has ended."""
    arena, step, replay = lived(terminated)
    learner = DDPG(centralised=centralised, hidden=8, batch=4, learn_from=0)
    state = learner.init(arena, key=jax.random.key(0))
    later = learner.init(arena, key=jax.random.key(1)).pair
    state = state._replace(target=later)
    _, told = learner.learn(arena, state, replay, jnp.int32(100), PLAY, key=jax.random.key(2))
    follow = [jnp.tanh(of_agent(later.actor, i)(step.after[i])) for i in range(2)]
    for i, j in ((0, 1), (1, 0)):
        who = (i, j) if centralised else (i,)

        def worth(critic, seen, actions, who=who):
            return critic(jnp.concatenate([seen[k] for k in who]), jnp.stack([actions[k] for k in who]))

        goal = step.reward[i]
        if not terminated:
            goal += arena.game.discount[i] * worth(of_agent(later.critic, i), step.after, follow)
        error = worth(of_agent(state.pair.critic, i), step.observation, step.action) - goal
        assert told["critic_error"][i] == pytest.approx(float(error) ** 2, rel=1e-4)


def test_actors_of_maddpg_climb_their_critics_beside_what_the_others_did():
    """Adam's first step is one rate in the direction of each gradient: its signs are those of the slope by hand."""
    arena, step, replay = lived()
    learner = DDPG(hidden=8, batch=4, learn_from=0, penalty=0.01)
    state = learner.init(arena, key=jax.random.key(0))
    after, _ = learner.learn(arena, state, replay, jnp.int32(100), PLAY, key=jax.random.key(2))
    critic = of_agent(state.pair.critic, 0)

    def loss(actor):
        output = actor(step.observation[0])
        joint = jnp.stack([jnp.tanh(output), step.action[1]])
        return -critic(step.observation.reshape(-1), joint) + 0.01 * (output**2).mean()

    slopes = jax.tree.leaves(jax.grad(loss)(of_agent(state.pair.actor, 0)))
    moved = jax.tree.leaves(jax.tree.map(jnp.subtract, after.pair.actor, state.pair.actor))
    compared = 0
    for slope, move in zip(slopes, moved, strict=True):
        steep = np.abs(slope) > 1e-5
        assert np.array_equal(np.sign(move[0])[steep], -np.sign(slope)[steep])
        compared += steep.sum()
    assert compared > 50


def test_steins_direction_of_two_particles_by_hand():
    r"""From x = 0 and 1 on y = 3, where $\log p=-x^2/2$, with the median rule: $h=(9+4)/2/\log 2$."""
    fixed, moved = jnp.array([[0.0], [1.0]]), jnp.array([[3.0]])
    width = 6.5 / np.log(2)
    kernel = np.exp(-np.array([9.0, 4.0]) / width)
    want = (kernel @ np.array([0.0, -1.0]) + kernel @ np.array([6.0, 4.0]) / width) / 2
    found = stein_direction(fixed, moved, lambda x: -0.5 * (x**2).sum())
    assert float(found[0, 0]) == pytest.approx(want, rel=1e-5)


class Hill(Critic):
    """A critic that is known: a ridge, so that agents' actions hang together."""

    top: Float[Array, " 2"]

    def __init__(self):
        super().__init__(1, 2, 1, 1, key=jax.random.key(0))
        self.top = jnp.array([0.3, -0.4], jnp.float32)

    def __call__(self, seen, actions):
        one, other = actions[..., 0, 0] - self.top[0], actions[..., 1, 0] - self.top[1]
        return -(one**2) - other**2 - 0.8 * one * other

    def at(self, seen, actions):
        return self(seen, actions)


TEMPERATURE = 0.25
GRID = np.stack(np.meshgrid(*2 * [(np.arange(400) + 0.5) / 200 - 1], indexing="ij"), axis=-1).reshape(-1, 2)
ONE, OTHER = (GRID - [0.3, -0.4]).T
LEVEL = -(ONE**2 + OTHER**2 + 0.8 * ONE * OTHER) / TEMPERATURE
LAW = np.exp(LEVEL - logsumexp(LEVEL))
MEAN = LAW @ GRID
DEVIATION = np.sqrt(LAW @ (GRID - MEAN) ** 2)


def sampled(sampler, steps=4000):
    """Draws of a sampler that has learnt from the known critic."""
    arena = Arena.of(eq.load("catalog:cournot"))
    learner = MASQL(sampler=sampler, final_temperature=TEMPERATURE, candidates=4096)
    pair = of_agent(learner.init(arena, key=jax.random.key(0)).pair, 0)
    pair = eqx.tree_at(lambda tree: tree.critic, pair, Hill())
    seen, mask = jnp.zeros(1, jnp.float32), jnp.ones((2, 1), bool)

    @jax.jit
    def learnt(pair):
        def step(carry, number):
            pair, moments = carry
            key = jax.random.fold_in(jax.random.key(1), number)
            push = lambda pair: learner._push(arena, pair, seen, mask, jnp.float32(TEMPERATURE), key)  # noqa: E731
            rates = {"critic": 0.0, "sampler": 3e-3 * 0.1 ** (number / steps)}
            return descended(pair, eqx.filter_grad(push)(pair), moments, rates), None

        return jax.lax.scan(step, (pair, begun(pair)), jnp.arange(steps))[0][0]

    if sampler != "exact":
        pair = learnt(pair)
    draw = jax.jit(jax.vmap(lambda key: learner._joint(arena, pair, seen, mask, key)))
    return np.asarray(draw(jax.random.split(jax.random.key(2), 4000)))[..., 0]


@pytest.mark.parametrize("sampler", ["exact", "actions", "unsquashed"])
def test_every_sampler_has_the_joint_gibbs_law(sampler):
    """Means, deviations and the correlation of the exact law on the box. (The density of squashing in the form that
    has no use for it, the mistake of the public code, moves the means by a quarter of a deviation.)
    """
    drawn = sampled(sampler)
    assert np.abs(drawn.mean(axis=0) - MEAN).max() < 0.15 * DEVIATION.min()
    assert np.abs(drawn.std(axis=0) / DEVIATION - 1).max() < 0.1
    away = GRID - MEAN
    want = LAW @ away.prod(axis=1) / DEVIATION.prod()
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(want, abs=0.08)


def test_soft_values_of_boxes_are_integrals():
    r"""$\tau\log E_{a\sim U}e^{Q/\tau}$"""
    arena = Arena.of(eq.load("catalog:cournot"))
    learner = MASQL(value_particles=100_000)
    mask, seen = jnp.ones((2, 1), bool), jnp.zeros(1, jnp.float32)
    found = learner._value(arena, Hill(), seen, mask, jnp.float32(TEMPERATURE), jax.random.key(0))
    want = TEMPERATURE * (logsumexp(LEVEL) - np.log(len(LEVEL)))
    assert float(found) == pytest.approx(want, abs=0.01)


def test_soft_values_of_more_joint_moves_than_are_counted_are_means_of_draws():
    """Of agents with four moves and with two, against the sum over all that they can do."""
    sizes = [4, 2, 4, 2, 4, 2, 4]
    actions = action_units(tuple(map(eq.Discrete, sizes)))
    assert actions.together(7) > 4096
    critic, seen = Critic(1, 7, 4, 8, key=jax.random.key(0)), jnp.zeros(1, jnp.float32)
    every = jnp.eye(4)[np.array(list(itertools.product(*map(range, sizes))))]
    want = TEMPERATURE * (logsumexp(np.asarray(critic.at(seen, every), float) / TEMPERATURE) - np.log(len(every)))
    arena, mask = Arena(None, actions), jnp.asarray(actions.mask)
    value = MASQL(candidates=50_000)._value(arena, critic, seen, mask, jnp.float32(TEMPERATURE), jax.random.key(0))
    assert float(value) == pytest.approx(want, abs=0.01)


def test_the_three_terms_of_rommeo_are_sums():
    r"""With $\rho$ the wish, P the prior: $\sum_b\rho(\log\frac\rho P+\sum_a\pi(a|b)(\tau\log\pi-Q))$ for the model,
    the inner sum for the policy, and the value is what the model would lose, with its sign turned.
    """
    arena = Arena.of(playable(eq.TabularGame.from_payoffs(np.zeros((2, 3, 3)))))
    learner, tau = ROMMEO(hidden=16), 0.7
    mind = of_agent(learner.init(arena, key=jax.random.key(0)).mind, 0)
    mind = eqx.tree_at(lambda tree: (tree.actor, tree.model), mind, replace_fn=lambda leaf: jax.tree.map(_ten, leaf))
    seen, mask, eye = jnp.zeros(1, jnp.float32), jnp.ones((2, 3), bool), jnp.eye(3)
    wish = np.asarray(learner._laws(arena, mind.model, seen, mask).logits)[0]
    prior = np.asarray(learner._laws(arena, mind.prior, seen, mask).logits)[0]
    policy = np.stack([np.asarray(learner._policy(arena, mind, seen, eye[b][None], mask).logits) for b in range(3)])
    worth = np.array([[float(mind.critic(seen, jnp.stack([eye[a], eye[b]]))) for a in range(3)] for b in range(3)])
    inner = (np.exp(policy) * (tau * policy - worth)).sum(axis=1)
    model, actor = np.exp(wish) @ (wish - prior + inner), np.exp(wish) @ inner
    found = learner._terms(arena, mind, mind.critic, seen, mask, jnp.float32(tau), jax.random.key(1))
    assert np.ptp(policy) > 0.1
    assert [float(term) for term in found] == pytest.approx([model, actor, -model], rel=1e-4)


def _ten(leaf):
    """Laws that are far from even."""
    return 10 * leaf

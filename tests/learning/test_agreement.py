"""What MAI learns is what tables say: fixed points of VPG, equilibria of the homotopy, values of Markov chains."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.data.arena import Arena
from equinfer.drivers import scan
from equinfer.nn.descent import begun, descended
from equinfer.nn.networks import Network
from equinfer.runs import last_phase
from equinfer.solvers.neural.mai import MAI
from equinfer.solvers.neural.views import Lived, value_loss
from equinfer.solvers.tabular.vpg import VPG

STEPS, SEEDS = 5500, 8
LATE = STEPS // 5
"""Steps over which play is averaged."""

UNEQUAL = [[[2.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.5, 0.0]]]
"""Matching pennies in which heads and tails are worth different things."""
LOPSIDED = [[[2.0, 0.0, 1.0], [0.0, 2.0, 1.5]], [[0.0, 2.0, 1.0], [2.0, 0.0, 0.5]]]
"""Two rows, three columns; the third column is worse than either of the others where it matters."""


def fixed_point(game, temperature):
    """Of VPG at a constant temperature, where no sweep moves it any more."""
    solver = VPG(temperature=temperature, step_size=0.2, tolerance=-1.0)
    with jax.enable_x64(True):  # as tables are solved
        solver, game, state, keys = scan.begin(solver, game, seed=0)
        ends = [
            scan.advance(solver, game, state, keys, jnp.asarray(0), jnp.asarray(steps))[2] for steps in (1000, 1500)
        ]
        one, two = ([np.asarray(policy) for policy in profile] for profile in ends)
    for policy, later in zip(one, two, strict=True):
        assert np.allclose(policy, later, atol=1e-12)
    return two


def learnt(game, opponent, temperature):
    """In the rewards' own units, at one temperature throughout."""
    fixed = {"standardised": False, "temperature": temperature, "final_temperature": temperature}
    return eq.train("mai", game, STEPS, SEEDS, opponent=opponent, **fixed)


@pytest.mark.slow
@pytest.mark.parametrize("opponent", ["inferred", "empirical"])
@pytest.mark.parametrize("payoffs", [UNEQUAL, LOPSIDED])
def test_play_settles_at_vpgs_fixed_point(payoffs, opponent):
    r"""What is left is the noise of what agents see of each other: a frequency over the T last steps has a standard
    deviation of at most $1/(2\sqrt T)$, and a soft response at temperature $\tau$ moves by at most
    $\max|\Delta\Delta Q|/(4\tau)$ times as much. Means over seeds must lie within four of their standard deviations.
    """
    game, temperature = eq.TabularGame.from_payoffs(payoffs), 1.0
    late = learnt(game, opponent, temperature).trace["chances"][:, -LATE // 25 :].mean(axis=(0, 1))
    payoff = np.asarray(payoffs)
    for i, policy in enumerate(fixed_point(game, temperature)):
        table = payoff[0] if i == 0 else payoff[1].T
        slope = np.ptp(table[:, None] - table[None], axis=2).max() / (4 * temperature)
        deviation = slope / (2 * np.sqrt(LATE * SEEDS))
        assert np.abs(late[i, : policy.shape[1]] - policy[0]).max() < 4 * deviation


def laws_of(run):
    """(seeds, S, N, A), of every state of a table, which is seen one-hot."""
    phase, arena = last_phase(run.learner, STEPS), run.arena
    states = jnp.eye(arena.observation_size, dtype=jnp.float32)

    @jax.jit
    def law(state, seen):
        seen = jnp.broadcast_to(seen[None], (arena.agents, len(seen)))
        return run.learner.laws(arena, state, seen, phase, key=jax.random.key(0))

    return np.asarray(jax.vmap(lambda state: jax.vmap(lambda seen: law(state, seen))(states))(run.state))


def soft_values(game, profile, temperature):
    """(N, S, A, A): what joint actions are worth where all follow the profile, entropies relative to uniform laws."""
    first, second = profile
    tables = game.tables()
    reward, kernel, gamma = (np.asarray(part) for part in (tables.reward, tables.kernel, tables.discount))
    joint = first[:, :, None] * second[:, None]
    law = (joint[..., None] * kernel).sum(axis=(1, 2))
    worth = []
    for i, own in enumerate(profile):
        surprise = (own * np.log(own.shape[1] * own)).sum(axis=1)
        paid = (joint * reward[i]).sum(axis=(1, 2)) - temperature * surprise
        worth.append(reward[i] + gamma[i] * kernel @ np.linalg.solve(np.eye(len(law)) - gamma[i] * law, paid))
    return np.stack(worth)


def critics_of(run):
    """(seeds, N, S, A, A), each player's own actions where they are in the table."""
    eye = jnp.eye(2, dtype=jnp.float32)
    every = jnp.stack([jnp.stack([eye[a], eye[b]]) for a in range(2) for b in range(2)])

    def of_agent(critic):
        return jnp.stack([critic.at(seen, every).reshape(2, 2) for seen in eye])

    found = np.array(jax.jit(jax.vmap(jax.vmap(of_agent)))(run.state.mind.critic))
    found[:, 1] = found[:, 1].swapaxes(-1, -2)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("opponent", ["inferred", "empirical"])
def test_play_that_moves_the_states_settles_at_vpgs_fixed_point(opponent):
    """Critics bootstrap through states that both agents move. Its policies are away from uniform by .13."""
    game, temperature = eq.load("catalog:random", states=2, actions=2, discount=0.8, seed=3), 1.0
    profile = fixed_point(game, temperature)
    want = np.stack(profile, axis=1)
    run = learnt(game, opponent, temperature)
    found, worth = laws_of(run), soft_values(game, profile, temperature)
    off = np.abs(critics_of(run) - worth[None]) / np.abs(worth).max()
    assert np.abs(want - 0.5).max() > 0.1
    assert np.abs(found.mean(axis=0) - want).max() < 0.02
    assert np.abs(found - want[None]).max() < 0.05
    assert off.max() < 0.03


@pytest.mark.slow
def test_with_the_defaults_moves_in_states_are_those_of_the_homotopy():
    """They are pure, and the critics' bootstrapped values in between are of no harm."""
    game = eq.load("catalog:random", states=2, actions=2, discount=0.9, seed=1)
    solution = eq.solve(game, solver="homotopy")
    assert solution.certified
    want = np.stack(solution.profile, axis=1)
    assert np.isin(np.round(want, 6), (0, 1)).all()
    found = laws_of(eq.train("mai", game, STEPS, SEEDS))
    assert np.abs(found - want[None]).max() < 0.1


class Head(eqx.Module):
    value: Network


def test_values_are_those_of_the_chain():
    r"""$v=r+\gamma Pv$ where states follow each other by P, by descent on steps that were seen as often as P says."""
    law = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
    paid, discount = np.array([1.0, -2.0, 3.0]), 0.8
    often = np.round(10 * law).astype(int).ravel()
    here, there = (np.repeat(which.ravel(), often) for which in np.indices((3, 3)))
    eye = np.eye(3, dtype=np.float32)
    lived = Lived(
        jnp.asarray(eye[here]), jnp.asarray(paid[here], jnp.float32), jnp.zeros(30, bool), jnp.asarray(eye[there])
    )

    @jax.jit
    def learnt(head):
        def step(carry, rate):
            head, moments = carry
            slope = eqx.filter_grad(lambda head: value_loss(head.value, lived, discount)[0])(head)
            return descended(head, slope, moments, {"value": rate}), None

        rates = jnp.geomspace(1e-2, 1e-5, 4000).astype(jnp.float32)
        return jax.lax.scan(step, (head, begun(head)), rates)[0][0]

    head = learnt(Head(Network(3, 1, 16, key=jax.random.key(0))))
    want = np.linalg.solve(np.eye(3) - discount * law, paid)
    assert np.allclose(head.value(jnp.asarray(eye))[:, 0], want, atol=1e-2)


def test_nothing_is_paid_for_values_where_nothing_follows():
    for target, valued in [("cournot", False), ("cournot_capacity", False), ("cournot_demand", True)]:
        arena = Arena.of(eq.load(f"catalog:{target}"))
        state = jax.eval_shape(lambda key, arena=arena: MAI(hidden=4).init(arena, key=key), jax.random.key(0))
        assert (state.mind.value is not None) == valued

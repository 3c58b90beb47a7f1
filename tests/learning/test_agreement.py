"""What MAI learns is what tables say: logit equilibria of matrix games, values of Markov chains."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

import equinfer as eq
from equinfer.data.arena import Arena
from equinfer.nn.descent import begun, descended
from equinfer.nn.networks import Network
from equinfer.solvers.neural.mai import MAI
from equinfer.solvers.neural.views import Lived, value_loss

STEPS, SEEDS = 5500, 8
LATE = STEPS // 5
"""Steps over which play is averaged."""

UNEQUAL = [[[2.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.5, 0.0]]]
"""Matching pennies in which heads and tails are worth different things."""
LOPSIDED = [[[2.0, 0.0, 1.0], [0.0, 2.0, 1.5]], [[0.0, 2.0, 1.0], [2.0, 0.0, 0.5]]]
"""Two rows, three columns; the third column is worse than either of the others where it matters."""


def fixed_point(game, temperature):
    """The logit equilibrium, by damped iteration, and that it is one."""
    payoff = np.asarray(game.reward)[:, 0]
    x, y = (np.full(size, 1 / size) for size in game.num_actions)

    def answers():
        return softmax(payoff[0] @ y / temperature), softmax(x @ payoff[1] / temperature)

    for _ in range(2000):
        x, y = (0.9 * old + 0.1 * new for old, new in zip((x, y), answers(), strict=True))
    assert all(np.allclose(old, new, atol=1e-12) for old, new in zip((x, y), answers(), strict=True))
    return x, y


@pytest.mark.slow
@pytest.mark.parametrize("payoffs", [UNEQUAL, LOPSIDED])
def test_play_settles_at_the_logit_equilibrium_of_the_tables(payoffs):
    r"""At the same constant temperature, in the rewards' own units, where agents answer what the others lately did.

    What is left is the noise of what agents see of each other: a frequency over the T last steps has a standard
    deviation of at most $1/(2\sqrt T)$, and a soft response at temperature $\tau$ moves by at most
    $\max|\Delta\Delta Q|/(4\tau)$ times as much. Means over seeds must lie within four of their standard deviations.
    """
    game, temperature = eq.TabularGame.from_payoffs(payoffs), 1.0
    want = fixed_point(game, temperature)
    run = eq.train(
        "mai",
        game,
        STEPS,
        SEEDS,
        opponent="empirical",
        standardised=False,
        temperature=temperature,
        final_temperature=temperature,
    )
    late = run.trace["chances"][:, -LATE // 25 :].mean(axis=(0, 1))
    payoff = np.asarray(payoffs)
    for i, policy in enumerate(want):
        table = payoff[0] if i == 0 else payoff[1].T
        slope = np.ptp(table[:, None] - table[None], axis=2).max() / (4 * temperature)
        deviation = slope / (2 * np.sqrt(LATE * SEEDS))
        assert np.abs(late[i, : len(policy)] - policy).max() < 4 * deviation


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

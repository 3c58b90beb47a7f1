"""Algorithm 4 from samples: simulated moves have the laws of the kernels, and what is learnt is an equilibrium."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.certificates.populations import sent
from equinfer.errors import BadInput

GAMES = ["crowd_modelling", "crowd_motion", "four_rooms", "periodic_aversion", "crowd_avoidance", "left_right"]


@pytest.mark.parametrize("name", [*GAMES, "susceptible_infected", "building_evacuation"])
def test_agents_move_by_the_law_of_the_kernel(name):
    """20,000 agents from each of some places and actions: frequencies within six standard deviations."""
    game, agents = eq.load(f"catalog:mean_field/{name}"), 20_000
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        laws = tuple(jnp.asarray(rng.dirichlet(np.ones(mask.size)).reshape(mask.shape)) for mask in game.legal)
        raw = game.transitions[0].raw(1, laws)
        for trial in range(6):
            s, a = rng.integers(game.num_states), rng.integers(game.num_actions[0])
            one = np.zeros(laws[0].shape)
            one[s, a] = 1.0
            expected = sent(raw, one)
            states, actions = jnp.full(agents, s), jnp.full(agents, a)
            drawn = game.transitions[0].draw(1, laws, states, actions, jax.random.key(trial))
            found = np.bincount(np.asarray(drawn), minlength=game.num_states) / agents
            assert np.all(np.abs(found - expected) <= 6 * np.sqrt(expected * (1 - expected) / agents) + 1e-12)


@pytest.mark.parametrize("agents", [64, 1], ids=["cohort", "representative agent"])
@pytest.mark.parametrize("name", ["left_right", "congestion"])
def test_what_is_learnt_is_close_to_the_equilibrium(name, agents):
    solution = eq.solve(f"catalog:mean_field/{name}", solver="bayesian-q-sampled", agents=agents, seeds=2, steps=4000)
    uniform = eq.certify(f"catalog:mean_field/{name}", eq.load(f"catalog:mean_field/{name}").uniform_profile())
    assert solution.gap < 0.05 * uniform.gap
    assert not solution.certified
    assert solution.trace["gaps"].shape[1] == 2


def test_a_seed_repeats():
    asked = {"solver": "bayesian-q-sampled", "seeds": 2, "steps": 50, "agents": 8}
    game = eq.load("catalog:mean_field/left_right")
    one, other, third = (eq.solve(game, seed=seed, **asked) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.policy, other.policy)
    assert np.abs(one.policy - third.policy).max() > 0


@pytest.mark.slow
def test_several_populations_learn_side_by_side():
    asked = {"solver": "bayesian-q-sampled", "seeds": 1, "steps": 400}
    solution = eq.solve("catalog:mean_field/predator_prey", **asked)
    assert len(solution.policy) == 3
    assert solution.trace["gap"][-1] < solution.trace["gap"][0]


@pytest.mark.parametrize(
    ("option", "says"),
    [({"agents": 0}, "agents must lie in"), ({"flow_decay": 0.3}, "flow_decay must lie in"), ({"play": "all"}, "play")],
)
def test_settings_that_mean_nothing(option, says):
    with pytest.raises(BadInput, match=says):
        eq.solve("catalog:mean_field/left_right", solver="bayesian-q-sampled", **option)

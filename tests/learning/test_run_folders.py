"""Runs where something is unusual: settings that are lists, other processes, learners that diverge."""

import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.runs import held

SMALL = {"hidden": 8, "batch": 16}


def stop(row):
    if row["step"] >= 200:
        raise KeyboardInterrupt


def test_settings_that_are_lists_are_kept(tmp_path):
    how = {"steps": 500, "seeds": 1, "noise": ((0.0, 0.5), (0.5, 0.1)), **SMALL}
    whole = eq.train("maddpg", "catalog:cournot", **how)
    eq.train("maddpg", "catalog:cournot", out=tmp_path / "run", watch=stop, **how)
    done = eq.resume(tmp_path / "run")
    assert np.array_equal(done.path, whole.path)
    assert done.trace["noise"][0, -1, 0] == np.float32(0.1)


def test_one_process_trains_in_a_folder(tmp_path):
    eq.train("maddpg", "catalog:cournot", steps=500, seeds=1, out=tmp_path / "run", watch=stop, **SMALL)
    with held(tmp_path / "run"):
        with pytest.raises(eq.BadInput, match="another process trains in"):
            eq.resume(tmp_path / "run")
        with pytest.raises(eq.BadInput, match="another process trains in"):
            eq.train("maddpg", "catalog:cournot", steps=500, out=tmp_path / "run", force=True, **SMALL)
        assert not eq.load_run(tmp_path / "run").is_finished  # who looks holds nobody up
    assert eq.resume(tmp_path / "run").is_finished


def test_who_diverges_is_said_to(tmp_path):
    with pytest.raises(eq.BadInput, match=r"maddpg has diverged by step \d+: try smaller rates \(seed 0\)"):
        eq.train("maddpg", "catalog:cournot", steps=500, seeds=1, critic_rate=1e30, **SMALL)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"batch": 0}, "batch must be a whole number of at least 1"),
        ({"hidden": 0}, "hidden must be a whole number of at least 1"),
        ({"noise": ((0.5, -1.0),)}, "noise has pairs"),
        ({"noise": 0.5}, "noise must be of type tuple"),
    ],
)
def test_options_that_nobody_can_learn_with(options, says):
    with pytest.raises(eq.BadInput, match=says):
        eq.train("maddpg", "catalog:cournot", steps=500, seeds=1, **options)


def test_no_temperature_is_none():
    with pytest.raises(eq.BadInput, match="temperature must be a finite number above 0"):
        eq.train("masql", "catalog:cournot", steps=500, temperature=0)


def test_mai_needs_somebody_to_model():
    alone = eq.ContinuousGame.one_shot(lambda a: -((a[:, 0] - 0.5) ** 2), [[-1]], [[1]])
    with pytest.raises(eq.BadInput, match="has one agent; try iddpg"):
        eq.train("mai", alone, steps=500)


def test_returns_are_of_whole_episodes():
    def step(state, actions, *, key):
        after = state + 1
        return eq.Transition(after, jnp.ones(2) + 0 * actions[:, 0], jnp.asarray(False), jnp.asarray(False))

    spaces = [eq.Box(-1, 1), eq.Box(-1, 1)]
    game = eq.ContinuousGame(
        lambda key: jnp.zeros(()), step, lambda state, i: jnp.ones(1), spaces, discount=0.5, horizon=150
    )
    run = eq.train("iddpg", game, steps=500, seeds=1, **SMALL)
    assert (run.deterministic_returns == 150).all()
    with pytest.raises(eq.BadInput, match=r"best_response\(run, agent\)"):
        run.certificate  # noqa: B018

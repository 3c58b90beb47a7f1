"""Runs where something is unusual: settings that are lists, other processes, learners that diverge."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer.run_results import played_in_table
from equinfer.runs import held, last_phase

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
    says = (
        r"maddpg has diverged by step \d+, and would again: try smaller rates, or observations nearer to 1 \(seed 0\)\."
    )
    with pytest.raises(eq.BadInput, match=says):
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


PENNIES = np.array([[[1.0, -1.0], [-1.0, 1.0]], [[-1.0, 1.0], [1.0, -1.0]]])


def test_a_game_of_a_file_goes_on_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    eq.save(eq.TabularGame.from_payoffs(PENNIES), "pennies.nfg")
    eq.train("iddpg", "pennies.nfg", steps=500, seeds=1, out="run", watch=stop, **SMALL)
    monkeypatch.chdir("/")
    assert eq.resume(tmp_path / "run").is_finished


def test_another_game_is_not_gone_on_with(tmp_path):
    def game(slope):
        return eq.ContinuousGame.one_shot(lambda a: -((a[:, 0] - slope) ** 2), [[-1.0]] * 2, [[1.0]] * 2, name="hill")

    eq.train("iddpg", game(0.3), steps=500, seeds=1, out=tmp_path / "run", watch=stop, **SMALL)
    for again in (eq.resume, eq.load_run):
        with pytest.raises(eq.BadInput, match="is of another game: hill does not pay now what it paid then"):
            again(tmp_path / "run", game=game(-0.8))
    assert eq.resume(tmp_path / "run", game=game(0.3)).is_finished


@pytest.mark.parametrize("steps", ["many", None])
def test_a_damaged_configuration_is_refused(tmp_path, steps):
    eq.train("iddpg", "catalog:cournot", steps=500, seeds=1, out=tmp_path / "run", watch=stop, **SMALL)
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    config |= {"steps": steps} if steps else {}
    if not steps:
        del config["steps"]
    path.write_text(json.dumps(config))
    with pytest.raises(eq.BadInput, match="steps"):
        eq.resume(tmp_path / "run")


def test_what_is_met_only_in_judging_is_said():
    """A run of 500 steps never comes to the end of an episode of 600, and who judges does."""

    def step(state, actions, *, key):
        paid = -(jnp.concatenate(actions) ** 2)
        return eq.Transition(state + 1, jnp.where(state > 520, jnp.nan, paid), terminated=False, truncated=False)

    boxes = [eq.Box(-1, 1)] * 2
    late = eq.ContinuousGame(
        lambda key: jnp.zeros(()), step, lambda state, i: state[None], boxes, discount=0.9, horizon=600
    )
    with pytest.warns(UserWarning, match="no finite number in episodes that are played to judge, at step 25"):
        run = eq.train("iddpg", late, steps=500, seeds=1, **SMALL)
    assert run.is_finished


@pytest.mark.parametrize("algorithm", ["mai", "maddpg", pytest.param("rommeo", marks=pytest.mark.slow)])
def test_the_laws_of_moves_are_those_that_are_drawn_from(algorithm):
    run = eq.train(algorithm, eq.TabularGame.from_payoffs(PENNIES), steps=500, seeds=1, **SMALL)
    laws = played_in_table(run, 0)
    state = jax.tree.map(lambda leaf: leaf[0], run.state)
    phase = last_phase(run.learner, 500)
    act = lambda key: run.learner.act(run.arena, state, jnp.ones((2, 1)), phase, key=key)  # noqa: E731
    with jax.enable_x64(False):
        drawn = np.asarray(jax.vmap(act)(jax.random.split(jax.random.key(1), 4000))).mean(axis=0)
    for law, often in zip(laws, drawn, strict=True):
        np.testing.assert_allclose(law[0], often, atol=4 * 0.5 / 4000**0.5)
    assert run.certificate[0].kind == "exact"


def test_frequencies_are_an_estimate():
    certificate = eq.train("masql", eq.TabularGame.from_payoffs(PENNIES), steps=500, seeds=1, **SMALL).certificate[0]
    assert certificate.kind == "estimate"
    assert "masql only draws its moves" in certificate.doubt


def test_tables_with_a_horizon_are_judged_in_every_epoch():
    """By backward induction, written out."""
    rng = np.random.default_rng(0)
    rewards, kernel = rng.normal(size=(2, 2, 2, 2)), rng.dirichlet(np.ones(2), (2, 2, 2))
    run = eq.train("iddpg", eq.TabularGame(rewards, kernel, horizon=3), steps=500, seeds=1, **SMALL)
    mine, yours = played_in_table(run, 0)
    assert mine.shape == (3, 2, 2)
    worth, best, gap = np.zeros((2, 2)), np.zeros((2, 2)), 0.0
    for h in (2, 1, 0):
        kept, tried = (rewards + np.einsum("sabt,it->isab", kernel, each) for each in (worth, best))
        worth = np.einsum("sa,isab,sb->is", mine[h], kept, yours[h])
        replies = np.einsum("sab,sb->sa", tried[0], yours[h]), np.einsum("sa,sab->sb", mine[h], tried[1])
        best = np.stack([each.max(axis=1) for each in replies])
        gap = max(gap, (best - worth).max())
    assert run.certificate[0].kind == "exact"
    assert run.certificate[0].gap == pytest.approx(gap, abs=1e-9)


def test_who_cannot_learn_leaves_a_folder_as_it_is(tmp_path):
    alone = eq.ContinuousGame.one_shot(lambda a: -((a[:, 0] - 0.5) ** 2), [[-1]], [[1]])
    eq.train("iddpg", alone, steps=500, seeds=1, out=tmp_path / "run", **SMALL)
    with pytest.raises(eq.BadInput, match="has one agent"):
        eq.train("mai", alone, steps=500, out=tmp_path / "run", force=True)
    assert eq.load_run(tmp_path / "run", game=alone).is_finished
    with pytest.raises(eq.BadInput, match="has one agent"):
        eq.train("mai", alone, steps=500, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_a_kill_left_half_written_is_taken_away(tmp_path):
    def stop(row):
        raise KeyboardInterrupt

    eq.train("maddpg", "catalog:cournot", steps=500, seeds=1, out=tmp_path / "run", watch=stop, hidden=8, batch=16)
    for name in (".checkpoint.npz.x1y2.partial", ".metrics.jsonl.abc.partial", ".config.json.swp"):
        (tmp_path / "run" / name).write_bytes(b"half")
    eq.load_run(tmp_path / "run")  # who only looks changes nothing
    assert len(list((tmp_path / "run").glob(".*"))) == 3
    eq.resume(tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").glob(".*")] == [".config.json.swp"]  # an editor's

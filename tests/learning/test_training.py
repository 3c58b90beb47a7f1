"""Runs repeat, go on bit by bit the same, and say in one sentence what is wrong."""

import json
import resource

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equinfer as eq
from equinfer import training
from equinfer.algorithms import ALGORITHMS
from equinfer.baselines.ddpg import DDPG
from equinfer.runs import CHECKPOINT

GAME = "catalog:cournot"
SMALL = {"hidden": 8, "batch": 16}


def trained(out=None, **options):
    return eq.train("maddpg", GAME, steps=500, seeds=2, out=out, **{**SMALL, **options})


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    with jax.enable_x64(False):
        folder = tmp_path_factory.mktemp("runs") / "whole"
        return trained(folder), folder


def stopping_at(step):
    def watch(row):
        if row["step"] >= step:
            raise KeyboardInterrupt

    return watch


def test_what_a_run_hands_back(whole):
    run, folder = whole
    assert run.is_finished
    assert run.actions.shape == (2, 2, 1)
    assert run.returns.shape == run.deterministic_returns.shape == run.rewards.shape == (2, 20, 2)
    assert run.steps.tolist() == [25.0 * k for k in range(1, 21)]
    assert [certificate.kind for certificate in run.certificate] == ["exact", "exact"]
    for seed, certificate in enumerate(run.certificate):
        assert certificate.gap == eq.certify(eq.load(GAME), run.actions[seed]).gap
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.npz",
        "config.json",
        "metrics.jsonl",
        "result.npz",
    ]
    with np.load(folder / "result.npz") as result:
        assert np.array_equal(result["actions"], run.actions)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == run.steps.tolist()


def test_runs_repeat_and_seeds_differ(whole):
    run, _ = whole
    again = trained()
    assert np.array_equal(again.returns, run.returns)
    assert not np.array_equal(run.returns[0], run.returns[1])


def test_a_policy_acts_as_the_game_has_it(whole):
    run, _ = whole
    act = run.policy(0)
    actions = act([[0.0], [0.0]], jax.random.key(0))
    assert actions.shape == (2, 1)
    assert np.array_equal(actions, act([[0.0], [0.0]], jax.random.key(0)))
    with pytest.raises(eq.BadInput, match="no seed 2"):
        run.policy(2)


@pytest.mark.parametrize("step", [25, 200, 475])
def test_a_run_that_was_interrupted_goes_on_bit_by_bit_the_same(whole, tmp_path, step):
    run, _ = whole
    stopped = trained(tmp_path / "run", watch=stopping_at(step))
    assert not stopped.is_finished
    done = eq.resume(tmp_path / "run")
    assert done.is_finished
    for name in ("returns", "deterministic_returns", "rewards", "actions"):
        assert np.array_equal(getattr(done, name), getattr(run, name))
    for one, two in zip(*map(jax.tree.leaves, (done.state, run.state)), strict=True):
        assert np.array_equal(one, two)
    rows = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert rows == run.steps.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("target", [GAME, "catalog:prisoners_dilemma", "catalog:cournot_demand"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_goes_on_bit_by_bit_the_same(tmp_path, monkeypatch, algorithm, target):
    """From a stop in each phase, on boxes, moves and in states."""
    monkeypatch.setattr(training, "CHUNK_SECONDS", 0.0)  # one evaluation at a time
    how = {"steps": 500, "seeds": 5, **SMALL}
    run = eq.train(algorithm, target, **how)
    for step in (100, 275, 425):
        folder = tmp_path / str(step)
        stopped = eq.train(algorithm, target, out=folder, watch=stopping_at(step), **how)
        assert stopped.steps[-1] == step
        done = eq.resume(folder)
        for one, two in zip(*map(jax.tree.leaves, ((d.returns, d.trace, d.state) for d in (run, done))), strict=True):
            assert np.array_equal(one, two, equal_nan=True)


def test_a_run_is_read_back(whole):
    run, folder = whole
    read = eq.load_run(folder)
    assert read.is_finished
    assert np.array_equal(read.returns, run.returns)
    assert read.certificate[1].gap == run.certificate[1].gap


def test_reading_a_run_leaves_it_to_whoever_trains(tmp_path):
    """What was written after the checkpoint is forgotten by who goes on, not by who looks."""
    trained(tmp_path / "run", watch=stopping_at(100))
    metrics = tmp_path / "run" / "metrics.jsonl"
    later = metrics.read_text() + '{"step": 9000}\n'
    metrics.write_text(later)
    eq.load_run(tmp_path / "run")
    assert metrics.read_text() == later


def test_a_torn_checkpoint_is_refused(tmp_path):
    trained(tmp_path / "run", watch=stopping_at(100))
    path = tmp_path / "run" / CHECKPOINT
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(eq.BadInput, match=r"checkpoint\.npz is damaged"):
        eq.resume(tmp_path / "run")


@pytest.mark.parametrize(("option", "value"), [("hidden", 9), ("actor_rate", 0.5)])
def test_a_checkpoint_of_another_configuration_is_refused(tmp_path, option, value):
    trained(tmp_path / "run", watch=stopping_at(100))
    path = tmp_path / "run" / "config.json"
    config = json.loads(path.read_text())
    assert config["options"][option] != value
    config["options"][option] = value
    path.write_text(json.dumps(config))
    with pytest.raises(eq.BadInput, match="another configuration"):
        eq.resume(tmp_path / "run")


def test_a_full_disk_loses_nothing(whole, tmp_path, monkeypatch):
    """Files may not grow beyond a size, from some step on: it is said, and the run goes on from what was kept."""
    run, _ = whole
    monkeypatch.setattr(training, "SAVE_SECONDS", 0.0)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)

    def watch(row):
        if row["step"] >= 200:
            room = (tmp_path / "run" / "metrics.jsonl").stat().st_size + 100
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, usual[1]))

    try:
        with pytest.raises(eq.EquinferError, match=r"File too large; the run up to step \d+ is kept"):
            trained(tmp_path / "run", watch=watch)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    done = eq.resume(tmp_path / "run")
    assert np.array_equal(done.returns, run.returns)
    assert np.array_equal(done.actions, run.actions)


def test_the_game_of_a_run_may_have_to_be_given(tmp_path):
    game = eq.ContinuousGame.one_shot(lambda a: -((a[:, 0] - 0.5) ** 2), [[-1], [-1]], [[1], [1]])
    eq.train("maddpg", game, steps=500, seeds=1, out=tmp_path / "run", watch=stopping_at(50), **SMALL)
    with pytest.raises(eq.BadInput, match="give it as `game`"):
        eq.resume(tmp_path / "run")
    assert eq.resume(tmp_path / "run", game=game).is_finished


def test_the_learner_of_a_run_may_have_to_be_given(tmp_path):
    learner = DDPG(hidden=8, batch=8, centralised=False, noise=((0.0, 0.5), (0.5, 0.1)))
    eq.train(learner, GAME, steps=500, seeds=1, out=tmp_path / "run", watch=stopping_at(50))
    with pytest.raises(eq.BadInput, match="give it as `algo`"):
        eq.resume(tmp_path / "run")
    with pytest.raises(eq.BadInput, match="not that of"):
        eq.resume(tmp_path / "run", algo=DDPG(hidden=9))
    assert eq.resume(tmp_path / "run", algo=learner).is_finished


@pytest.mark.parametrize("what", ["reward", "observation"])
def test_what_stops_being_a_number_is_named_with_its_step(tmp_path, what):
    def step(state, actions, *, key):
        after = state + 1
        wrong = (after == 70) & (what == "reward")
        reward = jnp.where(wrong, jnp.nan, -(actions[:, 0] ** 2))
        return eq.Transition(after, reward, jnp.asarray(False), jnp.asarray(False))

    def seen(state, i):
        return jnp.where((state == 70) & (what == "observation"), jnp.inf, jnp.ones(1))

    game = eq.ContinuousGame(lambda key: jnp.zeros(()), step, seen, [eq.Box(-1, 1), eq.Box(-1, 1)], 0.5)
    with pytest.raises(eq.BadInput, match=r"agent 0 is no finite number at step 69 \(seed 0\); the run up to step"):
        eq.train("iddpg", game, steps=500, seeds=1, out=tmp_path / "run", **SMALL)
    assert (tmp_path / "run" / CHECKPOINT).is_file()


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: eq.train("mia", GAME), eq.UnknownName, "did you mean 'mai'"),
        (lambda: eq.train("mai", GAME, preset="best"), eq.UnknownName, "known: default, published"),
        (lambda: eq.train("mai", GAME, opponent="owned"), eq.UnknownName, "did you mean 'own'"),
        (lambda: eq.train("mai", GAME, temprature=1.0), eq.UnknownName, "did you mean 'temperature'"),
        (lambda: eq.train("mai", GAME, temperature=-1.0), eq.BadInput, "temperature must be a finite number"),
        (lambda: eq.train("mai", GAME, steps=0), eq.BadInput, "steps must be a whole number, at least 1"),
        (lambda: eq.train("mai", GAME, steps=400), eq.BadInput, "at least 500"),
        (lambda: eq.train("mai", GAME, steps=510), eq.BadInput, "a multiple of 25"),
        (lambda: eq.train("mai", GAME, seeds=0), eq.BadInput, "seeds must be a whole number"),
        (lambda: eq.train("mai", "catalog:cornout"), eq.UnknownName, "did you mean"),
        (lambda: eq.train("mai", 3), eq.BadInput, "learners play games"),
        (lambda: eq.train(3, GAME), eq.BadInput, "a name or a learner"),
        (lambda: eq.resume("nowhere"), eq.BadInput, "holds no run"),
    ],
)
def test_mistakes_are_one_sentence(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_folder_that_is_not_empty_is_refused(whole):
    _, folder = whole
    with pytest.raises(eq.BadInput, match="not empty"):
        trained(folder)

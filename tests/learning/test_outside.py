"""The same learners on somebody else's environment."""

import dataclasses
import functools
import json
from pathlib import Path

import jax
import numpy as np
import pytest

import equinfer as eq
from equinfer import memory, training
from equinfer.algorithms import ALGORITHMS, learner
from equinfer.cli import run
from equinfer.cli.learners import print_training
from equinfer.data.arena import Arena
from equinfer.data.leaves import numbers
from equinfer.drivers.external import OutsideDriver
from equinfer.drivers.lanes import keys_of_seeds
from equinfer.run_games import playable

HERE = "foreign_environments"
SMALL = {"hidden": 8, "batch": 16}


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.mark.parametrize(
    ("environment", "algorithm"),
    [pytest.param("Meeting", "mai", marks=pytest.mark.slow), ("Meeting", "maddpg"), ("Moves", "maddpg")],
)
def test_unequal_spaces_and_deaths_are_handled(environment, algorithm):
    """Red and blue have boxes of one and two dimensions, or moves; blue leaves before red does."""
    run = eq.train(algorithm, f"{HERE}:{environment}", steps=500, seeds=2, **SMALL)
    assert run.is_finished
    assert np.isfinite(run.returns[:, -1]).all()
    assert np.isfinite(run.deterministic_returns[:, -1]).all()
    actions = run.policy(0)(
        [[0.0, 1.0], [0.0, 1.0, 1.0]] if environment == "Meeting" else np.eye(3)[:2], jax.random.key(0)
    )
    assert len(actions) == 2


@pytest.mark.slow
def test_runs_repeat_and_go_on(tmp_path):
    def stop(row):
        if row["step"] >= 200:
            raise KeyboardInterrupt

    one, two = (eq.train("maddpg", f"{HERE}:Meeting", steps=500, seeds=2, **SMALL) for _ in range(2))
    assert np.array_equal(one.rewards, two.rewards)
    eq.train("maddpg", f"{HERE}:Meeting", steps=500, seeds=2, out=tmp_path / "run", watch=stop, **SMALL)
    assert eq.resume(tmp_path / "run").is_finished


def test_parameters_are_the_environments_own_and_kept(tmp_path):
    def stop(row):
        raise KeyboardInterrupt

    game = playable(f"{HERE}:Meeting", last=4, discount=0.5)
    assert game.discount == (0.5, 0.5)
    run = eq.train("maddpg", game, steps=500, seeds=1, out=tmp_path / "run", watch=stop, **SMALL)
    assert not run.is_finished
    assert eq.load_run(tmp_path / "run").game.make().last == 4
    with pytest.raises(eq.BadInput, match=f"{HERE}:Meeting could not be made.*'first'"):
        playable(f"{HERE}:Meeting", first=1)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("late", r"of agent red is no finite number at step 300 \(seed 0\); the run up to step 300 is kept"),
        ("nan", r"of agent red is no finite number at step 299 \(seed 0\); the run up to step 275 is kept"),
        ("raise", "fails in its step: RuntimeError: the motor broke; the run up to step 275 is kept"),
        ("unpaid", "tells agent red no reward of its step; the run up to step 275 is kept"),
    ],
)
def test_what_goes_wrong_in_the_middle_loses_nothing(tmp_path, monkeypatch, how, says):
    monkeypatch.setattr(training, "CHUNK_SECONDS", 0.0)  # one evaluation at a time, whatever the machine
    game = playable(f"{HERE}:Faulty", how=how, at=301 if how == "late" else 300)
    with pytest.raises(eq.BadInput, match=says):
        eq.train("maddpg", game, steps=500, seeds=1, out=tmp_path / "run", **SMALL)
    assert not eq.load_run(tmp_path / "run").is_finished


def test_who_is_stopped_in_a_later_round_still_has_where_the_dispatch_began():
    """Memories are written to where they are; the caller's are others."""
    game = playable(f"{HERE}:Faulty", how="raise", at=60)
    _, chosen = learner("maddpg", "default", SMALL)
    with jax.enable_x64(False):
        driver = OutsideDriver(chosen, Arena.of(game), chosen.phases(500), game, 1, 0)
        run = driver.begin(keys_of_seeds(0, 1), 500)
        before = [numbers(leaf).copy() for leaf in jax.tree.leaves(run)]
        with pytest.raises(eq.BadInput, match="the motor broke"):
            driver.advance(run, 0, 4)
        assert all(map(np.array_equal, map(numbers, jax.tree.leaves(run)), before))


def test_who_is_done_but_stays_ends_the_episode_too():
    run = eq.train("iddpg", f"{HERE}:Staying", steps=500, seeds=1, **SMALL)
    assert np.isfinite(run.returns[:, -1]).all()


@pytest.mark.slow
def test_meeting_pays():
    """Agents that learn lose half of what they lose at random, or less."""
    run = eq.train("iddpg", f"{HERE}:Meeting", steps=2000, seeds=2)
    assert run.deterministic_returns[:, -1].sum(axis=1).mean() > 0.5 * run.rewards[:, :10].mean() * 8


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("Masked", "agent red is given action masks"),
        ("InTurn", "aec_to_parallel"),
        ("Odd", "agent red acts in a Dict; learners take Box and Discrete"),
        ("CountedFromOne", "counted from 1"),
        ("MaskedByTheWay", "agent red is given action masks"),
        ("WholeNumbers", "agent red acts in a box of int64"),
        ("SaysNothing", "fails in its reset"),
        ("SeesMore", "agent red observes 7 numbers; its space has 2"),
        ("broken", "RuntimeError: no display"),
        ("nothing", "has no nothing"),
        ("HERE", "has no HERE"),
    ],
)
def test_what_learners_cannot_play_is_refused_by_name(target, says):
    with pytest.raises(eq.BadInput, match=says):
        eq.train("mai", f"{HERE}:{target}", steps=500)


def test_what_fails_in_an_environment_is_its_own():
    with pytest.raises(eq.BadInput, match=f"{HERE}:Crashes fails in its step: ZeroDivisionError: no wheel"):
        eq.train("iddpg", f"{HERE}:Crashes", steps=500, seeds=1, **SMALL)


def test_actions_are_in_their_boxes():
    run = eq.train("iddpg", f"{HERE}:Tight", steps=500, seeds=1, **SMALL)
    assert np.isfinite(run.rewards).all()


def test_returns_are_not_known_until_an_episode_ends(capsys):
    def stop(row):
        raise KeyboardInterrupt

    run = eq.train("iddpg", playable(f"{HERE}:Meeting", last=10_000), steps=500, seeds=2, watch=stop, **SMALL)
    print_training(run, None)
    said = capsys.readouterr().out
    assert "red: no episode has ended" in said
    assert "nan" not in said
    returns = np.stack([run.returns[0], np.full_like(run.returns[0], -3.0)])
    nothing = np.full_like(returns, np.nan)
    print_training(dataclasses.replace(run, returns=returns, deterministic_returns=nothing), None)
    said = capsys.readouterr().out
    assert "red: median -3, quartiles -3 to -3 (1 of 2 seeds)" in said
    assert "red: none was tried yet" in said


def test_what_would_not_fit_into_memory_is_refused_before_it_is_made(monkeypatch, tmp_path):
    """Of Meeting an agent sees 3 numbers at most and does 2: 2 x (2 x 3 + 2 + 1) x 4 bytes a step."""
    monkeypatch.setattr(memory, "installed", lambda: 2 * 500 * 3 * 72 - 1)
    train = functools.partial(eq.train, "iddpg", f"{HERE}:Meeting", steps=500, out=tmp_path / "run", **SMALL)
    with pytest.raises(eq.BadInput, match=r"memories of 500 steps, in which each of 2 agents observes 3 numbers, in 3"):
        train(seeds=3)
    assert not (tmp_path / "run").exists()
    assert train(seeds=2).is_finished


def test_a_module_that_is_not_there():
    with pytest.raises(eq.BadInput, match=r"no\.such\.module cannot be imported"):
        eq.train("mai", "no.such.module:env", steps=500)


def test_gaps_of_environments_are_not_known():
    run = eq.train("iddpg", f"{HERE}:Moves", steps=500, seeds=1, **SMALL)
    with pytest.raises(eq.BadInput, match="its gap is not known"):
        run.certificate  # noqa: B018


@pytest.mark.peers
def test_an_environment_of_pettingzoo():
    """Our own game by the detour over PettingZoo: what is learnt there is what is learnt here."""
    pytest.importorskip("pettingzoo")
    from equinfer.games.external import ExternalGame

    game = eq.load("catalog:cournot", costs=(1, 2))
    outside = ExternalGame.of(lambda: eq.to_pettingzoo(game), "cournot", 0.0)
    run = eq.train("maddpg", outside, steps=1500, seeds=1)
    assert eq.certify(game, run.actions[0]).gap < 0.5


@pytest.mark.peers
@pytest.mark.parametrize("continuous", [True, False])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains_in_somebody_elses_environment(tmp_path, capsys, algorithm, continuous):
    """Three agents who shall spread over three places, of PettingZoo's particle environments; at the command line."""
    pytest.importorskip("mpe2")
    command = ["train", "mpe2.simple_spread_v3:parallel_env", "--algo", algorithm, "--steps", "500", "--seeds", "1"]
    command += ["--set", f"continuous_actions={continuous}", "discount=0.9", "--out", str(tmp_path / "run"), "--json"]
    assert run([*command, "--option", "hidden=8", "batch=16"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["status"] == "finished"
    done = eq.load_run(tmp_path / "run")
    assert np.isfinite(done.returns[:, -1]).all()
    assert (done.returns[:, -1] < 0).all()  # distances

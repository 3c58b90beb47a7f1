"""The page of a run says what the run holds: curves are quantiles, paths end at the actions, tables are sorted."""

import re

import numpy as np
import pytest

import equinfer as eq
from equinfer.baselines.ddpg import DDPG
from equinfer.data.arena import Arena
from equinfer.opponent_judgements import OpponentJudgement
from equinfer.records import Status
from equinfer.report.joint_actions import action_curves, paths_over_rewards
from equinfer.report.learning import ends, opponent_rows, seed_rows, write_training
from equinfer.report.learning_curves import return_curves, watched_curves
from equinfer.run_pages import write_run_page
from equinfer.run_results import judged
from equinfer.runs import Training

HIGH, TRAP = (5.0, 5.0), (-5.0, -5.0)


def run_of(game, ends_at, evaluations=20, **changes):
    """Seeds that go straight from the middle to where they end; returns are the rewards there."""
    played = game if isinstance(game, eq.ContinuousGame) else eq.ContinuousGame.from_table(game)
    arena = Arena.of(played)
    seeds, agents = len(ends_at), arena.agents
    path = np.zeros((seeds, evaluations, agents, arena.actions.size), np.float32)
    if arena.actions.is_continuous:
        low, high = (np.array([getattr(space, end) for space in played.spaces]) for end in ("low", "high"))
        actions = np.array(ends_at, float).reshape(seeds, agents, -1)
        units = (actions - (low + high) / 2) / ((high - low) / 2)
        path[:] = np.linspace(0, 1, evaluations)[:, None, None] * units[:, None]
    else:
        actions = np.array(ends_at)
        path[:] = np.eye(arena.actions.size)[actions][:, None]
    returns = changes.pop("returns", np.zeros((seeds, evaluations, agents)))
    fields = {
        "algorithm": "maddpg",
        "config": {
            "steps": 25 * evaluations,
            "seeds": seeds,
            "preset": "default",
            "options": {},
            "game": {"name": played.name},
            "phases": {"uniform": 100, "burn_in": 200, "steps": 25 * evaluations},
        },
        "actions": actions,
        "steps": 25.0 * np.arange(1, evaluations + 1),
        "returns": returns,
        "deterministic_returns": returns,
        "rewards": returns,
        "trace": {},
        "path": path,
        "seconds": 1.0,
        "status": Status.above_eps,
        "learner": DDPG(),
        "arena": arena,
        "game": played,
        "state": None,
        "judge": judged,
        "draw": write_run_page,
    }
    return Training(**fields | changes)


@pytest.fixture(scope="module")
def differential():
    return eq.load("catalog:differential")


def named(picture, name):
    return [trace for trace in picture.data if trace.name == name]


def test_curves_are_quantiles_over_seeds(differential):
    returns = np.arange(11.0)[:, None, None] * np.ones((11, 20, 2))
    picture = return_curves(run_of(differential, [HIGH] * 11, returns=returns))
    executed, without_chance = named(picture, "every agent")[0], picture.data[-1]
    assert set(executed.y) == {5.0}
    np.testing.assert_allclose(executed.customdata, [[1.0, 9.0]] * 20)
    assert without_chance.xaxis == "x2"


def test_agents_with_rewards_of_their_own_have_a_curve_each():
    returns = np.array([1.0, -1.0]) * np.ones((3, 20, 2))
    returns[0, :7] = np.nan  # somebody else's environment, before its first episode has ended
    picture = return_curves(run_of(eq.load("catalog:cournot"), [(3, 3)] * 3, returns=returns))
    assert set(named(picture, "agent 1")[0].y) == {-1.0}


def test_long_runs_are_thinned(differential):
    picture = return_curves(run_of(differential, [HIGH], evaluations=4000))
    line = named(picture, "every agent")[0]
    assert len(line.x) == 400
    assert (line.x[0], line.x[-1]) == (25.0, 100_000.0)


def test_the_path_of_common_interests_is_drawn_once(differential):
    picture = paths_over_rewards(run_of(differential, [HIGH, TRAP]))
    assert picture is not None
    (contour,) = (trace for trace in picture.data if trace.type == "contour")
    assert np.max(contour.customdata) == pytest.approx(20.0, abs=0.1)
    assert (np.argmax(contour.z) == np.argmax(contour.customdata)).all()
    (end,) = named(picture, "in the end")
    np.testing.assert_allclose(np.stack([end.x, end.y], axis=1), [HIGH, TRAP], atol=1e-5)
    (start,) = named(picture, "when uniform play ends")
    np.testing.assert_allclose(start.x, np.array([5, -5]) * 3 / 19, atol=1e-5)
    (known,) = named(picture, "known equilibrium")
    assert sorted(zip(known.x, known.y, strict=True)) == [TRAP, HIGH]


def test_interests_that_differ_have_contours_each():
    picture = paths_over_rewards(run_of(eq.load("catalog:cournot"), [(3.0, 2.0)]))
    assert [note.text for note in picture.layout.annotations] == [
        "sum of rewards",
        "reward of agent 0",
        "reward of agent 1",
    ]
    heights = picture.data[[t.type for t in picture.data].index("contour", 1)]
    quantity, other = heights.x[70], heights.y[30]
    assert heights.customdata[30, 70] == pytest.approx(quantity * (9 - quantity - other), rel=1e-5)


def test_a_sum_that_is_always_zero_is_not_drawn():
    picture = paths_over_rewards(run_of(eq.load("catalog:quadratic_zero_sum"), [(0.3, -0.4)]))
    assert [note.text for note in picture.layout.annotations] == ["reward of agent 0", "reward of agent 1"]


def test_other_games_have_no_contours():
    three = run_of(eq.load("catalog:differential", agents=3), [(5, 5, 5)])
    assert paths_over_rewards(three) is None
    picture = action_curves(three)
    assert named(picture, "number 0")[2].y[-1] == pytest.approx(5.0, abs=1e-5)
    dotted = {shape.y0 for shape in picture.layout.shapes if shape.y0 == shape.y1}
    assert {5.0, -5.0} <= dotted


def test_moves_are_shares_of_seeds_or_chances():
    game = eq.load("catalog:stag_hunt")
    run = run_of(game, [(0, 1), (0, 0), (0, 1), (1, 1)])
    assert paths_over_rewards(run) is None
    shares = named(action_curves(run), "move 0")
    assert [trace.y[-1] for trace in shares] == [0.75, 0.25]
    chances = np.full((4, 20, 2, 2), 0.5)
    chances[..., 0] = 0.9
    counted = run_of(game, [(0, 1)] * 4, trace={"chances": chances})
    assert named(action_curves(counted), "move 0")[1].y[-1] == 0.9


def test_what_is_watched_is_drawn(differential):
    assert watched_curves(run_of(differential, [HIGH])) is None
    trust = np.array([[0.8], [-0.3]]) * np.ones((2, 20, 2, 1))
    cool = np.geomspace(1, 0.1, 20)[:, None] * np.ones((2, 20, 2))
    picture = watched_curves(run_of(differential, [HIGH, HIGH], trace={"trust": trust, "temperature": cool}))
    assert set(named(picture, "agent 1 in agent 0")[0].y) == {-0.3}
    np.testing.assert_allclose(named(picture, "every agent")[0].y, cool[0, :, 0])


def test_seeds_are_sorted_and_counted(differential):
    returns = np.array([0.0, 10.0, 0.0, 10.0])[:, None, None] * np.ones((4, 20, 2))
    run = run_of(differential, [TRAP, HIGH, (-5.4, -5.0), (4.9, 5.0)], returns=returns)
    rows = seed_rows(run, run.certificate)
    assert [row.seed for row in rows] == [1, 3, 0, 2]
    assert rows[1].welfare == "19.98"  # 2 (10 - .1^2)
    assert {row.kind for row in rows} == {"exact"}
    high, low = ends(run, run.certificate)
    assert (high.seeds, low.seeds) == (2, 2)
    assert {high.known, low.known} == {"everybody at the high peak", "everybody at the low peak"}


def written(tmp_path, run, **given):
    page = tmp_path / "page.html"
    write_training(run, page, **{"certificates": run.certificate} | given)
    return re.sub(r"<script.*?</script>", "", page.read_text(), flags=re.DOTALL)


def test_the_page_says_what_is_proven(tmp_path, differential):
    text = written(tmp_path, run_of(differential, [HIGH, TRAP]))
    assert "The gap is proven" in text
    unknown = eq.ContinuousGame.one_shot(lambda a: -((a[:, 0] - 0.5) ** 2), [[-1], [-1]], [[1], [1]])
    text = written(tmp_path, run_of(unknown, [(0.5, 0.5)]))
    assert "The gap is an estimate" in text
    assert "known equilibrium" not in text
    text = written(tmp_path, run_of(differential, [HIGH]), certificates=(), uncertified="it is <somebody> else's.")
    assert "Nothing is certified: it is &lt;somebody&gt; else" in text
    text = written(tmp_path, run_of(differential, [HIGH], status=Status.interrupted))
    assert "Not all steps are done" in text


def test_the_page_shows_how_good_opponent_models_are(tmp_path, differential):
    nothing = np.nan
    found = OpponentJudgement(
        log_loss=np.array([[[nothing, 1.25], [2.5, nothing]]]),
        truth=np.array([[0.5, 1.0]]),
        error=np.full((1, 2, 2), 0.1),
        regret=np.array([[0.125, nothing]]),
    )
    run = run_of(differential, [HIGH])
    first, second = opponent_rows(run, found)
    assert (first.who, first.whom, first.excess, first.regret) == ("agent 0", "agent 1", "0.25", "0.125")
    assert (second.log_loss, second.truth, second.excess, second.regret) == ("2.5", "0.5", "2", "not known")
    assert "the excess is zero for a perfect model" in written(tmp_path, run, opponents=found)


def test_a_run_of_agents_who_model_nobody_draws_itself(tmp_path, differential):
    run = run_of(differential, [HIGH])
    run.report(tmp_path / "page.html")
    assert "believe of each other" not in (tmp_path / "page.html").read_text()[-20_000:]

"""What players believe of each other, beside what they play: kept with the answer, saved, matched by label, drawn."""

import numpy as np
import pytest

import equinfer as eq
from equinfer.report.beliefs import belief_picture


def learnt(game="catalog:jordan", solver="vpg-sampled", **options):
    return eq.solve(game, solver=solver, opponent="empirical", **{"steps": 40, "temperature": 0.5, **options})


def law_of_others(profile, player):
    """Of the joint actions of all but `player`, (rows, C)."""
    rows = np.ones((profile[0].size // profile[0].shape[-1], 1))
    for other, policy in enumerate(profile):
        if other != player:
            flat = policy.reshape(-1, policy.shape[-1])
            rows = (rows[:, :, None] * flat[:, None]).reshape(len(rows), -1)
    return rows


@pytest.mark.parametrize(
    ("game", "solver", "options"),
    [
        ("catalog:jordan", "vpg-sampled", {"seeds": 1}),
        ("catalog:jordan", "vpg-sampled", {"seeds": 3}),
        ("catalog:public_signal", "vpg", {}),
        ("catalog:grid_game_1", "vpg-sampled", {"steps": 8, "temperature": 10.0, "seeds": 2}),
    ],
)
def test_beliefs_are_as_far_from_play_as_was_watched(game, solver, options):
    """Of the moment and the seed that the answer is from: counts of all others are independent, as policies are."""
    solution = learnt(game, solver, **options)
    row = int(np.argmin(solution.trace["gap"]))
    furthest = 0.0
    for player, seen in enumerate(solution.beliefs):
        np.testing.assert_array_equal(seen[player], solution.profile[player])
        for model, own in zip(seen, solution.profile, strict=True):
            assert model.shape == own.shape
            np.testing.assert_allclose(model.sum(axis=-1), 1, atol=1e-12)
        apart = np.abs(law_of_others(seen, player) - law_of_others(solution.profile, player)).sum(axis=1) / 2
        furthest = max(furthest, float(apart.max()))
    assert furthest > 1e-4
    assert solution.trace["belief_error"][row] == pytest.approx(furthest, abs=1e-12)


def test_who_knows_believes_nothing():
    for solution in (eq.solve("catalog:chicken"), eq.solve("catalog:chicken", solver="vpg", steps=3)):
        assert solution.beliefs is None
        assert belief_picture(solution) is None


def test_beliefs_are_saved_and_matched_by_label(tmp_path):
    tables = eq.load("catalog:chicken").tables()
    actions = tables.action_labels
    solution = learnt("catalog:chicken")
    solution.save(tmp_path / "a.npz")
    back = eq.load_solution(tmp_path / "a.npz")
    turned = eq.TabularGame(
        tables.reward[:, :, ::-1],
        tables.kernel[:, ::-1],
        discount=0.0,
        action_labels=[actions[0][::-1], actions[1]],
    )
    other = eq.load_solution(tmp_path / "a.npz", game=turned)
    for i in range(2):
        for j in range(2):
            np.testing.assert_array_equal(back.beliefs[i][j], solution.beliefs[i][j])
            expected = solution.beliefs[i][j][:, ::-1] if j == 0 else solution.beliefs[i][j]
            np.testing.assert_array_equal(other.beliefs[i][j], expected)
    assert eq.solve("catalog:chicken").to_json().get("beliefs") is None
    np.testing.assert_array_equal(solution.to_json()["beliefs"][0][1], solution.beliefs[0][1])
    assert not solution.beliefs[0][1].flags.writeable


def test_a_dumbbell_joins_what_is_believed_and_what_is_played():
    solution = learnt("catalog:chicken")
    drawn = belief_picture(solution)
    assert [title.text for title in drawn.layout.annotations] == ["player 0 about player 1", "player 1 about player 0"]
    for (i, j), (line, played, believed) in zip(((0, 1), (1, 0)), np.reshape(drawn.data, (2, 3)), strict=True):
        assert (played.name, believed.name) == ("played", "believed")
        assert list(played.y) == list(believed.y) == ["swerve", "dare"]
        np.testing.assert_array_equal(played.x, solution.profile[j][0])
        np.testing.assert_array_equal(believed.x, solution.beliefs[i][j][0])
        assert line.x[:3] == (believed.x[0], played.x[0], None)


def test_of_many_places_the_worst_are_drawn(tmp_path):
    solution = learnt("catalog:grid_game_1", steps=8, temperature=10.0, seeds=1)
    drawn = belief_picture(solution)
    apart = np.abs(solution.beliefs[0][1] - solution.profile[1]).sum(axis=-1) / 2
    worst = solution.game.states[int(apart.argmax())]
    shown = {label.split(" · ")[0] for label in drawn.data[0].y}
    assert worst in shown
    assert len(shown) == 6  # of 58, four actions each
    kept = [apart[solution.game.states.index(name)] for name in shown]
    assert min(kept) >= np.sort(apart)[-6]
    solution.report(tmp_path / "page.html")
    assert 'id="models"' in (tmp_path / "page.html").read_text()


def test_of_three_players_each_has_a_model_of_both_others():
    drawn = belief_picture(learnt())
    titles = {title.text for title in drawn.layout.annotations}
    assert titles == {f"player {i} about player {j}" for i in range(3) for j in range(3) if i != j}

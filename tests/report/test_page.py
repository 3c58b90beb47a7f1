"""The page says what the record says, no more; it is one file, and no label can break it."""

import re
from dataclasses import replace

import numpy as np
import pytest

from equinfer.games.tabular import TabularGame
from equinfer.records import Certificate, Deviation, GameLabels, Solution, Status
from equinfer.report.deviations import deviation_rows, gains_by_state
from equinfer.report.page import IndexEntry, write_index, write_report
from equinfer.report.path import probability_path
from equinfer.report.payoff_table import MOST_ACTIONS, payoff_tables
from equinfer.report.policies import policy_maps
from equinfer.report.progress import gap_along_the_way
from equinfer.report.theme import epoch_states, number, shortened

CHICKEN = [[[6, 2], [7, 0]], [[6, 7], [2, 0]]]


def solution_of(game, profile, gains, **changes) -> Solution:
    tables = game.tables()
    shape = profile[0].shape[:-1]
    certificate = Certificate(
        concept="nash",
        kind="exact",
        gap=float(np.max(gains)),
        per_player=np.array([np.max(gain) for gain in gains], float),
        numerical_error=1e-15,
        per_player_error=np.full(tables.num_players, 1e-15),
        values=np.zeros((tables.num_players, *shape)),
        deviations=tuple(
            Deviation(np.eye(policy.shape[-1])[np.zeros(shape, int)], np.broadcast_to(np.asarray(gain, float), shape))
            for policy, gain in zip(profile, gains, strict=True)
        ),
    )
    record = Solution(
        game=GameLabels.of(tables),
        concept="nash",
        solver="stage-nash",
        profile=profile,
        values=certificate.values,
        certificate=certificate,
        eps=1e-8,
        status=Status.certified if np.max(gains) < 1e-8 else Status.above_eps,
        payoff_scale=tables.payoff_scale,
        seconds={"total": 0.5, "solve": 0.4},
        tables=tables,
    )
    return replace(record, **changes)


@pytest.fixture
def chicken() -> Solution:
    game = TabularGame.from_payoffs(CHICKEN, action_labels=[["yield", "drive"]] * 2, player_labels=["Ann", "Bob"])
    return solution_of(game, (np.array([[0.75, 0.25]]), np.array([[0.5, 0.5]])), [0.5, 0.0])


def test_a_payoff_table_has_the_rewards_inside_and_the_policies_on_its_margins(chicken):
    (table,) = payoff_tables(chicken)
    assert table.columns == (("yield", 0.5), ("drive", 0.5))
    label, probability, cells = table.rows[1]
    assert (label, probability) == ("drive", 0.25)
    assert cells[0].payoffs == ("7", "2")
    assert cells[0].probability == 0.125


def test_large_tables_keep_what_is_played():
    size = 3 * MOST_ACTIONS
    policy = np.eye(size)[[size - 1]]
    record = solution_of(TabularGame.from_payoffs(np.zeros((2, size, size))), (policy, policy), [0.0, 0.0])
    (table,) = payoff_tables(record)
    assert table.rows[-1][:2] == (str(size - 1), 1.0)
    assert table.omitted == 2 * (size - MOST_ACTIONS)


def test_other_players_get_a_slice_each_the_likeliest_first():
    profile = (np.array([[1.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[0.2, 0.8]]))
    record = solution_of(TabularGame.from_payoffs(np.arange(24.0).reshape(3, 2, 2, 2)), profile, [0.0] * 3)
    first, second = payoff_tables(record)
    assert first.title == "player 2: 1 (probability 0.8)"
    assert first.rows[0][2][0].payoffs == ("1", "9", "17")
    assert second.title == "player 2: 0 (probability 0.2)"


def test_the_deviation_says_where_and_what(chicken):
    ann, bob = deviation_rows(chicken)
    assert ann.gain == "0.5"
    assert ann.plays == "yield 0.75, drive 0.25"
    assert ann.instead == "yield"
    assert bob.gain == "0"


def test_rounding_is_not_drawn_as_a_gain():
    game = TabularGame(np.zeros((2, 3, 2, 2)), np.full((3, 2, 2, 3), 1 / 3), discount=0.5)
    profile = (np.full((3, 2), 0.5), np.full((3, 2), 0.5))
    assert gains_by_state(solution_of(game, profile, [1e-16, 0.0])) is None
    drawn = gains_by_state(solution_of(game, profile, [1e-3, 0.0]))
    assert drawn is not None
    assert np.max(drawn.data[0].y) == 1e-3


def test_illegal_actions_are_blank_and_rows_read_downwards():
    legal = [np.array([[True, False], [True, True]]), np.ones((2, 2), bool)]
    game = TabularGame(np.zeros((2, 2, 2, 2)), np.full((2, 2, 2, 2), 0.5), discount=0.5, legal=legal)
    profile = (np.array([[1.0, 0.0], [0.25, 0.75]]), np.full((2, 2), 0.5))
    drawn = policy_maps(solution_of(game, profile, [0.0, 0.0])).data[0]
    assert list(drawn.y) == ["1", "0"]
    np.testing.assert_array_equal(drawn.z, [[0.25, 0.75], [1.0, np.nan]])


def test_the_gap_is_drawn_against_the_bound(chicken):
    trace = {"gap": np.array([1.0, np.nan, 0.0]), "bound": np.array([2.0, 1.0, 0.5]), "step": np.array([0, 10, 20])}
    drawn = gap_along_the_way(replace(chicken, trace=trace))
    assert drawn is not None
    gap, bound = drawn.data
    assert list(gap.x) == [0, 20]
    assert gap.y[1] > 0  # an exact zero still has a place on a logarithmic axis
    assert list(bound.y) == [2.0, 1.0, 0.5]
    assert gap_along_the_way(chicken) is None


def test_the_path_is_drawn_where_one_was_followed(chicken):
    share = np.linspace(0.5, 0.75, 5)[:, None, None]
    path = np.concatenate([share, 1 - share], axis=2)
    trace = {"temperature": np.logspace(0, -3, 5), "profile_0": path, "profile_1": path}
    drawn = probability_path(replace(chicken, trace=trace))
    assert drawn is not None
    np.testing.assert_allclose(drawn.data[0].x, np.logspace(0, 3, 5))
    np.testing.assert_allclose(drawn.data[0].y, share.ravel())
    assert probability_path(chicken) is None


def test_the_page_is_one_file_and_repeats(chicken, tmp_path):
    write_report(chicken, tmp_path / "one.html")
    write_report(chicken, tmp_path / "two.html")
    text = (tmp_path / "one.html").read_text()
    assert text == (tmp_path / "two.html").read_text()
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", text)
    assert "above eps" in text
    assert "yield 0.75, drive 0.25" in text


def test_hostile_labels_stay_text(tmp_path):
    evil = "</script><script>alert(1)</script>"
    game = TabularGame.from_payoffs(CHICKEN, action_labels=[[evil, "b"]] * 2, player_labels=[evil, "&"], name=evil)
    write_report(solution_of(game, (np.array([[1.0, 0.0]]),) * 2, [0.0, 0.0]), tmp_path / "page.html")
    assert "<script>alert(1)" not in (tmp_path / "page.html").read_text()


def test_the_index_links_to_every_report(chicken, tmp_path):
    write_index([IndexEntry("Chicken & co", "a b.html", chicken)], tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text()
    assert 'href="a b.html"' in text
    assert "Chicken &amp; co" in text


def test_numbers_and_labels_for_people():
    assert number(-1e-300) == "-1e-300"
    assert number(-0.0) == "0"
    assert number(1 / 3, 3) == "0.333"
    long = ["a" * 40, "a" * 39 + "b"]
    assert len(set(shortened(long))) == 2
    assert epoch_states(["only"], 2) == ["t = 0", "t = 1"]
    assert epoch_states(["x", "y"], 2)[2] == "t = 1 · x"
